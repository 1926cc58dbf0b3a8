"""The accuracy benchmark: its page is made of its figures, its folders are asked for, its methods find a source."""
import numpy as np
import pytest
from helpers import PARAMS, ROOT, one_sentence, run_script

from benchmarks import accuracy, conditions, page
from shards.audio import find_audio

STORED = ROOT / "benchmarks"
SYSTEMS = ("model", "original", "likelihood", "GCC-PHAT")


def test_the_page_is_what_the_figures_give():
    assert (STORED / "ACCURACY.md").read_text(encoding="utf-8") == page.page(*accuracy.read_figures(STORED))


def test_every_command_of_the_page_measures_its_part():
    for part, run in accuracy.read_figures(STORED)[1].items():
        assert accuracy.parse_args(run["command"].split()[2:]).parts == [part]


def test_every_condition_snr_and_method_has_one_row():
    rows, runs = accuracy.read_figures(STORED)
    names = [(*(row[name] for name in conditions.CONDITION_COLUMNS), row["snr_db"], row["system"]) for row in rows]
    assert len(set(map(str, names))) == len(names)  # as text: one NaN is not the other
    assert {row["table"] for row in rows} == {table for part in runs for table in accuracy.PARTS[part].tables}
    rooms = {row["head"] for row in rows if row["table"] == "room"}
    one_head = [*conditions.CONDITIONS, *(each for room in rooms for each in conditions.room_conditions(room))]
    tables = {condition.table for condition in one_head}
    # The original recipe is trained apart, so a run may lack it: then no room has it.
    of_rooms = set(SYSTEMS) & {row["system"] for row in rows if row["table"] == "room"}
    assert of_rooms >= set(SYSTEMS) - {"original"}
    assert {name for name in names if name[0] in tables} == {
        (*condition.columns.values(), snr_db, system) for condition in one_head for snr_db in condition.snrs_db
        for system in (of_rooms if condition.table == "room" else SYSTEMS)}


@pytest.mark.slow
def test_page_and_pictures_come_again_without_measuring(tmp_path):
    for name in ("accuracy.csv", "accuracy.json"):
        (tmp_path / name).write_bytes((STORED / name).read_bytes())
    run_script("benchmarks/accuracy.py", "--from-csv", "--out", tmp_path)
    assert (tmp_path / "ACCURACY.md").read_bytes() == (STORED / "ACCURACY.md").read_bytes()
    for table in {row["table"] for row in accuracy.read_figures(STORED)[0]} & set(page.PICTURES):
        assert (tmp_path / f"accuracy_{table}.png").stat().st_size > 5000
    (tmp_path / "accuracy.csv").unlink()
    assert "measure without --from-csv" in run_script("benchmarks/accuracy.py", "--from-csv", "--out", tmp_path,
                                                      status=2).stderr


def test_figures_are_read_as_they_were_written(tmp_path):
    row = dict.fromkeys(accuracy.CSV_COLUMNS, 0.1) | dict.fromkeys(accuracy.WORDS, "a, b") | {"snr_db": np.inf}
    without = {name: value for name, value in row.items() if name != "mae_deg"}
    accuracy.write_figures([row, without], {"kemar": {}}, tmp_path)
    (first, second), runs = accuracy.read_figures(tmp_path)
    assert (first, runs) == (row, {"kemar": {}})
    assert np.isnan(second.pop("mae_deg"))
    assert second == without


def test_a_part_replaces_its_own_figures_alone(tmp_path):
    def row(table, head):
        return dict.fromkeys(accuracy.CSV_COLUMNS, 0.1) | dict.fromkeys(accuracy.WORDS, "") | {
            "table": table, "head": head}

    accuracy.store("kemar", [row("behind", "old")], {"measured_on": "1"}, tmp_path)
    accuracy.store("people", [row("people", "old")], {"measured_on": "2"}, tmp_path)
    accuracy.store("people", [row("people", "new")], {"measured_on": "3"}, tmp_path)
    assert accuracy.read_figures(tmp_path) == (
        [row("people", "new"), row("behind", "old")], {"people": {"measured_on": "3"}, "kemar": {"measured_on": "1"}})


def test_what_is_measured_follows_from_the_folders_given():
    assert accuracy.parse_args(["--audio", "a", "--people", "b"]).parts == ["people", "microphones", "noise-alone"]
    assert accuracy.parse_args(["--audio", "a", "--people", "b", "--only", "microphones"]).parts == ["microphones"]
    assert accuracy.parse_args(["--recordings", "a"]).parts == ["recordings"]


@pytest.mark.parametrize("part", accuracy.PARTS)
def test_the_stored_command_of_a_part_measures_it_alone(part):
    every = accuracy.parse_args([f"--{flag}={flag}" for flag in ("audio", "people", "recordings", "room", "sounds",
                                                                 "hrtf")])
    assert every.parts == list(accuracy.PARTS)
    assert accuracy.parse_args(accuracy.command_of(every, part).split()[2:]).parts == [part]


@pytest.mark.parametrize(("script", "flags", "says"), [
    ("benchmarks/accuracy.py", [], "there is nothing to measure: give --audio DIR"),
    ("benchmarks/accuracy.py", ["--audio", "here"], "there is nothing to measure: give --audio DIR"),
    ("benchmarks/accuracy.py", ["--only", "sounds", "--audio", "here", "--people", "here"], "sounds needs --sounds"),
    ("benchmarks/accuracy.py", ["--audio", "here", "--people", "nowhere"], "--audio here/SpeechTEST is not a folder"),
    ("benchmarks/accuracy.py", ["--recordings", "nowhere"], "holds no recording with a truth beside it"),
    ("benchmarks/original.py", [], "required: --audio"),
])
def test_folders_outside_the_project_are_asked_for(script, flags, says):
    problem = run_script(script, *flags, status=2).stderr
    assert says in problem
    assert one_sentence(problem)


def test_dummy_heads_that_are_absent_are_named():
    with pytest.raises(accuracy.BadInput, match="name the folder of the SOFA sets with --hrtf"):
        accuracy.kemar_conditions(accuracy.parse_args(["--audio", "here", "--hrtf", "nowhere"]))


def test_methods_without_learning_find_a_source_in_the_quiet(demo):
    speech, noise = (find_audio(demo / name, "--audio", PARAMS.excerpt_length, PARAMS)[0]
                     for name in ("SpeechTEST", "NoiseTEST"))
    condition = conditions.CONDITIONS[1]._replace(frames=10, snrs_db=(-30, np.inf))
    systems = conditions.methods_without_learning(PARAMS)
    head = conditions.head_of(condition, "mit_kemar", PARAMS)
    predictions = conditions.measure(condition, systems, [(s, noise[0]) for s in speech[:2]], speech, head, PARAMS)
    assert set(predictions.answers[np.inf]) == {"likelihood", "GCC-PHAT"} == set(predictions.seconds)
    rows = {(row["system"], row["snr_db"]): row for row in conditions.rows_of(condition, predictions)}
    for name in systems:
        assert rows[name, np.inf]["within_5_deg_percent"] > 90 > 50 > rows[name, -30]["within_5_deg_percent"]
        assert "inside_stated_68_percent" not in rows[name, np.inf]


def test_the_interval_is_that_of_the_speakers_means():
    true_deg, speakers = np.zeros(8), np.repeat(["a", "b"], 4)
    answers = np.stack([[1.0, 1, 1, 1, 3, 3, 3, 3], np.full(8, 2), np.full(8, 4)])
    figures = conditions.score(answers, true_deg, speakers)
    assert figures["mae_deg"] == 2
    assert figures["mae_deg_interval"] == pytest.approx(12.706, abs=0.001)  # t of one degree of freedom x sqrt(2 / 2)
    assert figures["same_class_percent"] == 50
    assert (figures["inside_stated_68_percent"], figures["inside_stated_95_percent"]) == (50, 100)
