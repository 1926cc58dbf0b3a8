"""The folder that shards are written to: one run at a time, and nothing left of a run that was killed."""
import os
import time
from contextlib import contextmanager, suppress

from console import BadInput

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"
ABANDONED_S = 3600.0  # a half-written shard that has not changed for so long belongs to no run


@contextmanager
def only_run(out):
    """Hold the lock of a folder, which ends with the process; remove what killed runs and workers left half written.

    Some network file systems have no locks, nor has Windows. There two runs at once do the work twice; each shard still
    appears whole, because every writer has a file of its own until then.

    Raises BadInput where another run holds the lock, on this machine or on one that shares the folder.
    """
    descriptor = None
    with suppress(OSError):  # a folder to read alone, or another user's lock
        descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        is_locked = descriptor is not None and fcntl is not None and _lock(descriptor, out)
        age_s = 0 if is_locked else ABANDONED_S
        _remove_abandoned(out, age_s)
        try:
            yield
        finally:
            _remove_abandoned(out, age_s)  # of a worker that died
            if is_locked:
                with suppress(OSError):
                    os.unlink(out / LOCK)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor, out):
    """Take the lock: True, or False where the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_free = os.fstat(descriptor).st_nlink > 0  # else the run that has just ended removed the file
    except BlockingIOError:
        is_free = False
    except OSError:
        return False
    if not is_free:
        raise BadInput(f"{out} is being written by another run; wait until that has ended, or choose another --out.")
    return True


def _remove_abandoned(out, age_s):
    """Remove half-written shards that have not changed for `age_s`.

    Workers of a run on a cluster that was killed may still write one. Nobody waits for it, so nothing is lost.
    """
    for partial in out.glob("*.npz*.partial"):
        with suppress(FileNotFoundError, PermissionError):  # gone; or Windows, where what is being written stays
            if time.time() - partial.stat().st_mtime >= age_s:
                partial.unlink()
