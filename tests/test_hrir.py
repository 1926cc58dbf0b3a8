"""The shipped head as measured, SOFA files of every convention, and left is left."""
import shutil

import numpy as np
import pytest
import sofar

import features
import hrir
from console import BadInput
from params import Params

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz, PARAMS.azimuth_deg)
SHIPPED = hrir.read("mit_kemar")


def test_the_file_holds_integers_as_measured():
    with np.load(hrir.FOLDER / "mit_kemar.npz", allow_pickle=False) as stored:
        assert stored["impulse_response"].shape == (37, 2, 512)
        assert stored["impulse_response"].dtype == np.int16
        assert stored["sample_rate_hz"] == 44_100
        assert "Gardner" in str(stored["source"])
        assert "cited" in str(stored["licence"])
    assert (hrir.FOLDER / "mit_kemar.npz").stat().st_size < 80_000


def test_azimuths_are_the_labels():
    assert tuple(HEAD.azimuth_deg) == PARAMS.azimuth_deg
    assert hrir.front(HEAD.azimuth_deg) == 18
    assert HEAD.response.shape[:2] == (37, 2)


def test_the_near_ear_is_earlier_and_louder():
    arrival = np.argmax(np.abs(HEAD.response) > 0.2 * np.abs(HEAD.response).max(axis=-1, keepdims=True), axis=-1)
    level_db = 10 * np.log10(np.square(HEAD.response).sum(axis=-1))
    for row, azimuth_deg in enumerate(HEAD.azimuth_deg):
        if abs(azimuth_deg) < 10:
            continue
        near, far = (1, 0) if azimuth_deg > 0 else (0, 1)
        assert arrival[row, near] <= arrival[row, far]
        assert level_db[row, near] > level_db[row, far]
    assert arrival[36, 0] - arrival[36, 1] >= 9  # 0.6 ms and more at 16 kHz: a head's width


def test_a_mirrored_azimuth_is_the_swapped_pair():
    np.testing.assert_allclose(HEAD.response, HEAD.response[::-1, ::-1], atol=1e-6)  # this file mirrors one ear


def test_resampling_keeps_the_frequency_response():
    with np.load(hrir.FOLDER / "mit_kemar.npz") as stored:
        measured = stored["impulse_response"] / 2 ** 15
    hz = np.arange(200, 7000, 100)

    def response_at(taps, rate):
        return taps @ np.exp(-2j * np.pi * np.outer(np.arange(taps.shape[-1]), hz) / rate)

    error_db = 20 * np.log10(np.abs(response_at(HEAD.response, 16_000)) / np.abs(response_at(measured, 44_100)))
    assert np.abs(error_db).max() < 0.1


def test_interaural_delay_follows_the_head():
    spectra = np.fft.rfft(HEAD.response, 640)
    cues = features.interaural_cues(spectra[:, 0], spectra[:, 1], PARAMS.power_floor)
    ipd_500_hz = cues[:, 20, 0]
    assert np.all(np.diff(ipd_500_hz[2:-2]) > 0)
    np.testing.assert_allclose(ipd_500_hz, -ipd_500_hz[::-1], atol=1e-4)


# ------------------------------------------------------------------------------------------------------ interpolation

def shifted(samples):
    """The shipped front response, later by any number of samples."""
    size = 2048
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * samples)
    return np.fft.irfft(np.fft.rfft(SHIPPED.response[18, 0], size) * turn, size)[:600]


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_interpolating_a_delay_gives_a_delay_not_two_copies(weight):
    between = hrir.interpolated(shifted(0), shifted(20), weight, 44_100)
    expected = shifted(20 * weight)
    assert np.abs(between - expected).max() < 0.02 * np.abs(expected).max()


def test_interpolating_a_level_is_in_decibels():
    one = shifted(0)
    between = hrir.interpolated(one, 100 * one, 0.5, 44_100)
    np.testing.assert_allclose(between, 10 * one, atol=1e-3 * np.abs(10 * one).max())


def test_leaving_out_every_other_direction_changes_little():
    sparse = SHIPPED._replace(response=SHIPPED.response[::2], azimuth_deg=SHIPPED.azimuth_deg[::2])
    hz = np.fft.rfftfreq(1024, 1 / 44_100)
    inside = (hz > 150) & (hz < 6000)
    for row in range(9, 28, 2):  # -45 to 45 degrees
        between = np.fft.rfft(hrir._at(sparse, SHIPPED.azimuth_deg[row]), 1024)[:, inside]
        measured = np.fft.rfft(SHIPPED.response[row], 1024)[:, inside]
        assert np.abs(20 * np.log10(np.abs(between / measured))).mean() < 0.7
        assert np.abs(np.angle(between[1] / between[0] * measured[0] / measured[1])).mean() < 0.1  # IPD


def test_the_nearest_direction_stands_for_one_within_a_degree():
    assert np.array_equal(hrir._at(SHIPPED, 31.0), SHIPPED.response[24])
    assert not np.array_equal(hrir._at(SHIPPED, 31.1), SHIPPED.response[24])


@pytest.mark.parametrize(("kept", "azimuth_deg"), [(slice(0, 30), 90), (slice(None, None, 6), 15)])
def test_a_direction_that_a_set_cannot_give_is_refused(kept, azimuth_deg):
    part = SHIPPED._replace(response=SHIPPED.response[kept], azimuth_deg=SHIPPED.azimuth_deg[kept])
    with pytest.raises(BadInput, match=f"--azimuth-deg {azimuth_deg} is not possible with mit_kemar"):
        hrir._at(part, azimuth_deg)


# ---------------------------------------------------------------------------------------------------------- SOFA files

@pytest.mark.filterwarnings("ignore")
def sofa_file(path, convention="SimpleFreeFieldHRIR", mirrored=False, response=None, azimuth_deg=None, **changes):
    """Write the shipped head as a SOFA file of a convention, its own metadata right or mirrored."""
    sofa = sofar.Sofa(convention, mandatory=True)
    sofa.Data_Delay = np.zeros((1, 2))
    response = SHIPPED.response if response is None else response
    azimuth = SHIPPED.azimuth_deg if azimuth_deg is None else azimuth_deg
    counted = azimuth if mirrored else -azimuth
    sofa.Data_SamplingRate = 44_100
    sofa.ReceiverPosition = np.array([[0, 0.09, 0], [0, -0.09, 0]])
    sofa.ReceiverPosition_Type, sofa.ReceiverPosition_Units = "cartesian", "metre"
    around = np.stack([2 * np.cos(np.deg2rad(counted)), 2 * np.sin(np.deg2rad(counted)), 0 * counted], axis=1)
    if convention == "SimpleFreeFieldHRIR":
        sofa.Data_IR = response
        sofa.SourcePosition = np.stack([counted % 360, 0 * counted, np.full(len(counted), 1.4)], axis=1)
    elif convention in ("SingleRoomDRIR", "SingleRoomSRIR"):  # a source that stands still, a head that turns
        sofa.Data_IR = response
        heading = np.deg2rad(30 - counted)
        sofa.SourcePosition = np.tile([3 + 2 * np.cos(np.deg2rad(30)), 4 + 2 * np.sin(np.deg2rad(30)), 1.5],
                                      (len(counted), 1))
        sofa.SourcePosition_Type, sofa.SourcePosition_Units = "cartesian", "metre"
        sofa.ListenerPosition = np.tile([3, 4, 1.5], (len(counted), 1))
        sofa.ListenerView = np.stack([np.cos(heading), np.sin(heading), 0 * heading], axis=1)
        sofa.ListenerUp = np.array([[0, 0, 1.0]])
    else:  # one position of the head, many loudspeakers
        emitter_last = convention == "SingleRoomMIMOSRIR"
        sofa.Data_IR = np.moveaxis(response, 0, -1)[np.newaxis] if emitter_last else \
            np.moveaxis(response, 0, 1)[np.newaxis]
        sofa.EmitterPosition = around
        sofa.EmitterPosition_Type, sofa.EmitterPosition_Units = "cartesian", "metre"
        sofa.SourcePosition, sofa.ListenerPosition = np.zeros((1, 3)), np.zeros((1, 3))
        sofa.SourcePosition_Type, sofa.SourcePosition_Units = "cartesian", "metre"
        sofa.ListenerView, sofa.ListenerUp = np.array([[1.0, 0, 0]]), np.array([[0, 0, 1.0]])
        sofa.Data_Delay = np.zeros((1, 2, 1)) if emitter_last else np.zeros((1, 2, len(counted)))
    sofa.GLOBAL_License, sofa.GLOBAL_RoomType = "for tests", "free field"
    for name, value in changes.items():
        setattr(sofa, name, value)
    if convention in ("SingleRoomDRIR", "MultiSpeakerBRIR"):  # deprecated: sofar reads them and refuses to write them
        sofa.verify(issue_handling="ignore")
        sofar.io._write_sofa(str(path), sofa, verify=False)
    else:
        sofar.write_sofa(str(path), sofa)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("convention", ["SimpleFreeFieldHRIR", "SingleRoomDRIR", "SingleRoomSRIR", "MultiSpeakerBRIR",
                                        "SingleRoomMIMOSRIR"])
def test_every_convention_gives_the_same_head(tmp_path, convention):
    path = sofa_file(tmp_path / "head.sofa", convention)
    head = hrir.load(path, 16_000, PARAMS.azimuth_deg)
    np.testing.assert_allclose(head.response, HEAD.response, atol=1e-6)
    assert "37 directions from -90 to 90 degrees, 44100 Hz, 512 taps, licence: for tests" in head.found
    assert np.isnan(head.rt60_s)


def test_clockwise_azimuths_are_corrected_with_a_remark(tmp_path):
    path = sofa_file(tmp_path / "surrey.sofa", mirrored=True)
    head = hrir.load(path, 16_000, PARAMS.azimuth_deg)
    np.testing.assert_allclose(head.response, HEAD.response, atol=1e-6)
    assert "azimuths mirrored" in head.found
    kept = hrir.load(path, 16_000, PARAMS.azimuth_deg, left_right="keep")
    np.testing.assert_allclose(kept.response, HEAD.response[::-1], atol=1e-6)
    right = sofa_file(tmp_path / "right.sofa")
    assert np.allclose(hrir.load(right, 16_000, PARAMS.azimuth_deg, left_right="mirror").response, HEAD.response[::-1],
                       atol=1e-6)


def test_wrong_and_right_receiver_positions(tmp_path):
    exchanged = np.array([[0, -0.09, 0], [0, 0.09, 0]])
    wrong = hrir.load(sofa_file(tmp_path / "wrong.sofa", ReceiverPosition=exchanged), 16_000, PARAMS.azimuth_deg)
    assert "receivers exchanged" in wrong.found
    right = hrir.load(sofa_file(tmp_path / "right.sofa", ReceiverPosition=exchanged,
                                response=SHIPPED.response[:, ::-1]), 16_000, PARAMS.azimuth_deg)
    assert "right first" in right.found
    for head in (wrong, right):
        np.testing.assert_allclose(head.response, HEAD.response, atol=1e-6)


def test_an_undecided_set_is_refused_unless_told(tmp_path):
    same = np.repeat(SHIPPED.response[:, :1], 2, axis=1)
    path = sofa_file(tmp_path / "mono.sofa", response=same)
    with pytest.raises(BadInput, match="mono does not tell left from right"):
        hrir.load(path, 16_000, PARAMS.azimuth_deg)
    assert hrir.load(path, 16_000, PARAMS.azimuth_deg, left_right="keep").response.shape[0] == 37


def test_a_set_that_contradicts_itself_is_undecided(tmp_path):
    crossed = SHIPPED.response.copy()
    crossed[19:] = crossed[19:, ::-1]  # the right half has its ears exchanged
    with pytest.raises(BadInput, match="does not tell left from right"):
        hrir.load(sofa_file(tmp_path / "crossed.sofa", response=crossed), 16_000, PARAMS.azimuth_deg)


def test_stored_delays_are_applied(tmp_path):
    late = np.zeros((37, 2))
    late[:, 1] = 12.5
    path = sofa_file(tmp_path / "late.sofa", Data_Delay=late)
    measured = hrir.read(path, "keep")
    size = 2048
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * 12.5)
    for ear, factor in ((0, 1), (1, turn)):
        expected = np.fft.irfft(np.fft.rfft(SHIPPED.response[5, ear], size) * factor, size)
        np.testing.assert_allclose(measured.response[5, ear], expected[:measured.response.shape[-1]], atol=1e-3)


def test_other_elevations_and_distances_are_left_out(tmp_path):
    azimuth = np.concatenate([SHIPPED.azimuth_deg, SHIPPED.azimuth_deg, SHIPPED.azimuth_deg[:5]])
    position = np.stack([-azimuth % 360, np.repeat([0, 20, 0], [37, 37, 5]), np.repeat([1.4, 1.4, 2.5], [37, 37, 5])],
                        axis=1)
    response = np.concatenate([SHIPPED.response, 5 * SHIPPED.response, 9 * SHIPPED.response[:5]])
    path = sofa_file(tmp_path / "many.sofa", response=response, azimuth_deg=azimuth, SourcePosition=position)
    head = hrir.load(path, 16_000, PARAMS.azimuth_deg)
    np.testing.assert_allclose(head.response, HEAD.response, atol=1e-6)
    assert "distance 1.4 m of 2" in head.found


def test_a_room_is_told_by_its_reverberation_time(tmp_path):
    rng = np.random.default_rng(0)
    ring = rng.standard_normal((37, 2, 44_100)) * 10 ** (-3 * np.arange(44_100) / 44_100 / 0.5) * 0.01
    ring[..., :512] = SHIPPED.response
    head = hrir.load(sofa_file(tmp_path / "room.sofa", response=ring), 16_000, [-30, 0, 33])
    assert head.rt60_s == pytest.approx(0.5, rel=0.05)
    assert "RT60 0.5" in head.found
    assert head.response.shape[-1] > 16_000


@pytest.mark.parametrize(("make", "says"), [
    (lambda path: None, "neither a set that ships"),
    (lambda path: path.write_text("no SOFA"), "cannot be read as a SOFA file"),
    (lambda path: path.write_bytes(b""), "cannot be read as a SOFA file"),
    (lambda path: shutil.copy(hrir.FOLDER / "mit_kemar.npz", path), "cannot be read as a SOFA file"),
    (lambda path: sofa_file(path, response=np.full_like(SHIPPED.response, np.nan)), "no usable impulse responses"),
    (lambda path: sofa_file(path, response=SHIPPED.response[:, :1],
                            ReceiverPosition=np.array([[0, 0.09, 0]]), Data_Delay=np.zeros((1, 1))), "1 receivers"),
    (lambda path: sofa_file(path, SourcePosition=np.stack([0 * SHIPPED.azimuth_deg, 40 + 0 * SHIPPED.azimuth_deg,
                                                           1 + 0 * SHIPPED.azimuth_deg], axis=1)), "horizontal plane"),
])
def test_files_that_are_no_heads(tmp_path, make, says):
    path = tmp_path / "bad.sofa"
    make(path)
    with pytest.raises(BadInput, match=says) as refused:
        hrir.load(path, 16_000, PARAMS.azimuth_deg)
    assert "bad.sofa" in str(refused.value)


# ------------------------------------------------------------------------------------------------------- head size

@pytest.mark.parametrize("size", [0.87, 1.15])
def test_a_stretched_head_has_its_delays_in_proportion(size):
    def delay_s(response, row):
        spectra = np.fft.rfft(response[row], 1024)
        hz = np.fft.rfftfreq(1024, 1 / 16_000)
        low = (hz > 200) & (hz < 500)
        phase = np.angle(spectra[1] / spectra[0])[low]
        return (phase / (2 * np.pi * hz[low])).mean()

    other = hrir.resized(HEAD, size, 16_000)
    for row in (3, 10, 26, 33):
        # at frequencies in proportion the phase would be the same; below 500 Hz the delay barely depends on frequency
        assert delay_s(other, row) == pytest.approx(size * delay_s(HEAD.response, row), rel=0.03)


def test_a_stretched_head_keeps_its_spectrum_on_a_stretched_axis():
    other = hrir.resized(HEAD, 1.15, 16_000)
    hz = np.arange(300, 6000, 100)

    def at(taps, hz):
        return np.abs(taps @ np.exp(-2j * np.pi * np.outer(np.arange(taps.shape[-1]), hz) / 16_000))

    for row in (5, 18, 30):
        error_db = 20 * np.log10(at(other[row], hz) / at(HEAD.response[row], 1.15 * hz))
        assert np.abs(error_db).max() < 0.3
