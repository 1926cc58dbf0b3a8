"""Errors and accuracies: predicted and true azimuths -> dicts of figures."""
import numpy as np


def score(predicted_deg, true_deg):
    """Figures of a set of predictions.

    Parameters
    ----------
    predicted_deg, true_deg : np.ndarray [shape=(n,)], n >= 1

    Returns
    -------
    dict
        within_5_deg_percent and within_10_deg_percent: the rule of Pang et al. 2019, the prediction rounded to whole
        degrees counts when it differs by at most that much; mae_deg, median_deg (of the absolute error), rmse_deg,
        bias_deg (mean of predicted - true: positive is too far right) and samples

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
    }


def correct(predicted_deg, true_deg, tolerance_deg):
    """Which predictions, rounded to whole degrees, differ by at most `tolerance_deg`: (n,) bool."""
    return np.abs(np.rint(predicted_deg) - true_deg) <= tolerance_deg


def score_by(groups, predicted_deg, true_deg):
    """Score each group of samples: dict of group, in sorted order, to `score`'s dict."""
    groups = np.asarray(groups)
    return {f"{group:g}" if isinstance(group, np.floating) else str(group):
            score(predicted_deg[groups == group], true_deg[groups == group]) for group in np.unique(groups)}
