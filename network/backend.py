"""Import Keras and TensorFlow quietly: `from network.backend import keras, tf`."""
import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress

from console import BadInput
from network.workers import this_worker


@contextmanager
def hushed():
    """Keep what TensorFlow's C++ side prints at start-up off the screen, unless the start-up fails.

    Gives the descriptor that is the screen meanwhile. Where nothing can hold the lines, they are printed.
    """
    try:
        screen = os.dup(2)
    except OSError:  # closed: nothing to keep off
        yield 2
        return
    with ExitStack() as opened:
        opened.callback(os.close, screen)
        try:
            printed = opened.enter_context(_unnamed_file())
        except OSError:  # no space, and no folder for temporary files
            yield screen
            return
        os.dup2(printed.fileno(), 2)
        try:
            yield screen
        except Exception:  # not Ctrl-C, which none of the lines tells of
            printed.seek(0)
            os.write(screen, printed.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)


def _unnamed_file():
    """Open a file without a name: in memory where the system has such, and neither a disk nor a limit refuses it."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return open(os.memfd_create("hushed"), "wb+")
    return tempfile.TemporaryFile()


def require_temporary_folder():
    """Raise BadInput where no folder takes temporary files: TensorFlow's import would end with a traceback."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as problem:
        raise BadInput("TensorFlow needs a folder for temporary files, and none takes one; free some space in /tmp, "
                       "raise the limit of files (ulimit -f), or set TMPDIR.") from problem


require_temporary_folder()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
with hushed():
    import keras
    import tensorflow as tf

    if this_worker().count == 1:  # of many machines, devices.py begins
        tf.zeros(1).numpy()  # the first operation looks for devices, and prints what it finds

__all__ = ["hushed", "keras", "tf"]
