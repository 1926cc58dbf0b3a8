"""The cues against their definition, against physics, and against golden cues of silence, noise and a sine."""
import numpy as np
import pytest
from helpers import ROOT

import features
from params import Params
from sound import kernels

PARAMS = Params()
N = 640 + 9 * 320  # 10 frames


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_the_stft_is_the_sum_that_defines_it():
    signal = noise(0, N).astype(np.float64)
    at = np.arange(640)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * at / 640)
    turns = np.exp(-2j * np.pi * np.outer(np.arange(321), at) / 640)
    expected = np.stack([turns @ (hamming * signal[begin:begin + 640]) for begin in range(0, N - 639, 320)], axis=1)
    np.testing.assert_allclose(features.stft(signal, PARAMS), expected, atol=1e-9)


def test_the_cues_are_angle_and_level_of_right_over_left():
    left, right = np.array([1 + 1j, 2, -1j]), np.array([1j, -3, 0.5])
    cues = features.interaural_cues(left, right, PARAMS.power_floor)
    np.testing.assert_allclose(cues[:, 0], np.angle(right / left), atol=1e-6)
    np.testing.assert_allclose(cues[:, 1], 20 * np.log10(np.abs(right / left)), atol=1e-5)


def test_the_power_floor_is_of_each_ear():
    cues = features.interaural_cues(np.array(1e-3), np.array(0), power_floor=1e-8)
    assert cues[1] == pytest.approx(-20)


def test_a_sample_has_the_shape_of_params():
    assert features.from_ears(noise(1, 2, PARAMS.sample_length), PARAMS).shape == PARAMS.sample_shape == (321, 50, 2)


def test_swapping_the_ears_changes_both_signs():
    ears = noise(1, 2, N)
    there, back = features.from_ears(ears, PARAMS), features.from_ears(ears[::-1], PARAMS)
    np.testing.assert_allclose(back, -there, atol=1e-5)


def test_a_pure_delay_has_linear_phase():
    delay = 3  # samples that the left ear is late: the right leads, its phase is ahead
    source = noise(2, PARAMS.sample_length + delay)
    cues = features.from_ears(np.stack((source[:-delay], source[delay:])), PARAMS)
    cycles_per_sample = np.arange(321) / 640
    expected = np.angle(np.exp(2j * np.pi * cycles_per_sample * delay))
    measured = np.angle(np.mean(np.exp(1j * cues[..., 0]), axis=1))
    away_from_wrap = np.abs(np.abs(expected) - np.pi) > 0.2
    np.testing.assert_allclose(measured[away_from_wrap], expected[away_from_wrap], atol=0.15)


def test_a_gain_is_a_level_difference():
    source = noise(3, N)
    cues = features.from_ears(np.stack((source, 2 * source)), PARAMS)
    np.testing.assert_allclose(cues[..., 1], 20 * np.log10(2), atol=1e-4)
    np.testing.assert_allclose(cues[..., 0], 0, atol=1e-5)


def test_a_source_on_the_right_has_positive_cues():
    source = noise(4, N + 4)
    cues = features.from_ears(np.stack((0.5 * source[:-4], source[4:])), PARAMS)
    assert np.median(cues[6:16, :, 0]) > 0.2
    assert np.median(cues[..., 1]) > 3


@pytest.mark.parametrize("ears", [np.stack((np.zeros(N), np.ones(N))), np.full((2, N), 1e-30),
                                  np.stack((np.full(N, 1e4), np.zeros(N)))])
def test_the_cues_of_any_signal_are_finite_in_float16(ears):
    cues = features.from_ears(ears.astype(np.float32), PARAMS)
    assert np.isfinite(cues.astype(np.float16)).all()


def test_the_cues_of_silence_are_zero():
    assert not features.from_ears(np.zeros((2, N), np.float32), PARAMS).any()


def test_the_cues_do_not_depend_on_the_level():
    ears = noise(5, 2, N)
    np.testing.assert_allclose(features.from_ears(ears * 1e-3, PARAMS), features.from_ears(ears, PARAMS), atol=2e-3)


def test_a_signal_shorter_than_the_window_is_refused():
    with pytest.raises(ValueError, match="639 samples are fewer than the window's 640"):
        features.stft(np.zeros(639, np.float32), PARAMS)


@pytest.mark.parametrize("from_ears", [features.from_ears, kernels.from_ears])
@pytest.mark.parametrize("name", ["silence", "noise", "sine"])
def test_the_cues_are_the_golden_ones(from_ears, name):
    """tools/make_golden_cues.py made them. Single precision is 0.0008 rad off in the sine's faint bins."""
    with np.load(ROOT / "tests" / "golden" / "cues.npz") as golden:
        ears, expected = golden[f"{name}_ears"] / np.float32(2 ** 15), golden[f"{name}_cues"]
    difference = from_ears(ears, PARAMS) - expected
    assert ears.dtype == np.float32
    assert np.abs(np.angle(np.exp(1j * difference[..., 0]))).max() < 2e-3
    assert np.abs(difference[..., 1]).max() < 1e-2


def test_the_golden_sine_is_on_the_right():
    """4 samples earlier and 6 dB louder there: 4 x 1010 / 16,000 of a turn, at the bin nearest to 1010 Hz."""
    with np.load(ROOT / "tests" / "golden" / "cues.npz") as golden:
        ipd_rad, ild_db = golden["sine_cues"][40].mean(axis=0)
    assert ipd_rad == pytest.approx(2 * np.pi * 4 * 1010 / 16_000, abs=0.01)
    assert ild_db == pytest.approx(20 * np.log10(2), abs=0.02)
