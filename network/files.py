"""Store a network with its parameters in a .keras file, and read it back."""
import io
import json
import math
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from console import BadInput, atomic_write, short
from network.uncertainty import Calibration
from params import Params, differences, from_stored

PARAMS_ENTRY, STATE_ENTRY = "binsl.json", "binsl_training.npz"  # our own entries in a .keras archive
HISTORY = ("epoch", "loss", "validation_loss", "validation_within_5_deg_percent", "learning_rate", "samples_per_s",
           "seconds")         # of an epoch: training.py
WEIGHTS_ENTRY = "model.weights.h5"                              # Keras's, in HDF5
GREATEST_BYTES = 1 << 28      # of a file unpacked: the largest network with what resuming needs takes 30 MB
MOST_CLASSES = 1000
EARLIER_MODELS = ("bands",)   # of versions before this one, whose layers are gone


def description_of(listener):
    """Collect what a file says of a network beside its weights, as a dict."""
    params = listener.params
    return params.features | {"frames": params.frames} | params.training | {
        "scenes": listener.made_with, "calibration": listener.calibration and listener.calibration._asdict()}


def described(stored, path):
    """Read a description back: Params, what the samples were made with, and the Calibration or None.

    Raises BadInput where it is of other features or of another version, naming `path`.
    """
    if stored.get("model") in EARLIER_MODELS:
        raise BadInput(f"{path} holds the network \"{stored['model']}\" of version 0.4 or earlier; train it again, or "
                       "use that version.")
    try:
        params = from_stored(stored, ("frames", *Params.TRAINING, *({"precision"} & stored.keys())))
        if len(params.class_deg) > MOST_CLASSES:
            raise BadInput(f"{len(params.class_deg)} directions are not possible")
    except BadInput as problem:
        raise BadInput(f"{path} states numbers that no network has ({short(problem).rstrip('.')}); train it again.") \
            from problem
    if differ := differences(stored, params.features):
        raise BadInput(f"{path} was trained on other features ({differ}); train it again.")
    calibration = stored.get("calibration")
    if calibration and set(calibration) != set(Calibration._fields):
        raise BadInput(f"{path} is from an earlier version, which stated its uncertainty otherwise; train it again.")
    calibration = calibration and Calibration(**{name: tuple(values) for name, values in calibration.items()})
    return params, stored["scenes"], calibration or None


def save(network, path, state=None):
    """Write a network whole as a file that Keras opens, with its parameters.

    Given a dict `state`, also what it takes to resume training: that and the optimiser's variables.

    Raises BadInput when the disk refuses.
    """
    path = Path(path)
    with atomic_write(path) as partial:
        named_for_keras = partial.with_name(partial.name + ".keras")  # it refuses other endings
        try:
            network.keras_model.save(named_for_keras)
            with zipfile.ZipFile(named_for_keras, "a") as archive:
                archive.writestr(PARAMS_ENTRY, json.dumps(description_of(network)))
                if state is not None:
                    slots = {str(i): np.asarray(v) for i, v in enumerate(network.optimizer.variables)}
                    buffer = io.BytesIO()
                    np.savez(buffer, state=json.dumps(state), **slots)
                    archive.writestr(STATE_ENTRY, buffer.getvalue())
            os.replace(named_for_keras, partial)
        finally:
            named_for_keras.unlink(missing_ok=True)


def save_half(network, path):
    """Round the trained matrices of a network to float16, and write it to a file half as large, which loads as any.

    In memory everything stays float32. Biases and what batch normalisation measured stay as they are in the file, too:
    they are few, and variances may lie outside of float16's range. So do the templates of a head: the logarithm of a
    small difference to them counts. A matrix with a value beyond 65504 is left alone.

    Raises BadInput when the disk refuses.
    """
    for variable in network.keras_model.trainable_variables:
        value = np.asarray(variable)
        with np.errstate(over="ignore"):
            rounded = value.astype(np.float16).astype(np.float32)
        if value.ndim > 1 and np.isfinite(rounded).all():
            variable.assign(rounded)
    path = Path(path)
    with atomic_write(path) as partial:
        whole = partial.with_name(partial.name + ".whole")
        try:
            save(network, whole)
            with zipfile.ZipFile(whole) as source, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as target:
                for name in source.namelist():
                    content = source.read(name)
                    target.writestr(name, _half(content) if name == WEIGHTS_ENTRY else content)
        finally:
            whole.unlink(missing_ok=True)


def _half(weights):
    """Store as float16 the matrices of an HDF5 file, bytes, that lose nothing by it."""
    import h5py  # here, not above: answers without Keras need it not

    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as source, h5py.File(buffer, "w") as target:
        def copy(name, entry):
            if isinstance(entry, h5py.Group):
                copied = target.require_group(name)
            else:
                value = entry[()]
                is_matrix = value.ndim > 1 and value.dtype == np.float32
                copied = target.create_dataset(name, data=half_where_exact(value) if is_matrix else value)
            copied.attrs.update(entry.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)
    return buffer.getvalue()


def half_where_exact(value):
    """Give an array of float32 as float16 if that loses nothing, else as it is.

    >>> [half_where_exact(np.float32([each])).dtype.name for each in (0.5, 0.1)]
    ['float16', 'float32']
    """
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.array_equal(half, value) else value


def _require_whole(archive):
    """Compare every entry of a .keras archive with its CRC-32, and its weights and state with what they declare.

    Raises ValueError or zipfile.BadZipFile where it is damaged, or would take more memory than a network does.
    """
    if sum(info.file_size for info in archive.infolist()) > GREATEST_BYTES:
        raise ValueError("it is larger than any network")
    if damaged := archive.testzip():
        raise ValueError(f"{damaged} is damaged")
    _require_own_values(archive.read(WEIGHTS_ENTRY))
    if STATE_ENTRY in archive.namelist():
        state = archive.read(STATE_ENTRY)
        with zipfile.ZipFile(io.BytesIO(state)) as arrays:
            if sum(info.file_size for info in arrays.infolist()) > len(state):
                raise ValueError("its state unpacks to more than the file holds")


def _require_own_values(weights):
    """Raise ValueError for an HDF5 file, bytes, that declares more values than it holds, or links to other files."""
    import h5py  # here, not above: answers without Keras need it not

    declared = 0

    def check(_, entry):
        nonlocal declared
        if isinstance(entry, h5py.Group):
            links = [entry.get(name, getlink=True) for name in entry]
        else:
            links = [] if entry.external is None and not entry.is_virtual else [None]
            declared += entry.nbytes
        if not all(isinstance(link, h5py.HardLink) for link in links) or declared > len(weights):
            raise ValueError("its weights are not in the file")

    with h5py.File(io.BytesIO(weights)) as file:
        check("", file)
        file.visititems(check)


def _require_state(state):
    """Raise ValueError for what is no state of training: {"history": [row of each epoch], "data": str}."""
    if not isinstance(state, dict) or not isinstance(state.get("data"), str) or not isinstance(state["history"], list):
        raise ValueError("its state is not that of a training")
    for epoch, row in enumerate(state["history"], 1):
        if set(row) != set(HISTORY) or row["epoch"] != epoch or not all(map(math.isfinite, row.values())):
            raise ValueError(f"its history has no row for epoch {epoch}")


def load(network_class, path, with_state=False):
    """Build the network that a file describes by its numbers, from this room's tables, and read its weights.

    Nothing else of the file is trusted: Keras would also rebuild layers, which can carry code of others.

    Parameters
    ----------
    network_class : class of the network, made of Params and what its samples were made with
    path : path of a .keras file that `save` wrote, or of a folder with best.keras
    with_state : bool, also read the optimiser's variables; then the file must hold `state`

    Raises
    ------
    BadInput : no such file, torn, foreign, or of other features or layers than this code's

    """
    path = Path(path)
    path = path / "best.keras" if path.is_dir() else path
    if not path.is_file():
        raise BadInput(f"{path} does not exist; train a model first with TrainingCNN.py.")
    try:
        with zipfile.ZipFile(path) as archive:
            _require_whole(archive)
            stored = json.loads(archive.read(PARAMS_ENTRY))
            state = archive.read(STATE_ENTRY) if with_state or STATE_ENTRY in archive.namelist() else None
        params, made_with, calibration = described(stored, path)
        if not with_state:  # answers need no speed at the cost of accuracy
            params = replace(params, precision="float32")
        network = network_class(params, made_with)
        network.keras_model.load_weights(path)
        network.calibration = calibration
        if state:
            with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
                network.state = json.loads(str(arrays["state"]))
                if with_state:
                    _require_state(network.state)
                for i, variable in enumerate(network.optimizer.variables if with_state else ()):
                    variable.assign(arrays[str(i)])
    except BadInput:
        raise
    except Exception as problem:  # a torn or foreign file fails in zipfile, json, h5py or Keras in many ways
        raise BadInput(f"{path} is not a whole model of this project; train it again or name another folder.") \
            from problem
    return network
