"""The tour runs from wav to answer, explains as much as it does, and sends its reader to files that exist."""
import os
import re
import subprocess
import sys

import pytest
from helpers import ROOT

TEXT = (ROOT / "tour.py").read_text(encoding="utf-8")
CELLS = TEXT.split("# %%")[1:]
WORDS = [cell for cell in CELLS if cell.startswith(" [markdown]")]


def test_text_and_code_take_turns():
    assert [cell.startswith(" [markdown]") for cell in CELLS] == [True, False] * (len(CELLS) // 2)


@pytest.mark.parametrize("cell", WORDS, ids=[cell.split("# ")[2].split("\n")[0].strip("# ") for cell in WORDS])
def test_every_cell_ends_with_the_file_that_does_it_for_real(cell):
    ending = re.search(r"\*For real: (.*)\*\s*$", cell.replace("\n# ", " "))
    files = re.findall(r"[\w/]+\.(?:py|md)", ending[1])
    assert files
    assert all((ROOT / file).is_file() for file in files)


def test_there_is_as_much_text_as_a_beginner_needs():
    words = [sum(len(line.split()) for line in cell.splitlines() if line.startswith("# ")) for cell in WORDS]
    assert sum(words) > 600


@pytest.mark.slow
def test_the_tour_runs_and_its_answer_is_right():
    done = subprocess.run([sys.executable, str(ROOT / "tour.py")], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"}, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = re.search(r"first (-?\d+) degrees \(true -30\), then (-?\d+) degrees \(true 45\)", done.stdout)
    assert abs(int(answers[1]) + 30) <= 5
    assert abs(int(answers[2]) - 45) <= 5
    assert all((ROOT / path).stat().st_size > 5_000 for path in re.findall(r"(?:picture|sound): (\S+)", done.stdout))
