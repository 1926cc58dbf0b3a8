"""Several talkers in a scene: sums of single talkers, at the levels, distances and numbers asked for."""
from dataclasses import replace

import numpy as np
import pytest

import features
import hrir
from params import Params
from sound import excerpts, mixing, talkers
from sound.noise_fields import noise_gain

PARAMS = replace(Params(), frames=10, azimuth_deg=(-60, -55, -20, 0, 5, 40, 90), circle_deg=(-90, 0, 90))
HEAD = hrir.load("mit_kemar", 16_000, mixing.directions_deg(PARAMS))


def clip(seed, level=1.0, make=excerpts.speech_clip):
    return make(level * np.random.default_rng(seed).standard_normal(32_000).astype(np.float32), PARAMS)


def mixer(**changes):
    return mixing.Mixer(replace(PARAMS, **changes), [HEAD])


def speeches_of(made_by, count=3, azimuths=None, rng=None):
    """Talkers of very different levels in their files."""
    rng = rng or np.random.default_rng(0)
    first = made_by.speech_at_ears(rng, clip(1), count=azimuths)
    return [first, *(made_by.speech_in(rng, first.scene, clip(number, level=0.1 ** number), count=azimuths)
                     for number in range(2, count + 1))]


def many(made_by, speeches, times=200, numbers=None):
    """Draw often: the talkers of all rows."""
    rng = np.random.default_rng(1)
    drawn = [talkers.draw(rng, speeches, made_by.params, numbers) for _ in range(times)]
    return talkers.Talkers(*(np.concatenate(parts) for parts in zip(*drawn)))


def power_db(signals):
    return 10 * np.log10(np.mean(np.square(signals, dtype=np.float64)))


@pytest.fixture(scope="module")
def three():
    made_by = mixer(talkers=(0, 1, 2, 3))
    return made_by, speeches_of(made_by)


SCENES = {"free field": {}, "room, microphones, sources": {
    "rt60_s": (0.3, 0.3), "mic_level_db": 6.0, "mic_colour_db": 1.0, "source_colour_db": 4.0,
    "source_speed": (0.9, 1.1), "sensor_snr_db": (20.0, 20.0)}}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_two_talkers_are_the_sum_of_each_with_its_gain(scene):
    made_by = mixer(talkers=(2,), **scene)
    speeches = speeches_of(made_by, 2)
    drawn = talkers.draw(np.random.default_rng(3), speeches, made_by.params)
    together = talkers.mix(speeches, drawn, made_by.params)
    for row, (azimuth_deg, gain) in enumerate(zip(drawn.azimuth_deg, drawn.gains)):
        other = speeches[1].azimuth_deg.tolist().index(azimuth_deg[1])
        expected = speeches[0].signals[row] + gain[1] * speeches[1].signals[other]
        np.testing.assert_allclose(together.signals[row], expected, atol=1e-5 * np.abs(expected).max())
        assert azimuth_deg[0] == together.azimuth_deg[row] == speeches[0].azimuth_deg[row]


def test_the_spectra_of_several_talkers_are_those_of_their_signals(three):
    made_by, speeches = three
    drawn = talkers.draw(np.random.default_rng(0), speeches, made_by.params)
    together = talkers.mix(speeches, drawn, made_by.params)
    expected = features.stft(together.signals.astype(np.float64), made_by.params)
    for part, of_expected in zip(together.stft_parts, (expected.real, expected.imag)):
        np.testing.assert_allclose(part, of_expected, atol=1e-5 * np.abs(expected).max())


def test_cues_of_several_talkers_in_noise_are_those_of_their_ears(three):
    made_by, speeches = three
    rng = np.random.default_rng(0)
    together = talkers.mix(speeches, talkers.draw(rng, speeches, made_by.params), made_by.params)
    noise = made_by.noise_at_ears(rng, together.scene, clip(9, make=excerpts.noise_clip))
    cues = np.empty((len(together.signals), *made_by.params.sample_shape), np.float32)
    made_by.cues(together, noise, 0.5, cues)
    expected = features.from_ears(made_by.ears(together, noise, 0.5), made_by.params)
    assert np.quantile(np.abs(cues - expected)[..., 1], 0.999) < 3e-3


def test_levels_compare_the_clean_speech_from_the_front(three):
    made_by, speeches = three
    drawn = many(made_by, speeches, times=20, numbers=(3,))
    for which, gains, levels_db in zip(drawn.which, drawn.gains, drawn.level_db):
        of_each = [power_db(gain * speeches[talker].front) for talker, gain in zip(which, gains)]
        np.testing.assert_allclose(np.array(of_each) - of_each[0], levels_db, atol=1e-3)
        np.testing.assert_array_equal(levels_db, np.sort(levels_db)[::-1])  # loudest first
        assert levels_db[0] == 0


def test_levels_are_even_down_to_the_one_asked_for():
    made_by = mixer(talkers=(2,), talker_level_db=8.0)
    levels_db = many(made_by, speeches_of(made_by, 2)).level_db[:, 1]
    assert -8 <= levels_db.min() < -7.8
    assert -0.2 < levels_db.max() <= 0
    assert np.quantile(levels_db, 0.25) == pytest.approx(-6, abs=0.4)


@pytest.mark.parametrize(("least_deg", "nearest_deg"), [(5.0, 5), (10.0, 20), (40.0, 40)])
def test_any_two_talkers_are_at_least_as_far_apart_as_asked_for(least_deg, nearest_deg):
    made_by = mixer(talkers=(3,), least_talker_distance_deg=least_deg)
    azimuths = np.sort(many(made_by, speeches_of(made_by)).azimuth_deg, axis=1)
    assert np.isfinite(azimuths).all()
    assert np.diff(azimuths, axis=1).min() == nearest_deg


def test_every_other_talker_and_azimuth_comes_in_turn(three):
    made_by, speeches = three
    drawn = many(made_by, speeches, numbers=(2,))
    assert set(drawn.which[:, 1].tolist()) == {1, 2}
    assert set(drawn.azimuth_deg[:, 1].tolist()) == set(PARAMS.azimuth_deg)


def test_a_number_that_is_named_twice_comes_twice_as_often():
    made_by = mixer(talkers=(0, 1, 2, 2))
    number = np.isfinite(many(made_by, speeches_of(made_by, 2)).azimuth_deg).sum(axis=1)
    np.testing.assert_allclose(np.bincount(number) / len(number), [0.25, 0.25, 0.5], atol=0.04)


def test_as_many_talkers_as_fit_speak_where_a_scene_has_few_azimuths():
    made_by = mixer(talkers=(3,))
    one, two, three = speeches_of(made_by)
    few = [one, *(each._replace(azimuth_deg=each.azimuth_deg[:2], signals=each.signals[:2]) for each in (two, three))]
    drawn = talkers.draw(np.random.default_rng(0), few, made_by.params)
    count = np.isfinite(drawn.azimuth_deg).sum(axis=1)
    assert count.tolist() == [1, 1, 2, 2, 2, 2, 2]     # of -60 and -55 one has room at most, and none beside either


@pytest.mark.parametrize("sensors", [{}, {"sensor_snr_db": (20.0, 20.0)}], ids=["no sensor noise", "sensor noise"])
def test_without_a_talker_there_is_sensor_noise_alone(sensors):
    made_by = mixer(talkers=(0,), **sensors)
    speeches = speeches_of(made_by, 1)
    drawn = talkers.draw(np.random.default_rng(0), speeches, made_by.params)
    together = talkers.mix(speeches, drawn, made_by.params)
    assert np.isnan(together.azimuth_deg).all()
    assert np.isnan(drawn.level_db).all()
    if sensors:
        assert power_db(speeches[0].front) - power_db(together.signals[2]) == pytest.approx(20, abs=0.01)
    else:
        assert not together.signals.any()
    expected = features.stft(together.signals, made_by.params)
    np.testing.assert_allclose(together.stft_parts[0], expected.real, atol=1e-5)


def test_one_talker_of_several_sounds_as_a_lone_one_does(three):
    made_by, speeches = three
    together = talkers.mix(speeches, talkers.draw(np.random.default_rng(0), speeches, made_by.params, (1,)),
                           made_by.params)
    np.testing.assert_array_equal(together.signals, speeches[0].signals)
    np.testing.assert_array_equal(together.stft_parts[1], speeches[0].stft_parts[1])


def test_the_snr_refers_to_the_loudest_talker(three):
    made_by, speeches = three
    together = talkers.mix(speeches, talkers.draw(np.random.default_rng(0), speeches, made_by.params, (3,)),
                           made_by.params)
    noise = np.random.default_rng(0).standard_normal((2, PARAMS.sample_length))
    assert power_db(speeches[0].front) - power_db(noise_gain(together.front, noise, 6) * noise) == pytest.approx(6)


def test_another_talker_is_in_the_scene_of_the_first():
    """The same excerpt from the same azimuth, through the same head, room and microphones: the same sound."""
    made_by = mixer(rt60_s=(0.3, 0.3), head_size=(0.9, 1.1), mic_level_db=6.0, talkers=(2,))
    alone = clip(1)._replace(starts=np.array([8_000]))
    first = made_by.speech_at_ears(np.random.default_rng(4), alone)
    again = made_by.speech_in(np.random.default_rng(5), first.scene, alone)
    np.testing.assert_allclose(again.signals, first.signals, atol=1e-5)
    np.testing.assert_allclose(again.front, first.front, atol=1e-5)


def test_beside_counted_talkers_no_noise_is_a_competing_talker():
    made_by = mixer(talkers=(1, 2), noise_field=("mixed",))
    rng = np.random.default_rng(0)
    scene = made_by.draw_scene(rng)
    for _ in range(20):  # without a clip of a competing talker
        made_by.noise_at_ears(rng, scene, clip(9, make=excerpts.noise_clip))
