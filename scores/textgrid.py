"""Write azimuths over time as a TextGrid, the annotation of Praat (Boersma and Weenink)."""
import numpy as np

from scores.labels import edges_of


def textgrid(tiers, time_s, seconds):
    """Make the text of a TextGrid with a tier for each track: intervals of one azimuth in whole degrees.

    Parameters
    ----------
    tiers : dict of name to azimuths, np.ndarray [shape=(row,)] in degrees; NaN gives an empty interval
    time_s : np.ndarray [shape=(row,)]; intervals meet in the middle between two rows
    seconds : float, the duration

    Returns
    -------
    str

    Examples
    --------
    >>> lines = textgrid({"azimuth_deg": np.array([10.2, 9.8, np.nan])}, np.array([0.5, 0.6, 0.7]), 1.2).splitlines()
    >>> [line.strip() for line in lines if "text" in line or "xmax" in line][2:]
    ['xmax = 0.6500', 'text = "10"', 'xmax = 1.2000', 'text = ""']

    """
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.4f}",
             "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for tier, (name, azimuth_deg) in enumerate(tiers.items(), 1):
        intervals = _intervals(azimuth_deg, time_s, seconds)
        lines += [f"    item [{tier}]:", '        class = "IntervalTier"', f'        name = "{name}"',
                  "        xmin = 0", f"        xmax = {seconds:.4f}", f"        intervals: size = {len(intervals)}"]
        for number, (begin, end, text) in enumerate(intervals, 1):
            lines += [f"        intervals [{number}]:", f"            xmin = {begin:.4f}",
                      f"            xmax = {end:.4f}", f'            text = "{text}"']
    return "\n".join([*lines, ""])


def _intervals(azimuth_deg, time_s, seconds):
    """List (begin, end, text) of rows that have the same text."""
    edges = edges_of(time_s, seconds)
    texts = [str(round(each)) if np.isfinite(each) else "" for each in azimuth_deg]
    intervals = []
    for begin, end, text in zip(edges, edges[1:], texts):
        if intervals and intervals[-1][2] == text:
            intervals[-1][1] = end
        else:
            intervals.append([begin, end, text])
    return intervals
