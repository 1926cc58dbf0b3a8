"""Localisation without learning, to show what learning adds: maximum likelihood over a head's templates.

A bin with g = ILD ln(10) / 20 becomes the unit vector u = (tanh g, cos IPD / cosh g, sin IPD / cosh g): no phase wrap,
no overflow, the same for every pair of spectra with one ratio. For a source at azimuth a in isotropic noise u scatters
around that head's template u_a, and -ln((1 - u . u_a) / 2), summed over the bins of a sample, ranks the azimuths.
"""
import numpy as np
from joblib import Parallel, delayed

import features
import hrir

NEPER_PER_DB = np.log(10) / 20
LEAST_MISFIT = 1e-3  # (1 - u . u_a) / 2 of vectors 3.6 degrees apart: float16 cues are not known much better


def unit_vectors(cues):
    """Turn (..., 2) IPD in radians and ILD in dB into (..., 3) unit vectors, float32."""
    ipd, g = cues[..., 0].astype(np.float32), cues[..., 1].astype(np.float32) * np.float32(NEPER_PER_DB)
    across = 1 / np.cosh(np.clip(g, -40, 40))  # 1e-17 there: clipped only against overflow
    return np.stack((np.tanh(g), np.cos(ipd) * across, np.sin(ipd) * across), axis=-1)


def template_cues(params):
    """IPD and ILD of the shipped head, as the STFT sees them, at params.class_deg: (azimuth, bin, 2)."""
    response = hrir.load("mit_kemar", params.sample_rate_hz, params.class_deg, params.hrir_padding_samples).response
    spectra = np.fft.rfft(response, params.stft_window_samples)
    return features.interaural_cues(spectra[:, features.LEFT], spectra[:, features.RIGHT], params.power_floor)


def localise(samples, template_cues, azimuth_deg, jobs=-1):
    """Return the azimuth of the best fitting template of each sample.

    Parameters
    ----------
    samples : np.ndarray [shape=(n, bin, frame, 2)], cues
    template_cues : np.ndarray [shape=(azimuth, bin, 2)], cues of the head's impulse responses
    azimuth_deg : np.ndarray [shape=(azimuth,)]
    jobs : int, threads; -1 for one a processor

    Returns
    -------
    np.ndarray [shape=(n,)], float64, degrees, each one of `azimuth_deg`

    """
    templates = np.ascontiguousarray(unit_vectors(template_cues).transpose(1, 2, 0))  # (bin, 3, azimuth)
    best = Parallel(n_jobs=jobs, backend="threading")(delayed(_best_row)(sample, templates) for sample in samples)
    return np.asarray(azimuth_deg, np.float64)[best]


def _best_row(sample, templates):
    misfit = (1 - unit_vectors(sample) @ templates) / 2              # (bin, frame, azimuth)
    return int(np.argmin(np.log(np.maximum(misfit, LEAST_MISFIT)).sum(axis=(0, 1))))
