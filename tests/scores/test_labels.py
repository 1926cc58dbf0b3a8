"""Labels say what was heard when: an event is one direction without a pause, and both formats read back as they are."""
import re

import numpy as np
import pytest

from network.tracks import Track
from scores import labels

SECONDS = 6.02
TIME_S = np.arange(0.51, 5.6, 0.1)  # 51 rows


def track(azimuth_deg, half_width_deg=2.0):
    azimuth_deg = np.asarray(azimuth_deg, float)
    half_width_deg = np.where(np.isnan(azimuth_deg), np.nan, half_width_deg)
    return Track(TIME_S, azimuth_deg, half_width_deg, np.zeros(51), np.zeros(51, bool))


def told(azimuth_deg, number=None, **changes):
    return labels.events({number: track(azimuth_deg, **changes)}, SECONDS)


def test_a_source_that_stays_is_one_event_over_the_whole_recording():
    event, = told(np.full(51, -30.0))
    assert event == (0, SECONDS, None, -30, 2)


def test_nobody_is_no_event():
    assert told(np.full(51, np.nan)) == []


@pytest.mark.parametrize(("pause_rows", "count"), [(5, 1), (7, 2)])
def test_a_long_pause_parts_two_events_and_a_short_one_does_not(pause_rows, count):
    azimuth_deg = np.full(51, 20.0)
    azimuth_deg[20:20 + pause_rows] = np.nan
    events = told(azimuth_deg)
    assert len(events) == count
    assert events[0].start_s == 0
    assert events[-1].end_s == SECONDS
    if count == 2:
        assert events[1].start_s - events[0].end_s == pytest.approx(0.7)


def test_another_direction_begins_another_event_at_once():
    one, other = told(np.repeat([-30.0, 30.0], (25, 26)))
    assert (one.azimuth_deg, other.azimuth_deg) == (-30, 30)
    assert one.end_s == other.start_s == pytest.approx(2.96)


def test_a_walk_is_told_in_steps_that_cover_it_without_holes():
    events = told(np.linspace(-50, 50, 51))
    assert len(events) >= 4
    assert [event.azimuth_deg for event in events] == sorted(event.azimuth_deg for event in events)
    assert all(before.end_s == after.start_s for before, after in zip(events, events[1:]))
    assert all(4 < event.half_width_deg < labels.STAY_DEG for event in events[:-1])  # it was not at one azimuth


def test_what_is_shorter_than_three_rows_is_dropped():
    azimuth_deg = np.full(51, np.nan)
    azimuth_deg[10:12] = 5
    assert told(azimuth_deg) == []
    azimuth_deg[12] = 5
    assert len(told(azimuth_deg)) == 1


def test_several_sources_are_told_in_order_of_time():
    late, early = np.full(51, np.nan), np.full(51, 40.0)
    late[30:] = -40
    events = labels.events({1: track(late), 2: track(early)}, SECONDS)
    assert [event.source for event in events] == [2, 1]


def test_a_model_that_states_no_uncertainty_tells_none():
    event, = told(np.full(51, 10.0), half_width_deg=np.nan)
    assert np.isnan(event.half_width_deg)
    assert labels.short(event) == "10"
    assert labels.in_words(event) == "10 degrees right"


SILENCES = np.array([(0.0, 2.0), (2.9, 3.0), (4.0, np.inf)])


def heard_in_silence():
    azimuth_deg = np.full(51, np.nan)
    azimuth_deg[11:40] = 20                                            # rows at 1.61 to 4.41 s: half of each has sound
    return track(azimuth_deg)


def test_an_event_begins_and_ends_with_its_sound():
    event, = labels.events({None: heard_in_silence()}, SECONDS, SILENCES)
    assert (event.start_s, event.end_s) == (2.0, 4.0)
    around, = labels.events({None: heard_in_silence()}, SECONDS, [(3.2, 3.4)])
    assert (around.start_s, around.end_s) == pytest.approx((1.56, 4.46))


def test_drawn_rows_end_where_the_sound_ends():
    rows = np.flatnonzero(labels.without_silence(heard_in_silence(), SECONDS, SILENCES).has_source)
    assert (TIME_S[rows[0]], TIME_S[rows[-1]]) == pytest.approx((2.01, 4.01))
    assert len(rows) == 21                                             # a pause within stays as it is
    whole = labels.without_silence(heard_in_silence(), SECONDS, [(0.0, np.inf)])
    assert whole.has_source.sum() == 29


@pytest.mark.parametrize(("half_width_deg", "told"), [(0.2, "<1"), (0.5, "1"), (0.6, "1"), (2.4, "2"), (117.0, "90")])
def test_half_widths_are_told_from_under_one_to_90_degrees(half_width_deg, told):
    event = labels.Event(0.0, 2.0, None, 55.0, half_width_deg)
    assert labels.short(event) == f"55 ± {told}"
    assert labels.webvtt([event]).splitlines()[3] == f"55 degrees right ± {told.replace('<', '&lt;')}"  # < opens a tag


def test_audacity_reads_three_columns_back():
    events = [labels.Event(0.0, 2.25, 1, -31.4, 3.2), labels.Event(1.5, 3700.125, 2, 0.2, 12.0)]
    lines = [line.split("\t") for line in labels.audacity(events).splitlines()]
    assert [(float(start), float(end), text) for start, end, text in lines] == [
        (0, 2.25, "1: -31 ± 3"), (1.5, 3700.125, "2: 0 ± 12")]
    assert labels.audacity([]) == ""


def test_webvtt_reads_back_and_stands_where_it_is_heard():
    events = [labels.Event(0.0, 2.25, None, azimuth_deg, 3.0) for azimuth_deg in (-90.0, -30.0, 0.0, 30.0, 90.0)]
    text = labels.webvtt([*events, labels.Event(59.9996, 3723.5, None, 0.0, 3.0)])
    assert text.startswith("WEBVTT\n\n")
    cues = re.findall(r"^(\S+) --> (\S+) position:(\d+)%\n(.+)\n\n", text, re.M)
    assert len(cues) == 6
    positions = [int(position) for *_, position, _ in cues[:5]]
    assert positions == sorted(set(positions))
    assert positions[2] == 50
    assert min(positions) == 10
    assert cues[-1][:2] == ("00:01:00.000", "01:02:03.500")
    assert cues[1][3] == "30 degrees left ± 3"
