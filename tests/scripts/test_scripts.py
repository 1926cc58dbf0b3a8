"""From wavs to a score: the scripts one after another, as a user runs them."""
import csv
import json
import re

import numpy as np
import pytest
import soundfile as sf
from helpers import load_shards, room_file, run_process, run_script


def test_the_demo_audio_is_what_it_says(demo):
    for name, least in (("SpeechTRAIN", 16), ("SpeechTEST", 4), ("NoiseTRAIN", 3), ("NoiseTEST", 2)):
        files = sorted((demo / name).glob("*.wav"))
        assert len(files) >= least
        for file in files:
            info = sf.info(file)
            assert (info.channels, info.samplerate) == (1, 22_050)
            assert info.duration >= 4
    voices = [{f.stem.split("_", 2)[2].split("_")[1] for f in (demo / name).glob("*.wav")}
              for name in ("SpeechTRAIN", "SpeechTEST")]
    assert not voices[0] & voices[1]


@pytest.mark.slow
def test_the_demo_audio_is_the_same_again_and_leaves_others_alone(demo, tmp_path):
    own = tmp_path / "NoiseTRAIN" / "mine.wav"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    (tmp_path / "SpeechTEST").mkdir()
    half = sorted((demo / "SpeechTEST").glob("*.wav"))[0]
    (tmp_path / "SpeechTEST" / half.name).write_bytes(half.read_bytes())  # an interrupted run left one file
    run_process("tools/make_demo_audio.py", "--root", tmp_path)
    assert [p.name for p in own.parent.iterdir()] == ["mine.wav"]
    for name in ("SpeechTRAIN", "SpeechTEST", "NoiseTEST"):
        one, two = ({p.name: p.read_bytes() for p in (root / name).glob("*.wav")} for root in (demo, tmp_path))
        assert one == two


@pytest.mark.slow
def test_train_resume_and_test(short_shards, folders, tmp_path):
    models, results = tmp_path / "models", tmp_path / "results"
    printed = run_process("TrainingCNN.py", "--data", short_shards, "--out", models, "--epochs", 1)
    assert printed.stderr == ""  # nothing of TensorFlow's
    assert len([line for line in printed.stdout.splitlines() if line.startswith("epoch ")]) == 1
    refused = run_script("TrainingCNN.py", "--data", short_shards, "--out", models, "--epochs", 2, status=2).stderr
    assert "--resume" in refused
    run_script("TrainingCNN.py", "--data", short_shards, "--out", models, "--epochs", 2, "--resume")
    rows = list(csv.DictReader((models / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "validation_loss", "validation_within_5_deg_percent"} <= set(rows[0])
    assert sorted(p.name for p in models.iterdir()) == ["best.keras", "history.csv", "history.png", "last.keras"]
    assert "seed 0, wanted 1" in run_script("TrainingCNN.py", "--data", short_shards, "--out", models, "--epochs", 3,
                                            "--resume", "--seed", 1, status=2).stderr

    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path / "test", "--snr-db", 0, 20)
    table = run_script("Testing.py", "--data", tmp_path / "test", "--models", models, "--out", results,
                       *folders).stdout
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio ") == 40
    heard = re.findall(r"true (-?[\d.]+)°, answer (-?[\d.]+)°", page)
    figures = json.loads((results / "results.json").read_text())
    predictions = list(csv.DictReader((results / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert len(predictions) == 2 * 2 * 2 * 37
    for name in ("best", "last", "baseline"):
        assert len(figures[name]["by_azimuth_deg"]) == 37
        assert list(figures[name]["by_snr_db"]) == ["0", "20"]
        error = np.array([float(row[f"{name}_deg"]) - float(row["azimuth_deg"]) for row in predictions])
        assert figures[name]["mae_deg"] == pytest.approx(np.abs(error).mean(), abs=0.01)
        assert f"{figures[name]['within_5_deg_percent']:.1f}" in table
    error = sorted(abs(float(row["best_deg"]) - float(row["azimuth_deg"])) for row in predictions)
    assert min(abs(float(true) - float(answer)) for true, answer in heard[:20]) > error[-20] - 1  # the worst, rounded
    half_width = {float(row["best_spread_deg"]) for row in predictions}
    assert min(half_width) >= 0
    assert len(half_width) > 50
    assert figures["baseline"]["within_10_deg_percent"] > 80  # at 0 and 20 dB of diffuse noise
    assert 0 <= figures["best"]["inside_stated_68_percent"] <= figures["best"]["inside_stated_95_percent"] <= 100
    assert "inside_stated_68_percent" in figures["best"]["by_hrir"]["mit_kemar"]
    for picture in ("predicted_vs_true", "error_by_azimuth", "accuracy_by_snr", "calibration", "accuracy_by_kept"):
        assert (results / f"{picture}.png").stat().st_size > 5000
        assert f"{picture}.png" in table


@pytest.mark.slow
def test_one_wav_in_each_folder_is_enough(wavs, tmp_path):
    run_script("SpatialiseTRAIN.py", "--speech", wavs("SpeechTRAIN", 1), "--noise", wavs("NoiseTRAIN", 1),
               "--out", tmp_path / "train", "--snr-db", 0, 20)
    models = tmp_path / "models"
    printed = run_script("TrainingCNN.py", "--data", tmp_path / "train", "--out", models, "--epochs", 1,
                      "--model", "original")
    assert "Only one speech file" in printed.stderr
    first_line = printed.stdout.splitlines()[0]
    assert first_line.startswith("Network: original")
    assert "loss: mse" in first_line
    run_script("SpatialiseTEST.py", "--speech", wavs("SpeechTEST", 1), "--noise", wavs("NoiseTEST", 1),
               "--out", tmp_path / "test", "--snr-db", 0)
    results = tmp_path / "results"
    (models / "best.keras").unlink()  # one model of the two is enough
    run_script("Testing.py", "--data", tmp_path / "test", "--models", models, "--out", results)
    assert set(json.loads((results / "results.json").read_text())) == {"last", "baseline", "made_with"}
    header = (results / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.endswith("azimuth_deg,last_deg,baseline_deg")  # squared error states no uncertainty
    (models / "last.keras").unlink()
    problem = run_script("Testing.py", "--data", tmp_path / "test", "--models", models, "--out", results, status=2)
    assert "best.keras does not exist" in problem.stderr


@pytest.mark.slow
def test_heads_rooms_durations_and_azimuths_from_file_to_score(folders, short_shards, tmp_path):
    flags = [*folders, "--hrir", "mit_kemar", room_file(tmp_path / "my room.sofa"), "--azimuth-deg", -47.5, 0, 12,
             "--frames", 70, "--excerpts", 6, "--snr-db", 20]
    printed = run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "test").stdout
    assert "my room: 37 directions from -90 to 90 degrees, 44100 Hz, 22050 taps, RT60 0.3" in printed
    assert "azimuths mirrored" in printed
    assert "mit_kemar: 37 directions" in printed
    assert "nothing to do" in run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "test").stdout
    for shard in load_shards(tmp_path / "test"):
        assert shard["samples"].shape == (18, 321, 70, 2)
        assert sorted(set(shard["labels"].tolist())) == [-47.5, 0, 12]
        made_with = json.loads(str(shard["params"]))
        assert made_with["frames"] == 70
        assert made_with["hrir_set"] == ["mit_kemar", "my room"]
        assert len(made_with["hrir_sha256"]) == 2
        assert "RT60 0.3" in made_with["hrir_found"][1]
        in_room = shard["hrir"] == "my room"
        assert np.array_equal(np.isnan(shard["room_rt60_s"]), ~in_room)
        ild = np.median(shard["samples"][:, 80:200, :, 1].astype(float), axis=(1, 2))
        assert np.all(ild[shard["labels"] == -47.5] < -1)
    heads = np.concatenate([shard["hrir"] for shard in load_shards(tmp_path / "test")])
    assert set(heads.tolist()) == {"mit_kemar", "my room"}

    run_script("TrainingCNN.py", "--data", short_shards, "--out", tmp_path / "models", "--epochs", 1)
    scored = run_script("Testing.py", "--data", tmp_path / "test", "--models", tmp_path / "models", "--out",
                        tmp_path / "results")
    assert "best.keras was trained on samples of 20 frames and is scored on 70" in scored.stderr
    figures = json.loads((tmp_path / "results" / "results.json").read_text())
    assert set(figures["best"]["by_hrir"]) == {"mit_kemar", "my room"}
    assert set(figures["best"]["by_azimuth_deg"]) == {"-47.5", "0", "12"}
    assert figures["baseline"]["by_hrir"]["mit_kemar"]["within_5_deg_percent"] > 80
    rows = list(csv.DictReader((tmp_path / "results" / "predictions.csv").read_text().splitlines()))
    assert {row["room_rt60_s"] == "" for row in rows if row["hrir"] == "mit_kemar"} == {True}

    refused = run_script("SpatialiseTEST.py", *flags[:-1], "0", "--out", tmp_path / "test", status=2).stderr
    assert "snr_db [20], wanted [0]" in refused
