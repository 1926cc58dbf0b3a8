"""tools/export.py, and the scripts that take what it writes in place of a .keras file."""
import sys

import numpy as np
import pytest
from helpers import one_sentence, run_script, through_the_head

import Testing
from console import BadInput
from network.light import LightNetwork
from network.model import Network
from params import Params
from tools import export


def test_export_writes_a_small_file_and_tells_how_far_it_is_off(models, tmp_path):
    done = run_script("tools/export.py", models, "--out", tmp_path / "mine.onnx")
    assert "MB, azimuths within" in done.stdout
    assert (tmp_path / "mine.onnx").read_bytes() == (models / "best.onnx").read_bytes()
    assert (tmp_path / "mine.onnx").stat().st_size < 5_000_000


def test_export_refuses_by_one_sentence_and_leaves_nothing(models, tmp_path, monkeypatch):
    Network(Params(model="original"), {}).save(tmp_path / "original.keras")
    for args, reason in (([tmp_path / "original.keras"], "of the original network"),
                         ([models / "best.keras", "--out", tmp_path / "mine.tflite"], "does not end in .onnx")):
        done = run_script("tools/export.py", *args, status=2)
        assert reason in done.stderr
        assert one_sentence(done.stderr)
    monkeypatch.setattr(export, "difference_of", lambda *_: export.Difference(0.0, 0.06))
    with pytest.raises(BadInput, match=r"mine\.onnx was not written because its azimuths differ"):
        export.export(Network.load(models / "best.keras"), tmp_path / "mine.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["original.keras"]


def test_localise_writes_the_same_rows_by_either_runtime(models, write, tmp_path):
    rng = np.random.default_rng(0)
    path = write("talk.wav", through_the_head(rng.normal(0, 0.1, 48_000), 40))
    for name in ("best.keras", "best.onnx"):
        run_script("Localise.py", path, "--model", models / name, "--out", tmp_path / name)
    keras, light = ((tmp_path / name / "talk.csv").read_text().splitlines() for name in ("best.keras", "best.onnx"))
    assert len(keras) > 15
    for ours, theirs in zip(light, keras):
        if ours != theirs:                                         # in the last digit, where it is rounded
            np.testing.assert_allclose(*(np.array(row.split(","), float) for row in (ours, theirs)), atol=0.11)


def test_testing_takes_a_file_or_a_folder_without_keras(models, tmp_path):
    (tmp_path / "best.onnx").write_bytes((models / "best.onnx").read_bytes())
    for named in (tmp_path, tmp_path / "best.onnx"):
        (name, network), = Testing.load_networks(named, 50).items()
        assert name == "best"
        assert isinstance(network, LightNetwork)
    assert isinstance(Testing.load_networks(models, 50)["best"], Network)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_export_names_the_package_that_is_missing(models, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "network.graph", raising=False)
    done = run_script("tools/export.py", models / "best.keras", "--out", tmp_path / "mine.onnx", status=2)
    assert f"needs the package {missing}" in done.stderr
    assert not list(tmp_path.iterdir())
