"""Localise two ear signals given as an array, in one call, or as blocks that come one by one.

    track = localise(ears, sample_rate_hz)                   # a row every 0.1 s
    for track in localise_blocks(blocks, sample_rate_hz):    # the rows that a block completes
        ...
"""
from dataclasses import replace
from functools import lru_cache
from numbers import Real

import numpy as np
import soxr

from console import BadInput
from network.balance import Balance
from network.likelihood import template_cues
from network.live import LiveTracker
from network.opening import open_network, shipped_model
from network.sources import MOST_SOURCES
from network.tracking import Tracker, hop_frames_of
from params import GREATEST_RATE_HZ, LEAST_RATE_HZ, Params


def localise(ears, sample_rate_hz, hop_s=0.1, model=None, head=None, smooths=True, balances=True,
             sources=1):
    """Localise the sound in two ear signals over time.

    Parameters
    ----------
    ears : np.ndarray [shape=(2, n) or (n, 2)], left ear first; floats of full scale 1, or integers of up
        to 32 bits of the full scale of their type, unsigned ones around its middle
    sample_rate_hz : float, 1,000 to 1,000,000
    hop_s : float, from row to row, a multiple of 0.02 s
    model : path of a .onnx or .keras file, optional: a model other than the one that ships
    head : path of a SOFA file, optional: one's own head, which the network compares with in place of KEMAR
    smooths : bool, use what a row's neighbours tell; see smoothing.py
    balances : bool, correct the levels of two unequal microphones; see balance.py
    sources : int, most at a time, 1 to MOST_SOURCES; more than 1 are followed one by one, see sources.py

    Returns
    -------
    Track, or a list of Source if `sources` is more than 1

    Raises
    ------
    BadInput : another shape, another type, values that are not finite, another rate or hop, too short, silent, or not
        of two ears; several sources asked of a model that tells one

    Examples
    --------
    Two seconds of noise through the shipped head from 45 degrees on the right:

    >>> import hrir
    >>> head = hrir.load("mit_kemar", 44_100, [45])
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 88_200)
    >>> ears = np.stack([np.convolve(noise, ear) for ear in head.response[0]])
    >>> track = localise(ears, 44_100, hop_s=0.5)
    >>> track.time_s.round(2)
    array([0.51, 1.01])
    >>> bool(np.all(abs(track.azimuth_deg - 45) < 5))
    True

    A table with pandas:

    >>> import pandas
    >>> list(pandas.DataFrame(track._asdict()).columns[:3])
    ['time_s', 'azimuth_deg', 'half_width_68_deg']

    """
    ears = np.asarray(ears)
    if ears.ndim != 2 or 2 not in ears.shape:
        raise BadInput(f"ears have the shape {ears.shape}; two ear signals have (2, n) or (n, 2), as floats or "
                       "integers.")
    if np.issubdtype(ears.dtype, np.integer):
        if ears.dtype.itemsize > 4:
            raise BadInput(f"ears hold {ears.dtype} values, whose full scale is not known; divide the values by "
                           "their full scale, or convert them to the type of the recording: astype(np.int16).")
        least, greatest = np.iinfo(ears.dtype).min, np.iinfo(ears.dtype).max
        ears = (ears - (least + greatest + 1) / 2) / ((greatest - least + 1) / 2)
    if not np.issubdtype(ears.dtype, np.floating) or not np.isfinite(ears).all():
        raise BadInput("ears hold NaN, infinite or complex values; they must be finite real numbers.")
    if not isinstance(sample_rate_hz, Real) or not LEAST_RATE_HZ <= sample_rate_hz <= GREATEST_RATE_HZ:
        raise BadInput(f"sample_rate_hz {sample_rate_hz!r} is not possible; it must be a number from {LEAST_RATE_HZ} "
                       f"to {GREATEST_RATE_HZ}.")
    if sources not in range(1, MOST_SOURCES + 1):
        raise BadInput(f"sources {sources!r} is not possible; it must be a whole number from 1 to {MOST_SOURCES}.")
    params = replace(Params(), hop_s=hop_s)
    blocks = np.ascontiguousarray(ears.T if ears.shape[0] == 2 else ears, np.float32)               # (n, ear)
    blocks = soxr.resample(blocks, sample_rate_hz, params.sample_rate_hz)
    balance = Balance(params) if balances else None
    if balance:
        balance.add(blocks)
    network = _network(model or shipped_model(), head)
    tracker = Tracker(network.hear_rows, params, hop_frames_of(params), balance, smooths)
    tracker.push(blocks)
    tracker.check("the array")
    return tracker.track() if sources == 1 else tracker.sources(sources)


def localise_blocks(blocks, sample_rate_hz, hop_s=0.1, model=None, head=None, smooths=True, balances=True):
    """Localise blocks as they come: a row is given as soon as its second is complete.

    Rows know what came before them, but not what follows; `localise` of the whole signal knows both. What is wrong with
    the two channels is told on standard error, once.

    Parameters
    ----------
    blocks : iterable of np.ndarray [shape=(n, 2)], floats of full scale 1, left ear first; of any lengths
    sample_rate_hz : float
    hop_s, model, head, smooths, balances : as of `localise`

    Yields
    ------
    Track of the rows that a block completes; blocks that complete none are passed over

    Raises
    ------
    BadInput : a block of another shape or type, or with values that are not finite

    Examples
    --------
    Noise through the shipped head from 45 degrees on the right, in blocks of half a second:

    >>> import hrir
    >>> head = hrir.load("mit_kemar", 44_100, [45])
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 88_200)
    >>> ears = np.stack([np.convolve(noise, ear)[:88_200] for ear in head.response[0]], axis=1)
    >>> tracks = list(localise_blocks(np.split(ears, 4), 44_100, hop_s=0.5))
    >>> [float(time_s) for track in tracks for time_s in track.time_s]
    [0.51, 1.01]
    >>> all(abs(track.azimuth_deg - 45).max() < 5 for track in tracks)
    True

    """
    params = replace(Params(), hop_s=hop_s)
    network = _network(model or shipped_model(), head)
    tracker = LiveTracker(network.hear_rows, params, hop_frames_of(params), Balance(params) if balances else None,
                          smooths, name="the sound")
    resampled = soxr.ResampleStream(sample_rate_hz, params.sample_rate_hz, 2, dtype="float32")
    for block in blocks:
        block = np.asarray(block)
        if block.ndim != 2 or block.shape[1] != 2 or not np.issubdtype(block.dtype, np.floating):
            raise BadInput(f"a block is {block.dtype} of the shape {block.shape}; it must hold floats (n, 2), left ear "
                           "first.")
        if not np.isfinite(block).all():
            raise BadInput("a block holds NaN or infinite values; they must be finite.")
        track = tracker.push(resampled.resample_chunk(np.ascontiguousarray(block, np.float32)))
        if len(track.time_s):
            yield track
    track = tracker.push(resampled.resample_chunk(np.empty((0, 2), np.float32), last=True))
    if len(track.time_s):
        yield track


@lru_cache(maxsize=1)
def _network(path, head):
    return open_network(path, template_cues(Params(), head) if head else None)
