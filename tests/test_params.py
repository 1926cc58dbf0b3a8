"""The numbers a user may change: what follows from them, what is refused, what files store."""
import dataclasses
from dataclasses import replace

import pytest

import params
from console import BadInput
from params import RANGES, WORLD, Params


def test_a_sample_is_50_frames_of_321_bins_in_102_seconds():
    assert Params().sample_shape == (321, 50, 2)
    assert Params().sample_length == 640 + 49 * 320
    assert Params().sample_s == 1.02


def test_an_excerpt_is_a_sample_and_its_lead_in():
    assert Params().excerpt_length == Params().sample_length + 320
    assert Params().excerpt_s == 1.04


@pytest.mark.parametrize(("frames", "count"), [(50, 96), (200, 24), (10, 96)])
def test_longer_samples_take_no_more_memory(frames, count):
    assert replace(Params(), frames=frames).in_memory_of(96) == count


def test_a_model_of_one_duration_fits_shards_of_another():
    assert replace(Params(), frames=100).features == Params().features


def test_files_keep_the_keys_of_earlier_versions():
    assert params.stored_name("label_sigma_deg") == "label_spread_deg"
    assert Params().training["label_spread_deg"] == 3.0
    assert "label_sigma_deg" not in Params().training


def test_every_number_of_varied_scenes_is_stored_in_shards():
    assert set(RANGES) - set(params.SINCE_0_4) <= set(Params().scenes)
    assert set(RANGES) <= set(replace(Params(), **WORLD).scenes)


def test_the_world_sets_every_number_of_varied_scenes_to_a_possible_one():
    assert set(WORLD) == {*RANGES, "noise_field", "talkers"}
    assert replace(Params(), **WORLD).rt60_s == WORLD["rt60_s"]


def test_the_flag_of_a_number_is_its_name():
    assert params.flag_of("rt60_s") == "--rt60-s"


@pytest.mark.parametrize(("hop_s", "below", "above"), [(0.05, 0.04, 0.06), (0.0201, 0.02, 0.04), (59.99, 59.98, 60)])
def test_a_hop_between_two_frames_is_refused_and_both_named(hop_s, below, above):
    with pytest.raises(BadInput, match=f"--hop-s {hop_s} is not possible: it takes multiples of 0.02, such as {below} "
                                       f"or {above}"):
        replace(Params(), hop_s=hop_s)


def test_every_hop_of_whole_frames_is_possible():
    for frames in range(1, 3001):
        assert replace(Params(), hop_s=frames * 0.02).hop_s == pytest.approx(float(f"{frames * 0.02:.2f}"))
        replace(Params(), hop_s=float(f"{frames * 0.02:.2f}"))
    assert replace(Params(), sample_rate_hz=44_100).hop_s == 0.1       # of a sound that is played, not localised


@pytest.mark.parametrize(("changes", "flag"), [
    ({"excerpts": 0}, "--excerpts 0"), ({"seed": -1}, "--seed -1"), ({"snr_db": ()}, "--snr-db"),
    ({"snr_db": (5, 5)}, "--snr-db 5 5"), ({"snr_db": (float("nan"),)}, "--snr-db nan"),
    ({"noise_field": ("loud",)}, "--noise-field loud"), ({"frames": 9}, "--frames 9"),
    ({"frames": 201}, "--frames 201"), ({"head_share": 1.5}, "--head-share 1.5"),
    ({"azimuth_deg": (-91,)}, "--azimuth-deg -91"), ({"azimuth_deg": (5, 5)}, "--azimuth-deg 5 5"),
    ({"hrir_set": ()}, "--hrir"), ({"rt60_s": (1.0, 0.5)}, "--rt60-s 1.0 0.5"),
    ({"snr_range_db": (0, float("nan"))}, "--snr-range-db 0 nan"), ({"model": "other"}, "--model other"),
    ({"loss": "other"}, "--loss other"), ({"hop_s": 0.01}, "--hop-s 0.01"),
    ({"hop_s": 0.05}, "--hop-s 0.05"), ({"batch_size": 1}, "--batch-size 1"),
    ({"talkers": ()}, "--talkers"), ({"talkers": (1, 5)}, "--talkers 1 5"), ({"talkers": (1.5,)}, "--talkers 1.5"),
    ({"talker_level_db": -1}, "--talker-level-db -1"),
    ({"least_talker_distance_deg": 0}, "--least-talker-distance-deg 0"),
    ({"learning_rate": 0}, "--learning-rate 0"), ({"learning_rate": float("inf")}, "--learning-rate inf"),
])
def test_a_number_out_of_its_range_is_refused_by_its_flag(changes, flag):
    with pytest.raises(BadInput, match="it takes") as refusal:
        replace(Params(), **changes)
    assert str(refusal.value).startswith(f"{flag} ")


@pytest.mark.parametrize(("changes", "says"), [
    ({"talkers": (1, 3), "least_talker_distance_deg": 100.0}, "--talkers 1 3 is not possible: 2 fit"),
    ({"talkers": (2,), "azimuth_deg": (0, 5)}, "--talkers 2 is not possible: 1 fit"),
    ({"talkers": (2,), "noise_field": ("talker",)}, "--noise-field talker adds a talker that --talkers does not count"),
])
def test_talkers_that_do_not_fit_are_refused(changes, says):
    with pytest.raises(BadInput, match=says):
        replace(Params(), **changes)


def test_talkers_are_stored_where_they_differ_from_one_each():
    assert not set(params.TALKERS) & set(replace(Params(), talkers=(1, 1), talker_level_db=3.0).scenes)
    scenes = replace(Params(), talkers=(0, 2), talker_level_db=3.0).scenes
    assert [scenes[name] for name in params.TALKERS] == [[0, 2], 3.0, 10.0]


def test_params_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Params().frames = 10


def test_differences_name_what_is_wanted_and_what_is_missing():
    assert params.differences({"seed": 1, "more": 2}, {"seed": 1}) == ""
    assert params.differences({}, {"seed": 1}) == "seed missing, wanted 1"
