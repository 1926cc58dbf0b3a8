"""Between two measured directions: magnitude, delay and phase of one ear's responses interpolated apart."""
import numpy as np

DIRECT_S = 2.5e-3             # the direct sound: the first reflections, from floor and table, come later


def interpolated(one, other, weight, rate_hz):
    """Interpolate two responses of one ear: magnitude in dB, delay and phase each by itself.

    Waveforms are never added: where they differ in delay, that would comb-filter them. The reflections of a room have
    no counterpart in the other response. They are taken from the nearer one, moved and scaled with the direct sound.

    Parameters
    ----------
    one, other : np.ndarray [shape=(tap,)]
    weight : float, 0 = `one` .. 1 = `other`
    rate_hz : int

    Returns
    -------
    np.ndarray [shape=(tap,)]

    Examples
    --------
    Halfway between two clicks lies one click, at the mean delay and the mean level in dB:

    >>> one, other = np.zeros((2, 200))
    >>> one[20], other[30] = 1, 0.25
    >>> between = interpolated(one, other, 0.5, rate_hz=44_100)
    >>> int(between.argmax()), round(float(between.max()), 2)
    (25, 0.5)

    """
    taps = len(one)
    size = 2 * taps
    frequency = np.fft.rfftfreq(size)                                   # cycles per sample
    direct_end = min(onset(one), onset(other)) + round(DIRECT_S * rate_hz)
    is_direct = _fade_out(taps, direct_end, width=round(0.5e-3 * rate_hz))
    delay = _delay_between(one * is_direct, other * is_direct)

    def moved(response, samples):
        return np.fft.rfft(response, size) * np.exp(-2j * np.pi * frequency * samples)

    first, second = moved(one * is_direct, 0), moved(other * is_direct, -delay)  # aligned with `one`
    floor = 1e-6 * np.abs(first).max()
    magnitude = np.exp((1 - weight) * np.log(np.abs(first) + floor) + weight * np.log(np.abs(second) + floor))
    phase = np.angle(first) + weight * np.angle(second * np.conj(first))
    spectrum = magnitude * np.exp(1j * (phase - 2 * np.pi * frequency * weight * delay))
    nearer, way = (one, weight) if weight <= 0.5 else (other, weight - 1)
    level = np.linalg.norm(other * is_direct) / np.linalg.norm(one * is_direct)
    spectrum += level ** way * moved(nearer * (1 - is_direct), way * delay)
    return np.fft.irfft(spectrum, size)[:taps]


def onset(response):
    """Find the first tap of a response (tap,) that reaches a fifth of its peak.

    >>> onset(np.array([0.0, 0.1, -0.3, 1.0]))
    2
    """
    level = np.abs(response)
    return int(np.argmax(level >= 0.2 * level.max()))


def _fade_out(taps, end, width):
    """Make a window (taps,): ones up to tap `end`, then half a cosine of `width` taps, then zeros."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((np.arange(taps) - end) / max(width, 1), 0, 1))


def _delay_between(one, other):
    """Measure by how many samples, to an eighth, `other` is later than `one`: the peak of their cross-correlation."""
    size = 2 * len(one)
    cross = np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size))
    correlation = np.fft.irfft(cross, 8 * size)
    peak = int(np.argmax(correlation))
    return (peak - 8 * size if peak > 4 * size else peak) / 8
