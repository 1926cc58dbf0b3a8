"""The two channels of a recording: what cannot be two ears is named, what is two ears is never accused."""
import numpy as np
import pytest
import soxr
from helpers import PARAMS, FakeHearing, from_all_around, through_the_head
from scipy.signal import butter, sosfilt

from console import BadInput
from network.tracking import Tracker

RATE = PARAMS.sample_rate_hz


def voice(seconds=6.0, seed=0):
    """Pulses of a voice through three resonances, in syllables with pauses between them."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE)) / RATE
    pulses = np.diff(np.floor(np.cumsum((120 + 30 * np.sin(2 * np.pi * time_s)) / RATE)), prepend=0)
    spoken = sum(np.convolve(pulses, np.exp(-200 * time_s[:800]) * np.sin(2 * np.pi * hz * time_s[:800]))[:len(pulses)]
                 for hz in (500, 1500, 2500, 4500)) + 0.01 * rng.standard_normal(len(pulses))
    return 0.1 * spoken * (np.sin(2 * np.pi * 2 * time_s) > -0.6)


def binaural(azimuth_deg, noise_rms=1e-4, seconds=6.0):
    """A voice at the ears of the shipped head, in the noise of two microphones: (n, 2)."""
    ears = through_the_head(voice(seconds), azimuth_deg)
    return ears / np.abs(ears).max() / 2 + noise_rms * np.random.default_rng(1).standard_normal(ears.shape)


def checked(ears, answer_deg=10.0, half_widths_deg=(1.0, 5.0)):
    """The Tracker of a recording whose network answers the same everywhere."""
    tracker = Tracker(FakeHearing(answer_deg, half_widths_deg), PARAMS, hop_frames=10)
    for block in np.array_split(ears.astype(np.float32), 7):
        tracker.push(block)
    tracker.check("talk.wav")
    return tracker


def mono(gains=(1.0, 1.0), dither=1 / 32768):
    noise = np.random.default_rng(2).uniform(-dither, dither, (6 * RATE, 2))
    return voice()[:, np.newaxis] * np.array(gains) + noise


def drifting(parts_per_million=300):
    ears = binaural(-30)
    late = soxr.resample(ears[:, 0], RATE, RATE * (1 + parts_per_million * 1e-6))
    count = min(len(late), len(ears))
    return np.stack([late[:count], ears[:count, 1]], axis=1)


def panned(gain_db, noise_rms=1e-5):
    """Two voices at once, each weaker in one channel and late in none."""
    left, right, weaker = voice(seed=1), voice_of_another(), 10 ** (gain_db / 20)
    mix = np.stack([left + weaker * right, weaker * left + right], axis=1)
    return mix + noise_rms * np.random.default_rng(7).standard_normal(mix.shape)


def voice_of_another():
    """A voice whose pulses and pauses are elsewhere."""
    return 0.7 * voice(seed=3)[::-1]


def spaced(samples, noise_rms=1e-3):
    """A voice at two microphones without a head between them, one of them later."""
    pair = np.stack([voice(seed=1), 0.9 * np.roll(voice(seed=1), samples)], axis=1)
    return pair + noise_rms * np.random.default_rng(8).standard_normal(pair.shape)


def in_turn():
    """One voice in the left channel, then another in the right one."""
    first, second = voice(seed=1), voice_of_another()
    return np.stack([np.concatenate([first, 0 * first]), np.concatenate([0 * second, second])], axis=1)


@pytest.mark.parametrize("azimuth_deg", [-90, -30, 5, 60, 90])
@pytest.mark.parametrize("gain_db", [-1, 1])
def test_a_good_recording_is_not_accused(azimuth_deg, gain_db, capsys):
    checked(binaural(azimuth_deg) * [1, 10 ** (gain_db / 20)])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("azimuth_deg", [-90, 0, 45])
@pytest.mark.parametrize("snr_db", [10, -6])
def test_a_talker_in_noise_from_all_around_is_not_accused(azimuth_deg, snr_db, capsys):
    talker = binaural(azimuth_deg)
    noise = from_all_around(np.random.default_rng(9).standard_normal(60 * RATE), len(talker))
    checked(talker + noise * np.sqrt(np.square(talker).mean() / np.square(noise).mean() / 10 ** (snr_db / 10)))
    assert capsys.readouterr().err == ""


def test_the_hiss_of_two_microphones_alone_is_not_accused(capsys):
    checked(0.01 * np.random.default_rng(14).standard_normal((6 * RATE, 2)))  # its delays are random
    assert capsys.readouterr().err == ""


def test_two_talkers_at_once_are_not_accused(capsys):
    other = through_the_head(voice_of_another(), -60)
    checked(binaural(45) + other / np.abs(other).max() / 2)
    assert capsys.readouterr().err == ""


def test_treble_alone_is_not_accused(capsys):
    noise = sosfilt(butter(8, 4000, "high", fs=RATE, output="sos"), np.random.default_rng(10).standard_normal(4 * RATE))
    ears = through_the_head(noise, -60)  # their bass is the noise of two microphones, of which one has more
    checked(ears / np.abs(ears).max() + np.random.default_rng(1).standard_normal(ears.shape) * [1e-5, 1e-4])
    assert capsys.readouterr().err == ""


def test_a_good_recording_with_long_pauses_is_not_accused(capsys):
    pause = 1e-5 * np.random.default_rng(3).standard_normal((12 * RATE, 2))
    checked(np.concatenate([binaural(-60), pause, binaural(-60)]))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("noise_rms", [1e-5, 1e-4, 3e-4])
def test_a_talk_with_a_long_pause_of_faint_noise_is_not_accused(noise_rms, capsys):
    talk = binaural(-45, 0)
    whole = np.concatenate([talk, np.zeros((20 * RATE, 2)), talk])
    checked(whole + noise_rms * np.random.default_rng(6).standard_normal(whole.shape))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("ears", "named"), [
    (mono(), "nearly the same signal"),
    (mono((1, 0.98)), "nearly the same signal"),
    (binaural(0, 1e-5) * [1, 0.8], "nearly the same signal"),
    (mono((0.9, 0.2)), "panned by level alone"),
    (binaural(30) * [1, -1], "inverted polarity"),
    (binaural(20) * [1, 0.1], "dB weaker than the left"),
    (binaural(60) * [1, 0.25], "channels of very different level"),
    (binaural(-30) * [0.25, 1], "channels of very different level"),
    (panned(-12), "panned by level alone, without the delays of a head"),
    (panned(-6), "panned by level alone, without the delays of a head"),
    (spaced(14), "delays between the channels that no head makes"),
    (spaced(8), "delays between the channels that no head makes"),
    (spaced(32, 1e-2), "delays between the channels that no head makes"),
    (in_turn(), "in one of its channels in 100 % of it: a loose cable, or a stereo mix"),
    (binaural(20) + [0.3, 0.3], "DC offset"),
    (binaural(20) * 1e-4, "very quiet"),
    (drifting(), "drifts by"),
    (np.stack([voice(seed=1), np.roll(voice(seed=1), 160)], axis=1) + mono((0, 0), 1e-3), "no head makes"),
], ids=["dither", "gain", "unlike ears", "panned", "polarity", "levels", "near right", "near left", "panned mix",
        "panned 6 dB", "0.9 ms", "0.5 ms", "2 ms", "in turn", "offset", "quiet", "drift", "stereo"])
def test_channels_that_weaken_the_answer_are_named(ears, named, capsys):
    checked(ears)
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1 or "panned" in said and "in the bass" in said


@pytest.mark.parametrize(("ears", "named"), [
    (np.zeros((2 * RATE, 2)), "silent in both"),
    (mono(dither=0), "the same signal in both channels, bit for bit"),
    (np.round(binaural(0, 0) * 32767) / 32768, "nothing tells mono from a source straight in front"),
    (binaural(-30) * [1, 0], "next to nothing in its right channel"),
    (np.stack([voice(), 0.1 * np.sin(2 * np.pi * 50 * np.arange(6 * RATE) / RATE)], axis=1), "in its right channel"),
    (np.stack([0.01 * voice(), voice()], axis=1) + mono((0, 0)), "in its left channel"),
    (binaural(0)[:8000], "at least 1.020 s"),
], ids=["silent", "mono", "front", "dead", "hum", "crosstalk", "short"])
def test_channels_without_two_ears_are_refused(ears, named):
    with pytest.raises(BadInput, match=named):
        checked(ears)


@pytest.mark.parametrize("ears", [
    binaural(30) * [1, -1], mono((0.9, 0.2)), drifting(), binaural(20) * [1, 0.1], binaural(60) * [1, 0.25],
    panned(-12), spaced(14), in_turn(),
], ids=["polarity", "panned", "drift", "levels", "near ear", "panned mix", "spaced", "in turn"])
def test_azimuths_of_such_channels_have_a_wide_uncertainty(ears):
    half_width_deg = checked(ears).track().half_width_68_deg
    assert np.nanmin(half_width_deg) >= 45


@pytest.mark.parametrize("noise_db", [-80, -50])
def test_a_talker_in_front_in_quiet_is_heard_however_unsure_the_network_is(noise_db):
    track = checked(binaural(0, 10 ** (noise_db / 20) * 0.1), 20.0, (3.0, 180.0)).track()
    assert np.nanmedian(track.azimuth_deg) == 0
    assert track.has_source.mean() > 0.9


@pytest.mark.parametrize("same_first", [True, False])
def test_a_pause_of_the_same_faint_noise_in_both_ears_is_no_source_in_front(same_first):
    same = 1e-4 * np.random.default_rng(11).standard_normal((10 * RATE, 1)) * [1, 1]
    talk = binaural(-45, 1e-6)
    track = checked(np.concatenate([same, talk] if same_first else [talk, same]), -45.0).track()
    assert set(track.azimuth_deg[track.has_source]) == {-45}
    assert track.has_source.mean() < 0.5


def test_a_dc_offset_does_not_lift_silence():
    ears = np.concatenate([binaural(-45), np.zeros((5 * RATE, 2))]) + [0.2, -0.1]
    track = checked(ears + 1e-6 * np.random.default_rng(12).standard_normal(ears.shape)).track()
    assert not track.has_source[track.time_s > 6.6].any()
    assert track.level_db[track.time_s > 6.6].max() < -80


def test_a_whisper_is_heard_where_the_same_louder_is():
    loud, whisper = (checked(level * binaural(-45, 1e-5)).track() for level in (1, 1e-3))  # peaks of -6 and -66 dB
    assert np.array_equal(whisper.has_source, loud.has_source)
    assert whisper.level_db.max() < -80


def test_the_dither_of_16_bits_is_silence():
    dither = np.random.default_rng(13).uniform(-1, 1, (2, 2 * RATE, 2)).sum(axis=0) / 2
    assert not checked(np.round(dither) / 32768).track().has_source.any()


def test_noise_from_all_around_stays_no_source():
    noise = np.random.default_rng(4).normal(0, 0.1, 4 * RATE)
    assert not checked(from_all_around(noise, 3 * RATE), 0.0, (3.0, 180.0)).track().has_source.any()


@pytest.mark.parametrize("sound", [
    np.sin(2 * np.pi * 1000 * np.arange(3 * RATE) / RATE),
    sosfilt(butter(6, 120, fs=RATE, output="sos"), np.random.default_rng(5).standard_normal(3 * RATE)),
], ids=["tone", "rumble"])
def test_narrow_band_sound_is_no_source(sound, capsys):
    ears = through_the_head(sound, 60)
    track = checked(ears / np.abs(ears).max() / 2 + mono((0, 0), 1e-5)[:len(ears)]).track()
    assert not track.has_source.any()
    assert "too few frequencies" in capsys.readouterr().err
