"""Sources over time keep their identity through crossings and pauses; phantoms are none."""
import numpy as np
import pytest

from network.peaks import presence_targets
from network.sources import Follower, follow
from params import Params

PARAMS = Params()
HOP_S = 0.1
NOWHERE = np.nan


def rows_of(seconds, *azimuth_deg, hop_s=HOP_S):
    """Azimuths (row, talker) that go evenly from the first to the last of each talker; one number stays."""
    count = round(seconds / hop_s)
    return np.stack([np.linspace(*(each if isinstance(each, tuple) else (each, each)), count)
                     for each in azimuth_deg], axis=1)


def followed(azimuth_deg, most=2, hop_s=HOP_S, blur=0.0, seed=0):
    """Follow talkers (row, talker), heard by a network that errs by `blur` degrees in each row: (source, row)."""
    rng = np.random.default_rng(seed)
    presence = presence_targets(azimuth_deg + rng.normal(0, blur, azimuth_deg.shape), PARAMS)
    return follow(presence, hop_s, PARAMS, most).azimuth_deg


@pytest.mark.parametrize(("speed_deg_per_s", "hop_s"), [((12, -12), 0.02), ((12, -12), 0.1), ((12, -12), 0.5),
                                                        ((10, 0), 0.02), ((10, 0), 0.1), ((30, -20), 0.1)])
def test_two_talkers_who_cross_keep_their_identity(speed_deg_per_s, hop_s):
    time_s = np.arange(-4, 4, hop_s)[:, np.newaxis]
    azimuth_deg = np.clip(3 + time_s * speed_deg_per_s, -85, 85)
    sources = followed(azimuth_deg, hop_s=hop_s)
    assert len(sources) == 2
    error_deg = np.abs(sources[np.argsort(sources[:, 0])].T - azimuth_deg)   # the first talker begins on the left
    assert np.nanmax(error_deg) < 10
    assert np.nanmax(error_deg[-round(1 / hop_s):]) < 3
    assert np.isfinite(sources).mean() > 0.95


def test_those_who_cross_are_told_apart_by_an_uncertain_network_too():
    right = 0
    for seed in range(20):
        sources = followed(rows_of(8, (-60, 60), (40, -50)), blur=2.0, seed=seed)
        first, last = sources[:, 0], sources[:, -1]
        right += len(sources) == 2 and np.abs(last[np.argsort(first)] - [60, -50]).max() < 10
    assert right >= 18


@pytest.mark.parametrize("pause_s", [0.5, 2, 5])
def test_a_talker_is_the_same_after_a_pause(pause_s):
    azimuth_deg = np.concatenate((rows_of(2, -40, 20), rows_of(pause_s, -40, NOWHERE), rows_of(2, -40, 23)))
    sources = followed(azimuth_deg)
    assert len(sources) == 2
    second = sources[np.argmax(np.nanmedian(sources, axis=1))]
    assert np.isfinite(second[[0, 19, -20, -1]]).all()
    assert np.isnan(second[21:-21]).all()
    assert np.isfinite(sources[np.argmin(np.nanmedian(sources, axis=1))]).all()


def test_one_who_passes_a_talker_in_his_pause_does_not_become_him():
    walks, rests = (-25, 25), np.concatenate((rows_of(3, 0), rows_of(6, NOWHERE), rows_of(3, 0)))
    for seed in range(20):
        sources = followed(np.hstack((rows_of(12, walks), rests)), blur=2.0, seed=seed)
        assert len(sources) == 2
        walker, talker = sources[np.argsort(sources[:, 0])]
        np.testing.assert_allclose(walker[[0, -1]], walks, atol=7)
        np.testing.assert_allclose(talker[[0, -1]], 0, atol=7)


def test_a_source_keeps_its_peak_though_both_might_move_on():
    azimuth_deg = np.concatenate((rows_of(3, 0, 16, NOWHERE), rows_of(3, NOWHERE, 14, 28)))
    sources = followed(azimuth_deg)
    assert len(sources) == 3
    np.testing.assert_allclose(sources[np.nanargmax(sources[:, 0])][[0, -1]], [16, 14], atol=1)


def test_talkers_who_take_turns_are_different_sources():
    turns = np.concatenate((rows_of(2, -30), rows_of(2, 45), rows_of(2, -30)))
    sources = followed(turns)
    assert len(sources) == 2
    assert np.isfinite(sources).all(axis=0).sum() <= 4                  # where one begins, presence is averaged
    np.testing.assert_allclose(sources[0, [5, 55]], -30, atol=1)
    np.testing.assert_allclose(sources[1, 30], 45, atol=1)


@pytest.mark.parametrize("seconds", [0.1, 0.2])
def test_a_phantom_is_dropped(seconds):
    azimuth_deg = rows_of(4, 10, NOWHERE)
    azimuth_deg[20:20 + round(seconds / HOP_S), 1] = -70
    sources = followed(azimuth_deg)
    assert len(sources) == 1
    np.testing.assert_allclose(sources[0], 10, atol=0.5)
    live = Follower(HOP_S, PARAMS, 2)
    assert all(len(live.push(presence_targets(row[np.newaxis], PARAMS))) <= 1 for row in azimuth_deg)


def test_no_more_sources_at_a_time_than_asked_for_but_more_over_time():
    azimuth_deg = np.concatenate((rows_of(2, -60, 0, 60), rows_of(2, -30, 30, 80)))
    for most in (1, 2, 3):
        assert np.isfinite(followed(azimuth_deg, most)).sum(axis=0).max() == most
    assert len(followed(np.concatenate((rows_of(2, -60), rows_of(2, -20), rows_of(2, 20))), 2)) == 3


@pytest.mark.parametrize("before_deg", [70, NOWHERE])
def test_one_who_begins_while_two_cross_is_a_third_at_a_time_only_if_asked_for(before_deg):
    crossing = np.concatenate((rows_of(1, NOWHERE, NOWHERE), rows_of(5.4, (-27, 27), (27, -27))))
    third = np.concatenate((rows_of(1, before_deg), rows_of(2.7, NOWHERE), rows_of(2.7, 70)))
    azimuth_deg = np.hstack((crossing, third))
    for most in (2, 3):
        assert np.isfinite(followed(azimuth_deg, most)).sum(axis=0).max() == most


def test_nobody_and_silence_are_no_source():
    assert followed(rows_of(3, NOWHERE)).shape == (0, 30)
    assert follow(np.empty((0, 37)), HOP_S, PARAMS, 2).azimuth_deg.shape == (0, 0)
    presence = presence_targets(rows_of(3, 10), PARAMS)
    presence[10:20] = 0
    source, = follow(presence, HOP_S, PARAMS, 2).azimuth_deg
    assert np.isnan(source[10:20]).all()
    assert np.isfinite(np.delete(source, range(10, 20))).all()


def test_a_source_in_weak_presence_goes_on_but_none_begins():
    presence = presence_targets(rows_of(4, 10), PARAMS)
    presence[20:] *= 0.4
    assert np.isfinite(follow(presence, HOP_S, PARAMS, 2).azimuth_deg[0]).all()
    assert len(follow(presence[20:], HOP_S, PARAMS, 2).azimuth_deg) == 0


def test_row_by_row_gives_what_all_rows_give_at_once():
    presence = presence_targets(rows_of(6, (-50, 50), 20), PARAMS)
    whole, pieces = (Follower(HOP_S, PARAMS, 2) for _ in range(2))
    whole.push(presence)
    for row in presence:
        heard = pieces.push(row[np.newaxis])
    for one, other in zip(whole.followed(), pieces.followed(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {each.number for each in heard} == {1, 2}
    np.testing.assert_allclose(sorted(each.azimuth_deg for each in heard), [20, 50], atol=0.5)


def test_exchanged_ears_mirror_the_sources():
    presence = presence_targets(rows_of(6, (-50, 50), 20) + np.random.default_rng(1).normal(0, 2, (60, 2)), PARAMS)
    as_is, mirrored = (follow(each, HOP_S, PARAMS, 2).azimuth_deg for each in (presence, presence[:, ::-1]))
    np.testing.assert_allclose(mirrored[np.argsort(-mirrored[:, 0])], -as_is[np.argsort(as_is[:, 0])], atol=1e-3)
