"""Heads that nobody measured: other spectra at each ear, other levels at the sides. Arrays only."""
import numpy as np
from scipy.fft import irfft

from sound import coloration, convolution

COLORATION_DEG = (-90, -45, 0, 45, 90)  # where another head's spectral differences are drawn
SIDES_BEGIN_DEG = (15, 90)              # from where on, drawn, the sides have their level


def recoloured(rng, response, azimuth_deg, std_db):
    """Responses of another head: smooth random spectral differences that change slowly with the direction.

    Half of their variance is common to both ears, as the mean of two heads' pinnae differs, and half each ear's own.
    Drawn for the directions of COLORATION_DEG and interpolated in between.

    Parameters
    ----------
    rng : np.random.Generator
    response : np.ndarray [shape=(azimuth, 2, tap)]
    azimuth_deg : np.ndarray [shape=(azimuth,)], -90..90
    std_db : float, standard deviation at one ear

    Returns
    -------
    np.ndarray [shape=(azimuth, 2, tap + FILTER_TAPS - 1)], float32

    """
    count = len(COLORATION_DEG)
    corners = coloration.random_curve(rng, std_db / np.sqrt(2), (count, 1)) + \
        coloration.random_curve(rng, std_db / np.sqrt(2), (count, 2))                           # (corner, ear, bin)
    weight = np.stack([np.interp(azimuth_deg, COLORATION_DEG, one) for one in np.eye(count)])     # (corner, azimuth)
    taps = response.shape[-1] + coloration.FILTER_TAPS - 1
    filters = coloration.minimum_phase(np.einsum("ca,ceb->aeb", weight, corners))
    size = convolution.fft_size(taps)
    product = convolution.response_spectrum(response, size) * convolution.response_spectrum(filters, size)
    return irfft(product, size)[..., :taps].astype(np.float32)


def side_level(rng, azimuth_deg, range_db):
    """Draw the levels of a set whose sides are louder or weaker than its front, as Surrey's room A is by -5 dB.

    All that is heard from a direction has its level, the room with it. So has diffuse noise, which then comes more from
    the front, while at the sides the source is weaker in it.

    Parameters
    ----------
    rng : np.random.Generator
    azimuth_deg : np.ndarray [shape=(azimuth,)], -90..90
    range_db : (low, high), of the level at the sides, which goes to 0 dB evenly from SIDES_BEGIN_DEG to the front

    Returns
    -------
    np.ndarray [shape=(azimuth,)], float32, factors

    """
    level_db = rng.uniform(*range_db) * np.minimum(1, np.abs(azimuth_deg) / rng.uniform(*SIDES_BEGIN_DEG))
    return (10 ** (level_db / 20)).astype(np.float32)
