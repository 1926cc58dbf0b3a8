"""The scripts as a user runs them, on real wavs."""
import csv
import hashlib
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile as sf
import soxr
from conftest import ROOT, run_script

import features
import hrir
import scene
from params import Params

PARAMS = Params()


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.npz"))}


def load(folder):
    loaded = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as shard:
            loaded.append(dict(shard))
    return loaded


@pytest.fixture(scope="module")
def folders(wavs):
    return ["--speech", wavs("SpeechTEST", 2), "--noise", wavs("NoiseTEST", 2)]


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


def test_the_demo_audio_is_the_same_again_and_leaves_others_alone(demo, tmp_path):
    own = tmp_path / "NoiseTRAIN" / "mine.wav"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    (tmp_path / "SpeechTEST").mkdir()
    half = sorted((demo / "SpeechTEST").glob("*.wav"))[0]
    (tmp_path / "SpeechTEST" / half.name).write_bytes(half.read_bytes())  # an interrupted run left one file
    run_script("tools/make_demo_audio.py", "--root", tmp_path)
    assert [p.name for p in own.parent.iterdir()] == ["mine.wav"]
    for name in ("SpeechTRAIN", "SpeechTEST", "NoiseTEST"):
        one, two = ({p.name: p.read_bytes() for p in (root / name).glob("*.wav")} for root in (demo, tmp_path))
        assert one == two


def test_a_shard_is_what_its_params_say(folders, tmp_path):
    """Rebuild one sample from the excerpt's place and the files alone."""
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path, "--snr-db", 20, "--seed", 5, "--noise-field", "diotic")
    for shard in load(tmp_path):
        made_with = json.loads(str(shard["params"]))
        assert made_with["seed"] == 5
        assert made_with["noise_field"] == ["diotic"]
        assert len(shard["labels"]) == 37
        speech, rate = sf.read(folders[1] / str(shard["speech"]))
        assert rate == 22_050
        speech = soxr.resample(speech, rate, 16_000)
        start = round(float(shard["excerpt_start_s"][0]) * 16_000)
        excerpt = speech[start:start + PARAMS.excerpt_length].astype(np.float32)
        head = hrir.load("mit_kemar", 16_000)
        heard_from = scene.response_spectrum(head.response, PARAMS.excerpt_length, PARAMS.lead_in_samples)
        clean = features.stft(scene.at_ears(excerpt, heard_from, PARAMS.lead_in_samples)[22], PARAMS)
        cues = features.interaural_cues(clean[0], clean[1], PARAMS.power_floor)
        strong = np.abs(clean).min(axis=0) > 0.1 * np.abs(clean).max()
        assert strong.sum() > 20
        error = cues[strong] - shard["samples"][22].astype(float)[strong]
        assert np.median(np.abs(error[:, 0])) < 0.1
        assert np.median(np.abs(error[:, 1])) < 1


def test_left_is_left(folders, tmp_path):
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path, "--snr-db", 30)
    for shard in load(tmp_path):
        ild = np.median(shard["samples"][:, 80:200, :, 1].astype(float), axis=(1, 2))
        ipd = np.median(shard["samples"][:, 6:16, :, 0].astype(float), axis=(1, 2))
        side = np.abs(shard["labels"]) >= 30
        assert np.array_equal(np.sign(ild[side]), np.sign(shard["labels"][side]))
        assert np.array_equal(np.sign(ipd[side]), np.sign(shard["labels"][side]))


def test_both_noise_fields_are_drawn(folders, tmp_path):
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path, "--snr-db", 0, "--excerpts", 4,
               "--noise-field", "diotic", "diffuse")
    fields = np.concatenate([shard["noise_field"] for shard in load(tmp_path)])
    starts = np.concatenate([np.unique(shard["excerpt_start_s"]) for shard in load(tmp_path)])
    assert set(fields.tolist()) == {"diotic", "diffuse"}
    assert len(fields) == 4 * 4 * 37
    assert len(set(starts.tolist())) == 16


def test_jobs_and_seed(folders, tmp_path):
    for name, jobs, seed in (("a", 1, 3), ("b", 4, 3), ("c", 1, 4)):
        run_script("SpatialiseTRAIN.py", *folders, "--out", tmp_path / name, "--snr-db", 0, "--jobs", jobs,
                   "--seed", seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert not set(digests(tmp_path / "a").values()) & set(digests(tmp_path / "c").values())


def test_killed_resumed_finished_replaced_and_refused(folders, wavs, tmp_path):
    flags = [*folders, "--snr-db", "-6", "0", "6", "--excerpts", 6, "--jobs", 1]
    run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "whole")
    cut = tmp_path / "cut"
    killed = subprocess.Popen([sys.executable, str(ROOT / "SpatialiseTEST.py"), *map(str, flags), "--out", str(cut)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(cut.glob("*.npz")):
        time.sleep(0.01)
        assert killed.poll() is None
    killed.kill()
    killed.wait()
    assert set(digests(cut)) < set(digests(tmp_path / "whole"))

    run_script("SpatialiseTEST.py", *flags, "--out", cut)
    assert digests(cut) == digests(tmp_path / "whole")
    assert not list(cut.glob("*.partial"))

    times = {path: path.stat().st_mtime_ns for path in cut.glob("*.npz")}
    assert "nothing to do" in run_script("SpatialiseTEST.py", *flags, "--out", cut).stdout
    assert times == {path: path.stat().st_mtime_ns for path in cut.glob("*.npz")}

    refused = run_script("SpatialiseTEST.py", *flags, "--seed", 9, "--out", cut, status=2).stderr
    assert "seed 0, wanted 9" in refused
    assert times == {path: path.stat().st_mtime_ns for path in cut.glob("*.npz")}

    speech = sorted(folders[1].glob("*.wav"))
    original = speech[0].read_bytes()
    try:
        speech[0].write_bytes(speech[1].read_bytes())  # another talker under the same name
        said = run_script("SpatialiseTEST.py", *flags, "--out", cut).stderr
        assert said.count("was replaced") == 2
        changed = {path.name for path in cut.glob("*.npz") if path.stat().st_mtime_ns != times[path]}
        assert changed == {name for name in digests(cut) if name.startswith(speech[0].stem)}
    finally:
        speech[0].write_bytes(original)

    fewer = ["--speech", wavs("SpeechTEST", 1), *flags[2:]]
    assert "no longer in the folders" in run_script("SpatialiseTEST.py", *fewer, "--out", cut, status=2).stderr
    run_script("SpatialiseTEST.py", *fewer, "--out", cut, "--overwrite")
    assert len(digests(cut)) == 2


def hear_ctrl_c():
    """Undo what a shell does to tests that it runs in the background: it lets them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_with_one_line(folders, tmp_path):
    running = subprocess.Popen([sys.executable, str(ROOT / "SpatialiseTEST.py"), *map(str, folders), "--excerpts", "40",
                                "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=hear_ctrl_c)
    while not list(tmp_path.glob("*.partial")):
        time.sleep(0.01)
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said == "SpatialiseTEST.py: interrupted; what was finished is kept and nothing is half written.\n"
    assert not list(tmp_path.glob("*.partial"))


def test_listening_examples(folders, tmp_path):
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path / "out", "--listen", tmp_path / "listen")
    files = sorted((tmp_path / "listen").glob("*.wav"))
    assert len(files) == 37
    left, rate = sf.read(tmp_path / "listen" / "azimuth_-90_deg.wav")
    right, _ = sf.read(tmp_path / "listen" / "azimuth_+90_deg.wav")
    assert rate == 16_000
    assert left.shape == right.shape == (PARAMS.sample_length, 2)
    assert np.std(left[:, 0]) > np.std(left[:, 1])
    assert np.std(right[:, 1]) > np.std(right[:, 0])
    assert max(np.abs(sf.read(file)[0]).max() for file in files) == pytest.approx(0.9, abs=1e-3)


def test_start_up_is_light():
    heard = subprocess.run([sys.executable, "-X", "importtime", str(ROOT / "SpatialiseTRAIN.py"), "--help"],
                           capture_output=True, text=True, check=True).stderr
    assert "scipy" in heard
    assert not any(name in heard for name in ("tensorflow", "keras", "librosa", "numba", "matplotlib"))


def test_train_resume_and_test(shards, folders, tmp_path):
    models, results = tmp_path / "models", tmp_path / "results"
    said = run_script("TrainingCNN.py", "--data", shards, "--out", models, "--epochs", 1)
    assert said.stderr == ""  # nothing of TensorFlow's
    assert len([line for line in said.stdout.splitlines() if line.startswith("epoch ")]) == 1
    refused = run_script("TrainingCNN.py", "--data", shards, "--out", models, "--epochs", 2, status=2).stderr
    assert "--resume" in refused
    run_script("TrainingCNN.py", "--data", shards, "--out", models, "--epochs", 2, "--resume")
    rows = list(csv.DictReader((models / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "validation_loss", "validation_within_5_deg_percent"} <= set(rows[0])
    assert sorted(p.name for p in models.iterdir()) == ["best.keras", "history.csv", "history.png", "last.keras"]
    assert "seed 0, wanted 1" in run_script("TrainingCNN.py", "--data", shards, "--out", models, "--epochs", 3,
                                            "--resume", "--seed", 1, status=2).stderr

    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path / "test", "--snr-db", 0, 20)
    table = run_script("Testing.py", "--data", tmp_path / "test", "--models", models, "--out", results).stdout
    figures = json.loads((results / "results.json").read_text())
    predictions = list(csv.DictReader((results / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert len(predictions) == 2 * 2 * 2 * 37
    for name in ("best", "last", "baseline"):
        assert len(figures[name]["by_azimuth_deg"]) == 37
        assert list(figures[name]["by_snr_db"]) == ["0", "20"]
        error = np.array([float(row[f"{name}_deg"]) - float(row["azimuth_deg"]) for row in predictions])
        assert figures[name]["mae_deg"] == pytest.approx(np.abs(error).mean(), abs=0.01)
        assert f"{figures[name]['within_5_deg_percent']:.1f}" in table
    assert figures["baseline"]["within_10_deg_percent"] > 80  # at 0 and 20 dB of diffuse noise
    for picture in ("predicted_vs_true", "error_by_azimuth", "accuracy_by_snr"):
        assert (results / f"{picture}.png").stat().st_size > 5000
        assert f"{picture}.png" in table


def test_one_wav_in_each_folder_is_enough(wavs, tmp_path):
    run_script("SpatialiseTRAIN.py", "--speech", wavs("SpeechTRAIN", 1), "--noise", wavs("NoiseTRAIN", 1),
               "--out", tmp_path / "train", "--snr-db", 0, 20)
    said = run_script("TrainingCNN.py", "--data", tmp_path / "train", "--out", tmp_path / "models", "--epochs", 1)
    assert "Only one speech file" in said.stderr
    run_script("SpatialiseTEST.py", "--speech", wavs("SpeechTEST", 1), "--noise", wavs("NoiseTEST", 1),
               "--out", tmp_path / "test", "--snr-db", 0)
    results = tmp_path / "results"
    run_script("Testing.py", "--data", tmp_path / "test", "--models", tmp_path / "models", "--out", results)
    assert (results / "results.json").exists()
