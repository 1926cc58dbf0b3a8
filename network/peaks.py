"""Read several azimuths from presence, the probability of each direction that a source is there; and its targets.

    presence_targets([[-30, 40]], Params())        # (1, 37), a Gaussian-shaped bump at each talker
    read_peaks(presence, Params(), most=2)         # (n, 37) -> Peaks of (n, 2)

W. He, P. Motlicek and J.-M. Odobez, "Deep Neural Networks for Multiple Speaker Detection and Localization," ICRA 2018.
Presence does not sum to 1: two talkers make two bumps of height 1, and nobody makes none.
"""
from typing import NamedTuple

import numpy as np

PRESENCE_SIGMA_DEG = 5.0     # of a bump; a direction of the grid further leaves exp(-0.5) = 0.61 of it
THRESHOLD = 0.5              # of presence, from which on a peak is a source
MERGED_DEG = 10.0            # two directions of the grid: peaks closer than that are one source
LEAST_PRESENCE = 0.05        # of a peak's neighbours, below which their logarithm says little
HALF_WIDTHS_DEG = 2.0, 60.0   # least and greatest that is stated: a grid of 5 degrees tells no finer


class Peaks(NamedTuple):
    """Sources of each sample, the strongest first, three (n, most) float64; NaN where there are fewer.

    `confidence` is the presence at the peak, 0 to 1. `half_width_deg` (68 %) tells how much wider the bump is than its
    target: a network that minimises its loss blurs the bump by its own uncertainty. It is not calibrated on errors.
    """

    azimuth_deg: np.ndarray
    confidence: np.ndarray
    half_width_deg: np.ndarray


def presence_targets(azimuth_deg, params):
    """Make the presence to learn: at each direction the highest of the talkers' Gaussian-shaped bumps.

    Parameters
    ----------
    azimuth_deg : np.ndarray [shape=(n, talker)], of the talkers, padded with NaN
    params : Params, for the directions class_deg

    Returns
    -------
    np.ndarray [shape=(n, class)], float32, 0 to 1: 1 at a talker, 0 without any

    Examples
    --------
    >>> from params import Params
    >>> presence_targets([[0.0, 20.0], [np.nan, np.nan]], Params())[:, 17:24].round(2)
    array([[0.61, 1.  , 0.61, 0.14, 0.61, 1.  , 0.61],
           [0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  ]], dtype=float32)

    """
    away_deg = np.asarray(params.class_deg) - np.asarray(azimuth_deg, np.float64)[..., np.newaxis]
    bumps = np.exp(-0.5 * np.square(away_deg / PRESENCE_SIGMA_DEG))                          # (n, talker, class)
    return np.nan_to_num(bumps, nan=0.0).max(axis=1, initial=0.0).astype(np.float32)


def read_peaks(presence, params, most=None, threshold=THRESHOLD):
    """Read out the sources: the local maxima of presence, each refined by the parabola through its logarithm.

    The logarithm of a Gaussian is a parabola, so that reading out the targets of talkers 15 degrees or more apart gives
    their azimuths. At the ends of the grid, the missing neighbour is that of a bump of the usual width.

    Parameters
    ----------
    presence : np.ndarray [shape=(n, class)], 0 to 1
    params : Params, for the directions class_deg
    most : int, optional: sources of a sample; as many as there are unless given
    threshold : float, presence from which on a peak counts

    Returns
    -------
    Peaks

    Examples
    --------
    >>> from params import Params
    >>> peaks = read_peaks(presence_targets([[12.0, -90.0], [40.0, np.nan]], Params()), Params())
    >>> peaks.azimuth_deg.round(1) + 0
    array([[-90.,  12.],
           [ 40.,  nan]])
    >>> peaks.confidence.round(2)
    array([[ 1.,  1.],
           [ 1., nan]])

    """
    presence = np.asarray(presence, np.float64)
    grid = np.asarray(params.class_deg, np.float64)
    step_deg = grid[1] - grid[0]
    outside = np.full((len(presence), 1), -np.inf)
    left, right = np.hstack((outside, presence[:, :-1])), np.hstack((presence[:, 1:], outside))
    is_peak = (presence >= left) & (presence > right)

    log = np.log(np.maximum(presence, LEAST_PRESENCE))
    usual = np.square(step_deg / PRESENCE_SIGMA_DEG)                   # by which a bump's logarithm bends at each step
    ends = [np.minimum(2 * log[:, [end]] - log[:, [inner]] - usual, log[:, [end]]) for end, inner in ((0, 1), (-1, -2))]
    below, above = np.hstack((ends[0], log[:, :-1])), np.hstack((log[:, 1:], ends[1]))
    bend = np.where(is_peak, np.maximum(2 * log - below - above, 1e-9), 1.0)
    offset_deg = np.where(is_peak, np.clip(0.5 * (above - below) / bend, -0.5, 0.5), 0.0) * step_deg
    azimuth_deg = np.clip(grid + offset_deg, grid[0], grid[-1])
    height = presence * np.exp(0.5 * np.square((azimuth_deg - grid) / PRESENCE_SIGMA_DEG))  # between the grid's points
    blur_deg = np.sqrt(np.maximum(np.square(step_deg) / bend - np.square(PRESENCE_SIGMA_DEG), 0.0))

    order = _strongest_apart(np.where(is_peak & (height >= threshold), height, -np.inf), azimuth_deg)
    count = int((order >= 0).sum(axis=1).max(initial=0)) if most is None else most
    order = np.pad(order, ((0, 0), (0, max(0, count - order.shape[1]))), constant_values=-1)[:, :count]

    def chosen(values):
        return np.where(order >= 0, np.take_along_axis(values, order, axis=1), np.nan)

    return Peaks(chosen(azimuth_deg), chosen(np.minimum(height, 1.0)), chosen(np.clip(blur_deg, *HALF_WIDTHS_DEG)))


def _strongest_apart(strength, azimuth_deg):
    """List the peaks of each row from the strongest down, without those close to a stronger: (n, peak), padded by -1.

    `strength` is minus infinity where there is no peak.
    """
    strength, every = strength.copy(), np.arange(len(strength))
    order = []
    while np.isfinite(strength).any():
        best = strength.argmax(axis=1)
        order.append(np.where(np.isfinite(strength[every, best]), best, -1))
        is_near = np.abs(azimuth_deg - azimuth_deg[every, best][:, np.newaxis]) < MERGED_DEG - 1e-6
        strength[is_near] = -np.inf
    return np.stack(order, axis=1) if order else np.empty((len(strength), 0), int)
