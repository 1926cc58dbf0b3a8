"""Several talkers without learning: delays, their azimuths, and peaks that are nobody in noise alone."""
import numpy as np
import pytest
from helpers import PARAMS, from_all_around, through_the_head

import features
from network import gcc_phat, likelihood

TEMPLATES = likelihood.template_cues(PARAMS)
METHODS = {"GCC-PHAT": gcc_phat, "likelihood": likelihood}


def talk(seed):
    """Noise that is loud in every third tenth of a second: talkers of seeds 0, 1 and 2 take turns."""
    on = np.repeat((np.arange(11) + seed) % 3 == 0, 1600)[:PARAMS.sample_length]
    return np.random.default_rng(seed).standard_normal(PARAMS.sample_length) * np.where(on, 1, 0.03)


def cues_of(*ears):
    return features.from_ears(np.sum(ears, axis=0).T, PARAMS)[np.newaxis].astype(np.float16)


def test_the_correlation_is_that_of_the_whitened_ears():
    ears = np.random.default_rng(0).standard_normal((2, PARAMS.sample_length))
    spectra = features.stft(ears, PARAMS)
    cross = spectra[1] * np.conj(spectra[0])
    whitened = (cross / np.abs(cross)).mean(axis=1)
    reference = np.fft.irfft(whitened, 640) * 640 / 2 / 321   # at lags of whole samples; ends counted half
    ends = (whitened[[0, -1]].real[:, np.newaxis] * [np.ones(9), (-1.0) ** np.arange(9)]).sum(axis=0) / 2 / 321
    lags = gcc_phat.correlation(features.from_ears(ears, PARAMS)[np.newaxis], -np.arange(9) / 16_000, PARAMS)[0]
    np.testing.assert_allclose(lags, reference[:9] + ends, atol=1e-5)


def test_delays_are_positive_on_the_right_and_those_of_a_head():
    delay_s = gcc_phat.template_delays_s(TEMPLATES, PARAMS)
    np.testing.assert_allclose(delay_s, -delay_s[::-1], atol=1e-9)   # the shipped head is symmetrical
    assert (np.diff(delay_s) > 0).all()
    assert 0.6e-3 < delay_s[-1] < 0.8e-3


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("azimuth_deg", [(-45,), (-60, 0), (20, 70), (-70, -10, 50)])
def test_talkers_are_found_and_counted(method, azimuth_deg):
    cues = cues_of(*(through_the_head(talk(seed), each) for seed, each in enumerate(azimuth_deg)))
    found = method.read_azimuths(cues, TEMPLATES, PARAMS, most=4)
    assert found.shape == (1, 4)
    assert np.isfinite(found[0, :len(azimuth_deg)]).all()
    assert np.isnan(found[0, len(azimuth_deg):]).all()
    np.testing.assert_allclose(np.sort(found[0, :len(azimuth_deg)]), azimuth_deg, atol=5)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_noise_from_all_around_is_nobody(method):
    noise = np.random.default_rng(0).standard_normal(160_000)
    cues = cues_of(from_all_around(noise, PARAMS.sample_length))
    assert np.isnan(method.read_azimuths(cues, TEMPLATES, PARAMS, most=4)).all()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_highest_peaks_come_first_and_no_more_than_asked_for(method):
    often, seldom = through_the_head(talk(0) + talk(1), -60), through_the_head(talk(2), 30)
    found = method.read_azimuths(cues_of(often, seldom), TEMPLATES, PARAMS, most=1)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(-60, abs=5)
