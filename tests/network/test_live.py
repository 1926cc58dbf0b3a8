"""An input that never ends: the rows of a recording, in bounded memory, the channels judged again and again."""
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import FakeHearing, through_the_head

from console import BadInput
from network import live, sources, tracking
from network.live import LiveTracker, live_answers, live_params
from network.peaks import presence_targets
from network.sources import MOST_ROWS, Follower
from params import Params

PARAMS = Params()
RATE = PARAMS.sample_rate_hz


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (round(seconds * RATE), 2)).astype(np.float32)


def binaural(seconds, azimuth_deg=40):
    ears = through_the_head(np.random.default_rng(1).normal(0, 0.05, round(seconds * RATE)), azimuth_deg)
    return ears.astype(np.float32)


def blocks_of(signal, size=320):
    return (signal[at:at + size] for at in range(0, len(signal), size))


def test_rows_are_those_of_a_recording_that_is_not_smoothed_backwards():
    one, other = tracking.Tracker(FakeHearing(), PARAMS, 5), LiveTracker(FakeHearing(), PARAMS, 5)
    for block in blocks_of(noise(4)):
        for mine, theirs in zip(one.push(block), other.push(block), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(np.concatenate(one._hear.seen), np.concatenate(other._hear.seen))


@pytest.mark.parametrize("window_s", [0.22, 0.3, 1.02])
def test_a_shorter_window_answers_sooner_for_its_own_middle(window_s):
    params = live_params(replace(PARAMS, live_window_s=window_s))
    assert params.sample_s == pytest.approx(window_s)
    tracker, heard = LiveTracker(FakeHearing(), params, 2), 0
    for block in blocks_of(noise(1.5)):
        heard += len(block)
        if len(time_s := tracker.push(block).time_s):
            break
    assert heard / RATE == pytest.approx(window_s, abs=0.02)
    assert time_s[0] == pytest.approx(window_s / 2)


def test_memory_does_not_grow_with_time(monkeypatch):
    monkeypatch.setattr(live, "CHECKED_S", 2.0)
    talkers_deg = np.full((10_000, 2), [-40, 20])
    tracker = LiveTracker(FakeHearing(talkers_deg=talkers_deg), live_params(PARAMS), 1, most_sources=2)
    block = binaural(1)
    for _ in range(40):
        tracker.push(block)
        assert len(tracker._rows) == 1
        assert len(tracker.channels._seconds) <= 2
        assert len(tracker.channels._frame_power) <= 3
        assert tracker._cues.shape[1] < 60
    assert max(len(each.rows) for each in tracker._follower._known) <= MOST_ROWS
    assert tracker.seconds == 40


def test_forgetting_changes_nothing_of_what_is_heard(monkeypatch):
    monkeypatch.setattr(sources, "MOST_ROWS", 100)
    walk_deg = np.stack([np.linspace(-30, 60, 400), np.full(400, 50)], axis=1)
    walk_deg[150:230, 1] = np.nan
    one, other = Follower(0.04, PARAMS, 2), Follower(0.04, PARAMS, 2)
    for row in presence_targets(walk_deg, PARAMS):
        mine, theirs = (follower.push(row[np.newaxis]) for follower in (one, other))
        other.forget()
        assert mine == theirs
    assert max(len(each.rows) for each in one._known) > 300
    assert max(len(each.rows) for each in other._known) == 100


def test_each_source_of_each_row_is_told_also_of_rows_that_come_together():
    talkers_deg = np.full((60, 2), [-40.0, np.nan])
    talkers_deg[30:, 1] = 20
    tracker = LiveTracker(FakeHearing(talkers_deg=talkers_deg), PARAMS, 5, most_sources=2)
    assert tracker.heard == []
    track = tracker.push(noise(5.5))
    assert len(tracker.heard) == len(track.time_s) == 45
    assert tracker.heard[0] == []
    assert [[each.number for each in row] for row in (tracker.heard[20], tracker.heard[-1])] == [[1], [1, 2]]
    first, second = tracker.heard[-1]
    assert (first.azimuth_deg, second.azimuth_deg) == (pytest.approx(-40, abs=1), pytest.approx(20, abs=1))
    assert first.confidence > 0.9
    assert 0 < first.half_width_deg < 10
    with pytest.raises(BadInput, match="one source at a time"):
        LiveTracker(FakeHearing(), PARAMS, 5, most_sources=2).push(noise(2))


@pytest.mark.parametrize(("broken", "told"), [
    (lambda ears: ears * [1, -1], "inverted polarity"),
    (lambda ears: ears[:, [0, 0]], "the same signal in both channels"),
    (lambda ears: ears * [1, 1e-5], "next to nothing in its right channel"),
])
def test_what_is_wrong_with_the_channels_is_told_once_and_doubted_while_it_lasts(monkeypatch, capsys, broken, told):
    monkeypatch.setattr(live, "CHECKED_S", 2.0)
    tracker, good = LiveTracker(FakeHearing(), PARAMS, 5, smooths=False, name="USB"), binaural(6)
    bad = broken(binaural(6)).astype(np.float32)
    half_widths = []
    for signal in (good, bad, bad, good):
        of_it = [tracker.push(block).half_width_68_deg for block in blocks_of(signal)]
        half_widths.append(np.concatenate(of_it)[-5:])
    errors = capsys.readouterr().err
    assert errors.count(told) == 1
    assert errors.startswith("USB ")
    for each, least_deg, most_deg in zip(half_widths, (0, 60, 60, 0), (5, 60, 60, 5)):
        assert np.all((each >= least_deg) & (each <= most_deg) | np.isnan(each))
    assert np.isfinite(half_widths[0]).all()
    assert np.isfinite(half_widths[3]).all()


def test_silence_is_told_but_puts_nothing_in_doubt(monkeypatch, capsys):
    monkeypatch.setattr(live, "CHECKED_S", 2.0)
    tracker = LiveTracker(FakeHearing(), PARAMS, 5, smooths=False)
    tracker.push(np.zeros((4 * RATE, 2), np.float32))
    assert "is silent in both channels; check the cable and the input's gain." in capsys.readouterr().err
    assert tracker.push(binaural(2)).half_width_68_deg[-1] < 5


def test_latency_is_from_the_end_of_a_window_to_its_answer(monkeypatch):
    now_s = 1000.0
    monkeypatch.setattr(live.time, "monotonic", lambda: now_s)
    params = live_params(PARAMS)
    signal, rate = noise(1), 48_000

    def blocks():
        nonlocal now_s
        for at in range(0, len(signal), 320):
            now_s += 0.02
            yield SimpleNamespace(ears=signal[at:at + 320], as_it_came=np.zeros((960, 2)), until_s=now_s - 0.005,
                                  overruns=3)

    answered = list(live_answers(blocks(), rate, LiveTracker(FakeHearing(), params, 3)))
    assert [each.track.time_s[0] for each in answered] == pytest.approx(0.15 + 0.06 * np.arange(len(answered)))
    assert {len(each.track.azimuth_deg) for each in answered} == {1}
    assert {round(each.latency_s, 6) for each in answered} == {0.005}
    assert {(each.overruns, each.heard) for each in answered} == {(3, None)}
