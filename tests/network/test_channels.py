"""The two channels of a recording: what cannot be two ears is named, what is two ears is never accused."""
import numpy as np
import pytest
import soxr
from helpers import PARAMS, from_all_around, through_the_head
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
    def answer(samples):
        return (np.full(len(samples), each) for each in (answer_deg, *half_widths_deg))

    tracker = Tracker(answer, PARAMS, hop_frames=10)
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


@pytest.mark.parametrize("azimuth_deg", [-90, -30, 5, 60])
def test_a_good_recording_is_not_accused(azimuth_deg, capsys):
    checked(binaural(azimuth_deg))
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
    (mono((0.9, 0.2)), "panned by level alone"),
    (binaural(30) * [1, -1], "inverted polarity"),
    (binaural(20) * [1, 0.1], "dB weaker than the left"),
    (binaural(20) + [0.3, 0.3], "DC offset"),
    (binaural(20) * 1e-4, "very quiet"),
    (drifting(), "drifts by"),
    (np.stack([voice(seed=1), np.roll(voice(seed=1), 160)], axis=1) + mono((0, 0), 1e-3), "no head makes"),
], ids=["dither", "gain", "panned", "polarity", "levels", "offset", "quiet", "drift", "stereo"])
def test_channels_that_weaken_the_answer_are_named(ears, named, capsys):
    checked(ears)
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(("ears", "named"), [
    (np.zeros((2 * RATE, 2)), "silent in both"),
    (mono(dither=0), "the same signal in both"),
    (binaural(-30) * [1, 0], "next to nothing in its right channel"),
    (np.stack([voice(), 0.1 * np.sin(2 * np.pi * 50 * np.arange(6 * RATE) / RATE)], axis=1), "in its right channel"),
    (np.stack([0.01 * voice(), voice()], axis=1) + mono((0, 0)), "in its left channel"),
    (binaural(0)[:8000], "at least 1.020 s"),
], ids=["silent", "mono", "dead", "hum", "crosstalk", "short"])
def test_channels_without_two_ears_are_refused(ears, named):
    with pytest.raises(BadInput, match=named):
        checked(ears)


@pytest.mark.parametrize("ears", [binaural(30) * [1, -1], mono((0.9, 0.2)), drifting(), binaural(20) * [1, 0.1]],
                         ids=["polarity", "panned", "drift", "levels"])
def test_azimuths_of_such_channels_have_a_wide_uncertainty(ears):
    half_width_deg = checked(ears).track().half_width_68_deg
    assert np.nanmin(half_width_deg) >= 45


@pytest.mark.parametrize("noise_db", [-80, -50])
def test_a_talker_in_front_in_quiet_is_heard_however_unsure_the_network_is(noise_db):
    track = checked(binaural(0, 10 ** (noise_db / 20) * 0.1), 20.0, (3.0, 180.0)).track()
    assert np.nanmedian(track.azimuth_deg) == 0
    assert track.has_source.mean() > 0.9


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
