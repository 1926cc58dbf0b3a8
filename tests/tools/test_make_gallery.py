"""The gallery: its page is that of the tool, its commands are possible, its pictures are there and small."""
import shlex

import numpy as np
import pytest
from helpers import ROOT

import Localise
from tools import make_gallery
from tools.make_gallery import CASES, RATE, RenderedHead

PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
PICTURES = ROOT / "docs" / "gallery"


def told(case):
    """What the page says that a command printed."""
    lines = PAGE.splitlines()
    begin = lines.index(case.command) + 1
    return lines[begin:lines.index("```", begin)]


def test_the_page_is_what_the_tool_writes():
    assert make_gallery.page({case.name: told(case) for case in CASES}) == PAGE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_command_is_possible_and_its_answer_is_of_its_recording(case):
    python, script, *flags = shlex.split(case.command)
    assert (python, script) == ("python", "Localise.py")
    pytest.importorskip("av")
    _, args = Localise.parse_args(flags)
    assert [path.name for path in args.recordings] == [f"{case.name}.wav"]
    assert args.html == (case.picture == ".html")
    assert args.video == (case.picture == ".mp4")
    assert told(case)[-1].startswith(f"{case.name}.wav: ")


def test_there_are_eight_pictures_of_less_than_a_megabyte():
    assert {path.stem for path in PICTURES.iterdir()} == {case.name for case in CASES}
    assert len(CASES) == 8
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 1e6


def test_noise_alone_has_no_source_and_a_stereo_mix_is_told():
    answers = {case.name: told(case) for case in CASES}
    assert "no source" in answers["noise"][-1]
    assert "mean nothing" in answers["panned"][0]


@pytest.mark.slow
def test_every_case_has_a_recording_that_is_not_clipped(demo):
    made = make_gallery.recordings(demo)
    assert list(made) == [case.name for case in CASES]
    for ears in made.values():
        assert ears.shape[0] == 2
        assert ears.shape[1] >= 8 * RATE
        assert 0.05 < np.abs(ears).max() < 1


def test_a_walker_is_at_the_left_ear_first():
    noise = np.random.default_rng(0).standard_normal(2 * RATE)
    ears = RenderedHead().hear(noise, np.linspace(-80, 80, 2 * RATE))
    level_db = 10 * np.log10(np.square(ears).reshape(2, 8, -1).mean(axis=-1))
    assert np.all(np.diff(level_db[1] - level_db[0]) > 0)


def test_a_signal_that_stays_is_heard_as_its_response():
    head, click = RenderedHead(), np.eye(1, 600)[0]
    heard = head.hear(click, 30.0)
    np.testing.assert_allclose(heard[:, :head.response.shape[-1]], head.response[120], atol=1e-6)
