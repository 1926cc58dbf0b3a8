"""Train on every device at once: on one, on all GPUs of a machine, or on those of many machines (docs/cluster.md).

Each device holds a replica of the network and takes its share of every batch; gradients are summed over all of them, so
that the weights stay alike. tf.distribute does this; a training step of the network's own serves every case, because
Keras's `fit` does not run on many machines (keras-team/keras issue 20585).
"""
import hashlib
import json
import math
import signal
from contextlib import contextmanager

import numpy as np

from console import BadInput
from network.backend import hushed, keras, tf
from network.workers import VARIABLE, Worker, meet
from params import differences

LEAST_OF_DEVICE = 4  # samples; for none, convolutions on processors give tensors of a wrong shape
# What ends collective operations when another worker or the way to it is gone.
LOST = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError)


class Devices:
    """Hold the strategy of tf.distribute for this worker, and exchange numbers with the others.

    `strategy` is MultiWorkerMirroredStrategy with several workers, else MirroredStrategy with several GPUs, else that
    of a single device, which changes nothing.
    """

    def __init__(self, worker=None):
        """Take all devices, and wait for the other workers; BadInput where they do not come."""
        self.worker = worker or Worker()
        gpus = len(tf.config.list_logical_devices("GPU")) if self.worker.count == 1 else 0
        if self.worker.count > 1:
            print(f"This is {self.worker.name_of(self.worker.index)} of {self.worker.count}; waiting for the others.",
                  flush=True)
            self.strategy = _connected(self.worker)
        else:
            self.strategy = tf.distribute.MirroredStrategy() if gpus > 1 else tf.distribute.get_strategy()
        with self.strategy.scope():
            self._gather = on_devices(_all_gather, [tf.TensorSpec((None, None), tf.float64)])

    @property
    def least_batch(self):
        """Count the samples that a batch needs so that every device gets some of it, in whatever way it is shared."""
        count = self.strategy.num_replicas_in_sync
        return LEAST_OF_DEVICE * count if count > 1 else 1

    @property
    def local(self):
        """Count the devices of this worker."""
        return local_devices(self.strategy)

    @contextmanager
    def scope(self):
        """Make the variables of networks on every device; BadInput where another worker ends meanwhile."""
        try:
            with self.strategy.scope():
                yield
        except LOST as problem:
            if self.worker.count == 1:
                raise
            raise BadInput(f"Another worker of {VARIABLE} ended or cannot be reached; its own message says why; start "
                           "all of them again with --resume.") from problem

    def gather(self, rows):
        """Join the rows of all workers in their order: np.ndarray (n, ...) -> (sum of all n, ...).

        The numbers of rows may differ. They travel as float64, which holds float32 and whole numbers below 2 ** 53.
        """
        if self.worker.count == 1:
            return rows
        flat = rows.reshape(len(rows), math.prod(rows.shape[1:])).astype(np.float64)
        sent = np.column_stack((np.zeros(len(flat)), flat))  # rows without any value crash TensorFlow
        joined = self._gather([sent])[0][0].numpy()[:, 1:]
        return joined.astype(rows.dtype).reshape(len(joined), *rows.shape[1:])

    def require_same(self, description):
        """Compare a dict of this worker with those of the others; BadInput that names the first worker that differs."""
        text = np.frombuffer(json.dumps(description, sort_keys=True, default=str).encode(), np.uint8)
        lengths = self.gather(np.array([len(text)]))
        texts = np.split(self.gather(text), np.cumsum(lengths)[:-1])
        wanted, *others = (json.loads(each.tobytes()) for each in texts)
        for index, other in enumerate(others, 1):
            if differ := differences(other, wanted):
                raise BadInput(f"{self.worker.name_of(index)} of {VARIABLE} differs from worker 0 "
                               f"({differ}); give all the same flags and data, and folders that they share.")


def _all_gather(rows):
    """Join rows of all devices; a copy of them is on the device, as tf.distribute asks for."""
    return (tf.distribute.get_replica_context().all_gather(tf.identity(rows), axis=0),)


def local_devices(strategy):
    """Count the devices of this worker in a strategy; that of a single device does not tell them."""
    return 1 if strategy.num_replicas_in_sync == 1 else len(strategy.extended.worker_devices)


def on_devices(function, arrays, common=()):
    """Compile a function that runs on each local device of the strategy in scope, with its part of the rows.

    Parameters
    ----------
    function : function of tensors (`common`, then `arrays`), which gives a tuple of tensors
    arrays : list of tf.TensorSpec, of what has a row a sample
    common : sequence of tf.TensorSpec, of what is the same on all devices

    Returns
    -------
    function of np.ndarrays, of as many rows each, and of common values: a list of each local device's tuple

    Examples
    --------
    >>> rows = tf.TensorSpec((None,), tf.float32)
    >>> double = on_devices(lambda factor, some: (factor * some,), [rows], [tf.TensorSpec((), tf.float32)])
    >>> [[each.numpy().tolist() for each in of_device] for of_device in double([np.float32([1, 2])], [2.0])]
    [[[2.0, 4.0]]]

    """
    strategy = tf.distribute.get_strategy()
    devices = local_devices(strategy)
    signature = [*common, *(spec for spec in arrays for _ in range(devices))]

    def run(*given):
        """Regroup [common, first array for device 0, for device 1, second array for device 0, ...] by device."""
        shared, split = given[:len(common)], given[len(common):]
        if devices > 1:
            split = [strategy.experimental_distribute_values_from_function(
                lambda context, parts=split[at:at + devices]: parts[context.replica_id_in_sync_group % devices])
                for at in range(0, len(split), devices)]
        return list(zip(*map(strategy.experimental_local_results, strategy.run(function, (*shared, *split)))))

    is_alone = strategy.num_replicas_in_sync == 1
    compiled = tf.function(function if is_alone else run, input_signature=signature, autograph=False)

    def call(values, shared=()):
        """Split the rows evenly."""
        given = compiled(*shared, *(part for each in values for part in np.array_split(each, devices)))
        return [given] if is_alone else given

    return call


def synchronise(model):
    """Let batch normalisation measure the whole batch, whose parts may be on several devices of the strategy in scope.

    Keras computes variances in another way for that, so a single device keeps its own.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            synchronise(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1


def digest_of(network):
    """Compute a short digest of a network's weights, in hexadecimal."""
    digest = hashlib.sha256()
    for weights in network.keras_model.get_weights():
        digest.update(weights.tobytes())
    return digest.hexdigest()[:16]


def _connected(worker):
    """Wait until all workers are there, and start TensorFlow's server on each."""
    meet(worker)
    try:
        with hushed():
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as problem:
        raise BadInput(f"{VARIABLE}: {worker.name_of(worker.index)} cannot begin ({str(problem).splitlines()[0]}); see "
                       "that its address is this machine's and that its port is free.") from problem
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # TensorFlow would do nothing when told to end
    return strategy
