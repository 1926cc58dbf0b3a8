"""Noise fields and their level: diffuse noise at the ears, and the gain that sets the SNR. Arrays only."""
import numpy as np
from scipy.fft import irfft, rfft

SWELLS_PER_S = (0.1, 3.0)  # waves on a beach, gusts of wind, cars that pass; steps


def noise_gain(speech, noise, snr_db):
    """Compute the factor for `noise` that sets the SNR: speech power over noise power in dB.

    Both powers are averaged over the two ears and the sample. The speech is that from the front, reverberation
    included, so the noise stays as it is while the source moves. Sensor noise does not count.

    Parameters
    ----------
    speech : np.ndarray [shape=(2, n)], with the source at azimuth 0, whatever the azimuth it is used for
    noise : np.ndarray [shape=(2, n)], not all zero
    snr_db : float

    Returns
    -------
    float

    Examples
    --------
    >>> speech, noise = np.ones((2, 4)), np.full((2, 4), 10.0)
    >>> noise_gain(speech, noise, snr_db=0)
    0.1
    >>> noise_gain(speech, noise, snr_db=20)
    0.01

    """
    power_ratio = np.mean(np.square(speech, dtype=np.float64)) / np.mean(np.square(noise, dtype=np.float64))
    return float(np.sqrt(power_ratio * 10 ** (-snr_db / 10)))


def diffuse(excerpts, hrtf, azimuth_deg, length, eq=None):
    """Sum independent noises from the whole circle at the ears.

    Parameters
    ----------
    excerpts : np.ndarray [shape=(azimuth, size)]
    hrtf : np.ndarray [shape=(azimuth, 2, bin)], `response_spectrum` of evenly spaced directions in front
    azimuth_deg : np.ndarray [shape=(azimuth,)]
    length : int, in samples
    eq : np.ndarray [shape=(bin,)], optional: `response_spectrum` of a filter that all of the noise passes

    Returns
    -------
    np.ndarray [shape=(2, length)]

    Examples
    --------
    Noise of 37 directions has 2 + 35 x 2 times the power of one of them: those in front also stand for those behind.

    >>> noise = np.random.default_rng(0).standard_normal((37, 16_000))
    >>> at_ears = diffuse(noise, np.ones((37, 2, 8_001)), np.arange(-90, 91, 5), length=8_000)
    >>> at_ears.shape, round(float(at_ears.var()))
    ((2, 8000), 72)

    """
    spectra = rfft(excerpts * diffuse_loudness(azimuth_deg)[:, np.newaxis])
    spectrum = np.einsum("df,def->ef", spectra, hrtf)  # direction, frequency, ear
    if eq is not None:
        spectrum *= eq
    size = excerpts.shape[-1]
    return irfft(spectrum, size)[..., size - length:]


def swells(rng, count, length, depth_db, sample_rate_hz):
    """Draw how loud each of several noises is over time: waves, gusts of wind, traffic that passes.

    Each rises and falls by up to `depth_db` in all, as a sine in decibels of a rate within SWELLS_PER_S. So a few
    directions are louder than the others for a moment, and are no source for all that.

    Returns
    -------
    np.ndarray [shape=(count, length)], float32

    Examples
    --------
    >>> loud = swells(np.random.default_rng(0), 37, 16_000, depth_db=20, sample_rate_hz=16_000)
    >>> loud.shape, bool(loud.max() <= 10 ** 0.5), bool(loud.min() >= 10 ** -0.5)
    ((37, 16000), True, True)

    """
    amplitude_db = rng.uniform(0, depth_db) / 2
    rate_hz, phase = np.exp(rng.uniform(*np.log(SWELLS_PER_S), count)), rng.uniform(0, 2 * np.pi, count)
    seconds = np.arange(length, dtype=np.float32) / sample_rate_hz
    radians = np.multiply.outer((2 * np.pi * rate_hz).astype(np.float32), seconds)
    radians += phase.astype(np.float32)[:, np.newaxis]
    return np.exp(np.float32(amplitude_db * np.log(10) / 20) * np.sin(radians))


def diffuse_loudness(azimuth_deg):
    """Give the amplitude of each direction in front when it also stands for the one behind: (azimuth,) float32.

    Sound from behind arrives with nearly the delays and levels of its mirror image in front (the cone of confusion). So
    one direction stands for both and is sqrt(2) louder; -90 and +90 degrees have no mirror image.

    >>> diffuse_loudness(np.array([-90, 0, 30])).round(3)
    array([1.   , 1.414, 1.414], dtype=float32)
    """
    return np.where(np.abs(azimuth_deg) > 89.9, 1, np.sqrt(2)).astype(np.float32)
