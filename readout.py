"""Between azimuths and distributions over them: the labels to learn, the azimuth of an answer, and how sure it is.

    soft_labels([12.0], Params())                              # (1, 37), a Gaussian around 12 degrees
    azimuth_deg, width_deg = read_out(distribution, Params())  # (n, 37) -> (n,), (n,)
    signs = signs_of(azimuth_deg, width_deg, distribution)     # (n, 3): what tells how large the error may be
    calibration = Calibration.fit(signs, np.abs(azimuth_deg - true_deg))
    calibration.spreads(signs)                                 # (n,), (n,): what 68 and 95 % of the errors are within
"""
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.special import ndtr

NEAREST_SHARE = 0.25       # of the bands: with noise the others point anywhere, on any head
LEAST_PARTING_DEG = 0.3    # less says nothing: templates stand 5 degrees apart
LEAST_DOUBT = 1e-3         # probability outside of the likeliest class; the labels leave half
LEAST_ERROR_DEG = 0.05     # errors are told by their logarithm, and may be nothing
MOST_ERROR_DEG = 180.0
LEAST_OF_TERM = 40         # answers for each term of a calibration: fewer say little about 95 %
MOST_OF_FIT = 20_000       # answers: a second or two, and more hardly change it
RARE_SHARE = 0.005         # of a sign's values at either end, beyond which what it says is not carried on


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

    At the ends of the grid the neighbourhood is one-sided and its mean is drawn inwards by up to 1.2 degrees. That is
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


def parting_deg(azimuth_deg, fits, params):
    """How far from an azimuth the directions lie that fit single bands best, by the quarter of them that are nearest.

    Of the head that the templates are from, in little noise, that is next to nothing; of another head each band has its
    own error.

    Parameters
    ----------
    azimuth_deg : np.ndarray [shape=(n,)]
    fits : np.ndarray [shape=(n, band, class)], how well each direction fits a band, in any unit
    params : Params, for the classes

    Returns
    -------
    np.ndarray [shape=(n,)], the quantile NEAREST_SHARE of the bands' distances

    """
    grid = np.asarray(params.class_deg, np.float64)
    peak = np.argmax(fits, axis=-1)[..., np.newaxis]
    inside = np.clip(peak, 1, len(grid) - 2)
    before, at, after = (np.take_along_axis(fits, inside + step, -1).astype(np.float64) for step in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + after, -1e-12)
    vertex = np.clip((before - after) / (2 * bend), -1, 1)                 # of the parabola through the three
    steps = np.where(peak == inside, inside + vertex, peak)[..., 0]
    best_deg = np.interp(steps, np.arange(len(grid)), grid)
    return np.quantile(np.abs(best_deg - np.asarray(azimuth_deg)[:, np.newaxis]), NEAREST_SHARE, axis=1)


def signs_of(azimuth_deg, width_deg, distribution, parting=None, sizes=None):
    """What tells how large the error of an answer may be: (n, sign), the same for a mirrored answer.

    Parameters
    ----------
    azimuth_deg, width_deg : np.ndarray [shape=(n,)], as `read_out` gives them
    distribution : np.ndarray [shape=(n, class)], what they were read from
    parting : np.ndarray [shape=(n,)], as `parting_deg` gives it, of a network that compares with templates
    sizes : np.ndarray [shape=(n, 2)], of such a network, how much directions differ in their fit, as logarithms: at all
        moments alike, and with more weight where the cues hold still

    """
    signs = [np.log(np.maximum(width_deg, LEAST_ERROR_DEG)), np.abs(azimuth_deg),
             np.log(np.maximum(1 - distribution.max(axis=1), LEAST_DOUBT))]
    if parting is not None:
        plain, steady = np.transpose(sizes)
        signs += [np.log(parting + LEAST_PARTING_DEG), plain, steady - plain]
    return np.stack(signs, axis=1)


class Calibration(NamedTuple):
    """What share of the errors is within how many degrees; measured, not assumed.

    The logarithm of what 68 % of the errors are within is a polynomial of second degree in the signs, and so is that of
    95 % (quantile regression: Koenker and Bassett, Econometrica 46, 1978). `least` and `greatest` of each sign are the
    ends of -1..1; `terms_68` and `terms_95` are the factors of 1, of the signs and of their products, as far as there
    were answers enough to fit them.
    """

    least: tuple
    greatest: tuple
    terms_68: tuple
    terms_95: tuple

    @classmethod
    def fit(cls, signs, error_deg):
        """Measure on answers with known errors, of samples that were not trained on.

        Parameters
        ----------
        signs : np.ndarray [shape=(n, sign)], as `signs_of` gives them; of more than MOST_OF_FIT rows that many, drawn
        error_deg : np.ndarray [shape=(n,)], absolute errors

        Returns
        -------
        Calibration

        """
        some = np.random.default_rng(0).permutation(len(signs))[:MOST_OF_FIT]
        signs, log_error = signs[some], np.log(error_deg[some] + LEAST_ERROR_DEG)
        least, greatest = np.quantile(signs, (RARE_SHARE, 1 - RARE_SHARE), axis=0)
        terms = _terms(signs, least, greatest)[:, :max(1, len(signs) // LEAST_OF_TERM)]
        columns = (least, greatest, *(_quantile_regression(terms, log_error, share) for share in (0.68, 0.95)))
        return cls(*(tuple(round(float(value), 5) for value in column) for column in columns))

    def spreads(self, signs):
        """Degrees that 68 and 95 % of the errors are within, the second no less than the first: two (n,)."""
        terms = _terms(signs, np.array(self.least), np.array(self.greatest))
        near, far = (np.clip(np.exp(terms[:, :len(factors)] @ factors) - LEAST_ERROR_DEG, 0, MOST_ERROR_DEG)
                     for factors in (np.array(self.terms_68), np.array(self.terms_95)))
        return near, np.maximum(near, far)


def _terms(signs, least, greatest):
    """1, each sign on a scale of -1..1 and their products: (n, sign) -> (n, term)."""
    scaled = np.clip((signs - least) / np.maximum(greatest - least, 1e-6) * 2 - 1, -1, 1).T
    pairs = combinations_with_replacement(range(len(scaled)), 2)
    return np.stack([np.ones(len(signs)), *scaled, *(scaled[one] * scaled[other] for one, other in pairs)], axis=1)


def _quantile_regression(terms, values, share):
    """Factors of terms (n, term) whose sum is above a share of the values (n,), whatever the terms.

    The dual of the linear programme that minimises the sum of share * above + (1 - share) * below.
    """
    solution = linprog(-values, A_eq=terms.T, b_eq=np.zeros(terms.shape[1]), bounds=(share - 1, share), method="highs")
    return -solution.eqlin.marginals
