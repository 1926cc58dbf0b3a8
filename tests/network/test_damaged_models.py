"""Model files that are damaged, foreign, or made to do harm: refused by name in little memory, and never executed."""
import base64
import io
import json
import marshal
import os
import zipfile

import h5py
import numpy as np
import onnx
import pytest
from helpers import one_sentence, samples
from hypothesis import given
from hypothesis import strategies as st

from console import BadInput
from network import files
from network.light import sealed
from network.model import Network
from network.opening import open_network
from params import Params

RNG = np.random.default_rng(0)
CUES = samples(2)


def refusal(path):
    """The sentence by which a file is refused; None where it is read."""
    try:
        open_network(path)
    except BadInput as problem:
        return str(problem)
    return None


def mutations(content, count):
    """Flipped bytes, ends that are missing, and zeros over 4 kB."""
    for at in RNG.integers(len(content), size=count):
        yield content[:at] + bytes([content[at] ^ int(RNG.integers(1, 256))]) + content[at + 1:]
    for at in RNG.integers(len(content) - 4096, size=10):
        yield content[:at]
        yield content[:at] + bytes(4096) + content[at + 4096:]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("best.onnx", 100), ("best.keras", 100)])
def test_damage_anywhere_is_refused_by_name(models, tmp_path, name, count):
    path = tmp_path / name
    for content in mutations((models / name).read_bytes(), count):
        path.write_bytes(content)
        told = refusal(path)
        assert told is not None
        assert name in told
        assert one_sentence(told)


def test_every_byte_at_the_ends_of_an_exported_model_counts(models, tmp_path):
    content, path = (models / "best.onnx").read_bytes(), tmp_path / "best.onnx"
    for at in (*range(20), *range(len(content) - 200, len(content), 2)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        assert "best.onnx is not a whole model" in refusal(path)


def test_a_model_exported_before_there_were_digests_is_read(models, tmp_path):
    model = onnx.load(models / "best.onnx")
    description = json.loads(model.metadata_props[0].value)
    assert description.pop("sealed")
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"binsl": json.dumps(description)})
    onnx.save(model, tmp_path / "older.onnx")
    np.testing.assert_array_equal(open_network(tmp_path / "older.onnx").azimuth_deg(CUES),
                                  open_network(models / "best.onnx").azimuth_deg(CUES))


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\3\4", b"\x08\x08\x12\x05binsl"]),
       st.sampled_from(["onnx", "keras"]))
def test_any_bytes_are_refused_by_name(tmp_path_factory, content, begins, ending):
    path = tmp_path_factory.getbasetemp() / f"nonsense.{ending}"
    path.write_bytes(begins + content)
    assert f"nonsense.{ending} is not a whole model" in refusal(path)


def rewritten(source, target, **entries):
    """Copy a .keras archive with other contents of some entries; `.` is written as `__`."""
    new = {name.replace("__", "."): content for name, content in entries.items()}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as archive:
        for name in dict.fromkeys([*old.namelist(), *new]):
            archive.writestr(name, new.get(name, old.read(name) if name in old.namelist() else b""))
    return target


def described_with(source, **changes):
    with zipfile.ZipFile(source) as archive:
        return json.dumps(json.loads(archive.read("binsl.json")) | changes)


class Mischief:
    """Make a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """Name what to call."""
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_never_executed(models, tmp_path):
    done = tmp_path / "done"
    code = base64.b64encode(marshal.dumps(compile(f"__import__('os').mkdir({str(done)!r})", "x", "exec"))).decode()
    layer = {"module": "keras.layers", "class_name": "Lambda", "registered_name": None, "config": {
        "name": "lambda", "function": {"class_name": "__lambda__", "config": {"code": code, "defaults": None,
                                                                              "closure": None}}}}
    config = {"module": "keras", "class_name": "Sequential", "registered_name": None,
              "config": {"name": "model", "layers": [layer]}}
    path = rewritten(models / "best.keras", tmp_path / "lambda.keras", config__json=json.dumps(config))
    np.testing.assert_array_equal(open_network(path).azimuth_deg(CUES),
                                  open_network(models / "best.keras").azimuth_deg(CUES))
    pickled = io.BytesIO()
    np.savez(pickled, state=np.array(Mischief(done), object))
    path = rewritten(models / "best.keras", tmp_path / "pickle.keras", binsl_training__npz=pickled.getvalue())
    assert "pickle.keras is not a whole model" in refusal(path)
    assert not done.exists()


def test_weights_of_another_table_of_layers_are_refused(models, tmp_path):
    path = rewritten(models / "best.keras", tmp_path / "other.keras", binsl__json=described_with(
        models / "best.keras", model="original"))
    assert "other.keras is not a whole model" in refusal(path)


@pytest.mark.parametrize(("changes", "says"), [
    ({"frames": 10 ** 9}, "numbers that no network has"), ({"class_deg": [0.0] * 10 ** 5}, "100000 directions"),
    ({"stft_hop_samples": 160}, "other features"), ({"model": "bands"}, "version 0.4"),
])
def test_a_description_of_another_network_is_refused_by_name(models, tmp_path, changes, says):
    path = rewritten(models / "best.keras", tmp_path / "other.keras", binsl__json=described_with(
        models / "best.keras", **changes))
    told = refusal(path)
    assert told.startswith(str(path))
    assert says in told
    assert one_sentence(told)


def weights_that(edit):
    """The bytes of an HDF5 file that `edit` (file) fills."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        edit(file)
    return buffer.getvalue()


@pytest.mark.parametrize("edit", [
    lambda file: file.create_dataset("vars/0", (10 ** 12,), "f4", chunks=(1024,)),  # terabytes that nobody wrote
    lambda file: file.create_dataset("vars/0", data=np.zeros(10 ** 6), compression="gzip"),
    lambda file: file.__setitem__("vars", h5py.ExternalLink("/etc/hostname", "vars")),
    lambda file: file.__setitem__("vars", h5py.SoftLink("/elsewhere")),
    lambda file: file.create_dataset("vars/0", (8,), "u1", external=[("/etc/hostname", 0, 8)]),
], ids=["terabytes", "packed zeros", "link to a file", "link", "values of a file"])
def test_weights_that_are_not_in_the_file_are_refused(models, tmp_path, edit):
    path = rewritten(models / "best.keras", tmp_path / "large.keras", model__weights__h5=weights_that(edit))
    with zipfile.ZipFile(path) as archive, pytest.raises(ValueError, match="not in the file"):
        files._require_whole(archive)
    assert "large.keras is not a whole model" in refusal(path)


def test_an_archive_that_unpacks_to_gigabytes_is_refused_before_it_is(models, tmp_path):
    path = rewritten(models / "best.keras", tmp_path / "large.keras", note__txt="small")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\1\2")  # the last entry of the central directory: its unpacked size is at 24
    content[entry + 24:entry + 28] = (2 ** 32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive, pytest.raises(ValueError, match="larger than any network"):
        files._require_whole(archive)
    assert "large.keras is not a whole model" in refusal(path)


def test_a_state_that_unpacks_to_more_than_it_takes_is_refused(models, tmp_path):
    packed = io.BytesIO()
    np.savez_compressed(packed, state=np.zeros(10 ** 6))
    path = rewritten(models / "best.keras", tmp_path / "large.keras", binsl_training__npz=packed.getvalue())
    with zipfile.ZipFile(path) as archive, pytest.raises(ValueError, match="unpacks to more"):
        files._require_whole(archive)
    assert "large.keras is not a whole model" in refusal(path)


def edited_onnx(source, edit):
    model = onnx.load(source)
    del model.metadata_props[1:]
    edit(model)
    return sealed(model.SerializeToString())


def huge(model):
    model.graph.initializer[1].dims[0] = 10 ** 12


def foreign(model):
    del model.graph.node[:], model.graph.input[:], model.graph.output[:], model.graph.initializer[:]
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1,))
    model.graph.input.append(value)
    model.graph.node.append(onnx.helper.make_node("Identity", ["x"], ["y"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1,)))


def elsewhere(model):
    tensor = model.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"


@pytest.mark.parametrize("edit", [huge, foreign, elsewhere])
def test_a_graph_that_declares_what_it_has_not_or_answers_otherwise_is_refused(models, tmp_path, edit):
    path = tmp_path / "mine.onnx"
    path.write_bytes(edited_onnx(models / "best.onnx", lambda model: None))
    assert refusal(path) is None
    path.write_bytes(edited_onnx(models / "best.onnx", edit))
    assert "mine.onnx is not a whole model" in refusal(path)


ROW = dict.fromkeys(files.HISTORY, 1.0) | {"epoch": 1}


@pytest.mark.parametrize(("state", "is_read"), [
    ({"history": [ROW], "data": "0123"}, True), ({"history": [], "data": "0123"}, True),
    ({}, False), ([], False), (None, False), (3, False), ({"history": [ROW]}, False), ({"data": "0123"}, False),
    ({"history": [ROW], "data": 3}, False), ({"history": {"epoch": 1}, "data": "0123"}, False),
    ({"history": [3], "data": "0123"}, False), ({"history": ["epoch"], "data": "0123"}, False),
    ({"history": [ROW | {"epoch": 2}], "data": "0123"}, False),
    ({"history": [ROW | {"loss": "low"}], "data": "0123"}, False),
    ({"history": [ROW | {"validation_loss": float("nan")}], "data": "0123"}, False),
    ({"history": [ROW | {"seconds": None}], "data": "0123"}, False),
    ({"history": [{"epoch": 1}], "data": "0123"}, False),
])
def test_a_state_of_another_kind_is_no_traceback(trained, tmp_path, state, is_read):
    """As a program of others may write, with checksums that fit."""
    with zipfile.ZipFile(trained) as archive, np.load(io.BytesIO(archive.read(files.STATE_ENTRY))) as arrays:
        arrays = dict(arrays)
    packed = io.BytesIO()
    np.savez(packed, **arrays | {"state": np.array(json.dumps(state))})
    path = rewritten(trained, tmp_path / "last.keras", binsl_training__npz=packed.getvalue())
    if is_read:
        assert Network.load(path, with_state=True).state == state
        return
    with pytest.raises(BadInput, match=r"last\.keras is not a whole model") as refused:
        Network.load(path, with_state=True)
    assert one_sentence(str(refused.value))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A last.keras of a network that has taken no step."""
    path = tmp_path_factory.mktemp("trained") / "last.keras"
    Network(Params(model="original", loss="mse")).save(path, {"history": [], "data": ""})
    return path


def test_resuming_needs_what_training_keeps(models):
    with pytest.raises(BadInput, match=r"best\.keras is not a whole model"):
        Network.load(models / "best.keras", with_state=True)
