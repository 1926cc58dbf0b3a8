"""Shards: written whole, read in parts, refused where they are torn, foreign or damaged."""
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from console import BadInput
from params import Params
from shards import files, reading

PARAMS = replace(Params(), frames=10)
SAMPLE_BYTES = 321 * 10 * 2 * 2


def test_a_shard_opens_with_plain_numpy(fake_shard):
    shard = fake_shard("a.npz", "speech.wav")
    with np.load(shard.path, allow_pickle=False) as arrays:
        assert set(arrays) == {"samples", "speech", "noise", "params", "checksums", *files.BY_SAMPLE}
        assert arrays["samples"].shape == (8, 321, 10, 2)
        assert arrays["samples"].dtype == np.float16
        assert json.loads(str(arrays["params"]))["seed"] == 0


def test_a_shard_holds_what_was_written(fake_shard):
    shard = fake_shard("a.npz", "speech.wav", starts=range(8))
    assert shard.labels.tolist() == list(range(8))
    assert shard.excerpt_start_s.tolist() == list(range(8))
    assert (shard.speech, shard.noise) == ("speech.wav", "n.wav")


def test_the_same_contents_give_the_same_bytes_in_any_pieces(tmp_path):
    samples = np.random.default_rng(0).standard_normal((4, *PARAMS.sample_shape)).astype(np.float16)
    for name, pieces in (("a", [samples]), ("b", [samples[:1], samples[1:]])):
        files.write_shard(tmp_path / name, 4, pieces, lambda: {"labels": np.arange(4)}, PARAMS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_bytes_do_not_tell_when_they_were_written(fake_shard):
    with zipfile.ZipFile(fake_shard("a.npz", "s").path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_rows_are_read_from_where_they_are(fake_shard):
    shard = fake_shard("a.npz", "s")
    out = np.empty((3, *PARAMS.sample_shape), np.float16)
    reading.read_samples(shard, 4, 7, out)
    with np.load(shard.path) as arrays:
        np.testing.assert_array_equal(out, arrays["samples"][4:7])


def test_names_that_look_alike_get_different_shards():
    names = {files.shard_name(speech, "n.wav") for speech in
             ("a.wav", "a.flac", "b/a.wav", "b-a.wav", "x" * 300 + ".wav", "x" * 301 + ".wav")}
    assert len(names) == 6
    assert max(len(name.encode()) for name in names) < 255


def test_the_seed_follows_from_both_names_in_their_order():
    seeds = [files.seed_of(*names) for names in (("a", "b"), ("b", "a"), ("ab", ""), ("a", "c"))]
    assert files.seed_of("a", "b") == seeds[0]
    assert len(set(map(tuple, seeds))) == 4


@pytest.mark.parametrize("damage", [
    lambda b: b[:len(b) // 2], lambda b: b"", lambda b: b"not a zip at all",
    lambda b: b.replace(b"labels.npy", b"lapels.npy"), lambda b: b.replace(b"'<f2'", b"'<i2'"),
], ids=["half", "empty", "text", "without labels", "other type"])
def test_torn_and_foreign_shards_are_refused_by_name(fake_shard, tmp_path, damage):
    (tmp_path / "torn.npz").write_bytes(damage(fake_shard("a.npz", "s").path.read_bytes()))
    with pytest.raises(BadInput, match=r"torn\.npz is not a whole shard"):
        files.open_shard(tmp_path / "torn.npz")


def test_a_foreign_npz_is_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.zeros(3))
    with pytest.raises(BadInput, match=r"mine\.npz"):
        files.open_shard(tmp_path / "mine.npz")


@pytest.mark.parametrize(("changes", "says"), [
    ({"starts": range(7)}, "its arrays contradict each other"), ({"stft_window_samples": 320}, "the shape its params")])
def test_a_shard_that_contradicts_itself_is_refused(fake_shard, changes, says):
    with pytest.raises(BadInput, match=says):
        fake_shard("a.npz", "s", **changes)


def test_a_shard_of_several_talkers_holds_each_of_them(fake_shard):
    shard = fake_shard("a.npz", "s", count=2, talkers_deg=[[30, -20], [np.nan, np.nan]])
    assert shard.talker_azimuth_deg[0].tolist() == [30, -20]
    assert shard.talker_level_db[0].tolist() == [0, -1]
    assert np.isnan(shard.labels[1])
    assert fake_shard("b.npz", "s").talker_azimuth_deg is None


@pytest.mark.parametrize(("changes", "says"), [
    ({"labels": [30, np.nan]}, "its labels are not finite"),
    ({"labels": [-20, np.nan], "talkers_deg": [[30, -20], [np.nan, np.nan]]}, "not those of the loudest"),
    ({"labels": [30, 0], "talkers_deg": [[30, -20]]}, "contradict each other"),
    ({"labels": [30, 0], "talkers": [1, 2]}, "talker_azimuth_deg"),
])
def test_labels_that_are_not_those_of_the_loudest_talkers_are_refused(fake_shard, changes, says):
    with pytest.raises(BadInput, match=says):
        fake_shard("a.npz", "s", count=2, **changes)


def of_earlier_version(shard):
    """Write a shard as versions without checksums did."""
    with np.load(shard.path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "checksums"}
    np.savez(shard.path, **arrays)
    return files.open_shard(shard.path)


def damaged(shard, bits):
    """Overwrite the first value of row 3, an IPD."""
    raw = bytearray(shard.path.read_bytes())
    at = shard.offset + 3 * SAMPLE_BYTES
    raw[at:at + 2] = np.uint16(bits).tobytes()
    shard.path.write_bytes(raw)
    return shard


def read(shard):
    samples = np.empty((8, *PARAMS.sample_shape), np.float16)
    reading.read_samples(shard, 0, 8, samples)
    return samples


@pytest.mark.parametrize("bits", [0x7E00, 0x7C00, 0x4400, 0x4249], ids=["NaN", "infinity", "4 rad", "pi and a bit"])
def test_values_that_are_no_cues_are_found_without_checksums(fake_shard, bits):
    with pytest.raises(BadInput, match=r"a\.npz is damaged"):
        read(damaged(of_earlier_version(fake_shard("a.npz", "s")), bits))


def test_an_ipd_of_pi_is_not_damaged(fake_shard):
    read(damaged(of_earlier_version(fake_shard("a.npz", "s")), np.float16(np.pi).view(np.uint16)))


def test_a_shard_of_an_earlier_version_holds_the_same(fake_shard):
    new = fake_shard("a.npz", "s")
    samples = read(new)
    old = of_earlier_version(new)
    assert old.checksums is None
    np.testing.assert_array_equal(read(old), samples)
    assert old.params == new.params


@pytest.mark.parametrize("change", [{"stft_hop_samples": 160}, {"sample_rate_hz": 44_100}, {"frames": 12}])
def test_shards_of_other_parameters_are_refused_with_the_difference(fake_shard, tmp_path, change):
    fake_shard("a.npz", "s")
    fake_shard("b.npz", "s", **change)
    (key, value), = change.items()
    with pytest.raises(BadInput, match=rf"b\.npz.*{key} {value}, wanted"):
        files.open_shards(tmp_path, PARAMS, "X.py")


def test_shards_are_opened_in_the_order_of_their_names(fake_shard, tmp_path):
    for name in "cab":
        fake_shard(f"{name}.npz", name)
    assert [shard.speech for shard in files.open_shards(tmp_path, PARAMS, "X.py")] == ["a", "b", "c"]


@pytest.mark.parametrize(("folder", "says"), [("nowhere", "is not a folder"), ("", "holds no shards")])
def test_a_folder_without_shards_names_the_script_that_makes_them(tmp_path, folder, says):
    with pytest.raises(BadInput, match=rf"{says}; run X\.py first"):
        files.open_shards(tmp_path / folder, PARAMS, "X.py")
