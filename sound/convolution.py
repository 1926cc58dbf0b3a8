"""Convolution with many responses at once, circular over a whole excerpt. Arrays only.

    size = convolution.fft_size(reach + length)                       # reach: taps - 1 of the longest response
    hrtf = convolution.response_spectrum(head.response, size)         # once a head: (37, 2, bin)
    excerpt = excerpts.cut(signal, start, size - length, length)      # what sounds before the sample rings into it
    speech = convolution.at_ears(excerpt, hrtf, length)               # (size,) -> (37, 2, length)

What wraps around falls into the reach, which is cut off, so the rest is exactly the linear convolution. One transform
of the excerpt serves all directions.
"""
from scipy.fft import irfft, next_fast_len, rfft


def fft_size(least):
    """Choose a length of at least `least` samples for which the FFT is fast.

    >>> fft_size(16_639)
    16875
    """
    return next_fast_len(int(least), real=True)


def response_spectrum(response, size):
    """Transform responses for excerpts of `size` samples: (..., tap) -> (..., bin).

    Raises ValueError when the responses are longer than the excerpts.

    >>> import numpy as np
    >>> response_spectrum(np.ones((37, 2, 258)), size=1000).shape
    (37, 2, 501)
    """
    if response.shape[-1] > size:
        raise ValueError(f"{response.shape[-1]} taps do not fit into excerpts of {size} samples")
    return rfft(response, size)


def at_ears(excerpt, hrtf, length):
    """Convolve one excerpt with the responses of several directions.

    Parameters
    ----------
    excerpt : np.ndarray [shape=(size,)], of which the last `length` samples are wanted
    hrtf : np.ndarray [shape=(..., bin)], `response_spectrum` for this size
    length : int, at most size - taps + 1, in samples

    Returns
    -------
    np.ndarray [shape=(..., length)]

    Examples
    --------
    A response of one tap, two samples late, delays the excerpt:

    >>> import numpy as np
    >>> excerpt = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    >>> at_ears(excerpt, response_spectrum(np.array([[0, 0, 1.0]]), size=8), length=6).round(6).tolist()
    [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]

    """
    return irfft(rfft(excerpt) * hrtf, len(excerpt))[..., len(excerpt) - length:]
