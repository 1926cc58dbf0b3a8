"""Labelled recordings become shards like any other, with every problem of the labels named at once."""
import csv
import json
import re

import numpy as np
import pytest
import soundfile as sf
from conftest import run_script
from test_localise import from_all_around, through_the_head

import dataset
import features
import recordings
from console import BadInput
from params import Params

PARAMS = Params()
RATE = PARAMS.sample_rate_hz
GOOD = "file,start_s,end_s,azimuth_deg\n"


@pytest.fixture(scope="module")
def folder(demo, tmp_path_factory):
    """Two recordings at 48 kHz, each with two talkers at directions on and off the grid, and their labels."""
    folder = tmp_path_factory.mktemp("recorded")
    files = sorted((demo / "SpeechTEST").glob("*.wav"))
    rows = []
    for number, directions in enumerate(((-45, 30), (60, 0))):
        parts = [through_the_head(dataset.read_mono(files[2 * number + i], PARAMS)[:3 * RATE], azimuth_deg)
                 for i, azimuth_deg in enumerate(directions)]
        signal = np.concatenate(parts)
        sf.write(folder / f"take{number}.wav", signal * 0.5 / np.abs(signal).max(), RATE, subtype="FLOAT")
        rows += [(f"take{number}.wav", 3.0 * i, 3.0 * i + 2.9, azimuth_deg + 0.5) for i, azimuth_deg in
                 enumerate(directions)]
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([recordings.HEADER, *rows])
    return folder


def shards_of(path):
    return dataset.open_shards(path, PARAMS, "X.py")


def test_recordings_become_shards(folder, tmp_path):
    said = run_script("SpatialiseTRAIN.py", "--recordings", folder, "--out", tmp_path).stdout
    assert "2 recordings" in said
    shards = shards_of(tmp_path)
    assert [shard.speech for shard in shards] == ["take0.wav", "take1.wav"]
    for shard, labels in zip(shards, ((-44.5, 30.5), (60.5, 0.5))):
        assert sorted(set(shard.labels.tolist())) == sorted(labels)
        assert np.isinf(shard.snr_db).all()
        assert set(shard.hrir.tolist()) == {"recording"}
        np.testing.assert_allclose(shard.excerpt_start_s[:4], [0, 0.5, 1.0, 1.5], atol=1e-4)
        assert len(shard.labels) == 2 * 4
        signal, _ = sf.read(folder / shard.speech, dtype="float32")
        samples = np.empty((8, *PARAMS.sample_shape), np.float16)
        dataset.read_samples(shard, 0, 8, samples)
        expected = features.from_ears(signal[8_000:8_000 + PARAMS.sample_length].T, PARAMS)
        np.testing.assert_allclose(samples[1].astype(float)[..., 1], expected[..., 1], atol=0.05)
    again = run_script("SpatialiseTRAIN.py", "--recordings", folder, "--out", tmp_path).stdout
    assert "nothing to do" in again
    labels = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(labels.replace("60.5", "61.5"))
    try:
        assert "made 1 shards" in run_script("SpatialiseTRAIN.py", "--recordings", folder, "--out", tmp_path).stdout
    finally:
        (folder / "labels.csv").write_text(labels)


def test_noise_is_added_at_the_snr_asked_for(folder, wavs, tmp_path):
    run_script("SpatialiseTEST.py", "--recordings", folder, "--noise", wavs("NoiseTEST", 1), "--snr-db", 0, 60,
               "--out", tmp_path / "noisy")
    run_script("SpatialiseTEST.py", "--recordings", folder, "--out", tmp_path / "clean")
    noisy, clean = shards_of(tmp_path / "noisy")[0], shards_of(tmp_path / "clean")[0]
    assert sorted(set(noisy.snr_db.tolist())) == [0, 60]
    assert len(noisy.labels) == 2 * len(clean.labels)
    cues = {}
    for name, shard in (("noisy", noisy), ("clean", clean)):
        cues[name] = np.empty((len(shard.labels), *PARAMS.sample_shape), np.float16)
        dataset.read_samples(shard, 0, len(shard.labels), cues[name])
    off = [np.median(np.abs(cues["noisy"][noisy.snr_db == snr_db].astype(float) - cues["clean"])[:, :160, :, 1])
           for snr_db in (0, 60)]
    assert off[1] < 0.3 < 2 < off[0]


def test_training_and_testing_take_them_and_mix_them_with_simulation(folder, shards, tmp_path):
    data, models = tmp_path / "recorded", tmp_path / "models"
    run_script("SpatialiseTRAIN.py", "--recordings", folder, "--out", data)
    first = run_script("TrainingCNN.py", "--data", shards, data, "--weights", 1, 5, "--epochs", 1, "--out", models)
    assert f"{len(shards_of(shards)) + 2} shards of 2 folders" in first.stdout
    tuned = run_script("TrainingCNN.py", "--data", data, "--from", models / "last.keras", "--learning-rate", 1e-5,
                       "--epochs", 1, "--out", tmp_path / "tuned")
    assert "epoch   1/1" in tuned.stdout
    tested = run_script("Testing.py", "--data", data, "--models", tmp_path / "tuned", "--out", tmp_path / "results")
    assert re.search(r"SNR \(dB\) .*\n +no noise +\d", tested.stdout)
    assert re.search(r"\nnoise .*\n +none +\d", tested.stdout)
    assert "no noise" in (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "results" / "accuracy_by_snr.png").exists()
    figures = json.loads((tmp_path / "results" / "results.json").read_text())["best"]
    assert set(figures["by_hrir"]) == {"recording"}
    assert list(figures["by_snr_db"]) == ["inf"]
    assert set(figures["by_azimuth_deg"]) == {"-44.5", "0.5", "30.5", "60.5"}


@pytest.mark.parametrize(("labels", "says"), [
    ("", "its first line must be file,start_s,end_s,azimuth_deg"),
    ("file;start_s;end_s;azimuth_deg\n", "its first line must be"),
    (GOOD, "holds no stretch"),
    (GOOD + "nowhere.wav,0,2,0\n", "row 2: nowhere.wav does not exist"),
    (GOOD + "take0.wav,0,99,0\n", "row 2: 0 to 99 s does not lie within take0.wav (6.00 s)"),
    (GOOD + "take0.wav,3,2,0\n", "row 2: 3 to 2 s does not lie within"),
    (GOOD + "take0.wav,0,0.5,0\n", "row 2: 0 to 0.5 s is shorter than a sample (1.02 s)"),
    (GOOD + "take0.wav,0,2,120\n", "row 2: azimuth 120 is not within"),
    (GOOD + "take0.wav,0,2,nan\n", "row 2: 0, 2, nan are not finite"),
    (GOOD + "take0.wav,0,2,left\n", "row 2: 0, 2, left are not three numbers"),
    (GOOD + "take0.wav,0,2,5,5\n", "a decimal comma?"),
    (GOOD + "take0.wav,0,2,5\ntake0.wav,1.5,4,5\n", "row 3: overlaps with the stretch 0 to 2 s"),
    (GOOD + "mono.wav,0,2,5\n", "row 2: mono.wav has 1 channel(s), not two"),
    (GOOD + "text.wav,0,2,5\n", "row 2: text.wav cannot be read as audio"),
])
def test_labels_that_do_not_fit(folder, tmp_path, labels, says):
    for name in ("take0.wav", "take1.wav"):
        (tmp_path / name).symlink_to(folder / name)
    sf.write(tmp_path / "mono.wav", np.zeros(3 * RATE), RATE)
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(BadInput) as refusal:
        recordings.read_labels(tmp_path, PARAMS)
    assert says in str(refusal.value)
    assert "labels.csv" in str(refusal.value)


def test_all_problems_come_at_once_and_before_anything_is_written(folder, tmp_path):
    (tmp_path / "take0.wav").symlink_to(folder / "take0.wav")
    (tmp_path / "labels.csv").write_text(GOOD + "take0.wav,0,2,5\nnowhere.wav,0,2,5\n\ntake0.wav,2,4,100\n")
    refused = run_script("SpatialiseTRAIN.py", "--recordings", tmp_path, "--out", tmp_path / "out", status=2).stderr
    assert "2 row(s)" in refused
    assert "row 3: nowhere.wav" in refused
    assert "row 5: azimuth 100" in refused
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("flags", "says"), [
    (["--speech", "x"], "--speech does nothing with --recordings"),
    (["--world"], "--world does nothing with --recordings"),
    (["--snr-db", "0"], "add noise with --noise"),
    (["--noise", "x", "--noise-field", "talker"], "need speech"),
    (["--excerpts", "2"], "--excerpts does nothing with --recordings"),
])
def test_flags_that_do_nothing_for_recordings(tmp_path, flags, says):
    assert says in run_script("SpatialiseTRAIN.py", "--recordings", tmp_path, *flags, status=2, cwd=tmp_path).stderr


def test_samples_stay_within_their_stretch():
    stretches = (recordings.Stretch(0.0, 1.02, -10.0), recordings.Stretch(1.5, 4.0, 20.0))
    starts, azimuths = recordings.starts_of(recordings.Recording(None, "", "", stretches), PARAMS)
    for start, azimuth_deg in zip(starts / RATE, azimuths):
        stretch = stretches[int(azimuth_deg > 0)]
        assert stretch.start_s <= start
        assert start + PARAMS.sample_length / RATE <= stretch.end_s + 1e-6
    assert azimuths.tolist() == [-10, 20, 20, 20]


def test_diffuse_noise_of_the_helpers_is_diffuse():
    """The test's own noise: nearly the same at both ears at the lowest frequencies only."""
    noise = from_all_around(np.random.default_rng(0).standard_normal(8 * RATE), 4 * RATE)
    spectra = features.stft(noise.T.astype(np.float32), PARAMS)
    cross = (spectra[0] * np.conj(spectra[1])).mean(axis=1)
    coherence = np.abs(cross) / np.sqrt((np.abs(spectra) ** 2).mean(axis=2).prod(axis=0))
    assert coherence[3:6].mean() > 0.8 > 0.3 > coherence[60:200].mean()
