"""The accuracy benchmark: its page is made of its figures, its folders are asked for, its methods find a source."""
import numpy as np
import pytest
from helpers import PARAMS, ROOT, one_sentence, run_script

from benchmarks import accuracy
from shards.audio import find_audio

STORED = ROOT / "benchmarks"


def test_the_page_is_what_the_figures_give():
    assert (STORED / "ACCURACY.md").read_text(encoding="utf-8") == accuracy.page(*accuracy.read_figures(STORED))


def test_the_page_names_the_flags_that_its_command_needs():
    command = accuracy.read_figures(STORED)[1]["command"]
    accuracy.parse_args(command.split()[2:])
    assert "--audio" in command
    assert "--hrtf" in command


def test_every_condition_snr_and_method_has_one_row():
    rows, _ = accuracy.read_figures(STORED)
    names = [(*(row[name] for name in accuracy.CONDITION_COLUMNS), row["snr_db"], row["system"]) for row in rows]
    assert len(set(names)) == len(names)
    assert set(names) == {(*condition.columns.values(), snr_db, system) for condition in accuracy.CONDITIONS
                          for snr_db in condition.snrs_db for system in accuracy.SYSTEMS}


@pytest.mark.slow
def test_page_and_pictures_come_again_without_measuring(tmp_path):
    for name in ("accuracy.csv", "accuracy.json"):
        (tmp_path / name).write_bytes((STORED / name).read_bytes())
    run_script("benchmarks/accuracy.py", "--from-csv", "--out", tmp_path)
    assert (tmp_path / "ACCURACY.md").read_bytes() == (STORED / "ACCURACY.md").read_bytes()
    for table in accuracy.PICTURES:
        assert (tmp_path / f"accuracy_{table}.png").stat().st_size > 5000
    (tmp_path / "accuracy.csv").unlink()
    assert "measure without --from-csv" in run_script("benchmarks/accuracy.py", "--from-csv", "--out", tmp_path,
                                                      status=2).stderr


def test_figures_are_read_as_they_were_written(tmp_path):
    row = dict.fromkeys(accuracy.CSV_COLUMNS, 0.1) | dict.fromkeys(accuracy.WORDS, "a, b") | {"snr_db": np.inf}
    accuracy.write_figures([row], {"noises": 1}, tmp_path)
    assert accuracy.read_figures(tmp_path) == ([row], {"noises": 1})


@pytest.mark.parametrize(("script", "flags", "says"), [
    ("benchmarks/accuracy.py", [], "--audio DIR is required"),
    ("benchmarks/accuracy.py", ["--audio", "here"], "--hrtf DIR is required"),
    ("benchmarks/accuracy.py", ["--audio", "here", "--hrtf", "nowhere"], "name the folder of the SOFA sets"),
    ("benchmarks/original.py", [], "required: --audio"),
])
def test_folders_outside_the_project_are_asked_for(script, flags, says):
    problem = run_script(script, *flags, status=2).stderr
    assert says in problem
    assert one_sentence(problem)


def test_methods_without_learning_find_a_source_in_the_quiet(demo):
    speech, noise = (find_audio(demo / name, "--audio", PARAMS.excerpt_length, PARAMS)[0]
                     for name in ("SpeechTEST", "NoiseTEST"))
    condition = accuracy.CONDITIONS[1]._replace(frames=10, snrs_db=(-30, np.inf))
    systems = accuracy.methods_without_learning(PARAMS)
    predicted, true_deg, speakers, seconds = accuracy.measure(condition, systems, speech[:2], noise[:1], "mit_kemar",
                                                              PARAMS)
    assert set(predicted[np.inf]) == {"likelihood", "GCC-PHAT"} == set(seconds)
    for name in systems:
        quiet, loud = (accuracy.score(predicted[snr_db][name], true_deg, speakers)["within_5_deg_percent"]
                       for snr_db in (np.inf, -30))
        assert quiet > 90 > 50 > loud


def test_the_interval_is_that_of_the_speakers_means():
    true_deg, speakers = np.zeros(8), np.repeat(["a", "b"], 4)
    figures = accuracy.score(np.array([1.0, 1, 1, 1, 3, 3, 3, 3]), true_deg, speakers)
    assert figures["mae_deg"] == 2
    assert figures["mae_deg_interval"] == pytest.approx(12.706, abs=0.001)  # t of one degree of freedom x sqrt(2 / 2)
    assert figures["same_class_percent"] == 50
