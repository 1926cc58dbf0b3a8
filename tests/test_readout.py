"""Labels are distributions around their azimuth, and reading them out gives the azimuth and no spread."""
import numpy as np
import pytest

from params import Params
from readout import Calibration, read_out, soft_labels, uncalibrated_spread

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
    assert np.abs(azimuth_deg - FINE).max() < 0.15
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


def test_calibrated_spreads_hold_the_share_of_errors_they_state():
    rng = np.random.default_rng(0)
    width_deg = rng.uniform(4, 40, 20_000)
    azimuth_deg = rng.uniform(-90, 90, 20_000)
    error_deg = np.abs(rng.standard_t(2, 40_000).reshape(2, -1) * (width_deg - 3) / 5)  # with far outliers
    error_deg *= 1 + np.abs(azimuth_deg) / 60
    calibration = Calibration.fit(azimuth_deg, width_deg, error_deg[0])
    within_68_deg, within_95_deg = calibration.spreads(azimuth_deg, width_deg)
    for some in (width_deg < 15, width_deg >= 15, np.abs(azimuth_deg) < 20, np.abs(azimuth_deg) > 70):
        assert np.mean(error_deg[1][some] <= within_68_deg[some]) == pytest.approx(0.68, abs=0.03)
        assert np.mean(error_deg[1][some] <= within_95_deg[some]) == pytest.approx(0.95, abs=0.02)
    assert np.all(np.diff(calibration.within_68_deg) >= 0)
    assert np.all(np.array(calibration.within_95_deg) >= calibration.within_68_deg)


def test_few_errors_are_enough_to_calibrate():
    for count in (1, 5, 100):
        calibration = Calibration.fit(np.linspace(-9, 60, count), np.linspace(4, 9, count), np.linspace(0, 1, count))
        assert np.isfinite(calibration.spreads(np.array([0.0, -90.0]), np.array([0.0, 100.0]))).all()


def test_errors_of_nothing_can_be_calibrated():
    calibration = Calibration.fit(np.zeros(500), np.linspace(4, 9, 500), np.zeros(500))
    assert calibration.spreads(np.zeros(1), np.array([5.0])) == (0, 0)


def test_spreads_of_a_mirrored_answer_are_the_same():
    rng = np.random.default_rng(0)
    calibration = Calibration.fit(rng.uniform(-90, 90, 900), rng.uniform(3, 9, 900), rng.uniform(0, 9, 900))
    some, width_deg = rng.uniform(-90, 90, 50), rng.uniform(3, 9, 50)
    np.testing.assert_array_equal(calibration.spreads(some, width_deg), calibration.spreads(-some, width_deg))


def test_reading_out_mirrors():
    distribution = np.random.default_rng(0).dirichlet(np.ones(37), 200)
    one, other = read_out(distribution, PARAMS), read_out(distribution[:, ::-1], PARAMS)
    np.testing.assert_allclose(other[0], -one[0], atol=1e-9)
    np.testing.assert_allclose(other[1], one[1], atol=1e-9)
