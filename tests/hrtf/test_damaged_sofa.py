"""SOFA files that a disk or a copy has damaged: refused by name where that can be told, and never a traceback."""
from functools import lru_cache

import netCDF4
import numpy as np
import pytest
from helpers import one_sentence, write_head
from hypothesis import given
from hypothesis import strategies as st

import hrir
from console import BadInput, sha256_of
from hrtf.plausible import fault_of
from hrtf.sofa import read_sofa

SHIPPED = hrir.read("mit_kemar")
RNG = np.random.default_rng(0)


@lru_cache
def head_file(folder):
    write_head(folder / "head.sofa")
    return folder / "head.sofa"


@pytest.fixture
def path(tmp_path_factory):
    return head_file(tmp_path_factory.getbasetemp())


def without_compression(path, edit=lambda file: None, **storage):
    """Copy a SOFA file with its values as they are in memory, which HDF5 gives no checksum; `edit` the copy."""
    plain = path.with_name("plain.sofa")
    with netCDF4.Dataset(path) as source, netCDF4.Dataset(plain, "w") as target:
        target.setncatts({name: source.getncattr(name) for name in source.ncattrs()})
        for name, dimension in source.dimensions.items():
            target.createDimension(name, len(dimension))
        for name, variable in source.variables.items():
            copied = target.createVariable(name, variable.dtype, variable.dimensions, **storage)
            copied.setncatts({key: variable.getncattr(key) for key in variable.ncattrs()})
            copied[:] = variable[:]
        edit(target)
    return plain


def outcomes(path, count, begin=0, end=None):
    """Flip `count` bytes of a file, one at a time: refused in one sentence, or the set that was read."""
    content, damaged = path.read_bytes(), path.with_name("damaged.sofa")
    sets, problems = [], []
    for at in RNG.integers(begin, end or len(content), size=count):
        flipped = bytearray(content)
        flipped[at] ^= RNG.integers(1, 256)
        damaged.write_bytes(flipped)
        try:
            measured = hrir.read(damaged)
            hrir.at_azimuths(measured, 16_000, [a for a in range(-90, 91, 30) if hrir.can_give(measured, a)])
            sets.append(measured)
        except BadInput as refused:
            problems.append(str(refused))
    assert all("damaged" in problem and one_sentence(problem) for problem in problems)
    return sets


def test_no_flipped_byte_of_a_compressed_file_gives_another_response(path):
    sets = outcomes(path, 60)
    assert len(sets) < 50  # some bytes are padding
    for measured in sets:
        np.testing.assert_array_equal(measured.response, SHIPPED.response)
        np.testing.assert_array_equal(measured.azimuth_deg, SHIPPED.azimuth_deg)


def test_no_flipped_byte_of_a_file_with_fletcher32_gives_another_response(path):
    plain = without_compression(path, fletcher32=True)
    for measured in outcomes(plain, 40, begin=plain.read_bytes().index(SHIPPED.response[:1].tobytes())):
        np.testing.assert_array_equal(measured.response, SHIPPED.response)


def test_most_flipped_bytes_of_an_uncompressed_file_that_matter_are_refused(path):
    plain = without_compression(path)
    begin, matter = plain.read_bytes().index(SHIPPED.response.tobytes()), 0
    for measured in outcomes(plain, 100, begin, begin + SHIPPED.response.nbytes):
        error = np.square(measured.response - SHIPPED.response).sum(axis=-1)
        matter += (error > 1e-3 * np.square(SHIPPED.response).sum(axis=-1)).any()  # -30 dB
    assert matter <= 4


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x05"]))
def test_any_bytes_are_refused_by_name(tmp_path_factory, content, begins):
    path = tmp_path_factory.getbasetemp() / "nonsense.sofa"
    path.write_bytes(begins + content)
    with pytest.raises(BadInput, match=r"nonsense\.sofa cannot be read"):
        read_sofa(path)


def response_with(**changes):
    response = SHIPPED.response.copy()
    for name, value in changes.items():
        row, ear, taps = {"row": (10, 0, slice(None)), "half": (10, 1, slice(256, 512)), "tap": (20, 0, 40)}[name]
        response[row, ear, taps] = value
    return response


@pytest.mark.parametrize(("changes", "says"), [
    ({"row": 0}, "response 11 of 37 is silent at its left ear"),
    ({"half": 0}, "response 11 of 37 is empty in part at its right ear"),
    ({"tap": 2.0}, "response 21 of 37 has a click at its left ear"),
    ({"tap": 1e200}, "enormous"), ({"tap": np.inf}, "enormous"), ({"tap": np.nan}, "NaN"),
])
def test_what_cannot_have_been_measured_is_named(changes, says):
    assert says in fault_of(response_with(**changes), SHIPPED.sample_rate_hz)


@pytest.mark.parametrize("response", [
    SHIPPED.response, SHIPPED.response[:1], SHIPPED.response[:2], SHIPPED.response[::6], SHIPPED.response * 1e-5,
    SHIPPED.response[..., :10], np.eye(37)[:, np.newaxis].repeat(2, axis=1),
    np.eye(3700)[::100, np.newaxis].repeat(2, axis=1),
], ids=["measured", "one", "two", "30 degrees apart", "faint", "short", "clicks alone", "delayed clicks"])
def test_honest_sets_have_no_fault(response):
    assert fault_of(response, SHIPPED.sample_rate_hz) == ""


def setting(name, value):
    def edit(file):
        file[name][(0,) * file[name].ndim] = value
    return edit


@pytest.mark.parametrize(("edit", "says"), [
    (setting("Data.SamplingRate", 44_101), "rate 44101 Hz"), (setting("Data.SamplingRate", 1e-300), "rate 1e-300 Hz"),
    (setting("SourcePosition", 4e8), "SourcePosition is NaN, or no angle"),
    (setting("SourcePosition", np.nan), "SourcePosition is NaN, or no angle"),
    (setting("Data.Delay", 200), "Data.Delay differs between the ears"), (setting("Data.Delay", np.nan), "Data.Delay"),
    (setting("Data.IR", 1e300), "enormous"), (setting("Data.IR", np.nan), "NaN"),
])
def test_numbers_that_nobody_measured_are_refused(path, edit, says):
    with pytest.raises(BadInput, match=says):
        read_sofa(without_compression(path, edit))


def test_a_digest_beside_a_file_tells_of_any_damage(path):
    plain = without_compression(path)
    noted = plain.with_name("plain.sofa.sha256")
    noted.write_text(f"{sha256_of(plain)}  plain.sofa\n")
    read_sofa(plain)
    content = bytearray(plain.read_bytes())
    content[content.index(SHIPPED.response.tobytes()) + 4000] ^= 1  # the least bit of a value
    plain.write_bytes(content)
    with pytest.raises(BadInput, match=r"its digest is not that in plain\.sofa\.sha256"):
        read_sofa(plain)
    noted.unlink()
    read_sofa(plain)
