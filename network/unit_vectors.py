"""Represent the cues of a bin as a unit vector, which knows no phase wrap and no overflow."""
import numpy as np

NEPER_PER_DB = np.float32(np.log(10) / 20)
LEAST_DISTANCE = 1e-3  # (1 - u . v) / 2 of vectors 3.6 degrees apart: float16 cues are not known much better


def unit_vectors(cues, library=np, axis=-1):
    """Turn IPD and ILD into unit vectors: with g = ILD ln(10) / 20, (tanh g, cos IPD / cosh g, sin IPD / cosh g).

    Exchanging the ears negates the first and the last component.

    Parameters
    ----------
    cues : array [shape=(..., 2)], float: IPD in radians, ILD in dB
    library : numpy or tensorflow, which computes
    axis : int, where the three components stand

    Returns
    -------
    array of `library` [shape=(..., 3)], float32, with another `axis` accordingly

    Examples
    --------
    >>> unit_vectors(np.array([[0, 0], [np.pi / 2, 0], [0, 60]])).round(2) + 0
    array([[0., 1., 0.],
           [0., 0., 1.],
           [1., 0., 0.]], dtype=float32)

    """
    cues = library.cast(cues, library.float32) if library is not np else np.asarray(cues, np.float32)
    ipd_rad, lateral = cues[..., 0], library.tanh(cues[..., 1] * NEPER_PER_DB)
    one_over_cosh = library.sqrt(library.maximum(1 - lateral * lateral, 0))
    front, side = library.cos(ipd_rad) * one_over_cosh, library.sin(ipd_rad) * one_over_cosh
    return library.stack((lateral, front, side), axis=axis)
