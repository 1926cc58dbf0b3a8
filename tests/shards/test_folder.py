"""The folder of shards while it is written: one run at a time, and what killed runs left."""
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from helpers import ROOT

from console import BadInput
from params import Params
from shards import files, folder

PARAMS = replace(Params(), frames=10)
HOLD = "import sys, pathlib, time; from shards import folder\n" \
       "with folder.only_run(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_a_second_run_is_refused_until_the_first_is_gone_even_if_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BadInput, match="is being written by another run; wait"), folder.only_run(tmp_path):
            pass
        other.kill()
    with folder.only_run(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_that_the_run_before_has_just_removed_does_not_count(tmp_path, monkeypatch):
    """Its file has no name, so a third run would make another one and hold that."""
    opened = os.open

    def open_and_lose(path, flags, mode):
        descriptor = opened(path, flags, mode)
        os.unlink(path)
        return descriptor

    monkeypatch.setattr(folder.os, "open", open_and_lose)
    with pytest.raises(BadInput, match="is being written by another run"), folder.only_run(tmp_path):
        pass


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    for name in ("a.npz.partial", "b.npz.1234abcd.partial", "mine.partial", "c.npz"):
        (tmp_path / name).touch()
    with folder.only_run(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"mine.partial", "c.npz", folder.LOCK}


def test_without_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "fcntl", None)
    for name in ("old.npz.1.partial", "young.npz.2.partial"):
        (tmp_path / name).touch()
    long_ago = time.time() - 2 * folder.ABANDONED_S
    os.utime(tmp_path / "old.npz.1.partial", (long_ago, long_ago))
    with folder.only_run(tmp_path), folder.only_run(tmp_path):  # two runs at once, then
        assert {path.name for path in tmp_path.glob("*.partial")} == {"young.npz.2.partial"}


def test_two_writers_of_one_shard_do_not_write_into_each_other(tmp_path):
    path, samples = tmp_path / "a.npz", np.arange(4, dtype=np.float16).repeat(321 * 10 * 2).reshape(4, 321, 10, 2)

    def arrays():
        return {"labels": np.arange(4)}

    def pieces():
        yield samples[:2]
        files.write_shard(path, 4, [samples], arrays, PARAMS)  # a worker that was thought to be dead
        yield samples[2:]

    files.write_shard(path, 4, pieces(), arrays, PARAMS)
    with np.load(path) as shard:
        np.testing.assert_array_equal(shard["samples"], samples)
    assert list(tmp_path.iterdir()) == [path]
