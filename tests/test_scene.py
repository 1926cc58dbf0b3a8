"""Convolution, noise fields, filters and levels against their definitions."""
import numpy as np
import pytest
from scipy.signal import coherence, fftconvolve

import features
import hrir
import rooms
import scene
from params import Params

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz, PARAMS.azimuth_deg)
LENGTH = PARAMS.sample_length
SIZE = scene.fft_size(LENGTH + 320)
HEARD_FROM = scene.response_spectrum(HEAD.response, SIZE)


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def diffuse(seed):
    return scene.diffuse(noise(seed, 37, SIZE), HEARD_FROM, HEAD.azimuth_deg, LENGTH)


def test_convolution_is_linear_and_in_full_swing():
    excerpt = noise(0, SIZE)
    at_ears = scene.at_ears(excerpt, HEARD_FROM, LENGTH)
    assert at_ears.shape == (37, 2, PARAMS.sample_length)
    for row, ear in ((0, 0), (18, 1), (36, 0)):
        expected = fftconvolve(excerpt.astype(np.float64), HEAD.response[row, ear])[SIZE - LENGTH:SIZE]
        np.testing.assert_allclose(at_ears[row, ear], expected, atol=1e-4)


def test_a_response_longer_than_the_excerpt_is_refused():
    with pytest.raises(ValueError, match="322 taps do not fit"):
        scene.response_spectrum(np.zeros((1, 2, 322), np.float32), 320)


def test_cutting_outside_a_signal():
    signal = np.arange(1, 11)
    assert scene.cut(signal, 4, 2, 3).tolist() == [3, 4, 5, 6, 7]
    assert scene.cut(signal, 1, 3, 2).tolist() == [0, 0, 1, 2, 3]
    assert scene.cut(signal, 8, 1, 4).tolist() == [8, 9, 10, 0, 0]
    assert scene.cut(signal, 8, 1, 4, around=True).tolist() == [8, 9, 10, 1, 2]
    assert scene.cut(signal, 0, 3, 12, around=True).tolist() == [8, 9, 10, *range(1, 11), 1, 2]


@pytest.mark.parametrize("snr_db", [-10, -6, 0, 6, 30])
def test_the_measured_snr_is_the_snr_asked_for(snr_db):
    speech, masker = scene.at_ears(noise(1, SIZE), HEARD_FROM, LENGTH)[18], diffuse(2)
    scaled = scene.noise_gain(speech, masker, snr_db) * masker
    measured = 10 * np.log10(np.mean(speech.astype(float) ** 2) / np.mean(scaled.astype(float) ** 2))
    assert measured == pytest.approx(snr_db, abs=1e-3)


def test_mixed_cues_are_those_of_the_mixed_signals():
    speech, masker = scene.at_ears(noise(3, SIZE), HEARD_FROM, LENGTH), diffuse(4)
    cues = np.empty((37, *PARAMS.sample_shape), np.float16)
    for gain in (0.1, 2.0):
        scene.mixed_cues(scene.parts(speech, PARAMS), scene.parts(masker, PARAMS), gain, PARAMS, cues)
        expected = features.from_ears(speech[[3, 30]] + np.float32(gain) * masker, PARAMS)
        phase_error = np.angle(np.exp(1j * (cues[[3, 30], ..., 0].astype(float) - expected[..., 0])))
        assert np.quantile(np.abs(phase_error), 0.999) < 3e-3
        assert np.quantile(np.abs(cues[[3, 30], ..., 1] - expected[..., 1]), 0.999) < 0.03  # float16 holds 11 bits


def coherence_of(signals):
    hz, squared = coherence(signals[0], signals[1], fs=16_000, nperseg=640)
    return hz, squared


def test_diffuse_noise_has_the_heads_own_coherence():
    many = np.concatenate([diffuse(seed) for seed in range(60)], axis=1)
    hz, measured = coherence_of(many)
    left, right, cross = rooms.diffuse_field(HEAD.response, HEAD.azimuth_deg, 640)
    expected = np.abs(cross) ** 2 / (left * right)
    inside = (hz >= 100) & (hz < 7000)
    assert np.abs(measured - expected)[inside].max() < 0.12
    assert np.abs(measured - expected)[inside].mean() < 0.03
    assert measured[(hz >= 75) & (hz <= 150)].mean() > 0.75
    assert measured[(hz > 2000) & (hz < 7000)].mean() < 0.15


def test_diffuse_noise_prefers_no_side():
    many = np.concatenate([diffuse(seed) for seed in range(20)], axis=1)
    level = 10 * np.log10(np.mean(np.square(many), axis=1))
    assert abs(level[0] - level[1]) < 0.5


def test_diffuse_noise_counts_the_front_for_the_back():
    still = np.zeros((37, SIZE), np.float32)
    inner, end = still.copy(), still.copy()
    inner[10], end[36] = noise(6, SIZE), noise(6, SIZE)
    single = scene.at_ears(noise(6, SIZE), HEARD_FROM, LENGTH)
    for excerpts, expected in ((inner, np.sqrt(2) * single[10]), (end, single[36])):
        got = scene.diffuse(excerpts, HEARD_FROM, HEAD.azimuth_deg, LENGTH)
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_excerpts_of_silence_are_not_drawn():
    signal = np.concatenate((np.zeros(50_000), noise(7, 30_000), np.zeros(50_000)))
    starts = scene.eligible_starts(signal, 16_000, 20)
    assert starts.min() > 50_000 - 16_000
    assert starts.max() < 80_000
    power = np.array([np.mean(signal[at:at + 16_000] ** 2) for at in range(0, len(signal) - 16_000 + 1, 80)])
    np.testing.assert_allclose(scene.running_power(signal, 16_000), power, atol=1e-6)
    assert set(80 * np.flatnonzero(power >= power.max() / 100)) == set(starts)


@pytest.mark.parametrize("count", [16_720, 16_721, 16_799, 16_800])
@pytest.mark.parametrize("length", [16_640, 16_690, 16_720])
def test_the_last_excerpt_ends_within_the_file(count, length):
    starts = scene.eligible_starts(noise(8, count), length, 20)
    assert starts[0] == 0
    assert starts[-1] + length <= count


def test_draws_cover_the_file():
    rng, starts = np.random.default_rng(0), np.arange(1000)
    drawn = [scene.draw_start(rng, starts, part, 4) for part in range(4)]
    assert [start // 250 for start in drawn] == [0, 1, 2, 3]
    assert {scene.draw_start(rng, np.arange(3)) for _ in range(100)} == {0, 1, 2}


@pytest.mark.parametrize("count", [1, 7, 100, 10_000])
def test_short_noise_goes_round(count):
    noise_file = np.arange(count)
    endless = scene.looped(noise_file, 256)
    for start in (0, count // 2, count - 1):
        assert np.array_equal(endless[start:start + 256], np.arange(start, start + 256) % count)
        assert np.array_equal(scene.cut(noise_file, start, 0, 256, around=True), endless[start:start + 256])


def test_random_curves_are_smooth_and_as_large_as_asked():
    rng = np.random.default_rng(0)
    curves = scene.random_curve(rng, 2.0, (500,))
    assert curves.std() == pytest.approx(2.0, rel=0.1)
    hz = np.linspace(0, 8000, curves.shape[-1])
    at_1_khz = np.argmin(np.abs(hz - 1000))
    assert np.abs(np.diff(curves, axis=1))[:, at_1_khz:].max() < 0.5  # dB in 16 Hz
    assert np.abs(np.corrcoef(curves[:, at_1_khz], curves[:, -1])[0, 1]) < 0.3


def test_a_filter_has_its_curve_and_minimum_phase():
    curve = scene.random_curve(np.random.default_rng(1), 3.0)
    taps = scene.minimum_phase(curve)
    response = np.fft.rfft(taps, 1024)
    assert np.abs(20 * np.log10(np.abs(response)) - curve).max() < 0.3
    energy = np.cumsum(np.square(taps))
    mirrored = np.cumsum(np.square(taps[::-1]))
    assert np.all(energy >= mirrored - 1e-6)  # of all filters with this magnitude none has its energy earlier
