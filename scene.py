"""The scene at the ears: where excerpts are cut, convolution, noise fields, random spectra, levels. Arrays only.

    size = scene.fft_size(reach + length)                        # reach: taps - 1 of the longest response
    heard_from = scene.response_spectrum(head.response, size)    # once a head: (37, 2, bin)
    excerpt = scene.cut(signal, start, size - length, length)    # what sounds before the sample begins rings into it
    speech = scene.at_ears(excerpt, heard_from, length)          # (size,) -> (37, 2, length)
    noise = scene.diffuse(noise_excerpts, heard_from, head.azimuth_deg, length)
    gain = scene.noise_gain(speech[18], noise, snr_db=0)

Convolution is circular over a whole excerpt: what wraps around falls into the reach, which is cut off, so the rest is
exactly the linear convolution. One transform of the excerpt serves all directions.
"""
from typing import NamedTuple

import numpy as np
import soxr
from scipy.fft import irfft, next_fast_len, rfft

import features

START_GRID = 80      # excerpts begin at multiples of this many samples, 5 ms, so that long files need little memory
CURVE_WAVES = 8      # cosines of a random curve over 0 Hz to half the rate: detail down to about 3 ERB
FILTER_TAPS = 256    # of a random filter: 16 ms, which holds those curves to 0.1 dB


class Clip(NamedTuple):
    """A file's signal (n,) and where excerpts of it may begin, in samples."""

    samples: np.ndarray
    starts: np.ndarray


def speech_clip(signal, params):
    """A Clip whose excerpts lie within the signal and are not silence."""
    return Clip(signal, eligible_starts(signal, params.excerpt_length, params.speech_range_db))


def noise_clip(signal, params):
    """A Clip whose excerpts go round at its end, so that the signal may be short."""
    length = params.excerpt_length
    return Clip(signal, eligible_starts(looped(signal, length), length, params.noise_range_db))


def eligible_starts(signal, length, range_db):
    """Where an excerpt may begin: starts whose `length` samples are at most `range_db` below the loudest such.

    Parameters
    ----------
    signal : np.ndarray [shape=(n,)], n >= length
    length : int, in samples
    range_db : float

    Returns
    -------
    np.ndarray of int, ascending, multiples of START_GRID, never empty

    """
    power = running_power(signal, length)
    return START_GRID * np.flatnonzero(power >= power.max() * 10 ** (-range_db / 10))


def running_power(signal, length):
    """Mean square of runs of `length` samples that begin at multiples of START_GRID, to a grid step: float64.

    Shape (n,) -> (1 + (n - length) // START_GRID,).
    """
    count = 1 + (len(signal) - length) // START_GRID
    if length < START_GRID:
        return np.array([np.mean(np.square(signal, dtype=np.float64))])
    steps = signal[:len(signal) // START_GRID * START_GRID].reshape(-1, START_GRID)
    total = np.concatenate(([0.0], np.cumsum(np.einsum("ij,ij->i", steps, steps, dtype=np.float64))))
    run = length // START_GRID
    return np.maximum(total[run:] - total[:-run], 0)[:count] / (run * START_GRID)  # can fall just below 0


def draw_start(rng, starts, part=0, parts=1):
    """Draw one of the ascending `starts` from the `part`-th of `parts` stretches, so that several cover the file."""
    return int(starts[int((part + rng.random()) / parts * len(starts))])


def looped(noise, length):
    """The noise followed by its own beginning, so that an excerpt of `length` can start anywhere in it."""
    return np.resize(noise, len(noise) + length - 1)


def cut(signal, start, reach, length, around=False):
    """Samples start-reach .. start+length of a signal: (reach + length,).

    Outside there is silence, or with `around` the signal goes round, as noise that is short does.
    """
    first, last = start - reach, start + length
    if first >= 0 and last <= len(signal):
        return signal[first:last]
    if around:
        return np.take(signal, np.arange(first, last), mode="wrap")
    return np.pad(signal[max(first, 0):last], (max(-first, 0), max(last - len(signal), 0)))


def at_speed(signal, start, speed, reach, length):
    """Play a signal `speed` times as fast: the excerpt from `start` on, and what comes before, pitch and all.

    Parameters
    ----------
    signal : np.ndarray [shape=(n,)]
    start : int, in samples of the signal
    speed : float
    reach, length : int, how much is wanted before and from the start on, in samples of the result

    Returns
    -------
    np.ndarray [shape=(reach + length or a few samples more,)], float32
    int, where the start is in it

    """
    before = int(np.ceil(speed * reach))
    piece = cut(signal, start, before, int(np.ceil(speed * length)) + 1)
    return soxr.resample(np.ascontiguousarray(piece), speed, 1.0), round(before / speed)


def fft_size(least):
    """A length of at least `least` samples that the FFT is fast for."""
    return next_fast_len(int(least), real=True)


def response_spectrum(response, size):
    """Transform responses for excerpts of `size` samples: (..., tap) -> (..., bin).

    Raises ValueError when the responses are longer than the excerpts.
    """
    if response.shape[-1] > size:
        raise ValueError(f"{response.shape[-1]} taps do not fit into excerpts of {size} samples")
    return rfft(response, size)


def at_ears(excerpt, heard_from, length):
    """A source heard from several directions.

    Parameters
    ----------
    excerpt : np.ndarray [shape=(size,)], of which the last `length` samples are wanted
    heard_from : np.ndarray [shape=(..., bin)], `response_spectrum` for this size
    length : int, at most size - taps + 1, in samples

    Returns
    -------
    np.ndarray [shape=(..., length)]

    """
    return irfft(rfft(excerpt) * heard_from, len(excerpt))[..., len(excerpt) - length:]


def diffuse_loudness(azimuth_deg):
    """Amplitude of each direction of the front half plane when it also stands for the one behind: (azimuth,) float32.

    A direction behind arrives with nearly the delays and levels of its mirror image in front (the cone of confusion),
    so the front one stands for both and is sqrt(2) louder; -90 and +90 degrees have no mirror image.
    """
    return np.where(np.abs(azimuth_deg) > 89.9, 1, np.sqrt(2)).astype(np.float32)


def diffuse(excerpts, heard_from, azimuth_deg, length, colour=None):
    """Independent noises from the whole circle, summed at the ears.

    Parameters
    ----------
    excerpts : np.ndarray [shape=(azimuth, size)]
    heard_from : np.ndarray [shape=(azimuth, 2, bin)], `response_spectrum` of evenly spaced directions in front
    azimuth_deg : np.ndarray [shape=(azimuth,)]
    length : int, in samples
    colour : np.ndarray [shape=(bin,)], optional: `response_spectrum` of a filter that all of the noise passes

    Returns
    -------
    np.ndarray [shape=(2, length)]

    """
    spectra = rfft(excerpts * diffuse_loudness(azimuth_deg)[:, np.newaxis])
    spectrum = np.einsum("df,def->ef", spectra, heard_from)  # direction, frequency, ear
    if colour is not None:
        spectrum *= colour
    size = excerpts.shape[-1]
    return irfft(spectrum, size)[..., size - length:]


def random_curve(rng, spread_db, shape=()):
    """Smooth random curves in dB, without a mean, as smooth as what tells heads, microphones and voices apart.

    Sums of cosines over the ERB rate (Glasberg and Moore 1990).

    Parameters
    ----------
    rng : np.random.Generator
    spread_db : float, standard deviation of the curve over frequency and over draws
    shape : tuple of int, how many curves

    Returns
    -------
    np.ndarray [shape=(*shape, 2 FILTER_TAPS + 1)], dB from 0 Hz to half the sample rate

    """
    rate = np.log1p(0.00437 * np.linspace(0, 8000, 2 * FILTER_TAPS + 1))
    waves = np.cos(np.pi * np.arange(1, CURVE_WAVES + 1)[:, np.newaxis] * rate / rate[-1])
    return rng.standard_normal((*shape, CURVE_WAVES)) * spread_db * np.sqrt(2 / CURVE_WAVES) @ waves


def minimum_phase(curve_db):
    """Filters with a `random_curve`'s response: (..., 2 FILTER_TAPS + 1) dB -> (..., FILTER_TAPS) float32.

    The cepstrum folded onto positive times: Oppenheim and Schafer, Discrete-Time Signal Processing, 1989, ch. 12.
    """
    size = 4 * FILTER_TAPS
    cepstrum = irfft(curve_db * (np.log(10) / 20), size)
    cepstrum[..., 1:size // 2] *= 2
    cepstrum[..., size // 2 + 1:] = 0
    return irfft(np.exp(rfft(cepstrum)), size)[..., :FILTER_TAPS].astype(np.float32)


def noise_gain(speech, noise, snr_db):
    """Factor for `noise` that sets the SNR: power ratio in dB, both averaged over the two ears and the excerpt.

    Parameters
    ----------
    speech : np.ndarray [shape=(2, n)], with the source at azimuth 0, whatever the azimuth it is used for
    noise : np.ndarray [shape=(2, n)], not all zero
    snr_db : float

    Returns
    -------
    float

    """
    power_ratio = np.mean(np.square(speech, dtype=np.float64)) / np.mean(np.square(noise, dtype=np.float64))
    return float(np.sqrt(power_ratio * 10 ** (-snr_db / 10)))


def parts(signals, params):
    """STFT of signals (..., n) as real and imaginary part, each (..., bin, frame) float32 and contiguous."""
    spectra = features.stft(signals, params)
    return np.ascontiguousarray(spectra.real), np.ascontiguousarray(spectra.imag)


def mixed_cues(speech, noise, gain, params, out):
    """Cues of one speech at every azimuth in one noise.

    The STFT is linear: speech and noise are transformed once, and every level of the noise is a scaled sum.

    Parameters
    ----------
    speech : `parts` of (azimuth, 2, n)
    noise : `parts` of (2, n)
    gain : float, of the noise
    params : Params
    out : np.ndarray [shape=(azimuth, bin, frame, 2)], float16 or float32, to be written

    """
    noise_real, noise_imag = (np.float32(gain) * part for part in noise)
    for real, imag, cues in zip(*speech, out):  # one azimuth stays in the processor's cache
        features.cues_of_parts(real + noise_real, imag + noise_imag, params.power_floor, cues)
