"""Shards that nobody mixed, and audio files that hold noise in place of talkers: fast to make."""
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from params import Params
from shards import audio, files


@pytest.fixture
def fake_shard(tmp_path):
    """Function: write a whole shard whose samples hold their row number in one bin, their frame number in another.

    `talkers_deg` (n, talker) makes it a shard of several talkers, each 1 dB weaker than the one before.
    """
    def shard(name, speech, count=8, starts=None, value=0.0, labels=None, talkers_deg=None, field="diotic", **changes):
        params = replace(Params(), frames=changes.setdefault("frames", 10))
        samples = np.full((count, *params.sample_shape), value, np.float16)
        samples[:, 0, :, 1] = np.arange(count)[:, np.newaxis]  # the same in every frame: frames are shuffled
        samples[:, 1, :, 1] = np.arange(params.frames)
        of_talkers = {}
        if talkers_deg is not None:
            azimuth_deg = np.asarray(talkers_deg, np.float32)
            level_db = np.where(np.isnan(azimuth_deg), np.nan, -np.arange(azimuth_deg.shape[1])).astype(np.float32)
            of_talkers = {"talker_azimuth_deg": azimuth_deg, "talker_level_db": level_db}
            changes["talkers"] = [azimuth_deg.shape[1]]
            labels = azimuth_deg[:, 0] if labels is None else labels
        labels = np.asarray(np.arange(count) if labels is None else labels, np.float32)
        arrays = of_talkers | {
                  "labels": labels, "snr_db": np.zeros(count, np.float32),
                  "noise_field": np.full(count, field), "hrir": np.full(count, "mit_kemar"),
                  "room_rt60_s": np.full(count, np.nan, np.float32), "speech": speech, "noise": "n.wav",
                  "excerpt_start_s": np.zeros(count, np.float32) if starts is None else np.asarray(starts, np.float32),
                  "params": json.dumps(params.scenes | {"speech_sha256": speech, "noise_sha256": "n"} | changes)}
        files.write_shard(tmp_path / name, count, [samples], lambda: arrays, params)
        return files.open_shard(tmp_path / name)
    return shard


@pytest.fixture(scope="module")
def noise_files(tmp_path_factory):
    """Function: a folder of wavs that hold noise of their own, and its audio.Audio."""
    def make(name, count, seconds, params, seed=0):
        folder = tmp_path_factory.mktemp(name)
        for number in range(count):
            rng = np.random.default_rng([seed, number, *name.encode()])
            sf.write(folder / f"{name}{number}.wav", 0.1 * rng.standard_normal(round(seconds * 16_000)), 16_000)
        return folder, audio.find_audio(folder, "--x", 1, params)[0]
    return make
