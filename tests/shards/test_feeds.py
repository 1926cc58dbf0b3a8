"""Batches from shards: every sample once with its label, shuffled by the seed, folders by their weights."""
from dataclasses import replace

import numpy as np
import pytest

import features
from console import BadInput
from params import Params
from shards import feeds, files, reading

PARAMS = replace(Params(), frames=10)


def samples_of(batches):
    """All samples and labels of a stream of batches."""
    samples, labels = zip(*batches)
    return np.concatenate(samples), np.concatenate(labels)


# -------------------------------------------------------------------------------------------------------------- batches

def test_blocks_are_runs_of_neighbours_that_are_kept(fake_shard):
    shard = fake_shard("a.npz", "s", count=9)
    blocks = feeds.blocks_of([shard], 3, lambda shard: np.array([1, 1, 1, 1, 0, 0, 1, 1, 0], bool))
    assert [(block.first, block.last) for block in blocks] == [(0, 3), (3, 4), (6, 8)]
    assert feeds.count_samples(blocks) == 6


@pytest.fixture
def blocks(fake_shard):
    """Blocks of five shards of 7 to 11 samples; each shard has a value of its own."""
    return feeds.blocks_of([fake_shard(f"{i}.npz", f"{i}", 7 + i, value=(1 + i) / 16) for i in range(5)], 4)


@pytest.mark.parametrize("blocks_mixed", [1, 3, 100])
@pytest.mark.parametrize("batch_size", [5, 16])
@pytest.mark.parametrize("vary", [None, feeds.varied])
def test_every_sample_comes_once_with_its_label(blocks, blocks_mixed, batch_size, vary):
    batches = list(feeds.batches(blocks, batch_size, blocks_mixed, np.random.default_rng(0), vary))
    samples, labels = samples_of(batches)
    assert [len(labels) for _, labels in batches] == [batch_size] * (45 // batch_size) + [45 % batch_size] * (
        45 % batch_size > 0)
    np.testing.assert_array_equal(samples[:, 0, 0, 1].astype(np.float32), labels)  # the row number, mirrored or not
    came = [(abs(float(sample[5, 5, 0])) * 16 - 1, abs(float(label))) for sample, label in zip(samples, labels)]
    assert sorted(came) == [(i, row) for i in range(5) for row in range(7 + i)]
    assert came != sorted(came)


def test_without_a_generator_all_comes_in_order(blocks):
    samples, labels = samples_of(feeds.batches(blocks, 16, 3))
    assert labels.tolist() == [row for i in range(5) for row in range(7 + i)]
    assert np.all(np.diff(samples[:, 5, 5, 0].astype(float)) >= 0)


def test_the_order_follows_from_the_seed(blocks):
    one, again, other = ([labels.tolist() for _, labels in feeds.batches(blocks, 16, 4, np.random.default_rng(seed))]
                         for seed in (1, 1, 2))
    assert one == again
    assert one != other


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("rng", [None, 0])
@pytest.mark.parametrize("vary", [None, feeds.varied])
def test_the_shares_of_workers_make_up_the_batches_of_one(blocks, monkeypatch, workers, rng, vary):
    def given(share):
        generator = None if rng is None else np.random.default_rng(rng)
        return list(feeds.batches(blocks, 16, 3, generator, vary if generator else None, share=share))

    read = []
    monkeypatch.setattr(feeds, "read_samples", lambda shard, first, last, out: (
        read.append(last - first), reading.read_samples(shard, first, last, out)))
    whole, shares = given(None), [given(feeds.Share(index, workers)) for index in range(workers)]
    assert sum(read) == 2 * 45   # once for the one, once for all the workers together
    for batch, *parts in zip(whole, *shares, strict=True):
        for one, of_workers in zip(batch, zip(*parts)):
            np.testing.assert_array_equal(np.concatenate(of_workers), one)
        counts = [len(labels) for _, labels in parts]
        assert max(counts) - min(counts) <= 1


def test_blocks_of_one_chunk_are_shuffled_together(blocks):
    _, labels = next(feeds.batches(blocks, 16, 100, np.random.default_rng(0)))
    samples, _ = next(feeds.batches(blocks, 16, 100, np.random.default_rng(0)))
    assert len(set(samples[:, 5, 5, 0].tolist())) > 3
    assert len(set(np.diff(labels).tolist())) > 3


def test_a_mirrored_sample_is_that_of_the_exchanged_ears():
    rng = np.random.default_rng(0)
    ears = rng.standard_normal((40, 2, PARAMS.sample_length)).astype(np.float32)
    cues, exchanged = (features.from_ears(e, PARAMS).astype(np.float16) for e in (ears, ears[:, ::-1]))
    labels = rng.uniform(-90, 90, 40).astype(np.float32)
    mirrored, new_labels = feeds.mirrored(cues.copy(), labels, rng)
    chosen = new_labels != labels
    inside = np.abs(np.abs(cues[..., 0]) - np.pi) > 0.01  # pi and -pi are the same phase
    assert 8 < chosen.sum() < 32
    np.testing.assert_array_equal(new_labels, np.where(chosen, -labels, labels))
    np.testing.assert_array_equal(mirrored[~chosen], cues[~chosen])
    assert np.quantile(np.abs(mirrored[chosen] - exchanged[chosen])[inside[chosen]], 0.999) < 0.03


def test_every_source_of_a_mirrored_sample_is_mirrored_and_what_is_not_known_stays_so():
    labels = np.tile(np.float32([30, -20, np.nan, np.inf]), (40, 1))
    _, mirrored = feeds.mirrored(np.ones((40, 1, 1, 2), np.float16), labels.copy(), np.random.default_rng(0))
    signs = np.sign(mirrored[:, 0])
    assert 8 < np.sum(signs < 0) < 32
    np.testing.assert_array_equal(mirrored[:, :3], labels[:, :3] * signs[:, np.newaxis])
    assert (mirrored[:, 3] == np.inf).all()


def test_frames_are_shuffled_alike_at_all_frequencies():
    samples = np.tile(np.arange(10, dtype=np.float16)[:, np.newaxis], (4, 321, 1, 2))
    shuffled, labels = feeds.varied(samples, np.ones(4, np.float32), np.random.default_rng(0))
    order = np.abs(shuffled[0, 0, :, 0])
    assert sorted(order.tolist()) == list(range(10))
    assert order.tolist() != list(range(10))
    np.testing.assert_array_equal(np.abs(shuffled), np.broadcast_to(order[:, np.newaxis], shuffled.shape))


def test_reading_ahead_passes_on_items_and_failures():
    def failing():
        yield 1
        raise BadInput("torn")

    assert list(feeds.read_ahead(iter(range(100)), 7)) == list(range(100))
    with pytest.raises(BadInput, match="torn"):
        list(feeds.read_ahead(failing(), 3))


# ----------------------------------------------------------------------------------------------------------- ShardFeed

@pytest.fixture
def folders(fake_shard):
    """A folder of 8 shards, whose values are 1 / 64 to 8 / 64, and one of 2: 101 / 64 and 102 / 64."""
    return [[fake_shard(f"{first}_{i}.npz", f"{first}_{i}", value=(first + i) / 64) for i in range(count)]
            for first, count in ((1, 8), (101, 2))]


def values_of(feed, epoch):
    """64 times the value of each sample of an epoch, which tells its shard."""
    return np.rint(64 * samples_of(feed.training(epoch))[0][:, 5, 5, 0].astype(float)).astype(int)


def test_folders_come_in_an_epoch_as_often_as_their_weights_say(folders):
    feed = feeds.ShardFeed(folders, PARAMS, [0.5, 3.0])
    for epoch in (1, 2):
        values = values_of(feed, epoch)
        assert np.sum(values < 100) == 8 * 6 / 2  # 6 of the 8 shards train
        assert np.sum(values > 100) == 8 * 1 * 3
        assert len(values) == feed.training_count


def test_a_fraction_takes_other_blocks_in_every_epoch(folders):
    feed = feeds.ShardFeed(folders[:1], PARAMS, [0.5])
    one, two, three = (set(values_of(feed, epoch).tolist()) for epoch in (1, 2, 3))
    assert not one & two
    assert one == three
    assert len(one | two) == 6


def test_validation_takes_every_folder_once_whatever_its_weight(folders):
    feed = feeds.ShardFeed(folders, PARAMS, [0.5, 3.0])
    samples, _ = samples_of(feed.validation(16))
    assert len(samples) == feed.validation_count == 8 * (2 + 1)
    assert not set((64 * samples[:, 5, 5, 0]).tolist()) & set(values_of(feed, 1).tolist())


def test_validation_is_always_the_same(folders):
    feed = feeds.ShardFeed(folders, PARAMS)
    one, again = (samples_of(feed.validation(batch_size)) for batch_size in (16, 5))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])


def test_other_weights_or_shards_have_another_fingerprint(folders):
    fingerprints = {feeds.ShardFeed(*given).fingerprint for given in
                    ((folders, PARAMS), (folders, PARAMS, [0.5, 3.0]), (folders[:1], PARAMS))}
    assert len(fingerprints) == 3
    assert feeds.ShardFeed(folders, PARAMS).fingerprint in fingerprints


def test_the_fingerprint_of_blocks_is_that_of_their_whole_description(folders):
    for blocks in ([], feeds.blocks_of(folders[0], 3)):
        parts = [blocks, feeds.blocks_of(folders[1], 5)]
        plain = [[(b.shard.path.name, b.shard.params, b.first, b.last) for b in part] for part in parts]
        assert feeds._fingerprint_of_blocks([1.0, 0.5], parts) == feeds.fingerprint([[1.0, 0.5], plain])


def test_folders_of_different_durations_are_refused(folders, fake_shard):
    longer = [fake_shard(f"c{i}.npz", f"c{i}", frames=12) for i in range(2)]
    with pytest.raises(BadInput, match="samples of 12 frames and .* of 10; make them again with one --frames"):
        feeds.ShardFeed([folders[0], longer], PARAMS)


def test_a_feed_has_the_duration_of_its_shards_and_longer_ones_take_no_more_memory(fake_shard):
    short, long = (feeds.ShardFeed([[fake_shard(f"{frames}_{s}.npz", s, frames=frames) for s in "ab"]], Params())
                   for frames in (50, 200))
    assert (short.params.frames, long.params.frames) == (50, 200)
    assert long._chunk_blocks * 200 <= short._chunk_blocks * 50


@pytest.mark.parametrize("model", ["cnn", "original"])
def test_only_the_original_network_gets_its_frames_in_any_order_and_mirrored(fake_shard, tmp_path, model):
    """Each frame of a fake shard holds its number."""
    for i in range(2):
        fake_shard(f"{i}.npz", f"{i}", value=1)
    feed = feeds.ShardFeed([files.open_shards(tmp_path, PARAMS, "X.py")], replace(PARAMS, model=model))
    frames = samples_of(feed.training(1))[0][:, 1, :, 1].astype(float)
    rising = np.all(np.diff(np.abs(frames), axis=1) > 0, axis=1)
    assert np.all(rising) == (model == "cnn")
    assert np.any(frames < 0) == (model == "original")


def test_batches_of_several_talkers_hold_every_source(fake_shard):
    """Row 1 has one talker, row 2 none; shards of one talker a sample, in noise from one direction, come along."""
    several = [[30, -20], [5, np.nan], [np.nan, np.nan]]
    shards = [fake_shard(f"{name}.npz", name, count=3, talkers_deg=several) for name in "ab"]
    shards += [fake_shard(f"{name}.npz", name, count=2, field="talker") for name in "cd"]
    feed = feeds.ShardFeed([shards], PARAMS)
    given = [samples_of(feed.training(1)), samples_of(feed.validation(16))]
    samples, labels = map(np.concatenate, zip(*given))
    assert labels.shape == (10, 3)
    assert labels.dtype == np.float32
    rows, fields = samples[:, 0, 0, 1].astype(int), np.isinf(labels[:, 2])
    np.testing.assert_array_equal(labels[~fields, :2], np.float32(several)[rows[~fields]])
    np.testing.assert_array_equal(labels[fields, 0], rows[fields])
    assert np.isnan(labels[fields, 1]).all()
    assert np.isnan(labels[~fields, 2]).all()
    assert fields.sum() == 4


@pytest.mark.parametrize(("field", "shape"), [("diffuse", (16,)), ("diotic", (16,)), ("talker", (16, 2)),
                                              ("directional", (16, 2)), ("mixed", (16, 2))])
def test_one_talker_beside_a_point_source_is_not_taught_as_the_only_source(fake_shard, field, shape):
    shards = [fake_shard(f"{name}.npz", name, field=field) for name in "ab"]
    feed = feeds.ShardFeed([shards], PARAMS)
    labels = np.concatenate([samples_of(feed.training(1))[1], samples_of(feed.validation(16))[1]])
    assert labels.shape == shape
    assert sorted(labels.reshape(16, -1)[:, 0].tolist()) == sorted([*range(8)] * 2)
    assert len(shape) == 1 or np.isposinf(labels[:, 1]).all()


def test_the_folders_numbers_are_stored_without_the_digests_of_single_files(folders):
    feed = feeds.ShardFeed(folders, PARAMS)
    assert feed.made_with["seed"] == 0
    assert "speech_sha256" not in feed.made_with
