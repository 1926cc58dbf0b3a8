"""Find damage in the impulse responses of a set by comparing each direction with its neighbours.

HDF5 keeps a checksum of values that are compressed, as most SOFA files have them, and none of others. There, damage
can be told only where no measurement looks like it. Thresholds are twice what the worst of 118 measured sets reach.
"""
import numpy as np

GREATEST = 1e9              # of a response; common units are full scale, pascal and 16-bit integers
SILENT_DB = -60.0           # below both neighbours; the worst measured direction has -32 dB
EMPTY_S = 1.5e-3            # of exact zeros where both neighbours have none
CLICK, CLICK_S = 5.0, 1e-3  # how far a tap stands out from what is around it, and how far around that is
CLICK_FLOOR = 1e-4          # of the greatest response, below which nothing stands out
PREDICTORS = 8              # taps on either side that predict one: measured responses are smoother than clicks
FEW = 0.05                  # share of responses that one damage can hit; more are what the set is like


def fault_of(response, sample_rate_hz):
    """Tell what in a set cannot have been measured.

    Parameters
    ----------
    response : np.ndarray [shape=(direction, ear, tap)], float64, in order of azimuth
    sample_rate_hz : int

    Returns
    -------
    str, a phrase; empty where nothing is found

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((24, 2, 400)) * np.exp(-np.arange(400) / 40)
    >>> fault_of(noise, 44_100)
    ''
    >>> noise[3, 0, 300] = 1
    >>> fault_of(noise, 44_100)
    'response 4 of 24 has a click at its left ear'

    """
    if not np.abs(response).max() <= GREATEST:
        return "it holds NaN, infinite or enormous values"
    with np.errstate(divide="ignore"):
        level_db = 10 * np.log10(np.square(response).sum(axis=-1))
    faults = (("is silent", level_db < _neighbours(level_db, np.minimum) + SILENT_DB),
              ("is empty in part", _emptied(response, round(EMPTY_S * sample_rate_hz))),
              ("has a click", _clicks(response, round(CLICK_S * sample_rate_hz))))
    for what, is_so in faults:
        if 0 < is_so.sum() <= max(2, FEW * is_so.size):
            direction, ear = np.argwhere(is_so)[0]
            return f"response {direction + 1} of {len(response)} {what} at its {('left', 'right')[ear]} ear"
    return ""


def _neighbours(values, pick):
    """Give the greater or the less of the values of both neighbours on the circle."""
    return pick(np.roll(values, 1, axis=0), np.roll(values, -1, axis=0))


def _emptied(response, taps):
    """Tell which responses hold `taps` zeros in a row where both neighbours hold none: bool (direction, ear)."""
    zeros = np.cumsum(np.pad(response == 0, ((0, 0), (0, 0), (1, 0))), axis=-1)
    in_row = zeros[..., taps:] - zeros[..., :-taps]
    return ((in_row == taps) & (_neighbours(in_row, np.maximum) == 0)).any(axis=-1)


def _clicks(response, taps):
    """Tell which responses have a tap that nothing within `taps` of it, nor of both neighbours, comes near."""
    error = _errors(response)
    beside = taps // 2 + PREDICTORS + 1  # the error of a click reaches as far as the predictors do
    own = np.pad(_greatest_around(error, taps // 2), ((0, 0), (0, 0), (beside, beside)))
    own = np.maximum(own[..., :error.shape[-1]], own[..., 2 * beside:])
    around = np.maximum(own, _neighbours(_greatest_around(error, taps), np.maximum))
    return (error > CLICK * (around + CLICK_FLOOR * np.abs(response).max())).any(axis=-1)


def _errors(response):
    """Predict each tap from those around it, with least squares over the set: absolute errors (direction, ear, tap)."""
    count = response.shape[-1]
    lags = [np.vdot(response[..., :max(0, count - lag)], response[..., lag:]) for lag in range(2 * PREDICTORS + 1)]
    others = np.array([shift for shift in range(-PREDICTORS, PREDICTORS + 1) if shift])
    covariance = np.take(lags, np.abs(others[:, np.newaxis] - others))
    covariance += np.eye(len(others)) * (1e-9 * lags[0] + 1e-300)
    padded, error = np.pad(response, ((0, 0), (0, 0), (PREDICTORS, PREDICTORS))), response.copy()
    for shift, weight in zip(others, np.linalg.solve(covariance, np.take(lags, np.abs(others)))):
        error -= weight * padded[..., PREDICTORS + shift:PREDICTORS + shift + count]
    return np.abs(error)


def _greatest_around(values, reach):
    """Give the greatest of the values within `reach` along the last axis."""
    padded, length = np.pad(values, ((0, 0), (0, 0), (reach, reach))), 1
    while 2 * length <= 2 * reach + 1:
        padded, length = np.maximum(padded[..., :-length], padded[..., length:]), 2 * length
    rest = 2 * reach + 1 - length
    return np.maximum(padded[..., :values.shape[-1]], padded[..., rest:rest + values.shape[-1]])
