"""Write the default network as an ONNX graph: cnn.py and layers.py once more, in the operators of ONNX.

    model = graph_of(network)                 # a network of model.py -> onnx.ModelProto; needs the package onnx

| input       | type, shape             | what it is                                                                 |
|-------------|-------------------------|----------------------------------------------------------------------------|
| `cues`      | float32 (321, frame, 2) | IPD in radians, ILD in dB                                                  |
| `segments`  | int32 (segment, 2)      | first step and the one after the last; a step is 2 frames                  |
| `templates` | float32 (3, 120, 37)    | a head's unit vectors (cells.template_vectors); left out, those of training|

| output                | shape          | what it is                                                            |
|-----------------------|----------------|-----------------------------------------------------------------------|
| `distribution_logits` | (segment, 37)  | before the softmax; with --loss mse `azimuth_deg` (segment, 1) alone  |
| `presence_logits`     | (segment, 37)  | before the sigmoid                                                    |
| `log_likelihoods`     | (segment, 555) | of 15 bands by 37 directions, averaged over the segment               |

One call does all: local features once, then means over the segments, however they overlap, by differences of a running
sum. Segments of several recordings need one call, too: their cues are joined in time, and no segment crosses a seam.
Matrices whose values are those of float16, as in the model that ships, are stored as such and cast. network/light.py
runs the graph, docs/export.md shows it to others.
"""
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from network.backend import keras
from network.cells import BAND_CELLS, BANDS, CELLS
from network.cnn import CONTEXT_STEPS
from network.files import description_of, half_where_exact
from network.layers import LEAST_CONTRAST, VOTE_SHARPNESS
from network.light import DESCRIPTION, SEALED
from network.segments import STEP_FRAMES
from network.unit_vectors import LEAST_DISTANCE, NEPER_PER_DB

OPSET, IR_VERSION = 17, 8        # of 2022: what ONNX Runtime 1.12 and every onnxruntime-web since reads
LEAST_HALF = 1000                # values of a constant that is stored as float16, if that loses nothing
MIRROR = np.float32([-1, 1, -1]).reshape(3, 1, 1)    # of the unit vectors, where the ears are exchanged


class _Nodes:
    """Collect nodes and constants; a call adds a node and gives the name of its output."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def __call__(self, operator, *inputs, name=None, **attributes):
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self._named(each) for each in inputs], [name], name,
                                           **attributes))
        return name

    def _named(self, value):
        if isinstance(value, str):
            return value
        name, value = f"constant_{len(self.constants)}", np.array(value, order="C")
        if value.dtype == np.float32 and value.size >= LEAST_HALF:
            value = half_where_exact(value)
        self.constants.append(numpy_helper.from_array(value, name))
        return self("Cast", name, to=TensorProto.FLOAT) if value.dtype == np.float16 else name

    def sliced(self, values, begin, end, axis):
        """Take a part of one axis."""
        return self("Slice", values, np.int64([begin]), np.int64([end]), np.int64([axis]))

    def reversed(self, values, axis):
        """Turn one axis round."""
        return self("Slice", values, np.int64([-1]), np.int64([-2 ** 31]), np.int64([axis]), np.int64([-1]))

    def reshaped(self, values, *shape):
        """Give another shape; 0 keeps a length, -1 is what is left."""
        return self("Reshape", values, np.int64(shape))


def graph_of(network):
    """Make the ONNX model of a trained network of cnn.py, with its description in the metadata.

    Parameters
    ----------
    network : model.Network whose params.model is "cnn"

    Returns
    -------
    onnx.ModelProto

    """
    params, whole = network.params, network.keras_model
    directions, add = len(params.class_deg), _Nodes()
    vectors = _unit_vectors(add)                                                             # (1, 3, cell, step)
    filtered = _filters(add, vectors, whole.get_layer("filters"))                            # (position, 1440)
    likelihoods = _log_likelihoods(add, vectors, directions)                                 # (step, 555)
    begins, ends = (add("Gather", "segments", np.int64(at), axis=1) for at in (0, 1))
    mean_filtered = _means(add, filtered, begins, add("Sub", ends, np.int32(CONTEXT_STEPS - 1)))
    mean_likelihoods = add("Identity", _means(add, likelihoods, begins, ends), name="log_likelihoods")
    outputs = _scores(add, mean_filtered, _relative(add, mean_likelihoods, directions), whole.get_layer("score"))

    templates = numpy_helper.from_array(np.array(whole.get_layer("log_likelihoods").templates), "templates")
    inputs = [("cues", TensorProto.FLOAT, (params.bins, "frame", 2)), ("segments", TensorProto.INT32, ("segment", 2)),
              ("templates", TensorProto.FLOAT, templates.dims)]
    outputs |= {"log_likelihoods": BANDS * directions}
    graph = helper.make_graph(
        add.nodes, "binsl", [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("segment", count)) for name, count in outputs.items()],
        [templates, *add.constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                              producer_name="binsl")
    helper.set_model_props(model, {DESCRIPTION: json.dumps(description_of(network) | {SEALED: True})})
    onnx.checker.check_model(model, full_check=True)
    return model


def _unit_vectors(add):
    """Average unit vectors over cells and steps, as layers.UnitVectors: -> (1, 3, cell, step)."""
    with_phase = add.sliced("cues", 1, 2 ** 31, 0)                                           # (320, frame, 2)
    ipd_rad, ild_db = (add("Gather", with_phase, np.int64(at), axis=2) for at in (0, 1))
    lateral = add("Tanh", add("Mul", ild_db, np.float32(NEPER_PER_DB)))
    one_over_cosh = add("Sqrt", add("Max", add("Sub", np.float32(1), add("Mul", lateral, lateral)), np.float32(0)))
    components = [lateral, *(add("Mul", add(turn, ipd_rad), one_over_cosh) for turn in ("Cos", "Sin"))]
    stacked = add("Concat", *(add("Unsqueeze", each, np.int64([0, 1])) for each in components), axis=1)
    parts, begin = [], 0
    for count, bins in CELLS:
        size = (bins, STEP_FRAMES)
        parts.append(add("AveragePool", add.sliced(stacked, begin, begin + count * bins, 2), kernel_shape=size,
                         strides=size))
        begin += count * bins
    return add("Concat", *parts, axis=2)


def _filters(add, vectors, layer):
    """Filter the bands of the sample and of its mirror image, as layers.BandFilters: -> (position, 2 x band x unit)."""
    first, second = layer.units
    pair = add("Concat", vectors, add("Mul", vectors, MIRROR), axis=0)                       # (2, 3, cell, step)
    bands = add("Transpose", add.reshaped(pair, 2, 3, BANDS, BAND_CELLS, -1), perm=(0, 2, 1, 3, 4))
    bands = add.reshaped(bands, 2, BANDS * 3 * BAND_CELLS, -1)

    staying, negated = (np.array(each).reshape(BANDS, CONTEXT_STEPS, -1, BAND_CELLS, first)
                        for each in (layer.staying, layer.negated))           # (band, context, component, cell, unit)
    kernel = np.concatenate((negated[:, :, :1], staying, negated[:, :, 1:]), axis=2)
    kernel = kernel.transpose(0, 4, 2, 3, 1).reshape(BANDS * first, 3 * BAND_CELLS, CONTEXT_STEPS)
    hidden = add("Relu", add("Conv", bands, kernel, np.ravel(layer.first_bias), group=BANDS))
    kernel = np.array(layer.second).transpose(0, 2, 1).reshape(BANDS * second, first, 1)
    hidden = add("Relu", add("Conv", hidden, kernel, np.ravel(layer.second_bias), group=BANDS))
    return add.reshaped(add("Transpose", hidden, perm=(2, 0, 1)), -1, 2 * BANDS * second)


def _log_likelihoods(add, vectors, directions):
    """Compare with the templates, as layers.LogLikelihoods: -> (step, band x direction)."""
    vectors = add("Transpose", add("Squeeze", vectors, np.int64([0])), perm=(1, 0, 2))       # (cell, 3, step)
    alike = add("MatMul", add("Transpose", "templates", perm=(1, 2, 0)), vectors)            # (cell, direction, step)
    weight = add("Mul", add("ReduceSum", add("Mul", vectors, vectors), np.int64([1])), np.float32(-1 / BAND_CELLS))
    each = add("Mul", add("Log", add("Sub", np.float32(1 + 2 * LEAST_DISTANCE), alike)), weight)
    of_bands = add("ReduceSum", add.reshaped(each, BANDS, BAND_CELLS, directions, -1), np.int64([1]), keepdims=0)
    of_bands = add("Sub", of_bands, add("ReduceMean", of_bands, axes=[1]))                   # (band, direction, step)
    return add.reshaped(add("Transpose", of_bands, perm=(2, 0, 1)), -1, BANDS * directions)


def _means(add, values, begins, ends):
    """Average (position, value) over positions begin..end, as segments.running_means: -> (segment, value)."""
    sums = add("CumSum", add("Cast", values, to=TensorProto.DOUBLE), np.int64(0))
    sums = add("Pad", sums, np.int64([1, 0, 0, 0]))
    total = add("Sub", add("Gather", sums, ends), add("Gather", sums, begins))
    length = add("Cast", add("Unsqueeze", add("Sub", ends, begins), np.int64([1])), to=TensorProto.DOUBLE)
    return add("Cast", add("Div", total, length), to=TensorProto.FLOAT)


def _relative(add, likelihoods, directions):
    """Relate averaged log-likelihoods to each other, as layers.Relative: -> (segment, 2, value)."""
    def contrast(values, axes):
        return add("Add", add("Sqrt", add("ReduceMean", add("Mul", values, values), axes=axes)),
                   np.float32(LEAST_CONTRAST))

    bands = add.reshaped(likelihoods, -1, BANDS, directions)
    mean = add("ReduceMean", bands, axes=[1])
    of_mean = contrast(mean, [2])
    mean = add("Div", mean, of_mean)
    votes = [add("Softmax", add("Mul", mean, np.float32(sharpness)), axis=2) for sharpness in VOTE_SHARPNESS]
    rows = add("Concat", add("Div", bands, contrast(bands, [1, 2])), mean, *votes, axis=1)
    value = (BANDS + 1 + len(VOTE_SHARPNESS)) * directions
    pair = add("Concat", *(add.reshaped(each, -1, 1, value) for each in (rows, add.reversed(rows, 2))), axis=1)
    logarithm = add("Log", of_mean)                                                          # (segment, 1, 1)
    return add("Concat", pair, add("Concat", logarithm, logarithm, axis=1), axis=2)


def _scores(add, filtered, relative, score):
    """Apply the dense layers and fold the two images: adds the outputs, and gives a dict of name to units."""
    hidden = add("Concat", add.reshaped(filtered, 0, 2, -1), relative, axis=2)  # (segment, 2, 1424)
    is_first = True
    for layer in score.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (np.array(each, np.float64) for each in layer.get_weights())
            scale = gamma / np.sqrt(variance + layer.epsilon)
            hidden = add("Add", add("Mul", hidden, scale.astype(np.float32)), (beta - mean * scale).astype(np.float32))
            hidden = hidden if is_first else add("Relu", hidden)
            is_first = False
        elif isinstance(layer, keras.layers.Dense) and not layer.name.endswith("_dense"):
            hidden = add("MatMul", hidden, np.array(layer.kernel))
    outputs = {}
    for layer in score.layers:
        if layer.name.endswith("_dense"):
            name = layer.name.removesuffix("_dense")
            kernel, bias = map(np.array, layer.weights)
            pair = add("Add", add("MatMul", hidden, kernel), bias)
            here, mirrored = (add("Gather", pair, np.int64(at), axis=1) for at in (0, 1))
            name = name if layer.units == 1 else f"{name}_logits"
            outputs[add("Sub", here, mirrored, name=name) if layer.units == 1 else
                    add("Add", here, add.reversed(mirrored, 1), name=name)] = layer.units
    return outputs
