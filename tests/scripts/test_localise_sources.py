"""Localise.py --sources: each talker has a number that he keeps, in every format, and in one line."""
import csv
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOT, FakeHearing, one_sentence, run_script

import Localise
from params import Params
from scores import exports

PARAMS = Params()
RATE = PARAMS.sample_rate_hz
SIGNAL = np.random.default_rng(0).normal(0, 0.1, (6 * RATE, 2)).astype(np.float32)
ROWS = 50                                # of 6 s: from 0.51 s on, one every 0.1 s
TALKERS_DEG = np.full((ROWS, 2), np.nan)
TALKERS_DEG[5:45, 0] = -40               # one stays, from 1.01 to 4.91 s
TALKERS_DEG[20:, 1] = np.linspace(20, 49, 30)  # one walks, from 2.51 s on


@pytest.fixture
def localise(write, tmp_path, monkeypatch):
    """Function: what Localise.py prints of a recording, given more flags, with talkers as told; and its results."""
    def run(*flags, talkers_deg=TALKERS_DEG, status=0, names=("meeting",)):
        told = None if talkers_deg is None else np.tile(talkers_deg, (len(names), 1))
        hearing = SimpleNamespace(hear_rows=FakeHearing(talkers_deg=told))
        monkeypatch.setattr(Localise, "open_network", lambda *_: hearing)
        paths = [write(f"{name}.wav", SIGNAL) for name in names]
        out = tmp_path / "out"
        return run_script("Localise.py", *paths, "--out", out, "--balance", "off", *flags, status=status), out
    return run


def test_a_csv_has_a_row_for_each_source_and_time(localise):
    _, out = localise("--sources", 2)
    table = list(csv.DictReader((out / "meeting.csv").read_text().splitlines()))
    assert tuple(table[0]) == ("time_s", "source", "azimuth_deg", "spread_deg", "confidence", "level_db")
    assert {row["time_s"] for row in table} == {str(round(0.51 + 0.1 * at, 2)) for at in range(ROWS)}
    for number, azimuth_deg in enumerate(TALKERS_DEG.T, 1):
        heard = np.flatnonzero(np.isfinite(azimuth_deg))
        rows = {round((float(row["time_s"]) - 0.51) * 10): row for row in table if row["source"] == str(number)}
        assert set(heard) <= set(rows)
        assert len(rows) <= len(heard) + 2                              # presence is averaged over three rows
        np.testing.assert_allclose([float(rows[at]["azimuth_deg"]) for at in heard], azimuth_deg[heard], atol=1.1)
        assert all(float(rows[at]["confidence"]) > 0.6 and float(rows[at]["spread_deg"]) > 0 for at in heard)
    silent = [row for row in table if float(row["time_s"]) < 0.9]
    assert [row["source"] + row["azimuth_deg"] + row["spread_deg"] + row["confidence"] for row in silent] == [""] * 4
    assert all(float(row["level_db"]) == pytest.approx(-20, abs=0.5) for row in table)


def test_json_lists_the_sources_with_their_rows(localise):
    _, out = localise("--sources", 3, "--format", "json")
    made = json.loads((out / "meeting.json").read_text())
    assert made["most_sources"] == 3
    assert not made.keys() & {"rows", "azimuth_deg"}
    first, second = made["sources"]
    assert (first["source"], first["azimuth_deg"]) == (1, -40)
    assert first["start_s"] == pytest.approx(0.96, abs=0.11)                  # half a hop around its rows
    assert first["end_s"] == pytest.approx(4.96, abs=0.11)
    assert second["rows"][-1]["azimuth_deg"] == pytest.approx(49, abs=1)
    assert set(second["rows"][0]) == {"time_s", "azimuth_deg", "spread_deg", "confidence", "level_db"}


def test_a_textgrid_has_a_tier_for_each_source(localise):
    _, out = localise("--sources", 2, "--format", "textgrid")
    text = (out / "meeting.textgrid").read_text()
    assert re.findall(r'name = "(.*)"', text) == ["source_1", "source_2"]
    first = text.partition('name = "source_2"')[0]
    assert re.findall(r'text = "(.*)"', first) == ["", "-40", ""]


def test_the_line_tells_the_sources(localise):
    done, _ = localise("--sources", 2)
    line = (r"meeting\.wav: two sources, 40 degrees left from (0\.9|1\.0) to (5\.0|5\.1) s; "
            r"2\d degrees right to 4\d degrees right from 2\.[45] to 6\.0 s; heard in 9\d % of 6\.0 s\.")
    assert re.search(line, done.stdout)


def test_the_table_over_several_recordings_holds_the_sources(localise):
    _, out = localise("--sources", 2, "--format", "json", names=("one", "two"))
    one, two = json.loads((out / "all_recordings.json").read_text())
    assert [source["source"] for source in one["sources"]] == [1, 2]
    assert one["source_percent"] == two["source_percent"] == pytest.approx(90, abs=3)
    assert one["summary"].startswith("two sources, ")


def test_nobody_gives_rows_without_a_source_in_every_format(localise):
    nobody = np.full((ROWS, 1), np.nan)
    for ending in Localise.FORMATS:
        done, out = localise("--sources", 2, "--format", ending, talkers_deg=nobody)
        assert "meeting.wav: no source in 6.0 s." in done.stdout
    assert json.loads((out / "meeting.json").read_text())["sources"] == []
    assert (out / "meeting.csv").read_text().count(",,,,") == ROWS
    assert re.findall(r'name = "(.*)"', (out / "meeting.textgrid").read_text()) == ["source_1"]


def test_one_source_is_told_as_ever(localise):
    _, out = localise("--sources", 1)
    table = list(csv.DictReader((out / "meeting.csv").read_text().splitlines()))
    assert tuple(table[0]) == exports.COLUMNS
    assert {row["azimuth_deg"] for row in table} == {"10.0"}


def test_a_model_that_tells_one_source_is_refused_with_the_remedy(localise):
    refused, out = localise("--sources", 2, talkers_deg=None, status=2)
    assert one_sentence(refused.stderr)
    assert "one source at a time" in refused.stderr
    assert "leave out --sources" in refused.stderr
    assert not list(out.iterdir())


def test_in_a_recording_of_one_row_a_talker_is_no_phantom(tmp_path):
    done = run_script("Localise.py", ROOT / "tests" / "golden" / "answer.wav", "--sources", 2, "--out", tmp_path)
    assert re.search("one source, (29|30|31) degrees right", done.stdout)
