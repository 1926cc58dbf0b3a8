"""What was heard when, as labels: for Audacity, for video players (WebVTT), and in words."""
from html import escape
from typing import NamedTuple

import numpy as np

STAY_DEG = 10.0        # of azimuth around its median, within which an event counts as one direction
LONGEST_GAP_S = 0.5    # without a source, which does not end an event
LEAST_EVENT_S = 0.3  # as of tracks: what is shorter is dropped


class Event(NamedTuple):
    """A time in which a source is heard near one azimuth: seconds of the file, degrees.

    `source` is its number, None where one is followed at a time. `half_width_deg` is the median 68 % half-width, or
    what 68 % of the rows lie within if that is more.
    """

    start_s: float
    end_s: float
    source: int | None
    azimuth_deg: float
    half_width_deg: float


def events(tracks, seconds, silences=()):
    """List the Events of every track in order of time.

    A row describes the second around it, so that events reach into the silence beside them: there they are cut.

    Parameters
    ----------
    tracks : dict of the number of a source, or None, to its tracks.Track or tracks.Source
    seconds : float, the duration of the recording
    silences : sequence of (begin, end), in seconds, in order of time, without any sound

    Returns
    -------
    list of Event

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> azimuth_deg = np.array([-30, -31, -32, -31, np.nan, 40, 40, 40, 40])
    >>> track = SimpleNamespace(time_s=np.arange(0.5, 1.35, 0.1), azimuth_deg=azimuth_deg,
    ...                         half_width_68_deg=np.full(9, 2.0))
    >>> [(round(each.start_s, 2), round(each.end_s, 2), float(each.azimuth_deg)) for each in events({1: track}, 2.0)]
    [(0.0, 0.85, -31.0), (0.95, 2.0, 40.0)]

    """
    found = []
    for number, track in tracks.items():
        edges_s = edges_of(track.time_s, seconds)
        for rows in _groups(track.azimuth_deg, edges_s):
            start_s, end_s = edges_s[rows[0]], edges_s[rows[-1] + 1]
            if end_s - start_s >= LEAST_EVENT_S - 1e-9:
                azimuth_deg = float(np.median(track.azimuth_deg[rows]))
                scatter_deg = float(np.quantile(np.abs(track.azimuth_deg[rows] - azimuth_deg), 0.68))
                half_width_deg = float(np.median(track.half_width_68_deg[rows]))
                if np.isfinite(half_width_deg):  # a model of squared error states none
                    half_width_deg = max(half_width_deg, scatter_deg)
                start_s, end_s = within_sound(start_s, end_s, silences)
                found.append(Event(start_s, end_s, number, azimuth_deg, half_width_deg))
    return sorted(found, key=lambda each: each.start_s)


def edges_of(time_s, seconds):
    """List where rows begin and end in seconds: they meet in the middle, and cover the whole duration."""
    return [0.0, *((time_s[1:] + time_s[:-1]) / 2).tolist(), seconds]


def within_sound(start_s, end_s, silences):
    """Cut a time to where it has sound, in seconds; one without any stays.

    Examples
    --------
    >>> within_sound(6.56, 9.46, [(0.0, 7.0), (8.1, 8.2), (9.0, 12.0)]), within_sound(1.0, 2.0, [(0.0, 3.0)])
    ((7.0, 9.0), (1.0, 2.0))

    """
    begins_s, ends_s = np.reshape(silences, (-1, 2)).T
    at, until = np.searchsorted(begins_s, start_s, "right") - 1, np.searchsorted(begins_s, end_s) - 1
    begin_s = float(ends_s[at]) if at >= 0 and start_s < ends_s[at] else start_s
    until_s = float(begins_s[until]) if until >= 0 and end_s <= ends_s[until] else end_s
    return (begin_s, until_s) if begin_s < until_s else (start_s, end_s)


def heard_from_to(first_s, last_s, time_s, seconds, silences=()):
    """Tell from when to when a source is heard, of the times of its first and its last row, in seconds.

    Examples
    --------
    >>> heard_from_to(0.5, 0.75, np.array([0.5, 0.75, 1.0]), 1.5)
    (0.0, 0.875)

    """
    edges_s = edges_of(time_s, seconds)
    first, after = np.searchsorted(time_s, (first_s - 1e-6, last_s + 1e-6))
    return within_sound(edges_s[first], edges_s[after], silences)


def unbroken(azimuth_deg):
    """List the rows (row,) of each stretch of azimuths without a NaN.

    Examples
    --------
    >>> [rows.tolist() for rows in unbroken(np.array([np.nan, 3, 4, np.nan, 5]))]
    [[1, 2], [4]]

    """
    rows = np.flatnonzero(np.isfinite(azimuth_deg))
    return np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []


def without_silence(track, seconds, silences):
    """Take away the rows at both ends of what a track hears without a pause that lie in silence but for their ends."""
    edges_s, azimuth_deg = np.array(edges_of(track.time_s, seconds)), track.azimuth_deg.copy()
    for rows in unbroken(track.azimuth_deg):
        start_s, end_s = within_sound(edges_s[rows[0]], edges_s[rows[-1] + 1], silences)
        azimuth_deg[rows[(edges_s[rows + 1] <= start_s) | (edges_s[rows] >= end_s)]] = np.nan
    return track._replace(azimuth_deg=azimuth_deg)


def _groups(azimuth_deg, edges_s):
    """List the rows of each event: a pause ends it, and so does another azimuth."""
    groups = []
    for row in np.flatnonzero(np.isfinite(azimuth_deg)):
        if groups and edges_s[row] - edges_s[groups[-1][-1] + 1] <= LONGEST_GAP_S \
                and abs(azimuth_deg[row] - np.median(azimuth_deg[groups[-1]])) <= STAY_DEG:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def audacity(events):
    r"""Make the text of a label track of Audacity: a line of start, end and text for each Event.

    Source: the Audacity manual, "Importing and Exporting Labels".

    Examples
    --------
    >>> audacity([Event(0.95, 2.0, 2, -31.4, 3.1)])
    '0.950000\t2.000000\t2: -31 ± 3\n'

    """
    return "".join(f"{each.start_s:.6f}\t{each.end_s:.6f}\t{short(each)}\n" for each in events)


def webvtt(events):
    r"""Make the text of a WebVTT file, which shows in a video player from where each Event comes.

    A cue stands where it is heard: on the left of the picture for a source on the left. Source: W3C, "WebVTT".

    Examples
    --------
    >>> webvtt([Event(0.95, 62.0, 2, -45.0, 3.1)]).splitlines()[2:]
    ['00:00:00.950 --> 00:01:02.000 position:25%', '2: 45 degrees left ± 3', '']

    """
    cues = [f"{_clock(each.start_s)} --> {_clock(each.end_s)} position:{_percent_from_left(each.azimuth_deg)}%\n"
            f"{escape(in_words(each), quote=False)}\n\n" for each in events]
    return "".join(["WEBVTT\n\n", *cues])


def _percent_from_left(azimuth_deg):
    """Place an azimuth in per cent of a picture's width, from its left; the outermost text still fits."""
    return round(np.clip(50 + azimuth_deg / 90 * 50, 10, 90))


def _clock(seconds):
    """Write a time as WebVTT does: "01:02:03.500"."""
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def short(event):
    """Write source, azimuth and half-width of an Event in whole degrees: "2: -31 ± 3"."""
    return f"{_number(event)}{round(event.azimuth_deg)}{_uncertainty(event)}"


def in_words(event):
    """Write source, azimuth and half-width of an Event in words: "2: 31 degrees left ± 3"."""
    return f"{_number(event)}{side_of(event.azimuth_deg)}{_uncertainty(event)}"


def _number(event):
    return "" if event.source is None else f"{event.source}: "


def _uncertainty(event):
    return plus_minus(event.half_width_deg)


def plus_minus(half_width_deg, unit=""):
    """Write a half-width after an azimuth: within 90 degrees, since no azimuth lies beyond; "" for none.

    Examples
    --------
    >>> plus_minus(31.6), plus_minus(0.2, "°"), plus_minus(117.0), plus_minus(np.nan)
    (' ± 32', ' ± <1°', ' ± 90', '')

    """
    return f" ± {whole_half_width(half_width_deg)}{unit}" if np.isfinite(half_width_deg) else ""


def whole_half_width(half_width_deg):
    """Write a half-width in whole degrees, from "<1" to "90"."""
    return "<1" if half_width_deg < 0.5 else f"{np.clip(half_width_deg, 1, 90):.0f}"


def side_of(azimuth_deg):
    """Write an azimuth in words.

    Examples
    --------
    >>> side_of(-31.6)
    '32 degrees left'

    """
    degrees = round(abs(azimuth_deg))
    return f"{degrees} degrees {'right' if azimuth_deg > 0 else 'left'}" if degrees else "in front, 0 degrees"
