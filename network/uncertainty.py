"""Predict how far answers err: 68 and 95 % half-widths, fitted to known errors; and whether there is a source at all.

    predictors = error_predictors(azimuth_deg, width_deg, distribution)     # (n, 3)
    calibration = Calibration.fit(predictors, np.abs(azimuth_deg - true_deg))
    calibration.half_widths(predictors)                        # (n,), (n,): 68 and 95 % of the errors are within
    calibration.source_log_odds(predictors)                    # (n,): above 0 a source, below 0 noise from all around
"""
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np

from network.readout import read_out, soft_labels

NEAREST_SHARE = 0.25       # of the bands: with noise the others point anywhere, on any head
LEAST_DISAGREEMENT_DEG = 0.3    # less means nothing: templates stand 5 degrees apart
LEAST_CONTRAST = 1e-6
LEAST_DOUBT = 1e-3         # probability outside of the likeliest class; the labels leave half
LEAST_ERROR_DEG = 0.05     # their logarithm is predicted, and they may be 0
MOST_ERROR_DEG = 180.0
LEAST_OF_TERM = 40         # answers for each term of a calibration: fewer fix 95 % poorly
MOST_OF_FIT = 20_000       # answers: a second or two, and more hardly change it
MOST_DEGREE = 3            # of the polynomial: with 2, too wide for the known head and too narrow for strangers
RIDGE = 1e-4               # on the factors of the logistic regression, which else grow without end where it is easy
RARE_SHARE = 0.005         # of a predictor's values at either end, beyond which it is clipped


def uncalibrated_half_width(width_deg, params):
    """Guess the 68 % half-width when no errors are known: what the width (n,) adds to that of the soft labels.

    Examples
    --------
    >>> from params import Params
    >>> uncalibrated_half_width(np.array([3.3, 10.0]), Params()).round()
    array([0., 9.])

    """
    label = read_out(soft_labels(np.zeros(1), params), params)[1]
    return np.sqrt(np.maximum(np.square(width_deg) - np.square(label), 0))


def band_disagreement_deg(azimuth_deg, log_likelihoods, params):
    """Measure how far the likeliest directions of single bands lie from an azimuth, in the nearest quarter of them.

    For the head of the templates, in little noise, that is next to nothing; for another head each band has an error
    of its own.

    Parameters
    ----------
    azimuth_deg : np.ndarray [shape=(n,)]
    log_likelihoods : np.ndarray [shape=(n, band, class)], of each direction in a band, in any unit
    params : Params, for the classes

    Returns
    -------
    np.ndarray [shape=(n,)], the quantile NEAREST_SHARE of the bands' distances

    Examples
    --------
    >>> from params import Params
    >>> likeliest_deg = np.array([[10.0, 12.0, 14.0, 60.0, -80.0]])       # of 5 bands
    >>> log_likelihoods = -np.square(np.array(Params().class_deg) - likeliest_deg[..., np.newaxis])
    >>> band_disagreement_deg([12.0], log_likelihoods, Params()).round(2)
    array([2.])

    """
    grid = np.asarray(params.class_deg, np.float64)
    peak = np.argmax(log_likelihoods, axis=-1)[..., np.newaxis]
    inside = np.clip(peak, 1, len(grid) - 2)
    before, at, after = (np.take_along_axis(log_likelihoods, inside + step, -1).astype(np.float64)
                         for step in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + after, -1e-12)
    vertex = np.clip((before - after) / (2 * bend), -1, 1)                 # of the parabola through the three
    steps = np.where(peak == inside, inside + vertex, peak)[..., 0]
    best_deg = np.interp(steps, np.arange(len(grid)), grid)
    return np.quantile(np.abs(best_deg - np.asarray(azimuth_deg)[:, np.newaxis]), NEAREST_SHARE, axis=1)


def error_predictors(azimuth_deg, width_deg, distribution, disagreement_deg=None, contrast=None,
                     presence_log_odds=None):
    """Compute the predictors of an answer's error: (n, predictor), the same for a mirrored answer.

    Parameters
    ----------
    azimuth_deg, width_deg : np.ndarray [shape=(n,)], as `read_out` gives them
    distribution : np.ndarray [shape=(n, class)], what they were read from
    disagreement_deg : np.ndarray [shape=(n,)], as `band_disagreement_deg` gives it, of a network with templates
    contrast : np.ndarray [shape=(n,)], of such a network: how much the log-likelihoods of the directions differ
    presence_log_odds : np.ndarray [shape=(n,)], of such a network: that there is a source where it is likeliest

    Examples
    --------
    >>> error_predictors(np.array([-90.0]), np.array([np.e]), np.full((1, 4), 0.25)).round(3)
    array([[ 1.   , 90.   , -0.288]])

    """
    predictors = [np.log(np.maximum(width_deg, LEAST_ERROR_DEG)), np.abs(azimuth_deg),
                  np.log(np.maximum(1 - distribution.max(axis=1), LEAST_DOUBT))]
    if disagreement_deg is not None:
        predictors += [np.log(disagreement_deg + LEAST_DISAGREEMENT_DEG), np.log(contrast + LEAST_CONTRAST),
                       presence_log_odds]
    return np.stack(predictors, axis=1)


class Calibration(NamedTuple):
    """Predict the 68 and 95 % half-widths of answers from their error predictors.

    The logarithm of either half-width is a polynomial of third degree in the predictors (quantile regression: Koenker
    and Bassett, Econometrica 46, 1978). `least` and `greatest` of each predictor are the ends of -1..1; `terms_68` and
    `terms_95` are the factors of 1, of the predictors and of their products, as far as there were answers enough to fit
    them. `terms_source` are those of the log odds that there is a source rather than noise from all around (logistic
    regression); none where training heard no such noise alone.

    Examples
    --------
    Errors that are uniform from 0 to 10 degrees, whatever the predictor:

    >>> predictors, error_deg = np.zeros((1000, 1)), np.linspace(0, 10, 1000)
    >>> near, far = Calibration.fit(predictors, error_deg).half_widths(predictors)
    >>> f"{near[0]:.1f} {far[0]:.1f}"
    '6.8 9.5'

    """

    least: tuple
    greatest: tuple
    terms_68: tuple
    terms_95: tuple
    terms_source: tuple = ()

    @classmethod
    def fit(cls, predictors, error_deg, of_noise=None):
        """Fit a calibration to answers with known errors, of samples that were not trained on.

        Parameters
        ----------
        predictors : np.ndarray [shape=(n, predictor)], as `error_predictors` gives them; of more than MOST_OF_FIT rows
            that many, drawn
        error_deg : np.ndarray [shape=(n,)], absolute errors
        of_noise : np.ndarray [shape=(m, predictor)], optional: predictors of answers to noise alone

        Returns
        -------
        Calibration

        """
        some = np.random.default_rng(0).permutation(len(predictors))[:MOST_OF_FIT]
        predictors, log_error = predictors[some], np.log(error_deg[some] + LEAST_ERROR_DEG)
        has_noise = of_noise is not None and len(of_noise) > 0
        every = np.concatenate((predictors, of_noise)) if has_noise else predictors
        least, greatest = np.quantile(every, (RARE_SHARE, 1 - RARE_SHARE), axis=0)
        terms = _terms(predictors, least, greatest)[:, :max(1, len(predictors) // LEAST_OF_TERM)]
        columns = [least, greatest, *(_quantile_regression(terms, log_error, share) for share in (0.68, 0.95))]
        if has_noise:
            columns.append(_logistic_regression(_terms(predictors, least, greatest),
                                                _terms(of_noise, least, greatest)))
        return cls(*(tuple(round(float(value), 5) for value in column) for column in columns))

    def half_widths(self, predictors):
        """Compute the 68 and 95 % half-widths in degrees, the second no less than the first: two (n,)."""
        terms = _terms(predictors, np.array(self.least), np.array(self.greatest))
        near, far = (np.clip(np.exp(terms[:, :len(factors)] @ factors) - LEAST_ERROR_DEG, 0, MOST_ERROR_DEG)
                     for factors in (np.array(self.terms_68), np.array(self.terms_95)))
        return near, np.maximum(near, far)

    def source_log_odds(self, predictors):
        """Compute the log odds that there is a source, as often as not: (n,); NaN where training heard no noise alone.

        >>> rng = np.random.default_rng(0)
        >>> source, noise = rng.normal(0, 1, (1000, 1)), rng.normal(5, 1, (1000, 1))
        >>> calibration = Calibration.fit(source, np.ones(1000), of_noise=noise)
        >>> (calibration.source_log_odds(np.array([[0.0], [5.0]])) > 0).tolist()
        [True, False]
        """
        if not self.terms_source:
            return np.full(len(predictors), np.nan)
        return _terms(predictors, np.array(self.least), np.array(self.greatest)) @ np.array(self.terms_source)


def _terms(predictors, least, greatest):
    """List 1, each predictor on a scale of -1..1, products of two and of three: (n, predictor) -> (n, term)."""
    scaled = np.clip((predictors - least) / np.maximum(greatest - least, 1e-6) * 2 - 1, -1, 1).T
    factors = np.concatenate((scaled, np.ones((1, scaled.shape[1]))))                          # the last one is 1
    chosen = [each + (-1,) * (MOST_DEGREE - degree) for degree in range(MOST_DEGREE + 1)
              for each in combinations_with_replacement(range(len(scaled)), degree)]
    return factors[np.array(chosen)].prod(axis=1).T


def _quantile_regression(terms, values, share):
    """Fit factors of terms (n, term) whose sum is above a share of the values (n,), whatever the terms.

    The dual of the linear programme that minimises the sum of share * above + (1 - share) * below.
    """
    from scipy.optimize import linprog  # here, not above: answers should not wait for it

    solution = linprog(-values, A_eq=terms.T, b_eq=np.zeros(terms.shape[1]), bounds=(share - 1, share), method="highs")
    return -solution.eqlin.marginals


def _logistic_regression(ours, others):
    """Fit factors of terms, (n, term) and (m, term), whose sum is the log odds of ours, each side counting as half."""
    from scipy.optimize import minimize
    from scipy.special import expit

    terms, sign = np.concatenate((ours, others)), np.repeat((1.0, -1.0), (len(ours), len(others)))
    weight = np.repeat((0.5 / len(ours), 0.5 / len(others)), (len(ours), len(others)))

    def loss(factors):
        margin = sign * (terms @ factors)
        slope = -weight * sign * expit(-margin)
        return ((weight * np.logaddexp(0, -margin)).sum() + RIDGE * factors @ factors,
                terms.T @ slope + 2 * RIDGE * factors)

    return minimize(loss, np.zeros(terms.shape[1]), jac=True, method="L-BFGS-B").x
