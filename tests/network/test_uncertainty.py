"""Stated half-widths hold the share of errors they state; bands that disagree with an answer widen them."""
import numpy as np
import pytest

from network.uncertainty import Calibration, band_disagreement_deg, error_predictors
from params import Params

PARAMS = Params()


def peaked(azimuth_deg, sharpness=1.0):
    """Log-likelihoods of bands, parabolas whose tops lie anywhere: (..., class)."""
    return -sharpness * np.square(np.array(PARAMS.class_deg) - np.asarray(azimuth_deg)[..., np.newaxis])


def test_bands_that_agree_with_the_answer_do_not_disagree():
    azimuth_deg = np.array([-90.0, -41.3, 0.4, 77.7, 90.0])
    bands_deg = np.stack([azimuth_deg] * 20, axis=1)
    for log_likelihoods in (peaked(bands_deg), 7 + peaked(bands_deg, 1e-4)):
        np.testing.assert_allclose(band_disagreement_deg(azimuth_deg, log_likelihoods, PARAMS), 0, atol=1e-6)


def test_disagreement_is_that_of_the_nearest_quarter_of_the_bands():
    bands_deg = np.array([[12.0] * 6 + [70.0, -80.0] * 7])
    assert band_disagreement_deg(np.array([10.0]), peaked(bands_deg), PARAMS)[0] == pytest.approx(2, abs=1e-6)
    bands_deg[0, :2] = 40
    assert band_disagreement_deg(np.array([10.0]), peaked(bands_deg), PARAMS)[0] > 20


def test_disagreement_of_the_mirrored_is_the_same():
    rng = np.random.default_rng(0)
    azimuth_deg, log_likelihoods = rng.uniform(-90, 90, 100), rng.normal(size=(100, 20, 37))
    np.testing.assert_allclose(band_disagreement_deg(-azimuth_deg, log_likelihoods[..., ::-1], PARAMS),
                               band_disagreement_deg(azimuth_deg, log_likelihoods, PARAMS), atol=1e-9)


def some_distributions(count):
    return np.random.default_rng(1).dirichlet(np.full(37, 0.1), count)


@pytest.mark.slow
def test_calibrated_half_widths_hold_the_share_of_errors_they_state():
    rng = np.random.default_rng(0)
    width_deg, azimuth_deg = rng.uniform(4, 40, 16_000), rng.uniform(-90, 90, 16_000)
    disagreement, contrast, log_odds = rng.exponential(3, 16_000), rng.lognormal(size=16_000), rng.normal(size=16_000)
    error_deg = np.abs(rng.standard_t(2, 32_000).reshape(2, -1) * width_deg / 50)  # with far outliers
    error_deg *= (1 + np.abs(azimuth_deg) / 60) * (0.3 + disagreement) * contrast ** 0.25
    predictors = error_predictors(azimuth_deg, width_deg, some_distributions(16_000), disagreement, contrast,
                                  log_odds)
    calibration = Calibration.fit(predictors, error_deg[0])
    within_68_deg, within_95_deg = calibration.half_widths(predictors)
    for some in (width_deg < 15, width_deg >= 15, np.abs(azimuth_deg) < 20, np.abs(azimuth_deg) > 70, disagreement < 1,
                 disagreement > 5, (disagreement > 5) & (width_deg < 15)):
        assert np.mean(error_deg[1][some] <= within_68_deg[some]) == pytest.approx(0.68, abs=0.04)
        assert np.mean(error_deg[1][some] <= within_95_deg[some]) == pytest.approx(0.95, abs=0.02)
    assert np.mean((error_deg[1] <= within_68_deg)[np.log(contrast) > 1]) == pytest.approx(0.68, abs=0.04)
    assert np.mean((error_deg[1] <= within_95_deg)[np.log(contrast) > 1]) == pytest.approx(0.95, abs=0.02)
    assert np.all(within_95_deg >= within_68_deg)
    without = Calibration.fit(predictors[:, :3], error_deg[0])
    assert np.mean(error_deg[1][disagreement > 5] <= without.half_widths(predictors[:, :3])[0][disagreement > 5]) < 0.6


def test_what_was_never_seen_in_calibration_counts_as_the_most_extreme_that_was():
    rng = np.random.default_rng(0)
    predictors, error_deg = rng.uniform(-1, 1, (2000, 3)), rng.uniform(0, 9, 2000)
    calibration = Calibration.fit(predictors, error_deg)
    beyond, at_the_end = (calibration.half_widths(np.full((1, 3), value)) for value in (1e6, 1.0))
    np.testing.assert_array_equal(beyond, at_the_end)


def test_the_95_percent_half_width_is_never_the_smaller_one():
    """Two regressions may cross beyond the answers that they were fitted to."""
    crossing = Calibration((-1.0,), (1.0,), (np.log(10.0), 0.0), (np.log(5.0), 1.0))
    near, far = crossing.half_widths(np.array([[-1.0], [1.0]]))
    np.testing.assert_allclose(near, 10, atol=0.1)
    np.testing.assert_allclose(far, [10, 5 * np.e], atol=0.1)


def test_few_errors_are_enough_to_calibrate():
    for count in (1, 5, 100):
        predictors = error_predictors(np.linspace(-9, 60, count), np.linspace(4, 9, count), some_distributions(count))
        calibration = Calibration.fit(predictors, np.linspace(0, 1, count))
        others = error_predictors(np.array([0.0, -90.0]), np.array([0.0, 100.0]), np.eye(37)[:2])
        near, far = calibration.half_widths(others)
        assert np.all((near >= 0) & (near <= far) & (far <= 1.5))


def test_errors_of_nothing_can_be_calibrated():
    predictors = error_predictors(np.zeros(500), np.linspace(4, 9, 500), some_distributions(500))
    calibration = Calibration.fit(predictors, np.zeros(500))
    np.testing.assert_allclose(calibration.half_widths(predictors[:3]), 0, atol=1e-6)


def test_a_calibration_of_many_answers_uses_some_of_them_all_along():
    predictors, error_deg = np.random.default_rng(0).uniform(size=(100_000, 1)), np.linspace(0, 10, 100_000)
    near, far = Calibration.fit(predictors, error_deg).half_widths(np.full((1, 1), 0.5))
    assert (near[0], far[0]) == (pytest.approx(6.8, abs=0.3), pytest.approx(9.5, abs=0.2))


def test_half_widths_of_a_mirrored_answer_are_the_same():
    rng = np.random.default_rng(0)
    azimuth_deg, width_deg = rng.uniform(-90, 90, 900), rng.uniform(3, 9, 900)
    distribution = some_distributions(900)
    predictors = error_predictors(azimuth_deg, width_deg, distribution)
    mirrored = error_predictors(-azimuth_deg, width_deg, distribution[:, ::-1])
    calibration = Calibration.fit(predictors, rng.uniform(0, 9, 900))
    np.testing.assert_array_equal(calibration.half_widths(predictors), calibration.half_widths(mirrored))


def test_noise_alone_is_told_from_sources_where_training_heard_it():
    rng = np.random.default_rng(0)
    source, noise = rng.normal(0, 1, (2000, 3)), rng.normal(2.5, 1, (2000, 3))
    error_deg = np.abs(rng.normal(0, 2, 2000))
    taught, untaught = Calibration.fit(source, error_deg, noise), Calibration.fit(source, error_deg)
    assert np.mean(taught.source_log_odds(source) > 0) > 0.97
    assert np.mean(taught.source_log_odds(noise) < 0) > 0.97
    assert np.isnan(untaught.source_log_odds(source)).all()


def test_noise_alone_moves_no_half_width():
    rng = np.random.default_rng(1)
    predictors, error_deg = rng.normal(0, 1, (3000, 2)), np.abs(rng.normal(0, 3, 3000))
    noise = rng.normal(0, 1, (3000, 2))
    one, other = (Calibration.fit(predictors, error_deg, each).half_widths(predictors)[0] for each in (noise, None))
    np.testing.assert_allclose(np.median(one), np.median(other), rtol=0.05)
