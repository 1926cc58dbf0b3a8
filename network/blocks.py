"""Localise ear signals that come block by block, as from a microphone or a file that is too long for memory."""
from dataclasses import replace

import numpy as np
import soxr

from console import BadInput
from network import tracking
from network.balance import Balance
from params import Params


def localise_blocks(blocks, sample_rate_hz, hop_s=0.1, model=None, head=None, smooths=True, balances=True):
    """Localise blocks as they come: a row is given as soon as its second is complete.

    Rows know what came before them, but not what follows; `localise` of the whole signal knows both.

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
    network = tracking._network(tracking.PRETRAINED if model is None else model, head)
    tracker = tracking.Tracker(network.hear_rows, params, tracking.hop_frames_of(params),
                               Balance(params) if balances else None, smooths, is_live=True)
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
