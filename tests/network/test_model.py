"""Either network: its answer, its loss, its files."""
import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from helpers import samples

from console import BadInput
from network.backend import keras
from network.files import PARAMS_ENTRY
from network.likelihood import template_cues
from network.model import PRESENCE_WEIGHT, Network
from network.peaks import presence_targets
from network.readout import soft_labels
from params import Params

PARAMS = Params()
SHORT = 10  # frames: too short for segments


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    """The file of the default network; leave it as it is."""
    path = tmp_path_factory.mktemp("models") / "a.keras"
    network.save(path)
    return path


@pytest.mark.slow
def test_templates_are_kept_with_the_weights(network, saved):
    some = samples(3, SHORT)
    output = network.outputs(some).output
    np.testing.assert_array_equal(Network.load(saved).outputs(some).output, output)
    assert np.abs(output - Network(PARAMS).outputs(some).output).max() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("name", "frames"), [("cnn", 10), ("original", 10), ("original", 60)])
def test_other_durations_train_the_same_weights(name, frames):
    usual, other = (Network(replace(PARAMS, model=name, frames=some)) for some in (PARAMS.frames, frames))
    assert other.keras_model.count_params() == usual.keras_model.count_params()
    assert np.isfinite(float(other.train(np.zeros((4, 321, frames, 2), np.float16), np.zeros(4), 1e-3)))


def test_answers_are_azimuths(network):
    outputs = network.outputs(samples(5))
    np.testing.assert_allclose(outputs.output.sum(axis=1), 1, atol=1e-5)
    answer = network.answer(samples(5))
    assert {each.shape for each in answer} == {(5,)}
    assert np.abs(answer.azimuth_deg).max() <= 90
    assert np.all(answer.half_width_68_deg > 0)
    np.testing.assert_allclose(answer.half_width_95_deg, 2 * answer.half_width_68_deg)  # as of a Gaussian, uncalibrated


def test_the_loss_reported_is_the_loss_trained(network):
    outputs = network.outputs(samples(8))
    azimuth_deg = np.linspace(-80, 80, 8)
    wanted = presence_targets(azimuth_deg[:, np.newaxis], PARAMS)
    entropy = -(wanted * np.log(outputs.presence) + (1 - wanted) * np.log(1 - outputs.presence)).sum()
    by_hand = -(soft_labels(azimuth_deg, PARAMS) * np.log(outputs.output)).sum() + PRESENCE_WEIGHT * entropy
    assert network.loss_of(outputs, azimuth_deg) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.slow
def test_a_saved_network_answers_the_same_and_opens_in_keras(network, tmp_path):
    network.save(tmp_path / "a.keras")
    again = Network.load(tmp_path / "a.keras")
    assert again.params == network.params
    assert again.calibration is None
    network.calibrate(np.random.default_rng(0).normal(size=(1000, 5)), np.linspace(0, 60, 1000))
    network.save(tmp_path / "a.keras")
    assert Network.load(tmp_path / "a.keras").calibration == network.calibration
    network.calibration = None
    short = samples(3, SHORT)
    assert np.array_equal(again.outputs(short).output, network.outputs(short).output)
    opened = keras.models.load_model(tmp_path / "a.keras")
    predicted = opened.predict(short.astype(np.float32), verbose=0)
    np.testing.assert_allclose(predicted["distribution"], network.outputs(short).output, atol=1e-5)
    np.testing.assert_allclose(predicted["presence"], network.outputs(short).presence, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


@pytest.mark.slow
def test_a_file_cannot_bring_its_own_layers(network, saved, tmp_path):
    """The description in the file is never used, so a foreign one neither runs nor changes the answer."""
    with zipfile.ZipFile(saved) as good, zipfile.ZipFile(tmp_path / "b.keras", "w") as evil:
        for name in good.namelist():
            evil.writestr(name, b"{\"class_name\": \"Lambda\"}" if name == "config.json" else good.read(name))
    again = Network.load(tmp_path / "b.keras")
    some = samples(2, SHORT)
    assert np.array_equal(again.outputs(some).output, network.outputs(some).output)


def with_entry(path, target, change):
    """Copy a model file with some numbers of its description changed."""
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(target, "w") as changed:
        for name in good.namelist():
            content = good.read(name)
            changed.writestr(name, json.dumps(json.loads(content) | change) if name == PARAMS_ENTRY else content)
    return target


def test_the_network_of_earlier_versions_is_refused_by_name(saved, tmp_path):
    old = with_entry(saved, tmp_path / "a.keras", {"model": "bands"})
    with pytest.raises(BadInput, match=r"a\.keras holds the network .bands. of version 0\.4 or earlier"):
        Network.load(old)


def test_calibrations_of_before_are_refused_by_name(saved, tmp_path):
    old = with_entry(saved, tmp_path / "a.keras", {"calibration": {"width_deg": [1, 2]}})
    with pytest.raises(BadInput, match=r"a\.keras is from an earlier version, .* train it again"):
        Network.load(old)


def test_files_keep_the_key_that_earlier_versions_wrote(saved, tmp_path):
    """Params.label_sigma_deg was label_spread_deg once: files of then, such as the shipped model, still load."""
    with zipfile.ZipFile(saved) as archive:
        stored = json.loads(archive.read(PARAMS_ENTRY))
    assert stored["label_spread_deg"] == PARAMS.label_sigma_deg
    assert "label_sigma_deg" not in stored
    old = with_entry(saved, tmp_path / "old.keras", {"label_spread_deg": 4.5})
    assert Network.load(old).params == replace(PARAMS, label_sigma_deg=4.5)


@pytest.mark.parametrize("damage", ["cut", "text", "foreign", "other features", "other layers"])
def test_foreign_and_torn_models_are_refused_by_name(saved, tmp_path, damage):
    path = tmp_path / "bad.keras"
    shutil.copy(saved, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "text":
        path.write_text("not a model")
    elif damage == "foreign":
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save(path)
    else:
        with_entry(saved, path, {"other features": {"stft_hop_samples": 160},
                                 "other layers": {"model": "original"}}[damage])
    with pytest.raises(BadInput, match=r"bad\.keras"):
        Network.load(path)


def test_what_is_heard_is_the_answer_and_what_it_was_read_from():
    network = Network(PARAMS, template_cues=template_cues(PARAMS))
    assert np.isnan(network.hear(samples(4)).source_log_odds).all()    # of a network that has not measured its errors
    some = network.reading_of(network.outputs(samples(400))).predictors
    network.calibrate(some[:200], np.linspace(0.1, 9, 200), some[200:])
    answer, distribution, log_odds, presence = network.hear(samples(4))
    assert presence.shape == (4, 37)
    np.testing.assert_allclose(distribution.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(answer.azimuth_deg, network.azimuth_deg(samples(4)))
    assert np.isfinite(log_odds).all()


def test_noise_alone_survives_saving(tmp_path):
    network = Network(PARAMS, template_cues=template_cues(PARAMS))
    some = network.reading_of(network.outputs(samples(400))).predictors
    network.calibrate(some[:200], np.linspace(0.1, 9, 200), some[200:])
    network.save(tmp_path / "model.keras")
    again = Network.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.hear(samples(3)).source_log_odds, network.hear(samples(3)).source_log_odds)


def test_another_head_changes_what_is_compared_and_only_that():
    network = Network(PARAMS, template_cues=template_cues(PARAMS))
    before = network.outputs(samples(3)).output
    cues = template_cues(PARAMS)
    given = network.outputs(samples(3), np.repeat((0.5 * cues)[np.newaxis], 3, axis=0).astype(np.float16)).output
    zeros = network.outputs(samples(3), np.zeros((3, *cues.shape), np.float16)).output
    np.testing.assert_allclose(zeros, before, atol=1e-6)     # none of its own: the network's
    network.compare_with((0.5 * cues).astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(network.outputs(samples(3)).output, given, atol=1e-5)
    assert np.abs(given - before).max() > 1e-4


def test_the_original_compares_with_no_head():
    with pytest.raises(BadInput, match="--head does nothing"):
        Network(replace(PARAMS, model="original")).compare_with(template_cues(PARAMS))
