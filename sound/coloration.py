"""Spectral coloration: smooth random equalisation curves and the filters that apply them. Arrays only."""
import numpy as np
from scipy.fft import irfft, rfft

CURVE_WAVES = 8      # cosines of a random curve over 0 Hz to half the rate: detail down to about 3 ERB
STOP_DB, EDGE_HZ = -60.0, 300.0  # of a low pass: what it leaves, and how wide its edge is
FILTER_TAPS = 256    # of a random filter: 16 ms, which holds those curves to 0.1 dB


def random_curve(rng, std_db, shape=()):
    """Draw smooth random curves in dB, as smooth as the spectral differences of heads, microphones and voices.

    Sums of cosines over the ERB rate (Glasberg and Moore 1990), without a mean.

    Parameters
    ----------
    rng : np.random.Generator
    std_db : float, standard deviation of the curve over frequency and over draws
    shape : tuple of int, how many curves

    Returns
    -------
    np.ndarray [shape=(*shape, 2 FILTER_TAPS + 1)], dB from 0 Hz to half the sample rate

    Examples
    --------
    >>> curves = random_curve(np.random.default_rng(0), std_db=3.0, shape=(1000,))
    >>> curves.shape, round(float(curves.std()))
    ((1000, 513), 3)

    """
    rate = np.log1p(0.00437 * np.linspace(0, 8000, 2 * FILTER_TAPS + 1))
    waves = np.cos(np.pi * np.arange(1, CURVE_WAVES + 1)[:, np.newaxis] * rate / rate[-1])
    return rng.standard_normal((*shape, CURVE_WAVES)) * std_db * np.sqrt(2 / CURVE_WAVES) @ waves


def low_pass_curve(end_hz, sample_rate_hz):
    """Make the curve of a recording that ends at a frequency: 0 dB, and from there on STOP_DB.

    Parameters
    ----------
    end_hz, sample_rate_hz : float

    Returns
    -------
    np.ndarray [shape=(2 FILTER_TAPS + 1,)], dB from 0 Hz to half the sample rate

    Examples
    --------
    >>> low_pass_curve(4000, 16_000)[[0, 200, 300, 512]].astype(int).tolist()
    [0, 0, -60, -60]

    """
    hz = np.linspace(0, sample_rate_hz / 2, 2 * FILTER_TAPS + 1)
    return STOP_DB * np.clip((hz - end_hz) / EDGE_HZ, 0, 1)


def minimum_phase(curve_db):
    """Make filters with the response of curves: (..., 2 FILTER_TAPS + 1) dB -> (..., FILTER_TAPS) float32.

    The cepstrum folded onto positive times: Oppenheim and Schafer, Discrete-Time Signal Processing, 1989, ch. 12.

    >>> curve = random_curve(np.random.default_rng(0), std_db=3.0)
    >>> response_db = 20 * np.log10(np.abs(rfft(minimum_phase(curve), 4 * FILTER_TAPS)))
    >>> bool(np.abs(response_db - curve).max() < 0.1)
    True
    """
    size = 4 * FILTER_TAPS
    cepstrum = irfft(curve_db * (np.log(10) / 20), size)
    cepstrum[..., 1:size // 2] *= 2
    cepstrum[..., size // 2 + 1:] = 0
    return irfft(np.exp(rfft(cepstrum)), size)[..., :FILTER_TAPS].astype(np.float32)
