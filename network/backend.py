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
    except OSError:  # closed: nothing to keep off
        yield 2
        return
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield screen
        except BaseException:
            printed.seek(0)
            os.write(screen, printed.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
with hushed():
    import keras
    import tensorflow as tf

    if this_worker().count == 1:  # of many machines, devices.py begins
        tf.zeros(1).numpy()  # the first operation looks for devices, and prints what it finds

__all__ = ["hushed", "keras", "tf"]
