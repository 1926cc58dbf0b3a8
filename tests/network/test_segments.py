"""Segments of a sample: they cover it, and means over them are means."""
import numpy as np
import pytest

from network.segments import agreed, running_means, segments_of, shares


@pytest.mark.parametrize(("steps", "counts"), [
    (5, [1]), (7, [1]), (11, [1, 2]), (12, [1, 2]), (25, [1, 2, 3, 5]), (50, [1, 2, 4, 6, 10]),
    (100, [1, 2, 4, 8, 12, 20])])
def test_segments_of_a_duration_cover_every_step_once(steps, counts):
    assert [len(segments) for segments in segments_of(steps)] == counts
    for segments in segments_of(steps):
        assert [at for begin, end in segments for at in range(begin, end)] == list(range(steps))
        assert np.ptp([end - begin for begin, end in segments]) <= 1


@pytest.mark.parametrize("context_steps", [1, 3])
def test_means_by_shares_and_by_running_sums_are_the_mean(context_steps):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(25 - context_steps + 1, 4)).astype(np.float32)
    segments = [segment for duration in segments_of(25) for segment in duration]
    begins, ends = np.array(segments).T
    by_hand = np.array([values[begin:end - context_steps + 1].mean(axis=0) for begin, end in segments])
    np.testing.assert_allclose(shares(segments, 25, context_steps) @ values, by_hand, atol=1e-6)
    np.testing.assert_allclose(running_means(values, begins, ends - context_steps + 1), by_hand, atol=1e-6)


def test_a_running_sum_over_an_hour_loses_nothing():
    values = np.full((90_000, 1), 1e4, np.float32)
    values[-1] = 1e4 + 1
    assert running_means(values, np.array([89_999]), np.array([90_000]))[0, 0] == pytest.approx(1e4 + 1, abs=1e-3)


def test_a_segment_that_is_sure_outweighs_those_that_know_nothing():
    scores = np.zeros((1, 3, 37))
    scores[0, 0, 4] = scores[0, 1, 4] = 8
    distribution, presence = agreed(scores, np.full((1, 3, 37), 50.0), [1, 2])
    assert distribution.argmax() == 4
    assert distribution.sum() == pytest.approx(1)
    np.testing.assert_allclose(presence, 1)
