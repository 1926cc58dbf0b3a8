"""A folder that a script writes to: one run at a time, and nothing left of a run that was killed.

    with only_run("checkpoints") as out: ...
"""
import os
import re
import threading
import time
from contextlib import contextmanager, suppress

import console
from console import BadInput

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"
BEAT_S, LOST_S = 20.0, 90.0  # without locks: how often a run tells that it lives, and after what silence it does not
ABANDONED_S = 3600.0  # a half-written file that has not changed for so long belongs to no run
HALF_WRITTEN = re.compile(r"\.(npz|[0-9a-f]{8})\.partial(\.\w+)?$")  # of console.atomic_write; before, of shards alone


@contextmanager
def only_run(out, subfolders=()):
    """Make a folder, hold its lock, and remove what killed runs and workers left half written.

    The lock ends with the process. On Windows, and on network file systems that have no locks, a run changes the time
    of its lock file every 20 s instead; another one is refused until that is 90 s old.

    Parameters
    ----------
    out : path
    subfolders : iterable of path: folders within it that the run writes to as well

    Yields
    ------
    Path of the folder

    Raises
    ------
    BadInput : another run holds the lock, on this machine or on one that shares the folder; or there can be no folder

    """
    out = console.folder_for_output(out)
    folders = [out, *subfolders]
    with _locked(out) as is_locked:
        age_s = 0 if is_locked else ABANDONED_S
        _remove_abandoned(folders, age_s)
        try:
            yield out
        finally:
            _remove_abandoned(folders, age_s)  # of a worker that died


@contextmanager
def _locked(out):
    """Hold the lock of a folder; gives True, or False where the system has none to give."""
    path = out / LOCK
    descriptor, is_new = _opened(path)
    if descriptor is None:  # a folder to read alone
        yield False
        return
    try:
        has_lock = fcntl is not None and _lock(descriptor, out)
    except BaseException:
        os.close(descriptor)
        raise
    if has_lock:
        try:
            yield True
        finally:
            _unlink(path)  # before another run can lock it
            os.close(descriptor)
        return
    os.close(descriptor)  # Windows removes no open file
    if not is_new and _age_s(path) < LOST_S:
        raise BadInput(f"{out} is being written by another run, or by one that was killed in the last {LOST_S:g} s; "
                       "wait until that has ended, or choose another --out.")
    with _beating(path):
        yield False


def _opened(path):
    """Open the lock file: its descriptor, or None, and whether it is new."""
    for flags in (os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR | os.O_CREAT, os.O_RDONLY):  # of another user
        with suppress(OSError):
            return os.open(path, flags, 0o666), bool(flags & os.O_EXCL)
    return None, False


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


def _age_s(path):
    """Measure the time since a file was changed by the clock of its file system, which may be another machine's."""
    probe = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:  # the other run has just ended
        return LOST_S
    finally:
        _unlink(probe)


@contextmanager
def _beating(path):
    """Change the time of a file every BEAT_S, and remove it in the end."""
    ended = threading.Event()

    def beat():
        while not ended.wait(BEAT_S):
            with suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    with suppress(OSError):
        os.utime(path)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _unlink(path)


def _unlink(path):
    with suppress(OSError):
        os.unlink(path)


def _remove_abandoned(folders, age_s):
    """Remove half-written files that have not changed for `age_s`.

    Workers of a run on a cluster that was killed may still write one. Nobody waits for it, so nothing is lost.
    """
    for folder in folders:
        names = os.listdir(folder) if os.path.isdir(folder) else []
        for path in [os.path.join(folder, name) for name in names if HALF_WRITTEN.search(name)]:
            with suppress(FileNotFoundError, PermissionError):  # gone; or Windows, where what is being written stays
                if time.time() - os.stat(path).st_mtime >= age_s:
                    os.unlink(path)
