"""Directions between two measured ones: delays and levels in between, never two copies of a response."""
import numpy as np
import pytest

import hrir
from hrtf.interpolation import interpolated, onset

MEASURED = hrir.read("mit_kemar")


def delayed(samples):
    """The measured front response of the left ear, later by any number of samples: (600,)."""
    size = 2048
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * samples)
    return np.fft.irfft(np.fft.rfft(MEASURED.response[18, 0], size) * turn, size)[:600]


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_interpolating_a_delay_gives_a_delay_not_two_copies(weight):
    between = interpolated(delayed(0), delayed(20), weight, 44_100)
    expected = delayed(20 * weight)
    assert np.abs(between - expected).max() < 0.02 * np.abs(expected).max()


def test_an_earlier_response_is_interpolated_like_a_later_one():
    between = interpolated(delayed(20), delayed(0), 0.25, 44_100)
    assert np.abs(between - delayed(15)).max() < 0.02 * np.abs(delayed(15)).max()


def test_interpolating_a_level_is_in_decibels():
    one = delayed(0)
    between = interpolated(one, 100 * one, 0.5, 44_100)
    np.testing.assert_allclose(between, 10 * one, atol=1e-3 * np.abs(10 * one).max())


@pytest.mark.parametrize(("weight", "expected"), [(0.4, 3_004), (0.6, 3_106)])
def test_a_reflection_is_taken_from_the_nearer_response_and_moved_with_its_direct_sound(weight, expected):
    """The direct sound is at 100 and 110 samples, a reflection at 3,000 in one and 3,110 in the other."""
    one, other = np.zeros((2, 4_000))
    one[[100, 3_000]] = 1, 0.5
    other[[110, 3_110]] = 1, 0.5
    between = interpolated(one, other, weight, 44_100)
    assert np.flatnonzero(np.abs(between[1_000:]) > 0.25).tolist() == [expected - 1_000]


def test_a_reflection_keeps_its_level_below_the_direct_sound():
    one = np.zeros(4_000)
    one[[100, 3_000]] = 1, 0.5
    between = interpolated(one, 4 * one, 0.5, 44_100)
    assert between[100] == pytest.approx(2, rel=0.01)
    assert between[3_000] == pytest.approx(1, rel=0.01)


def test_the_onset_is_the_first_tap_of_a_fifth_of_the_peak():
    assert onset(np.array([0.0, 0.19, -0.2, 1.0, 0.9])) == 2


def test_leaving_out_every_other_direction_changes_little():
    sparse = MEASURED._replace(response=MEASURED.response[::2], azimuth_deg=MEASURED.azimuth_deg[::2])
    hz = np.fft.rfftfreq(1024, 1 / 44_100)
    inside = (hz > 150) & (hz < 6000)
    rows = range(9, 28, 2)  # -45 to 45 degrees
    given = hrir.at_azimuths(sparse, 44_100, MEASURED.azimuth_deg[rows]).response
    between, measured = (np.fft.rfft(each, 1024)[..., inside] for each in (given, MEASURED.response[rows]))
    level_error_db = 20 * np.log10(np.abs(between / measured))
    phase_error = np.angle(between[:, 1] / between[:, 0] * measured[:, 0] / measured[:, 1])  # of the IPD
    assert np.abs(level_error_db).mean(axis=(1, 2)).max() < 0.7
    assert np.abs(phase_error).mean(axis=1).max() < 0.1
