"""The cues against librosa and against physics."""
import numpy as np
import pytest

import features
from params import Params

PARAMS = Params()
N = PARAMS.sample_length


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_cues_equal_librosa():
    import librosa

    ears = noise(0, 2, N) * np.linspace(0.01, 1, N, dtype=np.float32)
    left, right = (librosa.stft(ear.astype(np.float64), n_fft=640, hop_length=320, win_length=640, window="hamming",
                                center=False) for ear in ears)
    cues = features.from_ears(ears, PARAMS)
    assert cues.shape == (321, 50, 2) == PARAMS.sample_shape
    ratio = right / left
    ipd_error = np.angle(np.exp(1j * (cues[..., 0] - np.angle(ratio))))
    assert np.abs(ipd_error).max() < 1e-3
    assert np.abs(cues[..., 1] - 20 * np.log10(np.abs(ratio))).max() < 1e-3


def test_swapping_the_ears_changes_both_signs():
    ears = noise(1, 2, N)
    there, back = features.from_ears(ears, PARAMS), features.from_ears(ears[::-1], PARAMS)
    np.testing.assert_allclose(back, -there, atol=1e-5)


def test_a_pure_delay_has_linear_phase():
    delay = 3  # samples that the left ear hears later: the right leads, its phase is ahead
    source = noise(2, N + delay)
    cues = features.from_ears(np.stack((source[:-delay], source[delay:])), PARAMS)
    frequency = np.arange(321) / 640  # cycles a sample
    expected = np.angle(np.exp(2j * np.pi * frequency * delay))
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
    right_first = np.stack((0.5 * source[:-4], source[4:]))
    cues = features.from_ears(right_first, PARAMS)
    assert np.median(cues[6:16, :, 0]) > 0.2
    assert np.median(cues[..., 1]) > 3


@pytest.mark.parametrize("ears", [np.zeros((2, N)), np.stack((np.zeros(N), np.ones(N))), np.full((2, N), 1e-30),
                                  np.stack((np.full(N, 1e4), np.zeros(N)))])
def test_cues_are_finite_whatever_comes(ears):
    cues = features.from_ears(ears.astype(np.float32), PARAMS)
    assert np.isfinite(cues.astype(np.float16)).all()


def test_silence_has_no_cues():
    assert not features.from_ears(np.zeros((2, N), np.float32), PARAMS).any()


def test_level_does_not_matter():
    ears = noise(5, 2, N)
    np.testing.assert_allclose(features.from_ears(ears * 1e-3, PARAMS), features.from_ears(ears, PARAMS), atol=2e-3)


def test_a_short_signal_is_refused():
    with pytest.raises(ValueError, match="639"):
        features.stft(np.zeros(639, np.float32), PARAMS)


def test_the_fast_angle_is_the_angle():
    rng = np.random.default_rng(0)
    real, imag = (rng.standard_normal(100_000).astype(np.float32) * 10.0 ** rng.integers(-12, 6) for _ in range(2))
    real[:4], imag[:4] = [1, -1, 0, -2], [0, 0, -1, 0]
    error = np.angle(np.exp(1j * (features.angle(real, imag).astype(float) - np.arctan2(imag, real, dtype=float))))
    assert np.abs(error).max() < 1.5e-5
    np.testing.assert_allclose(features.angle(real[:4], imag[:4]), [0, np.pi, -np.pi / 2, np.pi], atol=2e-5)
    assert features.angle(np.zeros(1, np.float32), np.zeros(1, np.float32)) == 0


def test_the_fast_conversion_rounds_to_the_nearest():
    values = np.concatenate([np.random.default_rng(0).standard_normal(100_000) * scale for scale in (1e-3, 1, 100)] +
                            [[0, -0.0, 1e-9, -3e-5, 65504, 1 + 2 ** -11, 3.1415927]]).astype(np.float32)
    out = np.empty((len(values), 2), np.float16)
    features.store(values, out[:, 1])
    close = np.abs(values) > 6.2e-5
    assert np.all(np.abs(out[close, 1].astype(float) - values[close]) <= np.abs(values[close]) * 2.0 ** -11 * 1.0001)
    assert np.all(out[~close & (np.abs(values) < 6e-5), 1] == 0)
    assert np.array_equal(np.signbit(out[close, 1]), np.signbit(values[close]))
