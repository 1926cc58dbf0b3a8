"""The tour runs from wav to answer, explains as much as it does, and sends its reader to files that exist."""
import os
import re
import subprocess
import sys

import pytest
import soundfile as sf
from helpers import ROOT

SOURCE = (ROOT / "tour.py").read_text(encoding="utf-8")
CELLS = SOURCE.split("# %%")[1:]
TEXTS = [cell for cell in CELLS if cell.startswith(" [markdown]")]
TITLES = [re.search(r"# #+ (.*)", text)[1] for text in TEXTS]
MOST_LINES, LEAST_SHARE_OF_TEXT, MOST_WORDS = 195, 0.4, 24


def lines_of(cells):
    """Count the lines of cells that are not empty."""
    return sum(bool(line.strip()) for cell in cells for line in cell.splitlines())


def prose_of(text):
    """Take heading, table and marks away from a text cell, and put its lines together."""
    lines = [line.removeprefix("#").strip() for line in text.splitlines()[1:]]
    return re.sub(r"[*`]", "", " ".join(line for line in lines if not line.startswith(("#", "|"))))


def test_text_and_code_take_turns():
    assert [cell.startswith(" [markdown]") for cell in CELLS] == [True, False] * (len(CELLS) // 2)


def test_the_tour_is_short_and_two_fifths_of_it_are_text():
    assert len(SOURCE.splitlines()) <= MOST_LINES
    assert lines_of(TEXTS) >= LEAST_SHARE_OF_TEXT * lines_of(CELLS)


@pytest.mark.parametrize("text", TEXTS, ids=TITLES)
def test_every_text_names_the_files_that_do_it_for_real(text):
    named = re.findall(r"`([\w/]+\.(?:py|md))`", text.split("**For real:**")[1])
    assert named
    assert all((ROOT / name).is_file() for name in named)


@pytest.mark.parametrize("text", TEXTS, ids=TITLES)
def test_every_sentence_is_short(text):
    sentences = re.split(r"[.?!] ", prose_of(text))
    assert max(len(sentence.split()) for sentence in sentences) <= MOST_WORDS


def test_help_is_a_sentence_and_no_tour_is_run(tmp_path):
    for flag, status in (("--help", 0), ("--seed", 2)):
        done = subprocess.run([sys.executable, ROOT / "tour.py", flag], cwd=tmp_path, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == status
        assert "usage: tour.py" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_tour_runs_and_its_answer_is_right(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "tour.py"], cwd=tmp_path, capture_output=True, text=True,
                          encoding="utf-8", timeout=280,
                          env={**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [float(word) for word in re.search(r"one every 0.5 s: (.*)", done.stdout)[1].split()]
    assert all(abs(answer + 30) <= 5 for answer in answers[:4])
    assert all(abs(answer - 45) <= 5 for answer in answers[-4:])
    assert "2,417,793" in done.stdout
    pictures, sounds = (re.findall(rf'{name}\((?:.*, )?"(\d_\w+)"', SOURCE) for name in ("show", "listen"))
    assert len(pictures) == 6
    assert all((tmp_path / "tour" / f"{name}.png").stat().st_size > 5_000 for name in pictures)
    assert len(sounds) == 4
    assert all(sf.info(tmp_path / "tour" / f"{name}.wav").duration > 4 for name in sounds)
