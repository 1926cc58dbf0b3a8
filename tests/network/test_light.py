"""Answers without TensorFlow: those of Keras, from the same weights; and which runtime opens which file."""
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import soundfile as sf
from helpers import ROOT, one_sentence, run_script, samples, write_models

from console import BadInput
from network import likelihood, opening
from network.light import LightNetwork
from network.model import Network
from network.opening import open_network, shipped_model
from params import Params
from tools import make_golden_answer

PARAMS = Params()
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def pair(models):
    return Network.load(models / "best.keras"), LightNetwork.load(models / "best.onnx")


def assert_same(outputs, others):
    for ours, theirs in zip(outputs, others):
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("frames", [10, 11, 50, 100])
def test_answers_are_those_of_keras_for_any_duration(pair, frames):
    some = samples(5, frames)
    keras, light = (network.hear(some) for network in pair)
    assert_same(*(network.outputs(some) for network in pair))
    np.testing.assert_allclose(light.answer, keras.answer, atol=0.01)
    np.testing.assert_allclose(light.source_log_odds, keras.source_log_odds, atol=0.01)
    apart_deg = np.abs(keras.answer.azimuth_deg - light.answer.azimuth_deg)
    assert np.median(apart_deg) <= 1e-4
    assert apart_deg.max() <= 0.05


@pytest.mark.parametrize("hop_frames", [1, 4, 5])
def test_rows_of_a_recording_are_its_windows_alone_and_those_of_keras(pair, hop_frames):
    keras, light = pair
    cues = samples(1, 600)[0]
    starts = np.arange(0, 551, hop_frames)[-200:]
    rows = light.outputs_of_rows(cues, starts, 50)
    assert_same(rows, keras.outputs_of_rows(cues, starts, 50))
    assert_same(rows, light.outputs(np.stack([cues[:, at:at + 50] for at in starts])))


def test_samples_that_are_computed_together_do_not_touch(pair):
    some = samples(3, 25)
    each = [pair[1].outputs(some[at:at + 1]) for at in range(3)]
    assert_same(pair[1].outputs(some), [np.concatenate(parts) for parts in zip(*each)])


def test_another_head_changes_the_answers_as_in_keras(models):
    other = likelihood.template_cues(PARAMS)[:, :, ::-1] * [0.1, 3.0]
    keras, light, as_it_was = (open_network(models / name, cues) for name, cues in
                               (("best.keras", other), ("best.onnx", other), ("best.onnx", None)))
    some = samples(4)
    assert_same(keras.outputs(some), light.outputs(some))
    assert np.abs(light.outputs(some).log_likelihoods - as_it_was.outputs(some).log_likelihoods).max() > 0.01


def test_the_file_carries_what_the_model_knows_of_itself(pair):
    keras, light = pair
    assert (light.params, light.made_with, light.calibration) == (keras.params, keras.made_with, keras.calibration)
    assert light.calibration.terms_source


def test_a_network_of_squared_error_is_exported_too(tmp_path):
    write_models(tmp_path, replace(PARAMS, loss="mse"))
    some = samples(6)
    keras, light = (open_network(tmp_path / name) for name in ("best.keras", "best.onnx"))
    np.testing.assert_allclose(light.azimuth_deg(some), keras.azimuth_deg(some), atol=1e-3)
    assert np.ptp(light.azimuth_deg(some)) > 0.1


# ------------------------------------------------------------------------------------------------ files and runtimes

def test_what_is_no_model_is_refused_by_one_sentence(models, tmp_path):
    torn, foreign, other = (tmp_path / name for name in ("torn.onnx", "foreign.onnx", "other.onnx"))
    torn.write_bytes((models / "best.onnx").read_bytes()[:100_000])
    model = onnx.load(models / "best.onnx")
    description = model.metadata_props[0].value
    del model.metadata_props[:]
    onnx.save(model, foreign)
    onnx.helper.set_model_props(model, {"binsl": description.replace('"stft_hop_samples": 320',
                                                                     '"stft_hop_samples": 160')})
    onnx.save(model, other)
    for path, reason in ((torn, "not a whole model"), (foreign, "not a whole model"), (other, "other features"),
                         (tmp_path / "none.onnx", "does not exist")):
        with pytest.raises(BadInput, match=reason) as caught:
            open_network(path)
        assert path.name in str(caught.value)
        assert one_sentence(str(caught.value))


def test_without_onnx_runtime_its_file_names_the_remedy(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadInput, match=r"best\.onnx .*requirements-localise\.txt"):
        open_network(models / "best.onnx")


def test_without_tensorflow_a_keras_file_names_the_remedy(models):
    code = ("import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; import console; "
            "from network.opening import open_network; sys.exit(console.run(lambda: open_network(sys.argv[1])))")
    done = subprocess.run([sys.executable, "-c", code, models / "best.keras"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install -r requirements.txt" in done.stderr
    assert one_sentence(done.stderr)


def test_the_ending_tells_the_runtime_and_a_folder_is_of_keras(models):
    assert isinstance(open_network(models / "best.onnx"), LightNetwork)
    assert isinstance(open_network(models), Network)


def test_the_model_that_ships_is_the_light_one_where_it_can_run(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "PRETRAINED", tmp_path)
    assert shipped_model().name == "best.keras"
    (tmp_path / "best.onnx").touch()
    assert shipped_model().name == "best.onnx"
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    assert shipped_model().name == "best.keras"


def test_localising_by_a_light_model_imports_nothing_heavy(models):
    code = ("import sys, numpy, Localise, network; "
            "network.localise(numpy.random.default_rng(0).normal(0, 0.1, (2, 32_000)), 16_000, model=sys.argv[1]); "
            "heavy = {'tensorflow', 'keras', 'scipy', 'netCDF4', 'h5py', 'librosa', 'joblib', 'onnx'}; "
            "print(*(heavy & sys.modules.keys()))")
    done = subprocess.run([sys.executable, "-c", code, models / "best.onnx"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.skipif(not (ROOT / "pretrained" / "best.onnx").is_file(), reason="no exported model ships yet")
def test_the_light_model_that_ships_is_the_other_one():
    from tools.export import MOST_DEG, MOST_MEDIAN_DEG, cues_to_compare, difference_of

    keras, light = (open_network(ROOT / "pretrained" / name) for name in ("best.keras", "best.onnx"))
    difference = difference_of(keras, light, cues_to_compare(PARAMS))
    assert difference.median_deg <= MOST_MEDIAN_DEG
    assert difference.greatest_deg <= MOST_DEG
    assert (light.params, light.made_with, light.calibration) == (keras.params, keras.made_with, keras.calibration)
    assert (ROOT / "pretrained" / "best.onnx").stat().st_size <= 5_000_000


@pytest.mark.skipif(not (GOLDEN / "answer.json").is_file() or not (ROOT / "pretrained" / "best.onnx").is_file(),
                    reason="no exported model ships yet")
def test_the_golden_answer_is_still_that_of_the_model_that_ships():
    golden = json.loads((GOLDEN / "answer.json").read_text(encoding="utf-8"))
    ears = sf.read(GOLDEN / "answer.wav", dtype="int16")[0]
    now = make_golden_answer.answer(open_network(ROOT / "pretrained" / "best.onnx"), ears, PARAMS)
    assert now.keys() == golden.keys()
    for name in golden.keys() - {"cues"}:
        np.testing.assert_allclose(now[name], golden[name], atol=0.002)
    for ours, theirs in zip(now["cues"], golden["cues"]):
        assert ours == pytest.approx(theirs, abs=0.002)


def test_a_golden_answer_is_read_from_its_own_scores(models, tmp_path):
    run_script("tools/make_golden_answer.py", "--model", models / "best.onnx", "--out", tmp_path)
    golden = json.loads((tmp_path / "answer.json").read_text(encoding="utf-8"))
    logits, begins = np.array(golden["distribution_logits"]), np.cumsum([0, 1, 2, 3, 5])
    durations = [np.exp(logits[begin:end]) / np.exp(logits[begin:end]).sum(axis=1, keepdims=True)
                 for begin, end in zip(begins, begins[1:])]                        # as docs/export.md tells
    product = np.exp(np.mean([np.log(each.mean(axis=0)) for each in durations], axis=0))
    np.testing.assert_allclose(product / product.sum(), golden["distribution"], atol=2e-4)
    odds = 1 / (1 + np.exp(-np.array(golden["presence_logits"])))
    presence = np.mean([odds[begin:end].max(axis=0) for begin, end in zip(begins, begins[1:])], axis=0)
    np.testing.assert_allclose(presence, golden["presence"], atol=2e-4)
    assert sf.info(tmp_path / "answer.wav").frames == PARAMS.sample_length
