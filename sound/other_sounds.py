"""Sounds that are not speech, drawn at random: bands of noise, tones, clicks and sweeps. Arrays only.

    signal = other_sounds.draw(rng, length=16_320, sample_rate_hz=16_000)

Broad ones teach a network that a source need not talk. Of narrow ones, one azimuth often sounds like another: they
teach it how little it can tell then.
"""
import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

LOWEST_HZ, HIGHEST_SHARE = 80.0, 0.45   # of the middle of a band, of a fundamental; the second of the sample rate
WIDTH_OCTAVES = (0.3, 5.0)              # of a band of noise
MOST_HARMONICS = 24
VIBRATO = 0.01                          # of the frequency, up to
CLICKS_PER_S = (2.0, 40.0)
CLICK_S = (0.5e-3, 20e-3)               # in which a click decays by a factor of e
BURSTS_PER_S = (1.0, 10.0)              # of noise and tones that come and go
BURST_SHARE = 0.5                       # of the bands of noise and tones do


def draw(rng, length, sample_rate_hz):
    """Draw a sound: float32 (length,), of a root mean square of 0.1.

    >>> sound = draw(np.random.default_rng(0), length=16_000, sample_rate_hz=16_000)
    >>> sound.shape, round(float(np.sqrt(np.mean(sound ** 2))), 3)
    ((16000,), 0.1)
    """
    kind = (_band, _tone, _clicks, _sweep)[rng.integers(4)]
    signal = kind(rng, length, sample_rate_hz)
    if kind in (_band, _tone) and rng.random() < BURST_SHARE:
        signal *= _bursts(rng, length, sample_rate_hz)
    return (0.1 * signal / np.sqrt(np.mean(np.square(signal)))).astype(np.float32)


def _frequency(rng, sample_rate_hz):
    return float(np.exp(rng.uniform(np.log(LOWEST_HZ), np.log(HIGHEST_SHARE * sample_rate_hz))))


def _band(rng, length, sample_rate_hz):
    """Draw a band of noise, with edges of an eighth of an octave."""
    size = next_fast_len(length, real=True)
    hz = np.maximum(np.linspace(0, sample_rate_hz / 2, size // 2 + 1), 1)
    octaves = np.abs(np.log2(hz / _frequency(rng, sample_rate_hz)))
    gain = np.clip(1 + (rng.uniform(*WIDTH_OCTAVES) / 2 - octaves) / 0.125, 0, 1)
    return irfft(rfft(rng.standard_normal(size)) * gain, size)[:length]


def _tone(rng, length, sample_rate_hz):
    """Draw a tone with harmonics of random levels, and a little vibrato."""
    fundamental_hz = _frequency(rng, sample_rate_hz)
    harmonics = np.arange(1, 1 + rng.integers(1, MOST_HARMONICS + 1))
    harmonics = harmonics[harmonics * fundamental_hz * (1 + VIBRATO) < sample_rate_hz / 2]
    seconds = np.arange(length) / sample_rate_hz
    depth, rate_hz = rng.uniform(0, VIBRATO), rng.uniform(3, 8)
    cycles = fundamental_hz * (seconds - depth / (2 * np.pi * rate_hz) * np.cos(2 * np.pi * rate_hz * seconds))
    gain = 10 ** (-rng.uniform(0, 30, len(harmonics)) / 20)
    phase = rng.uniform(0, 2 * np.pi, len(harmonics))
    return sum(g * np.sin(2 * np.pi * n * cycles + p) for g, n, p in zip(gain, harmonics, phase))


def _clicks(rng, length, sample_rate_hz):
    """Draw noise in the envelope of clicks, at random moments, that decay."""
    at = rng.random(length) < rng.uniform(*CLICKS_PER_S) / sample_rate_hz
    at[rng.integers(length)] = True
    decay = np.exp(-np.arange(length) / sample_rate_hz / np.exp(rng.uniform(*np.log(CLICK_S))))
    size = next_fast_len(2 * length, real=True)
    envelope = irfft(rfft(at * rng.uniform(0.3, 1, length), size) * rfft(decay, size), size)[:length]
    return envelope * rng.standard_normal(length)


def _sweep(rng, length, sample_rate_hz):
    """Draw a sweep between two frequencies, even in their logarithm."""
    first_hz, last_hz = _frequency(rng, sample_rate_hz), _frequency(rng, sample_rate_hz)
    hz = first_hz * (last_hz / first_hz) ** (np.arange(length) / length)
    return np.sin(2 * np.pi * np.cumsum(hz) / sample_rate_hz)


def _bursts(rng, length, sample_rate_hz):
    """Draw an envelope (length,) that rises and falls smoothly between 0.01 and 1."""
    seconds = np.arange(length) / sample_rate_hz
    wave = np.sin(2 * np.pi * (rng.uniform(*BURSTS_PER_S) * seconds + rng.random()))
    return 0.01 + 0.99 / (1 + np.exp(-8 * (wave - rng.uniform(-0.5, 0.5))))
