"""Audio files of every kind that are damaged: read as far as they go or refused by name; labels of any text."""
import re
import tracemalloc
from functools import lru_cache

import numpy as np
import pytest
import soundfile as sf
from helpers import PARAMS, one_sentence
from hypothesis import given, settings
from hypothesis import strategies as st

from console import BadInput
from shards import audio, recordings

RATE = 8000  # which GSM needs
KINDS = ["WAV PCM_16", "WAV GSM610", "WAV IMA_ADPCM", "WAV MS_ADPCM", "WAVEX PCM_24", "RF64 FLOAT", "W64 PCM_U8",
         "AIFF PCM_16", "AIFF GSM610", "AU G721_32", "AU G723_24", "AU ULAW", "CAF ALAC_16", "CAF PCM_24",
         "FLAC PCM_16", "OGG VORBIS", "OGG OPUS", "MP3 MPEG_LAYER_III", "NIST PCM_16", "VOC PCM_U8", "SVX PCM_16",
         "PAF PCM_16", "IRCAM PCM_16", "MAT5 DOUBLE", "HTK PCM_16", "AVR PCM_16", "MPC2K PCM_16", "XI DPCM_16",
         "WVE ALAW"]
BITS = st.integers(1, 255)


@lru_cache
def content_of(kind, folder):
    """The bytes of a file of a kind, of half a second of noise in one channel."""
    name, subtype = kind.split()
    path = folder / f"whole {kind}"
    sound = 0.1 * np.random.default_rng(0).standard_normal(RATE // 2)
    sf.write(path, sound, RATE, format=name, subtype=subtype)
    return path.read_bytes()


def outcome(path, content):
    """Read a file of such content: its length, or the sentence that refuses it."""
    path.write_bytes(content)
    blocks = []
    try:
        blocks.extend(audio._blocks(path, PARAMS, lambda block: block))
    except BadInput as problem:
        return str(problem)
    assert all(block.dtype == np.float32 for block in blocks)
    return sum(map(len, blocks))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_of_any_kind_is_read_or_refused_by_name(kind, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    content, path = content_of(kind, folder), folder / f"damaged.{kind.split()[0].lower()}"
    assert isinstance(outcome(path, content), int)

    @settings(max_examples=40)
    @given(st.integers(0, len(content) - 1), BITS, st.sampled_from(["flip", "flip at the front", "cut", "zeros"]))
    def damage(at, bits, how):
        at = at % 120 if how == "flip at the front" else at
        damaged = bytearray(content)
        damaged[at] ^= bits
        damaged = {"cut": content[:at], "zeros": content[:at] + bytes(64) + content[at + 64:]}.get(how, bytes(damaged))
        told = outcome(path, damaged)
        assert isinstance(told, int) or (path.name in told and one_sentence(told))

    damage()


@given(st.binary(max_size=300), st.sampled_from(["wav", "flac", "mp3", "aiff", "au", "caf", "ogg", "m4a", "webm"]),
       st.sampled_from([b"", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"OggS", b"fLaC", b".snd", b"FORM", b"caff", b"ID3"]))
def test_any_bytes_are_read_or_refused_by_name(tmp_path_factory, content, ending, begins):
    path = tmp_path_factory.getbasetemp() / f"nonsense.{ending}"
    told = outcome(path, begins + content)
    assert isinstance(told, int) or (path.name in told and one_sentence(told))


def test_a_wav_that_declares_gigabytes_of_format_is_refused_in_little_memory(tmp_path):
    tracemalloc.start()
    told = outcome(tmp_path / "format.wav", b"RIFF\xff\xff\xff\xffWAVEfmt \xf0\xff\xff\xff" + bytes(100))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "format.wav" in told
    assert most_bytes < 50e6


def test_a_stream_without_a_rate_is_refused_by_name(tmp_path):
    pytest.importorskip("av")
    content = bytearray(content_of("WAVEX PCM_16", tmp_path))
    content[20] ^= 116  # the format's tag: no codec has it
    assert "tag.wav cannot be read as audio" in outcome(tmp_path / "tag.wav", content)


@given(st.integers(1, 4000), st.sampled_from([1, 2]), st.sampled_from(["PCM_16", "FLOAT"]), st.integers(0, 2 ** 32 - 1))
def test_what_is_written_is_read(tmp_path_factory, count, channels, subtype, seed):
    path = tmp_path_factory.getbasetemp() / "round.wav"
    signal = np.random.default_rng(seed).uniform(-1, 1, (count, channels)).astype(np.float32)
    sf.write(path, signal, PARAMS.sample_rate_hz, subtype=subtype)
    read = np.concatenate(list(audio._blocks(path, PARAMS, lambda block: block)))
    assert read.shape == signal.shape
    np.testing.assert_allclose(read, signal, atol=0 if subtype == "FLOAT" else 2 ** -15)


CELLS = st.one_of(st.text(max_size=20), st.floats().map(str),
                  st.sampled_from(["a.wav", "x" * 300, "é" * 130, "a\0b", ""]))


@given(st.lists(st.lists(CELLS, max_size=5), max_size=4), st.sampled_from([",", ";", "\t"]))
def test_labels_of_any_text_are_refused_by_name(tmp_path_factory, rows, separator):
    folder = tmp_path_factory.getbasetemp() / "labelled"
    folder.mkdir(exist_ok=True)
    lines = [separator.join(recordings.HEADER), *(separator.join(row) for row in rows)]
    (folder / recordings.LABELS).write_text("\n".join(lines), encoding="utf-8", errors="replace")
    with pytest.raises(BadInput, match=re.escape(recordings.LABELS)):
        recordings.read_labels(folder, PARAMS)


@given(st.binary(max_size=200))
def test_labels_of_any_bytes_are_refused_by_name(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "labelled"
    folder.mkdir(exist_ok=True)
    (folder / recordings.LABELS).write_bytes(content)
    with pytest.raises(BadInput, match=re.escape(recordings.LABELS)):
        recordings.read_labels(folder, PARAMS)


def test_a_name_longer_than_any_file_system_takes_is_named(tmp_path):
    (tmp_path / recordings.LABELS).write_text(f"{','.join(recordings.HEADER)}\n{'x' * 300},0,2,30\n")
    with pytest.raises(BadInput, match=r"labels\.csv has 1 row.*\n.*x{300} does not exist"):
        recordings.read_labels(tmp_path, PARAMS)
