"""Localise without learning, to show what learning adds: maximum likelihood over a head's templates.

Every bin becomes a unit vector u (unit_vectors.py). For a source at azimuth a in isotropic noise u scatters
around that head's template u_a, and -ln((1 - u . u_a) / 2), summed over the bins of a sample, ranks the azimuths.
"""
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import console
import features
import hrir
from console import BadInput
from network.peaks import THRESHOLD, read_peaks
from network.unit_vectors import LEAST_DISTANCE, unit_vectors

# Of several talkers; chosen as the numbers of gcc_phat.py are, for the right count of 0 to 3 of them.
ALIKE_BINS = 20              # that tell the same in a frame: their log-likelihoods are not independent
LEAST_POSTERIOR = 0.07       # of a peak


def template_cues(params, head="mit_kemar"):
    """Compute IPD and ILD of a head, in the bins of the STFT, at params.class_deg: (azimuth, bin, 2).

    `head` is the set that ships or a SOFA file, for example of one's own ears. BadInput for one that cannot be read or
    lacks one of the directions.

    Examples
    --------
    >>> from params import Params
    >>> cues = template_cues(Params())
    >>> cues.shape
    (37, 321, 2)
    >>> np.median(cues[[0, 36], :, 1], axis=1).round().tolist()              # ILD in dB from 90 degrees left and right
    [-9.0, 9.0]

    """
    measured = hrir.read(head)
    missing = [azimuth_deg for azimuth_deg in params.class_deg if not hrir.can_give(measured, azimuth_deg)]
    if missing:
        raise BadInput(f"--head {head} has no direction near {missing[0]:g} degrees; it takes the front half "
                       "of the horizontal plane, no more than 20 degrees apart.")
    response = hrir.at_azimuths(measured, params.sample_rate_hz, params.class_deg, params.hrir_padding_samples).response
    return features.of_responses(response, params)


def localise(samples, template_cues, azimuth_deg):
    """Find the azimuth of the likeliest template for each sample.

    Parameters
    ----------
    samples : np.ndarray [shape=(n, bin, frame, 2)], cues
    template_cues : np.ndarray [shape=(azimuth, bin, 2)], cues of the head's impulse responses
    azimuth_deg : np.ndarray [shape=(azimuth,)]

    Returns
    -------
    np.ndarray [shape=(n,)], float64, degrees, each one of `azimuth_deg`

    Examples
    --------
    >>> from params import Params
    >>> templates, azimuth_deg = template_cues(Params()), Params().class_deg
    >>> samples = np.repeat(templates[[9, 24], :, np.newaxis], 50, axis=2)   # nothing but a source at -45 and at 30
    >>> localise(samples, templates, azimuth_deg)
    array([-45.,  30.])

    """
    best = _of_each(samples, template_cues, lambda log_likelihood: log_likelihood.sum(axis=0).argmax())
    return np.asarray(azimuth_deg, np.float64)[best]


def read_azimuths(samples, template_cues, params, most):
    """Read out several talkers of each sample, whose number is not given: peaks of the posterior averaged over frames.

    In most frames one talker is louder than the others. So the posterior of each frame, of equally likely azimuths, has
    one peak, and that of all frames has one at each talker. T. May, S. van de Par and A. Kohlrausch, "A probabilistic
    model for robust localization based on a binaural auditory front-end," IEEE Trans. Audio, Speech, Lang. Process.
    19(1), 2011, pool frames in a histogram of their likeliest azimuths.

    Parameters
    ----------
    samples, template_cues : as for `localise`
    params : Params, for the azimuths class_deg
    most : int

    Returns
    -------
    np.ndarray [shape=(n, most)], degrees, the highest peak first, NaN where there are fewer

    Examples
    --------
    Two who take turns:

    >>> from params import Params
    >>> templates, turns = template_cues(Params()), np.repeat([9, 24], [30, 20])
    >>> read_azimuths(templates[turns].swapaxes(0, 1)[np.newaxis], templates, Params(), most=3)
    array([[-45.,  30.,  nan]])

    """
    posterior = np.array(_of_each(samples, template_cues, _mean_posterior)).reshape(-1, len(params.class_deg))
    return read_peaks(posterior * (THRESHOLD / LEAST_POSTERIOR), params, most).azimuth_deg


def _mean_posterior(log_likelihood):
    posterior = np.exp((log_likelihood - log_likelihood.max(axis=1, keepdims=True)) / ALIKE_BINS)
    return (posterior / posterior.sum(axis=1, keepdims=True)).mean(axis=0)


def _of_each(samples, template_cues, function):
    """Apply a function to the log-likelihoods (frame, azimuth) of each sample: list."""
    templates = np.ascontiguousarray(unit_vectors(template_cues).transpose(1, 2, 0))  # (bin, 3, azimuth)

    def of_one(sample):
        distance = (1 - unit_vectors(sample) @ templates) / 2                         # (bin, frame, azimuth)
        return function(-np.log(np.maximum(distance, LEAST_DISTANCE)).sum(axis=0))

    with ThreadPoolExecutor(console.processors()) as threads:
        return list(threads.map(of_one, samples))
