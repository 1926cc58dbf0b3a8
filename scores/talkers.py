"""Score answers to several talkers at a time: each answer is assigned to the talker that it may be.

    figures = talkers.score(answer_deg, talker_deg)        # (n, answer), (n, talker), both padded with NaN -> dict

Nothing is rounded: an answer of 5.2 degrees' error is not within 5, unlike in metrics.py, which keeps the original's
rule.
"""
import numpy as np
from scipy.optimize import linear_sum_assignment

WITHIN_DEG = (5, 10)
NEAR_DEG = 10.0             # an answer further from every talker is nobody
GROUPS = ("by_talkers", "by_least_distance_deg", "by_least_level_db")
DISTANCES = {"under 15": 0, "15 to 30": 15, "30 to 60": 30, "60 or more": 60}     # from this distance on
LEVELS = {"0 to -3": 0, "-3 to -6": -3, "below -6": -6}                           # from this level down


def errors(answer_deg, talker_deg):
    """Assign answers to talkers so that the sum of the azimuth differences is least, and tell how far each is off.

    H. W. Kuhn, "The Hungarian method for the assignment problem," Naval Research Logistics 1955.

    Parameters
    ----------
    answer_deg : np.ndarray [shape=(n, answer)], NaN where there are fewer
    talker_deg : np.ndarray [shape=(n, talker)], NaN where there are fewer

    Returns
    -------
    np.ndarray [shape=(n, talker)], absolute error in degrees: infinite of a talker without an answer, NaN of none

    Examples
    --------
    >>> errors([[30, -40, np.nan]], [[-42, 37, 80, np.nan]])
    array([[ 2.,  7., inf, nan]])

    """
    answer_deg, talker_deg = np.asarray(answer_deg, np.float64), np.asarray(talker_deg, np.float64)
    error_deg = np.where(np.isfinite(talker_deg), np.inf, np.nan)
    for row, (answers, talkers) in enumerate(zip(answer_deg, talker_deg)):
        there = np.flatnonzero(np.isfinite(talkers))
        cost = np.abs(np.subtract.outer(talkers[there], answers[np.isfinite(answers)]))
        who, which = linear_sum_assignment(cost)
        error_deg[row, there[who]] = cost[who, which]
    return error_deg


def score(answer_deg, talker_deg, single_deg=None):
    """Score the answers to samples of any number of talkers.

    Parameters
    ----------
    answer_deg, talker_deg : as for `errors`, n >= 1
    single_deg : np.ndarray [shape=(n,)], optional: the one answer to each sample, NaN of none

    Returns
    -------
    dict
        samples; found_within_5_deg_percent and found_within_10_deg_percent, of all talkers;
        all_within_5_deg_percent and all_within_10_deg_percent, of the samples that have talkers: all of them are found;
        count_right_percent: there are as many answers as talkers; nobody_percent: answers further than 10 degrees from
        every talker, of all answers; with `single_deg` also single_within_5_deg_of_loudest_percent (the first talker)
        and single_within_5_deg_of_any_percent, of the samples that have talkers. What there is none of is left out.

    Examples
    --------
    >>> figures = score([[30, -40], [10, np.nan]], [[-42, 37], [12, 50]], single_deg=[30, 12])
    >>> {key: value for key, value in figures.items() if "5_deg" not in key}
    {'samples': 2, 'count_right_percent': 50.0, 'found_within_10_deg_percent': 75.0, \
'all_within_10_deg_percent': 50.0, 'nobody_percent': 0.0}
    >>> [figures[f"single_within_5_deg_of_{who}_percent"] for who in ("loudest", "any")]
    [50.0, 50.0]

    """
    answer_deg, talker_deg = np.asarray(answer_deg, np.float64), np.asarray(talker_deg, np.float64)
    error_deg, is_talker, is_answer = errors(answer_deg, talker_deg), np.isfinite(talker_deg), np.isfinite(answer_deg)
    has_talker = is_talker.any(axis=1)
    figures = {"samples": len(talker_deg),
               "count_right_percent": _percent(is_talker.sum(axis=1) == is_answer.sum(axis=1))}
    if has_talker.any():
        for reach in WITHIN_DEG:
            is_found = error_deg <= reach
            figures |= {f"found_within_{reach}_deg_percent": _percent(is_found[is_talker]),
                        f"all_within_{reach}_deg_percent": _percent((is_found | ~is_talker).all(axis=1)[has_talker])}
    if is_answer.any():
        away_deg = np.abs(answer_deg[:, :, np.newaxis] - talker_deg[:, np.newaxis])
        figures["nobody_percent"] = _percent(~(away_deg <= NEAR_DEG).any(axis=2)[is_answer])
    if single_deg is not None and has_talker.any():
        is_near = np.abs(np.asarray(single_deg, np.float64)[:, np.newaxis] - talker_deg)[has_talker] <= WITHIN_DEG[0]
        figures |= {"single_within_5_deg_of_loudest_percent": _percent(is_near[:, 0]),
                    "single_within_5_deg_of_any_percent": _percent(is_near.any(axis=1))}
    return figures


def _percent(holds):
    return float(100 * np.mean(holds))


def score_groups(answer_deg, talker_deg, level_db, single_deg=None):
    """Score all samples as `score` does, and under each key of GROUPS those of each group: dict."""
    figures = score(answer_deg, talker_deg, single_deg)
    for by, each in groups(talker_deg, level_db).items():
        figures[by] = {name: score(answer_deg[rows], talker_deg[rows], None if single_deg is None else single_deg[rows])
                       for name, rows in each.items()}
    return figures


def groups(talker_deg, level_db):
    """Sort samples by their number of talkers, the least distance between two of them and the level of the weakest.

    Parameters
    ----------
    talker_deg, level_db : np.ndarray [shape=(n, talker)], NaN where there are fewer; dB relative to the loudest

    Returns
    -------
    dict of the keys of GROUPS to dict of a group's name to np.ndarray [shape=(n,)] bool
        what is empty is left out; samples of one talker or none have no distance and no weakest

    Examples
    --------
    >>> of = groups(np.array([[0, 20, -50], [30, np.nan, np.nan]]), np.array([[0, -1, -4], [0, np.nan, np.nan]]))
    >>> {by: {name: rows.tolist() for name, rows in each.items()} for by, each in of.items()}
    {'by_talkers': {'1': [False, True], '3': [True, False]}, 'by_least_distance_deg': {'15 to 30': [True, False]}, \
'by_least_level_db': {'-3 to -6': [True, False]}}

    """
    count = np.isfinite(talker_deg).sum(axis=1)
    in_order = np.sort(np.asarray(talker_deg, np.float64), axis=1)                       # NaN at the end
    distance_deg, weakest_db = np.full(len(count), np.nan), np.full(len(count), np.nan)
    several = count > 1
    if several.any():
        distance_deg[several] = np.nanmin(np.diff(in_order[several], axis=1), axis=1)
        weakest_db[several] = np.nanmin(level_db[several], axis=1)
    found = {"by_talkers": {f"{number}": count == number for number in range(talker_deg.shape[1] + 1)},
             "by_least_distance_deg": _between(distance_deg, DISTANCES),
             "by_least_level_db": _between(-weakest_db, {name: -level for name, level in LEVELS.items()})}
    return {by: {name: rows for name, rows in each.items() if rows.any()} for by, each in found.items()}


def _between(values, begins):
    """Sort values (n,) into ranges, each from its begin up to the next, which it leaves out."""
    ends = [*list(begins.values())[1:], np.inf]
    return {name: (values >= begin) & (values < end) for (name, begin), end in zip(begins.items(), ends)}
