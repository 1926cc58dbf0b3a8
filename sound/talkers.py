"""Several talkers in one scene: draws who speaks from where and how loud, and adds them. Arrays only.

    speech = mixer.speech_at_ears(rng, clip)                                      # talker 1, from every azimuth
    others = [mixer.speech_in(rng, speech.scene, other) for other in other_clips]
    drawn = talkers.draw(rng, [speech, *others], params)                          # a number of talkers for each azimuth
    together = talkers.mix([speech, *others], drawn, params)                      # a Speech again, for mixer.cues

The STFT is linear: each talker is put at the ears once, and every sample is a weighted sum of spectra.
"""
from typing import NamedTuple

import numpy as np

from sound import kernels


class Talkers(NamedTuple):
    """Hold who speaks in each row: (row, talker) each, talkers in order of level, loudest first.

    `azimuth_deg` in degrees and `level_db` relative to the loudest, both float32 and NaN where there is nobody. What is
    summed: `gains` float32 of row `rows` of speech `which`, 0 where there is nobody.
    """

    azimuth_deg: np.ndarray
    level_db: np.ndarray
    which: np.ndarray
    rows: np.ndarray
    gains: np.ndarray


def draw(rng, speeches, params, numbers=None):
    """Draw how many talkers each row has, which azimuths they have and how loud they are.

    Talker 1 of a row speaks from the row's azimuth of the first speech at 0 dB. The others are drawn of the other
    speeches, their levels evenly from -talker_level_db to 0 dB. A level compares the clean speech from the front,
    averaged over the sample and both ears. Any two are at least_talker_distance_deg apart; where fewer fit than were
    drawn, as many as fit speak.

    Parameters
    ----------
    rng : np.random.Generator
    speeches : list of mixing.Speech in one scene, at least as many as the greatest of `numbers`
    params : Params
    numbers : sequence of int, optional: the numbers of talkers to draw from, params.talkers unless given

    Returns
    -------
    Talkers, with params.most_talkers columns

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from params import Params
    >>> params = Params(talkers=(2,), talker_level_db=0.0)
    >>> one, other = (SimpleNamespace(azimuth_deg=np.float32(at), front=np.full((2, 4), level)) for at, level in
    ...               (([-30, 0], 1.0), ([0, 5], 10.0)))
    >>> drawn = draw(np.random.default_rng(0), [one, other], params)
    >>> drawn.azimuth_deg[0, 0], drawn.azimuth_deg[1]                         # 5 degrees from 0 are too few
    (np.float32(-30.0), array([ 0., nan], dtype=float32))
    >>> drawn.gains.tolist()
    [[1.0, 0.10000000149011612], [1.0, 0.0]]

    """
    numbers = params.talkers if numbers is None else numbers
    shape = len(speeches[0].azimuth_deg), params.most_talkers
    azimuth_deg, level_db = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    which, rows, gains = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, np.float32)
    amplitudes = [np.sqrt(np.mean(np.square(speech.front, dtype=np.float64))) for speech in speeches]
    for row in range(shape[0]):
        number = numbers[rng.integers(len(numbers))]
        if number == 0:
            continue
        who = [0, *(1 + rng.permutation(len(speeches) - 1)[:number - 1])]
        placed = [row]
        while (more := _place(rng, speeches, who[1:], [speeches[0].azimuth_deg[row]], params)) is None:
            who.pop()
        placed += more
        levels_db = np.append(0, -np.sort(rng.uniform(0, params.talker_level_db, len(more))))
        at = row, slice(len(who))
        which[at], rows[at], level_db[at] = who, placed, levels_db
        azimuth_deg[at] = [speeches[talker].azimuth_deg[place] for talker, place in zip(who, placed)]
        gains[at] = [10 ** (level / 20) * amplitudes[0] / max(amplitudes[talker], np.finfo(np.float32).tiny)
                     for talker, level in zip(who, levels_db)]
    return Talkers(azimuth_deg, level_db, which, rows, gains)


def _place(rng, speeches, who, taken_deg, params):
    """Draw a row of each speech of `who`, all azimuths far enough from one another; None where they do not fit."""
    if not who:
        return []
    offered = speeches[who[0]].azimuth_deg
    distance_deg = np.abs(np.subtract.outer(offered, taken_deg)).min(axis=1)
    for row in rng.permutation(np.flatnonzero(distance_deg >= params.least_talker_distance_deg)).tolist():
        more = _place(rng, speeches, who[1:], [*taken_deg, offered[row]], params)
        if more is not None:
            return [row, *more]
    return None


def mix(speeches, talkers, params):
    """Add the talkers of each row: signals and STFT, from what was put at the ears once.

    Rows without a talker hold the sensor noise alone. The front, and so the SNR, stays that of the first speech.

    Parameters
    ----------
    speeches : list of mixing.Speech that `talkers` was drawn for
    talkers : Talkers
    params : Params

    Returns
    -------
    mixing.Speech, whose `azimuth_deg` is that of the loudest talker, NaN where nobody speaks

    """
    first, of_rows = speeches[0], (talkers.which, talkers.rows, talkers.gains)
    signals = kernels.weighted_sum([speech.signals for speech in speeches], *of_rows)
    parts = tuple(kernels.weighted_sum(list(part), *of_rows) for part in zip(*(each.stft_parts for each in speeches)))
    nobody = np.isnan(talkers.azimuth_deg[:, 0])
    if first.sensors is not None and nobody.any():
        signals[nobody] = first.sensors
        for part, of_sensors in zip(parts, kernels.stft_parts(first.sensors, params)):
            part[nobody] = of_sensors
    return first._replace(azimuth_deg=talkers.azimuth_deg[:, 0], signals=signals, stft_parts=parts, talkers=talkers)
