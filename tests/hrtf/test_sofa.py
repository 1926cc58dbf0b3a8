"""SOFA files of every convention give the same head, by their own metadata."""
import shutil

import numpy as np
import pytest
import sofar

import hrir
from console import BadInput
from hrtf.sofa import read_sofa

SHIPPED = hrir.read("mit_kemar")
RIGHT_FIRST = np.array([[0, -0.09, 0], [0, 0.09, 0]])  # metres: y is to the left


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
    measured = read_sofa(sofa_file(tmp_path / "head.sofa", convention))
    np.testing.assert_allclose(measured.response, SHIPPED.response, atol=1e-6)
    np.testing.assert_allclose(measured.azimuth_deg, SHIPPED.azimuth_deg, atol=1e-3)
    assert measured.sample_rate_hz == 44_100


def test_a_head_is_described_by_name_directions_rate_taps_and_licence(tmp_path):
    head = hrir.load(sofa_file(tmp_path / "head.sofa"), 16_000, [-30, 0, 33])
    assert head.description == ("head: 37 directions from -90 to 90 degrees, 44100 Hz, 512 taps, licence: for tests")
    assert head.name == "head"
    assert np.isnan(head.rt60_s)


def test_a_file_of_mirrored_azimuths_is_corrected_and_described(tmp_path):
    head = hrir.load(sofa_file(tmp_path / "surrey.sofa", mirrored=True), 44_100, [-90, 0, 90])
    np.testing.assert_allclose(head.response, SHIPPED.response[[0, 18, 36]], atol=1e-6)
    assert "azimuths mirrored" in head.description


def test_receivers_with_the_right_first_are_put_in_order(tmp_path):
    path = sofa_file(tmp_path / "right.sofa", ReceiverPosition=RIGHT_FIRST, response=SHIPPED.response[:, ::-1])
    head = hrir.load(path, 44_100, SHIPPED.azimuth_deg)
    np.testing.assert_allclose(head.response, SHIPPED.response, atol=1e-6)
    assert "right first" in head.description


def test_receiver_positions_that_contradict_the_data_are_overruled(tmp_path):
    head = hrir.load(sofa_file(tmp_path / "wrong.sofa", ReceiverPosition=RIGHT_FIRST), 44_100, SHIPPED.azimuth_deg)
    np.testing.assert_allclose(head.response, SHIPPED.response, atol=1e-6)
    assert "receivers exchanged" in head.description


def test_stored_delays_are_applied_but_for_what_all_have_in_common(tmp_path):
    measured = read_sofa(sofa_file(tmp_path / "late.sofa", Data_Delay=np.tile([7, 19.5], (37, 1))))
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
    measured = read_sofa(sofa_file(tmp_path / "many.sofa", response=response, azimuth_deg=azimuth,
                                   SourcePosition=position))
    np.testing.assert_allclose(measured.response, SHIPPED.response, atol=1e-6)
    assert measured.corrections == ("distance 1.4 m of 2",)


def test_a_long_licence_is_cut(tmp_path):
    assert read_sofa(sofa_file(tmp_path / "head.sofa", GLOBAL_License="x" * 200)).licence == "x" * 77 + "..."


@pytest.mark.parametrize(("make", "says"), [
    (lambda path: None, "neither a set that ships"),
    (lambda path: path.write_text("no SOFA"), "cannot be read as a SOFA file"),
    (lambda path: path.write_bytes(b""), "cannot be read as a SOFA file"),
    (lambda path: shutil.copy(hrir.FOLDER / "mit_kemar.npz", path), "cannot be read as a SOFA file"),
    (lambda path: sofa_file(path, response=np.full_like(SHIPPED.response, np.nan)), "no usable impulse responses"),
    (lambda path: sofa_file(path, response=SHIPPED.response[:, :1],
                            ReceiverPosition=np.array([[0, 0.09, 0]]), Data_Delay=np.zeros((1, 1))), "1 receiver"),
    (lambda path: sofa_file(path, SourcePosition=np.stack([0 * SHIPPED.azimuth_deg, 40 + 0 * SHIPPED.azimuth_deg,
                                                           1 + 0 * SHIPPED.azimuth_deg], axis=1)), "horizontal plane"),
])
def test_a_file_that_is_no_head_is_refused_by_name(tmp_path, make, says):
    path = tmp_path / "bad.sofa"
    make(path)
    with pytest.raises(BadInput, match=says) as refused:
        hrir.load(path, 16_000, [0])
    assert "bad.sofa" in str(refused.value)
