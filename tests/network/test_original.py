"""The network of the original: its size, its loss, samples of other durations."""
from dataclasses import replace

import numpy as np
import pytest
from helpers import samples

from network.model import Network
from network.windowed import windows
from params import Params

PARAMS = Params()
ORIGINAL = replace(PARAMS, model="original", loss="mse")


def test_the_network_of_the_original_has_its_size_and_loss():
    network = Network(ORIGINAL)
    assert network.keras_model.count_params() == 2_417_793
    assert network.keras_model.output_shape == (None, 1)  # degrees, not rounded
    outputs = network.outputs(samples(3))
    true_deg = np.array([-40.0, 5.0, 90.0])
    squares = np.square(outputs.output[:, 0] - true_deg)
    assert network.loss_of(outputs, true_deg) == pytest.approx(squares.sum(), rel=1e-5)
    assert np.isnan(network.answer(samples(3)).half_width_68_deg).all()  # squared error states no uncertainty


def test_dropout_follows_from_the_seed_and_the_epoch():
    """So a resumed run repeats, whatever was drawn before."""
    network = Network(ORIGINAL)
    some, drawn = samples(2).astype(np.float32), []
    for epoch in (2, 2, 3):
        network.begin_epoch(epoch)
        drawn.append(network._core.scores_in_training(some)["azimuth_deg"].numpy())
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["distribution", "mse"])
def test_training_learns_a_few_samples_by_heart(loss):
    learner = Network(replace(ORIGINAL, loss=loss))
    some, azimuth_deg = samples(16), np.linspace(-90, 90, 16)
    losses = [float(learner.train(some, azimuth_deg, 1e-3)) for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(("frames", "starts"), [(50, [0]), (51, [0, 1]), (75, [0, 25]), (100, [0, 25, 50]),
                                                (200, [0, 25, 50, 75, 100, 125, 150])])
def test_windows_cover_every_frame(frames, starts):
    chosen = windows(frames)
    assert chosen[:, 0].tolist() == starts
    assert set(chosen.ravel().tolist()) == set(range(frames))
    assert np.all(np.diff(chosen, axis=1) == 1)


def test_a_short_sample_is_repeated():
    assert windows(20).tolist() == [[*range(20), *range(20), *range(10)]]


@pytest.mark.slow
def test_a_long_answer_of_the_original_is_the_mean_of_its_windows():
    network = Network(replace(ORIGINAL, loss="distribution"))
    long = np.random.default_rng(5).normal(0, 1, (3, 321, 100, 2)).astype(np.float16)
    log = [np.log(network.outputs(np.ascontiguousarray(long[:, :, at:at + 50])).output) for at in (0, 25, 50)]
    mean = np.exp(np.mean(log, axis=0))
    mean /= mean.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.outputs(long).output, mean, rtol=1e-3, atol=1e-6)
    short = long[:, :, :25]
    np.testing.assert_allclose(network.outputs(np.ascontiguousarray(short)).output,
                               network.outputs(np.concatenate((short, short), axis=2)).output, rtol=1e-4)
