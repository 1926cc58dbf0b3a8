"""The model that ships: whole, small, documented, and right on talkers and durations it never saw."""
import csv
import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, run_script

import dataset
import hrir
import mixing
import model
import TrainingCNN
from params import Params, differences

PARAMS = Params()
FOLDER = ROOT / "pretrained"


@pytest.fixture(scope="module")
def network():
    return model.Network.load(FOLDER / "best.keras")


def mixed(demo, count=6, **changes):
    """Samples of unseen synthetic talkers and noises at every azimuth, and their labels."""
    params = replace(PARAMS, **changes)
    mixer = mixing.Mixer(params, [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))])
    audio = dataset.AudioCache(params)
    talkers, noises = (dataset.find_audio(demo / name, "--x", params.excerpt_length, params)[0]
                       for name in ("SpeechTEST", "NoiseTEST"))
    samples = np.empty((count, len(params.azimuth_deg), *params.sample_shape), np.float16)
    for number, cues in enumerate(samples):
        rng = np.random.default_rng(number)
        speech = mixer.speech(rng, audio.speech(talkers[number % len(talkers)]))
        noise = mixer.noise(rng, speech.place, audio.noise(noises[number % len(noises)]))
        mixer.cues(speech, noise, mixer.snrs_db(rng, noise)[0], cues)
    return samples.reshape(-1, *params.sample_shape), np.tile(np.asarray(params.azimuth_deg, float), count)


def test_it_is_small_and_has_a_card():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 15_000_000
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    for word in ("TrainingCNN.py", "CC BY 4.0", "behind", "LibriSpeech", "ACCURACY.md"):
        assert word in card


def test_it_was_made_as_its_card_says(network, tmp_path, monkeypatch):
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8").replace("\\\n", " ")
    command = re.findall(r"python TrainingCNN\.py (.*?)(?: && |$)", card, re.M)[-1]
    least, step, greatest = map(float, re.search(r"\$\(seq -s ' ' (\S+) (\S+) (\S+)\)", command).groups())
    azimuths = " ".join(f"{azimuth:g}" for azimuth in np.arange(least, greatest + step / 2, step))
    argv = re.sub(r"\$\(.*?\)", azimuths, command).split()
    for origin in itertools.takewhile(lambda word: not word.startswith("--"), argv[argv.index("--from") + 1:]):
        (tmp_path / origin).parent.mkdir(exist_ok=True)
        (tmp_path / origin).touch()
    monkeypatch.chdir(tmp_path)
    params, _ = TrainingCNN.parse_args(argv)
    assert differences(network.scenes, params.scenes) == ""
    assert differences(network.params.training, params.training) == ""


def test_equal_ears_are_straight_ahead(network):
    for frames in (10, 50):
        shape = replace(PARAMS, frames=frames).sample_shape
        azimuth_deg, spread_deg, _ = network.answer(np.zeros((1, *shape), np.float16))
        assert abs(azimuth_deg[0]) < 1
        assert spread_deg[0] < 5


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
def test_it_knows_where_unseen_talkers_are(network, demo, changes, least_percent, most_mae_deg):
    samples, azimuth_deg = mixed(demo, **changes)
    answer, spread, _ = network.answer(samples)
    error = np.abs(answer - azimuth_deg)
    assert 100 * np.mean(error <= 5.5) >= least_percent
    assert error.mean() <= most_mae_deg
    assert np.all(np.isfinite(spread))


def test_it_is_less_sure_where_it_errs(network, demo):
    samples, azimuth_deg = mixed(demo, snr_db=(-10,))
    answer, spread, within_95 = network.answer(samples)
    wrong = np.abs(answer - azimuth_deg) > 10
    assert 3 < wrong.sum() < 0.7 * len(wrong)
    assert np.median(spread[wrong]) > np.median(spread[~wrong])
    assert np.median(within_95[wrong]) > 2 * np.median(within_95[~wrong])


def test_testing_takes_it(shards, tmp_path):
    run_script("Testing.py", "--data", shards, "--models", FOLDER, "--out", tmp_path)
    figures = json.loads((tmp_path / "results.json").read_text())
    assert set(figures) == {"best", "baseline", "made_with"}
    assert figures["best"]["by_snr_db"]["20"]["within_5_deg_percent"] > 98
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert {"best_deg", "best_spread_deg"} <= set(rows[0])
