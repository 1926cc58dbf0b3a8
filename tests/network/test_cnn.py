"""The default network: mirror symmetry, its loss, its outputs, segments that agree, windows of a recording."""
from dataclasses import replace

import numpy as np
import pytest
from helpers import samples
from scipy.special import expit, log_softmax, softmax

from network import likelihood
from network.model import PRESENCE_WEIGHT, Network
from network.peaks import presence_targets
from network.readout import soft_labels
from network.segmented import CROP_STEPS
from network.segments import segments_of
from network.uncertainty import band_disagreement_deg
from params import Params

PARAMS = Params()
TEMPLATES = likelihood.template_cues(PARAMS)


@pytest.fixture(scope="module", params=["distribution", "mse"])
def trained(request):
    """A network that was trained on a few samples of no meaning, and its losses."""
    learner = Network(replace(PARAMS, loss=request.param), template_cues=TEMPLATES)
    some, azimuth_deg = samples(16, 14), np.linspace(-90, 90, 16)
    return learner, [float(learner.train(some, azimuth_deg, 1e-3)) for _ in range(30)]


@pytest.mark.slow
def test_training_learns_a_few_samples_by_heart(trained):
    _, losses = trained
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_the_loss_of_a_step_is_that_of_the_whole_samples_without_their_crops(trained):
    learner, losses = trained
    untrained = Network(learner.params, template_cues=TEMPLATES)
    crop = np.float32(np.random.default_rng([PARAMS.seed, 0]).random())
    scores = {name: each.numpy() for name, each in untrained._core.scores_in_training(samples(16, 14), crop).items()}
    assert {len(each) for each in scores.values()} == {2 * 16}
    azimuth_deg = np.linspace(-90, 90, 16)
    if learner.params.loss == "mse":
        by_hand = np.square(scores["azimuth_deg"][:16, 0] - azimuth_deg)
    else:
        by_hand = -(soft_labels(azimuth_deg, PARAMS) * log_softmax(scores["distribution"][:16], axis=1)).sum(axis=1)
        wanted, said = presence_targets(azimuth_deg[:, np.newaxis], PARAMS), scores["presence"][:16].astype(np.float64)
        entropy = np.logaddexp(0, said) - wanted * said
        by_hand += PRESENCE_WEIGHT * entropy.sum(axis=1)
    assert losses[0] == pytest.approx(by_hand.mean(), rel=1e-3)


@pytest.mark.slow
def test_crops_are_learnt_wherever_they_begin():
    network = Network(PARAMS, template_cues=TEMPLATES)
    some = samples(3, 40)
    for crop, begin in ((0.0, 0), (0.5, 8), (0.999, 15)):
        cropped = network._core.scores_in_training(some, np.float32(crop))["distribution"][3:].numpy()
        frames = slice(2 * begin, 2 * (begin + CROP_STEPS))
        # The normalisation of a batch would differ: the means that are scored are compared.
        np.testing.assert_allclose(_means(network, some[:, :, frames]), _cropped_means(network, some, begin), atol=1e-5)
        assert np.isfinite(cropped).all()


def _means(network, some):
    return np.concatenate([np.mean(each.numpy(), axis=1) for each in network._core.local(some)], axis=1)


def _cropped_means(network, some, begin):
    filtered, likelihoods = (each.numpy() for each in network._core.local(some))
    return np.concatenate((filtered[:, begin:begin + CROP_STEPS - 2].mean(axis=1),
                           likelihoods[:, begin:begin + CROP_STEPS].mean(axis=1)), axis=1)


def test_several_sources_noise_alone_and_unknown_ones_count_as_they_should():
    network = Network(PARAMS)
    outputs = network.outputs(samples(4))
    nan = np.nan
    given = np.array([[10, -40, nan], [nan, nan, nan], [-40, 10, nan], [10, nan, np.inf]], np.float32)
    each = [network.loss_of(type(outputs)(*(part[row:row + 1] for part in outputs)), given[row:row + 1])
            for row in range(4)]
    distribution, presence = outputs.output[0], outputs.presence.astype(np.float64)

    def entropy(row, azimuth_deg):
        wanted = presence_targets(np.array([azimuth_deg], np.float32), PARAMS)[0]
        return -(wanted * np.log(presence[row]) + (1 - wanted) * np.log(1 - presence[row])).sum()

    of_loudest = -(soft_labels([10.0], PARAMS)[0] * np.log(distribution)).sum()
    assert each[0] == pytest.approx(of_loudest + PRESENCE_WEIGHT * entropy(0, [10, -40]), rel=1e-4)
    assert each[1] == pytest.approx(PRESENCE_WEIGHT * entropy(1, [nan]), rel=1e-4)       # noise alone has no loudest
    of_unknown = -(soft_labels([10.0], PARAMS)[0] * np.log(outputs.output[3])).sum()
    assert each[3] == pytest.approx(of_unknown, rel=1e-4)                                # others are not told


@pytest.mark.slow
@pytest.mark.parametrize("frames", [20, 11])
def test_exchanging_the_ears_mirrors_the_answer_exactly(trained, frames):
    """Whatever the weights, which training moves away from where they began."""
    learner, _ = trained
    some = samples(9, frames, seed=1)
    as_is, mirrored = learner.hear(some), learner.hear(-some)
    np.testing.assert_allclose(mirrored.answer.azimuth_deg, -as_is.answer.azimuth_deg, atol=1e-4)
    np.testing.assert_allclose(mirrored.answer.half_width_68_deg, as_is.answer.half_width_68_deg, atol=1e-4)
    if as_is.presence is not None:
        np.testing.assert_allclose(mirrored.presence[:, ::-1], as_is.presence, atol=1e-5)
    assert np.ptp(as_is.answer.azimuth_deg) > 0.01


@pytest.mark.slow
def test_cues_of_a_template_make_it_the_likeliest_in_every_band(network):
    some = np.repeat(TEMPLATES[3::10, :, np.newaxis].astype(np.float16), 50, axis=2)
    outputs = network.outputs(some)
    assert outputs.log_likelihoods.shape == (4, 15, 37)
    assert np.mean(outputs.log_likelihoods.argmax(axis=-1) == np.arange(3, 37, 10)[:, np.newaxis]) > 0.9
    disagreement = band_disagreement_deg(np.array(PARAMS.class_deg)[3::10], outputs.log_likelihoods, PARAMS)
    assert disagreement.max() < 1
    assert band_disagreement_deg(np.array(PARAMS.class_deg)[6::10], outputs.log_likelihoods, PARAMS).min() > 5


@pytest.mark.slow
def test_an_empty_bin_and_a_short_sample_are_finite(network):
    some = samples(2)
    some[..., 1] = 200
    some[0] = 0
    for frames in (10, 11, 50):
        outputs = network.outputs(np.ascontiguousarray(some[:, :, :frames]))
        assert np.isfinite(outputs.output).all()
        assert np.isfinite(outputs.presence).all()


@pytest.mark.slow
@pytest.mark.parametrize("frames", [24, 50, 51])
def test_an_answer_is_the_mean_over_segments_of_each_duration_seen_alone(network, frames):
    some = samples(4, frames, seed=5) * np.float16(2)
    durations = segments_of(frames // 2)
    assert len(durations) >= 2
    log = presence = 0
    for segments in durations:
        alone = [network.keras_model(some[:, :, 2 * begin:2 * end].astype(np.float32)) for begin, end in segments]
        log = log + np.log(np.mean([each["distribution"].numpy() for each in alone], axis=0)) / len(durations)
        presence = presence + np.max([each["presence"].numpy() for each in alone], axis=0) / len(durations)
    outputs = network.outputs(some)
    np.testing.assert_allclose(outputs.output, softmax(log, axis=1), atol=2e-5)
    np.testing.assert_allclose(outputs.presence, presence, atol=2e-5)
    whole = network.keras_model(some.astype(np.float32))
    assert np.abs(outputs.output - whole["distribution"].numpy()).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("frames", [10, 50])
def test_windows_of_a_recording_are_heard_as_samples_are(network, frames):
    """Local features once, shared by the windows that overlap, give what every window gives by itself."""
    cues = np.concatenate(samples(4, seed=6), axis=1)                                    # (321, 200, 2)
    starts = np.array([0, 5, 7, 10, 15, 90, 100, 143, 150])
    rows = network.outputs_of_rows(cues, starts, frames)
    alone = network.outputs(np.stack([cues[:, at:at + frames] for at in starts]))
    for ours, theirs in zip(rows, alone):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


@pytest.mark.slow
def test_outputs_are_named_and_probabilities(network):
    outputs = network.keras_model(samples(2).astype(np.float32))
    assert set(outputs) == {"distribution", "presence"}
    np.testing.assert_allclose(outputs["distribution"].numpy().sum(axis=1), 1, atol=1e-5)
    score = network._core.parts.score([np.zeros((1, 1440), np.float32), np.zeros((1, 555), np.float32)])
    assert np.all((expit(score["presence"].numpy()) >= 0) & (expit(score["presence"].numpy()) <= 1))
