"""Samples of shards as sound again: as they were mixed, or with a reason why not."""
from dataclasses import replace

import numpy as np
import pytest

import features
from console import BadInput
from params import Params
from shards import spatialise
from shards.files import open_shards
from shards.reading import read_samples
from shards.remix import Remixer

PARAMS = replace(Params(), frames=10)


@pytest.fixture
def made(noise_files, tmp_path):
    """Folders of speech and noise, and a shard of them with a competing talker in a room."""
    speech, noise = (noise_files(name, count, 0.5, PARAMS)[0] for name, count in (("speech", 2), ("noise", 1)))
    spatialise.main("", "TRAIN", ["--speech", str(speech), "--noise", str(noise), "--out", str(tmp_path), "--frames",
                                  "10", "--azimuth-deg", "-30", "20", "--snr-db", "0", "20", "--noise-field", "talker",
                                  "--rt60-s", "0.2", "0.3"])
    return speech, noise, open_shards(tmp_path, PARAMS, "X.py")[0]


@pytest.mark.parametrize("row", [0, 3])
def test_a_sample_sounds_as_it_was_mixed(made, row):
    speech, noise, shard = made
    samples = np.empty((4, *PARAMS.sample_shape), np.float16)
    read_samples(shard, 0, 4, samples)
    expected = features.from_ears(Remixer(speech, noise).ears(shard, row), PARAMS)
    assert np.quantile(np.abs(samples[row, ..., 1] - expected[..., 1]), 0.999) < 0.03


def test_several_talkers_sound_as_they_were_mixed(noise_files, tmp_path):
    speech, noise = (noise_files(name, count, 0.5, PARAMS)[0] for name, count in (("speech", 4), ("noise", 1)))
    spatialise.main("", "TRAIN", ["--speech", str(speech), "--noise", str(noise), "--out", str(tmp_path), "--frames",
                                  "10", "--azimuth-deg", "-50", "0", "50", "--snr-db", "0", "20", "--talkers", "0", "2",
                                  "3", "--rt60-s", "0.2", "0.3", "--sensor-snr-db", "20", "30"])
    remixer, samples = Remixer(speech, noise), np.empty((6, *PARAMS.sample_shape), np.float16)
    for shard in open_shards(tmp_path, PARAMS, "X.py"):
        read_samples(shard, 0, 6, samples)
        for row in range(6):
            expected = features.from_ears(remixer.ears(shard, row), PARAMS)
            assert np.quantile(np.abs(samples[row, ..., 1] - expected[..., 1]), 0.999) < 0.03


def test_a_folder_that_was_not_given_is_asked_for(made):
    speech, _, shard = made
    with pytest.raises(BadInput, match="noise0.wav needs --noise"):
        Remixer(speech, None).ears(shard, 0)


def test_a_file_that_has_gone_is_named(made, tmp_path):
    _, noise, shard = made
    with pytest.raises(BadInput, match="speech0.wav is not in --speech"):
        Remixer(tmp_path, noise).ears(shard, 0)


def test_a_file_that_has_changed_is_not_taken(made, noise_files):
    _, noise, shard = made
    others = noise_files("speech", 2, 0.5, PARAMS, seed=1)[0]
    with pytest.raises(BadInput, match="speech0.wav or noise0.wav has changed"):
        Remixer(others, noise).ears(shard, 0)


def test_a_head_that_is_not_given_is_named(made):
    speech, noise, shard = made
    with pytest.raises(BadInput, match="the head mit_kemar is not among --hrir"):
        Remixer(speech, noise).ears(shard._replace(params=shard.params | {"hrir_sha256": ["another"]}), 0)
