"""Between azimuths and distributions over them: the labels to learn, the azimuth of an answer, and how sure it is.

    soft_labels([12.0], Params())                              # (1, 37), a Gaussian around 12 degrees
    azimuth_deg, width_deg = read_out(distribution, Params())  # (n, 37) -> (n,), (n,)
    calibration = Calibration.fit(azimuth_deg, width_deg, np.abs(azimuth_deg - true_deg))
    calibration.spreads(azimuth_deg, width_deg)                # (n,), (n,): what 68 and 95 % of the errors are within
"""
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

CALIBRATION_GROUPS = 24    # of widths: enough for a smooth curve
LEAST_OF_GROUP = 40        # answers: fewer say little about 95 %
AZIMUTH_GROUPS = 6         # of the answers' distance from the front: errors at the sides are twice those in front
LEAST_OF_AZIMUTHS = 160    # answers, of such a group
LEAST_REACH_DEG = 0.05     # errors are told as multiples of what they reach, which may be nothing


def soft_labels(azimuth_deg, params):
    """The distribution to learn: a Gaussian around each azimuth, integrated over each class (HL-Gauss).

    Imani and White, "Improving Regression Performance with Distributional Losses," ICML 2018.

    Parameters
    ----------
    azimuth_deg : np.ndarray [shape=(n,)]
    params : Params, for the classes and label_spread_deg

    Returns
    -------
    np.ndarray [shape=(n, class)], float32, rows sum to 1

    """
    grid = np.asarray(params.class_deg, np.float64)
    middles = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate(([2 * grid[0] - middles[0]], middles, [2 * grid[-1] - middles[-1]]))
    below = ndtr((edges - np.asarray(azimuth_deg, np.float64)[:, None]) / params.label_spread_deg)
    mass = np.diff(below, axis=1)
    return (mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)


def read_out(distribution, params):
    """One azimuth from a distribution, its mean within readout_reach_deg of its peak, and the distribution's width.

    At the ends of the grid the neighbourhood is one-sided and its mean is drawn inwards by up to 2 degrees. That is
    undone: reading out the soft label of any azimuth gives that azimuth, and the width that labels have in the middle.

    Parameters
    ----------
    distribution : np.ndarray [shape=(n, class)], rows sum to 1
    params : Params

    Returns
    -------
    azimuth_deg : np.ndarray [shape=(n,)], float64
    width_deg : np.ndarray [shape=(n,)], float64: standard deviation of the whole distribution around the azimuth

    """
    truth = np.linspace(params.class_deg[0], params.class_deg[-1], 721)
    labels = soft_labels(truth, params)
    rising = np.maximum.accumulate(_mean_around_peak(labels, params))  # where the peak moves on, it falls a little
    seen = (rising - rising[::-1]) / 2                                 # left and right alike
    azimuth_deg = np.interp(_mean_around_peak(distribution, params), seen, truth)
    own = _variance_around(truth, labels, params)
    narrower = own[len(own) // 2] - np.interp(azimuth_deg, truth, own)
    return azimuth_deg, np.sqrt(np.maximum(_variance_around(azimuth_deg, distribution, params) + narrower, 0))


def _mean_around_peak(distribution, params):
    grid = np.asarray(params.class_deg, np.float64)
    peak = grid[np.argmax(distribution, axis=1)]
    weight = np.where(np.abs(grid - peak[:, None]) <= params.readout_reach_deg, distribution, 0).astype(np.float64)
    return (weight * grid).sum(axis=1) / weight.sum(axis=1)


def _variance_around(azimuth_deg, distribution, params):
    grid = np.asarray(params.class_deg, np.float64)
    return (distribution * np.square(grid - azimuth_deg[:, None])).sum(axis=1)


def uncalibrated_spread(width_deg, params):
    """Spread of distributions of a width when nothing is known of the errors: what it adds to that of the labels."""
    label = read_out(soft_labels(np.zeros(1), params), params)[1]
    return np.sqrt(np.maximum(np.square(width_deg) - np.square(label), 0))


class Calibration(NamedTuple):
    """What share of the errors is within how many degrees; measured, not assumed.

    `width_deg`, ascending, are widths of the distribution, and for each of them `within_68_deg` and `within_95_deg` how
    far 68 and 95 % of the errors reach. At the sides, where the cues change little with the azimuth, errors are larger
    at the same width: `from_front_deg`, ascending, are azimuths without their sign, and `times_68` and `times_95` what
    the reach there is to be multiplied by.
    """

    width_deg: tuple
    within_68_deg: tuple
    within_95_deg: tuple
    from_front_deg: tuple
    times_68: tuple
    times_95: tuple

    @classmethod
    def fit(cls, azimuth_deg, width_deg, error_deg):
        """Measure on answers with known errors, of samples that were not trained on.

        Parameters
        ----------
        azimuth_deg, width_deg : np.ndarray [shape=(n,)], as `read_out` gives them
        error_deg : np.ndarray [shape=(n,)], absolute errors

        Returns
        -------
        Calibration : in groups of neighbouring widths the quantiles of the errors, made to rise with the width; then in
            groups of neighbouring azimuths those of the errors as multiples of that

        """
        by_width = _groups(width_deg, CALIBRATION_GROUPS, LEAST_OF_GROUP)
        from_front_deg = np.abs(azimuth_deg)
        by_azimuth = _groups(from_front_deg, AZIMUTH_GROUPS, LEAST_OF_AZIMUTHS)
        widths = _middles(width_deg, by_width)
        reaches, times = [], []
        for share in (0.68, 0.95):
            reach = np.maximum.accumulate([np.quantile(error_deg[group], share) for group in by_width])
            reaches.append(np.maximum(reach, LEAST_REACH_DEG))
            multiples = error_deg / np.interp(width_deg, widths, reaches[-1])
            times.append([np.quantile(multiples[group], share) for group in by_azimuth])
        columns = [widths, *reaches, _middles(from_front_deg, by_azimuth), *times]
        return cls(*(tuple(round(float(value), 4) for value in column) for column in columns))

    def spreads(self, azimuth_deg, width_deg):
        """Degrees that 68 and 95 % of the errors are within, the second no less than the first: two (n,)."""
        aside_deg = np.abs(azimuth_deg)
        near, far = (np.interp(width_deg, self.width_deg, within) * np.interp(aside_deg, self.from_front_deg, times)
                     for within, times in ((self.within_68_deg, self.times_68), (self.within_95_deg, self.times_95)))
        return near, np.maximum(near, far)


def _groups(values, most, least):
    """Indices of neighbouring values, in at most `most` groups of about equally many and at least `least`."""
    return np.array_split(np.argsort(values, kind="stable"), max(1, min(most, len(values) // least)))


def _middles(values, groups):
    return np.array([np.median(values[group]) for group in groups])
