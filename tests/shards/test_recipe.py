"""The recipe of a sample, and the plan of a speech and a noise file that follows it."""
import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import features
import hrir
from params import Params
from shards.audio import Audio, AudioCache
from shards.files import BY_SAMPLE
from shards.recipe import PairPlan, samples_of_pair, talkers_beside
from shards.split import OtherTalkers, SpeechFiles, split
from sound import mixing

PARAMS = replace(Params(), frames=10, azimuth_deg=(-60, 20), circle_deg=(-90, 0, 90), snr_db=(0, 20), excerpts=2)


@pytest.fixture(scope="module")
def pair(noise_files):
    speech = noise_files("speech", 3, 1.5, PARAMS)[1]
    return PairPlan(speech[0], noise_files("noise", 1, 0.5, PARAMS)[1][0], others(speech), None)


def others(speech):
    return OtherTalkers(SpeechFiles(speech), speech[0].sha256)


def mixer(**changes):
    params = replace(PARAMS, **changes)
    return mixing.Mixer(params, [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))])


def all_cues(pair, made_by, excerpts=None):
    return np.array([mixture.cues.copy() for mixture in
                     samples_of_pair(pair, made_by, AudioCache(made_by.params), excerpts)])


def test_there_is_a_mixture_for_each_excerpt_and_snr(pair):
    mixtures = list(samples_of_pair(pair, mixer(), AudioCache(PARAMS)))
    assert [mixture.snr_db for mixture in mixtures] == [0, 20, 0, 20]


def test_each_excerpt_is_drawn_from_its_part_of_the_file_and_has_its_own_noise(pair):
    mixtures = list(samples_of_pair(pair, mixer(excerpts=4, snr_db=(0,)), AudioCache(PARAMS)))
    starts = AudioCache(PARAMS).speech(pair.speech).starts
    quarters = [np.searchsorted(starts, mixture.speech.start) * 4 // len(starts) for mixture in mixtures]
    assert quarters == [0, 1, 2, 3]
    assert len({mixture.noise.signals.tobytes() for mixture in mixtures}) == 4


def test_the_cues_are_those_of_the_ears_at_the_snr(pair):
    made_by = mixer()
    mixture = next(samples_of_pair(pair, made_by, AudioCache(PARAMS)))
    ears = made_by.ears(mixture.speech, mixture.noise, mixture.gain)
    noise_power = np.mean(np.square(mixture.gain * mixture.noise.signals))
    ild_error_db = np.abs(mixture.cues[..., 1] - features.from_ears(ears, PARAMS)[..., 1])
    assert 10 * np.log10(np.mean(np.square(mixture.speech.front)) / noise_power) == pytest.approx(0, abs=1e-3)
    assert np.quantile(ild_error_db, 0.999) < 0.03  # float16 holds 11 bits


def test_samples_follow_from_the_seed_and_the_names_alone(pair):
    one = all_cues(pair, mixer())
    np.testing.assert_array_equal(one, all_cues(pair, mixer()))
    assert not np.array_equal(one, all_cues(pair, mixer(seed=1)))
    assert not np.array_equal(one, all_cues(pair._replace(noise=pair.noise._replace(name="other")), mixer()))


def test_an_excerpt_does_not_depend_on_the_others(pair):
    np.testing.assert_array_equal(all_cues(pair, mixer(), [1]), all_cues(pair, mixer())[2:])


@pytest.mark.parametrize(("snrs", "count"), [({}, 8), ({"snr_range_db": (0, 10)}, 4), ({"excerpts": 1}, 4)])
def test_the_count_is_that_of_the_samples(pair, snrs, count):
    made_by = mixer(**snrs)
    samples = list(pair.samples(made_by, AudioCache(PARAMS)))
    assert pair.count(made_by) == count == sum(len(cues) for cues, _ in samples)


def test_each_sample_is_stored_with_its_azimuth_snr_and_scene(pair):
    cues, of_samples = next(iter(pair.samples(mixer(), AudioCache(PARAMS))))
    assert {name: values.tolist() for name, values in of_samples.items() if name not in
            ("room_rt60_s", "excerpt_start_s")} == {
        "labels": [-60, 20], "snr_db": [0, 0], "noise_field": ["diffuse"] * 2, "hrir": ["mit_kemar"] * 2}
    assert np.isnan(of_samples["room_rt60_s"]).all()
    assert {len(values) for values in of_samples.values()} == {len(cues)}


def test_a_row_sounds_as_its_cues_say(pair):
    """Also row 7: the second excerpt, at the second SNR, from the second azimuth."""
    made_by = mixer()
    cues = np.concatenate([cues.copy() for cues, _ in pair.samples(made_by, AudioCache(PARAMS))])
    for row in (0, 3, 7):
        expected = features.from_ears(pair.ears(row, made_by, AudioCache(PARAMS)), PARAMS)
        assert np.quantile(np.abs(cues[row, ..., 1] - expected[..., 1]), 0.999) < 0.03


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (0,), (0, 1)])
def test_a_row_of_several_talkers_sounds_as_its_cues_say(pair, numbers):
    """One other file must do for two others: then both are excerpts of it."""
    made_by = mixer(talkers=numbers, azimuth_deg=(-60, -20, 20, 60), sensor_snr_db=(30.0, 30.0))
    for plan in (pair, pair._replace(talkers=others([pair.speech, pair.talkers[0]]))):
        cues = np.concatenate([cues.copy() for cues, _ in plan.samples(made_by, AudioCache(PARAMS))])
        assert plan.count(made_by) == len(cues) == 16
        for row in (0, 7, 14):
            expected = features.from_ears(plan.ears(row, made_by, AudioCache(PARAMS)), PARAMS)
            assert np.quantile(np.abs(cues[row, ..., 1] - expected[..., 1]), 0.999) < 0.03


def test_each_sample_is_stored_with_its_talkers_and_all_snrs_share_them(pair):
    made_by = mixer(talkers=(0, 2, 3), azimuth_deg=(-60, -20, 20, 60), talker_level_db=3.0)
    of_snrs = [of_samples for _, of_samples in pair.samples(made_by, AudioCache(PARAMS))]
    azimuth_deg, level_db = of_snrs[0]["talker_azimuth_deg"], of_snrs[0]["talker_level_db"]
    assert azimuth_deg.shape == level_db.shape == (4, 3)
    np.testing.assert_array_equal(of_snrs[0]["labels"], azimuth_deg[:, 0])
    np.testing.assert_array_equal(azimuth_deg, of_snrs[1]["talker_azimuth_deg"])
    several = of_snrs + [each for _, each in pair.samples(mixer(**{name: getattr(made_by.params, name) for name in (
        "talkers", "azimuth_deg", "talker_level_db")}, seed=1), AudioCache(PARAMS))]
    level_db = np.concatenate([each["talker_level_db"] for each in several])
    assert set(np.isfinite(level_db).sum(axis=1).tolist()) == {0, 2, 3}
    assert np.nanmin(level_db) >= -3
    assert (np.diff(np.nan_to_num(level_db, nan=-9)) <= 0).all()


def test_one_talker_is_stored_without_a_list_of_talkers(pair):
    _, of_samples = next(iter(pair.samples(mixer(), AudioCache(PARAMS))))
    assert set(of_samples) == set(BY_SAMPLE)


def test_talkers_beside_are_of_the_same_part_of_the_split():
    """So that who validates is not heard in training; of a competing talker in the noise that is not asked."""
    speech = [Audio(None, name, name, 1) for name in "abcdefgh"]
    parts = split((audio.sha256 for audio in speech), None, None, PARAMS).files(speech)
    for part in parts:
        for audio in part:
            beside = talkers_beside(speech, replace(PARAMS, azimuth_deg=(-60, 0, 60), talkers=(1, 2)))(audio)
            assert {audio, *beside} == set(part)
            assert len(talkers_beside(speech, replace(PARAMS, noise_field=("talker",)))(audio)) == 7
            assert not talkers_beside(speech, replace(PARAMS, noise_field=("mixed",), talkers=(0, 1)))(audio)
    assert {len(part) for part in parts} == {2, 6}


def test_heads_of_different_grids_give_what_they_have(pair):
    params = replace(PARAMS, excerpts=6)
    whole = hrir.read("mit_kemar")
    half = whole._replace(name="half", response=whole.response[18:], azimuth_deg=whole.azimuth_deg[18:])
    sets = [whole, half]
    made_by = mixing.Mixer(params, [hrir.at_azimuths(each, 16_000, directions) for each, directions in
                                    zip(sets, mixing.directions_of(sets, params))])
    samples = [(cues.copy(), of_samples) for cues, of_samples in pair.samples(made_by, AudioCache(PARAMS))]
    azimuths = {str(of_samples["hrir"][0]): of_samples["labels"].tolist() for _, of_samples in samples}
    assert azimuths == {"mit_kemar": [-60, 20], "half": [20]}
    cues = np.concatenate([each for each, _ in samples])
    assert pair.count(made_by) == len(cues)
    for row in (0, len(cues) // 2, len(cues) - 1):
        expected = features.from_ears(pair.ears(row, made_by, AudioCache(PARAMS)), PARAMS)
        assert np.quantile(np.abs(cues[row, ..., 1] - expected[..., 1]), 0.999) < 0.03


def test_digests_tell_when_speech_noise_or_talkers_were_replaced(pair):
    changed = [pair._replace(speech=pair.speech._replace(sha256="x")), pair._replace(talkers=[]),
               pair._replace(noise=pair.noise._replace(sha256="x")),
               pair._replace(talkers=others([pair.speech, pair.talkers[0]]))]
    digests = [each.digests() for each in (pair, *changed)]
    assert all(one != other for one, other in itertools.combinations(digests, 2))


def test_every_competing_talker_is_drawn(pair):
    talker, rng = pair.talker(AudioCache(PARAMS)), np.random.default_rng(0)
    drawn = {talker(rng).samples.tobytes() for _ in range(20)}
    assert drawn == {AudioCache(PARAMS).speech(each).samples.tobytes() for each in pair.talkers}


def test_other_talkers_are_all_files_but_those_of_the_same_bytes():
    speech = [Audio(None, name, name[0], 1) for name in ("a", "b", "a again", "c", "d", "d again")]
    every, digests = SpeechFiles(speech), set()
    for audio in speech:
        talkers = OtherTalkers(every, audio.sha256)
        assert list(talkers) == [other for other in speech if other.sha256 != audio.sha256]
        assert talkers[-1] == talkers[len(talkers) - 1]
        digests |= {talkers.sha256, OtherTalkers(SpeechFiles(speech[:-1]), audio.sha256).sha256}
    assert len(digests) == 8  # twice a, b, c and d


def test_talkers_beside_many_files_take_no_memory_of_their_own():
    tracemalloc.start()
    peaks = []
    for count in (500, 5000):
        speech = [Audio(None, "", f"{number:064}", 1) for number in range(count)]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        beside = talkers_beside(speech, replace(PARAMS, noise_field=("talker",)))
        talkers = [beside(audio) for audio in speech]
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
        assert len(talkers[-1]) == count - 1
    tracemalloc.stop()
    assert peaks[1] < 15 * peaks[0]  # with a list each it would be 100 times as much
