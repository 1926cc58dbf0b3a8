"""What was heard in a recording, in one line: a talker who turns back is no talker who stays."""
import numpy as np
import pytest

from network.tracks import Source, Track
from scores import summary

WALKS = {"there and back": (np.concatenate((np.linspace(17, -54, 100), np.linspace(-54, 17, 100))),
                            "17 degrees right via 54 degrees left to 17 degrees right"),
         "there": (np.linspace(-40, 30, 200), "40 degrees left to 30 degrees right"),
         "nowhere": (np.full(200, -40.0), "40 degrees left")}


@pytest.mark.parametrize(("azimuth_deg", "words"), WALKS.values(), ids=WALKS)
def test_a_walk_is_summed_up_by_its_ends_and_where_it_turns(azimuth_deg, words):
    time_s, rows = np.arange(200) / 10 + 0.5, np.ones(200)
    one = summary.in_words(Track(time_s, azimuth_deg, rows, rows, rows < 0), 20.9)
    several = summary.sources_in_words([Source(time_s, azimuth_deg, rows, rows, rows)], 20.9)
    ends = [word for word in words.split() if word.isdigit()]
    for told in (one, several):
        found = [int(word) for word in told.replace("(", " ").split() if word.isdigit()][:len(ends)]
        np.testing.assert_allclose(found, list(map(int, ends)), atol=11)
        assert ("via" in told) == ("via" in words)


def test_a_few_rows_that_err_are_no_turn():
    azimuth_deg = np.full(200, 20.0)
    azimuth_deg[90:95] = -80
    source = Source(np.arange(200) / 10, azimuth_deg, *3 * [np.ones(200)])
    assert source.span().path_deg == (20.0,)
