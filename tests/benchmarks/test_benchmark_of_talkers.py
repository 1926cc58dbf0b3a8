"""Several talkers in the accuracy benchmark: other speakers, exact levels, and the same mixtures for every method."""
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from helpers import PARAMS

from benchmarks import talkers
from console import BadInput
from network import gcc_phat, likelihood
from shards.audio import find_audio


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    """Two files each of three speakers, and a noise."""
    folders = [tmp_path_factory.mktemp(name) for name in ("speech", "noise")]
    rng = np.random.default_rng(0)
    for folder, names in zip(folders, (("a-1", "a-2", "b-1", "b-2", "c-1", "c-2"), ("rain",))):
        for name in names:
            sf.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(20_000), 16_000)
    return [find_audio(folder, "--audio", 1, PARAMS)[0] for folder in folders]


def mixed(audio, wanted, mixtures=2):
    return talkers.mix(wanted, "MIT KEMAR", "mit_kemar", *audio, PARAMS, mixtures)


def test_talkers_have_the_levels_and_distances_that_the_condition_names(audio):
    told = mixed(audio, talkers.Several(2, 10, 6.0))
    assert told.samples.shape == (24, PARAMS.bins, 10, 2)
    assert (told.level_db == [0, -6]).all()
    assert np.abs(np.diff(told.azimuth_deg, axis=1)).min() >= 15
    assert (mixed(audio, talkers.Several(3, 10), 1).level_db == 0).all()
    assert np.isnan(mixed(audio, talkers.Several(0, 10)).azimuth_deg).all()


def test_the_weaker_talker_is_heard_weaker(audio):
    """Where the second is much weaker, one answer is always the first."""
    equal, weaker = (mixed(audio, talkers.Several(2, 10, weaker_db), 1) for weaker_db in (0.0, 20.0))
    np.testing.assert_array_equal(equal.azimuth_deg, weaker.azimuth_deg)   # the same mixtures but for the level
    templates = likelihood.template_cues(PARAMS)
    near = [np.abs(gcc_phat.localise(told.samples, templates, PARAMS) - told.azimuth_deg[:, 0]) <= 5
            for told in (equal, weaker)]
    assert near[1].mean() == 1 > near[0].mean()


def test_two_talkers_are_never_two_files_of_one_speaker_and_everybody_is_the_loudest_in_turn(audio):
    speech, rng = audio[0], np.random.default_rng(0)
    drawn = [[each.name.split("-")[0] for each in talkers._speakers(rng, number, speech, 2)] for number in range(30)]
    assert all(len(set(speakers)) == 2 for speakers in drawn)
    assert [speakers[0] for speakers in drawn[:3]] == ["a", "b", "c"]
    assert {speakers[1] for speakers in drawn} == {"a", "b", "c"}
    with pytest.raises(BadInput, match="--audio holds 1 speakers in SpeechTEST, and 2 are mixed"):
        talkers._speakers(rng, 0, speech[:2], 2)


def test_a_method_is_scored_on_all_samples_and_by_distance(audio):
    told = mixed(audio, talkers.Several(2, 10))
    systems = {"oracle": lambda samples: (told.azimuth_deg, told.azimuth_deg[:, 1]),
               "deaf": lambda samples: (np.full_like(told.azimuth_deg, np.nan), np.full(len(samples), np.nan))}
    rows = talkers.rows_of(talkers.Several(2, 10), "MIT KEMAR", told, systems)
    all_samples = {row["system"]: row for row in rows if row["variant"] == "2 talkers, equal"}
    assert all_samples["oracle"]["all_within_5_deg_percent"] == all_samples["oracle"]["count_right_percent"] == 100
    assert all_samples["oracle"]["single_within_5_deg_of_any_percent"] == 100
    assert all_samples["oracle"]["single_within_5_deg_of_loudest_percent"] == 0
    assert all_samples["deaf"]["all_within_10_deg_percent"] == all_samples["deaf"]["count_right_percent"] == 0
    of_distances = [row["samples"] for row in rows if row["variant"].endswith("degrees") and row["system"] == "deaf"]
    assert sum(of_distances) == len(told.samples)
    assert all(row["duration_s"] == 0.22 for row in rows)


def test_a_model_that_tells_one_source_is_refused(audio, monkeypatch):
    deaf = SimpleNamespace(hear=lambda samples: SimpleNamespace(presence=None))
    monkeypatch.setattr(talkers.conditions, "load_model", lambda args: deaf)
    systems = talkers.systems_of(SimpleNamespace(model_alone=True, model="mine"), PARAMS)
    assert set(systems) == {"model"}
    with pytest.raises(BadInput, match="--model mine tells one source of a sample"):
        systems["model"](None)
