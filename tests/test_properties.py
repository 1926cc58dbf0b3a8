"""What must hold of the mathematics whatever the numbers: shapes, finite values, exchanged ears, SNR, round trips."""
from functools import lru_cache

import numpy as np
from helpers import PARAMS, head
from hypothesis import given
from hypothesis import strategies as st

import features
from hrtf.interpolation import interpolated, onset
from network.peaks import presence_targets, read_peaks
from network.readout import read_out, soft_labels
from network.segments import running_means, segments_of
from scores import metrics, talkers
from shards.feeds import mirrored
from sound import kernels
from sound.convolution import at_ears, fft_size, response_spectrum
from sound.excerpts import START_GRID, running_power
from sound.noise_fields import noise_gain

SEEDS = st.integers(0, 2 ** 32 - 1)
SIZE = fft_size(700)  # of an excerpt: 400 samples of it behind the taps of the head are wanted
LEVELS_DB = st.floats(-100, 40)
AZIMUTHS_DEG = st.floats(-90, 90)
SNRS_DB = st.floats(-100, 100)


def ears_of(seed, level_db=0.0, frames=10):
    """Two signals of their own, (2, n)."""
    count = PARAMS.stft_window_samples + (frames - 1) * PARAMS.stft_hop_samples
    return 10 ** (level_db / 20) * np.random.default_rng(seed).standard_normal((2, count))


@given(SEEDS, LEVELS_DB, LEVELS_DB, st.integers(1, 12))
def test_cues_have_their_shape_and_are_finite_and_within_their_range(seed, left_db, right_db, frames):
    ears = ears_of(seed, frames=frames) * 10 ** (np.array([[left_db], [right_db]]) / 20)
    cues = features.from_ears(ears, PARAMS)
    assert cues.shape == (321, frames, 2)
    assert np.isfinite(cues).all()
    assert np.abs(cues[..., 0]).max() <= np.float32(np.pi)


@given(SEEDS, LEVELS_DB)
def test_exchanged_ears_negate_both_cues(seed, level_db):
    ears = ears_of(seed, level_db)
    one, other = features.from_ears(ears, PARAMS), features.from_ears(ears[::-1], PARAMS)
    np.testing.assert_allclose(other[..., 1], -one[..., 1], atol=1e-4)
    np.testing.assert_allclose(np.exp(1j * other[..., 0]), np.exp(-1j * one[..., 0]), atol=1e-4)


@given(SEEDS, LEVELS_DB)
def test_cues_do_not_depend_on_the_level(seed, level_db):
    ears = ears_of(seed)
    loud = features.from_ears(10 ** (level_db / 20) * ears, PARAMS)
    np.testing.assert_allclose(loud[..., 1], features.from_ears(ears, PARAMS)[..., 1], atol=1e-3)


@given(SEEDS, LEVELS_DB)
def test_fast_cues_are_the_plain_ones(seed, level_db):
    ears = ears_of(seed, level_db).astype(np.float32)
    fast, plain = kernels.from_ears(ears, PARAMS), features.from_ears(ears, PARAMS)
    np.testing.assert_allclose(np.exp(1j * fast[..., 0]), np.exp(1j * plain[..., 0]), atol=2e-2)
    assert np.median(np.abs(fast - plain)) < 1e-4
    np.testing.assert_allclose(fast[..., 1], plain[..., 1], atol=0.1)


@given(SEEDS, SNRS_DB, LEVELS_DB)
def test_the_snr_is_the_one_asked_for(seed, snr_db, noise_db):
    speech, noise = ears_of(seed), ears_of(seed + 1, noise_db)
    noise = noise_gain(speech, noise, snr_db) * noise
    assert abs(10 * np.log10(np.mean(speech ** 2) / np.mean(noise ** 2)) - snr_db) < 1e-6


@lru_cache
def spectra():
    return response_spectrum(head().response, SIZE)


@given(SEEDS, st.floats(-10, 10))
def test_what_reaches_the_ears_is_linear_in_the_source(seed, factor):
    one, other = np.random.default_rng(seed).standard_normal((2, SIZE)).astype(np.float32)
    whole = at_ears(one + np.float32(factor) * other, spectra(), 400)
    parts = at_ears(one, spectra(), 400) + factor * at_ears(other, spectra(), 400)
    assert whole.shape == (37, 2, 400)
    np.testing.assert_allclose(whole, parts, atol=1e-4 * (1 + abs(factor)))


@given(SEEDS, st.integers(1, 8))
def test_the_running_power_is_that_of_each_excerpt(seed, steps):
    signal, length = np.random.default_rng(seed).standard_normal(10 * START_GRID), steps * START_GRID
    plain = [np.mean(signal[at:at + length] ** 2) for at in range(0, len(signal) - length + 1, START_GRID)]
    np.testing.assert_allclose(running_power(signal.astype(np.float32), length), plain, rtol=1e-5)


@given(SEEDS, st.floats(0, 1), st.integers(0, 30))
def test_between_two_directions_lies_something_finite_and_at_the_ends_themselves(seed, weight, delay):
    rng = np.random.default_rng(seed)
    one, other = np.zeros((2, 300))
    one[40:140] = rng.standard_normal(100) * np.exp(-np.arange(100) / 15)
    other[40 + delay:140 + delay] = rng.standard_normal(100) * np.exp(-np.arange(100) / 15)
    between = interpolated(one, other, weight, 44_100)
    assert between.shape == (300,)
    assert np.isfinite(between).all()
    assert 0 <= onset(between) < 300
    np.testing.assert_allclose(interpolated(one, other, 0.0, 44_100), one, atol=1e-2 * np.abs(one).max())


@given(st.lists(AZIMUTHS_DEG, min_size=1, max_size=8))
def test_a_soft_label_is_a_distribution_that_reads_out_as_its_azimuth(azimuth_deg):
    labels = soft_labels(azimuth_deg, PARAMS)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    read_deg, width_deg = read_out(labels, PARAMS)
    np.testing.assert_allclose(read_deg, azimuth_deg, atol=0.2)
    assert (width_deg > 0).all()
    np.testing.assert_allclose(soft_labels(-np.array(azimuth_deg), PARAMS), labels[:, ::-1], atol=1e-6)


@given(SEEDS, st.integers(1, 5))
def test_any_distribution_reads_out_within_the_half_plane_and_its_mirror_image_mirrored(seed, count):
    distribution = np.random.default_rng(seed).dirichlet(np.full(37, 0.3), count)
    azimuth_deg, width_deg = read_out(distribution, PARAMS)
    assert np.abs(azimuth_deg).max() <= 90
    assert np.isfinite(width_deg).all()
    mirrored_deg, same_deg = read_out(distribution[:, ::-1], PARAMS)
    np.testing.assert_allclose(mirrored_deg, -azimuth_deg, atol=1e-6)
    np.testing.assert_allclose(same_deg, width_deg, rtol=1e-6)


@given(st.lists(st.integers(-18, 18), min_size=1, max_size=4, unique=True).filter(
    lambda places: min(np.diff(sorted(places)), default=9) >= 4))
def test_talkers_apart_are_read_where_they_are(places):
    azimuth_deg = np.full((1, 4), np.nan)
    azimuth_deg[0, :len(places)] = 5.0 * np.array(places)
    read = read_peaks(presence_targets(azimuth_deg, PARAMS), PARAMS).azimuth_deg[0]
    np.testing.assert_allclose(np.sort(read[np.isfinite(read)]), np.sort(azimuth_deg[0, :len(places)]), atol=1.0)


@given(st.integers(5, 60), SEEDS)
def test_segments_lie_within_the_sample_and_their_means_are_means(steps, seed):
    values = np.random.default_rng(seed).standard_normal((steps, 3))
    for segments in segments_of(steps):
        begins, ends = np.array(segments).T
        assert begins[0] == 0
        assert ends[-1] == steps
        assert (begins[1:] == ends[:-1]).all()
        plain = [values[begin:end].mean(axis=0) for begin, end in segments]
        np.testing.assert_allclose(running_means(values, begins, ends), plain, atol=1e-5)


@given(st.lists(st.tuples(AZIMUTHS_DEG, AZIMUTHS_DEG), min_size=1, max_size=20))
def test_scores_do_not_change_when_left_and_right_are_exchanged(pairs):
    predicted, true = np.array(pairs).T
    figures, other = metrics.score(predicted, true), metrics.score(-predicted, -true)
    assert figures["within_5_deg_percent"] == other["within_5_deg_percent"]
    assert figures["mae_deg"] == other["mae_deg"]
    assert figures["bias_deg"] == -other["bias_deg"]
    assert 0 <= figures["within_5_deg_percent"] <= figures["within_10_deg_percent"] <= 100
    assert figures["mae_deg"] <= figures["rmse_deg"] + 1e-9
    assert metrics.score(true, true)["within_5_deg_percent"] == 100


@given(st.lists(AZIMUTHS_DEG, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_talkers_found_in_any_order_are_without_error(azimuth_deg, random):
    found = random.sample(azimuth_deg, len(azimuth_deg))
    np.testing.assert_array_equal(talkers.errors([found], [azimuth_deg]), np.zeros((1, len(azimuth_deg))))


@given(SEEDS)
def test_a_mirrored_sample_is_the_sample_with_exchanged_ears(seed):
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 1, (6, 321, 10, 2)).astype(np.float16)
    labels = rng.uniform(-90, 90, 6).astype(np.float32)
    turned, turned_labels = mirrored(samples.copy(), labels, np.random.default_rng(seed))
    signs = turned_labels / labels
    assert set(signs.tolist()) <= {-1.0, 1.0}
    np.testing.assert_array_equal(turned, samples * signs[:, np.newaxis, np.newaxis, np.newaxis].astype(np.float16))
    again, again_labels = mirrored(turned.copy(), turned_labels, np.random.default_rng(seed))
    np.testing.assert_array_equal(again, samples)
    np.testing.assert_array_equal(again_labels, labels)
