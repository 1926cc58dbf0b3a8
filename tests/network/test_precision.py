"""Training in half precision: it learns, weights stay float32, files say so, and answers come in float32."""
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from helpers import PARAMS, samples

from console import BadInput
from network import training
from network.files import PARAMS_ENTRY
from network.likelihood import template_cues
from network.model import Network
from shards.feeds import ShardFeed
from shards.files import open_shards

HALF = ("bfloat16", "float16")
FRAMES = 10


def network_of(precision, **changes):
    params = replace(PARAMS, frames=FRAMES, precision=precision, **changes)
    return Network(params, {}, template_cues(params) if params.model == "cnn" else None)


def test_another_precision_is_refused():
    with pytest.raises(BadInput, match="--precision float64 is not possible"):
        replace(PARAMS, precision="float64")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cnn", "original"])
@pytest.mark.parametrize("precision", HALF)
def test_half_precision_learns_as_float32_does_and_keeps_float32_weights(model, precision):
    some, azimuth_deg = samples(16, FRAMES), np.linspace(-80, 80, 16)
    losses = {}
    for name in ("float32", precision):
        network = network_of(name, model=model, dropout=0.0)
        losses[name] = [float(network.train(some, azimuth_deg, 1e-3)) for _ in range(15)]
        assert {each.dtype for each in network.keras_model.weights} == {"float32"}
    assert losses[precision][-1] < 0.7 * losses["float32"][0]
    assert losses[precision][0] == pytest.approx(losses["float32"][0], rel=0.02)
    assert losses[precision] != losses["float32"]   # it is in use


@pytest.mark.slow
@pytest.mark.parametrize("precision", HALF)
def test_answers_of_a_file_are_those_of_its_weights_in_float32(tmp_path, precision):
    network, plain = network_of(precision), network_of("float32")
    for _ in range(3):
        network.train(samples(16, FRAMES), np.linspace(-80, 80, 16), 1e-3)
    network.save(tmp_path / "a.keras", {"history": [], "data": "x"})
    plain.keras_model.set_weights(network.keras_model.get_weights())
    some = samples(8, FRAMES, seed=1)
    loaded = Network.load(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded.outputs(some).output, plain.outputs(some).output)
    np.testing.assert_allclose(loaded.outputs(some).output, network.outputs(some).output, atol=0.02)
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert json.loads(archive.read(PARAMS_ENTRY))["precision"] == precision
    resumed = Network.load(tmp_path / "a.keras", with_state=True)
    assert resumed.params.precision == precision
    for ours, theirs in zip(network.optimizer.variables, resumed.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.slow
def test_a_run_is_resumed_in_its_own_precision_alone(short_shards, tmp_path):
    shards = open_shards(short_shards, PARAMS, "X.py")

    def feed(precision):
        return ShardFeed([shards], replace(PARAMS, batch_size=32, precision=precision))

    training.fit(feed("float16"), 1, tmp_path, resume=False)
    with pytest.raises(BadInput, match=r"cannot be resumed .*precision float16, wanted float32"):
        training.fit(feed("float32"), 2, tmp_path, resume=True)
    assert len(training.fit(feed("float16"), 2, tmp_path, resume=True)) == 2


def test_a_step_that_overflows_is_skipped_and_the_scale_halved():
    network = network_of("float16")
    before, scale = network.keras_model.trainable_weights[0].numpy(), 2.0 ** 15
    spoilt = samples(8, FRAMES)
    spoilt[-1] = np.nan
    network.train(spoilt, np.linspace(-80, 80, 8), 1e-3)
    np.testing.assert_array_equal(network.keras_model.trainable_weights[0].numpy(), before)
    assert float(network.optimizer.dynamic_scale.numpy()) == scale / 2
