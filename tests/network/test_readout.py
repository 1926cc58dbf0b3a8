"""Labels are distributions around their azimuth, and reading them out gives the azimuth and no extra width."""
import numpy as np
import pytest

from network.readout import read_out, soft_labels
from network.uncertainty import uncalibrated_half_width
from params import Params

PARAMS = Params()
FINE = np.linspace(-90, 90, 1441)


def test_soft_labels_are_distributions_around_their_azimuth():
    labels = soft_labels(FINE, PARAMS)
    assert labels.shape == (len(FINE), 37)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    grid = np.array(PARAMS.azimuth_deg)
    assert np.abs(grid[labels.argmax(axis=1)] - FINE).max() <= 2.5
    width = np.sqrt((labels[720] * grid ** 2).sum())
    expected = np.sqrt(PARAMS.label_sigma_deg ** 2 + 5 ** 2 / 12)  # the Gaussian and the width of a class
    assert width == pytest.approx(expected, abs=0.1)


def test_reading_out_a_soft_label_gives_its_azimuth_and_no_half_width():
    azimuth_deg, width_deg = read_out(soft_labels(FINE, PARAMS), PARAMS)
    is_halfway = FINE % 5 == 2.5  # between two classes, where either may be the peak
    assert np.abs(azimuth_deg - FINE)[~is_halfway].max() < 0.15
    assert np.abs(azimuth_deg - FINE)[is_halfway].max() < 0.2
    assert np.ptp(width_deg) < 0.2  # at the ends too, where labels are one-sided
    assert uncalibrated_half_width(width_deg, PARAMS).max() < 1.0


@pytest.mark.parametrize("sigma_deg", [5.0, 10.0, 20.0])
def test_a_wider_distribution_has_the_half_width_it_adds(sigma_deg):
    offsets = np.random.default_rng(0).normal(0, sigma_deg, 20_000)
    blurred = soft_labels(offsets, PARAMS).mean(axis=0, keepdims=True)
    assert uncalibrated_half_width(read_out(blurred, PARAMS)[1], PARAMS)[0] == pytest.approx(sigma_deg, rel=0.05)


def test_reading_out_keeps_to_the_highest_peak_and_the_half_width_tells_of_the_other():
    one, other = soft_labels(np.array([-40.0]), PARAMS), soft_labels(np.array([50.0]), PARAMS)
    azimuth_deg, width_deg = read_out(0.6 * one + 0.4 * other, PARAMS)
    assert azimuth_deg[0] == pytest.approx(-40, abs=0.2)
    assert uncalibrated_half_width(width_deg, PARAMS)[0] == pytest.approx(np.sqrt(0.4) * 90, rel=0.02)


def test_reading_out_mirrors():
    distribution = np.random.default_rng(0).dirichlet(np.ones(37), 200)
    one, other = read_out(distribution, PARAMS), read_out(distribution[:, ::-1], PARAMS)
    np.testing.assert_allclose(other[0], -one[0], atol=1e-9)
    np.testing.assert_allclose(other[1], one[1], atol=1e-9)
