"""Recordings over time, as arrays: rows, bounded memory, and `from network import localise`."""
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soxr
from helpers import FakeHearing, one_sentence, through_the_head

import features
from console import BadInput
from network import array_call, localise, tracking
from network.spectrogram import MOST_COLUMNS, Spectrogram
from params import Params
from shards.audio import read_mono

PARAMS = Params()
RATE = PARAMS.sample_rate_hz


def tracker(hop_frames=5):
    return tracking.Tracker(FakeHearing(), PARAMS, hop_frames)


@pytest.mark.parametrize(("hop_frames", "block"), [(1, 1_600), (5, 100), (5, 50_000), (50, 1_600), (120, 1_600)])
def test_any_blocks_give_the_same_rows(hop_frames, block):
    signal = np.random.default_rng(1).normal(0, 0.1, (4 * RATE, 2)).astype(np.float32)
    whole, pieces = tracker(hop_frames), tracker(hop_frames)
    whole.push(signal)
    for at in range(0, len(signal), block):
        pieces.push(signal[at:at + block])
    for one, other in zip(whole.track(), pieces.track(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert len(whole.track().time_s) == 1 + (1 + (4 * RATE - 640) // 320 - 50) // hop_frames
    np.testing.assert_allclose(np.concatenate(whole._hear.seen).astype(np.float32),
                               np.concatenate(pieces._hear.seen).astype(np.float32), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.diff(whole.track().time_s), 0.02 * hop_frames)
    assert whole.seconds == pieces.seconds == 4
    assert whole.channels._seconds == pieces.channels._seconds


def test_memory_does_not_grow_with_the_recording():
    long = tracking.Tracker(FakeHearing(), PARAMS, 50)
    block = np.random.default_rng(2).normal(0, 0.1, (10 * RATE, 2)).astype(np.float32)
    for _ in range(30):
        long.push(block)
        assert long._cues.shape[1] < 60
        assert len(long._signal) < 640
        assert long.spectrogram.power().shape[1] <= MOST_COLUMNS
    assert long.spectrogram.frames_per_column == 8


def test_levels_far_above_full_scale_give_no_warning():
    ears = through_the_head(np.random.default_rng(4).normal(0, 1e9, 2 * RATE), 30)
    loud = tracker()
    loud.push(ears.astype(np.float32))
    loud.check("integers stored as floats")
    assert not loud.channels.is_doubtful


@pytest.mark.parametrize(("noise_dbfs", "count"), [(-120.0, 2), (-85.0, 2), (-60.0, 0)])
@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_silence_is_found_to_a_frame_and_noise_is_none(noise_dbfs, count, offset):
    ears = 10 ** (noise_dbfs / 20) * np.random.default_rng(0).standard_normal((5 * RATE, 2)) + offset
    ears[2 * RATE:3 * RATE + 100] += 0.1 * np.random.default_rng(1).standard_normal((RATE + 100, 2))
    spectrogram = Spectrogram(PARAMS.bins)
    for part in (slice(0, 100), slice(100, None)):
        spectra = features.stft(ears.T.astype(np.float32), PARAMS)[:, :, part]
        spectrogram.add(np.square(np.abs(spectra)).sum(axis=0))
    silences = spectrogram.silences(-20.0, PARAMS)
    assert len(silences) == count
    if count:
        np.testing.assert_allclose(silences, [(0, 2), (3.02, np.inf)], atol=1e-9)


def test_a_squeezed_spectrogram_keeps_its_mean():
    squeezed = Spectrogram(3)
    power = np.random.default_rng(3).random((3, 10_001))
    for at in range(0, power.shape[1], 77):
        squeezed.add(power[:, at:at + 77])
    width, columns = squeezed.frames_per_column, squeezed.power()
    expected = power[:, :columns.shape[1] * width].reshape(3, -1, width).mean(axis=2)
    np.testing.assert_allclose(columns, expected, rtol=1e-5)


@pytest.fixture(scope="module")
def talker(demo):
    """1.5 s of a talker at 30 degrees: (2, n) at 16 kHz."""
    voice = read_mono(sorted((demo / "SpeechTEST").glob("*.wav"))[0], PARAMS)[RATE // 2:2 * RATE]
    return through_the_head(voice, 30).T


@pytest.mark.slow
def test_localise_takes_either_orientation_and_any_number_format(talker):
    track = localise(talker, RATE)
    assert len(track.time_s) == 5
    assert track.time_s[0] == pytest.approx(0.51)
    np.testing.assert_allclose(np.diff(track.time_s), 0.1)
    assert np.abs(track.azimuth_deg - 30).max() < 5
    assert np.all(track.half_width_68_deg < 10)
    for same in (talker.T, talker.astype(np.float32), np.asfortranarray(talker)):
        for one, other in zip(localise(same, RATE), track, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)
    as_int = localise(np.round(talker / np.abs(talker).max() * 32767).astype(np.int16), RATE)
    gain_db = -20 * np.log10(np.abs(talker).max())
    np.testing.assert_allclose(as_int.azimuth_deg, track.azimuth_deg, atol=0.5)
    np.testing.assert_allclose(as_int.level_db, track.level_db + gain_db, atol=0.1)
    unsigned = localise(np.round(talker / np.abs(talker).max() * 32767 + 32768).astype(np.uint16), RATE)
    np.testing.assert_allclose(unsigned.level_db, as_int.level_db, atol=0.01)


@pytest.mark.slow
def test_localise_gives_the_negative_azimuth_for_exchanged_ears(talker):
    track, mirrored = localise(talker, RATE), localise(talker[::-1], RATE)
    np.testing.assert_allclose(mirrored.azimuth_deg, -track.azimuth_deg, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_localise_takes_any_sample_rate(talker, rate):
    track, again = localise(talker, RATE, hop_s=0.2), localise(soxr.resample(talker.T, RATE, rate), rate, hop_s=0.2)
    np.testing.assert_allclose(again.time_s, track.time_s)
    np.testing.assert_allclose(again.azimuth_deg, track.azimuth_deg, atol=1.5)


NOISE = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE))


@pytest.mark.parametrize(("ears", "rate", "message"), [
    (NOISE[0], RATE, "ears have the shape (32000,); two ear signals have (2, n) or (n, 2)"),
    (NOISE[:, :, np.newaxis], RATE, "ears have the shape (2, 32000, 1)"),
    (np.zeros((3, 32_000)), RATE, "ears have the shape (3, 32000)"),
    (np.where(np.arange(2 * RATE) == 99, np.nan, NOISE), RATE, "NaN"),
    (NOISE * np.inf, RATE, "infinite"),
    (NOISE + 1j, RATE, "complex"),
    (NOISE[:, :RATE], RATE, "is 1.000 s long; it must be at least 1.020 s"),
    (NOISE[[0, 0]], RATE, "holds the same signal in both channels"),
    (NOISE * [[1], [0]], RATE, "nothing in its right channel"),
    ((NOISE * 32_767).astype(np.int64), RATE, "ears hold int64 values, whose full scale is not known"),
    (NOISE, 0, "sample_rate_hz 0 is not possible"),
    (NOISE, 1, "sample_rate_hz 1 is not possible"),
    (NOISE, 1e9, "sample_rate_hz 1000000000.0 is not possible; it must be a number from 1000 to 1000000"),
    (NOISE, float("inf"), "sample_rate_hz inf is not possible"),
    (NOISE, "16000", "sample_rate_hz '16000' is not possible"),
    (NOISE, float("nan"), "sample_rate_hz nan is not possible"),
])
def test_localise_refuses_what_is_not_two_ears(ears, rate, message):
    with pytest.raises(BadInput, match=re.escape(message)) as refusal:
        localise(ears, rate)
    assert one_sentence(str(refusal.value))


def test_sources_are_told_in_the_rows_of_the_track():
    talkers_deg = np.tile([-40.0, 25.0], (30, 1))
    two = tracking.Tracker(FakeHearing(talkers_deg=talkers_deg), PARAMS, 5)
    signal = np.random.default_rng(1).normal(0, 0.1, (4 * RATE, 2)).astype(np.float32)
    signal[2 * RATE:3 * RATE + 2000] = 0
    for at in range(0, len(signal), 5_000):
        two.push(signal[at:at + 5_000])
    sources, track = two.sources(2), two.track()
    assert sorted(np.nanmedian(source.azimuth_deg).round() for source in sources) == [-40, 25]
    is_silent = track.level_db < -80
    assert is_silent.any()
    for source in sources:
        np.testing.assert_array_equal(source.time_s, track.time_s)
        np.testing.assert_array_equal(source.level_db, track.level_db)
        np.testing.assert_array_equal(source.has_source, ~is_silent)
        assert (source.half_width_68_deg[source.has_source] > 0).all()
    assert len(two.sources(1)) == 1
    assert tracking.Tracker(FakeHearing(), PARAMS, 5).sources(2) == []


def test_sources_of_channels_that_are_no_ears_have_wide_half_widths():
    two = tracking.Tracker(FakeHearing(talkers_deg=np.full((30, 1), 20.0)), PARAMS, 5)
    left = np.random.default_rng(1).normal(0, 0.1, 4 * RATE + 100).astype(np.float32)
    two.push(np.stack([left[100:], left[:-100]], axis=1))
    two.check("spaced microphones")
    source, = two.sources(2)
    assert two.channels.is_doubtful
    assert np.nanmin(source.half_width_68_deg) >= tracking.DOUBTFUL_HALF_WIDTH_DEG


def test_several_sources_of_a_model_that_tells_one_are_refused():
    one = tracker()
    one.push(NOISE.T.astype(np.float32))
    with pytest.raises(BadInput, match="one source at a time") as refusal:
        one.sources(2)
    assert one_sentence(str(refusal.value))


@pytest.mark.parametrize("sources", [0, 5, 1.5, "two"])
def test_localise_refuses_other_counts_of_sources(sources):
    with pytest.raises(BadInput, match="it must be a whole number from 1 to 4") as refusal:
        localise(NOISE, RATE, sources=sources)
    assert one_sentence(str(refusal.value))


def test_localise_lists_the_sources(monkeypatch):
    talkers_deg = np.tile([-40.0, 25.0], (30, 1))
    heard = SimpleNamespace(hear_rows=FakeHearing(talkers_deg=talkers_deg))
    monkeypatch.setattr(array_call, "_network", lambda *_: heard)
    sources = localise(NOISE, RATE, sources=2)
    assert [type(source).__name__ for source in sources] == ["Source", "Source"]
    assert sorted(source.overall()[0].__round__() for source in sources) == [-40, 25]
