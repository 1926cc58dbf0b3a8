"""SpatialiseTRAIN.py and SpatialiseTEST.py as a user runs them, on real wavs."""
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import sofar
import soundfile as sf
import soxr
from helpers import ROOT, digests, load_shards, room_file, run_script, start_process

import features
import hrir
from params import WORLD, Params
from sound.convolution import at_ears, response_spectrum

PARAMS = Params()


def test_a_shard_is_what_its_params_say(folders, tmp_path):
    """Rebuild one sample from the start of its excerpt and the files alone."""
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path, "--snr-db", 20, "--seed", 5, "--noise-field", "diotic")
    for shard in load_shards(tmp_path):
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
        hrtf = response_spectrum(head.response[22], PARAMS.excerpt_length)
        clean = features.stft(at_ears(excerpt, hrtf, PARAMS.sample_length), PARAMS)
        cues = features.interaural_cues(clean[0], clean[1], PARAMS.power_floor)
        strong = np.abs(clean).min(axis=0) > 0.1 * np.abs(clean).max()
        assert strong.sum() > 20
        error = cues[strong] - shard["samples"][22].astype(float)[strong]
        assert np.median(np.abs(error[:, 0])) < 0.1
        assert np.median(np.abs(error[:, 1])) < 1


def test_left_is_left(folders, tmp_path):
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path, "--snr-db", 30)
    for shard in load_shards(tmp_path):
        ild = np.median(shard["samples"][:, 80:200, :, 1].astype(float), axis=(1, 2))
        ipd = np.median(shard["samples"][:, 6:16, :, 0].astype(float), axis=(1, 2))
        side = np.abs(shard["labels"]) >= 30
        assert np.array_equal(np.sign(ild[side]), np.sign(shard["labels"][side]))
        assert np.array_equal(np.sign(ipd[side]), np.sign(shard["labels"][side]))


def test_both_noise_fields_are_drawn(folders, tmp_path):
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path, "--snr-db", 0, "--excerpts", 4,
               "--noise-field", "diotic", "diffuse")
    fields = np.concatenate([shard["noise_field"] for shard in load_shards(tmp_path)])
    starts = np.concatenate([np.unique(shard["excerpt_start_s"]) for shard in load_shards(tmp_path)])
    assert set(fields.tolist()) == {"diotic", "diffuse"}
    assert len(fields) == 4 * 4 * 37
    assert len(set(starts.tolist())) == 16


@pytest.mark.slow
def test_jobs_and_seed(folders, tmp_path):
    for name, jobs, seed in (("a", 1, 3), ("b", 4, 3), ("c", 1, 4)):
        run_script("SpatialiseTRAIN.py", *folders, "--out", tmp_path / name, "--snr-db", 0, "--jobs", jobs,
                   "--seed", seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert not set(digests(tmp_path / "a").values()) & set(digests(tmp_path / "c").values())


@pytest.mark.slow
def test_killed_resumed_finished_replaced_and_refused(folders, wavs, tmp_path):
    flags = [*folders, "--snr-db", -6, 0, 6, "--excerpts", 4, "--jobs", 1]
    run_script("SpatialiseTEST.py", *flags, "--out", tmp_path / "whole")
    cut = tmp_path / "cut"
    with start_process("SpatialiseTEST.py", *flags, "--out", cut) as killed:
        while not list(cut.glob("*.npz")):
            time.sleep(0.01)
            assert killed.poll() is None
        killed.kill()
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
        printed = run_script("SpatialiseTEST.py", *flags, "--out", cut).stderr
        assert printed.count("was replaced") == 2
        changed = {path.name for path in cut.glob("*.npz") if path.stat().st_mtime_ns != times[path]}
        assert changed == {name for name in digests(cut) if name.startswith(speech[0].stem)}
    finally:
        speech[0].write_bytes(original)

    fewer = ["--speech", wavs("SpeechTEST", 1), *flags[2:]]
    assert "no longer in the folders" in run_script("SpatialiseTEST.py", *fewer, "--out", cut, status=2).stderr
    run_script("SpatialiseTEST.py", *fewer, "--out", cut, "--overwrite")
    assert len(digests(cut)) == 2


@pytest.mark.slow
def test_ctrl_c_ends_with_one_line(folders, tmp_path):
    running = start_process("SpatialiseTEST.py", *folders, "--excerpts", 40, "--out", tmp_path)
    while not list(tmp_path.glob("*.partial")):
        time.sleep(0.01)
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, printed = running.communicate(timeout=60)
    assert running.returncode == 130
    assert printed == "SpatialiseTEST.py: interrupted; what was finished is kept and nothing is half written.\n"
    assert not list(tmp_path.glob("*.partial"))


def test_listening_examples(folders, tmp_path):
    (tmp_path / "listen").mkdir()
    (tmp_path / "listen" / "azimuth_+00_deg.wav.12345678.partial").touch()       # of a killed run
    run_script("SpatialiseTEST.py", *folders, "--out", tmp_path / "out", "--listen", tmp_path / "listen")
    files = sorted((tmp_path / "listen").glob("*.wav"))
    assert not list((tmp_path / "listen").glob("*.partial"))
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
    assert not any(name in heard for name in ("tensorflow", "keras", "librosa", "numba", "matplotlib",
                                              "distributed", "dask"))


@pytest.mark.slow
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
    printed = run_script("SpatialiseTEST.py", *flags, "--azimuth-deg", -45, 45)
    assert "Noise comes from 25 of 37 directions, -60 to 60 degrees" in printed.stderr
    assert json.loads(str(load_shards(tmp_path / "out")[0]["params"]))["circle_deg"] == list(range(-60, 61, 5))


@pytest.mark.slow
def test_the_world_and_its_parts(folders, tmp_path):
    run_script("SpatialiseTRAIN.py", *folders, "--out", tmp_path / "world", "--world", "--excerpts", 3, "--rt60-s", 0.2,
               0.4, "--listen", tmp_path / "listen")
    shards = load_shards(tmp_path / "world")
    heard = {path.stem for path in (tmp_path / "listen").glob("*.wav")}
    assert len(heard - {"noise_alone"}) + int(np.isnan(shards[0]["labels"][:37]).sum()) == 37
    snrs = np.concatenate([np.unique(shard["snr_db"]) for shard in shards])
    assert len(snrs) == 12
    assert snrs.min() >= -12
    assert snrs.max() <= 30
    for shard in shards:
        assert shard["samples"].shape == (3 * 37, 321, 50, 2)
        assert np.isfinite(shard["samples"]).all()
        in_room = shard["room_rt60_s"][np.isfinite(shard["room_rt60_s"])]
        assert np.all((in_room >= 0.2) & (in_room <= 0.4))
        made_with = json.loads(str(shard["params"]))
        assert made_with["rt60_s"] == [0.2, 0.4]
        assert made_with["head_size"] == list(WORLD["head_size"])
        assert "talkers_sha256" in made_with
    in_room = np.isfinite(np.concatenate([shard["room_rt60_s"] for shard in shards]))
    assert 0 < in_room.mean() < 1  # --room-share
    run_script("SpatialiseTRAIN.py", *folders, "--out", tmp_path / "again", "--world", "--excerpts", 3, "--rt60-s", 0.2,
               0.4, "--jobs", 1)
    assert digests(tmp_path / "world") == digests(tmp_path / "again")
    assert "rt60_s [0.2, 0.4], wanted [0.1, 1.2]" in run_script(
        "SpatialiseTRAIN.py", *folders, "--out", tmp_path / "world", "--world", "--excerpts", 3, status=2).stderr
