"""What a browser plays is what the file holds: sample by sample, left on the left, or the file's own bytes."""
import io

import numpy as np
import pytest
import soundfile as sf

from shards.listening import listening_copy


def played(path, **choice):
    return sf.read(io.BytesIO(listening_copy(path, **choice).read()), always_2d=True)


def noise(channels=2, scale=0.2, count=20_000):
    return np.random.default_rng(0).normal(0, scale, (count, channels)).clip(-1, 0.999)


@pytest.mark.parametrize(("subtype", "rate"), [("PCM_16", 44_100), ("PCM_24", 48_000), ("PCM_U8", 8_000)])
def test_whole_numbers_stay_as_they_are_at_their_rate(write, subtype, rate):
    path = write("talk.wav", noise(), rate, subtype)
    ears, told = played(path)
    assert told == rate
    assert np.array_equal(ears, sf.read(path)[0])


def test_floats_beyond_full_scale_are_made_quieter_and_keep_their_shape(write):
    signal = noise(scale=0.2) * 8
    ears, _ = played(write("loud.wav", signal))
    assert np.abs(ears).max() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(ears * np.abs(signal).max(), signal, atol=1e-5)


def test_quiet_floats_are_not_made_louder(write):
    signal = noise(scale=0.01)
    np.testing.assert_allclose(played(write("quiet.wav", signal))[0], signal, atol=1e-6)


@pytest.mark.parametrize(("choice", "columns"), [({"channels": (4, 2)}, [3, 1]),
                                                 ({"channels": (1, 3), "swaps_ears": True}, [2, 0])])
def test_the_ears_are_played_as_they_were_heard(write, choice, columns):
    path = write("four.wav", noise(4), subtype="PCM_16")
    assert np.array_equal(played(path, **choice)[0], sf.read(path)[0][:, columns])


def test_a_flac_is_played_with_its_own_bytes_unless_its_ears_are_exchanged(tmp_path):
    path = tmp_path / "talk.FLAC"
    sf.write(path, noise(), 44_100, format="FLAC")
    assert listening_copy(path).read() == path.read_bytes()
    assert np.array_equal(played(path, swaps_ears=True)[0], sf.read(path)[0][:, ::-1])


@pytest.mark.parametrize("name", ["talk.wav", "talk.flac"])
def test_a_copy_of_too_many_bytes_is_none_and_a_smaller_one_sounds_alike(tmp_path, name):
    time_s = np.arange(96_000) / 48_000
    tones = 0.4 * np.sin(2 * np.pi * np.outer(time_s, (500, 2_000)))
    sf.write(tmp_path / name, tones + noise(scale=1e-3, count=96_000), 48_000, subtype="PCM_24")
    copy = listening_copy(tmp_path / name)
    whole = copy.read()
    assert copy.read(len(whole)) == whole
    assert copy.read(len(whole) - 1) is None
    smaller = copy.smaller()
    data = smaller.read(2 * 24_000 * 4)                                # 16 bits of two channels at 24 kHz for 2 s
    assert len(data) < len(whole) / 2
    assert (smaller.media_type, smaller.ending) == ("audio/flac", ".flac")
    ears, rate = sf.read(io.BytesIO(data))
    assert (rate, len(ears)) == (24_000, 48_000)
    assert np.abs(np.fft.rfft(ears, axis=0)).argmax(axis=0).tolist() == [1_000, 4_000]


def test_rates_that_no_browser_plays_are_resampled(write):
    time_s = np.arange(4_000) / 4_000
    tone = np.stack([np.sin(2 * np.pi * 500 * time_s)] * 2, axis=1) * 0.5
    ears, rate = played(write("slow.wav", tone, 4_000))
    assert rate == 48_000
    assert len(ears) == 48_000
    assert np.abs(np.fft.rfft(ears[:, 0])).argmax() == 500


def test_a_file_that_is_cut_short_is_played_as_far_as_it_goes(write):
    path = write("cut.wav", noise(), subtype="PCM_16")
    whole = sf.read(path)[0]
    path.write_bytes(path.read_bytes()[:44 + 4 * 10_000])
    assert np.array_equal(played(path)[0], whole[:10_000])
