"""Simulated rooms have the reverberation time, the ratio and the coherence asked for."""
import numpy as np
import pytest
from scipy.signal import butter, coherence, sosfilt

import hrir
from hrtf.interpolation import onset
from sound import rooms

RATE = 16_000
HEAD = hrir.load("mit_kemar", RATE, range(-90, 91, 5))
PLAIN_ROOM = rooms.Room(np.array([6.0, 5.0, 3.0]), np.array([3.0, 2.5, 1.5]), 20.0, 1.2, 0.3, 6.0)


def impulse_responses(room, seed=0):
    near, tail = rooms.responses(room, HEAD.response, HEAD.azimuth_deg, RATE, np.random.default_rng(seed))
    whole = np.zeros((37, 2, max(near.shape[-1], tail.shape[-1])))
    whole[..., :near.shape[-1]] = near
    whole[..., :tail.shape[-1]] += tail
    return whole


def without_direct(whole):
    reverberation = whole.copy()
    reverberation[..., :HEAD.response.shape[-1]] -= HEAD.response
    return reverberation


@pytest.mark.parametrize("rt60_s", [0.15, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("drr_db", [-3, 5, 15])
def test_reverberation_time_and_ratio_are_those_asked_for(rt60_s, drr_db):
    rng = np.random.default_rng(round(100 * rt60_s) + drr_db + 3)
    # Of a usual size: in a hall of 0.15 s a few echoes are all there is.
    room = PLAIN_ROOM._replace(rt60_s=rooms.draw(rng, (rt60_s, rt60_s), (drr_db, drr_db)).rt60_s, drr_db=drr_db)
    reverberation = without_direct(impulse_responses(room))[18]
    ratio_db = 10 * np.log10(np.square(HEAD.response[18]).sum() / np.square(reverberation).sum())
    assert ratio_db == pytest.approx(drr_db, abs=0.01)
    assert hrir.reverberation_time_s(reverberation, RATE) == pytest.approx(rt60_s, rel=0.15)


@pytest.mark.parametrize("rt60_s", [0.15, 0.6])
def test_reflections_and_tail_share_the_energy_as_its_decay_does(rt60_s):
    """Energy falls by 60 dB in an RT60. Reflections have what decays in 25 ms, or in a twentieth of a short RT60."""
    room = PLAIN_ROOM._replace(rt60_s=rt60_s)
    near, tail = rooms.responses(room, HEAD.response, HEAD.azimuth_deg, RATE, np.random.default_rng(0))
    near[..., :HEAD.response.shape[-1]] -= HEAD.response
    late, early = np.square(tail).sum(), np.square(near[18]).sum()
    assert late / (late + early) == pytest.approx(10 ** (-6 * min(0.025, rt60_s / 20) / rt60_s), rel=0.02)


def test_treble_decays_faster_by_as_much_as_asked_for():
    room = PLAIN_ROOM._replace(rt60_s=0.8, drr_db=0.0, treble=0.2)
    reverberation = without_direct(impulse_responses(room))[18]
    for hz in (500, 1000, 3000, 5000):
        band = sosfilt(butter(4, (hz / 2 ** 0.5, hz * 2 ** 0.5), "bandpass", fs=RATE, output="sos"), reverberation)
        assert hrir.reverberation_time_s(band, RATE) == pytest.approx(room.rt60_at(hz), rel=0.15)


def test_the_reverberation_time_is_that_at_1_khz():
    room = PLAIN_ROOM._replace(rt60_s=0.8, treble=0.2)
    assert room.rt60_at(1000) == 0.8
    assert room.rt60_at(6000) == 0.4


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    return [rooms.draw(rng, (0.1, 1.0), (-3, 15)) for _ in range(200)]


def test_reverberation_times_and_ratios_are_drawn_from_their_ranges(drawn):
    rt60_s, drr_db = np.array([(room.rt60_s, room.drr_db) for room in drawn]).T
    assert 0.1 <= rt60_s.min() < 0.12
    assert 0.9 < rt60_s.max() <= 1.0
    assert -3 <= drr_db.min() < -2
    assert 14 < drr_db.max() <= 15


def test_half_of_the_reverberation_times_lie_below_the_geometric_mean(drawn):
    assert np.mean([room.rt60_s < 0.1 ** 0.5 for room in drawn]) == pytest.approx(0.5, abs=0.1)


def test_head_and_source_stand_within_the_room(drawn):
    for room in drawn:
        assert np.all(room.listener_m[:2] - room.distance_m > 0.3)
        assert np.all(room.listener_m[:2] + room.distance_m < room.size_m[:2] - 0.3)
        assert 0.5 < room.listener_m[2] < room.size_m[2]


def test_every_other_room_has_a_table_below_the_ears(drawn):
    assert np.mean([room.table_gain > 0 for room in drawn]) == pytest.approx(0.5, abs=0.1)
    assert max(room.table_gain for room in drawn) <= 0.6
    assert min(room.listener_m[2] - room.table_below_m for room in drawn) > 0.1


def test_image_sources_are_mirrored_at_the_walls():
    size, source = np.array([4.0, 5.0, 3.0]), np.array([[1.0, 2.0, 1.5]])
    images, walls = rooms._images(source, size)
    found = {tuple(np.round(image, 6)): count for image, count in zip(images[0], walls)}
    assert len(found) == 24
    for image, count in (((-1, 2, 1.5), 1), ((7, 2, 1.5), 1), ((1, -2, 1.5), 1), ((1, 8, 1.5), 1), ((1, 2, -1.5), 1),
                         ((1, 2, 4.5), 1), ((-1, -2, 1.5), 2), ((9, 2, 1.5), 2), ((-7, 2, 1.5), 2)):
        assert found[image] == count


def test_the_direct_sound_is_that_of_the_head_and_comes_first():
    room = rooms.draw(np.random.default_rng(3), (0.4, 0.4), (3, 3))
    whole = impulse_responses(room)
    for row in (0, 18, 36):
        first = max(onset(ear) for ear in HEAD.response[row]) + 10
        direct = HEAD.response[row][:, :first]
        assert np.abs(whole[row][:, :first] - direct).max() < 0.1 * np.abs(direct).max()


def test_reflections_of_a_wall_on_the_left_are_louder_at_the_left_ear():
    size = np.array([8.0, 8.0, 3.0])
    room = rooms.Room(size, np.array([4.0, 7.0, 1.5]), 0.0, 0.9, 0.5, 0.0)  # looks along +x: a wall near on the left
    reflections = rooms._first_reflections(room, HEAD.response, HEAD.azimuth_deg, RATE)[18]
    wall = slice(0, HEAD.response.shape[-1] + 80)  # within 5 ms: the left wall's alone
    assert np.square(reflections[0, wall]).sum() > 2 * np.square(reflections[1, wall]).sum()


@pytest.mark.parametrize(("azimuth_deg", "yaw_deg"), [(0, 0), (90, 90), (-90, -90)])
def test_a_reflection_arrives_when_its_image_source_does(azimuth_deg, yaw_deg):
    """Wherever the head is turned, the source is 1 m from it along +x, and the wall y = 8 m is 1 m away."""
    room = rooms.Room(np.array([20.0, 8.0, 8.0]), np.array([8.0, 7.0, 4.0]), yaw_deg, 1.0, 0.5, 0.0)
    click = np.zeros((37, 2, 3), np.float32)
    click[:, :, 0] = 1
    reflections = rooms._first_reflections(room, click, HEAD.azimuth_deg, RATE)[18 + azimuth_deg // 5, 0]
    first = np.flatnonzero(reflections)[0]
    assert first == pytest.approx((np.hypot(1, 2) - 1) / 343 * RATE, abs=1)


@pytest.mark.parametrize(("azimuth_deg", "metres"), [(-90, 3), (90, 5)])
def test_a_wall_on_the_left_reflects_a_source_on_the_left_first(azimuth_deg, metres):
    """The head faces +x, 2 m from the wall y = 8 m on its left; the source is 1 m to either side."""
    room = rooms.Room(np.array([20.0, 8.0, 20.0]), np.array([8.0, 6.0, 10.0]), 0.0, 1.0, 0.5, 0.0)
    click = np.zeros((37, 2, 3), np.float32)
    click[:, :, 0] = 1
    reflections = rooms._first_reflections(room, click, HEAD.azimuth_deg, RATE)[18 + azimuth_deg // 5, 0]
    assert np.flatnonzero(reflections)[0] == pytest.approx((metres - 1) / 343 * RATE, abs=1)


def test_a_table_adds_the_source_mirrored_in_it():
    """1.2 m away and 0.45 m above it: 1.5 m of way, so 0.3 m later and 1.2 / 1.5 as loud, from 36.9 degrees below."""
    with_table = PLAIN_ROOM._replace(table_below_m=0.45, table_gain=0.5)
    added = impulse_responses(with_table) - impulse_responses(PLAIN_ROOM)
    at, taps = round(0.3 / 343 * RATE), HEAD.response.shape[-1]
    assert np.allclose(added[..., :at], 0)
    for azimuth_deg, from_deg in ((0, 0), (-90, -55), (90, 55), (30, 25)):  # asin(0.8 sin azimuth), to 5 degrees
        expected = 0.5 * 0.8 * HEAD.response[18 + from_deg // 5]
        assert np.allclose(added[18 + azimuth_deg // 5][:, at:at + taps], expected, atol=1e-6)


def test_the_tail_has_the_interaural_delay_of_the_head():
    """A head whose right ear is 3 samples late from everywhere."""
    clicks = np.zeros((37, 2, 8), np.float32)
    clicks[:, 0, 2] = clicks[:, 1, 5] = 1
    _, (left, right) = rooms.responses(PLAIN_ROOM, clicks, HEAD.azimuth_deg, RATE, np.random.default_rng(0))
    lags = range(-5, 6)
    assert lags[np.argmax([np.dot(left[5:-5], np.roll(right, -lag)[5:-5]) for lag in lags])] == 3


def test_the_tail_has_the_coherence_of_a_diffuse_field_at_the_head():
    room = rooms.Room(np.array([8.0, 6.0, 3.0]), np.array([4.0, 3.0, 1.5]), 10.0, 1.5, 1.0, 0.0)
    tails = [rooms.responses(room, HEAD.response, HEAD.azimuth_deg, RATE, np.random.default_rng(seed))[1][:, 800:9000]
             for seed in range(20)]
    level = 10 ** (3 * np.arange(8200) / RATE)  # undo the decay
    hz, measured = coherence(*np.concatenate([tail * level for tail in tails], axis=1), fs=RATE, nperseg=640)
    left, right, cross = rooms.diffuse_field(HEAD.response, HEAD.azimuth_deg, 640)
    expected = np.abs(cross) ** 2 / (left * right)
    inside = (hz >= 100) & (hz < 7000)
    assert np.abs(measured - expected)[inside].mean() < 0.04
    assert measured[(hz >= 75) & (hz <= 150)].mean() > 0.7
