"""Excerpts of audio files: where they may begin, how they are drawn and cut. Arrays only."""
from typing import NamedTuple

import numpy as np
import soxr

START_GRID = 80      # excerpts begin at multiples of this many samples, 5 ms, so that long files need little memory


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
