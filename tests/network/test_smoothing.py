"""The chain over rows: what stands alone gives way, what lasts is followed, silence stays silent."""
from dataclasses import replace

import numpy as np
import pytest
from helpers import PARAMS

from network import smoothing
from network.readout import read_out, soft_labels
from network.smoothing import Chain


def smoothed(azimuths_deg, log_odds=4.0, hop_s=0.1):
    chain = Chain(PARAMS, hop_s)
    odds = np.broadcast_to(np.asarray(log_odds, float), len(azimuths_deg))
    return chain.smoothed(chain.evidence(soft_labels(azimuths_deg, PARAMS).astype(float), odds))


def azimuths_of(probabilities):
    return read_out(probabilities.sum(axis=1), PARAMS)[0]


def test_probabilities_are_probabilities():
    probabilities = smoothed([-40, 10, 10, 80, 80])
    np.testing.assert_allclose(probabilities.sum(axis=(1, 2)), 1)
    assert (probabilities >= 0).all()


def test_a_row_that_stands_alone_follows_its_neighbours():
    azimuths = np.full(30, 20.0)
    azimuths[15] = -50
    np.testing.assert_allclose(azimuths_of(smoothed(azimuths)), 20, atol=1)


def test_a_walking_talker_is_followed():
    walk = np.linspace(-40, 40, 41)             # 20 degrees a second
    assert np.abs(azimuths_of(smoothed(walk)) - walk).max() < 4


def test_talkers_in_turn_are_two():
    turns = np.repeat([-45.0, 45.0], 30)
    found = azimuths_of(smoothed(turns))
    np.testing.assert_allclose(found[:25], -45, atol=1)
    np.testing.assert_allclose(found[35:], 45, atol=1)


def test_a_place_is_kept_over_a_pause():
    azimuths, log_odds = np.full(40, -30.0), np.full(40, 4.0)
    log_odds[10:20] = -np.inf
    azimuths[20:22] = 70                        # the first rows after it are wrong
    found = azimuths_of(smoothed(azimuths, log_odds))
    np.testing.assert_allclose(found[20:], -30, atol=1)


@pytest.mark.parametrize("log_odds", [-np.inf, -4.0])
def test_no_source_is_heard_where_every_row_says_so(log_odds):
    anywhere = np.random.default_rng(0).uniform(-90, 90, 40)
    assert smoothed(anywhere, log_odds)[:, 0].sum(axis=1).max() < 0.5


def test_rows_that_agree_speak_for_a_source():
    anywhere = np.random.default_rng(0).uniform(-90, 90, 40)
    agreeing, scattered = (smoothed(azimuths, -1.0)[:, 0].sum(axis=1) for azimuths in (np.full(40, 10.0), anywhere))
    assert agreeing.min() > 0.5 > scattered.max()


def test_a_single_row_speaks_for_itself():
    probabilities = smoothed([30.0])
    assert probabilities[0, 0].sum() > 0.5
    assert azimuths_of(probabilities)[0] == pytest.approx(30, abs=1)


def test_the_last_row_alone_is_what_a_live_listener_knows():
    chain, state = Chain(PARAMS, 0.1), None
    evidence = chain.evidence(soft_labels(np.full(10, 15.0), PARAMS).astype(float), np.full(10, 3.0))
    for each in evidence:
        state = chain.advanced(state, each)
    np.testing.assert_allclose(chain.smoothed(evidence)[-1], state)


@pytest.mark.parametrize("hop_s", [0.02, 0.1, 0.5, 2.0])
def test_a_source_moves_as_far_in_a_second_whatever_the_hop(hop_s):
    chain = Chain(replace(PARAMS, hop_s=hop_s), hop_s)
    state, evidence = np.zeros((2, 37)), np.ones((2, 37))
    state[0, 18] = 1
    for _ in range(round(2 / hop_s)):
        state = chain.advanced(state, evidence)
    likely = state.sum(axis=0) / state.sum()
    inner = likely[12:25] - likely[:5].mean()   # without what turns have spread
    width_deg = np.sqrt((inner * (5 * np.arange(-6, 7)) ** 2).sum() / inner.sum())
    assert width_deg == pytest.approx(12 * np.sqrt(2), rel=0.25)


@pytest.mark.parametrize("rows_at_once", [1, 7, 20, 1000])
def test_smoothing_in_parts_gives_what_smoothing_at_once_does(monkeypatch, rows_at_once):
    monkeypatch.setattr(smoothing, "ROWS_AT_ONCE", rows_at_once)
    chain, rng = Chain(PARAMS, hop_s=0.1), np.random.default_rng(0)
    distribution, odds = rng.dirichlet(np.full(37, 0.1), 20), np.append(rng.normal(0, 3, 19), -np.inf)
    whole, parts = chain.smoothed(chain.evidence(distribution, odds)), np.full((20, 2, 37), np.nan)
    for part, probabilities in chain.smoothed_parts(distribution, odds):
        parts[part] = probabilities
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
