"""Convolution over a whole excerpt against the linear one."""
import numpy as np
import pytest
from scipy.signal import fftconvolve

from sound import convolution

RNG = np.random.default_rng(0)
RESPONSES = RNG.standard_normal((3, 2, 100)).astype(np.float32)
EXCERPT = RNG.standard_normal(1_000).astype(np.float32)


def test_what_is_kept_is_the_linear_convolution():
    at_ears = convolution.at_ears(EXCERPT, convolution.response_spectrum(RESPONSES, 1_000), 901)
    for row, ear in ((0, 0), (1, 1), (2, 0)):
        expected = fftconvolve(EXCERPT.astype(np.float64), RESPONSES[row, ear])[99:1_000]
        np.testing.assert_allclose(at_ears[row, ear], expected, atol=1e-4)


def test_one_excerpt_serves_all_directions():
    assert convolution.at_ears(EXCERPT, convolution.response_spectrum(RESPONSES, 1_000), 500).shape == (3, 2, 500)


def test_a_response_longer_than_the_excerpt_is_refused():
    with pytest.raises(ValueError, match="322 taps do not fit into excerpts of 320 samples"):
        convolution.response_spectrum(np.zeros((1, 2, 322), np.float32), 320)


@pytest.mark.parametrize("least", [1, 16_321, 17_009])
def test_the_size_of_the_fft_is_enough_and_little_more(least):
    assert least <= convolution.fft_size(least) <= 1.03 * least + 1
