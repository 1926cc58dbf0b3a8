"""TextGrids cover the recording without holes, a tier for each track."""
import re

import numpy as np

from scores.textgrid import textgrid


def tiers_of(text):
    """Read a TextGrid back: dict of the name of a tier to its (begin, end, text)."""
    _, *tiers = re.split(r"    item \[\d+\]:", text)
    assert re.findall(r"^size = (.*)$", text, re.M) == [str(len(tiers))]
    return {re.search(r'name = "(.*)"', tier)[1]:
            [(float(begin), float(end), each) for begin, end, each in
             re.findall(r'xmin = ([\d.]+)\n\s+xmax = ([\d.]+)\n\s+text = "(.*)"', tier)] for tier in tiers}


def test_a_textgrid_covers_the_recording_without_holes():
    azimuth_deg = np.array([10.2, 9.8, np.nan, -0.3])
    text = textgrid({"azimuth_deg": azimuth_deg}, np.array([0.5, 0.6, 0.7, 0.8]), 1.3)
    assert tiers_of(text) == {"azimuth_deg": [(0, 0.65, "10"), (0.65, 0.75, ""), (0.75, 1.3, "0")]}


def test_each_source_has_a_tier():
    text = textgrid({"source_1": np.array([10, 10]), "source_2": np.array([np.nan, -30])}, np.array([0.5, 0.6]), 1.1)
    assert tiers_of(text) == {"source_1": [(0, 1.1, "10")], "source_2": [(0, 0.55, ""), (0.55, 1.1, "-30")]}
    assert re.findall(r"intervals: size = (\d)", text) == ["1", "2"]
