"""Interaural cues in the time-frequency domain, as the formulas say: STFT, IPD, ILD. Arrays in, arrays out.

    cues = features.from_ears(ears, Params())   # (2, 16320) -> (321, 50, 2)

IPD = angle(right / left) in radians, ILD = 20 log10(|right| / |left|) in dB: a source on the right has positive ILD.
Shards are made by faster kernels (sound/kernels.py), which a test holds equal to these formulas.
"""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LEFT, RIGHT = 0, 1
IPD, ILD = 0, 1


def stft(signal, params):
    """Compute the short-time Fourier transform: periodic Hamming window (Harris 1978, eq. 30), no centring.

    Parameters
    ----------
    signal : np.ndarray [shape=(..., n)], real; float32 is computed in single precision
    params : Params, for the window and hop in samples

    Returns
    -------
    np.ndarray [shape=(..., bin, frame)], complex, contiguous; 1 + (n - window) // hop frames

    Raises
    ------
    ValueError : the signal is shorter than one window

    Examples
    --------
    >>> import librosa
    >>> from params import Params
    >>> noise = np.random.default_rng(0).standard_normal(16320)
    >>> spectrum = stft(noise, Params())
    >>> spectrum.shape
    (321, 50)
    >>> reference = librosa.stft(noise, n_fft=640, hop_length=320, window="hamming", center=False)
    >>> bool(np.allclose(spectrum, reference, atol=1e-4))
    True

    """
    window_samples = params.stft_window_samples
    if signal.shape[-1] < window_samples:
        raise ValueError(f"{signal.shape[-1]} samples are fewer than the window's {window_samples}")
    frames = sliding_window_view(signal, window_samples, axis=-1)[..., ::params.stft_hop_samples, :]
    phase = 2 * np.pi * np.arange(window_samples) / window_samples
    hamming = (0.54 - 0.46 * np.cos(phase)).astype(signal.dtype)
    spectra = _rfft(frames * hamming)                                    # (..., frame, bin)
    return np.ascontiguousarray(np.swapaxes(spectra, -1, -2))            # (..., bin, frame)


def _rfft(frames):
    """Transform the last axis; numpy before 2.0 does it in double precision whatever it gets."""
    return np.fft.rfft(frames).astype(np.result_type(frames, np.complex64), copy=False)


def interaural_cues(left, right, power_floor):
    """Compute IPD and ILD of two spectra.

    Parameters
    ----------
    left, right : np.ndarray [shape=(...)], complex spectra of the two ears
    power_floor : float, the least |spectrum|^2: weaker bins count as this, so that the ILD of silence stays finite

    Returns
    -------
    np.ndarray [shape=(..., 2)], float32
        [..., 0] = IPD in radians, -pi..pi; [..., 1] = ILD in dB

    Examples
    --------
    The right ear leads by a quarter of a turn and is twice as loud:

    >>> interaural_cues(np.array(1), np.array(2j), 1e-20).round(2)
    array([1.57, 6.02], dtype=float32)

    """
    ipd_rad = np.angle(right * np.conj(left))                            # the angle of right / left
    left_power, right_power = (np.maximum(np.abs(ear) ** 2, power_floor) for ear in (left, right))
    ild_db = 10 * np.log10(right_power / left_power)
    return np.stack((ipd_rad, ild_db), axis=-1).astype(np.float32)


def from_ears(ears, params):
    """Compute IPD and ILD of two ear signals.

    Parameters
    ----------
    ears : np.ndarray [shape=(..., 2, n)], left ear first
    params : Params

    Returns
    -------
    np.ndarray [shape=(..., bin, frame, 2)], float32

    Examples
    --------
    The right ear hears a 1 kHz tone a quarter of a millisecond earlier, which is a quarter of a turn:

    >>> from params import Params
    >>> seconds = np.arange(16320) / 16000
    >>> ears = np.sin(2 * np.pi * 1000 * (seconds + np.array([[0], [0.00025]])))
    >>> cues = from_ears(ears, Params())
    >>> cues.shape
    (321, 50, 2)
    >>> cues[40].mean(axis=0).round(2)      # bin 40: 1 kHz
    array([1.57, 0.  ], dtype=float32)

    """
    spectra = stft(ears, params)                                         # (..., ear, bin, frame)
    return interaural_cues(spectra[..., LEFT, :, :], spectra[..., RIGHT, :, :], params.power_floor)


def of_responses(response, params):
    """Compute IPD and ILD of a head's impulse responses, in the bins of the STFT: a template for each direction.

    Parameters
    ----------
    response : np.ndarray [shape=(..., 2, tap)], left ear first; taps beyond the window's length do not count
    params : Params

    Returns
    -------
    np.ndarray [shape=(..., bin, 2)], float32

    Examples
    --------
    >>> from params import Params
    >>> click = np.zeros((1, 2, 100))
    >>> click[0, 0, 5], click[0, 1, 5] = 1, 2
    >>> of_responses(click, Params())[0, 40].round(2)
    array([0.  , 6.02], dtype=float32)

    """
    spectra = np.fft.rfft(response, params.stft_window_samples)
    return interaural_cues(spectra[..., LEFT, :], spectra[..., RIGHT, :], params.power_floor)
