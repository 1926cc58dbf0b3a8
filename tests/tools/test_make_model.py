"""tools/make_model.py: one command, the same to go on; what ships is checked against what was trained."""
import json
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import PARAMS, one_sentence, run_script

import hrir
from console import BadInput
from network import likelihood
from network.model import Network
from tools import make_model


@pytest.fixture
def people(tmp_path):
    """A folder of two collections, of 4 heads and of 1, by their names alone."""
    folder = tmp_path / "people"
    folder.mkdir()
    for name in ("cipic_003", "cipic_008", "cipic_009", "cipic_010", "sadie1_001"):
        (folder / f"{name}.sofa").touch()
    (folder / "SOURCE.txt").touch()
    return folder


def test_a_dry_run_prints_exactly_the_one_command(people):
    printed = run_script("tools/make_model.py", "--speech", "s", "--noise", "n", "--people", people, "--out", "o",
                         "--dry-run").stdout.splitlines()
    azimuths = [f"{2.5 * step:g}" for step in range(-36, 37)]
    assert [shlex.split(line) for line in printed] == [[
        "python", "TrainingCNN.py", "--from-wavs", "--world", "--azimuth-deg", *azimuths, "--hrir", "mit_kemar",
        f"{people}/cipic[0-9_]*.sofa", f"{people}/sadie[0-9_]*.sofa", "--hrir-weights", "3", "5", "2",
        "--own-head-share", "0.3", "--samples", "3833856", "--speech", "s", "--noise", "n", "--out", "o", "--resume"]]


def test_patterns_are_taken_as_they_are(people):
    patterns = [f"{people}/cipic_*.sofa", f"{people}/sadie1_*.sofa"]
    assert dict(make_model.collections_of(patterns)) == dict(zip(patterns, (4, 1)))


def test_the_pattern_of_a_collection_finds_its_files_and_no_others(tmp_path):
    folder = tmp_path / "heads [all]"
    folder.mkdir()
    names = ("H3_a", "H12_b", "Hutubs_1", "1002", "1003", "kemar", "kemar_2")
    for name in names:
        (folder / f"{name}.sofa").touch()
    found = make_model.collections_of([str(folder)])
    files = [path for pattern in found for path in hrir.sources_of(pattern)]
    assert sorted(files) == sorted(str(folder / f"{name}.sofa") for name in names)
    assert sorted(found.values()) == [1, 1, 1, 2, 2]


@pytest.mark.parametrize(("name", "says"), [("people/cipic_003.sofa", "is a single file; name its folder"),
                                            ("people/none_*.sofa", "holds no SOFA file"), ("", "holds no SOFA file")])
def test_people_who_are_not_there_are_named(people, tmp_path, name, says):
    told = run_script("tools/make_model.py", "--speech", "s", "--noise", "n", "--people", people, tmp_path / name,
                      "--dry-run", status=2).stderr
    assert says in told
    assert one_sentence(told)


def test_the_same_command_goes_on_and_what_ships_waits_for_its_end(people, monkeypatch):
    started, ended = [], [130, 0]
    monkeypatch.setattr(make_model.subprocess, "run",
                        lambda command: started.append(command) or SimpleNamespace(returncode=ended.pop(0)))
    monkeypatch.setattr(make_model, "finish", lambda args: (_ for _ in ()).throw(BadInput("finished")))
    flags = ["--speech", "s", "--noise", "n", "--people", str(people)]
    with pytest.raises(BadInput, match="run the same command again to go on"):
        make_model.main(flags)
    with pytest.raises(BadInput, match="finished"):
        make_model.main(flags)
    assert started[0] == started[1]
    assert "--resume" in started[0]


def test_a_run_that_goes_on_begins_with_what_shipped_and_keeps_what_that_came_from(people, tmp_path):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    flags = ["--speech", "s", "--noise", "n", "--people", str(people), "--from", str(shipped)]
    with pytest.raises(BadInput, match="does not hold best.keras, history.csv and run.json"):
        make_model.parse_args(flags)
    (shipped / "history.csv").write_text("epoch,seconds\n1,90\n2,30\n")
    (shipped / "run.json").write_text(json.dumps({"samples": 1000, "before": [{"samples": 1}]}))
    args = make_model.parse_args(flags)
    assert args.before == [{"samples": 1}, {"is_mean": False, "samples": 1000, "epochs": 2, "minutes": 2}]
    assert make_model.training_flags(args)[-4:] == ["--from", str(shipped / "best.keras"), "--learning-rate", "0.00025"]
    assert args.samples == make_model.MORE_SAMPLES
    args = make_model.parse_args([*flags[:-2], "--mean-of", str(tmp_path)])
    assert make_model.training_flags(args)[-5:] == ["--from", f"{tmp_path}/best.keras", f"{tmp_path}/last.keras",
                                                    "--learning-rate", "1e-06"]
    assert args.samples == make_model.MEAN_SAMPLES


@pytest.fixture
def trained(wavs, tmp_path):
    """Arguments whose --out holds what a run leaves, of a network that learnt nothing."""
    network = Network(PARAMS, template_cues=likelihood.template_cues(PARAMS))
    out = tmp_path / "out"
    out.mkdir()
    network.save(out / "best.keras")
    network.save(out / "last.keras", {"history": [], "data": "0123456789abcdef"})
    (out / "history.csv").write_text("epoch,loss\n1,2\n")
    return make_model.parse_args(["--speech", str(wavs("SpeechTRAIN", 2)), "--noise", str(wavs("NoiseTRAIN", 2)),
                                  "--people", "p", "--samples", "600", "--out", str(out)])


@pytest.mark.slow
def test_what_ships_is_whole_and_says_how_it_was_made(trained):
    shipped, change = make_model.finish(trained)
    assert sorted(path.name for path in shipped.iterdir()) == ["best.keras", "history.csv", "run.json"]
    assert (shipped / "history.csv").read_text() == "epoch,loss\n1,2\n"
    run = json.loads((shipped / "run.json").read_text(encoding="utf-8"))
    assert {name: run[name] for name in ("samples", "speech_files", "data", "float16")} == {
        "samples": 600, "speech_files": 2, "data": "0123456789abcdef", "float16": change}
    assert len(run["noise"]) == 2
    assert change["samples"] == 333
    assert 0 < change["median_deg"] <= make_model.MOST_MEDIAN_DEG


@pytest.mark.slow
def test_float16_that_changes_answers_does_not_ship(trained, monkeypatch):
    monkeypatch.setattr(make_model, "MOST_MEDIAN_DEG", 0.0)
    with pytest.raises(BadInput, match=r"best\.keras as float16 answers otherwise"):
        make_model.finish(trained)
    assert list((make_model.Path(trained.out) / "shipped").iterdir()) == []


def test_changes_are_those_of_degrees_and_probabilities():
    def hearing(azimuth_deg, distribution):
        return SimpleNamespace(answer=SimpleNamespace(azimuth_deg=np.array(azimuth_deg)),
                               distribution=np.array(distribution))

    change = make_model.changes(hearing([0.0, 10.0, -5.0], [[0.5, 0.5]] * 3),
                                hearing([0.1, 10.0, -8.0], [[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]))
    assert (change["samples"], change["median_deg"], change["largest_deg"], change["largest_probability"]) == (
        3, 0.1, 3.0, 0.25)
