"""Nothing made is lost: two runs on one folder, a disk that fills, kills at fixed moments. docs/reliability.md."""
import errno
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
import soundfile as sf
from helpers import ROOT, digests, one_sentence, run_process, run_script

import console
from network import training
from params import Params
from shards import audio
from shards.feeds import ShardFeed
from shards.files import open_shards
from shards.folder import only_run

fcntl, pty, resource, termios = map(pytest.importorskip, ("fcntl", "pty", "resource", "termios"))  # not on Windows

KILLED_AT = """
import os, runpy, signal, sys
script, call, number = sys.argv[1:4]
sys.argv = sys.argv[3:]
sys.argv[0] = script
left, real = [int(number)], getattr(os, call)
def counted(*given):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given)
setattr(os, call, counted)
runpy.run_path(script, run_name="__main__")
"""


def killed_at(call, number, script, *args):
    """Run a script that is killed in the middle of the call of this number of a function of os."""
    done = subprocess.run([sys.executable, "-c", KILLED_AT, ROOT / script, call, str(number), *map(str, args)],
                          cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three recordings of noise, 1.2 s each."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, name in enumerate("abc"):
        ears = np.random.default_rng(number).normal(0, 0.1, (19_200, 2))
        sf.write(folder / f"{name}.wav", ears, 16_000)
    return folder


# ------------------------------------------------------------------------------------------------------------ two runs

@pytest.mark.parametrize("script", ["TrainingCNN.py", "Testing.py", "Localise.py", "SpatialiseTEST.py"])
def test_a_second_run_on_one_folder_is_refused(script, short_shards, folders, recordings, tmp_path):
    flags = {"TrainingCNN.py": ["--data", short_shards], "Localise.py": [recordings / "a.wav"],
             "Testing.py": ["--data", short_shards, "--models", "pretrained/best.onnx"], "SpatialiseTEST.py": folders}
    with only_run(tmp_path / "out"):
        refused = run_script(script, *flags[script], "--out", tmp_path / "out", status=2)
    last = refused.stderr.splitlines()[-1]
    assert "is being written by another run; wait until that has ended, or choose another --out." in last
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("out", ["out", "listen"])
def test_examples_to_hear_are_written_by_one_run_and_leave_nothing_half_written(folders, tmp_path, out):
    """In a folder of their own, and in that of the shards."""
    half_written = tmp_path / "listen" / "azimuth_+00_deg.wav.0123abcd.partial"
    flags = [*folders, "--snr-db", 20, "--frames", 10, "--out", tmp_path / out, "--listen", tmp_path / "listen"]
    with only_run(tmp_path / "listen"):
        half_written.write_text("of a run that was killed")
        refused = run_script("SpatialiseTEST.py", *flags, status=2)
    assert "listen is being written by another run; wait" in refused.stderr
    half_written.write_text("of a run that was killed")
    run_script("SpatialiseTEST.py", *flags)
    assert len(list((tmp_path / "listen").glob("*.wav"))) == 37
    assert not {path.suffix for path in (tmp_path / "listen").iterdir()} - {".wav", ".npz", ".index"}


# -------------------------------------------------------------------------------------------------------- a disk fills

class FillingDisk:
    """Let so many files appear under their names; then the disk is full, until there is space again."""

    def __init__(self, monkeypatch, files):
        self.left, self._replace = files, os.replace
        monkeypatch.setattr(console.os, "replace", self.replace)

    def replace(self, partial, path):
        """Rename, or refuse."""
        if self.left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.left -= 1
        self._replace(partial, path)


def test_a_disk_that_fills_in_the_midst_of_a_folder_ends_it(recordings, tmp_path, monkeypatch):
    disk = FillingDisk(monkeypatch, files=3)  # those of one recording, and one of the second
    flags = [recordings, "--out", tmp_path]
    stopped = run_script("Localise.py", *flags, status=2)
    assert one_sentence(stopped.stderr)
    assert "b.png cannot be written because the disk is full; free some space" in stopped.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.png", "b.csv"}
    before = (tmp_path / "a.csv").read_bytes()
    disk.left = 99
    assert "3 recording(s)" in run_script("Localise.py", *flags).stdout
    assert (tmp_path / "a.csv").read_bytes() == before


@pytest.fixture
def largest_file():
    """Function: limit the size of a file from now on, which refuses as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [20, 5_000, 60_000])
def test_a_wav_that_does_not_fit_is_told(tmp_path, largest_file, size):
    largest_file(size)
    with pytest.raises(console.CannotWrite, match=r"a\.wav cannot be written because the file is larger than is"):
        audio.write_wav(tmp_path / "a.wav", np.zeros((2, 16_000)), 16_000)
    assert not list(tmp_path.iterdir())


def test_examples_to_hear_that_do_not_fit_keep_the_shards(folders, tmp_path, largest_file):
    flags = [*folders, "--snr-db", 20, "--out", tmp_path / "out"]
    run_script("SpatialiseTEST.py", *flags)
    before = digests(tmp_path / "out")
    largest_file(10_000)
    refused = run_script("SpatialiseTEST.py", *flags, "--listen", tmp_path / "listen", status=2)
    assert one_sentence(refused.stderr)
    assert "azimuth_-90_deg.wav cannot be written" in refused.stderr
    assert digests(tmp_path / "out") == before
    assert not list((tmp_path / "listen").iterdir())


@pytest.mark.slow
def test_testing_on_a_disk_that_fills(short_shards, tmp_path, monkeypatch):
    flags = ["--data", short_shards, "--models", "pretrained/best.onnx", "--out", tmp_path]
    disk = FillingDisk(monkeypatch, files=1)
    refused = run_script("Testing.py", *flags, status=2).stderr.splitlines()[-1]
    assert "predictions.csv cannot be written because the disk is full" in refused
    assert {path.name for path in tmp_path.iterdir()} == {"results.json"}
    before = (tmp_path / "results.json").read_bytes()
    disk.left = 99
    run_script("Testing.py", *flags)
    assert (tmp_path / "results.json").read_bytes() == before


# --------------------------------------------------------------------------------------------------------------- kills

@pytest.mark.slow
@pytest.mark.parametrize(("call", "number"), [("fsync", 1), ("replace", 2), ("replace", 5), ("unlink", 1)])
def test_spatialise_killed_at_fixed_moments_goes_on_to_the_same_bytes(folders, tmp_path, call, number):
    """While a shard is half written, while it gets its name, while the index does, while the lock is removed."""
    flags = [*folders, "--snr-db", 20, "--frames", 10, "--jobs", 1]
    run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "whole")
    killed_at(call, number, "SpatialiseTEST.py", *flags, "--out", tmp_path / "cut")
    run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "cut")
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {*digests(tmp_path / "whole"), "shards.index"}


@pytest.mark.slow
def test_training_killed_while_it_writes_a_checkpoint_goes_on_as_if_it_had_not(short_shards, tmp_path):
    """The sixth file, last.keras of the second epoch, has no name yet; best.keras is already of that epoch."""
    flags = ["--data", short_shards, "--epochs", 2, "--model", "original"]
    out = tmp_path / "cut"
    killed_at("fsync", 6, "TrainingCNN.py", *flags, "--out", out)
    assert list(out.glob("last.keras.*.partial"))
    run_script("TrainingCNN.py", *flags, "--out", out, "--resume")
    feed = ShardFeed([open_shards(short_shards, Params(), "X.py")], replace(Params(), model="original", loss="mse"))
    whole = training.fit(feed, 2, console.folder_for_output(tmp_path / "whole"), resume=False)
    rows = (out / "history.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:4] for row in rows] == [
        [str(row[key]) for key in ("epoch", "loss", "validation_loss", "validation_within_5_deg_percent")]
        for row in whole]
    for name in ("best.keras", "last.keras"):
        assert weights_of(out / name) == weights_of(tmp_path / "whole" / name)
    assert {path.name for path in out.iterdir()} == {"best.keras", "last.keras", "history.csv", "history.png"}


def weights_of(path):
    arrays = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda name, entry: arrays.update({name: entry[()].tobytes()} if hasattr(entry, "dtype")
                                                          else {}))
    assert len(arrays) > 10
    return arrays


FEED = """
import sys, time
from dataclasses import replace
from pathlib import Path
import console, hrir
from params import Params
from shards.audio import find_audio
from shards.on_the_fly import WavFeed
from sound import mixing
def main():
    params = replace(Params(), frames=10)
    files, _ = find_audio(sys.argv[1], "--speech", 1, params)
    heads = [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))]
    with WavFeed(files, files, heads, params, {}, 256, 2) as feed:
        for epoch in range(1000):
            for _ in feed.training(epoch):
                if not epoch:
                    print("mixed", flush=True)
if __name__ == "__main__":
    sys.exit(console.run(main))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "closed terminal"])
def test_no_worker_outlives_the_process_that_trains(wavs, tmp_path, ending):
    (tmp_path / "feed.py").write_text(FEED)
    ours, terminal = pty.openpty()
    heard = [terminal] if ending in ("SIGINT", "closed terminal") else []
    with subprocess.Popen([sys.executable, tmp_path / "feed.py", wavs("SpeechTEST", 2)], stdin=terminal, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: lead_a_group(*heard),
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as running:
        os.close(terminal)
        assert running.stdout.readline() == "mixed\n"
        if ending == "closed terminal":
            os.close(ours)
        elif ending == "SIGINT":
            os.write(ours, b"\x03")  # to all processes of the terminal
        else:
            running.send_signal(signal.Signals[ending])
        deadline, is_left = time.monotonic() + 20, True
        while is_left and time.monotonic() < deadline:
            running.poll()
            is_left = is_any_left(running.pid)
            time.sleep(0.05)
        if is_left:
            os.killpg(running.pid, signal.SIGKILL)
        _, told = running.communicate()
    if ending != "closed terminal":
        os.close(ours)
    assert not is_left
    assert "Traceback" not in told
    assert "leaked" not in told
    if ending == "SIGINT":
        assert running.returncode == 130
        assert one_sentence(told)


def lead_a_group(terminal=None):
    """Make this process the first of a group; a terminal tells the whole group of Ctrl-C and of its end."""
    os.setsid()
    if terminal is not None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_any_left(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# --------------------------------------------------------------------------------------------------------------- names

def test_names_in_the_scripts_of_the_world(tmp_path):
    names = ["Привет", "مرحبا", "नमस्ते", "こんにちは", "안녕", "สวัสดี", "γειά", "e\u0301", "👩‍🎤"]
    for kind, of_kind in (("speech", names), ("noise", ["шум"])):
        for number, name in enumerate(of_kind):
            (tmp_path / kind).mkdir(exist_ok=True)
            sf.write(tmp_path / kind / f"{name}.wav", np.random.default_rng(number).normal(0, 0.1, 17_600), 16_000)
    out = tmp_path / "дані"
    run_process("SpatialiseTRAIN.py", "--speech", tmp_path / "speech", "--noise", tmp_path / "noise", "--out", out,
                "--snr-db", 0, "--frames", 10)
    shards = open_shards(out, Params(), "X.py")
    assert {shard.speech for shard in shards} == {f"{name}.wav" for name in names}
