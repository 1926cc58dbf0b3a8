"""The default network: mirror symmetry, the log-likelihoods within it, its segments."""
from dataclasses import replace

import numpy as np
import pytest
from helpers import samples
from scipy.special import log_softmax

from network import bands, likelihood
from network.model import CROP_FRAMES, Network
from network.readout import soft_labels
from network.uncertainty import band_disagreement_deg
from network.unit_vectors import LEAST_DISTANCE, unit_vectors
from params import Params

PARAMS = Params()
TEMPLATES = unit_vectors(likelihood.template_cues(PARAMS))


@pytest.fixture(scope="module", params=["distribution", "mse"])
def trained(request):
    """A network that was trained on a few samples of no meaning, and its losses."""
    learner = Network(replace(PARAMS, loss=request.param), templates=TEMPLATES)
    some, azimuth_deg = samples(16, 14), np.linspace(-90, 90, 16)
    return learner, [float(learner.train(some, azimuth_deg, 1e-3)) for _ in range(30)]


@pytest.mark.slow
def test_training_learns_a_few_samples_by_heart(trained):
    _, losses = trained
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_the_loss_of_a_step_is_that_of_the_whole_samples_without_their_crops(trained):
    learner, losses = trained
    untrained = Network(learner.params, templates=TEMPLATES)
    crop = np.random.default_rng([PARAMS.seed, 0]).integers(14 - CROP_FRAMES + 1)
    scores = untrained._scored_in_training(samples(16, 14), crop, None).numpy()
    assert len(scores) == 2 * 16
    azimuth_deg = np.linspace(-90, 90, 16)
    if learner.params.loss == "mse":
        by_hand = np.square(scores[:16, 0] - azimuth_deg)
    else:
        by_hand = -(soft_labels(azimuth_deg, PARAMS) * log_softmax(scores[:16], axis=1)).sum(axis=1)
    assert losses[0] == pytest.approx(by_hand.mean(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [20, 11])
def test_exchanging_the_ears_mirrors_the_answer_exactly(trained, frames):
    """Whatever the weights, which training moves away from where they began."""
    learner, _ = trained
    some = samples(9, frames, seed=1)
    as_is, mirrored = learner.answer(some), learner.answer(-some)
    np.testing.assert_allclose(mirrored.azimuth_deg, -as_is.azimuth_deg, atol=1e-4)
    np.testing.assert_allclose(mirrored.half_width_68_deg, as_is.half_width_68_deg, atol=1e-4)
    assert np.ptp(as_is.azimuth_deg) > 0.01


def test_the_bands_hold_the_likelihood_plain_and_weighted_by_coherence(network):
    some = samples(6, seed=7) * np.float16(2)
    features = network.keras_model.layers[1](some.astype(np.float32)).numpy()
    rows = features[..., 20 * 64:-2].reshape(6, 2, 48, 37)
    vectors = unit_vectors(some)
    head = TEMPLATES + TEMPLATES[::-1] * np.array([-1, 1, -1])
    head /= np.linalg.norm(head, axis=-1, keepdims=True)
    distance = (1 - np.einsum("nftc,afc->nfta", vectors, head)) / 2
    likelihood = -np.log(2 * np.maximum(distance, LEAST_DISTANCE))[:, 1:]
    around = np.pad(vectors[:, 1:], ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    coherence = np.linalg.norm((around[:, :, :-2] + around[:, :, 1:-1] + around[:, :, 2:]) / 3, axis=-1) ** 4
    coherence = np.repeat(coherence.reshape(6, 40, 8, 50).mean(axis=2), 8, axis=1)
    plain, coherent = (each.reshape(6, 20, 16, 50, 37).mean(axis=(2, 3))
                     for each in (likelihood, likelihood * coherence[..., np.newaxis]))
    np.testing.assert_allclose(rows[:, 0, :20], plain, atol=2e-3)
    for log_likelihoods, first, size in ((plain, 20, -2), (coherent, 24, -1)):
        total = (log_likelihoods - log_likelihoods.mean(axis=2, keepdims=True)).mean(axis=1)
        np.testing.assert_allclose(rows[:, 0, first], total / total.std(axis=1, keepdims=True), atol=0.02)
        np.testing.assert_allclose(features[:, 0, size], np.log(total.std(axis=1)), atol=0.02)
        votes = rows[:, 0, first + 1:first + 4]
        assert np.all(votes.argmax(axis=-1) == total.argmax(axis=-1)[:, np.newaxis])
        np.testing.assert_allclose(votes.sum(axis=-1), 1, rtol=1e-5)
    centred = coherent - coherent.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(rows[:, 0, 28:], centred / centred.std(axis=(1, 2), keepdims=True), atol=0.02)
    np.testing.assert_allclose(rows[:, 1], rows[:, 0, :, ::-1], atol=1e-5)


def test_a_source_that_holds_still_is_more_coherent_than_noise():
    rng = np.random.default_rng(8)
    still = np.broadcast_to(TEMPLATES[30, 1:9], (50, 8, 3)).transpose(1, 0, 2)
    noise = rng.normal(size=(8, 50, 3))
    noise /= np.linalg.norm(noise, axis=-1, keepdims=True)
    coherence = bands._coherence(np.stack((still, noise), axis=1).astype(np.float32)).numpy()
    assert coherence.shape == (2, 50, 1)
    np.testing.assert_allclose(coherence[0], 1, rtol=1e-5)
    assert coherence[1].mean() < 0.3


@pytest.mark.slow
def test_cues_of_a_template_make_it_the_likeliest_in_every_band(network):
    cues = likelihood.template_cues(PARAMS)                                     # (direction, bin, 2)
    some = np.repeat(cues[3::10, :, np.newaxis].astype(np.float16), 50, axis=2)
    outputs = network.outputs(some)
    assert outputs.log_likelihoods.shape == (4, 20, 37)
    assert np.mean(outputs.log_likelihoods.argmax(axis=-1) == np.arange(3, 37, 10)[:, np.newaxis]) > 0.9
    disagreement = band_disagreement_deg(np.array(PARAMS.class_deg)[3::10], outputs.log_likelihoods, PARAMS)
    assert disagreement.max() < 1
    assert band_disagreement_deg(np.array(PARAMS.class_deg)[6::10], outputs.log_likelihoods, PARAMS).min() > 5
    assert outputs.log_contrasts.shape == (4, 2)


def test_the_order_of_distant_frames_hardly_matters_to_the_bands(network):
    some = samples(4, seed=2) * np.float16(2)
    halves = np.concatenate((some[:, :, 26:], some[:, :, :26]), axis=2)  # two steps see another neighbour, 23 do not
    here, there, elsewhere = (network.keras_model(each.astype(np.float32)).numpy()
                              for each in (some, halves, samples(4, seed=3)))
    assert 0 < np.abs(there - here).mean() < 0.21 * np.abs(elsewhere - here).mean()


@pytest.mark.slow
def test_an_empty_bin_and_a_lone_frame_are_finite(network):
    some = samples(2)
    some[..., 1] = 200
    some[0] = 0
    for frames in (1, 10, 50):
        assert np.isfinite(network.outputs(np.ascontiguousarray(some[:, :, :frames])).output).all()


@pytest.mark.slow
@pytest.mark.parametrize("frames", [25, 50, 51])
def test_an_answer_is_the_mean_over_segments_of_each_duration(network, frames):
    some = samples(4, frames, seed=5) * np.float16(2)
    durations = bands.segments_of(frames)
    assert len(durations) >= 2
    log = 0
    for segments in durations:
        alone = [network.keras_model(some[:, :, begin:end].astype(np.float32)).numpy() for begin, end in segments]
        log = log + np.log(np.mean(alone, axis=0)) / len(durations)
    mean = np.exp(log) / np.exp(log).sum(axis=1, keepdims=True)
    output = network.outputs(some).output
    np.testing.assert_allclose(output, mean, atol=2e-5)
    assert np.abs(output - network.keras_model(some.astype(np.float32)).numpy()).max() > 1e-3


@pytest.mark.parametrize(("frames", "counts"), [
    (10, [1]), (14, [1]), (22, [1, 2]), (25, [1, 2]), (50, [1, 2, 3, 5]), (51, [1, 2, 3, 5]), (100, [1, 2, 4, 6, 10]),
    (200, [1, 2, 4, 8, 12, 20])])
def test_segments_of_a_duration_cover_every_frame_once(frames, counts):
    assert [len(segments) for segments in bands.segments_of(frames)] == counts
    for segments in bands.segments_of(frames):
        assert [at for begin, end in segments for at in range(begin, end)] == list(range(frames))
        assert all(begin % 2 == 0 for begin, _ in segments)
        assert np.ptp([end - begin for begin, end in segments]) <= 3
