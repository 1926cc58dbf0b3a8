"""Turn azimuths into distributions to learn, and output distributions back into azimuths.

    soft_labels([12.0], Params())                              # (1, 37), a Gaussian around 12 degrees
    azimuth_deg, width_deg = read_out(distribution, Params())  # (n, 37) -> (n,), (n,)
"""
from functools import lru_cache
from math import erfc, sqrt

import numpy as np

_erfc = np.frompyfunc(erfc, 1, 1)     # SciPy has a faster one, whose import takes longer than all it would save


def soft_labels(azimuth_deg, params):
    """Make the distribution to learn: a Gaussian around each azimuth, integrated over each class (HL-Gauss).

    Imani and White, "Improving Regression Performance with Distributional Losses," ICML 2018.

    Parameters
    ----------
    azimuth_deg : np.ndarray [shape=(n,)]
    params : Params, for the classes and label_sigma_deg

    Returns
    -------
    np.ndarray [shape=(n, class)], float32, rows sum to 1

    Examples
    --------
    >>> from params import Params
    >>> soft_labels([0.0, 2.5], Params())[:, 17:20].round(2)
    array([[0.2 , 0.6 , 0.2 ],
           [0.05, 0.45, 0.45]], dtype=float32)

    """
    grid = np.asarray(params.class_deg, np.float64)
    middles = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate(([2 * grid[0] - middles[0]], middles, [2 * grid[-1] - middles[-1]]))
    away = (np.asarray(azimuth_deg, np.float64)[:, None] - edges) / params.label_sigma_deg
    below = 0.5 * _erfc(away / sqrt(2)).astype(np.float64)             # of the Gaussian, that of each edge
    mass = np.diff(below, axis=1)
    return (mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)


def read_out(distribution, params):
    """Read out the azimuth of a distribution: its mean within readout_reach_deg of its peak; and its width.

    At the ends of the grid the neighbourhood is one-sided, which draws its mean inwards by up to 1.2 degrees. That is
    undone: reading out the soft label of any azimuth gives that azimuth, and the width that labels have in the middle.

    Parameters
    ----------
    distribution : np.ndarray [shape=(n, class)], rows sum to 1
    params : Params

    Returns
    -------
    azimuth_deg : np.ndarray [shape=(n,)], float64
    width_deg : np.ndarray [shape=(n,)], float64: standard deviation of the whole distribution around the azimuth

    Examples
    --------
    >>> from params import Params
    >>> azimuth_deg, width_deg = read_out(soft_labels([-90.0, 12.0], Params()), Params())
    >>> azimuth_deg.round(1), width_deg.round(1)
    (array([-90.,  12.]), array([3.3, 3.3]))

    """
    truth, seen, own = _of_labels(params)
    azimuth_deg = np.interp(_mean_around_peak(distribution, params), seen, truth)
    narrower = own[len(own) // 2] - np.interp(azimuth_deg, truth, own)
    return azimuth_deg, np.sqrt(np.maximum(_variance_around(azimuth_deg, distribution, params) + narrower, 0))


@lru_cache(maxsize=4)
def _of_labels(params):
    """Read out the soft labels of azimuths all over the grid: these, the mean around each peak, and each variance."""
    truth = np.linspace(params.class_deg[0], params.class_deg[-1], 721)
    labels = soft_labels(truth, params)
    rising = np.maximum.accumulate(_mean_around_peak(labels, params))  # where the peak moves on, it falls a little
    return truth, (rising - rising[::-1]) / 2, _variance_around(truth, labels, params)   # left and right alike


def _mean_around_peak(distribution, params):
    grid = np.asarray(params.class_deg, np.float64)
    peak = grid[np.argmax(distribution, axis=1)]
    weight = np.where(np.abs(grid - peak[:, None]) <= params.readout_reach_deg, distribution, 0).astype(np.float64)
    return (weight * grid).sum(axis=1) / weight.sum(axis=1)


def _variance_around(azimuth_deg, distribution, params):
    grid = np.asarray(params.class_deg, np.float64)
    return (distribution * np.square(grid - azimuth_deg[:, None])).sum(axis=1)
