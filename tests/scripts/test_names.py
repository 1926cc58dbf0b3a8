"""Names and places as users have them: results that keep their folders, odd names, patterns, streams, processors."""
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from helpers import ROOT, posix_only, run_process, run_script, through_the_head

import console
from shards.files import shard_name
from shards.recording_files import output_names


def recording(path, azimuth_deg=-45, seconds=1.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.05, int(seconds * 16_000))
    sf.write(path, through_the_head(noise, azimuth_deg), 16_000)
    return path


def names_of(tmp_path, *files, folders=(".",)):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    found = [(tmp_path / folder, path) for folder in folders
             for path in sorted((tmp_path / folder).rglob("*")) if path.is_file()]
    return sorted(output_names(found).values())


@pytest.mark.parametrize(("files", "names"), [
    (("talk.wav", "talk (2).wav"), ["talk", "talk (2)"]),
    (("a/talk.wav", "b/talk.wav"), ["a/talk", "b/talk"]),
    (("talk.wav", "talk.flac"), ["talk.flac", "talk.wav"]),
    (("all_recordings.wav", "b.wav"), ["all_recordings.wav", "b"]),
    (("talk.wav", "talk.csv/a.wav"), ["talk.csv/a", "talk.wav"]),
    (("talk.wav", "Talk.PNG/deep/a.wav", "talk.md/b.wav"), ["Talk.PNG/deep/a", "talk.md/b", "talk.wav"]),
])
def test_results_keep_the_names_and_folders_of_recordings(tmp_path, files, names):
    assert names_of(tmp_path, *files) == names


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path):
    names = names_of(tmp_path, "one/Talk.wav", "two/talk.wav", folders=("one", "two"))
    assert len({name.casefold() for name in names}) == 2


@pytest.mark.parametrize("kind", ["speech", "noise"])
def test_shards_of_long_names_fit_into_a_file_system(kind):
    assert len((shard_name("録" * 80 + ".wav", "音" * 80 + ".wav") + ".partial").encode()) < 255


def test_a_name_of_the_greatest_length_can_be_written(tmp_path):
    with console.atomic_write(tmp_path / ("a" * 255)) as partial:
        partial.write_text("done")
    assert (tmp_path / ("a" * 255)).read_text() == "done"


def test_a_name_that_is_too_long_says_so(tmp_path):
    path = tmp_path / ("a" * 256)
    with pytest.raises(console.BadInput, match="name is too long"), console.atomic_write(path) as partial:
        partial.write_text("never")


def test_output_streams_that_are_no_files_do(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    status = console.run(lambda: print("as in a notebook"))
    sys.stderr.close()
    assert status == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system grants all")
def test_processors_are_those_that_are_granted():
    code = "import console; print(console.processors())"
    granted = subprocess.run([sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{0}}); {code}"], cwd=ROOT,
                             capture_output=True, text=True, check=True)
    assert granted.stdout.strip() == "1"


@pytest.mark.slow
@posix_only
def test_a_folder_of_odd_names_is_localised_whole(tmp_path):
    for name in ("$5_$6.wav", "a$b$.wav", "deep/録音.wav", f"{'n' * 245}.wav"):
        recording(tmp_path / "rec" / name)
    os.rename(recording(tmp_path / "rec" / "latin.wav"), os.fsencode(tmp_path / "rec") + b"/\xe9t\xe9.wav")  # not UTF-8
    run_script("Localise.py", tmp_path / "rec" / "*", "--out", tmp_path / "out", "--model", ROOT / "pretrained")
    done = {path.relative_to(tmp_path / "out").with_suffix("").as_posix() for path in (tmp_path / "out").rglob("*.csv")}
    assert {"$5_$6", "a$b$", "録音", "n" * 245} <= {Path(name).name for name in done}
    rows = json.loads((tmp_path / "out" / "all_recordings.json").read_text(encoding="utf-8"))
    assert all(abs(row["azimuth_deg"] + 45) < 5 for row in rows)
    assert len(rows) == 5


@pytest.mark.slow
def test_the_line_of_two_places_names_both(tmp_path):
    left, right = (recording(tmp_path / f"{azimuth_deg}.wav", azimuth_deg, 4) for azimuth_deg in (-45, 45))
    sf.write(tmp_path / "turns.wav", np.concatenate([sf.read(left)[0], sf.read(right)[0]]), 16_000)
    line = run_script("Localise.py", tmp_path / "turns.wav", "--out", tmp_path / "out").stdout
    assert "several places" in line
    assert "left" in line
    assert "right" in line


@pytest.mark.slow
def test_labels_may_be_written_on_windows_and_with_other_accents(tmp_path):
    recording(tmp_path / "lab" / "monday" / "caf\u00e9.wav", seconds=3)
    (tmp_path / "lab" / "labels.csv").write_text("file,start_s,end_s,azimuth_deg\nmonday\\cafe\u0301.wav,0,2.5,-45\n",
                                                 encoding="utf-8")
    run_process("SpatialiseTRAIN.py", "--recordings", tmp_path / "lab", "--out", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.npz"))) == 1
