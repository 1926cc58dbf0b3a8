"""Cues as unit vectors: length one, no seam, no overflow, and TensorFlow computes what NumPy does."""
import numpy as np
import pytest

from network.backend import tf
from network.unit_vectors import unit_vectors

CUES = np.random.default_rng(0).uniform((-3.14, -90), (3.14, 90), (1000, 2))


@pytest.mark.parametrize("library", [np, tf], ids=["numpy", "tensorflow"])
def test_they_have_length_one_and_no_seam(library):
    np.testing.assert_allclose(np.linalg.norm(unit_vectors(CUES, library), axis=1), 1, atol=1e-5)
    seam = np.array(unit_vectors(np.array([[np.pi, 3.0], [-np.pi, 3.0]]), library))
    np.testing.assert_allclose(seam[0], seam[1], atol=1e-6)
    assert np.isfinite(unit_vectors(np.array([[0.0, 60_000], [0.0, -60_000]]), library)).all()


def test_numpy_and_tensorflow_agree():
    for cues in (CUES, CUES.astype(np.float16)):
        one, other = unit_vectors(cues), unit_vectors(cues, tf)
        assert one.dtype == other.numpy().dtype == np.float32
        is_moderate = np.abs(cues[:, 1]) < 30
        np.testing.assert_allclose(one[is_moderate], other[is_moderate], atol=3e-5)
        np.testing.assert_allclose(one, other, atol=1e-3)  # a root of what float32 leaves between a tanh and 1


def test_exchanged_ears_negate_the_first_and_the_last_component():
    np.testing.assert_allclose(unit_vectors(-CUES), unit_vectors(CUES) * [-1, 1, -1], atol=1e-6)


def test_the_angle_is_the_phase_difference_and_the_height_the_level_difference():
    """A source on the right has positive ILD; in a bin of equal levels the vector is (0, cos IPD, sin IPD)."""
    ipd_rad = np.array([-2.0, -0.5, 0.0, 0.7, 3.0])
    level = unit_vectors(np.stack([ipd_rad, np.zeros(5)], axis=1))
    np.testing.assert_allclose(level, np.stack([np.zeros(5), np.cos(ipd_rad), np.sin(ipd_rad)], axis=1), atol=1e-6)
    left, right = np.array([1.0, 2.0, 1.0]), np.array([1.0, 1.0, 3.0])
    ild_db = 20 * np.log10(right / left)
    np.testing.assert_allclose(unit_vectors(np.stack([np.zeros(3), ild_db], axis=1))[:, 0],
                               (right ** 2 - left ** 2) / (right ** 2 + left ** 2), atol=1e-6)
