"""Samples of shards, read in parts and compared with the checksums of when they were written."""
import zlib

import numpy as np

from console import BadInput

REMEDY = "delete it and run the Spatialise script again, or go on without it by --skip-bad"
RECORDING = "recording"  # in place of a head's name, of what was recorded with one
AT_ONCE = 64  # samples, to check a shard


def sample_shape(params):
    """Tell the shape (bin, frame, 2) of a sample that is stored with these `params`, a dict.

    >>> sample_shape({"stft_window_samples": 640, "frames": 50})
    (321, 50, 2)
    """
    return params["stft_window_samples"] // 2 + 1, params["frames"], 2


def read_samples(shard, first, last, out):
    """Read samples first..last-1 of a shard into `out`: float16 (last - first, bin, frame, 2), contiguous.

    Raises BadInput where they are not those that were written, or the file is gone.
    """
    try:
        with open(shard.path, "rb") as file:
            file.seek(shard.offset + first * out[0].nbytes)
            is_complete = file.readinto(out.data.cast("B")) == out.nbytes
    except OSError as problem:
        raise BadInput(f"{shard.path} cannot be read ({problem.strerror}); another program may have removed it: "
                       "make it again with the Spatialise script, then run again (TrainingCNN.py with --resume).") \
            from problem
    if not is_complete or not _are_as_written(shard, first, last, out):
        raise BadInput(f"{shard.path} is damaged: its samples are not those that were written; {REMEDY}.")


def _are_as_written(shard, first, last, samples):
    """Compare samples with their checksums; those of an older shard with what cues can be."""
    if shard.checksums is not None:
        return list(map(zlib.crc32, samples)) == shard.checksums[first:last].tolist()
    exponents = (samples.view("<u2") & 0x7C00).reshape(len(samples), -1).max(axis=1)  # faster than isfinite
    is_beside = np.nan_to_num(shard.labels[first:last]) != 0  # in front, a symmetric head gives no difference at all
    is_empty = (exponents == 0) & is_beside & (shard.hrir[first:last] != RECORDING)
    return (exponents.max() < 0x7C00 and not is_empty.any()
            and np.abs(samples[..., 0]).max() <= np.float16(np.pi))


def problem_of(shard):
    """Read a shard from beginning to end: the BadInput that tells of its damage, or None."""
    if isinstance(shard, BadInput):
        return shard
    out = np.empty((AT_ONCE, *sample_shape(shard.params)), np.float16)
    try:
        for first in range(0, len(shard.labels), AT_ONCE):
            last = min(first + AT_ONCE, len(shard.labels))
            read_samples(shard, first, last, out[:last - first])
    except BadInput as problem:
        return problem
    return None
