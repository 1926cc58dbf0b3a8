"""The scripts as a user runs them, on real wavs."""
import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import sofar
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
        head = hrir.load("mit_kemar", 16_000, PARAMS.azimuth_deg)
        heard_from = scene.response_spectrum(head.response[22], PARAMS.excerpt_length)
        clean = features.stft(scene.at_ears(excerpt, heard_from, PARAMS.sample_length), PARAMS)
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
    table = run_script("Testing.py", "--data", tmp_path / "test", "--models", models, "--out", results,
                       *folders).stdout
    page = (results / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio ") == 40
    figures = json.loads((results / "results.json").read_text())
    predictions = list(csv.DictReader((results / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert len(predictions) == 2 * 2 * 2 * 37
    for name in ("best", "last", "baseline"):
        assert len(figures[name]["by_azimuth_deg"]) == 37
        assert list(figures[name]["by_snr_db"]) == ["0", "20"]
        error = np.array([float(row[f"{name}_deg"]) - float(row["azimuth_deg"]) for row in predictions])
        assert figures[name]["mae_deg"] == pytest.approx(np.abs(error).mean(), abs=0.01)
        assert f"{figures[name]['within_5_deg_percent']:.1f}" in table
    spread = {float(row["best_spread_deg"]) for row in predictions}
    assert min(spread) >= 0
    assert len(spread) > 50
    assert figures["baseline"]["within_10_deg_percent"] > 80  # at 0 and 20 dB of diffuse noise
    assert 0 <= figures["best"]["inside_stated_68_percent"] <= figures["best"]["inside_stated_95_percent"] <= 100
    assert "inside_stated_68_percent" in figures["best"]["by_hrir"]["mit_kemar"]
    for picture in ("predicted_vs_true", "error_by_azimuth", "accuracy_by_snr", "calibration", "accuracy_by_kept"):
        assert (results / f"{picture}.png").stat().st_size > 5000
        assert f"{picture}.png" in table


def test_one_wav_in_each_folder_is_enough(wavs, tmp_path):
    run_script("SpatialiseTRAIN.py", "--speech", wavs("SpeechTRAIN", 1), "--noise", wavs("NoiseTRAIN", 1),
               "--out", tmp_path / "train", "--snr-db", 0, 20)
    models = tmp_path / "models"
    said = run_script("TrainingCNN.py", "--data", tmp_path / "train", "--out", models, "--epochs", 1,
                      "--model", "original")
    assert "Only one speech file" in said.stderr
    assert "model: original, loss: mse" in said.stdout
    run_script("SpatialiseTEST.py", "--speech", wavs("SpeechTEST", 1), "--noise", wavs("NoiseTEST", 1),
               "--out", tmp_path / "test", "--snr-db", 0)
    results = tmp_path / "results"
    (models / "best.keras").unlink()  # one model of the two is enough
    run_script("Testing.py", "--data", tmp_path / "test", "--models", models, "--out", results)
    assert set(json.loads((results / "results.json").read_text())) == {"last", "baseline", "made_with"}
    header = (results / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.endswith("azimuth_deg,last_deg,baseline_deg")  # squared error has no spread
    (models / "last.keras").unlink()
    problem = run_script("Testing.py", "--data", tmp_path / "test", "--models", models, "--out", results, status=2)
    assert "best.keras does not exist" in problem.stderr


def room_file(path):
    """A SOFA file of a reverberant room that counts its azimuths clockwise."""
    measured = hrir.read("mit_kemar")
    rng = np.random.default_rng(0)
    response = rng.standard_normal((37, 2, 22_050)) * 10 ** (-3 * np.arange(22_050) / 44_100 / 0.3) * 0.02
    response[..., :512] = measured.response
    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR, sofa.Data_SamplingRate = response, 44_100
    sofa.SourcePosition = np.stack([measured.azimuth_deg % 360, np.zeros(37), np.ones(37)], axis=1)
    sofar.write_sofa(str(path), sofa)
    return path


def test_heads_rooms_durations_and_azimuths_from_file_to_score(folders, shards, tmp_path):
    flags = [*folders, "--hrir", "mit_kemar", room_file(tmp_path / "my room.sofa"), "--azimuth-deg", -47.5, 0, 12,
             "--frames", 70, "--excerpts", 6, "--snr-db", 20]
    said = run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "test").stdout
    assert "my room: 37 directions from -90 to 90 degrees, 44100 Hz, 22050 taps, RT60 0.3" in said
    assert "azimuths mirrored" in said
    assert "mit_kemar: 37 directions" in said
    assert "nothing to do" in run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "test").stdout
    for shard in load(tmp_path / "test"):
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
    heads = np.concatenate([shard["hrir"] for shard in load(tmp_path / "test")])
    assert set(heads.tolist()) == {"mit_kemar", "my room"}

    run_script("TrainingCNN.py", "--data", shards, "--out", tmp_path / "models", "--epochs", 1)
    scored = run_script("Testing.py", "--data", tmp_path / "test", "--models", tmp_path / "models", "--out",
                        tmp_path / "results")
    assert "best.keras was trained on samples of 50 frames and is scored on 70" in scored.stderr
    figures = json.loads((tmp_path / "results" / "results.json").read_text())
    assert set(figures["best"]["by_hrir"]) == {"mit_kemar", "my room"}
    assert set(figures["best"]["by_azimuth_deg"]) == {"-47.5", "0", "12"}
    assert figures["baseline"]["by_hrir"]["mit_kemar"]["within_5_deg_percent"] > 80
    rows = list(csv.DictReader((tmp_path / "results" / "predictions.csv").read_text().splitlines()))
    assert {row["room_rt60_s"] == "" for row in rows if row["hrir"] == "mit_kemar"} == {True}

    refused = run_script("SpatialiseTEST.py", *flags[:-1], "0", "--out", tmp_path / "test", status=2).stderr
    assert "snr_db [20], wanted [0]" in refused


def test_a_set_of_fewer_directions(folders, tmp_path):
    whole = room_file(tmp_path / "whole.sofa")
    sofa = sofar.read_sofa(str(whole), verbose=False)
    kept = np.abs((sofa.SourcePosition[:, 0] + 180) % 360 - 180) <= 60
    sofa.Data_IR, sofa.SourcePosition = sofa.Data_IR[kept], sofa.SourcePosition[kept]
    sofar.write_sofa(str(tmp_path / "narrow.sofa"), sofa)
    flags = [*folders, "--hrir", tmp_path / "narrow.sofa", "--out", tmp_path / "out", "--snr-db", 0]
    refused = run_script("SpatialiseTEST.py", *flags, status=2).stderr
    assert "--azimuth-deg -90 is not possible with narrow: its nearest measured direction is -60 degrees" in refused
    assert not (tmp_path / "out").exists()
    said = run_script("SpatialiseTEST.py", *flags, "--azimuth-deg", -45, 45)
    assert "Noise comes from 25 of 37 directions, -60 to 60 degrees" in said.stderr
    assert json.loads(str(load(tmp_path / "out")[0]["params"]))["circle_deg"] == list(range(-60, 61, 5))


def test_the_world_and_its_parts(folders, tmp_path):
    run_script("SpatialiseTRAIN.py", *folders, "--out", tmp_path / "world", "--world", "--excerpts", 3, "--rt60-s", 0.2,
               0.4, "--listen", tmp_path / "listen")
    shards = load(tmp_path / "world")
    assert len(list((tmp_path / "listen").glob("*.wav"))) == 37
    snrs = np.concatenate([np.unique(shard["snr_db"]) for shard in shards])
    assert len(snrs) == 12
    assert snrs.min() >= -10
    assert snrs.max() <= 30
    for shard in shards:
        assert shard["samples"].shape == (3 * 37, 321, 50, 2)
        assert np.isfinite(shard["samples"]).all()
        in_room = shard["room_rt60_s"][np.isfinite(shard["room_rt60_s"])]
        assert np.all((in_room >= 0.2) & (in_room <= 0.4))
        made_with = json.loads(str(shard["params"]))
        assert made_with["rt60_s"] == [0.2, 0.4]
        assert made_with["head_size"] == [0.91, 1.09]
        assert "talkers_sha256" in made_with
    in_room = np.isfinite(np.concatenate([shard["room_rt60_s"] for shard in shards]))
    assert 0 < in_room.mean() < 1  # --room-share
    run_script("SpatialiseTRAIN.py", *folders, "--out", tmp_path / "again", "--world", "--excerpts", 3, "--rt60-s", 0.2,
               0.4, "--jobs", 1)
    assert digests(tmp_path / "world") == digests(tmp_path / "again")
    assert "rt60_s [0.2, 0.4], wanted [0.1, 1.0]" in run_script(
        "SpatialiseTRAIN.py", *folders, "--out", tmp_path / "world", "--world", "--excerpts", 3, status=2).stderr


def test_training_straight_from_wavs(wavs, tmp_path):
    flags = ["--from-wavs", "--speech", wavs("SpeechTRAIN", 4), "--noise", wavs("NoiseTRAIN", 2), "--samples", 2000,
             "--frames", 10, "--snr-range-db", 0, 30, "--out", tmp_path / "models"]
    said = run_script("TrainingCNN.py", *flags)
    assert said.stderr == ""
    assert "fresh mixtures of 4 speech x 2 noise files, 1 epochs" in said.stdout
    assert "mit_kemar: 37 directions" in said.stdout
    assert not list(tmp_path.glob("**/*.npz"))
    again = run_script("TrainingCNN.py", *flags, "--resume", "--workers", 1)
    assert "epoch " not in again.stdout.split("loss: distribution.")[1].split("best.keras")[0]
    with zipfile.ZipFile(tmp_path / "models" / "last.keras") as archive:
        assert json.loads(archive.read("binsl.json"))["scenes"]["snr_range_db"] == [0, 30]
    assert "cannot be resumed" in run_script("TrainingCNN.py", *flags, "--resume", "--world", status=2).stderr


@pytest.mark.parametrize("ending", ["Ctrl-C", "killed"])
def test_training_from_wavs_leaves_no_worker_behind(wavs, tmp_path, ending):
    flags = ["--from-wavs", "--speech", wavs("SpeechTRAIN", 3), "--noise", wavs("NoiseTRAIN", 1), "--out",
             tmp_path / "models"]
    with subprocess.Popen([sys.executable, str(ROOT / "TrainingCNN.py"), *map(str, flags)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c,
                          start_new_session=True) as running:
        for line in running.stdout:
            if "fresh mixtures" in line:
                break
        time.sleep(6)  # in the first epoch
        if ending == "killed":
            running.kill()
        else:
            os.killpg(running.pid, signal.SIGINT)  # a terminal sends it to the workers too
        deadline = time.monotonic() + 20
        while processes_of(running.pid) and time.monotonic() < deadline:
            running.poll()
            time.sleep(0.2)
        left = processes_of(running.pid)
        if left:
            os.killpg(running.pid, signal.SIGKILL)
        _, said = running.communicate(timeout=60)
    assert not left
    if ending == "Ctrl-C":
        assert running.returncode == 130
        assert said == "TrainingCNN.py: interrupted; what was finished is kept and nothing is half written.\n"
    assert not list((tmp_path / "models").glob("*.partial"))


def processes_of(group):
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
