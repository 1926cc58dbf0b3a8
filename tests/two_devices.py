"""Check training on two imitated devices of one process; tests/network/test_devices.py runs it."""
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           2 * [tf.config.LogicalDeviceConfiguration()])
from helpers import samples

from network.devices import Devices
from network.model import Network
from network.training import evaluate
from params import Params

FRAMES = 10
SAMPLES, AZIMUTH_DEG = samples(41, FRAMES), np.linspace(-80, 80, 41)


BOTH = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])  # once: collective operations of two would be taken for one


def devices(count):
    """Take one device, or both."""
    taken = Devices()
    if count == 2:
        taken.strategy = BOTH
    return taken


def trained(count, **changes):
    """Train on batches of unequal parts: losses, weights, the answers, what validation gives."""
    params = replace(Params(), frames=FRAMES, **changes)
    with devices(count).scope():
        network = Network(params)
        network.begin_epoch(1)
        losses = [float(network.train(SAMPLES[part], AZIMUTH_DEG[part], 1e-3))
                  for part in (slice(0, 15), slice(15, 30), slice(30, 41))]
        batches = [(SAMPLES[:40], AZIMUTH_DEG[:40]), (SAMPLES[40:], AZIMUTH_DEG[40:])]  # of one sample, too
        feed = SimpleNamespace(params=params, validation_count=len(SAMPLES), validation=lambda _: batches)
        validated = evaluate(network, feed, devices(1))
        return losses, network.keras_model.get_weights(), network.outputs(SAMPLES).output, validated


def check_same(most_apart, **changes):
    """Compare one device with two; weights may be `most_apart` on average."""
    (losses, weights, output, validated), (losses_2, weights_2, output_2, validated_2) = (
        trained(count, **changes) for count in (1, 2))
    np.testing.assert_allclose(losses_2[0], losses[0], rtol=1e-6)
    np.testing.assert_allclose(losses_2, losses, rtol=2e-3)
    np.testing.assert_allclose(validated_2, validated, rtol=5e-3)
    for one, two in zip(weights, weights_2, strict=True):
        assert np.abs(two - one).mean() < most_apart
    assert np.abs(output_2 - output).mean() < 5e-3 * np.abs(output).mean()


def check_dropout():
    """See that each device drops other units, the first the same as a single one."""
    states = []
    for count in (1, 2):
        taken = devices(count)
        with taken.scope():
            network = Network(replace(Params(), model="original", seed=5))
            network.begin_epoch(3)
            dropout, = (each for each in network.keras_model.layers if isinstance(each, tf.keras.layers.Dropout))
            states.append([each.numpy().tolist() for each in
                           taken.strategy.experimental_local_results(dropout.seed_generator.state.value)])
    assert states == [[[5, 3]], [[5, 3], [6, 3]]], states


def check_overflow():
    """See that both devices skip a step that overflows on the second, and halve the scale of the loss."""
    with devices(2).scope():
        network = Network(replace(Params(), frames=FRAMES, precision="float16"))

        def trainable():
            return [each.numpy().copy() for each in network.keras_model.trainable_weights]

        before, spoilt = trainable(), SAMPLES[:10].copy()
        spoilt[-1] = np.nan
        network.train(spoilt, AZIMUTH_DEG[:10], 1e-3)
        assert all(np.array_equal(*pair) for pair in zip(before, trainable(), strict=True))
        assert float(network.optimizer.dynamic_scale.numpy()) == 2.0 ** 14
        network.train(SAMPLES[:10], AZIMUTH_DEG[:10], 1e-3)
        assert not any(np.array_equal(*pair) for pair in zip(before, trainable(), strict=True))


if __name__ == "__main__":
    check_same(1e-5)
    # Of three steps of 0.001 each: Adam's first steps follow the signs of gradients, also where these are next to 0.
    check_same(3e-4, model="original", dropout=0.0, loss="mse")
    check_dropout()
    check_overflow()
