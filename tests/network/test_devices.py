"""Training on several devices: two processes on this machine, and two imitated devices of one process."""
import csv
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from helpers import ROOT, free_ports, one_sentence, run_script

from network.model import Network

WAIT_S = 280


def flags_of(shards, out, *more):
    return ["--data", shards, "--out", out, "--batch-size", 32, *more]


@contextmanager
def workers(*flags_of_each):
    """Start one process for each list of flags, with a TF_CONFIG of all; none outlives the test."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(flags_of_each))]
    running = []
    try:
        for index, flags in enumerate(flags_of_each):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            running.append(subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "train_worker.py"), *map(str, flags)], text=True,
                env={**os.environ, "TF_CONFIG": json.dumps(config)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        yield running
    finally:
        for each in running:
            each.kill()
            each.communicate()


def ended(process):
    """Wait for the end of a process: exit status, what it printed on standard error."""
    _, complaints = process.communicate(timeout=WAIT_S)
    return process.returncode, complaints


def weights_of(path):
    with np.load(path) as arrays:
        return list(arrays.values())


def history_of(out):
    with open(out / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(short_shards, tmp_path_factory):
    """A folder with what two workers trained, undisturbed, in `out`, and the weights of each."""
    folder = tmp_path_factory.mktemp("two")
    flags = flags_of(short_shards, folder / "out", "--epochs", 3)
    with workers(*([folder / f"{index}.npz", *flags] for index in range(2))) as running:
        assert [ended(each) for each in running] == [(0, ""), (0, "")]
    return folder


@pytest.mark.slow
def test_two_workers_train_what_one_does(trained, short_shards, tmp_path):
    run_script("TrainingCNN.py", *flags_of(short_shards, tmp_path, "--epochs", 3))
    one, two = history_of(tmp_path), history_of(trained / "out")
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose(*([float(row[name]) for row in each] for each in (one, two)), rtol=1e-4)
    alone = Network.load(tmp_path / "last.keras")
    together = Network.load(trained / "out" / "last.keras")
    for ours, theirs in zip(alone.keras_model.get_weights(), together.keras_model.get_weights(), strict=True):
        np.testing.assert_allclose(theirs, ours, atol=3e-4)
    assert together.calibration is not None


@pytest.mark.slow
def test_all_workers_have_the_same_weights_and_the_chief_alone_writes(trained):
    stored = Network.load(trained / "out" / "last.keras").keras_model.get_weights()
    for index in range(2):
        for ours, theirs in zip(weights_of(trained / f"{index}.npz"), stored, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert sorted(path.name for path in (trained / "out").iterdir()) == [
        "best.keras", "history.csv", "history.png", "last.keras"]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_ends_the_others_and_all_go_on_from_the_last_checkpoint(trained, short_shards, tmp_path,
                                                                                victim):
    each = [[tmp_path / f"{index}.npz", *flags_of(short_shards, tmp_path / "out", "--epochs", 3)]
            for index in range(2)]
    with workers(*each) as running:
        deadline = time.monotonic() + WAIT_S
        while not (tmp_path / "out" / "last.keras").exists():
            assert time.monotonic() < deadline
            assert [process.poll() for process in running] == [None, None]
            time.sleep(0.05)
        running[victim].kill()
        status, complaint = ended(running[1 - victim])
    assert status == 2
    assert one_sentence(complaint)
    assert "Another worker of TF_CONFIG ended or cannot be reached" in complaint
    epochs_done = len(Network.load(tmp_path / "out" / "last.keras", with_state=True).state["history"])
    assert epochs_done in (1, 2)
    with workers(*([*flags, "--resume"] for flags in each)) as running:
        assert [ended(process) for process in running] == [(0, ""), (0, "")]
    for index in range(2):
        for again, undisturbed in zip(*(weights_of(folder / f"{index}.npz") for folder in (tmp_path, trained)),
                                      strict=True):
            np.testing.assert_array_equal(again, undisturbed)


@pytest.mark.slow
def test_workers_that_differ_are_refused_by_name(trained, short_shards, tmp_path):
    """Worker 1 has another seed, and does not see what the chief resumes."""
    one = flags_of(short_shards, trained / "out", "--epochs", 4, "--resume")
    other = flags_of(short_shards, tmp_path, "--epochs", 4, "--seed", 1)
    with workers([tmp_path / "0.npz", *one], [tmp_path / "1.npz", *other]) as running:
        for status, complaint in map(ended, running):
            assert status == 2
            assert one_sentence(complaint)
            assert "worker 1 (127.0.0.1:" in complaint
            assert "seed 1, wanted 0" in complaint
            assert "last.keras none, wanted" in complaint


@pytest.mark.slow
def test_two_devices_of_one_process_train_what_one_does():
    """Two imitated processors, which only a new process can have: tests/two_devices.py holds the checks."""
    done = subprocess.run([sys.executable, str(ROOT / "tests" / "two_devices.py")], capture_output=True, text=True,
                          timeout=WAIT_S)
    assert done.returncode == 0, done.stderr[-3000:]
