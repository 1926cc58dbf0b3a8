"""Import Keras and TensorFlow quietly: `from network.backend import keras, tf`."""
import os
import sys
import tempfile
from contextlib import contextmanager

from network.workers import this_worker


@contextmanager
def hushed():
    """Keep what TensorFlow's C++ side prints at start-up off the screen, unless the start-up fails.

    Gives the descriptor that is the screen meanwhile.
    """
    try:
        screen = os.dup(2)
        kept = _file_without_a_name()
    except OSError:  # closed: nothing to keep off; or nowhere to keep it
        yield 2
        return
    with kept as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield screen
        except Exception:  # not Ctrl-C
            printed.seek(0)
            os.write(screen, printed.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)


def _file_without_a_name():
    """Open one in memory, where the system has such: a full disk is no reason to fail here."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "r+b")
    return tempfile.TemporaryFile()  # noqa: SIM115 - closed by its user


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
with hushed():
    import keras
    import tensorflow as tf

    if this_worker().count == 1:  # of many machines, devices.py begins
        tf.zeros(1).numpy()  # the first operation looks for devices, and prints what it finds

__all__ = ["hushed", "keras", "tf"]
