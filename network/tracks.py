"""Hold what is known of a localised recording over time: its Track, or the Source of each of several talkers."""
from typing import NamedTuple

import numpy as np

STAY_DEG = 10.0         # of azimuth around its median, within which a source counts as staying where it is
ONE_PLACE_SHARE = 0.8   # of the rows, from which on a recording is of one place
ENDS_ROWS = 5           # whose median is where a source begins, or ends
RARE_SHARE = 0.05       # of the rows at either side, which may err: a source turns back before them


class Track(NamedTuple):
    """Rows of a localised recording, one every hop.

    `time_s` (row,) is the middle of the second that a row covers. `azimuth_deg` (row,) is NaN where there is no
    source, and so is `half_width_68_deg` (row,), within which 68 % of the errors lie. `level_db` (row,) is in dB of
    full scale. `is_carried` (row,) tells of which the azimuth is that of their neighbours, not their own.
    """

    time_s: np.ndarray
    azimuth_deg: np.ndarray
    half_width_68_deg: np.ndarray
    level_db: np.ndarray
    is_carried: np.ndarray

    @property
    def has_source(self):
        """Tell which rows have an azimuth: (row,) bool."""
        return np.isfinite(self.azimuth_deg)

    def overall(self):
        """Return the median azimuth of the rows with a source, and a half-width, in degrees; NaN without any.

        The half-width is the rows' own, or what 68 % of the rows lie within around the median if that is more: a source
        that moves, or several, are not at one azimuth.
        """
        if not self.has_source.any():
            return np.nan, np.nan
        azimuth_deg = float(np.nanmedian(self.azimuth_deg))
        scatter_deg = float(np.nanquantile(np.abs(self.azimuth_deg - azimuth_deg), 0.68))
        return azimuth_deg, max(float(np.nanmedian(self.half_width_68_deg)), scatter_deg)

    def intervals(self):
        """List the Intervals in which a source stays within STAY_DEG, in order of time; short ones are left out.

        A recording whose rows nearly all lie around one azimuth is one interval.
        """
        rows = np.flatnonzero(self.has_source)
        if not len(rows):
            return []
        hop_s = self.time_s[1] - self.time_s[0] if len(self.time_s) > 1 else 0.0
        azimuth_deg = self.azimuth_deg[rows]
        if np.mean(np.abs(azimuth_deg - np.median(azimuth_deg)) <= STAY_DEG) >= ONE_PLACE_SHARE:
            return [Interval(float(self.time_s[rows[0]]), float(self.time_s[rows[-1]]), float(np.median(azimuth_deg)))]
        groups = [[rows[0]]]
        for row in rows[1:]:
            if abs(self.azimuth_deg[row] - np.median(self.azimuth_deg[groups[-1]])) <= STAY_DEG:
                groups[-1].append(row)
            else:
                groups.append([row])
        longest = max(map(len, groups))
        return [Interval(float(self.time_s[group[0]] - hop_s / 2), float(self.time_s[group[-1]] + hop_s / 2),
                        float(np.median(self.azimuth_deg[group])))
                for group in groups if len(group) >= max(1, longest / 5)]

    def path_deg(self):
        """Sum up where its intervals are, as the function of this name."""
        return path_deg([each.azimuth_deg for each in self.intervals()])

    def moves(self):
        """Tell whether the azimuth changes in small steps rather than jumps, over more than one place."""
        azimuth_deg = self.azimuth_deg[self.has_source]
        steps = np.abs(np.diff(azimuth_deg))
        return bool(len(steps)) and float(steps[steps > STAY_DEG].sum()) < 0.5 * float(steps.sum())


class Interval(NamedTuple):
    """A time in which a source stays near one azimuth, in seconds and degrees."""

    start_s: float
    end_s: float
    azimuth_deg: float


NO_ROWS = Track(*[np.empty(0)] * 4, np.empty(0, bool))


class Source(NamedTuple):
    """One of several sources, in the rows of the whole recording: five (row,), as of Track.

    `azimuth_deg`, `half_width_68_deg` and `confidence` are NaN where it is not heard. The confidence is the network's
    presence at its peak, 0 to 1. `level_db` is that of the recording, all sources together.
    """

    time_s: np.ndarray
    azimuth_deg: np.ndarray
    half_width_68_deg: np.ndarray
    confidence: np.ndarray
    level_db: np.ndarray

    @property
    def has_source(self):
        """Tell in which rows it is heard: (row,) bool."""
        return np.isfinite(self.azimuth_deg)

    def overall(self):
        """Return its median azimuth and half-width in degrees, as Track.overall."""
        return Track(self.time_s, self.azimuth_deg, self.half_width_68_deg, self.level_db, None).overall()

    def span(self):
        """Return the Span from where it is first heard to where it is last heard."""
        heard = self.has_source
        time_s, azimuth_deg = self.time_s[heard], self.azimuth_deg[heard]
        inner_deg = np.quantile(azimuth_deg, (RARE_SHARE, 1 - RARE_SHARE))
        return Span(float(time_s[0]), float(time_s[-1]), path_deg(
            [np.median(azimuth_deg[:ENDS_ROWS]), *inner_deg, np.median(azimuth_deg[-ENDS_ROWS:])]))


class Span(NamedTuple):
    """When a source is first and last heard, in seconds, and where: `path_deg` as of the function."""

    start_s: float
    end_s: float
    path_deg: tuple


def path_deg(azimuth_deg):
    """Sum up azimuths in order of time: where a source begins, where it turns back, where it ends.

    A source that stays within STAY_DEG has one azimuth, that in the middle between its ends. One that goes further than
    that beyond both ends turns there.

    >>> path_deg([10, 14]), path_deg([-40, 0, 30]), path_deg([17, -20, -54, 10])
    ((12.0,), (-40.0, 30.0), (17.0, -54.0, 10.0))
    """
    start, end = float(azimuth_deg[0]), float(azimuth_deg[-1])
    turn = float(max(azimuth_deg, key=lambda each: max(min(start, end) - each, each - max(start, end))))
    if not min(start, end) - STAY_DEG <= turn <= max(start, end) + STAY_DEG:
        return start, turn, end
    return (start, end) if abs(end - start) > STAY_DEG else ((start + end) / 2,)


class Rows(NamedTuple):
    """What single rows say by themselves, each (row,) but two (row, class): Tracker keeps them to smooth them.

    `source_log_odds` is minus infinity in pauses and where a row is too narrow to tell directions. `presence` has no
    classes of a network that tells one source.
    """

    time_s: np.ndarray
    level_db: np.ndarray
    azimuth_deg: np.ndarray
    half_width_68_deg: np.ndarray
    half_width_95_deg: np.ndarray
    distribution: np.ndarray
    presence: np.ndarray
    source_log_odds: np.ndarray
    is_same: np.ndarray
