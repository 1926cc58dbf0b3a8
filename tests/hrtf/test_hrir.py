"""The shipped head as measured; directions, left and right, reverberation time and size of any set."""
import numpy as np
import pytest

import features
import hrir
from console import BadInput
from params import Params

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz, PARAMS.azimuth_deg)
SHIPPED = hrir.read("mit_kemar")


def at_hz(taps, hz, rate_hz=16_000):
    """Frequency response of (..., tap) at some frequencies."""
    return taps @ np.exp(-2j * np.pi * np.outer(np.arange(taps.shape[-1]), hz) / rate_hz)


# ---------------------------------------------------------------------------------------------------- the shipped head

def test_the_file_holds_integers_as_measured():
    with np.load(hrir.FOLDER / "mit_kemar.npz", allow_pickle=False) as stored:
        assert stored["impulse_response"].shape == (37, 2, 512)
        assert stored["impulse_response"].dtype == np.int16
        assert stored["sample_rate_hz"] == 44_100


def test_the_file_names_its_source_and_licence_and_is_small():
    with np.load(hrir.FOLDER / "mit_kemar.npz", allow_pickle=False) as stored:
        assert "Gardner" in str(stored["source"])
        assert "cited" in str(stored["licence"])
    assert (hrir.FOLDER / "mit_kemar.npz").stat().st_size < 80_000


def test_the_azimuths_of_the_head_are_the_labels():
    assert tuple(HEAD.azimuth_deg) == PARAMS.azimuth_deg
    assert HEAD.response.shape[:2] == (37, 2)


def test_the_front_is_the_direction_nearest_to_0():
    assert hrir.front(HEAD.azimuth_deg) == 18
    assert hrir.front([-30, -4, 10]) == 1


def test_the_near_ear_is_earlier_and_louder():
    arrival = np.argmax(np.abs(HEAD.response) > 0.2 * np.abs(HEAD.response).max(axis=-1, keepdims=True), axis=-1)
    level_db = 10 * np.log10(np.square(HEAD.response).sum(axis=-1))
    left, right = HEAD.azimuth_deg <= -10, HEAD.azimuth_deg >= 10
    assert np.all(arrival[right, 1] <= arrival[right, 0])
    assert np.all(arrival[left, 0] <= arrival[left, 1])
    assert np.all(level_db[right, 1] > level_db[right, 0])
    assert np.all(level_db[left, 0] > level_db[left, 1])


def test_the_longest_interaural_delay_is_that_of_a_head():
    arrival = [np.argmax(np.abs(ear) > 0.2 * np.abs(ear).max()) for ear in HEAD.response[36]]
    assert 0.6e-3 <= (arrival[0] - arrival[1]) / 16_000 <= 0.8e-3


def test_a_mirrored_azimuth_is_the_swapped_pair():
    np.testing.assert_allclose(HEAD.response, HEAD.response[::-1, ::-1], atol=1e-6)  # this file mirrors one ear


def test_resampling_keeps_the_frequency_response():
    hz = np.arange(200, 7000, 100)
    error_db = 20 * np.log10(np.abs(at_hz(HEAD.response, hz)) / np.abs(at_hz(SHIPPED.response, hz, 44_100)))
    assert np.abs(error_db).max() < 0.1


def test_the_measured_rate_needs_no_resampling():
    np.testing.assert_array_equal(hrir.at_azimuths(SHIPPED, 44_100, [30]).response[0],
                                  SHIPPED.response[24].astype(np.float32))


def test_the_interaural_phase_grows_with_the_azimuth():
    spectra = np.fft.rfft(HEAD.response, 640)
    ipd_500_hz = features.interaural_cues(spectra[:, 0], spectra[:, 1], PARAMS.power_floor)[:, 20, 0]
    assert np.all(np.diff(ipd_500_hz[2:-2]) > 0)
    np.testing.assert_allclose(ipd_500_hz, -ipd_500_hz[::-1], atol=1e-4)


# ---------------------------------------------------------------------------------------------------------- directions

def response_at(measured, azimuth_deg):
    return hrir.at_azimuths(measured, 44_100, [azimuth_deg]).response[0]


def test_the_nearest_direction_stands_for_one_within_a_degree():
    measured = SHIPPED.response[24].astype(np.float32)
    np.testing.assert_array_equal(response_at(SHIPPED, 31.0), measured)
    assert not np.array_equal(response_at(SHIPPED, 31.1), measured)


@pytest.mark.parametrize(("kept", "azimuth_deg"), [(slice(0, 30), 90), (slice(None, None, 6), 15)])
def test_a_direction_that_a_set_cannot_give_is_refused(kept, azimuth_deg):
    part = SHIPPED._replace(response=SHIPPED.response[kept], azimuth_deg=SHIPPED.azimuth_deg[kept])
    assert not hrir.can_give(part, azimuth_deg)
    with pytest.raises(BadInput, match=f"--azimuth-deg {azimuth_deg} is not possible with mit_kemar"):
        response_at(part, azimuth_deg)


@pytest.mark.parametrize(("gap_deg", "can_give"), [(20, True), (25, False)])
def test_neighbours_are_interpolated_up_to_20_degrees_apart(gap_deg, can_give):
    rows = [18, 18 + gap_deg // 5]
    part = SHIPPED._replace(response=SHIPPED.response[rows], azimuth_deg=SHIPPED.azimuth_deg[rows])
    assert hrir.can_give(part, 8) == can_give


def test_azimuths_go_round_behind_the_head():
    behind = SHIPPED._replace(response=SHIPPED.response[:2], azimuth_deg=np.array([-175.0, 175.0]))
    assert hrir.can_give(behind, 180)
    assert not hrir.can_give(behind, 0)


@pytest.mark.parametrize(("changes", "says"), [
    ({"source": "nobody"}, "--hrir nobody is neither a set that ships"),
    ({"left_right": "up"}, "--left-right up is not possible")])
def test_a_set_that_does_not_exist_is_refused(changes, says):
    with pytest.raises(BadInput, match=says):
        hrir.read(**{"source": "mit_kemar"} | changes)


# ------------------------------------------------------------------------------------------------------ left and right

MIRRORED = SHIPPED._replace(azimuth_deg=-SHIPPED.azimuth_deg[::-1], response=SHIPPED.response[:, ::-1])


def test_a_set_that_is_right_stays_as_it_is():
    assert hrir._left_and_right(SHIPPED, "check") is SHIPPED


def test_mirrored_azimuths_are_corrected_and_the_correction_named():
    corrected = hrir._left_and_right(MIRRORED, "check")
    np.testing.assert_array_equal(corrected.azimuth_deg, SHIPPED.azimuth_deg)
    np.testing.assert_array_equal(corrected.response, MIRRORED.response[::-1])
    assert corrected.corrections == ("azimuths mirrored: the file counts them clockwise",)


@pytest.mark.parametrize(("left_right", "row"), [("keep", 0), ("mirror", 36)])
def test_the_user_may_overrule_the_check(left_right, row):
    told = hrir._left_and_right(SHIPPED, left_right)
    np.testing.assert_array_equal(told.response[0], SHIPPED.response[row])


MONO = SHIPPED._replace(response=np.repeat(SHIPPED.response[:, :1], 2, axis=1))
RIGHT_HALF_CROSSED = SHIPPED._replace(response=np.concatenate([SHIPPED.response[:19], SHIPPED.response[19:, ::-1]]))
LEVELS_CROSSED = SHIPPED._replace(  # the near ear is earlier and weaker
    response=SHIPPED.response / np.square(np.square(SHIPPED.response).sum(axis=-1, keepdims=True)))
LOUDER = np.repeat([[[4], [1]], [[1], [4]]], [19, 18], axis=0)  # the left ear, then the right one
LEVELS_ALONE = SHIPPED._replace(response=SHIPPED.response[:, :1] * LOUDER)  # the near ear is louder and no earlier
IN_FRONT_ALONE = SHIPPED._replace(response=SHIPPED.response[14:23], azimuth_deg=SHIPPED.azimuth_deg[14:23])


@pytest.mark.parametrize("measured", [MONO, RIGHT_HALF_CROSSED, LEVELS_CROSSED, LEVELS_ALONE, IN_FRONT_ALONE],
                         ids=["mono", "right half crossed", "levels crossed", "levels alone", "-20 to 20 degrees"])
def test_a_set_that_does_not_tell_left_from_right_is_refused(measured):
    with pytest.raises(BadInput, match="mit_kemar does not tell left from right"):
        hrir._left_and_right(measured, "check")
    assert hrir._left_and_right(measured, "keep") is measured


def test_single_directions_that_mislead_decide_nothing():
    """Of 89 people's heads 30 were refused by their outermost direction; the whole side knows better."""
    misleading = SHIPPED.response.copy()
    misleading[[0, 36]] = misleading[[0, 36], ::-1]       # -90 and 90 degrees
    assert hrir._left_and_right(SHIPPED._replace(response=misleading), "check").corrections == SHIPPED.corrections


@pytest.mark.parametrize("gain_db", [-9, 9])
def test_ears_of_unequal_gain_are_right_all_the_same(gain_db):
    unequal = SHIPPED._replace(response=SHIPPED.response * [[1], [10 ** (gain_db / 20)]])
    assert hrir._left_and_right(unequal, "check") is unequal


def test_a_folder_or_a_pattern_names_its_sofa_files(tmp_path):
    for name in ("b.sofa", "A.SOFA", "notes.txt"):
        (tmp_path / name).touch()
    everything = [str(tmp_path / name) for name in ("A.SOFA", "b.sofa")]
    assert hrir.sources_of(tmp_path) == everything
    assert hrir.sources_of(str(tmp_path / "b*")) == everything[1:]
    assert hrir.sources_of("mit_kemar") == ["mit_kemar"]
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "*.nothing"):
        with pytest.raises(BadInput, match="holds no SOFA file"):
            hrir.sources_of(str(nothing))


# ---------------------------------------------------------------------------------------------------------------- rooms

def ringing(rt60_s):
    """A direct sound and the decay of a room after it: (2, tap) at 16 kHz."""
    seconds = np.arange(16_000) / 16_000
    response = np.random.default_rng(0).standard_normal((2, 16_000)) * 10 ** (-3 * seconds / rt60_s) * 0.01
    response[:, 100] = 0.3
    return response


@pytest.mark.parametrize("rt60_s", [0.3, 0.5, 0.9])
def test_a_room_is_told_by_its_reverberation_time(rt60_s):
    assert hrir.reverberation_time_s(ringing(rt60_s), 16_000) == pytest.approx(rt60_s, rel=0.07)


def test_a_head_in_the_free_field_has_no_reverberation_time():
    assert np.isnan(HEAD.rt60_s)


def test_a_set_of_a_room_is_described_with_its_reverberation_time():
    room = SHIPPED._replace(response=np.stack([ringing(0.5)] * 37), sample_rate_hz=16_000)
    head = hrir.at_azimuths(room, 16_000, [0])
    assert head.rt60_s == pytest.approx(0.5, rel=0.07)
    assert ", RT60 0.5" in head.description


# ----------------------------------------------------------------------------------------------------------- head size

@pytest.mark.parametrize("size", [0.87, 1.15])
def test_the_delays_of_a_stretched_head_are_in_proportion_to_its_size(size):
    """At frequencies in proportion the phase would be the same; below 500 Hz the delay barely depends on frequency."""
    hz = np.arange(200, 500, 10)

    def delay_s(response):
        left, right = at_hz(response[[3, 10, 26, 33]], hz).swapaxes(0, 1)
        return (np.angle(right / left) / (2 * np.pi * hz)).mean(axis=-1)

    np.testing.assert_allclose(delay_s(hrir.resized(HEAD, size, 16_000)), size * delay_s(HEAD.response), rtol=0.03)


def test_a_stretched_head_keeps_its_spectrum_on_a_stretched_axis():
    hz, rows = np.arange(300, 6000, 100), [5, 18, 30]
    other = hrir.resized(HEAD, 1.15, 16_000)
    error_db = 20 * np.log10(np.abs(at_hz(other[rows], hz) / at_hz(HEAD.response[rows], 1.15 * hz)))
    assert np.abs(error_db).max() < 0.3
