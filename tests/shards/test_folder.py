"""A folder while it is written: one run at a time, and what killed runs left."""
import errno
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


class NoLocks:
    """The module fcntl over a file system without locks."""

    LOCK_EX = LOCK_NB = 0

    @staticmethod
    def flock(*_):
        """Refuse."""
        raise OSError(errno.ENOLCK, "No locks available")


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
    left = {"a.npz.partial", "b.npz.1234abcd.partial", "talk.csv.1234abcd.partial", "best.keras.1234abcd.partial.keras"}
    kept = {"mine.partial", "mine.1234abcd", "c.npz"}
    (tmp_path / "deep").mkdir()
    for name in left | kept:
        (tmp_path / name).touch()
        (tmp_path / "deep" / name).touch()
    with folder.only_run(tmp_path, [tmp_path / "deep", tmp_path / "to come"]):
        assert {path.name for path in tmp_path.iterdir()} == kept | {"deep", folder.LOCK}
        assert {path.name for path in (tmp_path / "deep").iterdir()} == kept


def test_without_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "fcntl", None)
    for name in ("old.csv.00000001.partial", "young.csv.00000002.partial"):
        (tmp_path / name).touch()
    long_ago = time.time() - 2 * folder.ABANDONED_S
    os.utime(tmp_path / "old.csv.00000001.partial", (long_ago, long_ago))
    with folder.only_run(tmp_path):
        assert {path.name for path in tmp_path.glob("*.partial")} == {"young.csv.00000002.partial"}


@pytest.mark.parametrize("locks", [None, NoLocks()])
def test_without_locks_a_second_run_is_refused_while_the_first_gives_signs_of_life(tmp_path, monkeypatch, locks):
    """As on Windows, and over network file systems."""
    monkeypatch.setattr(folder, "fcntl", locks)
    monkeypatch.setattr(folder, "BEAT_S", 0.02)
    with folder.only_run(tmp_path):
        for _ in range(2):
            with pytest.raises(BadInput, match="by another run, or by one that was killed in the last 90 s; wait"), \
                    folder.only_run(tmp_path):
                pass
            silent = time.time() - 2 * folder.LOST_S
            os.utime(tmp_path / folder.LOCK, (silent, silent))
            deadline = time.monotonic() + 20
            while (tmp_path / folder.LOCK).stat().st_mtime < silent + folder.LOST_S:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    assert not list(tmp_path.iterdir())
    (tmp_path / folder.LOCK).touch()
    os.utime(tmp_path / folder.LOCK, (silent, silent))  # of a run that was killed
    with folder.only_run(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_to_read_alone_has_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(folder.os, "open", refused)
    with folder.only_run(tmp_path):
        assert not list(tmp_path.iterdir())


def refused(*_):
    raise PermissionError(errno.EACCES, "Permission denied")


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
