"""Random EQ curves and the filters that apply them."""
import numpy as np
import pytest

from sound import coloration

CURVES = coloration.random_curve(np.random.default_rng(0), 2.0, (500,))
HZ = np.linspace(0, 8000, CURVES.shape[-1])


def test_curves_have_the_standard_deviation_asked_for():
    assert CURVES.std() == pytest.approx(2.0, rel=0.1)


def test_curves_have_no_mean_over_the_draws():
    assert np.abs(CURVES.mean(axis=0)).max() < 0.5


def test_curves_are_smooth():
    assert np.abs(np.diff(CURVES, axis=1))[:, HZ[1:] > 1000].max() < 0.5  # dB in 16 Hz


def test_curves_at_distant_frequencies_are_independent():
    assert abs(np.corrcoef(CURVES[:, np.argmin(np.abs(HZ - 1000))], CURVES[:, -1])[0, 1]) < 0.3


def test_a_filter_has_its_curve():
    curve = CURVES[0]
    response_db = 20 * np.log10(np.abs(np.fft.rfft(coloration.minimum_phase(curve), 1024)))
    assert np.abs(response_db - curve).max() < 0.3


def test_no_filter_of_the_same_magnitude_has_its_energy_earlier():
    taps = coloration.minimum_phase(CURVES[0])
    assert np.all(np.cumsum(np.square(taps)) >= np.cumsum(np.square(taps[::-1])) - 1e-6)


def test_a_flat_curve_is_a_gain():
    taps = coloration.minimum_phase(np.full((2, 513), -20.0))
    np.testing.assert_allclose(taps, [[0.1] + 255 * [0]] * 2, atol=1e-6)
