"""Excerpts of audio files: where they may begin, how they are drawn and cut. Arrays only."""
from typing import NamedTuple

import numpy as np
import soxr

PIECE = 80 << 14      # samples of a long signal that are looked at together
START_GRID = 80      # excerpts begin at multiples of this many samples, 5 ms, so that long files need little memory


class Clip(NamedTuple):
    """Hold the signal of a file (n,), an array or what gives slices as arrays, and where excerpts may begin."""

    samples: np.ndarray
    starts: np.ndarray


def speech_clip(signal, params):
    """Make the Clip of a speech file: its excerpts lie within the signal and are not silence.

    >>> from params import Params
    >>> signal = np.ones(Params().excerpt_length + 160, np.float32)
    >>> speech_clip(signal, Params()).starts.tolist()
    [0, 80, 160]
    """
    return Clip(signal, eligible_starts(signal, params.excerpt_length, params.speech_range_db))


def noise_clip(signal, params):
    """Make the Clip of a noise file: its excerpts go round at the end, so that the signal may be short.

    >>> from params import Params
    >>> noise_clip(np.ones(200, np.float32), Params()).starts.tolist()
    [0, 80, 160]
    """
    return Clip(signal, eligible_starts(signal, params.excerpt_length, params.noise_range_db, around=True))


def eligible_starts(signal, length, range_db, around=False):
    """List where an excerpt may begin: where its power is at most `range_db` below that of the loudest excerpt.

    Parameters
    ----------
    signal : np.ndarray [shape=(n,)], n >= length unless it goes around
    length : int, in samples
    range_db : float
    around : bool, the signal goes on with its own beginning, so that an excerpt can start anywhere in it

    Returns
    -------
    np.ndarray of int, ascending, multiples of START_GRID, never empty

    Examples
    --------
    Silence, sound and silence; an excerpt may begin where at least a hundredth of the power remains:

    >>> signal = np.repeat([0.0, 1.0, 0.0], 160)
    >>> eligible_starts(signal, length=160, range_db=20).tolist()
    [80, 160, 240]

    """
    power = running_power(signal, length, around)
    return START_GRID * np.flatnonzero(power >= power.max() * 10 ** (-range_db / 10))


def running_power(signal, length, around=False):
    """Compute the mean square of runs of `length` samples that begin at multiples of START_GRID.

    Shape (n,) -> (1 + (n - length) // START_GRID,), float64; of a signal that goes around (1 + (n - 1) // START_GRID,).
    Runs are rounded down to whole grid steps.

    >>> running_power(np.repeat([0.0, 2.0], 80), length=80).tolist()
    [0.0, 4.0]
    """
    if length < START_GRID:
        return np.array([np.mean(np.square(signal[:], dtype=np.float64))])
    whole = len(signal) // START_GRID * START_GRID
    steps = np.concatenate([_step_powers(signal[at:min(at + PIECE, whole)]) for at in range(0, whole, PIECE)] or [[]])
    total = len(signal)
    if around:  # only the end is copied, with as much of the beginning as an excerpt can reach
        total += length - 1
        steps = np.concatenate((steps, _step_powers(_around(signal, whole, total))))
    count = 1 + (total - length) // START_GRID
    sums, run = np.concatenate(([0.0], np.cumsum(steps))), length // START_GRID
    return np.maximum(sums[run:] - sums[:-run], 0)[:count] / (run * START_GRID)  # can fall just below 0


def _around(signal, first, last):
    """Give samples first..last of a signal that goes on with its own beginning, and before it with its end."""
    if last - first > len(signal):
        return np.take(signal[:], np.arange(first, last), mode="wrap")
    first, last = first % len(signal), last - first + first % len(signal)
    return np.concatenate((signal[first:last], signal[:max(0, last - len(signal))]))


def _step_powers(signal):
    """Sum the squares of each grid step of a signal, whole steps only: float64."""
    steps = signal[:len(signal) // START_GRID * START_GRID].reshape(-1, START_GRID)
    return np.einsum("ij,ij->i", steps, steps, dtype=np.float64)


def draw_start(rng, starts, part=0, parts=1):
    """Draw one of the ascending `starts` from the `part`-th of `parts` equal stretches, so that several cover the file.

    >>> rng = np.random.default_rng(0)
    >>> [draw_start(rng, np.arange(100), part, parts=4) // 25 for part in range(4)]
    [0, 1, 2, 3]
    """
    return int(starts[int((part + rng.random()) / parts * len(starts))])


def cut(signal, start, reach, length, around=False):
    """Cut samples start-reach .. start+length of a signal: (reach + length,).

    Outside there is silence, or with `around` the signal goes round, as short noise does.

    >>> cut(np.array([1, 2, 3, 4]), start=1, reach=3, length=2).tolist()
    [0, 0, 1, 2, 3]
    >>> cut(np.array([1, 2, 3, 4]), start=1, reach=3, length=2, around=True).tolist()
    [3, 4, 1, 2, 3]
    """
    first, last = start - reach, start + length
    if first >= 0 and last <= len(signal):
        return signal[first:last]
    if around:
        return _around(signal, first, last)
    return np.pad(signal[max(first, 0):last], (max(-first, 0), max(last - len(signal), 0)))


def at_speed(signal, start, speed, reach, length):
    """Play an excerpt, and what comes before it, `speed` times as fast, pitch and formants with it.

    Parameters
    ----------
    signal : np.ndarray [shape=(n,)]
    start : int, in samples of the signal
    speed : float
    reach, length : int, how much is wanted before and from the start on, in samples of the result

    Returns
    -------
    np.ndarray [shape=(reach + length or a few samples more,)], float32
    int, the index of the start in it

    Examples
    --------
    A tone of 1000 Hz becomes one of 1250 Hz:

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(32_000) / 16_000).astype(np.float32)
    >>> faster, begins = at_speed(tone, start=4000, speed=1.25, reach=1000, length=16_000)
    >>> begins, int(np.abs(np.fft.rfft(faster[begins:begins + 16_000])).argmax())
    (1000, 1250)

    """
    before = int(np.ceil(speed * reach))
    piece = cut(signal, start, before, int(np.ceil(speed * length)) + 1)
    return soxr.resample(np.ascontiguousarray(piece), speed, 1.0), round(before / speed)
