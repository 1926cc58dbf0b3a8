"""What a microphone heard, in a file that can be read however the run ends."""
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from helpers import ROOT, one_sentence

from console import BadInput
from params import Params
from shards.audio import CutShort, ear_blocks
from shards.recorder import Recorder

RATE = 48_000
PARAMS = replace(Params(), sample_rate_hz=RATE)
BLOCK = 960
# Writes 2 s of noise of 16 bits in blocks of 20 ms, with nothing said in the end; LIMIT is the longest file in bytes.
RUN = """
import os, resource, signal, sys
import numpy as np
sys.path.insert(0, {root!r})
from shards.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
recorder = Recorder({path!r}, 48_000)
noise = np.random.default_rng(0).integers(-2**15, 2**15, (96_000, 2)).astype(np.float32) / 2**15
for at in range(0, len(noise), 960):
    recorder.write(noise[at:at + 960])
print(recorder.seconds, flush=True)
{ends}
"""
NOISE = np.random.default_rng(0).integers(-2**15, 2**15, (96_000, 2)).astype(np.float32) / 2**15


def run(path, ends="os.kill(os.getpid(), signal.SIGKILL)", limit=-1):
    code = RUN.format(root=str(ROOT), path=str(path), ends=ends, limit=limit)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def read(path, may_be_torn=False):
    blocks = []
    with suppress(*([CutShort] if may_be_torn else [])):
        for block in ear_blocks(path, PARAMS):
            blocks.append(block)
    return np.concatenate(blocks)


@pytest.mark.parametrize("ending", [".wav", ".flac", ".FLAC"])
@pytest.mark.parametrize("bits", [16, 24])
def test_samples_of_a_card_are_kept_exactly(tmp_path, ending, bits):
    full = 2 ** (bits - 1)
    samples = np.random.default_rng(0).integers(-full, full, (5000, 2)).astype(np.float32) / full
    samples[:2] = [[-1, 1 - 1 / full], [0, -1 / full]]
    path = tmp_path / "new folder" / f"talk{ending}"
    with Recorder(path, RATE) as recorder:
        for at in range(0, 5000, BLOCK):
            recorder.write(samples[at:at + BLOCK])
        assert recorder.seconds == 5000 / RATE
    np.testing.assert_array_equal(read(path), samples)
    assert sf.info(path).samplerate == RATE


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_what_goes_beyond_full_scale_is_clipped_and_does_not_wrap(tmp_path, ending):
    with Recorder(tmp_path / f"loud{ending}", RATE) as recorder:
        recorder.write(np.array([[1.0, -1.0], [1.5, -1.5], [100, -100]], np.float32))
    assert np.abs(read(tmp_path / f"loud{ending}") - [1, -1]).max() < 1e-6


@pytest.mark.parametrize(("ending", "missing"), [(".wav", 0), (".flac", 0.2)])
def test_a_killed_run_leaves_what_it_heard(tmp_path, ending, missing):
    path = tmp_path / f"talk{ending}"
    assert run(path).returncode == -9
    there = read(path)
    assert len(there) >= len(NOISE) - missing * RATE
    np.testing.assert_array_equal(there, NOISE[:len(there)])


def test_a_wav_states_its_length_at_every_moment(tmp_path):
    with Recorder(tmp_path / "talk.wav", RATE) as recorder:
        for count in range(1, 4):
            recorder.write(NOISE[:BLOCK])
            assert sf.info(tmp_path / "talk.wav").frames == count * BLOCK


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_a_full_disk_ends_the_recording_with_one_line_and_nothing_else(tmp_path, ending):
    path = tmp_path / f"talk{ending}"
    done = run(path, ends="recorder.close()", limit=100_000)
    assert done.returncode == 0, done.stderr
    assert one_sentence(done.stderr)
    assert f"{path}: the recording ends at " in done.stderr
    assert "listening goes on" in done.stderr
    there = read(path, may_be_torn=ending == ".flac")          # its last frame
    assert 0.2 * RATE < len(there) <= 100_000 / 4
    np.testing.assert_array_equal(there, NOISE[:len(there)])


def test_blocks_are_written_as_they_came_and_passed_on(tmp_path):
    blocks = [SimpleNamespace(as_it_came=NOISE[at:at + BLOCK]) for at in range(0, 4 * BLOCK, BLOCK)]
    with Recorder(tmp_path / "talk.wav", RATE) as recorder:
        assert list(recorder.keep(blocks)) == blocks
    np.testing.assert_array_equal(read(tmp_path / "talk.wav"), NOISE[:4 * BLOCK])


def test_files_that_cannot_be_are_refused_and_nothing_is_overwritten(tmp_path):
    (tmp_path / "old.wav").write_bytes(b"precious")
    (tmp_path / "folder.wav").mkdir()
    for name, told in (("old.wav", "exists already"), ("talk.mp3", ".flac or .wav"), ("talk", ".flac or .wav"),
                       ("folder.wav", "exists already"),
                       ("old.wav/talk.wav", r"^--record \S+ cannot be written .* a folder you may write to")):
        with pytest.raises(BadInput, match=told) as refused:
            Recorder(tmp_path / name, RATE)
        assert one_sentence(str(refused.value))
    assert (tmp_path / "old.wav").read_bytes() == b"precious"


def test_a_wav_that_ctrl_c_ends_between_samples_and_header_is_whole(tmp_path, monkeypatch):
    with Recorder(tmp_path / "talk.wav", 48_000) as file:
        file.write(np.zeros((960, 2)))
        monkeypatch.setattr(file._writer._wav, "writeframes", file._writer._file.write)    # and nothing is counted
        file.write(np.full((960, 2), 0.25))
        monkeypatch.undo()
    samples, _ = sf.read(tmp_path / "talk.wav")
    assert len(samples) == 1920
    assert (samples[960:] == 0.25).all()
