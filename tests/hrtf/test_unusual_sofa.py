"""SOFA files as they are published: read by what they hold, whatever convention, version or habit wrote them."""
import netCDF4
import numpy as np
import pytest
import sofar

import hrir
from console import BadInput

AZIMUTHS = np.arange(-90, 91, 5)
RESPONSE = hrir.read("mit_kemar").response
WANTED = [-90, -30, 0, 45]
GENERATOR = np.random.default_rng(0)


def positions(elevation_deg=0.0, distance_m=1.4):
    return np.stack([-AZIMUTHS % 360, 0 * AZIMUTHS + elevation_deg, 0 * AZIMUTHS + distance_m], axis=1)


def written(path, convention="SimpleFreeFieldHRIR", **changes):
    """The shipped head as a SOFA file with some entries changed."""
    sofa = sofar.Sofa(convention, mandatory="ListenerView" not in changes and convention == "GeneralFIR")
    sofa.Data_IR, sofa.Data_SamplingRate, sofa.Data_Delay = RESPONSE, 44_100, np.zeros((1, 2))
    sofa.ReceiverPosition = np.array([[0, 0.09, 0], [0, -0.09, 0]])
    sofa.ReceiverPosition_Type, sofa.ReceiverPosition_Units = "cartesian", "metre"
    sofa.SourcePosition = positions()
    sofa.SourcePosition_Type, sofa.SourcePosition_Units = "spherical", "degree, degree, metre"
    for name, value in changes.items():
        setattr(sofa, name, value)
    sofar.write_sofa(str(path), sofa)
    return path


def loads_like_the_shipped_head(path, **options):
    measured = hrir.read(path, **options)
    head, shipped = (hrir.at_azimuths(each, 16_000, WANTED).response for each in (measured, hrir.read("mit_kemar")))
    assert np.allclose(head, shipped, atol=1e-4)
    return measured.corrections


def test_distances_that_vary_by_centimetres_are_one_ring(tmp_path):
    distance_m = 1.2 + 0.03 * GENERATOR.standard_normal(37)
    loads_like_the_shipped_head(written(tmp_path / "a.sofa", SourcePosition=positions(distance_m=distance_m)))


def test_a_ring_a_degree_and_a_half_above_the_horizon_is_taken_and_told(tmp_path):
    told = loads_like_the_shipped_head(written(tmp_path / "a.sofa", SourcePosition=positions(1.5)))
    assert "1.5 degrees taken as horizontal" in " ".join(told)


def test_a_distance_of_nothing_is_a_direction(tmp_path):
    loads_like_the_shipped_head(written(tmp_path / "a.sofa", SourcePosition=positions(distance_m=0.0)))


def test_a_spherical_view_of_radius_nothing_is_a_direction(tmp_path):
    loads_like_the_shipped_head(written(tmp_path / "a.sofa", ListenerView=np.array([[0.0, 0.0, 0.0]]),
                                        ListenerView_Type="spherical", ListenerView_Units="degree, degree, metre"))


def test_a_spherical_up_vector_is_a_direction(tmp_path):
    loads_like_the_shipped_head(written(
        tmp_path / "a.sofa", ListenerView=np.array([[0.0, 0.0, 1.0]]), ListenerView_Type="spherical",
        ListenerView_Units="degree, degree, metre", ListenerUp=np.array([[0.0, 90.0, 1.0]])))


def test_a_general_file_without_a_view_looks_along_x_and_tells_so(tmp_path):
    told = loads_like_the_shipped_head(written(tmp_path / "a.sofa", "GeneralFIR"))
    assert "no view" in " ".join(told)


def test_an_upper_case_ending_loads(tmp_path):
    loads_like_the_shipped_head(written(tmp_path / "a.sofa").rename(tmp_path / "A.SOFA"))


@pytest.mark.parametrize("attributes", [{"SOFAConventions": "HouseHRIR"}, {"SOFAConventionsVersion": "9.9"},
                                        {"Version": "7.3"}])
def test_names_and_versions_that_nobody_lists_load(tmp_path, attributes):
    path = written(tmp_path / "a.sofa")
    with netCDF4.Dataset(path, "a") as file:
        file.setncatts(attributes)
    loads_like_the_shipped_head(path)


def eight_receivers(path):
    around = np.tile([[0, 0.09, 0]] * 4 + [[0, -0.09, 0]] * 4, 1)
    return written(path, Data_IR=np.repeat(RESPONSE, 4, axis=1), ReceiverPosition=around, Data_Delay=np.zeros((1, 8)))


def test_more_receivers_than_ears_name_the_flag_that_chooses(tmp_path):
    with pytest.raises(BadInput, match="8 receiver.*--receivers 1 2"):
        hrir.read(eight_receivers(tmp_path / "a.sofa"))


def test_two_of_many_receivers_can_be_chosen(tmp_path):
    loads_like_the_shipped_head(eight_receivers(tmp_path / "a.sofa"), receivers=(2, 7))


def edited(path, edit):
    """The shipped head as a SOFA file that `edit` (dataset) has changed as sofar would not."""
    written(path)
    with netCDF4.Dataset(path, "a") as file:
        edit(file)
    return path


def in_radians(file):
    file["SourcePosition"][:, 0] = np.deg2rad(file["SourcePosition"][:, 0])
    file["SourcePosition"].Units = "radian, radian, metre"


def in_kilohertz(file):
    file["Data.SamplingRate"][:] = 44.1
    file["Data.SamplingRate"].Units = "kilohertz"


@pytest.mark.parametrize("edit", [in_radians, in_kilohertz])
def test_other_units_that_a_file_states_are_converted(tmp_path, edit):
    loads_like_the_shipped_head(edited(tmp_path / "a.sofa", edit))


def test_a_file_without_its_type_of_data_loads_and_tells_so(tmp_path):
    told = loads_like_the_shipped_head(edited(tmp_path / "a.sofa", lambda file: file.delncattr("DataType")))
    assert "no type of data: taken as FIR" in " ".join(told)


def setting(name, value):
    def edit(file):
        file[name][:] = value
    return edit


@pytest.mark.parametrize(("edit", "reason"), [
    (setting("ListenerView", 0), "its ListenerView or ListenerUp is zero"),
    (setting("ListenerView", np.nan), "its ListenerView or ListenerUp is zero or NaN"),
    (setting("ListenerUp", 0), "its ListenerView or ListenerUp is zero"),
    (setting("ListenerUp", [[2, 0, 0]]), "both are one direction"),
    (setting("Data.Delay", [[1e9, 0]]), r"its Data.Delay spans 1e\+09 samples, more than a second"),
    (setting("Data.SamplingRate", 48), "rate 48 Hz"),
    (lambda file: file.setncattr("DataType", "TF"), "it holds data of type TF"),
])
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(tmp_path, edit, reason):
    with pytest.raises(BadInput, match=rf"a\.sofa .*{reason}"):
        hrir.read(edited(tmp_path / "a.sofa", edit))
