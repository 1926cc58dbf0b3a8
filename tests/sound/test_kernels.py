"""The fast kernels against the plain formulas of features.py."""
import numpy as np
import pytest

import features
from params import Params
from sound import kernels

PARAMS = Params()
N = 640 + 9 * 320  # 10 frames
NOISE = np.random.default_rng(0).standard_normal((2, N)).astype(np.float32)
SILENCE = np.zeros(N, np.float32)
EARS = {
    "noise": NOISE,
    "one noise at both ears": NOISE[[0, 0]],
    "one noise in opposite phase": np.stack([NOISE[0], -NOISE[0]]),
    "silence": np.stack([SILENCE, SILENCE]),
    "negative zeros": np.stack([-SILENCE, -SILENCE]),
    "zeros of both signs": np.stack([SILENCE, -SILENCE]),
    "silence at the left": np.stack([SILENCE, NOISE[1]]),
    "silence at the right": np.stack([NOISE[0], SILENCE]),
    "negative zeros at the right": np.stack([NOISE[0], -SILENCE]),
    "silence, then noise": np.concatenate([np.zeros((2, 1000), np.float32), NOISE[:, 1000:]], axis=1),
    "a click": np.eye(1, N, 700, dtype=np.float32) * np.float32([[1], [-0.5]]),
    "amplitude 1e-15": NOISE * np.float32(1e-15),
    "amplitude 1e3": NOISE * np.float32(1e3),
    "ears 180 dB apart": NOISE * np.float32([[1e3], [1e-6]]),
    "ears 360 dB apart": NOISE * np.float32([[1e-15], [1e3]]),
}


def phase_error(phase, expected):
    """Difference of phases in radians, modulo 2 pi."""
    return np.abs(np.angle(np.exp(1j * (np.asarray(phase, np.float64) - expected))))


@pytest.mark.parametrize("ears", EARS.values(), ids=EARS)
def test_the_cues_equal_the_plain_ones(ears):
    fast, plain = kernels.from_ears(ears, PARAMS), features.from_ears(ears, PARAMS)
    assert fast.dtype == np.float32
    assert phase_error(fast[..., 0], plain[..., 0]).max() < 2e-5
    assert np.abs(fast[..., 1] - plain[..., 1]).max() < 1e-3


def test_axes_before_the_ears_are_kept():
    ears = np.random.default_rng(1).standard_normal((3, 2, N)).astype(np.float32)
    cues = kernels.from_ears(ears, PARAMS)
    np.testing.assert_array_equal(cues[1], kernels.from_ears(ears[1], PARAMS))
    assert cues.shape == (3, 321, 10, 2)


def test_the_parts_are_those_of_the_stft():
    real, imag = kernels.stft_parts(NOISE, PARAMS)
    np.testing.assert_array_equal(real + 1j * imag, features.stft(NOISE, PARAMS))
    assert real.flags.c_contiguous
    assert imag.flags.c_contiguous


@pytest.mark.parametrize("gain", [0.0, 0.1, 2.0])
def test_mixed_cues_are_those_of_the_mixed_signals(gain):
    rng = np.random.default_rng(2)
    speech = rng.standard_normal((3, 2, N)).astype(np.float32)
    cues = np.empty((3, 321, 10, 2), np.float32)
    kernels.mixed_cues(kernels.stft_parts(speech, PARAMS), kernels.stft_parts(NOISE, PARAMS), gain, PARAMS, cues)
    expected = features.from_ears(speech.astype(np.float64) + gain * NOISE, PARAMS)
    assert np.quantile(phase_error(cues[..., 0], expected[..., 0]), 0.999) < 1e-4
    assert np.quantile(np.abs(cues[..., 1] - expected[..., 1]), 0.999) < 1e-3


def test_the_weighted_sum_is_that_of_einsum():
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal((rows, 2, 7)).astype(np.float32) for rows in (4, 2, 3)]
    which = np.array([[0, 1, 2], [0, 2, 1], [2, 2, 0], [1, 0, 0]])
    rows = np.array([[3, 1, 0], [0, 2, 1], [0, 1, 2], [0, 0, 0]])
    gains = np.array([[1, 0.5, 2], [1, 0, -1], [0.1, 1, 0], [0, 0, 0]])
    picked = np.stack([[arrays[k][row] for k, row in zip(*of_row)] for of_row in zip(which, rows)])
    expected = np.einsum("nt,nt...->n...", gains, picked)
    np.testing.assert_allclose(kernels.weighted_sum(arrays, which, rows, gains), expected, atol=1e-6)


def test_the_angle_is_that_of_arctan2_over_all_magnitudes():
    rng = np.random.default_rng(0)
    real, imag = (rng.standard_normal(100_000).astype(np.float32) * np.float32(10.0) ** rng.integers(-12, 6, 100_000)
                  for _ in range(2))
    error = phase_error(kernels.angle(real, imag), np.arctan2(imag, real, dtype=np.float64))
    assert error.max() < 1.2e-5


@pytest.mark.parametrize(("real", "imag", "expected"), [
    (1, 0, 0), (0, 1, np.pi / 2), (-1, 0, np.pi), (-1, -0.0, -np.pi), (0, -1, -np.pi / 2), (2, 2, np.pi / 4),
    (-2, 2, 3 * np.pi / 4), (-2, -2, -3 * np.pi / 4), (0, 0, 0), (1e-30, 1e-30, np.pi / 4)])
def test_the_angle_on_the_axes_and_diagonals(real, imag, expected):
    assert kernels.angle(np.float32([real]), np.float32([imag]))[0] == pytest.approx(expected, abs=1.2e-5)


def test_float16_is_rounded_as_by_numpy():
    """To the nearest; halfway between two float16 NumPy takes the even one, the kernel the larger."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.standard_normal(50_000) * scale for scale in (1e-3, 1, 100, 1e4)]).astype(np.float32)
    values = values[(np.abs(values) > 6.2e-5) & (np.abs(values) <= 65504)]
    values = values[values.view(np.uint32) & 0x1FFF != 0x1000]  # the 13 bits that are dropped: not just halfway
    stored = np.empty((len(values), 2), np.float16)
    kernels.store(values, stored[:, 1])
    np.testing.assert_array_equal(stored[:, 1], values.astype(np.float16))


@pytest.mark.parametrize(("value", "expected"), [
    (0.0, 0.0), (-0.0, -0.0), (1e-9, 0.0), (-3e-5, -0.0), (2.0 ** -14 * 1.01, 2.0 ** -14 * 1.01), (65504, 65504),
    (1 + 2.0 ** -11, 1 + 2.0 ** -10), (-np.pi, -np.pi)])
def test_float16_of_single_values(value, expected):
    stored = np.empty(1, np.float16)
    kernels.store(np.float32([value]), stored)
    np.testing.assert_array_equal(stored, np.float16([expected]))
    np.testing.assert_array_equal(np.signbit(stored), np.signbit(np.float16([expected])))


def test_float32_is_stored_as_it_is():
    stored = np.empty(3, np.float32)
    kernels.store(np.float32([1e-9, -np.pi, 7e4]), stored)
    np.testing.assert_array_equal(stored, np.float32([1e-9, -np.pi, 7e4]))
