"""The one split into training and validation, for shards and for training on the fly."""
from dataclasses import replace

import numpy as np
import pytest

from console import BadInput
from params import Params
from shards import on_the_fly
from shards.audio import Audio
from shards.feeds import count_samples, split_shards
from shards.split import split

PARAMS = replace(Params(), frames=10)


def speech_files(digests):
    return [Audio(None, digest, digest, 1) for digest in digests]


def of_no_single_file():
    raise AssertionError("the starts of a single file are asked for although there are several")


@pytest.mark.parametrize(("files", "kept"), [(2, 1), (3, 1), (4, 1), (6, 2), (10, 2), (40, 10)])
def test_a_quarter_of_the_files_validates(files, kept):
    parts = split(map(str, range(files)), of_no_single_file, 1.0, PARAMS)
    assert len(parts.validation_files) == kept


def test_another_share_keeps_as_many():
    parts = split(map(str, range(10)), of_no_single_file, 1.0, replace(PARAMS, validation_share=0.5))
    assert len(parts.validation_files) == 5


def test_another_seed_or_order_validates_on_the_same_files():
    digests = [f"{i:02}" for i in range(40)]
    kept = {split(order, of_no_single_file, 1.0, replace(PARAMS, seed=seed)).validation_files
            for seed in range(5) for order in (digests, digests[::-1])}
    assert len(kept) == 1


def test_every_excerpt_of_a_file_trains_or_validates_and_none_does_both():
    parts, starts = split("abcd", of_no_single_file, 1.0, PARAMS), np.arange(3)
    trains, validates = (np.array([keeps(digest, starts) for digest in "abcd"]) for keeps in
                         (parts.trains, parts.validates))
    np.testing.assert_array_equal(trains, ~validates)
    assert validates.all(axis=1).tolist() == [digest in parts.validation_files for digest in "abcd"]


def test_the_files_of_both_parts_are_all_files():
    parts = split("abcdefgh", of_no_single_file, 1.0, PARAMS)
    training, validation = ({audio.sha256 for audio in part} for part in parts.files(speech_files("abcdefgh")))
    assert not training & validation
    assert training | validation == set("abcdefgh")
    assert validation == parts.validation_files


@pytest.mark.parametrize("digests", ["a", "aa"])
def test_a_single_file_is_split_by_time_under_any_names(digests):
    """The last quarter of its starts validates; an excerpt of 1 s that reaches into it does neither."""
    parts = split(digests, lambda: np.arange(0, 10, 0.5), 1.0, PARAMS)
    starts = np.arange(0, 10, 0.5)
    assert parts.border == 7.5
    assert starts[parts.validates("a", starts)].tolist() == [7.5, 8.0, 8.5, 9.0, 9.5]
    assert starts[parts.trains("a", starts)].max() == 6.5


def test_a_single_file_both_trains_and_validates():
    alone = speech_files("a")
    assert split("a", lambda: np.arange(9), 1.0, PARAMS).files(alone) == (alone, alone)


# ----------------------------------------------------------------------------------------------------------- both feeds

@pytest.mark.parametrize("files", [2, 5, 9])
def test_both_feeds_keep_the_same_files(fake_shard, files):
    digests = [f"speech{number}" for number in range(files)]
    _, validation = split_shards([fake_shard(f"{digest}.npz", digest) for digest in digests], PARAMS)
    on_the_fly_parts = on_the_fly._split_speech(speech_files(digests), PARAMS)
    assert {block.shard.speech for block in validation} == on_the_fly_parts.validation_files


@pytest.mark.parametrize("files", [2, 3, 4, 10])
def test_no_speech_file_both_trains_and_validates(fake_shard, files):
    shards = [fake_shard(f"{s}_{n}.npz", f"speech{s}") for s in range(files) for n in range(2)]
    training, validation = split_shards(shards, PARAMS)
    trains, validates = ({block.shard.speech for block in blocks} for blocks in (training, validation))
    assert not trains & validates
    assert len(trains | validates) == files
    assert count_samples(training) + count_samples(validation) == 8 * 2 * files


def test_one_file_under_two_names_stays_in_one_part(fake_shard):
    for others in range(8):
        shards = [fake_shard(f"{i}.npz", "twin" if i < 2 else f"{others}{i}") for i in range(4)]
        training, _ = split_shards(shards, PARAMS)
        assert sum(block.shard.path.name in ("0.npz", "1.npz") for block in training) in (0, 2)


def test_a_shard_of_a_single_file_is_split_by_time(fake_shard, capsys):
    shard = fake_shard("a.npz", "alone.wav", 16, np.repeat([0.0, 1.5, 2.9, 4.0], 4))
    training, validation = split_shards([shard], PARAMS)
    assert [(block.first, block.last) for block in training] == [(0, 12)]
    assert [(block.first, block.last) for block in validation] == [(12, 16)]
    assert "alone.wav" in capsys.readouterr().err


def test_a_shard_of_a_single_excerpt_cannot_be_split(fake_shard):
    with pytest.raises(BadInput, match="second speech file"):
        split_shards([fake_shard("a.npz", "s")], PARAMS)


def test_a_wav_on_its_own_is_split_by_time(write, capsys):
    path = write("alone.wav", np.random.default_rng(0).standard_normal(32_000) * 0.1)
    parts = on_the_fly._split_speech([Audio(path, "alone.wav", "x", 1)], PARAMS)
    starts = np.arange(0, 32_000 - PARAMS.excerpt_length + 1, 80)
    assert starts[parts.trains("x", starts)].max() + PARAMS.excerpt_length <= parts.border
    assert parts.border == starts[-round(len(starts) / 4)]
    assert "Only one speech file (alone.wav)" in capsys.readouterr().err


def test_a_short_wav_on_its_own_is_refused(write):
    path = write("short.wav", np.random.default_rng(0).standard_normal(PARAMS.excerpt_length + 800) * 0.1)
    with pytest.raises(BadInput, match="only speech file and too short"):
        on_the_fly._split_speech([Audio(path, "short.wav", "x", 1)], PARAMS)
