"""Peaks of presence: the targets of talkers read back as the talkers, and what is no peak is none."""
import itertools

import numpy as np
import pytest

from network.peaks import PRESENCE_SIGMA_DEG, THRESHOLD, presence_targets, read_peaks
from params import Params

PARAMS = Params()
GRID = np.array(PARAMS.class_deg, np.float64)


def ascending(peaks):
    """Azimuths of each sample from left to right, NaN last."""
    return np.sort(peaks.azimuth_deg, axis=1)


def test_a_target_is_one_at_each_talker_and_falls_by_the_stated_sigma():
    targets = presence_targets([[-30, 40], [0, np.nan]], PARAMS)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets[0, np.isin(GRID, (-30, 40))], 1)
    np.testing.assert_allclose(targets[1], np.exp(-0.5 * np.square(GRID / PRESENCE_SIGMA_DEG)), atol=1e-7)


def test_nobody_is_presence_nowhere_and_no_peak():
    targets = presence_targets(np.full((3, 2), np.nan), PARAMS)
    assert not targets.any()
    assert presence_targets(np.empty((3, 0)), PARAMS).shape == (3, 37)
    assert read_peaks(targets, PARAMS).azimuth_deg.shape == (3, 0)
    assert np.isnan(read_peaks(targets, PARAMS, most=2).confidence).all()


def test_the_target_of_any_one_azimuth_gives_that_azimuth():
    azimuth_deg = np.linspace(-90, 90, 1801)[:, np.newaxis]
    peaks = read_peaks(presence_targets(azimuth_deg, PARAMS), PARAMS)
    assert peaks.azimuth_deg.shape == (1801, 1)
    np.testing.assert_allclose(peaks.azimuth_deg, azimuth_deg, atol=0.01)
    np.testing.assert_allclose(peaks.confidence, 1, atol=1e-4)
    np.testing.assert_allclose(peaks.half_width_deg, 2)


@pytest.mark.parametrize("apart_deg", [15, 17.3, 40])
def test_the_targets_of_talkers_apart_give_their_azimuths(apart_deg):
    first = np.arange(-90, 90 - 2 * apart_deg + 1e-9, 0.7)
    azimuth_deg = first[:, np.newaxis] + apart_deg * np.arange(3)
    azimuth_deg[::2, 2] = np.nan
    peaks = read_peaks(presence_targets(azimuth_deg, PARAMS), PARAMS)
    np.testing.assert_allclose(ascending(peaks), azimuth_deg, atol=0.5)


def test_exchanged_ears_mirror_the_peaks():
    presence = np.random.default_rng(0).random((200, 37))
    as_is, mirrored = read_peaks(presence, PARAMS), read_peaks(presence[:, ::-1], PARAMS)
    np.testing.assert_allclose(ascending(mirrored), np.sort(-as_is.azimuth_deg, axis=1), atol=1e-4)


def test_the_strongest_come_first_and_the_others_are_left_out():
    presence = presence_targets([[-60.0]], PARAMS) * 0.7 + presence_targets([[0.0]], PARAMS) * 0.95 \
        + presence_targets([[60.0]], PARAMS) * 0.8
    np.testing.assert_allclose(read_peaks(presence, PARAMS).azimuth_deg, [[0, 60, -60]], atol=0.1)
    np.testing.assert_allclose(read_peaks(presence, PARAMS, most=2).azimuth_deg, [[0, 60]], atol=0.1)
    np.testing.assert_allclose(read_peaks(presence, PARAMS, most=2).confidence, [[0.95, 0.8]], atol=0.01)
    assert np.isnan(read_peaks(presence, PARAMS, most=5).azimuth_deg[0, 3:]).all()
    np.testing.assert_allclose(read_peaks(presence, PARAMS, threshold=0.9).azimuth_deg, [[0]], atol=0.1)


def test_what_stays_below_the_threshold_is_no_source_wherever_it_lies_on_the_grid():
    azimuth_deg = np.linspace(-90, 90, 361)[:, np.newaxis]
    targets = presence_targets(azimuth_deg, PARAMS)
    assert read_peaks(targets * (THRESHOLD - 0.01), PARAMS).azimuth_deg.shape[1] == 0
    assert np.isfinite(read_peaks(targets * (THRESHOLD + 0.01), PARAMS).azimuth_deg).all()


def test_peaks_closer_than_ten_degrees_are_the_stronger_one():
    presence = np.zeros((1, 37))
    presence[0, 17:22] = 0.3, 0.9, 0.8, 0.85, 0.2                     # maxima at 0 and 10, drawn to each other
    np.testing.assert_allclose(read_peaks(presence, PARAMS).azimuth_deg, [[2]], atol=1)


def test_a_bump_blurred_by_uncertainty_states_that_uncertainty():
    fine = np.arange(-150, 150.1, 0.5)
    for blur_deg, at_deg in itertools.product((4, 8, 15), (0.0, 21.5)):
        weight = np.exp(-0.5 * np.square((fine - at_deg) / blur_deg))
        bumps = np.exp(-0.5 * np.square((GRID - fine[:, np.newaxis]) / PRESENCE_SIGMA_DEG))
        expected = weight @ bumps / weight.sum()                        # what the least loss is at
        peaks = read_peaks(expected[np.newaxis], PARAMS, threshold=0.1)
        np.testing.assert_allclose(peaks.azimuth_deg, [[at_deg]], atol=0.1)
        np.testing.assert_allclose(peaks.half_width_deg, [[blur_deg]], rtol=0.05)
