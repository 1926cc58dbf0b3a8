"""Heads that nobody measured: other spectra at each ear, other levels at the sides. Arrays only."""
import numpy as np
from scipy.fft import irfft

from sound import coloration, convolution

COLORATION_DEG = (-90, -45, 0, 45, 90)  # where another head's spectral differences are drawn
SIDES_BEGIN_DEG = (15, 90)              # from where on, drawn, the sides have their level


def recoloured(rng, response, azimuth_deg, std_db):
    """Filter responses into those of another head, by smooth random curves that change slowly with the direction.

    Half of the variance is common to both ears, the other half each ear's own. The curves are drawn for the directions
    of COLORATION_DEG and interpolated in between.

    Parameters
    ----------
    rng : np.random.Generator
    response : np.ndarray [shape=(azimuth, 2, tap)]
    azimuth_deg : np.ndarray [shape=(azimuth,)], -90..90
    std_db : float, standard deviation at one ear

    Returns
    -------
    np.ndarray [shape=(azimuth, 2, tap + FILTER_TAPS - 1)], float32

    Examples
    --------
    Another head has the arrival times of the measured one:

    >>> click = np.zeros((37, 2, 100))
    >>> click[..., 20] = 1
    >>> other = recoloured(np.random.default_rng(0), click, np.arange(-90, 91, 5), std_db=2.0)
    >>> other.shape, set(np.abs(other).argmax(axis=-1).ravel().tolist())
    ((37, 2, 355), {20})

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

    The level of a direction is that of all its sound: of the source, of its reverberation, and of its share of diffuse
    noise. With weaker sides, noise comes more from the front, and a source at the side has a lower SNR.

    Parameters
    ----------
    rng : np.random.Generator
    azimuth_deg : np.ndarray [shape=(azimuth,)], -90..90
    range_db : (low, high), of the level at the sides, which goes to 0 dB evenly from SIDES_BEGIN_DEG to the front

    Returns
    -------
    np.ndarray [shape=(azimuth,)], float32, factors

    Examples
    --------
    >>> factors = side_level(np.random.default_rng(0), np.array([-90, 0, 90]), range_db=(-6, -6))
    >>> (20 * np.log10(factors)).round(3).tolist()
    [-6.0, 0.0, -6.0]

    """
    level_db = rng.uniform(*range_db) * np.minimum(1, np.abs(azimuth_deg) / rng.uniform(*SIDES_BEGIN_DEG))
    return (10 ** (level_db / 20)).astype(np.float32)
