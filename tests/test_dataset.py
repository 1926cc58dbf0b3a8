"""Audio in, shards out and in again, the split, the stream."""
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

import dataset
import features
from console import BadInput
from params import Params

PARAMS = Params()
RATE = PARAMS.sample_rate_hz


def tone(seconds, rate=RATE, hz=440):
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def fake_shard(folder, name, speech, count=37, starts=None, value=0.0, **changes):
    """A whole shard whose samples hold their own row number in one place, and their frames' numbers in another."""
    params = replace(PARAMS, frames=changes.get("frames", PARAMS.frames))
    samples = np.full((count, *params.sample_shape), value, np.float16)
    samples[:, 0, :, 1] = np.arange(count)[:, np.newaxis]  # the same in every frame: frames are shuffled
    samples[:, 1, :, 1] = np.arange(params.frames)
    arrays = {"labels": np.arange(count, dtype=np.float32), "snr_db": np.zeros(count, np.float32),
              "noise_field": np.full(count, "diotic"), "hrir": np.full(count, "mit_kemar"),
              "room_rt60_s": np.full(count, np.nan, np.float32), "speech": speech, "noise": "n.wav",
              "excerpt_start_s": np.zeros(count, np.float32) if starts is None else np.asarray(starts, np.float32),
              "params": json.dumps(PARAMS.scenes | {"speech_sha256": speech, "noise_sha256": "n"} | changes)}
    dataset.write_shard(folder / name, count, [samples], lambda: arrays, params)
    return dataset.open_shard(folder / name)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("ending", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_24")])
def test_any_rate_becomes_16_khz(tmp_path, rate, ending, subtype):
    path = tmp_path / f"tone.{ending}"
    sf.write(path, tone(3, rate), rate, subtype=subtype)
    signal = dataset.read_mono(path, PARAMS)
    assert signal.dtype == np.float32
    assert len(signal) == pytest.approx(3 * RATE, abs=2)
    inside = slice(RATE // 10, -RATE // 10)
    np.testing.assert_allclose(signal[:3 * RATE - 2][inside], tone(3)[:3 * RATE - 2][inside], atol=2e-3)


def test_long_files_are_the_same_in_blocks(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).standard_normal(100_000) * 0.1
    sf.write(tmp_path / "a.wav", noise, 44_100, subtype="FLOAT")
    whole = dataset.read_mono(tmp_path / "a.wav", PARAMS)
    monkeypatch.setattr(dataset, "READ_FRAMES", 1000)
    np.testing.assert_allclose(dataset.read_mono(tmp_path / "a.wav", PARAMS), whole, atol=1e-6)


def test_channels_are_averaged(write):
    stereo = np.stack((tone(2), 0 * tone(2)), axis=1)
    np.testing.assert_allclose(dataset.read_mono(write("s.wav", stereo), PARAMS), tone(2) / 2, atol=1e-6)


def test_a_recorder_that_left_the_length_open_is_read(write):
    path = write("piped.wav", tone(2), subtype="PCM_16")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"data") + 4
    raw[at:at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    assert len(dataset.read_mono(path, PARAMS)) == 2 * RATE


def test_cache_keeps_within_its_bytes(write):
    files = [dataset.Audio(write(f"{i}.wav", tone(2)), f"{i}", "", 1) for i in range(4)]
    cache = dataset.AudioCache(PARAMS, most_bytes=5 * RATE * 4)
    for audio in files * 2:
        assert len(cache.speech(audio).samples) == 2 * RATE
        assert sum(clip.samples.nbytes + clip.starts.nbytes for clip in cache._clips.values()) <= cache.most_bytes
    assert cache.speech(files[-1]) is cache.speech(files[-1])
    assert cache.noise(files[-1]) is not cache.speech(files[-1])  # noise goes round, so it may begin anywhere


def test_shards_open_with_plain_numpy(shards):
    for path in shards.glob("*.npz"):
        with np.load(path, allow_pickle=False) as shard:
            assert shard["samples"].shape == (74, 321, 50, 2)
            assert shard["samples"].dtype == np.float16
            assert shard["labels"].dtype == shard["snr_db"].dtype == np.float32
            assert json.loads(str(shard["params"]))["seed"] == 0


def test_rows_are_read_from_their_place(shards):
    path = sorted(shards.glob("*.npz"))[0]
    shard = dataset.open_shard(path)
    out = np.empty((5, *PARAMS.sample_shape), np.float16)
    dataset.read_samples(shard, 40, 45, out)
    with np.load(path) as whole:
        assert np.array_equal(out, whole["samples"][40:45])
        assert np.array_equal(shard.labels, whole["labels"])


def test_names_that_look_alike_get_different_shards():
    def audio(name):
        return dataset.Audio(None, name, "", 1)
    names = {dataset.shard_name(speech, "n.wav") for speech in
             ("a.wav", "a.flac", "b/a.wav", "b-a.wav", "x" * 300 + ".wav", "x" * 301 + ".wav")}
    assert len(names) == 6
    assert max(len(name.encode()) for name in names) < 255


@pytest.mark.parametrize("damage", [
    lambda b: b[:len(b) // 2], lambda b: b"", lambda b: b"not a zip at all",
    lambda b: b.replace(b"labels.npy", b"lapels.npy"), lambda b: b.replace(b"'<f2'", b"'<i2'"),
])
def test_torn_and_foreign_shards_are_refused_by_name(shards, tmp_path, damage):
    path = tmp_path / "torn.npz"
    path.write_bytes(damage(sorted(shards.glob("*.npz"))[0].read_bytes()))
    with pytest.raises(BadInput, match=r"torn\.npz is not a whole shard"):
        dataset.open_shard(path)


def test_a_foreign_npz_is_refused(tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.zeros(3))
    with pytest.raises(BadInput, match=r"mine\.npz"):
        dataset.open_shard(tmp_path / "mine.npz")


@pytest.mark.parametrize("bits", [0x7E00, 0x7C00, 0x4900])  # NaN, infinity, an IPD of 10 radians
def test_damaged_samples_are_found(tmp_path, bits):
    shard = fake_shard(tmp_path, "a.npz", "s")
    raw = bytearray(shard.path.read_bytes())
    at = shard.offset + 3 * 321 * 50 * 2 * 2
    raw[at:at + 2] = np.uint16(bits).tobytes()
    shard.path.write_bytes(raw)
    out = np.empty((37, *PARAMS.sample_shape), np.float16)
    with pytest.raises(BadInput, match=r"a\.npz is damaged"):
        dataset.read_samples(shard, 0, 37, out)


@pytest.mark.parametrize("change", [{"stft_hop_samples": 160}, {"sample_rate_hz": 44_100}])
def test_other_parameters_are_refused_with_the_difference(tmp_path, change):
    fake_shard(tmp_path, "a.npz", "s")
    fake_shard(tmp_path, "b.npz", "s", **change)
    (key, value), = change.items()
    with pytest.raises(BadInput, match=rf"b\.npz.*{key} {value}, wanted"):
        dataset.open_shards(tmp_path, PARAMS, "X.py")


def test_samples_of_different_durations_are_refused(tmp_path):
    fake_shard(tmp_path, "a.npz", "s")
    fake_shard(tmp_path, "b.npz", "s", frames=60)
    with pytest.raises(BadInput, match=r"b\.npz.*frames 60, wanted 50"):
        dataset.open_shards(tmp_path, PARAMS, "X.py")


def test_longer_samples_take_no_more_memory(tmp_path):
    feeds = [dataset.ShardFeed([[fake_shard(tmp_path, f"{frames}_{s}.npz", s, frames=frames) for s in "ab"]], PARAMS)
             for frames in (50, 200)]
    assert [feed.params.frames for feed in feeds] == [50, 200]
    assert feeds[1]._lot_blocks * 200 <= feeds[0]._lot_blocks * 50


def test_a_mirrored_sample_is_that_of_the_exchanged_ears():
    rng = np.random.default_rng(0)
    ears = rng.standard_normal((40, 2, PARAMS.sample_length)).astype(np.float32)
    cues, exchanged = (features.from_ears(e, PARAMS).astype(np.float16) for e in (ears, ears[:, ::-1]))
    labels = rng.uniform(-90, 90, 40).astype(np.float32)
    changed, new_labels = dataset.mirrored(cues.copy(), labels, rng)
    flipped = new_labels != labels
    assert 8 < flipped.sum() < 32
    assert np.array_equal(new_labels, np.where(flipped, -labels, labels))
    assert np.array_equal(changed[~flipped], cues[~flipped])
    inside = np.abs(np.abs(cues[..., 0]) - np.pi) > 0.01  # pi and -pi are the same phase
    error = np.abs(changed[flipped] - exchanged[flipped])[inside[flipped]]
    assert np.quantile(error, 0.999) < 0.03


@pytest.mark.parametrize("files", [2, 3, 4, 10])
def test_no_speech_file_on_both_sides(tmp_path, files):
    shards = [fake_shard(tmp_path, f"{s}_{n}.npz", f"speech{s}") for s in range(files) for n in range(2)]
    training, validation = dataset.split(shards, PARAMS)
    sides = [{block.shard.speech for block in side} for side in (training, validation)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == files
    assert len(sides[1]) == max(1, round(files / 4))
    assert dataset.count_samples(training) + dataset.count_samples(validation) == 37 * 2 * files


def test_one_file_under_two_names_stays_on_one_side(tmp_path):
    for others in range(8):
        shards = [fake_shard(tmp_path, f"{i}.npz", "twin" if i < 2 else f"{others}{i}") for i in range(4)]
        training, _ = dataset.split(shards, PARAMS)
        assert sum(block.shard.path.name in ("0.npz", "1.npz") for block in training) in (0, 2)


def test_another_seed_validates_on_the_same_files():
    digests = [f"{i:02}" for i in range(40)]
    kept = dataset.kept_for_validation(digests, PARAMS)
    assert len(kept) == 10
    assert all(dataset.kept_for_validation(digests[::-1], replace(PARAMS, seed=seed)) == kept for seed in range(5))


def test_a_lone_speech_file_is_split_by_time(tmp_path, capsys):
    starts = np.repeat([0.0, 1.5, 2.9, 4.0], 37)
    shard = fake_shard(tmp_path, "a.npz", "alone.wav", 148, starts)
    training, validation = dataset.split([shard], PARAMS)
    ends = max(shard.excerpt_start_s[b.first:b.last].max() for b in training) + PARAMS.excerpt_s
    begins = min(shard.excerpt_start_s[b.first:b.last].min() for b in validation)
    assert ends <= begins == 4.0
    assert dataset.count_samples(training) == 3 * 37
    assert "alone.wav" in capsys.readouterr().err


def test_a_lone_excerpt_cannot_be_split(tmp_path):
    with pytest.raises(BadInput, match="second speech file"):
        dataset.split([fake_shard(tmp_path, "a.npz", "s")], PARAMS)


@pytest.mark.parametrize("blocks_mixed", [1, 3, 100])
@pytest.mark.parametrize("batch_size", [10, 64])
@pytest.mark.parametrize("vary", [None, dataset.varied])
def test_every_sample_comes_once_with_its_label(tmp_path, blocks_mixed, batch_size, vary):
    shards = [fake_shard(tmp_path, f"{i}.npz", f"{i}", 37 + i, value=i / 16) for i in range(5)]
    blocks = dataset.blocks_of(shards, 20)
    seen = []
    for samples, labels in dataset.batches(blocks, batch_size, blocks_mixed, np.random.default_rng(0), vary):
        assert 0 < len(samples) == len(labels) <= batch_size
        assert np.array_equal(samples[:, 0, 0, 1].astype(np.float32), labels)  # the row number is both, mirrored or not
        assert (samples[:, 0, :, 1] == samples[:, 0, :1, 1]).all()
        assert np.all(samples[:, 5, 5, 0] * np.sign(labels) >= 0)
        seen += [(abs(float(sample[5, 5, 0])) * 16, abs(float(label))) for sample, label in zip(samples, labels)]
    assert sorted(seen) == sorted((float(i), float(row)) for i in range(5) for row in range(37 + i))
    assert seen != sorted(seen)


@pytest.mark.parametrize("name", ["bands", "original"])
def test_only_the_original_gets_its_frames_in_any_order(tmp_path, name):
    """Each frame of a fake shard holds its number."""
    for i in range(2):
        fake_shard(tmp_path, f"{i}.npz", f"{i}", value=1)
    shards = dataset.open_shards(tmp_path, PARAMS, "X.py")
    feed = dataset.ShardFeed([shards], replace(PARAMS, model=name))
    samples = np.concatenate([samples for samples, _ in feed.training(1)])
    rising = np.all(np.diff(np.abs(samples[:, 1, :, 1].astype(float)), axis=1) > 0, axis=1)
    assert rising.all() if name == "bands" else not rising.any()
    assert np.any(samples[:, 1, :, 1] < 0) == (name == "original")  # mirrored


def test_folders_mix_by_their_weights(tmp_path):
    many, few = ([fake_shard(tmp_path, f"{name}{i}.npz", f"{name}{i}", 37, value=value) for i in range(count)]
                 for name, count, value in (("a", 8, 1), ("b", 2, 2)))
    feed = dataset.ShardFeed([many, few], PARAMS, [0.5, 3.0])
    for epoch in (1, 2):
        values = np.concatenate([samples[:, 5, 5, 0] for samples, _ in feed.training(epoch)])
        assert (values == 1).sum() == 6 * 37 / 2
        assert (values == 2).sum() == 1 * 37 * 3
        assert len(values) == feed.training_count
    seen = [{sample.tobytes() for samples, _ in feed.training(epoch) for sample in samples if sample[5, 5, 0] == 1}
            for epoch in (1, 2)]
    assert seen[0] != seen[1] or len(seen[0]) == 37  # a fraction takes other blocks in every epoch
    assert feed.validation_count == 3 * 37
    assert dataset.ShardFeed([many, few], PARAMS).fingerprint != feed.fingerprint
    longer = [fake_shard(tmp_path, f"c{i}.npz", f"c{i}", frames=60) for i in range(2)]
    with pytest.raises(BadInput, match="one --frames"):
        dataset.ShardFeed([many, longer], PARAMS)


def test_the_order_follows_from_the_seed(tmp_path):
    blocks = dataset.blocks_of([fake_shard(tmp_path, f"{i}.npz", f"{i}") for i in range(3)], 10)
    one, two, three = ([labels.tolist() for _, labels in dataset.batches(blocks, 16, 4, np.random.default_rng(seed))]
                       for seed in (1, 1, 2))
    assert one == two != three


def test_read_ahead_passes_on_items_and_failures():
    assert list(dataset.read_ahead(iter(range(100)), 7)) == list(range(100))

    def failing():
        yield 1
        raise BadInput("torn")
    with pytest.raises(BadInput, match="torn"):
        list(dataset.read_ahead(failing(), 3))
