"""Localise without learning by interaural delays alone: generalised cross-correlation with the phase transform.

    gcc_phat.localise(samples, template_cues, params)                 # (n, bin, frame, 2) -> (n,)
    gcc_phat.read_azimuths(samples, template_cues, params, most=2)    # -> (n, 2), padded with NaN

C. H. Knapp and G. C. Carter, "The generalized correlation method for estimation of time delay," IEEE Trans. Acoust.,
Speech, Signal Process. 24(4), 1976. The phase transform leaves of each bin's cross-spectrum its phase, which is the
IPD. So the cues tell the correlation at a delay exactly: the mean of cos(2 pi f delay - IPD) over bins and frames.
"""
from dataclasses import replace

import numpy as np

from features import IPD
from network.peaks import read_peaks

LONGEST_S = 1e-3             # no head delays a sound by more
STEPS = 16                   # of delay in a sample of the signals, where templates are searched
STEP_DEG = 1.0               # of azimuth, where samples are
# Chosen on mixtures of training speech and noise, at MIT KEMAR and 5 and 20 dB, for the right count of 0 to 3 talkers:
LEAST_CORRELATION = 0.1      # of the highest peak, below which there is nobody
LEAST_SHARE = 0.4            # of the highest peak, below which a peak is no talker


def correlation(samples, delay_s, params):
    """Compute the correlation of the ears, whitened, at some delays.

    Parameters
    ----------
    samples : np.ndarray [shape=(n, bin, frame, 2)], cues
    delay_s : np.ndarray [shape=(delay,)], seconds by which the right ear comes first
    params : Params

    Returns
    -------
    np.ndarray [shape=(n, delay)], -1 to 1

    Examples
    --------
    A source that the right ear hears half a millisecond earlier:

    >>> from params import Params
    >>> cues = np.zeros((1, 321, 50, 2))
    >>> cues[0, :, :, 0] = (np.angle(np.exp(2j * np.pi * 25 * np.arange(321) * 0.0005)))[:, np.newaxis]
    >>> correlation(cues, np.array([0.0005, 0.0]), Params()).round(2) + 0
    array([[1., 0.]])

    """
    ipd_rad = np.asarray(samples[..., IPD], np.float32)
    phasor = (np.cos(ipd_rad).mean(axis=2) + 1j * np.sin(ipd_rad).mean(axis=2)) / params.bins            # (n, bin)
    hz = np.arange(params.bins) * params.sample_rate_hz / params.stft_window_samples
    return (phasor @ np.exp(-2j * np.pi * np.outer(hz, delay_s))).real


def template_delays_s(template_cues, params):
    """Find the delay of each template (class, bin, 2), in seconds, rising with the azimuth: (class,).

    >>> from network.likelihood import template_cues
    >>> from params import Params
    >>> (1e6 * template_delays_s(template_cues(Params()), Params())[[0, 9, 18, 27, 36]]).round()
    array([-734., -391.,    0.,  391.,  734.])
    """
    count = round(LONGEST_S * params.sample_rate_hz * STEPS)
    delay_s = np.arange(-count, count + 1) / (params.sample_rate_hz * STEPS)
    best = correlation(template_cues[:, :, np.newaxis], delay_s, params).argmax(axis=1)
    return np.maximum.accumulate(delay_s[best])


def of_azimuths(samples, template_cues, params):
    """Compute the correlation at the delay of each azimuth in steps of STEP_DEG: azimuths (m,), values (n, m)."""
    first, last = params.class_deg[0], params.class_deg[-1]
    azimuth_deg = np.linspace(first, last, round((last - first) / STEP_DEG) + 1)
    delay_s = np.interp(azimuth_deg, params.class_deg, template_delays_s(template_cues, params))
    return azimuth_deg, correlation(samples, delay_s, params)


def localise(samples, template_cues, params):
    """Find the azimuth of the highest correlation of each sample: degrees, (n,).

    >>> from network.likelihood import template_cues
    >>> from params import Params
    >>> templates = template_cues(Params())
    >>> localise(np.repeat(templates[[9, 24], :, np.newaxis], 50, axis=2), templates, Params())
    array([-45.,  30.])
    """
    azimuth_deg, values = of_azimuths(samples, template_cues, params)
    return azimuth_deg[values.argmax(axis=1)]


def read_azimuths(samples, template_cues, params, most):
    """Read out the azimuths of the highest peaks of each sample, whose number is not given.

    A peak has LEAST_SHARE of the highest one, which has LEAST_CORRELATION; two are peaks.MERGED_DEG apart.

    Returns
    -------
    np.ndarray [shape=(n, most)], degrees, the highest first, NaN where there are fewer

    """
    azimuth_deg, values = of_azimuths(samples, template_cues, params)
    highest = values.max(axis=1, keepdims=True)
    shares = np.where(highest >= LEAST_CORRELATION, np.maximum(values, 0) / np.maximum(highest, 1e-9), 0)
    return read_peaks(shares, replace(params, class_deg=tuple(azimuth_deg)), most, LEAST_SHARE).azimuth_deg
