"""What was heard in a recording, in one line, and as a row of the table over several."""
import numpy as np

from scores.exports import overall, overall_of_source
from scores.labels import heard_from_to, side_of, whole_half_width

COUNTS = ("no source", "one source", "two sources", "three sources", "four sources")
MOST_TOLD = len(COUNTS) - 1     # sources in the line of a recording
LONGEST_TOLD = 3                # intervals in the line of a recording that was heard in several places


def in_words(track, seconds, silences=()):
    """Describe a recording in one line: where a source was heard, and when, if it was heard in several places.

    `silences` are as of labels.events.
    """
    share = f"heard in {100 * track.has_source.mean():.0f} % of {seconds:.1f} s"
    if not track.has_source.any():
        return f"no source in {seconds:.1f} s."
    azimuth_deg, half_width_deg = track.overall()
    intervals = track.intervals()
    if len(intervals) == 1:
        return f"{side_of(azimuth_deg)} (spread {whole_half_width(half_width_deg)}), {share}."
    if track.moves():
        return f"moves from {path_in_words(track.path_deg())}, {share}."
    longest = sorted(sorted(intervals, key=lambda each: each.start_s - each.end_s)[:LONGEST_TOLD])
    told = "; ".join(f"{side_of(each.azimuth_deg)} {_when(each, track, seconds, silences)}" for each in longest)
    return f"several places, {told}{' and others' if len(intervals) > LONGEST_TOLD else ''}; {share}."


def _when(span, track, seconds, silences):
    start_s, end_s = heard_from_to(span.start_s, span.end_s, track.time_s, seconds, silences)
    return f"from {start_s:.1f} to {end_s:.1f} s"


def path_in_words(azimuth_deg):
    """Describe a tracks.path_deg.

    >>> path_in_words((-12.0,)), path_in_words((17.0, -54.0, 10.0))
    ('12 degrees left', '17 degrees right via 54 degrees left to 10 degrees right')
    """
    *before, end = map(side_of, azimuth_deg)
    return " to ".join([*([" via ".join(before)] if before else []), end])


def sources_in_words(sources, seconds, silences=()):
    """Describe the sources of a recording in one line: how many, where, and from when to when; as of `in_words`."""
    if not sources:
        return f"no source in {seconds:.1f} s."
    longest = sorted(sorted(range(len(sources)), key=lambda at: -sources[at].has_source.sum())[:MOST_TOLD])
    told = []
    for source in (sources[at] for at in longest):
        span = source.span()
        told.append(f"{path_in_words(span.path_deg)} {_when(span, source, seconds, silences)}")
    count = COUNTS[len(sources)] if len(sources) < len(COUNTS) else f"{len(sources)} sources"
    share = np.any([source.has_source for source in sources], axis=0).mean()
    return (f"{count}, {'; '.join(told)}{' and others' if len(sources) > len(told) else ''}; "
            f"heard in {100 * share:.0f} % of {seconds:.1f} s.")


def summary(name, seconds, track, sources=None, silences=()):
    """Sum up a recording for the table over several: dict of its name, duration, azimuth, half-width and one line.

    With `sources`, a list of them stands in place of the azimuth and half-width.
    """
    told = {"recording": name, "seconds": round(seconds, 3)}
    if sources is None:
        return told | overall(track) | {
            "source_percent": round(100 * float(track.has_source.mean()), 1),
            "summary": in_words(track, seconds, silences)}
    is_heard = np.any([source.has_source for source in sources] or [np.zeros(1)], axis=0)
    return told | {
        "sources": [overall_of_source(source, number, seconds, silences) for number, source in enumerate(sources, 1)],
        "source_percent": round(100 * float(is_heard.mean()), 1),
        "summary": sources_in_words(sources, seconds, silences)}
