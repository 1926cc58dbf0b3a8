"""Heads that nobody measured: their spectra and the levels at their sides."""
import numpy as np
import pytest

from params import Params
from sound import heads

AZIMUTH_DEG = np.array(Params().azimuth_deg, float)
CLICK = np.zeros((37, 2, 3), np.float32)
CLICK[..., 1] = 1
INSIDE = slice(20, 490)  # 300 Hz to 7.6 kHz


@pytest.fixture(scope="module")
def levels_db():
    """Spectra of many heads of flat measured responses: (head, azimuth, ear, bin)."""
    rng = np.random.default_rng(0)
    responses = [heads.recoloured(rng, CLICK, AZIMUTH_DEG, 2.0) for _ in range(60)]
    return 20 * np.log10(np.abs(np.fft.rfft(responses, 1024)))[..., INSIDE]


def test_another_head_has_spectra_of_the_standard_deviation_asked_for(levels_db):
    """Midway between the directions that are drawn a mean of two is smaller."""
    assert levels_db[:, [0, 9, 18, 27, 36]].std() == pytest.approx(2.0, rel=0.1)


def test_half_of_the_variance_is_common_to_both_ears(levels_db):
    left, right = levels_db[:, 18, 0], levels_db[:, 18, 1]
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] == pytest.approx(0.5, abs=0.1)


def test_spectra_change_slowly_with_the_direction(levels_db):
    assert np.abs(np.diff(levels_db, axis=1)).mean() < 0.4  # dB in 5 degrees


def test_spectra_of_directions_45_degrees_apart_are_independent(levels_db):
    assert abs(np.corrcoef(levels_db[:, 0].ravel(), levels_db[:, 9].ravel())[0, 1]) < 0.15


def test_another_head_keeps_its_delays():
    response = heads.recoloured(np.random.default_rng(0), CLICK, AZIMUTH_DEG, 2.0)
    assert response.shape == (37, 2, 3 + 255)
    assert np.all(np.abs(response).argmax(axis=-1) == 1)


def test_the_level_goes_from_the_front_to_the_sides():
    level_db = 20 * np.log10(heads.side_level(np.random.default_rng(0), AZIMUTH_DEG, (-6, -6)))
    np.testing.assert_allclose(level_db[[0, 18, 36]], [-6, 0, -6], atol=1e-4)
    np.testing.assert_allclose(level_db, level_db[::-1], atol=1e-6)
    assert np.all(np.diff(level_db[18:]) <= 1e-6)


def test_the_sides_begin_between_15_and_90_degrees():
    rng = np.random.default_rng(0)
    begins = [15 + 5 * np.argmax(heads.side_level(rng, np.arange(15, 91, 5), (-6, -6)) < 10 ** (-5.99 / 20))
              for _ in range(100)]
    assert min(begins) < 30
    assert max(begins) > 80


def test_the_level_is_drawn_from_its_range():
    rng = np.random.default_rng(0)
    levels_db = [20 * np.log10(heads.side_level(rng, np.array([90.0]), (-8, 2))[0]) for _ in range(100)]
    assert -8 <= min(levels_db) < -7
    assert 1 < max(levels_db) <= 2
