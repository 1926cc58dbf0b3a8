"""Labels are distributions around their azimuth, and reading them out gives the azimuth and no spread."""
import numpy as np
import pytest

from params import Params
from readout import Calibration, parting_deg, read_out, signs_of, soft_labels, uncalibrated_spread

PARAMS = Params()
FINE = np.linspace(-90, 90, 1441)


def test_soft_labels_are_distributions_around_their_azimuth():
    labels = soft_labels(FINE, PARAMS)
    assert labels.shape == (len(FINE), 37)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    grid = np.array(PARAMS.azimuth_deg)
    assert np.abs(grid[labels.argmax(axis=1)] - FINE).max() <= 2.5
    spread = np.sqrt((labels[720] * grid ** 2).sum())
    expected = np.sqrt(PARAMS.label_spread_deg ** 2 + 5 ** 2 / 12)  # the Gaussian and the width of a class
    assert spread == pytest.approx(expected, abs=0.1)


def test_reading_out_a_soft_label_gives_its_azimuth_and_no_spread():
    azimuth_deg, width_deg = read_out(soft_labels(FINE, PARAMS), PARAMS)
    is_halfway = FINE % 5 == 2.5  # between two classes, where either may be the peak
    assert np.abs(azimuth_deg - FINE)[~is_halfway].max() < 0.15
    assert np.abs(azimuth_deg - FINE)[is_halfway].max() < 0.2
    assert np.ptp(width_deg) < 0.2  # at the ends too, where labels are one-sided
    assert uncalibrated_spread(width_deg, PARAMS).max() < 1.0


@pytest.mark.parametrize("spread_deg", [5.0, 10.0, 20.0])
def test_a_wider_distribution_has_the_spread_it_adds(spread_deg):
    offsets = np.random.default_rng(0).normal(0, spread_deg, 20_000)
    blurred = soft_labels(offsets, PARAMS).mean(axis=0, keepdims=True)
    assert uncalibrated_spread(read_out(blurred, PARAMS)[1], PARAMS)[0] == pytest.approx(spread_deg, rel=0.05)


def test_reading_out_keeps_to_the_highest_peak_and_the_spread_tells_of_the_other():
    one, other = soft_labels(np.array([-40.0]), PARAMS), soft_labels(np.array([50.0]), PARAMS)
    azimuth_deg, width_deg = read_out(0.6 * one + 0.4 * other, PARAMS)
    assert azimuth_deg[0] == pytest.approx(-40, abs=0.2)
    assert uncalibrated_spread(width_deg, PARAMS)[0] == pytest.approx(np.sqrt(0.4) * 90, rel=0.02)


def peaked(azimuth_deg, sharpness=1.0):
    """Fits of bands, parabolas whose tops lie anywhere: (..., class)."""
    return -sharpness * np.square(np.array(PARAMS.class_deg) - np.asarray(azimuth_deg)[..., np.newaxis])


def test_bands_that_agree_with_the_answer_do_not_part_from_it():
    azimuth_deg = np.array([-90.0, -41.3, 0.4, 77.7, 90.0])
    bands_deg = np.stack([azimuth_deg] * 20, axis=1)
    for fits in (peaked(bands_deg), 7 + peaked(bands_deg, 1e-4)):
        np.testing.assert_allclose(parting_deg(azimuth_deg, fits, PARAMS), 0, atol=1e-6)


def test_parting_is_that_of_the_quarter_of_bands_that_is_nearest():
    bands_deg = np.array([[12.0] * 6 + [70.0, -80.0] * 7])
    assert parting_deg(np.array([10.0]), peaked(bands_deg), PARAMS)[0] == pytest.approx(2, abs=1e-6)
    bands_deg[0, :2] = 40
    assert parting_deg(np.array([10.0]), peaked(bands_deg), PARAMS)[0] > 20


def test_parting_of_the_mirrored_is_the_same():
    rng = np.random.default_rng(0)
    azimuth_deg, fits = rng.uniform(-90, 90, 100), rng.normal(size=(100, 20, 37))
    np.testing.assert_allclose(parting_deg(-azimuth_deg, fits[..., ::-1], PARAMS),
                               parting_deg(azimuth_deg, fits, PARAMS), atol=1e-9)


def some_distributions(count):
    return np.random.default_rng(1).dirichlet(np.full(37, 0.1), count)


def test_calibrated_spreads_hold_the_share_of_errors_they_state():
    rng = np.random.default_rng(0)
    width_deg, azimuth_deg = rng.uniform(4, 40, 16_000), rng.uniform(-90, 90, 16_000)
    parting, sizes = rng.exponential(3, 16_000), rng.normal(size=(16_000, 2))
    error_deg = np.abs(rng.standard_t(2, 32_000).reshape(2, -1) * width_deg / 50)  # with far outliers
    error_deg *= (1 + np.abs(azimuth_deg) / 60) * (0.3 + parting) * np.exp(sizes[:, 0] / 4)
    signs = signs_of(azimuth_deg, width_deg, some_distributions(16_000), parting, sizes)
    calibration = Calibration.fit(signs, error_deg[0])
    within_68_deg, within_95_deg = calibration.spreads(signs)
    for some in (width_deg < 15, width_deg >= 15, np.abs(azimuth_deg) < 20, np.abs(azimuth_deg) > 70, parting < 1,
                 parting > 5, (parting > 5) & (width_deg < 15)):
        assert np.mean(error_deg[1][some] <= within_68_deg[some]) == pytest.approx(0.68, abs=0.03)
        assert np.mean(error_deg[1][some] <= within_95_deg[some]) == pytest.approx(0.95, abs=0.02)
    assert np.mean((error_deg[1] <= within_68_deg)[sizes[:, 0] > 1]) == pytest.approx(0.68, abs=0.04)
    assert np.mean((error_deg[1] <= within_95_deg)[sizes[:, 0] > 1]) == pytest.approx(0.95, abs=0.02)
    assert np.all(within_95_deg >= within_68_deg)
    without = Calibration.fit(signs[:, :3], error_deg[0])
    assert np.mean(error_deg[1][parting > 5] <= without.spreads(signs[:, :3])[0][parting > 5]) < 0.6


def test_what_was_never_seen_in_calibration_counts_as_the_most_extreme_that_was():
    rng = np.random.default_rng(0)
    signs, error_deg = rng.uniform(-1, 1, (2000, 3)), rng.uniform(0, 9, 2000)
    calibration = Calibration.fit(signs, error_deg)
    np.testing.assert_array_equal(calibration.spreads(np.full((1, 3), 1e6)), calibration.spreads(np.full((1, 3), 1.0)))


def test_few_errors_are_enough_to_calibrate():
    for count in (1, 5, 100):
        signs = signs_of(np.linspace(-9, 60, count), np.linspace(4, 9, count), some_distributions(count))
        calibration = Calibration.fit(signs, np.linspace(0, 1, count))
        others = signs_of(np.array([0.0, -90.0]), np.array([0.0, 100.0]), np.eye(37)[:2])
        near, far = calibration.spreads(others)
        assert np.all((near >= 0) & (near <= far) & (far <= 1.5))


def test_errors_of_nothing_can_be_calibrated():
    signs = signs_of(np.zeros(500), np.linspace(4, 9, 500), some_distributions(500))
    calibration = Calibration.fit(signs, np.zeros(500))
    np.testing.assert_allclose(calibration.spreads(signs[:3]), 0, atol=1e-6)


def test_a_calibration_of_many_answers_uses_some_of_them_all_along():
    signs, error_deg = np.random.default_rng(0).uniform(size=(100_000, 1)), np.linspace(0, 10, 100_000)
    near, far = Calibration.fit(signs, error_deg).spreads(np.full((1, 1), 0.5))
    assert (near[0], far[0]) == (pytest.approx(6.8, abs=0.3), pytest.approx(9.5, abs=0.2))


def test_spreads_of_a_mirrored_answer_are_the_same():
    rng = np.random.default_rng(0)
    azimuth_deg, width_deg = rng.uniform(-90, 90, 900), rng.uniform(3, 9, 900)
    distribution = some_distributions(900)
    signs = signs_of(azimuth_deg, width_deg, distribution)
    mirrored = signs_of(-azimuth_deg, width_deg, distribution[:, ::-1])
    calibration = Calibration.fit(signs, rng.uniform(0, 9, 900))
    np.testing.assert_array_equal(calibration.spreads(signs), calibration.spreads(mirrored))


def test_reading_out_mirrors():
    distribution = np.random.default_rng(0).dirichlet(np.ones(37), 200)
    one, other = read_out(distribution, PARAMS), read_out(distribution[:, ::-1], PARAMS)
    np.testing.assert_allclose(other[0], -one[0], atol=1e-9)
    np.testing.assert_allclose(other[1], one[1], atol=1e-9)
