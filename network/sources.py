"""Follow several sources over time: the peaks of presence in each row become tracks that keep their identity.

    follow(presence, hop_s, params, most=2)        # (row, 37) -> Followed of (source, row)

    follower = Follower(hop_s, params, most=2)     # the same row by row, as they come
    follower.push(presence)                        # the sources heard in the last row

Each source is predicted by its azimuth and speed, and takes the peak that is nearest to that: all together, by the
assignment of least cost (H. W. Kuhn, 1955). In a pause it slows down and waits. Two that meet make one peak; both go
on as before, so that they are told apart by their speeds when they part.
"""
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from network.peaks import MERGED_DEG, THRESHOLD, read_peaks

MOST_SOURCES = 4             # at a time that can be asked for
SMOOTHED_S = 0.3             # over which presence is averaged: rows of a second overlap already
CONTINUES = 0.3              # presence from which a source that is known goes on; a new one needs peaks.THRESHOLD
GATE_DEG = 15.0              # most that a peak lies from where its source is expected
FILTER_S = 0.5               # time constant of the azimuth that a source is expected at
MOST_SPEED_DEG_PER_S = 60.0  # of somebody who walks past 1 m away
STOPS_S = 0.5                # time constant of the speed in a pause: talkers stay where they are
MEETS_DEG = 20.0             # apart, below which one source may be hidden by another
MEETING_S = 2.0              # for which it is, at most; after that it has paused
LEAST_S = 0.3                # that a source is heard: others are phantoms
MOST_ROWS = 1000             # of a source that tell of its speed: of more, the filter has the same gain
PHANTOM_KEPT_S, KEPT_S = 1.0, 10.0  # that one is waited for in a pause, before and after it was heard for LEAST_S


class Followed(NamedTuple):
    """Sources in the order in which they were first heard, three (source, row); NaN where one is not heard."""

    azimuth_deg: np.ndarray
    confidence: np.ndarray
    half_width_deg: np.ndarray


class Heard(NamedTuple):
    """A source in the last row: its number, from 1 on, and azimuth, confidence and half-width as of Followed."""

    number: int
    azimuth_deg: float
    confidence: float
    half_width_deg: float


def follow(presence, hop_s, params, most, smooths=True):
    """Follow the sources of a whole recording.

    Parameters
    ----------
    presence : np.ndarray [shape=(row, class)], 0 to 1; 0 in all directions of a row that is silent
    hop_s : float, from row to row
    params : Params, for the directions class_deg
    most : int, sources at a time
    smooths : bool, average presence over SMOOTHED_S

    Returns
    -------
    Followed

    Examples
    --------
    One talker stays at -40 degrees, another walks from 0 to 30:

    >>> from network.peaks import presence_targets
    >>> from params import Params
    >>> azimuth_deg = np.stack([np.full(31, -40), np.arange(31)], axis=1)
    >>> followed = follow(presence_targets(azimuth_deg, Params()), 0.1, Params(), most=2)
    >>> followed.azimuth_deg[:, [0, 15, 30]].round() + 0
    array([[-40., -40., -40.],
           [  0.,  15.,  30.]])

    """
    presence = np.asarray(presence, np.float64)
    count = 2 * round((SMOOTHED_S / hop_s - 1) / 2) + 1                # odd: around each row
    if smooths and count > 1 and len(presence):
        is_silent = ~presence.any(axis=1)
        padded = np.pad(presence, ((count // 2, count // 2), (0, 0)), mode="edge")
        presence = np.lib.stride_tricks.sliding_window_view(padded, count, axis=0).mean(axis=-1)
        presence[is_silent] = 0
    follower = Follower(hop_s, params, most)
    follower.push(presence)
    return follower.followed()


@dataclass(eq=False)
class _Source:
    """One source: where it is expected, since when it is missing, and the rows in which it was heard."""

    azimuth_deg: float
    speed_deg_per_s: float = 0.0
    paused_s: float = 0.0
    hidden_s: float = 0.0        # by another source that it meets
    sure_s: float = 0.0          # in which it was heard with THRESHOLD or more
    number: int | None = None    # given when that is LEAST_S
    rows: list = field(default_factory=list)  # of (row, azimuth_deg, confidence, half_width_deg)


class Follower:
    """Follow sources row by row; `push` tells those of the last row, `followed` all so far."""

    def __init__(self, hop_s, params, most):
        self._hop_s, self._params, self._most = hop_s, params, most
        self._gain = 1 - np.exp(-hop_s / FILTER_S)                     # of an alpha-beta filter (Kalata 1984)
        self._speed_gain = self._gain ** 2 / (2 - self._gain)
        self._known, self._gone, self._count, self._row = [], [], 0, 0

    def push(self, presence):
        """Take the presence (row, class) of rows, and list the sources Heard in the last of them."""
        peaks = read_peaks(presence, self._params, self._most, CONTINUES)
        for azimuth_deg, confidence, half_width_deg in zip(*peaks):
            count = np.isfinite(azimuth_deg).sum()
            self._advance(azimuth_deg[:count], confidence[:count], half_width_deg[:count])
        return [Heard(each.number, *each.rows[-1][1:]) for each in self._known
                if each.number and each.rows[-1][0] == self._row - 1]

    def followed(self):
        """Give all sources but phantoms; of a recording shorter than LEAST_S those heard in all of its rows."""
        least_s = min(LEAST_S, self._row * self._hop_s) - 1e-9
        sources = sorted((each for each in self._gone + self._known if each.sure_s > least_s),
                         key=lambda each: each.rows[0][0])
        told = np.full((3, len(sources), self._row), np.nan)
        for at, source in enumerate(sources):
            row, *values = zip(*source.rows)
            told[:, at, row] = values
        return Followed(*told)

    def forget(self):
        """Drop what only `followed` tells, so that memory stays as it is: MOST_ROWS of each source are kept."""
        self._gone.clear()
        for each in self._known:
            del each.rows[:-MOST_ROWS]

    def _advance(self, azimuth_deg, confidence, half_width_deg):
        """Go on by one row, given its peaks, three (peak,)."""
        for each in self._known:
            each.azimuth_deg = float(np.clip(each.azimuth_deg + each.speed_deg_per_s * self._hop_s, -90, 90))
        peak_of = self._assign(azimuth_deg)
        hidden = self._hidden(peak_of, azimuth_deg)
        shared = {peak for at, peak in hidden.items()
                  if abs(self._known[at].azimuth_deg - azimuth_deg[peak]) < MERGED_DEG}
        heard = len(peak_of)
        for at, peak in peak_of.items():
            source = self._known[at]
            source.paused_s = 0.0
            if peak not in shared:                                     # two in one peak go on by themselves
                source.hidden_s = 0.0
                self._correct(source, azimuth_deg[peak] - source.azimuth_deg)
            self._hear(source, azimuth_deg[peak], confidence[peak], half_width_deg[peak], peak in shared)
        for at, source in enumerate(self._known):
            if at in hidden:
                source.hidden_s += self._hop_s
                peak = hidden[at]
                if peak in shared and heard < self._most:
                    self._hear(source, azimuth_deg[peak], confidence[peak], half_width_deg[peak], True)
                    heard += 1
            elif at not in peak_of:
                source.paused_s += self._hop_s
                source.speed_deg_per_s *= np.exp(-self._hop_s / STOPS_S)
        for peak in sorted(set(range(len(azimuth_deg))) - set(peak_of.values())):
            if confidence[peak] >= THRESHOLD and heard < self._most:
                self._known.append(_Source(float(azimuth_deg[peak])))
                self._hear(self._known[-1], azimuth_deg[peak], confidence[peak], half_width_deg[peak], False)
                heard += 1
        self._forget()
        self._row += 1

    def _assign(self, azimuth_deg):
        """Assign peaks to known sources: dict of index to peak, for those within GATE_DEG."""
        expected = np.array([each.azimuth_deg for each in self._known])
        cost = np.abs(expected[:, np.newaxis] - azimuth_deg)
        return _cheapest(cost.tolist(), 0, frozenset())[1]

    def _hidden(self, peak_of, azimuth_deg):
        """Find the sources without a peak of their own that another may hide: dict of index to the other's peak."""
        hidden = {}
        for at, source in enumerate(self._known):
            if at not in peak_of and peak_of and source.paused_s == 0 and source.hidden_s < MEETING_S:
                peak = min(peak_of.values(), key=lambda each: abs(azimuth_deg[each] - source.azimuth_deg))
                if abs(azimuth_deg[peak] - source.azimuth_deg) < MEETS_DEG:
                    hidden[at] = peak
        return hidden

    def _correct(self, source, error_deg):
        """Draw the expectation of a source to its peak; in its first rows, to the line of least squares through all."""
        count = len(source.rows) + 1
        source.azimuth_deg += max(self._gain, 2 * (2 * count - 1) / (count * (count + 1))) * error_deg
        speed_gain = max(self._speed_gain, 6 / (count * (count + 1)))
        speed = source.speed_deg_per_s + speed_gain * error_deg / self._hop_s
        source.speed_deg_per_s = float(np.clip(speed, -MOST_SPEED_DEG_PER_S, MOST_SPEED_DEG_PER_S))

    def _hear(self, source, azimuth_deg, confidence, half_width_deg, is_shared):
        """Note that a source is heard in this row: where its peak is, or where it is expected if that is shared."""
        if is_shared:
            azimuth_deg, half_width_deg = source.azimuth_deg, max(half_width_deg, MERGED_DEG)
        source.rows.append((self._row, float(azimuth_deg), float(confidence), float(half_width_deg)))
        source.sure_s += self._hop_s * (confidence >= THRESHOLD)
        if source.number is None and source.sure_s > LEAST_S - 1e-9:
            self._count += 1
            source.number = self._count

    def _forget(self):
        """Wait no longer for sources that have paused for long; phantoms leave nothing."""
        left = [each for each in self._known if each.paused_s > (KEPT_S if each.number else PHANTOM_KEPT_S)]
        self._gone += [each for each in left if each.number]
        self._known = [each for each in self._known if each not in left]


def _cheapest(cost, at, taken):
    """Assign rows from `at` on to columns that are not taken, or to none for GATE_DEG: the least sum, and the pairs.

    >>> _cheapest([[9.0, 1.0], [9.5, 2.0]], 0, frozenset())
    (10.5, {0: 1, 1: 0})
    """
    if at == len(cost):
        return 0.0, {}
    total, pairs = _cheapest(cost, at + 1, taken)
    best = GATE_DEG + total, pairs
    for column, each in enumerate(cost[at]):
        if each < GATE_DEG and column not in taken:
            total, pairs = _cheapest(cost, at + 1, taken | {column})
            best = min(best, (each + total, {at: column} | pairs), key=lambda chosen: chosen[0])
    return best
