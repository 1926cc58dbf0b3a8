"""Diffuse noise against the theory of a diffuse field, and the gain that sets the SNR."""
import numpy as np
import pytest
from scipy.signal import coherence

import hrir
from params import Params
from sound import convolution, noise_fields, rooms

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz, PARAMS.azimuth_deg)
LENGTH = PARAMS.sample_length
SIZE = convolution.fft_size(LENGTH + 320)
HRTF = convolution.response_spectrum(HEAD.response, SIZE)


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def diffuse(seed):
    return noise_fields.diffuse(noise(seed, 37, SIZE), HRTF, HEAD.azimuth_deg, LENGTH)


@pytest.fixture(scope="module")
def long_noise():
    """Twenty seconds of diffuse noise at the ears."""
    return np.concatenate([diffuse(seed) for seed in range(20)], axis=1)


@pytest.mark.parametrize("snr_db", [-10, -6, 0, 6, 30])
def test_the_measured_snr_is_the_snr_asked_for(snr_db):
    speech, masker = noise(1, 2, 1_000), 7 * noise(2, 2, 1_000)
    scaled = noise_fields.noise_gain(speech, masker, snr_db) * masker
    measured = 10 * np.log10(np.mean(speech.astype(float) ** 2) / np.mean(scaled.astype(float) ** 2))
    assert measured == pytest.approx(snr_db, abs=1e-3)


def test_the_snr_is_of_both_ears_together():
    one_ear = np.array([[2.0, 2.0], [0.0, 0.0]])
    assert noise_fields.noise_gain(one_ear, np.ones((2, 2)), 0) == pytest.approx(2 ** 0.5)


def test_diffuse_noise_has_the_coherence_of_the_head(long_noise):
    hz, measured = coherence(*long_noise, fs=16_000, nperseg=640)
    left, right, cross = rooms.diffuse_field(HEAD.response, HEAD.azimuth_deg, 640)
    error = np.abs(measured - np.abs(cross) ** 2 / (left * right))[(hz >= 100) & (hz < 7000)]
    assert error.max() < 0.15
    assert error.mean() < 0.03


def test_diffuse_noise_is_coherent_at_low_frequencies_alone(long_noise):
    hz, measured = coherence(*long_noise, fs=16_000, nperseg=640)
    assert measured[(hz >= 75) & (hz <= 150)].mean() > 0.75
    assert measured[(hz > 2000) & (hz < 7000)].mean() < 0.15


def test_diffuse_noise_is_as_loud_at_both_ears(long_noise):
    level_db = 10 * np.log10(np.mean(np.square(long_noise), axis=1))
    assert abs(level_db[0] - level_db[1]) < 0.5


@pytest.mark.parametrize(("row", "loudness"), [(0, 1), (10, 2 ** 0.5), (18, 2 ** 0.5), (36, 1)])
def test_a_direction_in_front_also_stands_for_its_mirror_image_behind(row, loudness):
    excerpts = np.zeros((37, SIZE), np.float32)
    excerpts[row] = noise(6, SIZE)
    got = noise_fields.diffuse(excerpts, HRTF, HEAD.azimuth_deg, LENGTH)
    np.testing.assert_allclose(got, loudness * convolution.at_ears(excerpts[row], HRTF[row], LENGTH), atol=1e-4)


def test_an_eq_filters_all_of_the_noise():
    delay = np.zeros(200, np.float32)
    delay[100] = 0.5
    plain, filtered = (noise_fields.diffuse(noise(3, 37, SIZE), HRTF, HEAD.azimuth_deg, LENGTH, eq)
                       for eq in (None, convolution.response_spectrum(delay, SIZE)))
    np.testing.assert_allclose(filtered[:, 100:], 0.5 * plain[:, :-100], atol=1e-4)
