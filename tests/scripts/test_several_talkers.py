"""Several talkers from wavs to scores, by the scripts as a user runs them."""
import csv
import json

import numpy as np
import pytest
from helpers import load_shards, run_script

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tested(network, folders, tmp_path_factory):
    """Test shards of 0 to 2 talkers, what Testing.py printed, and its folder of results."""
    shards, models, out = (tmp_path_factory.mktemp(name) for name in ("shards", "models", "results"))
    run_script("SpatialiseTEST.py", *folders, "--out", shards, "--snr-db", 20, "--talkers", 0, 1, 2)
    network.save(models / "best.keras")
    done = run_script("Testing.py", "--data", shards, "--models", models, "--out", out, *folders)
    return load_shards(shards), done, out


def test_results_hold_every_method_by_count_distance_and_level(tested):
    shards, done, out = tested
    of_talkers = json.loads((out / "results.json").read_text())["talkers"]
    assert set(of_talkers) == {"best", "baseline", "gcc_phat"}
    count = np.isfinite(np.concatenate([shard["talker_azimuth_deg"] for shard in shards])).sum(axis=1)
    for figures in of_talkers.values():
        assert {name: each["samples"] for name, each in figures["by_talkers"].items()} == {
            str(number): int((count == number).sum()) for number in range(3)}
        assert figures["by_least_distance_deg"]
        assert figures["by_least_level_db"]
    for method in ("baseline", "gcc_phat"):                                            # at the head of their templates
        assert of_talkers[method]["by_talkers"]["2"]["found_within_10_deg_percent"] > 80
        assert of_talkers[method]["by_talkers"]["0"]["count_right_percent"] > 80
    assert "Several talkers, in per cent, not rounded" in done.stdout
    assert "GCC-PHAT" in done.stdout
    assert "<h2>Several talkers</h2>" in (out / "report.html").read_text(encoding="utf-8")


def test_noise_alone_is_left_out_where_one_answer_is_scored(tested):
    shards, _, out = tested
    has_talker = np.isfinite(np.concatenate([shard["labels"] for shard in shards]))
    assert 0 < has_talker.mean() < 1
    figures = json.loads((out / "results.json").read_text())
    assert figures["best"]["samples"] == figures["baseline"]["samples"] == has_talker.sum()
    assert np.isfinite(figures["baseline"]["mae_deg"])
    assert "true nan" not in (out / "report.html").read_text(encoding="utf-8")


def test_every_row_lists_its_talkers_and_what_each_method_found(tested):
    shards, _, out = tested
    rows = list(csv.DictReader((out / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    truth = np.concatenate([shard["talker_azimuth_deg"] for shard in shards])
    assert [[float(each) for each in row["talker_azimuth_deg"].split()] for row in rows] == [
        each[np.isfinite(each)].tolist() for each in truth]
    assert all((row["azimuth_deg"] == "") == (row["talker_azimuth_deg"] == "") for row in rows)
    for name in ("best", "baseline", "gcc_phat"):
        assert max(len(row[f"{name}_talkers_deg"].split()) for row in rows) <= 4


@pytest.mark.parametrize("model", ["cnn", "original"])
def test_a_network_is_trained_on_shards_of_several_talkers(wavs, tmp_path, model):
    run_script("SpatialiseTRAIN.py", "--speech", wavs("SpeechTRAIN", 4), "--noise", wavs("NoiseTRAIN", 1), "--out",
               tmp_path / "shards", "--frames", 20 if model == "cnn" else 50, "--snr-db", 20, "--talkers", 0, 1, 3,
               "--noise-field", "diffuse", "mixed")
    run_script("TrainingCNN.py", "--data", tmp_path / "shards", "--out", tmp_path / "models", "--epochs", 1, "--model",
               model)
    row, = csv.DictReader((tmp_path / "models" / "history.csv").read_text().splitlines())
    assert all(np.isfinite(float(row[name])) for name in ("loss", "validation_loss"))


def test_noise_alone_cannot_be_tested(folders, tmp_path):
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path / "none", "--snr-db", 20, "--talkers", 0)
    refused = run_script("Testing.py", "--data", tmp_path / "none", "--models", tmp_path, status=2)
    assert "holds noise alone" in refused.stderr
