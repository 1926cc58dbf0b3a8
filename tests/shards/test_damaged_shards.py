"""Shards that a disk, a copy or a crash has damaged: refused by name, or left out with --skip-bad."""
import json
import shutil
import zipfile

import numpy as np
import pytest
from helpers import one_sentence, run_script
from hypothesis import given
from hypothesis import strategies as st

from console import BadInput
from params import Params
from shards import files, index, npz, reading

PARAMS = Params(frames=10)
SAMPLE_BYTES = PARAMS.bins * PARAMS.frames * 2 * 2
RNG = np.random.default_rng(0)


COUNT = 4


@pytest.fixture
def whole(fake_shard):
    """A shard of a few samples."""
    return fake_shard("a.npz", "s", COUNT)


def is_refused(path, content):
    """Whether a file of such content is refused in one sentence that names it, when it is opened or when it is read."""
    path.write_bytes(content)
    try:
        problem = reading.problem_of(files.open_shard(path))
    except BadInput as refused:
        problem = refused
    assert problem is None or (path.name in str(problem) and one_sentence(str(problem)))
    return problem is not None


def flipped(content, at, bits):
    damaged = bytearray(content)
    damaged[at] ^= bits
    return bytes(damaged)


def test_a_damaged_header_is_not_quoted_whole(whole, tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("Cannot parse header: " + "\x00{'descr'\n" * 2000)

    monkeypatch.setattr(npz, "read_array", refuse)
    assert is_refused(tmp_path / "b.npz", whole.path.read_bytes())


@pytest.mark.slow
def test_a_flipped_bit_anywhere_but_in_the_samples_is_refused_when_the_shard_is_opened(whole, tmp_path):
    content, end = whole.path.read_bytes(), whole.offset + COUNT * SAMPLE_BYTES
    for at in (*range(whole.offset), *range(end, len(content), 7)):
        (tmp_path / "b.npz").write_bytes(flipped(content, at, 1 << at % 8))
        with pytest.raises(BadInput, match=r"b\.npz is not a whole shard"):
            files.open_shard(tmp_path / "b.npz")


def test_a_flipped_byte_anywhere_is_refused(whole, tmp_path):
    content = whole.path.read_bytes()
    assert not is_refused(tmp_path / "b.npz", content)
    for at in RNG.integers(len(content), size=500):
        assert is_refused(tmp_path / "b.npz", flipped(content, at, RNG.integers(1, 256)))


def test_a_shard_cut_anywhere_is_refused(whole, tmp_path):
    content = whole.path.read_bytes()
    for length in (0, 1, len(content) - 1, *RNG.integers(len(content), size=50)):
        assert is_refused(tmp_path / "b.npz", content[:length])


@given(st.binary(max_size=400), st.sampled_from([b"", b"PK\3\4", b"PK\5\6" + bytes(18)]))
def test_any_bytes_are_refused(tmp_path_factory, content, begins):
    assert is_refused(tmp_path_factory.getbasetemp() / "b.npz", begins + content)


@given(st.integers(1, 5), st.integers(10, 40), st.integers(0, 2 ** 32 - 1), st.text(max_size=30))
def test_what_is_written_is_read(tmp_path_factory, count, frames, seed, name):
    params, rng = Params(frames=frames), np.random.default_rng(seed)
    samples = rng.integers(0, 2 ** 16, (count, *params.sample_shape), np.uint16).view(np.float16)  # NaN as well
    labels = rng.uniform(-90, 90, count).astype(np.float32)
    arrays = {"labels": labels, "snr_db": labels, "noise_field": np.full(count, name), "hrir": np.full(count, name),
              "room_rt60_s": labels, "excerpt_start_s": labels, "speech": name, "noise": name,
              "params": json.dumps(params.scenes)}
    path = tmp_path_factory.getbasetemp() / "round.npz"
    files.write_shard(path, count, np.array_split(samples, 2), lambda: arrays, params)
    shard, out = files.open_shard(path), np.empty_like(samples)
    reading.read_samples(shard, 0, count, out)
    assert out.tobytes() == samples.tobytes()
    np.testing.assert_array_equal(shard.labels, labels)
    assert shard.speech == name.rstrip("\0")  # as NumPy stores text
    with np.load(path, allow_pickle=False) as plain:
        assert plain["samples"].tobytes() == samples.tobytes()


def test_zeros_over_any_4_kb_are_refused(fake_shard, tmp_path):
    content = fake_shard("a.npz", "s", COUNT, value=0.5).path.read_bytes()
    for at in RNG.integers(len(content) - 4096, size=50):
        assert is_refused(tmp_path / "b.npz", content[:at] + bytes(4096) + content[at + 4096:])


def test_samples_that_changed_places_are_refused(whole, tmp_path):
    content, first, second = whole.path.read_bytes(), whole.offset, whole.offset + SAMPLE_BYTES
    swapped = (content[:first] + content[second:second + SAMPLE_BYTES] + content[first:second]
               + content[second + SAMPLE_BYTES:])
    assert is_refused(tmp_path / "b.npz", swapped)


def test_a_block_is_read_though_another_is_damaged(whole):
    whole.path.write_bytes(flipped(whole.path.read_bytes(), whole.offset + 3 * SAMPLE_BYTES, 1))
    out = np.empty((3, *PARAMS.sample_shape), np.float16)
    reading.read_samples(whole, 0, 3, out)
    with pytest.raises(BadInput, match=r"a\.npz is damaged"):
        reading.read_samples(whole, 3, 4, out[:1])


def test_empty_samples_beside_the_front_are_refused_without_checksums(fake_shard):
    def of_earlier_version(labels, hrir="mit_kemar"):
        shard = fake_shard("a.npz", "s", labels=labels)
        with np.load(shard.path) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "checksums"}
        arrays |= {"samples": np.zeros_like(arrays["samples"]), "hrir": np.full(8, hrir)}
        np.savez(shard.path, **arrays)
        return files.open_shard(shard.path)

    assert "is damaged" in str(reading.problem_of(of_earlier_version([0] * 7 + [30])))
    assert reading.problem_of(of_earlier_version([0] * 8)) is None
    assert reading.problem_of(of_earlier_version([30] * 8, reading.RECORDING)) is None  # it may hold silence


def test_a_declared_size_of_terabytes_is_refused_in_the_memory_of_the_file(whole, tmp_path):
    content = whole.path.read_bytes()
    with zipfile.ZipFile(whole.path) as archive:
        labels = npz.offset_of(archive.fp, archive.getinfo("labels.npy"))
    huge = npz.array_header("<f4", (10 ** 12,))
    path = tmp_path / "b.npz"
    path.write_bytes(content[:labels] + huge + content[labels + len(huge):])
    with zipfile.ZipFile(path, "a") as archive:  # a true CRC-32 for what cannot be true
        archive.writestr("snr.npy", huge)
    with zipfile.ZipFile(path) as archive, pytest.raises(ValueError, match="length their header promises"):
        npz.read_array(archive, "snr")
    with pytest.raises(BadInput, match=r"b\.npz is not a whole shard"):
        files.open_shard(path)


def test_a_compressed_entry_is_refused_before_it_grows(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.npy", bytes(10 ** 7))
    with zipfile.ZipFile(tmp_path / "b.npz") as archive, pytest.raises(ValueError, match="compressed"):
        npz.read_array(archive, "labels")


def test_a_shard_that_is_gone_while_it_is_read_is_named(whole):
    whole.path.unlink()
    with pytest.raises(BadInput, match=r"a\.npz cannot be read \(No such file.*make it again with .* with --resume"):
        reading.read_samples(whole, 0, 1, np.empty((1, *PARAMS.sample_shape), np.float16))


def test_a_damaged_index_is_made_again(fake_shard, tmp_path):
    for name in "ab":
        fake_shard(f"{name}.npz", name)
    shards = files.open_shards(tmp_path, PARAMS, "X.py")
    content = (tmp_path / index.NAME).read_bytes()
    header = content.index(b"<f4", content.index(b"labels.npy"))  # as <f2 there were as many, other numbers
    for at, bits in ((header + 2, ord("4") ^ ord("2")), *RNG.integers((1, 1), (len(content), 256), size=(20, 2))):
        (tmp_path / index.NAME).write_bytes(flipped(content, at, bits))
        for shard, same in zip(shards, files.open_shards(tmp_path, PARAMS, "X.py")):
            for before, after in zip(shard, same):
                np.testing.assert_equal(after, before)


def test_bad_shards_are_left_out_by_name_where_that_is_asked_for(fake_shard, tmp_path, capsys):
    shards = [fake_shard(f"{name}.npz", name) for name in "abcd"]
    shards[1].path.write_bytes(flipped(shards[1].path.read_bytes(), shards[1].offset + 5 * SAMPLE_BYTES, 1))
    shards[2].path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"c\.npz is not a whole shard.*--skip-bad"):
        files.open_shards(tmp_path, PARAMS, "X.py")
    assert [shard.speech for shard in files.open_shards(tmp_path, PARAMS, "X.py", skip_bad=True)] == ["a", "d"]
    told = capsys.readouterr().err.splitlines()
    assert [name in line for name, line in zip(("b.npz is damaged", "c.npz is not", "2 of 4"), told)] == [True] * 3
    for path in (shards[0].path, shards[3].path):
        path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"holds no whole shard; .* run X\.py again"):
        files.open_shards(tmp_path, PARAMS, "X.py", skip_bad=True)


@pytest.mark.slow
def test_training_and_testing_go_on_without_a_damaged_shard(short_shards, models, tmp_path):
    shutil.copytree(short_shards, tmp_path / "data")
    bad = sorted((tmp_path / "data").glob("*.npz"))[0]
    bad.write_bytes(flipped(bad.read_bytes(), 200_000, 1))
    train = ["TrainingCNN.py", "--data", tmp_path / "data", "--out", tmp_path / "models", "--epochs", 1]
    score = ["Testing.py", "--data", tmp_path / "data", "--models", models / "best.onnx", "--out", tmp_path / "results"]
    for script in (train, score):
        assert f"Skipped: {bad} is damaged" in run_script(*script, "--skip-bad").stderr
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results["made_with"]["skip_bad"] is True
    assert results["best"]["samples"] == 2 * 3 * 37
    refused = run_script(*score, status=2).stderr.splitlines()[-1]  # before, the frames of the model are told
    assert bad.name in refused
    assert one_sentence(refused)


def test_skipping_shards_without_shards_is_refused():
    assert "--skip-bad does nothing with --from-wavs" in run_script(
        "TrainingCNN.py", "--from-wavs", "--skip-bad", status=2).stderr
