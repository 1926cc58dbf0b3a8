"""Files of float16 weights: half as large, and the network that loads from them is the one that was written."""
import io
import zipfile

import h5py
import numpy as np
import pytest
from helpers import PARAMS, samples

from network import files, likelihood
from network.backend import keras
from network.model import Network


@pytest.fixture
def own():
    """A network of this test's own, since rounding changes it."""
    return Network(PARAMS, template_cues=likelihood.template_cues(PARAMS))


def stored(path):
    """The arrays of the weights in a file: list of (shape, dtype)."""
    found = []
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(lambda _, entry: found.append((entry.shape, entry.dtype))
                           if isinstance(entry, h5py.Dataset) else None)
    return found


@pytest.mark.slow
def test_a_file_of_float16_weights_is_half_as_large_and_answers_the_same(own, tmp_path):
    some, exact = samples(20), own.keras_model.get_weights()
    before = own.outputs(some)
    own.save(tmp_path / "whole.keras")
    files.save_half(own, tmp_path / "half.keras")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["half.keras", "whole.keras"]
    assert (tmp_path / "half.keras").stat().st_size < 0.5 * (tmp_path / "whole.keras").stat().st_size
    again = Network.load(tmp_path / "half.keras")
    after = again.outputs(some)
    assert np.array_equal(after.output, own.outputs(some).output)
    assert 0 < np.abs(after.output - before.output).max() < 1e-3
    assert {variable.dtype for variable in again.keras_model.trainable_variables} == {"float32"}
    for value, kept in zip(exact, again.keras_model.get_weights()):   # half a step of float16; the smallest is 6e-8
        assert np.abs(kept - value).max() <= max(np.abs(value).max() * 2 ** -11, 3e-8)
    predicted = keras.models.load_model(tmp_path / "half.keras").predict(some.astype(np.float32), verbose=0)
    np.testing.assert_allclose(predicted["distribution"], keras.models.load_model(
        tmp_path / "whole.keras").predict(some.astype(np.float32), verbose=0)["distribution"], atol=1e-3)


@pytest.mark.slow
def test_trained_matrices_alone_become_float16(own, tmp_path):
    statistics = [variable for variable in own.keras_model.variables if "moving" in variable.path]
    assert len(statistics) == 6
    for variable in statistics:
        variable.assign(np.full(variable.shape, 1e-9 if "mean" in variable.path else 1e6))   # no float16
    biases = [variable for variable in own.keras_model.trainable_variables if len(variable.shape) == 1]
    for variable in biases:
        variable.assign(np.full(variable.shape, 1 / 3))
    before = [np.asarray(each) for each in (*own.keras_model.non_trainable_variables, *biases)]
    files.save_half(own, tmp_path / "a.keras")
    again = Network.load(tmp_path / "a.keras").keras_model
    after = (*again.non_trainable_variables, *(each for each in again.trainable_variables if len(each.shape) == 1))
    assert len(after) == len(before)
    for value, kept in zip(before, after):
        assert np.array_equal(value, np.asarray(kept))
    kinds = stored(tmp_path / "a.keras")
    matrices = {tuple(each.shape) for each in own.keras_model.trainable_variables if len(each.shape) > 1}
    assert {shape for shape, dtype in kinds if dtype == np.float16} == matrices
    assert {dtype for shape, dtype in kinds if shape not in matrices} == {np.dtype(np.float32)}


@pytest.mark.slow
def test_a_matrix_beyond_the_range_of_float16_keeps_its_values(own, tmp_path):
    matrix = next(each for each in own.keras_model.trainable_variables if len(each.shape) > 1)
    value = np.asarray(matrix).copy()
    value.flat[0] = 1e5
    matrix.assign(value)
    files.save_half(own, tmp_path / "a.keras")
    again = next(each for each in Network.load(tmp_path / "a.keras").keras_model.trainable_variables
                 if len(each.shape) > 1)
    assert np.array_equal(np.asarray(again), value)
