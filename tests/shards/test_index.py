"""The index of a folder of shards: as good as opening every shard, and never believed where a shard has changed."""
import os

import numpy as np
import pytest

from console import BadInput
from params import Params
from shards import files, index, reading, spatialise

PARAMS = Params()


@pytest.fixture
def read(monkeypatch):
    """Count the shards that are opened themselves: a list of their names."""
    names, open_shard = [], files.open_shard
    monkeypatch.setattr(files, "open_shard", lambda path: names.append(path.name) or open_shard(path))
    return names


def assert_equal(shards, others):
    assert len(shards) == len(others)
    for shard, other in zip(shards, others):
        for name, value, same in zip(shard._fields, shard, other):
            np.testing.assert_array_equal(value, same, err_msg=name)


def test_shards_of_the_index_are_the_shards(fake_shard, tmp_path, read):
    given = [fake_shard(f"{name}.npz", name, count=count, starts=range(count), noise_sha256=name * count)
             for name, count in (("a", 3), ("b", 1), ("ü 語", 5))]
    for opened in (["a.npz", "b.npz", "ü 語.npz"], []):
        read.clear()
        shards = files.open_shards(tmp_path, PARAMS, "X.py")
        assert_equal(shards, given)
        assert [shard.params for shard in shards] == [shard.params for shard in given]
        assert sorted(read) == opened


def test_shards_of_talkers_and_of_one_talker_are_the_shards(noise_files, tmp_path, read):
    speech, noise = (noise_files(name, 2, 1.0, PARAMS)[0] for name in ("speech", "noise"))
    for out, talkers in (("talkers", ["0", "2"]), ("one", ["1"])):
        spatialise.main("", "TRAIN", ["--speech", str(speech), "--noise", str(noise), "--out", str(tmp_path / out),
                                      "--frames", "10", "--azimuth-deg", "-30", "20", "--talkers", *talkers])
        given = [files.open_shard(path) for path in sorted((tmp_path / out).glob("*.npz"))]
        read.clear()
        assert_equal(files.open_shards(tmp_path / out, PARAMS, "X.py"), given)
        assert read == []
        assert (given[0].talker_azimuth_deg is None) == (out == "one")


def test_samples_are_read_by_the_index(fake_shard, tmp_path):
    fake_shard("a.npz", "s")
    for _ in range(2):
        shard, = files.open_shards(tmp_path, PARAMS, "X.py")
        out = np.empty((3, 321, 10, 2), np.float16)
        reading.read_samples(shard, 2, 5, out)
        assert out[:, 0, 0, 1].tolist() == [2, 3, 4]


def test_more_strings_than_a_byte_counts_keep_their_rows(tmp_path):
    words = [f"head {number}" for number in range(300)]
    index.save(tmp_path, {"a": ([1, 2], {"hrir": np.array(words), "params": {}})}, ["x"])
    assert index.Index(tmp_path, ["x"]).get("a", [1, 2])["hrir"].tolist() == words


def test_strings_that_differ_within_a_shard_keep_their_rows(tmp_path):
    held = {"path": None, "hrir": np.array(["one", "two", "one", "another"]), "offset": 3, "params": {"seed": 1}}
    same = held | {"hrir": np.array(["two", "two"])}
    index.save(tmp_path, {"a": ([1, 2], held), "b": ([3, 4], same)}, ["x"])
    known = index.Index(tmp_path, ["x"])
    assert known.get("a", [1, 2])["hrir"].tolist() == ["one", "two", "one", "another"]
    assert known.get("b", [3, 4])["hrir"].tolist() == ["two", "two"]
    assert known.get("b", [3, 4])["params"] == {"seed": 1}


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_shard_that_changed_is_read_again_and_no_other(fake_shard, tmp_path, read, change):
    for name in "abc":
        fake_shard(f"{name}.npz", name)
    files.open_shards(tmp_path, PARAMS, "X.py")
    before = (tmp_path / "b.npz").stat()
    fake_shard("b.npz", "B" if change == "time" else "longer")
    if change == "size":
        os.utime(tmp_path / "b.npz", ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        assert (tmp_path / "b.npz").stat().st_size == before.st_size
        os.utime(tmp_path / "b.npz", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    for expected in (["b.npz"], []):
        read.clear()
        assert files.open_shards(tmp_path, PARAMS, "X.py")[1].speech in ("B", "longer")
        assert read == expected


def test_a_shard_that_was_torn_since_is_refused(fake_shard, tmp_path):
    for name in "ab":
        fake_shard(f"{name}.npz", name)
    files.open_shards(tmp_path, PARAMS, "X.py")
    (tmp_path / "b.npz").write_bytes((tmp_path / "b.npz").read_bytes()[:-100])
    for _ in range(2):  # and stays so
        with pytest.raises(BadInput, match=r"b\.npz is not a whole shard"):
            files.open_shards(tmp_path, PARAMS, "X.py")


def test_shards_that_came_and_went_are_noticed(fake_shard, tmp_path, read):
    for name in "abc":
        fake_shard(f"{name}.npz", name)
    files.open_shards(tmp_path, PARAMS, "X.py")
    (tmp_path / "a.npz").unlink()
    fake_shard("d.npz", "d")
    read.clear()
    assert [shard.speech for shard in files.open_shards(tmp_path, PARAMS, "X.py")] == ["b", "c", "d"]
    assert read == ["d.npz"]
    assert index.Index(tmp_path, files.Shard._fields).shards.keys() == {"b.npz", "c.npz", "d.npz"}


@pytest.mark.parametrize("damage", [
    lambda b: b[:len(b) // 2], lambda b: b"", lambda b: b"not a zip",
    lambda b: b.replace(b'"version": 2', b'"version": 9'),
    lambda b: b.replace(b'"count": 8', b'"count": 7'),
    lambda b: b.replace(b"labels.npy", b"lapels.npy"),
], ids=["half", "empty", "text", "of another version", "of other counts", "without labels"])
def test_a_broken_index_is_made_again(fake_shard, tmp_path, read, damage):
    given = [fake_shard(f"{name}.npz", name) for name in "ab"]
    files.open_shards(tmp_path, PARAMS, "X.py")
    whole = (tmp_path / index.NAME).read_bytes()
    (tmp_path / index.NAME).write_bytes(damage(whole))
    read.clear()
    assert_equal(files.open_shards(tmp_path, PARAMS, "X.py"), given)
    assert sorted(read) == ["a.npz", "b.npz"]
    assert (tmp_path / index.NAME).read_bytes() == whole


def test_an_index_with_any_byte_changed_is_not_believed(fake_shard, tmp_path):
    """In its directory, whose names tell what is coded, each byte; elsewhere a sample."""
    for name in "ab":
        fake_shard(f"{name}.npz", name)
    files.open_shards(tmp_path, PARAMS, "X.py")
    path, names = tmp_path / index.NAME, files.Shard._fields
    whole = path.read_bytes()
    directory = whole.index(b"PK\1\2")
    assert index.Index(tmp_path, names).shards
    for at in (*range(0, directory, 97), *range(directory, len(whole))):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        assert not index.Index(tmp_path, names).shards, at


def test_an_index_of_another_version_is_made_again(fake_shard, tmp_path, monkeypatch):
    fake_shard("a.npz", "a")
    monkeypatch.setattr(index, "VERSION", index.VERSION + 1)
    files.open_shards(tmp_path, PARAMS, "X.py")
    assert index.Index(tmp_path, files.Shard._fields).shards
    monkeypatch.undo()
    assert not index.Index(tmp_path, files.Shard._fields).shards


def test_a_folder_that_takes_no_index_is_opened_all_the_same(fake_shard, tmp_path):
    given = [fake_shard("a.npz", "a")]
    (tmp_path / index.NAME).mkdir()
    assert_equal(files.open_shards(tmp_path, PARAMS, "X.py"), given)
    assert not list(tmp_path.glob("*.partial"))


def test_shards_of_other_fields_are_left_out(tmp_path):
    held = {"labels": np.zeros(2, np.float32), "params": {}}
    other = held | {"labels": np.zeros((2, 3), np.float32)}
    index.save(tmp_path, {"a": ([1, 1], held), "b": ([1, 1], other)}, [])
    assert index.Index(tmp_path, []).shards.keys() == {"a"}


@pytest.mark.slow
def test_thousands_of_shards_open_many_times_faster_by_the_index(fake_shard, tmp_path, read):
    """Held by counting what is opened, not by the clock."""
    content = fake_shard("0.npz", "s", count=1).path.read_bytes()
    for number in range(1, 2000):
        (tmp_path / f"{number}.npz").write_bytes(content)
    for opened in (2000, 0):
        read.clear()
        assert len(files.open_shards(tmp_path, PARAMS, "X.py")) == 2000
        assert len(read) == opened
