"""Convolution, noise fields and levels against their definitions."""
import numpy as np
import pytest
from scipy.signal import coherence, fftconvolve

import features
import hrir
import scene
from params import Params

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz)
LENGTH, LEAD_IN = PARAMS.excerpt_length, PARAMS.lead_in_samples
HEARD_FROM = scene.response_spectrum(HEAD.response, LENGTH, LEAD_IN)


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_convolution_is_linear_and_in_full_swing():
    excerpt = noise(0, LENGTH)
    at_ears = scene.at_ears(excerpt, HEARD_FROM, LEAD_IN)
    assert at_ears.shape == (37, 2, PARAMS.sample_length)
    for row, ear in ((0, 0), (18, 1), (36, 0)):
        expected = fftconvolve(excerpt.astype(np.float64), HEAD.response[row, ear])[LEAD_IN:LENGTH]
        np.testing.assert_allclose(at_ears[row, ear], expected, atol=1e-4)


def test_a_response_longer_than_the_lead_in_is_refused():
    with pytest.raises(ValueError, match="lead-in of 321"):
        scene.response_spectrum(np.zeros((1, 2, 322), np.float32), LENGTH, LEAD_IN)


@pytest.mark.parametrize("snr_db", [-10, -6, 0, 6, 30])
def test_the_measured_snr_is_the_snr_asked_for(snr_db):
    speech = scene.at_ears(noise(1, LENGTH), HEARD_FROM, LEAD_IN)[18]
    masker = scene.diffuse(noise(2, 37, LENGTH), HEARD_FROM, LEAD_IN)
    scaled = scene.noise_gain(speech, masker, snr_db) * masker
    measured = 10 * np.log10(np.mean(speech.astype(float) ** 2) / np.mean(scaled.astype(float) ** 2))
    assert measured == pytest.approx(snr_db, abs=1e-3)


def test_mixed_cues_are_those_of_the_mixed_signals():
    speech = scene.at_ears(noise(3, LENGTH), HEARD_FROM, LEAD_IN)
    masker = scene.diffuse(noise(4, 37, LENGTH), HEARD_FROM, LEAD_IN)
    for gain, cues in zip((0.1, 2.0), scene.mixed_cues(speech, masker, (0.1, 2.0), PARAMS)):
        expected = features.from_ears(speech[[3, 30]] + np.float32(gain) * masker, PARAMS)
        assert cues.shape == (37, *PARAMS.sample_shape)
        assert cues.dtype == np.float16
        phase_error = np.angle(np.exp(1j * (cues[[3, 30], ..., 0].astype(float) - expected[..., 0])))
        assert np.quantile(np.abs(phase_error), 0.999) < 3e-3
        assert np.quantile(np.abs(cues[[3, 30], ..., 1] - expected[..., 1]), 0.999) < 0.03  # float16 holds 11 bits


def test_diotic_noise_has_no_cues():
    assert not features.from_ears(scene.diotic(noise(5, PARAMS.sample_length)), PARAMS).any()


def diffuse_noise(seconds):
    return np.concatenate([scene.diffuse(noise(seed, 37, LENGTH), HEARD_FROM, LEAD_IN) for seed in range(seconds)],
                          axis=1)


def test_diffuse_noise_is_coherent_at_low_frequencies_only():
    many = diffuse_noise(seconds=20)
    hz, power = coherence(many[0], many[1], fs=16_000, nperseg=640)
    assert power[(hz >= 75) & (hz <= 150)].mean() > 0.75
    assert power[(hz > 2000) & (hz < 7000)].mean() < 0.15


def test_diffuse_noise_prefers_no_side():
    many = diffuse_noise(seconds=20)
    level = 10 * np.log10(np.mean(np.square(many), axis=1))
    assert abs(level[0] - level[1]) < 0.5


def test_diffuse_noise_counts_the_front_for_the_back():
    still = np.zeros((37, LENGTH), np.float32)
    inner, end = still.copy(), still.copy()
    inner[10], end[36] = noise(6, LENGTH), noise(6, LENGTH)
    single = scene.at_ears(noise(6, LENGTH), HEARD_FROM, LEAD_IN)
    np.testing.assert_allclose(scene.diffuse(inner, HEARD_FROM, LEAD_IN), np.sqrt(2) * single[10], atol=1e-4)
    np.testing.assert_allclose(scene.diffuse(end, HEARD_FROM, LEAD_IN), single[36], atol=1e-4)


def test_excerpts_of_silence_are_not_drawn():
    signal = np.concatenate((np.zeros(50_000), noise(7, 30_000), np.zeros(50_000)))
    starts = scene.eligible_starts(signal, 16_000, 20)
    assert starts.min() > 50_000 - 16_000
    assert starts.max() < 80_000
    power = scene.running_power(signal, 16_000)
    assert 10 * np.log10(power[starts].min() / power.max()) >= -20.001
    assert set(np.flatnonzero(power >= power.max() / 100)) == set(starts)


def test_draws_cover_the_file():
    rng, starts = np.random.default_rng(0), np.arange(1000)
    drawn = [scene.draw_start(rng, starts, part, 4) for part in range(4)]
    assert [start // 250 for start in drawn] == [0, 1, 2, 3]
    assert {scene.draw_start(rng, np.arange(3)) for _ in range(100)} == {0, 1, 2}


@pytest.mark.parametrize("count", [1, 7, 100, 10_000])
def test_short_noise_goes_round(count):
    noise_file = np.arange(count)
    endless = scene.looped(noise_file, 256)
    for start in (0, count // 2, count - 1):
        assert np.array_equal(endless[start:start + 256], np.arange(start, start + 256) % count)
