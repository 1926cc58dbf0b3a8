"""What is written of a localised recording: tables of rows, labels, and the json of both, in FORMATS.

Columns and keys are stable; docs/recordings.md lists them. Times are seconds of the original file.
"""
import csv
import io
import json
from typing import Any, NamedTuple

import numpy as np

from scores import labels
from scores.textgrid import textgrid

COLUMNS = ("time_s", "azimuth_deg", "spread_deg", "level_db", "carried")
SOURCE_COLUMNS = ("time_s", "source", "azimuth_deg", "spread_deg", "confidence", "level_db")  # of several


class Localised(NamedTuple):
    """A recording and what was heard in it.

    `track` is its tracks.Track, and `sources` lists its tracks.Source where several are followed at a time, else None.
    `spectrogram` (bin, column) is its power, which covers `seconds` evenly up to half of `sample_rate_hz`. `made_with`
    is a dict of what the answers depend on, `summary` one line, `warnings` sentences about the recording.
    `silences` are (begin, end) in seconds, as of labels.events.
    """

    name: str
    track: Any
    sources: list | None
    seconds: float
    spectrogram: np.ndarray
    sample_rate_hz: int
    made_with: dict
    summary: str
    warnings: list
    silences: np.ndarray

    @property
    def tracks(self):
        """Give what is drawn: dict of the number of a source, None where one is followed at a time.

        Rows that reach into silence lack their azimuth there.
        """
        return {number: labels.without_silence(track, self.seconds, self.silences)
                for number, track in self._whole_tracks().items()}

    @property
    def events(self):
        """List what was heard when, as labels.Event."""
        return labels.events(self._whole_tracks(), self.seconds, self.silences)

    def _whole_tracks(self):
        return {None: self.track} if self.sources is None else dict(enumerate(self.sources, 1))


def rows_of(track):
    """Yield rows as written, rounded to what is meaningful: see COLUMNS; no source is None."""
    for time_s, azimuth_deg, half_width_deg, level_db, is_carried in zip(*track):
        is_source = np.isfinite(azimuth_deg)
        yield {"time_s": round(float(time_s), 3), "azimuth_deg": round(float(azimuth_deg), 1) if is_source else None,
               "spread_deg": round(float(half_width_deg), 1) if np.isfinite(half_width_deg) else None,
               "level_db": round(float(level_db), 1), "carried": int(is_carried)}


def rows_of_sources(track, sources):
    """Yield rows as written, one for each time and source, or one without a source: see SOURCE_COLUMNS."""
    is_heard = np.array([source.has_source for source in sources]).reshape(len(sources), len(track.time_s))
    for at, (time_s, level_db) in enumerate(zip(track.time_s, track.level_db)):
        if not is_heard[:, at].any():
            yield {"time_s": round(float(time_s), 3), "level_db": round(float(level_db), 1)}
        for index in np.flatnonzero(is_heard[:, at]):
            yield {"source": int(index) + 1} | row_of_source(sources[index], at)


def row_of_source(source, at):
    """Make a row in which a source is heard, without its number: see SOURCE_COLUMNS."""
    time_s, azimuth_deg, half_width_deg, confidence, level_db = (float(values[at]) for values in source)
    return {"time_s": round(time_s, 3), "azimuth_deg": round(azimuth_deg, 1), "spread_deg": round(half_width_deg, 1),
            "confidence": round(confidence, 2), "level_db": round(level_db, 1)}


def overall(track):
    """Round what is told of a whole Track or Source: its median azimuth and half-width; None without any."""
    return dict(zip(("azimuth_deg", "spread_deg"),
                    (None if np.isnan(each) else round(each, 1) for each in track.overall())))


def overall_of_source(source, number, seconds, silences=()):
    """Sum up a source: its number, median azimuth and half-width, and when it is first and last heard."""
    span = source.span()
    start_s, end_s = labels.heard_from_to(span.start_s, span.end_s, source.time_s, seconds, silences)
    return {"source": number} | overall(source) | {"start_s": round(start_s, 3), "end_s": round(end_s, 3)}


def csv_text(localised):
    """Make a table with a row every hop, or of several sources a row for each source and time."""
    several = localised.sources is not None
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, SOURCE_COLUMNS if several else COLUMNS)
    table.writeheader()
    table.writerows(rows_of_sources(localised.track, localised.sources) if several else rows_of(localised.track))
    return text.getvalue()


def json_text(localised):
    """Make an object of what the answers depend on, what was heard over all, and the rows."""
    told = overall(localised.track) | {"rows": list(rows_of(localised.track))} if localised.sources is None else {
        "sources": [overall_of_source(source, number, localised.seconds, localised.silences) | {
            "rows": [row_of_source(source, at) for at in np.flatnonzero(source.has_source)]}
            for number, source in enumerate(localised.sources, 1)]}
    return json.dumps({"recording": localised.name} | localised.made_with | {"seconds": round(localised.seconds, 3)}
                      | told, indent=1)


def textgrid_text(localised):
    """Make a TextGrid with a tier for each source; of none heard one empty tier, as Praat wants one."""
    time_s = localised.track.time_s
    tiers = {"azimuth_deg" if number is None else f"source_{number}": track.azimuth_deg
             for number, track in localised.tracks.items()}
    return textgrid(tiers or {"source_1": np.full(len(time_s), np.nan)}, time_s, localised.seconds)


FORMATS = {  # of --format: the ending of the file, and the function that makes its text
    "csv": (".csv", csv_text),
    "json": (".json", json_text),
    "textgrid": (".textgrid", textgrid_text),
    "audacity": (".labels.txt", lambda localised: labels.audacity(localised.events)),
    "webvtt": (".vtt", lambda localised: labels.webvtt(localised.events)),
}
