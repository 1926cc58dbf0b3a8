"""TrainingCNN.py --from-wavs as a user runs it: mixtures on the fly, and no worker left behind."""
import json
import os
import signal
import time
import zipfile

import pytest
from helpers import run_script, start_process

from shards import on_the_fly


@pytest.mark.slow
def test_training_straight_from_wavs(wavs, tmp_path, monkeypatch):
    monkeypatch.setattr(on_the_fly, "VALIDATION_CHUNKS", 4)
    flags = ["--from-wavs", "--speech", wavs("SpeechTRAIN", 4), "--noise", wavs("NoiseTRAIN", 2), "--samples", 600,
             "--frames", 10, "--snr-range-db", 0, 30, "--out", tmp_path / "models"]
    printed = run_script("TrainingCNN.py", *flags)
    assert printed.stderr == ""
    assert "mixtures on the fly of 4 speech x 2 noise files, 1 epochs" in printed.stdout
    assert "mit_kemar: 37 directions" in printed.stdout
    assert not list(tmp_path.glob("**/*.npz"))
    again = run_script("TrainingCNN.py", *flags, "--resume", "--workers", 1)
    assert "epoch " not in again.stdout.split("1 epochs")[1].split("best.keras")[0]
    with zipfile.ZipFile(tmp_path / "models" / "last.keras") as archive:
        assert json.loads(archive.read("binsl.json"))["scenes"]["snr_range_db"] == [0, 30]
    assert "cannot be resumed" in run_script("TrainingCNN.py", *flags, "--resume", "--world", status=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["Ctrl-C", "killed"])
def test_training_from_wavs_leaves_no_worker_behind(wavs, tmp_path, ending):
    flags = ["--from-wavs", "--speech", wavs("SpeechTRAIN", 3), "--noise", wavs("NoiseTRAIN", 1), "--model", "original",
             "--workers", 2, "--out", tmp_path / "models"]
    with start_process("TrainingCNN.py", *flags, start_new_session=True) as running:
        for line in running.stdout:
            if "on the fly" in line:
                break
        time.sleep(3)  # in the first epoch
        if ending == "killed":
            running.kill()
        else:
            os.killpg(running.pid, signal.SIGINT)  # a terminal sends it to the workers too
        deadline = time.monotonic() + 20
        while processes_of(running.pid) and time.monotonic() < deadline:
            running.poll()
            time.sleep(0.2)
        left = processes_of(running.pid)
        if left:
            os.killpg(running.pid, signal.SIGKILL)
        _, printed = running.communicate(timeout=60)
    assert not left
    if ending == "Ctrl-C":
        assert running.returncode == 130
        assert printed == "TrainingCNN.py: interrupted; what was finished is kept and nothing is half written.\n"
    assert not list((tmp_path / "models").glob("*.partial"))


def processes_of(group):
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
