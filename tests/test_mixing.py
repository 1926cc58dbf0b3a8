"""Mixtures: the SNR, head, room, microphones and source that Params ask for, and nothing drawn for what is off."""
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import fftconvolve

import features
import hrir
import mixing
import rooms
import scene
from params import NOISE_FIELDS, WORLD, Params

PARAMS = Params()


def clip(seed, seconds=4, make=scene.speech_clip):
    signal = np.random.default_rng(seed).standard_normal(seconds * 16_000).astype(np.float32)
    return make(np.cumsum(signal - signal.mean()).astype(np.float32) * 0.01 + signal, PARAMS)


SPEECH, NOISE = clip(1), clip(2, make=scene.noise_clip)


def mixer(**changes):
    params = replace(PARAMS, **changes)
    return mixing.Mixer(params, [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))])


def mixture(made_by, seed=0, clip=SPEECH):
    rng = np.random.default_rng(seed)
    speech = made_by.speech(rng, clip)
    noise = made_by.noise(rng, speech.place, NOISE, lambda rng: SPEECH)
    return speech, noise, made_by.snrs_db(rng, noise)


def power_db(signals):
    return 10 * np.log10(np.mean(np.square(signals, dtype=np.float64)))


@pytest.mark.parametrize("scenes", [{}, {"rt60_s": (0.5, 0.5)}, WORLD, {"azimuth_deg": (-33, 12.5)}])
@pytest.mark.parametrize("field", NOISE_FIELDS)
def test_the_snr_is_the_one_asked_for_whatever_the_scene(scenes, field):
    made_by = mixer(**{**scenes, "noise_field": (field,), "snr_range_db": (3, 3), "sensor_snr_db": (),
                       "source_level_db": ()})
    speech, noise, snrs_db = mixture(made_by)
    mixed = made_by.ears(speech, noise, snrs_db[0])
    added = mixed[0] - speech.signals[0]
    assert noise.field == field
    assert snrs_db == [3]
    assert power_db(speech.front) - power_db(added) == pytest.approx(3, abs=0.01)
    assert speech.signals.shape == (len(made_by.params.azimuth_deg), 2, PARAMS.sample_length)


def test_cues_are_those_of_the_ears():
    made_by = mixer(**WORLD)
    speech, noise, snrs_db = mixture(made_by, seed=2)  # in scenes of much cancellation rounding alone is 2e-3 dB
    cues = np.empty((37, *PARAMS.sample_shape), np.float32)
    made_by.cues(speech, noise, snrs_db[0], cues)
    expected = features.from_ears(made_by.ears(speech, noise, snrs_db[0]), PARAMS)
    assert np.quantile(np.abs(np.angle(np.exp(1j * (cues - expected)[..., 0]))), 0.999) < 1e-3
    assert np.quantile(np.abs(cues - expected)[..., 1], 0.999) < 1e-3


def test_the_front_is_that_of_azimuth_0_whether_asked_for_or_not():
    with_front, without = mixer(), mixer(azimuth_deg=(-33, 12.5))
    assert np.array_equal(mixture(with_front)[0].signals[18], mixture(with_front)[0].front)
    np.testing.assert_allclose(mixture(without)[0].front, mixture(with_front)[0].front, atol=1e-5)


def test_shares_of_heads_and_rooms_are_those_asked_for():
    made_by = mixer(azimuth_deg=(0, 30), rt60_s=(0.2, 0.2), room_share=0.3, head_colour_db=2.0, head_share=0.6)
    rng, count = np.random.default_rng(0), 200
    places = [made_by.place(rng) for _ in range(count)]
    in_room = [place.tail is not None for place in places]
    assert [not np.isnan(place.rt60_s) for place in places] == in_room
    assert np.mean(in_room) == pytest.approx(0.3, abs=0.1)
    heads = [np.array_equal(place.heard_from, made_by._as_measured[0].heard_from) for place in places]
    assert np.mean(heads) == pytest.approx(0.7 * 0.4, abs=0.1)  # as measured, in the free field
    for never in ({"room_share": 0}, {"room_share": 1}):
        made_by = mixer(azimuth_deg=(0,), rt60_s=(0.2, 0.2), **never)
        assert {made_by.place(rng).tail is not None for _ in range(5)} == {bool(never["room_share"])}


def test_azimuths_in_any_order_keep_their_place():
    ascending, descending = mixer(), mixer(azimuth_deg=PARAMS.azimuth_deg[::-1])
    np.testing.assert_allclose(mixture(descending)[0].signals, mixture(ascending)[0].signals[::-1], atol=1e-6)


def test_what_is_off_draws_nothing():
    class Counting:
        draws = 0

        def __init__(self):
            self.rng = np.random.default_rng(0)

        def __getattr__(self, name):
            Counting.draws += 1
            return getattr(self.rng, name)

    mixer().speech(Counting(), SPEECH)
    assert Counting.draws == 1  # where the excerpt begins
    mixer(mic_level_db=1.0).speech(Counting(), SPEECH)
    assert Counting.draws > 2


def test_a_room_adds_reverberation_to_the_speech_of_before(monkeypatch):
    """Long after the only click has stopped, and before the sample begins: what is heard is the room."""
    monkeypatch.setattr(rooms, "MOST_TREBLE", 0)  # else the click decays faster than at 1 kHz
    click = np.zeros(64_000, np.float32)
    click[20_000] = 1
    late = scene.Clip(click, np.array([20_000 - PARAMS.lead_in_samples + 1_600]))  # 100 ms after it
    dry, wet = (mixture(mixer(**room), clip=late)[0].signals for room in ({}, {"rt60_s": (0.6, 0.6)}))
    assert np.abs(dry).max() < 1e-6
    begins, ends = power_db(wet[..., :1600]), power_db(wet[..., 3200:4800])
    assert begins > -120
    assert begins - ends == pytest.approx(60 * 0.2 / 0.6, abs=3)  # 0.2 s later


def test_a_measured_room_is_heard_with_all_its_reverberation():
    rng = np.random.default_rng(0)
    response = rng.standard_normal((37, 2, 9_000)).astype(np.float32)
    head = mixer().heads[0]._replace(response=response, rt60_s=0.5)
    made_by = mixing.Mixer(PARAMS, [head])
    start = 30_000
    speech = made_by.speech(np.random.default_rng(0), SPEECH._replace(starts=np.array([start])))
    begins = start + PARAMS.lead_in_samples
    whole = fftconvolve(SPEECH.samples.astype(np.float64), response[7, 1])
    expected = whole[begins:begins + PARAMS.sample_length]
    np.testing.assert_allclose(speech.signals[7, 1], expected, atol=1e-4 * np.abs(expected).max())


def test_microphones_differ_as_much_as_asked():
    levels = []
    for seed in range(40):
        made_by = mixer(mic_level_db=1.0, noise_field=("diotic",))
        noise = mixture(made_by, seed)[1]
        levels.append(power_db(noise.signals[1]) - power_db(noise.signals[0]))
    assert 0.7 < np.max(np.abs(levels)) <= 1.0001
    assert abs(np.mean(levels)) < 0.3


def test_microphone_spectra_reach_speech_and_diotic_noise_alike():
    made_by = mixer(mic_colour_db=2.0, noise_field=("diotic",), azimuth_deg=(0,))
    speech, noise, _ = mixture(made_by, 3)
    noise_ild = np.median(features.from_ears(noise.signals, PARAMS)[..., 1], axis=1)
    plain_ild = np.median(features.from_ears(mixture(mixer(azimuth_deg=(0,)), 3)[0].signals[0], PARAMS)[..., 1], axis=1)
    speech_ild = np.median(features.from_ears(speech.signals[0], PARAMS)[..., 1], axis=1)
    assert np.std(noise_ild) > 0.5
    assert np.corrcoef(noise_ild, speech_ild - plain_ild)[0, 1] > 0.95


def test_sensor_noise_is_independent_and_as_far_below_as_asked():
    made_by, silent = mixer(sensor_snr_db=(20, 20), azimuth_deg=(0,)), mixer(azimuth_deg=(0,))
    speech, clean = mixture(made_by, 5)[0], mixture(silent, 5)[0]
    sensors = speech.signals[0] - clean.signals[0]
    assert power_db(clean.front) - power_db(sensors) == pytest.approx(20, abs=0.05)
    assert abs(np.corrcoef(sensors)[0, 1]) < 0.03


def test_a_louder_source_rises_over_the_sensor_noise():
    loud = mixer(sensor_snr_db=(20, 20), source_level_db=(15, 15), azimuth_deg=(0,))
    speech = mixture(loud, 5)[0]
    sensors = speech.signals[0] - mixture(mixer(azimuth_deg=(0,)), 5)[0].signals[0]
    assert power_db(speech.front) - power_db(sensors) == pytest.approx(35, abs=0.05)


def test_the_source_is_coloured_before_it_reaches_the_head():
    plain, coloured = mixture(mixer(), 6)[0], mixture(mixer(source_colour_db=4.0), 6)[0]
    ratio_db = [10 * np.log10(np.square(np.abs(np.fft.rfft(c, axis=-1))).reshape(37, 2, -1)[..., 1:8161].reshape(
        37, 2, 80, 102).sum(axis=-1)) for c in (plain.signals, coloured.signals)]
    change = ratio_db[1] - ratio_db[0]
    assert change.std(axis=-1).min() > 1
    assert np.abs(change - change[18, 0]).mean() < 0.5  # the same at both ears and from everywhere


@pytest.mark.parametrize("field", ["diffuse", "diotic", "directional", "talker"])
@pytest.mark.parametrize("microphones", [{}, {"mic_level_db": 1.0}])
def test_the_noise_is_coloured_as_by_a_filter_before_the_head(field, microphones, monkeypatch):
    delay = np.zeros(scene.FILTER_TAPS, np.float32)
    delay[100] = 0.5
    monkeypatch.setattr(scene, "random_curve",
                        lambda rng, spread_db, shape=(): np.full((*shape, 2 * scene.FILTER_TAPS + 1), spread_db))
    real = scene.minimum_phase
    monkeypatch.setattr(scene, "minimum_phase", lambda curve: delay if np.all(curve == 8) else real(curve))
    plain = mixture(mixer(noise_field=(field,), **microphones))[1].signals
    coloured = mixture(mixer(noise_field=(field,), noise_colour_db=8.0, **microphones))[1].signals
    np.testing.assert_allclose(coloured[:, 100:], 0.5 * plain[:, :-100], atol=1e-4 * np.abs(plain).max())
    before = np.square(coloured[:, :100]).mean() / np.square(coloured).mean()
    assert before > 0.05  # what sounded before the sample began is in it


def test_another_colour_of_the_noise_for_each_mixture_but_the_same_at_both_ears():
    made_by = mixer(noise_field=("diotic",), noise_colour_db=8.0)
    spectra_db = []
    for seed in range(12):
        signals = mixture(made_by, seed)[1].signals
        np.testing.assert_array_equal(signals[0], signals[1])
        bands = np.square(np.abs(np.fft.rfft(signals[0])))[1:8001].reshape(16, 500).sum(axis=1)
        spectra_db.append(10 * np.log10(bands))
    assert 4 < np.std(spectra_db, axis=0).mean() < 12


def test_speech_from_some_azimuths_is_that_from_all_of_them():
    made_by = mixer()
    some = np.array([0, 3, 30])
    few, everything = (made_by.speech(np.random.default_rng(5), SPEECH, azimuths=each) for each in (some, None))
    np.testing.assert_allclose(few.signals, everything.signals[some], atol=1e-6)
    np.testing.assert_allclose(few.front, everything.front, atol=1e-6)
    assert few.parts[0].shape == (3, 2, 321, 50)


def test_a_faster_source_is_higher_and_keeps_its_beginning():
    seconds = np.arange(4 * 16_000) / 16_000
    tone = scene.Clip((np.sin(2 * np.pi * 1000 * seconds) * (1 + (seconds > 2.0))).astype(np.float32),
                      np.arange(0, 45_000, 80))
    for speed in (0.85, 1.25):
        signal, begins = scene.at_speed(tone.samples, 30_000, speed, 2000, 16_000)
        assert len(signal) >= 18_000
        spectrum = np.abs(np.fft.rfft(signal[-8000:] * np.hanning(8000)))
        assert 2 * spectrum.argmax() == pytest.approx(1000 * speed, abs=2)
        louder = np.flatnonzero(np.abs(signal) > 1.3)[0]
        assert louder == pytest.approx(begins + 2000 / speed, abs=20)
    made_by = mixer(source_speed=(1.25, 1.25), azimuth_deg=(0,))
    for start in (tone.starts[:1], tone.starts[-1:]):
        front = made_by.speech(np.random.default_rng(0), tone._replace(starts=start)).front[0]
        peak = np.abs(np.fft.rfft(front * np.hanning(len(front)))).argmax() * 16_000 / len(front)
        assert peak == pytest.approx(1250, abs=2)
        assert np.sqrt(np.square(front[-2000:]).mean()) > 0.05  # sounds to the end


def test_other_heads_have_other_delays_and_spectra():
    itd = {}
    for size in (0.87, 1.0, 1.15):
        place = mixer(head_size=(size, size)).place(np.random.default_rng(0))
        ratio = place.heard_from[30, 1] / place.heard_from[30, 0]
        hz = np.linspace(0, 8000, len(ratio))
        low = (hz > 200) & (hz < 500)
        itd[size] = (np.angle(ratio[low]) / (2 * np.pi * hz[low])).mean()
    assert itd[0.87] / itd[1.0] == pytest.approx(0.87, rel=0.04)
    assert itd[1.15] / itd[1.0] == pytest.approx(1.15, rel=0.04)

    own = mixer().place(np.random.default_rng(0)).heard_from
    other = mixer(head_colour_db=2.0).place(np.random.default_rng(0)).heard_from
    ears_db = [[20 * np.log10(np.abs(h[row, 1] / h[row, 0])) for row in (0, 18, 36)] for h in (own, other)]
    inside = slice(len(ears_db[0][0]) // 20, -len(ears_db[0][0]) // 20)
    own_db, other_db = (np.array([np.interp(np.linspace(0, 1, 400), np.linspace(0, 1, len(c[inside])), c[inside])
                                  for c in ears]) for ears in ears_db)
    difference = other_db - own_db
    assert 1 < difference.std() < 4
    assert np.corrcoef(difference[0], difference[2])[0, 1] < 0.8  # not a microphone's: another on the other side


def test_levelled_sides_change_source_and_noise_but_neither_cues_nor_the_front():
    own = mixer().place(np.random.default_rng(0)).heard_from
    other = mixer(side_level_db=(-6, -6)).place(np.random.default_rng(0)).heard_from
    gain = np.abs(other[:, :, 100:-500] / own[:, :, 100:-500])
    np.testing.assert_allclose(gain, gain[:, :1, :1] * np.ones_like(gain), rtol=0.02)  # both ears, all frequencies
    gain_db = 20 * np.log10(gain[:, 0, 0])
    np.testing.assert_allclose(gain_db[[0, 18, 36]], [-6, 0, -6], atol=0.01)
    np.testing.assert_allclose(gain_db, gain_db[::-1], atol=0.01)
    assert np.all(np.diff(gain_db[18:]) < 0.01)
    half = mixer(side_level_db=(-6, -6), head_share=0.5)
    levels = [np.abs(half.place(np.random.default_rng(seed)).heard_from[0]).mean() for seed in range(20)]
    assert 0 < np.mean(np.array(levels) < 0.8 * max(levels)) < 1


def test_levelled_sides_have_the_level_of_their_room_too():
    flags = {"rt60_s": (0.4, 0.4), "drr_db": (0, 0)}
    signal = np.random.default_rng(1).standard_normal(40_000).astype(np.float32)

    def heard(rows, **more):
        made_by = mixer(**flags, **more)
        place = made_by.place(np.random.default_rng(0))
        return place, made_by.heard(place, signal, 20_000, rows)

    (place, own), (levelled, other) = heard([0, 18, 36]), heard([0, 18, 36], side_level_db=(-6, -6))
    assert place.tail is not None
    assert place.rt60_s == levelled.rt60_s
    gain_db = 10 * np.log10(np.square(other).mean(axis=-1) / np.square(own).mean(axis=-1))
    np.testing.assert_allclose(gain_db, [[-6, -6], [0, 0], [-6, -6]], atol=0.7)  # of other random tails


def test_a_measured_room_neither_grows_nor_stands_in_another():
    room = mixer().heads[0]._replace(rt60_s=0.4)
    params = replace(PARAMS, rt60_s=(1.0, 1.0), head_size=(1.15, 1.15))
    place = mixing.Mixer(params, [room]).place(np.random.default_rng(0))
    assert place.rt60_s == 0.4
    assert place.tail is None


def test_directional_noise_comes_from_one_side():
    made_by = mixer(noise_field=("directional",))
    ilds = [power_db(n.signals[1]) - power_db(n.signals[0]) for n in (mixture(made_by, s)[1] for s in range(30))]
    assert min(ilds) < -5
    assert max(ilds) > 5


def test_every_noise_field_and_head_is_drawn():
    one = hrir.load("mit_kemar", 16_000, PARAMS.azimuth_deg)
    made_by = mixing.Mixer(replace(PARAMS, noise_field=NOISE_FIELDS), [one, one._replace(name="other")])
    drawn = [mixture(made_by, seed)[:2] for seed in range(40)]
    assert {noise.field for _, noise in drawn} == set(NOISE_FIELDS)
    assert {speech.place.hrir for speech, _ in drawn} == {"mit_kemar", "other"}


def test_drawn_snrs_leave_no_doubt_which_source_is_meant():
    made_by = mixer(noise_field=NOISE_FIELDS, snr_range_db=(-10, 20))
    drawn = [(noise, snrs[0]) for _, noise, snrs in (mixture(made_by, seed) for seed in range(80))]
    alone = [snr_db for noise, snr_db in drawn if not noise.is_directed]
    beside = [snr_db for noise, snr_db in drawn if noise.is_directed]
    assert {noise.field for noise, _ in drawn if noise.is_directed} == {"directional", "talker", "mixed"}
    assert {noise.field for noise, _ in drawn if not noise.is_directed} == {"diffuse", "diotic", "mixed"}
    assert -10 <= min(alone) < -7
    assert 3 <= min(beside) < 6
    assert 14 < max(beside) <= 20
    assert mixture(mixer(noise_field=("talker",), snr_db=(-5,)))[2] == [-5]  # asked for as a step
    assert mixture(mixer(noise_field=("talker",), snr_range_db=(-9, -5)))[2] == [-5]


@pytest.mark.parametrize("frames", [10, 50, 200])
def test_samples_are_as_long_as_asked(frames):
    made_by = mixer(frames=frames, azimuth_deg=(0, 40))
    length = clip(9, seconds=6)
    speech, noise, _ = mixture(made_by, clip=length)
    cues = np.empty((2, *made_by.params.sample_shape), np.float16)
    made_by.cues(speech, noise, 0, cues)
    assert cues.shape == (2, 321, frames, 2)
    assert np.isfinite(cues).all()
