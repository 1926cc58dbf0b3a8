"""Audio files as users have them: cut short, never closed, of unknown length, clipped, behind links, in containers."""
import struct

import numpy as np
import pytest
import soundfile as sf
from helpers import PARAMS
from scipy.signal import chirp, fftconvolve

from console import BadInput
from shards import audio, containers
from shards.audio import CutShort, audio_paths, ear_blocks, find_audio, read_mono

RATE = 16_000
TIME_S = np.arange(4 * RATE) / RATE
SOUND = 0.1 * np.random.default_rng(0).standard_normal((4 * RATE, 2))
PULSES = np.stack([fftconvolve(100 * TIME_S % 1 < 0.01 * (1 + TIME_S), np.exp(-200 * TIME_S[:800]) * np.sin(
    2 * np.pi * hz * TIME_S[:800]))[:4 * RATE] for hz in (500, 600)], axis=1)  # of a voice, through one resonance


def ears_of(path):
    return np.concatenate(list(ear_blocks(path, PARAMS)))


def test_an_mp3_cut_short_is_read_as_far_as_it_goes_and_named(tmp_path):
    path = tmp_path / "cut.mp3"
    sf.write(path, SOUND, RATE)
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    read = []
    with pytest.raises(CutShort, match=r"holds [12]\.\d of 4\.0 s"):
        read += list(ear_blocks(path, PARAMS))
    blocks = ear_blocks(path, PARAMS)
    assert len(next(blocks)) < 2.5 * RATE  # and no buffer is repeated to fill the promise


@pytest.mark.parametrize("ending", ["wav", "aiff", "au", "w64", "rf64", "flac", "ogg"])
def test_a_file_cut_short_is_named_whatever_its_format(tmp_path, ending):
    path = tmp_path / f"cut.{ending}"
    sf.write(path, SOUND, RATE, format=ending.upper())
    whole = ears_of(path)
    path.write_bytes(path.read_bytes()[:int(0.7 * path.stat().st_size)])
    read, blocks = [], ear_blocks(path, PARAMS)
    with pytest.raises(CutShort):
        read.extend(blocks)
    assert 0 < sum(map(len, read)) < len(whole)


def test_a_tear_at_the_beginning_of_a_block_is_a_tear(tmp_path, monkeypatch):
    path = tmp_path / "cut.flac"
    sf.write(path, SOUND, RATE)
    path.write_bytes(path.read_bytes()[:int(0.7 * path.stat().st_size)])
    monkeypatch.setattr(audio, "READ_FRAMES", audio.PIECE_FRAMES)
    with pytest.raises(CutShort):
        ears_of(path)


def wav_of_lengths(path, riff_length, data_length):
    """Write SOUND as a wav whose header states other lengths than its own, None for its own; return what it holds."""
    sf.write(path, SOUND, RATE, subtype="PCM_16")
    whole, stored = ears_of(path), bytearray(path.read_bytes())
    for at, length in ((4, riff_length), (stored.index(b"data") + 4, data_length)):
        if length is not None:
            stored[at:at + 4] = struct.pack("<I", length)
    path.write_bytes(stored)
    return whole


@pytest.mark.parametrize("riff_length", [0, 36, 2 ** 32 - 1])
def test_a_wav_that_was_never_closed_is_read_to_its_end(tmp_path, riff_length):
    whole = wav_of_lengths(tmp_path / "open.wav", riff_length, 0)
    assert np.array_equal(ears_of(tmp_path / "open.wav"), whole)


def test_a_wav_longer_than_its_length_field_is_read_to_its_end(tmp_path):
    whole = wav_of_lengths(tmp_path / "wrapped.wav", None, 40_000)  # what is left over of a length above 2^32
    assert np.array_equal(ears_of(tmp_path / "wrapped.wav"), whole)


def test_chunks_after_the_sound_stay_chunks(tmp_path):
    path = tmp_path / "tagged.wav"
    sf.write(path, SOUND, RATE, subtype="PCM_16")
    whole = ears_of(path)
    with open(path, "ab") as file:
        file.write(b"LIST" + struct.pack("<I", 100) + bytes(100))
    assert np.array_equal(ears_of(path), whole)


@pytest.mark.parametrize("length", [None, 0])
def test_a_chunk_of_odd_length_without_its_padding_is_passed_over(tmp_path, length):
    path = tmp_path / "unpadded.wav"
    whole = wav_of_lengths(path, None, length)
    stored = path.read_bytes()
    path.write_bytes(stored[:12] + b"iXML" + struct.pack("<I", 603) + b"x" * 603 + stored[12:])
    assert np.array_equal(ears_of(path), whole)


def test_a_wav_cut_short_behind_an_unpadded_chunk_is_named(tmp_path):
    path = tmp_path / "unpadded.wav"
    wav_of_lengths(path, None, None)
    stored = path.read_bytes()
    path.write_bytes(stored[:12] + b"iXML" + struct.pack("<I", 603) + b"x" * 603 + stored[12:len(stored) // 2])
    with pytest.raises(CutShort, match=r"unpadded\.wav is cut short: it holds 2\.0 s"):
        ears_of(path)


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), bytes(range(256)) * 12])
def test_a_flac_with_a_tag_after_its_end_is_whole(tmp_path, tag):
    path = tmp_path / "tagged.flac"
    sf.write(path, SOUND, RATE)
    whole = ears_of(path)
    with open(path, "ab") as file:
        file.write(tag)
    assert np.array_equal(ears_of(path), whole)


def test_a_file_that_grows_while_it_is_read_is_read_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "growing.wav"
    sf.write(path, SOUND, RATE, subtype="PCM_16")
    monkeypatch.setattr(audio, "READ_FRAMES", RATE)
    read = []
    for block in ear_blocks(path, PARAMS):
        read.append(block)
        with open(path, "ab") as file:
            file.write(bytes(RATE))
    assert sum(map(len, read)) == len(SOUND)


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "pipe.flac"
    sf.write(path, SOUND, RATE)
    whole = ears_of(path)
    stored = bytearray(path.read_bytes())
    stored[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    stored[22:26] = bytes(4)
    path.write_bytes(stored)
    assert np.array_equal(ears_of(path), whole)


def test_channels_that_cancel_are_named(write):
    path = write("opposite.wav", SOUND[:, :1] * [1, -1])
    with pytest.raises(BadInput, match="opposite polarity"):
        read_mono(path, PARAMS)


def test_clipping_is_named(write, capsys):
    ears_of(write("loud.wav", np.clip(SOUND * 10, -0.5, 0.5)))
    assert "loud.wav is clipped" in capsys.readouterr().err


@pytest.mark.parametrize("over_db", [6, 14])
@pytest.mark.parametrize("ears", [slice(None), slice(1)], ids=["both", "left"])
def test_a_little_clipping_is_named(write, over_db, ears, capsys):
    voice = PULSES * np.sin(np.pi * TIME_S[:, np.newaxis] / 2) ** 200  # loud for a moment now and then
    voice *= 0.9 / np.abs(voice).max()
    voice[:, ears] = np.clip(voice[:, ears] * 10 ** (over_db / 20), -0.9, 0.9)
    ears_of(write("loud.wav", voice))
    assert "loud.wav is clipped" in capsys.readouterr().err


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "FLOAT"])
@pytest.mark.parametrize("sound", [
    SOUND, PULSES, chirp(TIME_S, 5, 4, 100), chirp(TIME_S, 20, 4, 7500, "logarithmic"), np.sin(40 * np.pi * TIME_S),
], ids=["noise", "pulses", "slow sweep", "sweep", "tone"])
def test_honest_peaks_are_not_clipping(tmp_path, sound, subtype, capsys):
    path, ears = tmp_path / "fine.wav", sound if sound.ndim == 2 else np.stack([sound, sound], axis=1)
    sf.write(path, 0.999 * ears / np.abs(ears).max(), RATE, subtype=subtype)
    ears_of(path)
    assert capsys.readouterr().err == ""


def test_a_silent_channel_is_not_clipped(write, capsys):
    ears_of(write("quiet.wav", SOUND * [1, 0]))
    ears_of(write("faint.wav", np.round(SOUND * 20) / 32768))  # peaks of a few steps
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["talk.aifc", "talk.amb", "talk.bwf", "talk.sph", "talk.snd", "talk.sf", "talk.8svx",
                                  "talk.WAV", "talk.m4a"])
def test_every_ending_of_audio_is_found(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert audio_paths(tmp_path) == [tmp_path / name]


def test_links_to_folders_are_followed_once(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "here").mkdir()
    sf.write(tmp_path / "far" / "talk.wav", SOUND, RATE)
    (tmp_path / "here" / "library").symlink_to(tmp_path / "far")
    (tmp_path / "here" / "circle").symlink_to(tmp_path / "here")
    assert [path.name for path in audio_paths(tmp_path / "here")] == ["talk.wav"]


def test_a_container_without_its_reader_is_named_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "phone.m4a").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
    with pytest.raises(BadInput, match=r"phone\.m4a .*requirements-formats\.txt.*ffmpeg"):
        find_audio(tmp_path, "--speech", 1, PARAMS)


def test_another_name_of_a_container_without_its_reader_is_named_with_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "phone.wav").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
    with pytest.raises(BadInput, match=r"phone\.wav cannot be read .*requirements-formats\.txt.*replace it"):
        ears_of(tmp_path / "phone.wav")


@pytest.fixture
def phone(tmp_path):
    """Function: write a sound (n, 2) with PyAV; gives its path."""
    av = pytest.importorskip("av")

    def written(name, sound, codec="aac", rate=RATE):
        with av.open(f"file:{tmp_path / name}", "w") as container:
            stream = container.add_stream(codec, rate=rate, layout="stereo")
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T, np.float32), format="fltp",
                                               layout="stereo")
            frame.sample_rate = rate
            for frames in (*av.AudioResampler(stream.format.name, frame_size=stream.frame_size).resample(frame), None):
                for packet in stream.encode(frames):
                    container.mux(packet)
        return tmp_path / name
    return written


TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[:, np.newaxis] * [1, 0.5]


def test_a_container_is_read_like_a_wav(phone):
    ears = ears_of(phone("phone.m4a", TONE))
    assert abs(len(ears) - RATE) < 3000
    assert np.abs(ears[4000:12000, 0]).max() == pytest.approx(0.3, abs=0.05)
    assert np.abs(ears[4000:12000, 1]).max() == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize("name", ["phone.wav", "phone", "12:30.m4a"])
def test_a_container_is_read_whatever_its_name(phone, tmp_path, name):
    path = phone("phone.m4a", TONE).rename(tmp_path / name)
    assert len(ears_of(path)) > RATE / 2


@pytest.mark.parametrize(("name", "codec"), [("cut.aac", "aac"), ("cut.webm", "libopus")])
def test_a_container_cut_short_is_named(phone, name, codec):
    path = phone(name, np.tile(SOUND, (3, 1)), codec, 48_000)
    ears_of(path)
    path.write_bytes(path.read_bytes()[:int(0.66 * path.stat().st_size)])
    read, blocks = [], ear_blocks(path, PARAMS)
    with pytest.raises(CutShort, match="cut short"):
        read.extend(blocks)
    assert sum(map(len, read)) > RATE / 2


def test_an_aac_whose_beginning_is_quiet_is_whole(phone):
    ears_of(phone("quiet.aac", np.concatenate([1e-4 * SOUND, SOUND, 1e-4 * SOUND, 1e-4 * SOUND])))


def test_samples_too_large_for_a_sound_are_refused_by_name(write, recwarn):
    for signal in (1e20 * SOUND, np.full((RATE, 2), np.inf)):
        for read in (ears_of, lambda path: read_mono(path, PARAMS)):
            with pytest.raises(BadInput, match=r"wild\.wav holds NaN, infinite or enormous samples"):
                read(write("wild.wav", signal))


def test_a_file_without_permission_is_told_apart_from_one_that_is_no_audio(write, monkeypatch):
    path = write("secret.wav", SOUND)

    def forbidden(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(audio, "_with_true_header", forbidden)
    with pytest.raises(BadInput, match=r"secret\.wav cannot be opened \(Permission denied\)"):
        ears_of(path)


def test_a_container_of_nonsense_is_refused_by_name(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "nonsense.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
    with pytest.raises(BadInput, match=r"nonsense\.mp4"):
        ears_of(path)
    assert ".mp4" in containers.SUFFIXES


def test_a_sample_rate_that_no_recording_has_is_refused_in_little_memory(write):
    with pytest.raises(BadInput, match="sample rate of 1 Hz"):
        ears_of(write("slow.wav", SOUND, 1))
