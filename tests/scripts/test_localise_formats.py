"""Localise.py writes several formats at once, and with --html a page of each recording and one over all."""
import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from helpers import FakeHearing, one_sentence, run_script

import Localise
from console import BadInput
from params import Params
from scores import page
from scores.exports import FORMATS

RATE = Params().sample_rate_hz
SIGNAL = np.random.default_rng(0).normal(0, 0.1, (6 * RATE, 2))
TALKERS_DEG = np.tile([-40.0, 25.0], (50, 1))


@pytest.fixture
def localise(tmp_path, monkeypatch):
    """Function: what Localise.py prints of recordings in subfolders, and the folder of its results."""
    def run(*flags, names=("talk",), signal=SIGNAL, status=0):
        hearing = FakeHearing(talkers_deg=np.tile(TALKERS_DEG, (len(names), 1)))
        monkeypatch.setattr(Localise, "open_network", lambda *_: SimpleNamespace(hear_rows=hearing))
        for name in names:
            path = tmp_path / "recordings" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, signal, RATE, subtype="PCM_16")
        out = tmp_path / "out"
        return run_script("Localise.py", tmp_path / "recordings", "--out", out, "--balance", "off", *flags,
                          status=status), out
    return run


def test_several_formats_tell_the_same(localise):
    done, out = localise("--format", *FORMATS)
    assert "1 recording(s), .csv, .json, .textgrid, .labels.txt, .vtt and .png of each" in done.stdout
    assert {path.name for path in out.iterdir()} == {
        "talk.csv", "talk.json", "talk.textgrid", "talk.labels.txt", "talk.vtt", "talk.png"}
    table = list(csv.DictReader((out / "talk.csv").read_text().splitlines()))
    assert [float(row["azimuth_deg"]) for row in table] == [
        row["azimuth_deg"] for row in json.loads((out / "talk.json").read_text())["rows"]]
    assert (out / "talk.labels.txt").read_text(encoding="utf-8") == "0.000000\t6.000000\t10 ± 1\n"
    assert "00:00:00.000 --> 00:00:06.000" in (out / "talk.vtt").read_text(encoding="utf-8")


@pytest.mark.parametrize("several", [False, True])
def test_a_talker_in_silence_has_the_same_times_everywhere(localise, several):
    signal = np.concatenate([np.zeros((2 * RATE, 2)), SIGNAL[:3 * RATE], np.zeros((RATE, 2))])
    done, out = localise("--format", "audacity", "json", "webvtt", "--html", *(["--sources", 2] if several else []),
                         signal=signal)
    lines = [line.split("\t") for line in (out / "talk.labels.txt").read_text(encoding="utf-8").splitlines()]
    assert [line[:2] for line in lines] == [["2.000000", "5.000000"]] * (2 if several else 1)
    assert "00:00:02.000 --> 00:00:05.000" in (out / "talk.vtt").read_text(encoding="utf-8")
    text = (out / "talk.html").read_text(encoding="utf-8")
    assert "0:02.0 – 0:05.0" in text
    line = re.search(r'class="line" d="M([^"]*)"', text)[1].split()
    assert (float(line[0]), float(line[-2])) == pytest.approx((2, 5), abs=0.06)
    if several:
        assert "from 2.0 to 5.0 s" in done.stdout
        told = json.loads((out / "talk.json").read_text())["sources"]
        assert [(each["start_s"], each["end_s"]) for each in told] == [(2, 5), (2, 5)]


@pytest.mark.parametrize(("flags", "formats"), [
    (["talk.wav", "--format", "json", "csv"], ["json", "csv"]), (["--format", "json", "talk.wav"], ["json"])])
def test_recordings_may_follow_the_formats(tmp_path, monkeypatch, flags, formats):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.wav").touch()
    _, args = Localise.parse_args(flags)
    assert (args.format, args.recordings) == (formats, [Path("talk.wav")])


@pytest.mark.parametrize("formats", [["xml"], ["csv", "xml"]])
def test_other_formats_are_refused(formats):
    with pytest.raises(BadInput, match=r"--format .*xml is not possible; choose from csv, json"):
        Localise.parse_args(["talk.wav", "--format", *formats])


def test_labels_name_each_of_several_sources(localise):
    _, out = localise("--format", "audacity", "webvtt", "--sources", 2)
    lines = (out / "talk.labels.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[2].split(" ±")[0] for line in lines] == ["1: -40", "2: 25"]
    assert "2: 25 degrees right" in (out / "talk.vtt").read_text(encoding="utf-8")


def test_a_page_of_one_recording_holds_its_sound_and_its_warnings(localise):
    done, out = localise("--html", signal=SIGNAL + 0.3)
    assert ".csv, .html and .png of each" in done.stdout
    text = (out / "talk.html").read_text(encoding="utf-8")
    assert "<li>This recording has a DC offset of +0.30" in text
    assert "10° right" in text
    assert 'id="sound"' in text
    assert "All recordings" not in text
    assert str(out.parent) not in text                                # no page tells the folders of its maker


def test_pages_of_a_folder_are_linked_both_ways(localise):
    done, out = localise("--html", "--sources", 2, names=("one", "deep/two"))
    assert "all_recordings.json and .html over all" in done.stdout
    index = (out / "all_recordings.html").read_text(encoding="utf-8")
    assert re.findall(r'<a href="(.*?)">', index) == ["deep/two.html", "one.html"]
    for name, back in (("one", "all_recordings.html"), ("deep/two", "../all_recordings.html")):
        text = (out / f"{name}.html").read_text(encoding="utf-8")
        assert f'<a class="back" href="{back}">' in text
        assert [each["number"] for each in json.loads(re.search(r'id="data">(.*?)<', text)[1])["sources"]] == [1, 2]


@pytest.mark.parametrize(("limit", "value"), [("LONGEST_INSIDE_S", 5.0), ("MOST_INSIDE_BYTES", 100_000)])
def test_the_sound_of_a_long_or_large_recording_lies_beside_its_page(localise, monkeypatch, limit, value):
    monkeypatch.setattr(page, limit, value)
    _, out = localise("--html")
    text = (out / "talk.html").read_text(encoding="utf-8")
    assert 'src="talk.ears.flac"' in text
    assert 'id="sound"' not in text
    ears, rate = sf.read(out / "talk.ears.flac")
    assert rate == RATE
    np.testing.assert_allclose(ears, SIGNAL, atol=2 ** -15)


def test_a_page_that_is_served_holds_a_smaller_sound_where_it_would_be_large(monkeypatch, tmp_path):
    sf.write(tmp_path / "fine.flac", SIGNAL, 48_000, subtype="PCM_24")
    _, args = Localise.parse_args(["--serve"])

    def served():
        tracker = Localise.Tracker(FakeHearing(), Params(), 5)
        return Localise.page_of(tmp_path / "fine.flac", tracker, args, lambda blocks, *_: blocks)()

    whole = served()
    monkeypatch.setattr(page, "MOST_INSIDE_BYTES", 100_000)
    smaller = served()
    assert 'id="sound"' in smaller
    assert len(smaller) < 0.6 * len(whole)


def test_a_second_run_into_the_folder_of_the_recordings_reads_the_recordings_alone(localise, monkeypatch, tmp_path):
    monkeypatch.setattr(page, "LONGEST_INSIDE_S", 5.0)
    for _ in range(2):
        done, _ = localise("--html", "--out", tmp_path / "recordings", names=("one", "two"))
        assert "2 recording(s), .csv, .html and .png of each" in done.stdout
    assert "recordings: left out 2 result(s) of earlier runs, such as one.ears.flac" in done.stderr
    assert not list((tmp_path / "recordings").glob("*.ears.ears.*"))


def test_a_page_by_hand_beside_a_recording_is_kept(localise, tmp_path):
    (tmp_path / "recordings").mkdir()
    by_hand = tmp_path / "recordings" / "talk.html"
    by_hand.write_text("by hand")
    done, _ = localise("--html", "--out", tmp_path / "recordings", status=2)
    assert one_sentence(done.stderr)
    assert by_hand.read_text() == "by hand"
    assert {path.name for path in by_hand.parent.iterdir()} == {"talk.wav", "talk.html"}


def test_without_html_there_is_no_page(localise):
    _, out = localise(names=("one", "two"))
    assert not list(out.rglob("*.html"))
