"""Audio files as users have them: cut short, never closed, of unknown length, clipped, behind links, in containers."""
import struct

import numpy as np
import pytest
import soundfile as sf
from helpers import PARAMS

from console import BadInput
from shards import audio, containers
from shards.audio import CutShort, audio_paths, ear_blocks, find_audio, read_mono

RATE = 16_000
SOUND = 0.1 * np.random.default_rng(0).standard_normal((4 * RATE, 2))


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


def test_honest_peaks_are_not_clipping(write, capsys):
    ears_of(write("fine.wav", SOUND))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["talk.aifc", "talk.amb", "talk.bwf", "talk.sph", "talk.snd", "talk.WAV", "talk.m4a"])
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


def test_a_container_is_read_like_a_wav(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "phone.m4a"
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone / 2]), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    ears = ears_of(path)
    assert abs(len(ears) - RATE) < 3000
    assert np.abs(ears[4000:12000, 0]).max() == pytest.approx(0.3, abs=0.05)
    assert np.abs(ears[4000:12000, 1]).max() == pytest.approx(0.15, abs=0.03)


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
