"""The model that ships: whole, small, documented, and right on talkers and durations it never saw."""
import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import ROOT, run_script

import hrir
import TrainingCNN
from network.model import Network
from params import Params, differences
from shards.audio import AudioCache, find_audio
from sound import mixing
from sound.noise_fields import noise_gain
from tools import make_model

PARAMS = Params()
FOLDER = ROOT / "pretrained"


@pytest.fixture(scope="module")
def shipped():
    return Network.load(FOLDER / "best.keras")


def mixed(demo, count, **changes):
    """Samples of unseen synthetic talkers and noises at every azimuth, and their labels."""
    params = replace(PARAMS, **changes)
    mixer = mixing.Mixer(params, [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))])
    audio = AudioCache(params)
    talkers, noises = (find_audio(demo / name, "--x", params.excerpt_length, params)[0]
                       for name in ("SpeechTEST", "NoiseTEST"))
    samples = np.empty((count, len(params.azimuth_deg), *params.sample_shape), np.float16)
    for number, cues in enumerate(samples):
        rng = np.random.default_rng(number)
        speech = mixer.speech_at_ears(rng, audio.speech(talkers[number % len(talkers)]))
        noise = mixer.noise_at_ears(rng, speech.scene, audio.noise(noises[number % len(noises)]))
        mixer.cues(speech, noise, noise_gain(speech.front, noise.signals, mixer.snrs_db(rng, noise)[0]), cues)
    return samples.reshape(-1, *params.sample_shape), np.tile(np.asarray(params.azimuth_deg, float), count)


def test_it_is_small_and_has_a_card():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5_000_000
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    for word in ("TrainingCNN.py", "CC BY 4.0", "behind", "LibriSpeech", "ACCURACY.md"):
        assert word in card


def test_it_was_made_by_the_command_of_its_tool(shipped, tmp_path):
    """By --mean-of, of a run whose folder is imitated here; the runs before are in run.json."""
    for name in ("cipic_003.sofa", "best.keras", "last.keras"):
        (tmp_path / name).touch()
    (tmp_path / "shipped").mkdir()
    for name in ("history.csv", "run.json"):
        (tmp_path / "shipped" / name).write_bytes((FOLDER / name).read_bytes())
    args = make_model.parse_args(["--speech", "s", "--noise", "n", "--people", str(tmp_path), "--mean-of",
                                  str(tmp_path)])
    run = json.loads((FOLDER / "run.json").read_text(encoding="utf-8"))
    assert run["is_mean"]
    assert [each["samples"] for each in run["before"]] == [make_model.SAMPLES, make_model.MORE_SAMPLES]
    params, _ = TrainingCNN.parse_args(make_model.training_flags(args))
    scenes = {name: value for name, value in params.scenes.items() if name not in ("hrir_set", "hrir_weights")}
    assert differences(shipped.made_with, scenes) == ""     # of the sets the model knows the names and shares
    assert shipped.made_with["own_head_share"] == make_model.OWN_HEAD_SHARE
    assert differences(shipped.params.training, params.training) == ""
    assert {hrir.collection_of(name) for name in shipped.made_with["hrir_set"]} == {"mit", "cipic", "sadie"}


@pytest.mark.slow
def test_equal_ears_are_straight_ahead(shipped):
    for frames in (10, 50):
        shape = replace(PARAMS, frames=frames).sample_shape
        azimuth_deg, *_ = shipped.answer(np.zeros((1, *shape), np.float16))
        assert abs(azimuth_deg[0]) < 1


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "least_percent", "most_mae_deg"), [
    ({"snr_db": (20,)}, 99, 1.0),
    ({"snr_db": (0,)}, 93, 2.0),
    ({"snr_db": (0,), "noise_field": ("diotic",)}, 95, 2.0),
    ({"snr_db": (20,), "frames": 10}, 95, 2.0),
    ({"snr_db": (20,), "frames": 100}, 99, 1.0),
    ({"snr_db": (20,), "azimuth_deg": tuple(range(-88, 90, 4))}, 99, 1.0),
    ({"snr_db": (20,), "rt60_s": (0.3, 0.3), "drr_db": (6, 6)}, 90, 3.0),
    ({"snr_db": (20,), "head_size": (0.95, 0.95)}, 95, 3.0),
])
def test_it_knows_where_unseen_talkers_are(shipped, demo, changes, least_percent, most_mae_deg):
    samples, azimuth_deg = mixed(demo, 4, **changes)
    answer, half_width, _ = shipped.answer(samples)
    error = np.abs(answer - azimuth_deg)
    assert 100 * np.mean(error <= 5.5) >= least_percent
    assert error.mean() <= most_mae_deg
    assert np.all(np.isfinite(half_width))


@pytest.mark.slow
def test_it_is_less_sure_where_it_errs(shipped, demo):
    samples, azimuth_deg = mixed(demo, 6, snr_db=(-10,))
    answer, half_width, within_95 = shipped.answer(samples)
    wrong = np.abs(answer - azimuth_deg) > 10
    assert 3 < wrong.sum() < 0.7 * len(wrong)
    assert np.median(half_width[wrong]) > np.median(half_width[~wrong])
    assert np.median(within_95[wrong]) > 1.5 * np.median(within_95[~wrong])


@pytest.mark.slow
def test_testing_takes_it(shards, tmp_path):
    run_script("Testing.py", "--data", shards, "--models", FOLDER / "best.keras", "--out", tmp_path)
    figures = json.loads((tmp_path / "results.json").read_text())
    assert set(figures) == {"best", "baseline", "made_with"}
    assert figures["best"]["by_snr_db"]["20"]["within_5_deg_percent"] > 98
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert {"best_deg", "best_spread_deg"} <= set(rows[0])
