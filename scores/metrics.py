"""Compute errors and accuracies: predicted and true azimuths -> dicts of figures."""
import numpy as np


def score(predicted_deg, true_deg, stated_deg=()):
    """Score predictions: accuracies, errors, and the coverage of stated half-widths.

    Parameters
    ----------
    predicted_deg, true_deg : np.ndarray [shape=(n,)], n >= 1
    stated_deg : () or two np.ndarray [shape=(n,)], optional: stated 68 and 95 % half-widths

    Returns
    -------
    dict
        within_5_deg_percent and within_10_deg_percent: the rule of CNNBSL, a prediction counts when, rounded to
        whole degrees, it differs by at most that much; mae_deg, median_deg (of the absolute error), rmse_deg,
        bias_deg (mean of predicted - true: positive is too far right) and samples; with `stated_deg` also
        inside_stated_68_percent and inside_stated_95_percent, the share of true azimuths within them

    Examples
    --------
    >>> figures = score([0.0, 5.4, -12.0, 95.0], [0.0, 0.0, 0.0, 90.0])
    >>> figures["within_5_deg_percent"], round(figures["mae_deg"], 2), round(figures["bias_deg"], 2)
    (75.0, 5.6, -0.4)

    """
    predicted_deg, true_deg = np.asarray(predicted_deg, np.float64), np.asarray(true_deg, np.float64)
    error = predicted_deg - true_deg
    return {
        "within_5_deg_percent": float(100 * correct(predicted_deg, true_deg, 5).mean()),
        "within_10_deg_percent": float(100 * correct(predicted_deg, true_deg, 10).mean()),
        "mae_deg": float(np.abs(error).mean()),
        "median_deg": float(np.median(np.abs(error))),
        "rmse_deg": float(np.sqrt(np.square(error).mean())),
        "bias_deg": float(error.mean()),
        "samples": len(error),
        **{f"inside_stated_{share}_percent": float(100 * np.mean(np.abs(error) <= reach))
           for share, reach in zip((68, 95), stated_deg)},
    }


def correct(predicted_deg, true_deg, tolerance_deg):
    """Tell which predictions, rounded to whole degrees, differ by at most `tolerance_deg`: (n,) bool.

    Examples
    --------
    >>> correct([5.4, 5.6, -12.0], np.zeros(3), 5)
    array([ True, False, False])

    """
    return np.abs(np.rint(predicted_deg) - true_deg) <= tolerance_deg


def score_by(groups, predicted_deg, true_deg, stated_deg=()):
    """Score each group of samples: dict of group, in sorted order, to `score`'s dict.

    Examples
    --------
    >>> by_snr_db = score_by(np.array([6.0, -6.0, 6.0]), np.array([1.0, 40.0, 3.0]), np.zeros(3))
    >>> {snr_db: figures["mae_deg"] for snr_db, figures in by_snr_db.items()}
    {'-6': 40.0, '6': 2.0}

    """
    names, which = np.unique(np.asarray(groups), return_inverse=True)
    rows_of = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    return {f"{name:g}" if isinstance(name, np.floating) else str(name):
            score(predicted_deg[rows], true_deg[rows], [reach[rows] for reach in stated_deg])
            for name, rows in zip(names, rows_of)}


def kept_curve(predicted_deg, true_deg, half_width_deg, tolerance_deg, points=100):
    """Compute the accuracy of the surest samples, which shows what dropping the least sure gains.

    Parameters
    ----------
    predicted_deg, true_deg, half_width_deg : np.ndarray [shape=(n,)]
    tolerance_deg : float
    points : int, at most

    Returns
    -------
    kept_percent, correct_percent : np.ndarray [shape=(any,)], ascending in kept_percent, the last 100

    Examples
    --------
    >>> half_width_deg = np.array([1.0, 2.0, 9.0, 30.0])
    >>> kept_curve(np.array([0.0, 2.0, -4.0, 50.0]), np.zeros(4), half_width_deg, 5)
    (array([ 25.,  50.,  75., 100.]), array([100., 100., 100.,  75.]))

    """
    order = np.argsort(half_width_deg, kind="stable")
    share = np.cumsum(correct(predicted_deg, true_deg, tolerance_deg)[order]) / np.arange(1, len(order) + 1)
    kept = np.unique(np.linspace(1, len(order), min(points, len(order))).astype(int))
    return 100 * kept / len(order), 100 * share[kept - 1]
