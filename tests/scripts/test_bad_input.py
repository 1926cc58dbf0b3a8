"""Whatever a user gets wrong: one sentence that names it, exit status 2, no traceback, nothing lost.

Most run in this process, through console.run as the scripts do; a few prove that a process ends the same way.
"""
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile as sf
from helpers import ROOT, one_sentence, posix_only, run_process, run_script, start_process

import console

RATE = 16_000
RNG = np.random.default_rng(0)


def cut_wav(path):
    sf.write(path, RNG.standard_normal(5 * RATE) * 0.1, RATE)
    path.write_bytes(path.read_bytes()[:100_000])


def nan_wav(path):
    signal = RNG.standard_normal(3 * RATE).astype(np.float32) * 0.1
    signal[RATE] = np.nan
    sf.write(path, signal, RATE, subtype="FLOAT")


BAD_SPEECH = {  # file name: (how it is made, what the message says)
    "text.wav": (lambda p: p.write_text("these are words"), "cannot be read as audio"),
    "zero.wav": (lambda p: p.write_bytes(b""), "cannot be read as audio"),
    "header only.wav": (lambda p: sf.write(p, np.zeros(0), RATE), "0.00 s long"),
    "cut.wav": (cut_wav, "cut short"),
    "silent.wav": (lambda p: sf.write(p, np.zeros(3 * RATE), RATE), "silent"),
    "nan.wav": (nan_wav, "NaN, infinite or enormous"),
    "infinite.wav": (lambda p: sf.write(p, np.full(3 * RATE, np.inf, np.float32), RATE, subtype="FLOAT"),
                     "NaN, infinite or enormous"),
    "short.wav": (lambda p: sf.write(p, RNG.standard_normal(RATE) * 0.1, RATE), "at least 1.04 s"),
}


@pytest.fixture
def folders(wavs, tmp_path):
    """Flags for one good speech and one good noise file, and where to write."""
    return {"--speech": wavs("SpeechTEST", 1), "--noise": wavs("NoiseTEST", 1), "--out": tmp_path / "out",
            "--snr-db": 0}


def words_of(folders):
    return [word for pair in folders.items() for word in pair]


def spatialise(folders, *more, run=run_script, **options):
    return run("SpatialiseTEST.py", *words_of(folders), *more, **options)


def test_bad_files_among_good_ones_are_skipped_and_named(folders):
    for name, (make, _) in BAD_SPEECH.items():
        make(folders["--speech"] / name)
    done = spatialise(folders)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == len(BAD_SPEECH)
    for name, (_, message) in BAD_SPEECH.items():
        line = next(line for line in lines if name in line)
        assert message in line
        assert one_sentence(line)
    assert "skipped 8 bad file(s)" in done.stdout
    assert len(list(folders["--out"].glob("*.npz"))) == 1


@pytest.mark.parametrize("name", BAD_SPEECH)
def test_only_bad_files_are_refused(folders, tmp_path, name):
    folders["--speech"] = tmp_path / "bad"
    folders["--speech"].mkdir()
    BAD_SPEECH[name][0](folders["--speech"] / name)
    refused = spatialise(folders, status=2)
    assert name in refused.stderr
    assert BAD_SPEECH[name][1] in refused.stderr
    assert one_sentence(refused.stderr)
    assert not folders["--out"].exists()


@pytest.mark.parametrize("flag", ["--speech", "--noise"])
@pytest.mark.parametrize(("name", "message"), [("missing", "not a folder"), ("empty", "holds no audio"),
                                            ("notes", "holds no audio")])
def test_folders_without_audio(folders, tmp_path, flag, name, message):
    folders[flag] = tmp_path / name
    if name != "missing":
        folders[flag].mkdir()
    if name == "notes":
        (folders[flag] / "README.md").write_text("no audio here")
    refused = spatialise(folders, status=2)
    assert flag in refused.stderr
    assert name in refused.stderr
    assert message in refused.stderr
    assert one_sentence(refused.stderr)


@pytest.mark.parametrize(("flags", "message"), [
    (["--noise-field", "talker"], "two talkers"), (["--world"], "two talkers"),
    (["--hrir", "no_such_set"], "no_such_set"), (["--hrir", ROOT / "README.md"], "README.md cannot be read as a SOFA"),
])
def test_scenes_that_these_files_cannot_give(folders, flags, message):
    refused = spatialise(folders, *flags, status=2)
    assert message in refused.stderr
    assert one_sentence(refused.stderr)
    assert not folders["--out"].exists()


def test_noise_shorter_than_speech_and_odd_names_work(folders):
    shutil.rmtree(folders["--noise"])
    deep = folders["--noise"] / "sub folder é"
    deep.mkdir(parents=True)
    sf.write(deep / "half a second 🎧.flac", RNG.standard_normal(RATE // 2) * 0.1, RATE)
    good = next(folders["--speech"].glob("*.wav"))
    good.rename(good.with_name("naïve <script> 語.wav"))
    spatialise(folders)
    shard = next(folders["--out"].glob("*.npz"))
    with np.load(shard, allow_pickle=False) as stored:
        assert str(stored["noise"]) == "sub folder é/half a second 🎧.flac"
        assert str(stored["speech"]) == "naïve <script> 語.wav"


def test_stereo_is_mixed_down_with_a_notice(folders):
    sf.write(folders["--noise"] / "stereo.wav", RNG.standard_normal((2 * RATE, 2)) * 0.1, RATE)
    printed = spatialise(folders).stderr
    assert "Mixed down to mono: 1 file" in printed
    assert "stereo.wav" in printed


@pytest.mark.parametrize(("script", "flags", "message"), [
    ("SpatialiseTRAIN.py", ["--excerpts", 0], "--excerpts"),
    ("SpatialiseTRAIN.py", ["--excerpts", "many"], "--excerpts"),
    ("SpatialiseTRAIN.py", ["--jobs", 0], "--jobs"),
    ("SpatialiseTRAIN.py", ["--seed", -1], "--seed"),
    ("SpatialiseTRAIN.py", ["--snr-db", "nan"], "--snr-db"),
    ("SpatialiseTRAIN.py", ["--snr-db", 3, 3], "--snr-db"),
    ("SpatialiseTEST.py", ["--noise-field", "spherical"], "--noise-field"),
    ("SpatialiseTEST.py", ["--no-such-flag"], "--no-such-flag"),
    ("SpatialiseTEST.py", ["--frames", 9], "--frames"),
    ("SpatialiseTEST.py", ["--frames", 201], "--frames"),
    ("SpatialiseTEST.py", ["--azimuth-deg", 91], "--azimuth-deg"),
    ("SpatialiseTEST.py", ["--azimuth-deg", 5, 5], "--azimuth-deg"),
    ("SpatialiseTEST.py", ["--hrir", "mit_kemar", "mit_kemar"], "--hrir"),
    ("SpatialiseTEST.py", ["--left-right", "up"], "--left-right"),
    ("SpatialiseTEST.py", ["--rt60-s", 1, 0.5], "--rt60-s"),
    ("SpatialiseTEST.py", ["--rt60-s", 0, 0.5], "--rt60-s"),
    ("SpatialiseTEST.py", ["--drr-db", 0, 5], "--rt60-s"),
    ("SpatialiseTEST.py", ["--source-level-db", 0, 5], "--sensor-snr-db"),
    ("SpatialiseTEST.py", ["--snr-db", 0, "--snr-range-db", 0, 5], "exclude each other"),
    ("SpatialiseTEST.py", ["--mic-level-db", "nan"], "--mic-level-db"),
    ("TrainingCNN.py", ["--world"], "--from-wavs"),
    ("TrainingCNN.py", ["--samples", 5], "--from-wavs"),
    ("TrainingCNN.py", ["--from-wavs", "--epochs", 5], "--samples"),
    ("TrainingCNN.py", ["--from-wavs", "--data", "x"], "--data"),
    ("TrainingCNN.py", ["--from-wavs", "--workers", 0], "--workers"),
    ("TrainingCNN.py", ["--from-wavs", "--speech", "nowhere"], "nowhere"),
    ("TrainingCNN.py", ["--epochs", 0], "--epochs"),
    ("TrainingCNN.py", ["--batch-size", 0], "--batch-size"),
    ("TrainingCNN.py", ["--learning-rate", -1], "--learning-rate"),
    ("TrainingCNN.py", ["--loss", "huber"], "--loss"),
    ("TrainingCNN.py", ["--model", "transformer"], "--model"),
    ("SpatialiseTRAIN.py", ["--room-share", "1.5", "--rt60-s", "0.2", "0.4"], "--room-share"),
    ("SpatialiseTRAIN.py", ["--head-share", "0.5"], "without --head-size or --head-colour-db or --side-level-db"),
    ("SpatialiseTRAIN.py", ["--room-share", "0.5"], "--room-share does nothing without --rt60-s"),
    ("TrainingCNN.py", ["--weights", 1, 2], "--weights 1 2 is not possible"),
    ("TrainingCNN.py", ["--data", "a", "b", "--weights", 1, 0], "--weights 1 0 is not possible"),
    ("TrainingCNN.py", ["--from", "nowhere.keras"], "--from nowhere.keras does not exist"),
    ("TrainingCNN.py", ["--data", "not there"], "not there"),
    ("Testing.py", ["--data", "not there"], "not there"),
])
def test_flags_that_make_no_sense(tmp_path, script, flags, message):
    refused = run_script(script, *flags, status=2, cwd=tmp_path)
    assert message in refused.stderr
    assert one_sentence(refused.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("script", "flags", "message"), [
    ("SpatialiseTRAIN.py", ["--excerpts", 0], "SpatialiseTRAIN.py: --excerpts 0 is not possible"),
    ("TrainingCNN.py", ["--no-such-flag"], "TrainingCNN.py: unrecognized arguments: --no-such-flag"),
])
def test_a_process_ends_with_status_2_and_without_a_traceback(tmp_path, script, flags, message):
    refused = run_process(script, *flags, status=2, cwd=tmp_path)
    assert message in refused.stderr
    assert one_sentence(refused.stderr)
    assert not list(tmp_path.iterdir())


def test_a_file_takes_its_name_in_one_step(tmp_path):
    """Renamed, not copied: a process killed in between leaves the old one or the new one."""
    with console.atomic_write(tmp_path / "a") as partial:
        partial.write_text("new")
        number = partial.stat().st_ino
    assert (tmp_path / "a").stat().st_ino == number


def test_a_reader_that_leaves_early_is_no_fault():
    """As in `Testing.py | head`."""
    code = "import sys, console; sys.exit(console.run(lambda: [print('row' * 9999, flush=True) for _ in range(99)]))"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as running:
        running.stdout.read(9)
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 2


@posix_only
def test_a_disk_that_fills_keeps_what_was_made(folders):
    spatialise(folders)
    kept = {path: path.read_bytes() for path in folders["--out"].glob("*.npz")}
    more = folders["--speech"] / "more.wav"
    sf.write(more, RNG.standard_normal(3 * RATE) * 0.1, RATE)

    def small_files_only():  # as far as a program can tell, the same as a full disk
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    refused = spatialise(folders, run=run_process, status=2, preexec_fn=small_files_only)
    assert "the file is larger than is allowed here" in refused.stderr
    assert "more__" in refused.stderr
    assert one_sentence(refused.stderr)
    assert {path: path.read_bytes() for path in folders["--out"].glob("*.npz")} == kept
    assert not list(folders["--out"].glob("*.partial"))


def test_two_runs_at_once_in_one_folder(folders):
    """The second is refused in one sentence, and the first ends as if it had been alone."""
    with start_process("SpatialiseTEST.py", *words_of(folders), "--excerpts", 20) as first:
        while not list(folders["--out"].glob("*.partial")):
            time.sleep(0.01)
            assert first.poll() is None
        refused = spatialise(folders, "--seed", 1, "--overwrite", status=2)
        first.communicate()
    assert "is being written by another run; wait" in refused.stderr
    assert one_sentence(refused.stderr)
    assert first.returncode == 0
    made, = folders["--out"].glob("*.npz")
    whole = made.read_bytes()
    made.unlink()
    spatialise(folders, "--excerpts", 20)
    assert made.read_bytes() == whole


def test_more_than_the_disk_holds_is_refused_before_it_begins(folders):
    refused = spatialise(folders, "--excerpts", 1_000_000_000, status=2)
    assert "GB left" in refused.stderr
    assert one_sentence(refused.stderr)
    assert not list(folders["--out"].iterdir())


def test_a_folder_one_may_not_write_to(folders, tmp_path):
    (tmp_path / "file").write_text("")
    folders["--out"] = tmp_path / "file" / "out"
    refused = spatialise(folders, status=2)
    assert "cannot be written" in refused.stderr
    assert one_sentence(refused.stderr)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder(folders):
    folders["--out"].mkdir(mode=0o500)
    assert "cannot be written" in spatialise(folders, status=2).stderr


def test_a_foreign_file_among_the_shards_is_not_touched(folders):
    folders["--out"].mkdir()
    np.savez(folders["--out"] / "mine.npz", x=np.zeros(3))
    before = (folders["--out"] / "mine.npz").read_bytes()
    for more in ((), ("--overwrite",)):
        refused = spatialise(folders, *more, status=2)
        assert "mine.npz" in refused.stderr
        assert one_sentence(refused.stderr)
    assert (folders["--out"] / "mine.npz").read_bytes() == before


def test_a_torn_shard_is_made_again(folders):
    spatialise(folders)
    shard = next(folders["--out"].glob("*.npz"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:1000])
    assert shard.name in spatialise(folders).stderr
    assert shard.read_bytes() == whole


def test_training_on_a_torn_shard(short_shards, tmp_path):
    torn = tmp_path / "torn"
    shutil.copytree(short_shards, torn)
    path = sorted(torn.glob("*.npz"))[0]
    path.write_bytes(path.read_bytes()[:100_000])
    refused = run_script("TrainingCNN.py", "--data", torn, "--out", tmp_path / "models", status=2)
    assert path.name in refused.stderr
    assert one_sentence(refused.stderr)


@pytest.mark.slow
def test_training_on_a_damaged_shard(short_shards, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(short_shards, damaged)
    for path in damaged.glob("*.npz"):
        raw = bytearray(path.read_bytes())
        raw[200_000:200_100] = b"\xff" * 100
        path.write_bytes(raw)
    refused = run_script("TrainingCNN.py", "--data", damaged, "--out", tmp_path / "models", "--epochs", 1, status=2)
    assert ".npz is damaged" in refused.stderr
    assert one_sentence(refused.stderr)


@pytest.mark.slow
def test_testing_without_or_with_foreign_models(short_shards, tmp_path):
    refused = run_script("Testing.py", "--data", short_shards, "--models", tmp_path, "--out", tmp_path / "r", status=2)
    assert "best.keras does not exist" in refused.stderr
    assert one_sentence(refused.stderr)
    (tmp_path / "best.keras").write_text("not a model")
    refused = run_script("Testing.py", "--data", short_shards, "--models", tmp_path, "--out", tmp_path / "r", status=2)
    assert "best.keras is not a whole model" in refused.stderr
    assert one_sentence(refused.stderr)


@pytest.mark.slow
@posix_only
def test_training_on_a_disk_that_fills(short_shards, tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        refused = run_script("TrainingCNN.py", "--data", short_shards, "--out", tmp_path / "models", "--epochs", 1,
                             status=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "the file is larger than is allowed here" in refused.stderr
    assert one_sentence(refused.stderr)
    assert not list((tmp_path / "models").iterdir())


def test_a_message_survives_a_narrow_terminal(folders):
    (folders["--speech"] / "wrong 🎧.wav").write_text("not audio")
    done = spatialise(folders, run=run_process, encoding="ascii")
    assert "wrong ?.wav" in done.stderr
