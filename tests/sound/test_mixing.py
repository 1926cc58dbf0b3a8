"""Mixtures: the SNR, head, room, microphones and source that Params ask for, and nothing drawn for what is off."""
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import fftconvolve

import features
import hrir
from params import NOISE_FIELDS, WORLD, Params
from sound import coloration, excerpts, mixing, noise_fields, rooms
from sound.noise_fields import noise_gain

PARAMS = replace(Params(), frames=10)  # short samples prove as much
AZIMUTHS = {"azimuth_deg": (-90, 0, 30), "circle_deg": (-90, -45, 0, 45, 90)}


def clip(seed, seconds=2, make=excerpts.speech_clip):
    signal = np.random.default_rng(seed).standard_normal(seconds * 16_000).astype(np.float32)
    return make(np.cumsum(signal - signal.mean()).astype(np.float32) * 0.01 + signal, PARAMS)


SPEECH, NOISE = clip(1), clip(2, make=excerpts.noise_clip)
MEASURED = hrir.read("mit_kemar")


def mixer(**changes):
    params = replace(PARAMS, **AZIMUTHS | changes)
    return mixing.Mixer(params, [hrir.at_azimuths(MEASURED, 16_000, mixing.directions_deg(params))])


def speech_of(made_by, seed=0, clip=SPEECH):
    return made_by.speech_at_ears(np.random.default_rng(seed), clip)


def noise_of(made_by, seed=0):
    rng = np.random.default_rng(seed)
    return made_by.noise_at_ears(rng, made_by.draw_scene(rng), NOISE, lambda rng: SPEECH)


def mixture(made_by, seed=0, clip=SPEECH):
    rng = np.random.default_rng(seed)
    speech = made_by.speech_at_ears(rng, clip)
    noise = made_by.noise_at_ears(rng, speech.scene, NOISE, lambda rng: SPEECH)
    return speech, noise, made_by.snrs_db(rng, noise)


def power_db(signals):
    return 10 * np.log10(np.mean(np.square(signals, dtype=np.float64), axis=-1))


# ----------------------------------------------------------------------------------------------------------- together

SCENES = {"as measured": {}, "room": {"rt60_s": (0.5, 0.5)}, "without 0 degrees": {"azimuth_deg": (-33, 12.5)},
          "world": {**WORLD, "talkers": (1,), "sensor_snr_db": (), "source_level_db": ()}}


@pytest.mark.parametrize("scenes", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("field", NOISE_FIELDS)
def test_the_snr_is_the_one_asked_for_in_every_scene(scenes, field):
    made_by = mixer(**{**scenes, "noise_field": (field,), "snr_range_db": (3, 3)})
    speech, noise, snrs_db = mixture(made_by)
    added = made_by.ears(speech, noise, noise_gain(speech.front, noise.signals, snrs_db[0]))[0] - speech.signals[0]
    assert noise.field == field
    assert snrs_db == [3]
    assert power_db(speech.front.ravel()) - power_db(added.ravel()) == pytest.approx(3, abs=0.01)


def test_cues_are_those_of_the_ears():
    made_by = mixer(**WORLD | {"band_limit_share": 0})  # above its end there is next to nothing, whose cues are loose
    speech, noise, _ = mixture(made_by, seed=2)
    cues = np.empty((3, *PARAMS.sample_shape), np.float32)
    made_by.cues(speech, noise, 2.0, cues)
    expected = features.from_ears(made_by.ears(speech, noise, 2.0), PARAMS)
    assert np.quantile(np.abs(np.angle(np.exp(1j * (cues - expected)[..., 0]))), 0.999) < 1e-3
    assert np.quantile(np.abs(cues - expected)[..., 1], 0.999) < 3e-3  # of bins that hold next to nothing


@pytest.mark.parametrize("frames", [10, 50, 200])
def test_samples_are_as_long_as_asked_for(frames):
    made_by = mixer(frames=frames, azimuth_deg=(0, 40))
    speech, noise, _ = mixture(made_by, clip=clip(9, seconds=6))
    cues = np.empty((2, 321, frames, 2), np.float16)
    made_by.cues(speech, noise, 0, cues)
    assert speech.signals.shape == (2, 2, made_by.params.sample_length)
    assert np.isfinite(cues).all()


def test_the_directions_are_the_azimuths_the_circle_and_the_front():
    params = replace(PARAMS, azimuth_deg=(20, -33), circle_deg=(-90, 20))
    assert mixing.directions_deg(params).tolist() == [-90, -33, 0, 20]


# -------------------------------------------------------------------------------------------------------------- scenes

class CountingGenerator:
    """A random generator that counts what it is asked for."""

    def __init__(self):
        self.rng, self.draws = np.random.default_rng(0), 0

    def __getattr__(self, name):
        self.draws += 1
        return getattr(self.rng, name)


@pytest.mark.parametrize(("scenes", "draws"), [({}, 1), ({"mic_level_db": 1.0}, 4), ({"source_colour_db": 1.0}, 2)])
def test_what_is_off_draws_nothing(scenes, draws):
    """One draw is where the excerpt begins."""
    rng = CountingGenerator()
    mixer(**scenes).speech_at_ears(rng, SPEECH)
    assert rng.draws == draws


def test_the_share_of_rooms_is_the_one_asked_for():
    made_by, rng = mixer(azimuth_deg=(0,), rt60_s=(0.1, 0.1), room_share=0.3), np.random.default_rng(0)
    scenes = [made_by.draw_scene(rng) for _ in range(100)]
    in_room = [scene.tail is not None for scene in scenes]
    assert np.mean(in_room) == pytest.approx(0.3, abs=0.1)
    assert [not np.isnan(scene.rt60_s) for scene in scenes] == in_room


def test_the_share_of_other_heads_is_the_one_asked_for():
    made_by, rng = mixer(azimuth_deg=(0,), head_colour_db=2.0, head_share=0.6), np.random.default_rng(0)
    measured = made_by._as_measured(0).hrtf
    others = [not np.allclose(made_by.draw_scene(rng).hrtf[2, 0, 50:60], measured[2, 0, 50:60], rtol=1e-3)
              for _ in range(100)]
    assert np.mean(others) == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("share", [0, 1])
def test_a_share_of_none_or_all_is_just_that(share):
    made_by, rng = mixer(azimuth_deg=(0,), rt60_s=(0.1, 0.1), room_share=share), np.random.default_rng(0)
    assert {made_by.draw_scene(rng).tail is not None for _ in range(5)} == {bool(share)}


def test_every_head_is_drawn():
    one = mixer().heads[0]
    made_by = mixing.Mixer(replace(PARAMS, **AZIMUTHS), [one, one._replace(name="other")])
    rng = np.random.default_rng(0)
    assert {made_by.draw_scene(rng).hrir for _ in range(20)} == {"mit_kemar", "other"}


@pytest.mark.parametrize("size", [0.87, 1.15])
def test_the_interaural_delay_grows_with_the_head(size):
    def delay_s(scene):
        ratio = scene.hrtf[-3, 1] / scene.hrtf[-3, 0]  # at 30 degrees
        hz = np.linspace(0, 8000, len(ratio))
        low = (hz > 200) & (hz < 500)
        return (np.angle(ratio[low]) / (2 * np.pi * hz[low])).mean()

    rng = np.random.default_rng(0)
    own, other = (mixer(head_size=(each, each)).draw_scene(rng) for each in (1.0, size))
    assert delay_s(other) / delay_s(own) == pytest.approx(size, rel=0.04)


def test_a_measured_room_neither_grows_nor_stands_in_another():
    head = mixer().heads[0]._replace(rt60_s=0.4)
    params = replace(PARAMS, **AZIMUTHS, rt60_s=(1.0, 1.0), head_size=(1.15, 1.15))
    scene = mixing.Mixer(params, [head]).draw_scene(np.random.default_rng(0))
    assert scene.rt60_s == 0.4
    assert scene.tail is None
    np.testing.assert_array_equal(scene.hrtf, mixer()._as_measured(0).hrtf)


def test_heads_are_drawn_by_their_shares():
    one = mixer().heads[0]
    made_by = mixing.Mixer(replace(PARAMS, **AZIMUTHS), [one, one._replace(name="often", share=3.0)])
    rng = np.random.default_rng(0)
    assert np.mean([made_by.draw_scene(rng).hrir == "often" for _ in range(400)]) == pytest.approx(0.75, abs=0.06)


def test_most_microphones_differ_by_less_than_they_may():
    made_by, rng = mixer(azimuth_deg=(0,), mic_level_db=6.0), np.random.default_rng(0)
    microphones = np.stack([made_by.draw_scene(rng).microphones[:, 200] for _ in range(200)])
    level_db = 20 * np.log10(np.abs(microphones[:, 1] / microphones[:, 0]))
    assert 4 < np.abs(level_db).max() <= 6.01
    assert np.median(np.abs(level_db)) < 2


def test_a_limited_band_ends():
    made_by = mixer(azimuth_deg=(0,), band_limit_share=1)
    scene = made_by.draw_scene(np.random.default_rng(0))
    hz = np.linspace(0, 8000, scene.microphones.shape[-1])
    level_db = 20 * np.log10(np.abs(scene.microphones[0]))
    assert np.abs(level_db[(hz > 100) & (hz < 3000)]).max() < 1
    assert level_db[hz > 7900].max() < -40


def test_other_sounds_take_the_place_of_speech():
    speech = [speech_of(mixer(other_sounds_share=share), seed=1).front for share in (0, 1)]
    assert np.isfinite(speech[1]).all()
    assert np.abs(np.corrcoef(speech[0][0], speech[1][0])[0, 1]) < 0.3


def test_the_templates_of_a_scene_are_those_of_its_head_in_the_free_field():
    made_by = mixer(azimuth_deg=Params().azimuth_deg, rt60_s=(0.3, 0.3), mic_level_db=6.0)
    scene = made_by.draw_scene(np.random.default_rng(0))
    expected = features.of_responses(hrir.at_azimuths(MEASURED, 16_000, Params().class_deg).response, PARAMS)
    np.testing.assert_array_equal(made_by.own_templates(scene), expected)


def test_a_head_without_some_class_has_no_templates():
    made_by = mixer(azimuth_deg=(0,))
    assert made_by.own_templates(made_by.draw_scene(np.random.default_rng(0))) is None


def test_levelled_sides_have_one_level_at_both_ears_and_all_frequencies():
    own, other = (mixer(**sides).draw_scene(np.random.default_rng(0)).hrtf for sides in
                  ({}, {"side_level_db": (-6, -6)}))
    gain_db = 20 * np.log10(np.abs(other / own)[[0, -1], :, 100:-500])  # -90 and 90 degrees
    np.testing.assert_allclose(gain_db, -6, atol=0.2)


def test_levelled_sides_leave_the_front_as_it_is():
    own, other = (mixer(azimuth_deg=(0,), circle_deg=(0,), **sides).draw_scene(np.random.default_rng(0)).hrtf
                  for sides in ({}, {"side_level_db": (-6, -6)}))
    np.testing.assert_allclose(other, own, atol=1e-6)


def test_levelled_sides_have_the_level_of_their_room_too():
    signal = np.random.default_rng(1).standard_normal(20_000).astype(np.float32)

    def sound_from(azimuth_deg, sides):
        made_by = mixer(azimuth_deg=(azimuth_deg,), circle_deg=(0,), rt60_s=(0.4, 0.4), drr_db=(-10, -10), **sides)
        scene = made_by.draw_scene(np.random.default_rng(0))
        row = made_by.grids[0].directions_deg.tolist().index(azimuth_deg)
        return made_by.at_ears(scene, signal, 14_000, [row])[0]

    for azimuth_deg, level_db in ((-90, -6), (0, 0)):
        own, other = (sound_from(azimuth_deg, sides) for sides in ({}, {"side_level_db": (-6, -6)}))
        np.testing.assert_allclose(power_db(other) - power_db(own), level_db, atol=0.7)  # of other random tails


# -------------------------------------------------------------------------------------------------------------- speech

def test_the_front_is_that_of_azimuth_0_whether_asked_for_or_not():
    with_front, without = speech_of(mixer()), speech_of(mixer(azimuth_deg=(-33, 12.5)))
    np.testing.assert_array_equal(with_front.front, with_front.signals[1])
    np.testing.assert_allclose(without.front, with_front.front, atol=1e-5)


def test_azimuths_in_any_order_keep_their_signals():
    ascending, descending = mixer(), mixer(azimuth_deg=AZIMUTHS["azimuth_deg"][::-1])
    np.testing.assert_allclose(speech_of(descending).signals, speech_of(ascending).signals[::-1], atol=1e-6)


def test_speech_from_some_azimuths_is_that_from_all_of_them():
    made_by, clip = mixer(), SPEECH._replace(starts=np.array([8_000]))
    few, every = (made_by.speech_at_ears(np.random.default_rng(5), clip, count=count) for count in (2, None))
    rows = [every.azimuth_deg.tolist().index(azimuth_deg) for azimuth_deg in few.azimuth_deg]
    np.testing.assert_allclose(few.signals, every.signals[rows], atol=1e-6)
    np.testing.assert_allclose(few.front, every.front, atol=1e-6)
    assert few.stft_parts[0].shape == (2, 2, 321, 10)


def test_a_mixture_is_from_the_azimuths_that_its_head_offers():
    params = replace(PARAMS, **AZIMUTHS)
    half = MEASURED._replace(response=MEASURED.response[18:], azimuth_deg=MEASURED.azimuth_deg[18:])
    heads = [hrir.at_azimuths(each, 16_000, directions) for each, directions in
             zip((MEASURED, half), mixing.directions_of([MEASURED, half], params))]
    made_by = mixing.Mixer(params, [heads[0], heads[1]._replace(name="half")])
    drawn = [made_by.speech_at_ears(np.random.default_rng(seed), SPEECH) for seed in range(12)]
    offered = {speech.scene.hrir: tuple(speech.azimuth_deg.tolist()) for speech in drawn}
    assert offered == {"mit_kemar": params.azimuth_deg, "half": tuple(a for a in params.azimuth_deg if a >= 0)}
    noise = made_by.noise_at_ears(np.random.default_rng(0), drawn[0].scene, NOISE)
    assert np.isfinite(noise.signals).all()


def test_an_excerpt_begins_at_its_start_after_the_lead_in():
    speech = speech_of(mixer(), clip=SPEECH._replace(starts=np.array([8_000])))
    whole = fftconvolve(SPEECH.samples, mixer().heads[0].response[0, 1])  # from -90 degrees
    begins = 8_000 + PARAMS.lead_in_samples
    assert speech.start == 8_000
    np.testing.assert_allclose(speech.signals[0, 1], whole[begins:begins + PARAMS.sample_length], atol=1e-3)


def test_a_room_adds_reverberation_to_speech_from_before_the_sample(monkeypatch):
    """Long after a click has stopped, and before the sample begins: what reaches the ears is the room."""
    monkeypatch.setattr(rooms, "MOST_TREBLE", 0)  # else the click decays faster than at 1 kHz
    click = np.zeros(32_000, np.float32)
    click[16_000] = 1
    late = excerpts.Clip(click, np.array([16_000 - PARAMS.lead_in_samples + 1_600]))  # 100 ms after it
    frames = {"frames": 16}
    dry, wet = (speech_of(mixer(**frames, **room), clip=late).signals for room in ({}, {"rt60_s": (0.6, 0.6)}))
    begins, ends = (power_db(wet[..., at:at + 1_600].ravel()) for at in (0, 3_200))
    assert np.abs(dry).max() < 1e-6
    assert begins > -120
    assert begins - ends == pytest.approx(60 * 0.2 / 0.6, abs=3)  # 0.2 s later


def test_a_measured_room_has_all_its_reverberation():
    rng = np.random.default_rng(0)
    made_by = mixer()
    response = rng.standard_normal((len(made_by.grids[0].directions_deg), 2, 9_000)).astype(np.float32)
    made_by = mixing.Mixer(made_by.params, [made_by.heads[0]._replace(response=response, rt60_s=0.5)])
    speech = speech_of(made_by, clip=SPEECH._replace(starts=np.array([16_000])))
    begins = 16_000 + PARAMS.lead_in_samples
    expected = fftconvolve(SPEECH.samples.astype(np.float64), response[0, 1])[begins:begins + PARAMS.sample_length]
    np.testing.assert_allclose(speech.signals[0, 1], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("level_db", [0, 15])
def test_sensor_noise_is_as_far_below_as_asked_for_and_further_below_a_louder_source(level_db):
    noisy = speech_of(mixer(sensor_snr_db=(20, 20), source_level_db=(level_db, level_db), azimuth_deg=(0,)), 5)
    sensors = noisy.signals[0] - noisy.front
    assert power_db(noisy.front.ravel()) - power_db(sensors.ravel()) == pytest.approx(20 + level_db, abs=0.05)


def test_sensor_noise_is_independent_at_the_two_ears():
    noisy = speech_of(mixer(sensor_snr_db=(20, 20), azimuth_deg=(0,), frames=50), 5)
    assert abs(np.corrcoef(noisy.signals[0] - noisy.front)[0, 1]) < 0.03


def test_the_coloration_of_the_source_is_the_same_at_both_ears_and_from_everywhere():
    plain, coloured = (speech_of(mixer(frames=50, **source), 6).signals for source in ({}, {"source_colour_db": 4.0}))
    bands_db = [10 * np.log10(np.square(np.abs(np.fft.rfft(signals)))[..., 1:8161].reshape(3, 2, 80, 102).sum(axis=-1))
                for signals in (plain, coloured)]
    change_db = bands_db[1] - bands_db[0]
    assert change_db.std(axis=-1).min() > 1
    assert np.abs(change_db - change_db[1, 0]).mean() < 0.5


@pytest.mark.parametrize("starts", [[0], [0] + 50 * [3 * 16_000 - PARAMS.excerpt_length]], ids=["first", "last"])
def test_a_faster_source_is_higher_and_sounds_to_its_end(starts):
    seconds = np.arange(3 * 16_000) / 16_000
    tone = excerpts.Clip(np.sin(2 * np.pi * 1000 * seconds).astype(np.float32), np.array(starts))
    front = speech_of(mixer(source_speed=(1.25, 1.25), azimuth_deg=(0,)), clip=tone).front[0]
    peak = np.abs(np.fft.rfft(front * np.hanning(len(front)), 32_000)).argmax() / 2
    assert peak == pytest.approx(1250, abs=2)
    assert np.sqrt(np.square(front[-500:]).mean()) > 0.05


# --------------------------------------------------------------------------------------------------------------- noise

def test_microphone_levels_differ_by_at_most_what_is_asked_for():
    made_by = mixer(mic_level_db=1.0, noise_field=("diotic",))
    levels_db = np.array([np.subtract(*power_db(noise_of(made_by, seed).signals)) for seed in range(40)])
    assert 0.7 < np.abs(levels_db).max() <= 1.0001
    assert abs(levels_db.mean()) < 0.3


def test_microphone_spectra_reach_speech_and_diotic_noise_alike():
    made_by = mixer(mic_colour_db=2.0, noise_field=("diotic",), azimuth_deg=(0,))
    speech, noise, _ = mixture(made_by, 3)
    plain = speech_of(mixer(azimuth_deg=(0,)), 3)
    noise_db, speech_db, plain_db = (np.median(features.from_ears(ears, PARAMS)[..., 1], axis=1)
                                     for ears in (noise.signals, speech.signals[0], plain.signals[0]))
    assert np.std(noise_db) > 0.5
    assert np.corrcoef(noise_db, speech_db - plain_db)[0, 1] > 0.95


def test_microphones_are_behind_the_reverberation_too():
    bare, through = (mixer(rt60_s=(0.2, 0.2), **microphones).draw_scene(np.random.default_rng(0)) for microphones in
                     ({}, {"mic_level_db": 1.0}))
    of_tail, of_hrtf = (np.subtract(*power_db(np.abs(after))) - np.subtract(*power_db(np.abs(before)))
                        for after, before in ((through.tail, bare.tail), (through.hrtf[0], bare.hrtf[0])))
    assert abs(of_hrtf) > 0.1  # dB between the ears
    assert of_tail == pytest.approx(of_hrtf, abs=0.02)


@pytest.mark.parametrize("field", ["diffuse", "diotic", "directional", "talker"])
@pytest.mark.parametrize("microphones", [{}, {"mic_level_db": 1.0}], ids=["ears", "microphones"])
def test_the_coloration_of_noise_is_a_filter_before_the_head(field, microphones, monkeypatch):
    """A delay of 100 samples stands in for it: what comes first sounded before the sample began."""
    delay = np.zeros(coloration.FILTER_TAPS, np.float32)
    delay[100] = 0.5
    monkeypatch.setattr(coloration, "random_curve", lambda rng, std_db, shape=(): np.full((*shape, 513), std_db))
    real = coloration.minimum_phase
    monkeypatch.setattr(coloration, "minimum_phase", lambda curve: delay if np.all(curve == 8) else real(curve))
    plain = noise_of(mixer(noise_field=(field,), **microphones)).signals
    filtered = noise_of(mixer(noise_field=(field,), noise_colour_db=8.0, **microphones)).signals
    np.testing.assert_allclose(filtered[:, 100:], 0.5 * plain[:, :-100], atol=1e-4 * np.abs(plain).max())
    assert np.square(filtered[:, :100]).mean() / np.square(filtered).mean() > 0.05


def test_the_coloration_of_noise_differs_between_mixtures_but_not_between_ears():
    made_by = mixer(noise_field=("diotic",), noise_colour_db=8.0, frames=50)
    signals = np.array([noise_of(made_by, seed).signals for seed in range(12)])
    bands = np.square(np.abs(np.fft.rfft(signals[:, 0])))[:, 1:8001].reshape(12, 16, 500).sum(axis=-1)
    np.testing.assert_array_equal(signals[:, 0], signals[:, 1])
    assert 4 < np.std(10 * np.log10(bands), axis=0).mean() < 12


def test_diotic_noise_is_the_noise_file_at_both_ears():
    noise = mixer(noise_field=("diotic",)).noise_at_ears(
        np.random.default_rng(0), mixer()._as_measured(0), NOISE._replace(starts=np.array([800])))
    begins = 800 + PARAMS.lead_in_samples
    np.testing.assert_array_equal(noise.signals, [NOISE.samples[begins:begins + PARAMS.sample_length]] * 2)


def test_diffuse_noise_is_another_excerpt_from_every_direction(monkeypatch):
    given = []
    real = mixing.noise_fields.diffuse
    monkeypatch.setattr(mixing.noise_fields, "diffuse", lambda *args: given.append(args[0]) or real(*args))
    noise_of(mixer(noise_field=("diffuse",)))
    assert len({excerpt.tobytes() for excerpt in given[0]}) == len(AZIMUTHS["circle_deg"])


def test_diffuse_noise_that_swells_leans_to_one_side_for_a_moment():
    def leaning_db(**swells):
        """How much the level difference of the ears changes within a second."""
        made_by = mixer(noise_field=("diffuse",), frames=50, **swells)
        signals = np.array([noise_of(made_by, seed).signals[:, :16_000] for seed in range(12)])
        return np.ptp(np.subtract(*power_db(signals.reshape(12, 2, 20, 800)).swapaxes(0, 1)), axis=1).mean()
    assert leaning_db() < 0.9 * leaning_db(noise_swell_db=10.0) < 0.81 * leaning_db(noise_swell_db=30.0)


def test_swells_are_slow_and_of_each_direction_by_itself():
    loud_db = 20 * np.log10(noise_fields.swells(np.random.default_rng(1), 37, 16_000, 40.0, 16_000))
    amplitude_db = np.abs(loud_db).max()
    steepest = 2 * np.pi * noise_fields.SWELLS_PER_S[1] * amplitude_db / 16_000     # of a sine, in dB a sample
    assert 0 < amplitude_db <= 20
    assert np.abs(np.diff(loud_db, axis=1)).max() < 1.01 * steepest
    assert np.abs(np.corrcoef(loud_db)[np.triu_indices(37, 1)]).mean() < 0.7


def test_the_second_of_mixed_noises_is_up_to_10_db_weaker_or_stronger(monkeypatch):
    levels_db = []
    real = mixing.noise_fields.noise_gain
    monkeypatch.setattr(mixing.noise_fields, "noise_gain", lambda one, other, db: levels_db.append(db) or real(
        one, other, db))
    made_by = mixer(noise_field=("mixed",))
    for seed in range(30):
        noise_of(made_by, seed)
    assert -10 <= min(levels_db) < -7
    assert 7 < max(levels_db) <= 10


def test_a_point_source_comes_from_the_circle_of_directions():
    noise = noise_of(mixer(noise_field=("directional",), azimuth_deg=(-90, 0), circle_deg=(90,)))
    assert np.subtract(*power_db(noise.signals)[::-1]) > 5


def test_directional_noise_comes_from_either_half():
    made_by = mixer(noise_field=("directional",))
    ilds_db = [np.subtract(*power_db(noise_of(made_by, seed).signals)[::-1]) for seed in range(20)]
    assert min(ilds_db) < -5
    assert max(ilds_db) > 5


@pytest.mark.parametrize(("field", "is_silent"), [("talker", True), ("directional", False)])
def test_noise_goes_round_and_a_talker_begins_after_silence(field, is_silent):
    """In a room the sound at the end of a file would be reverberation before its silent beginning."""
    made_by, rng = mixer(noise_field=(field,), rt60_s=(0.6, 0.6)), np.random.default_rng(0)
    silent_first = excerpts.Clip(np.where(np.arange(16_000) < 8_000, 0, SPEECH.samples[:16_000]), np.array([0]))
    noise = made_by.noise_at_ears(rng, made_by.draw_scene(rng), silent_first, lambda rng: silent_first)
    assert (np.abs(noise.signals).max() < 1e-6) == is_silent


@pytest.fixture(scope="module")
def drawn():
    """Noise and drawn SNR of many mixtures of all noise fields."""
    made_by, found = mixer(noise_field=NOISE_FIELDS, snr_range_db=(-10, 20)), []
    for seed in range(80):
        noise = noise_of(made_by, seed)
        found.append((noise, made_by.snrs_db(np.random.default_rng([1, seed]), noise)[0]))
    return found


def test_every_noise_field_is_drawn(drawn):
    assert {noise.field for noise, _ in drawn} == set(NOISE_FIELDS)


def test_a_point_source_is_in_directional_talker_and_some_mixed_noise(drawn):
    assert {noise.field for noise, _ in drawn if noise.has_point_source} == {"directional", "talker", "mixed"}
    assert {noise.field for noise, _ in drawn if not noise.has_point_source} == {"diffuse", "diotic", "mixed"}


def test_drawn_snrs_leave_no_doubt_which_of_two_sources_is_meant(drawn):
    alone = [snr_db for noise, snr_db in drawn if not noise.has_point_source]
    beside = [snr_db for noise, snr_db in drawn if noise.has_point_source]
    assert -10 <= min(alone) < -7
    assert 3 <= min(beside) < 6
    assert 14 < max(beside) <= 20


@pytest.mark.parametrize(("snrs", "expected"), [({"snr_db": (-5, 0)}, [-5, 0]), ({"snr_range_db": (-9, -5)}, [-5])])
def test_snrs_as_steps_are_taken_as_they_are_and_a_range_below_3_db_ends_it(snrs, expected):
    made_by = mixer(noise_field=("talker",), **snrs)
    assert made_by.snrs_db(np.random.default_rng(0), noise_of(made_by)) == expected
