"""Open a trained model, whichever file it is in: by ONNX Runtime (light.py) or by Keras (model.py).

    network = open_network("pretrained/best.onnx")     # or "pretrained/best.keras": an answers.Listener either way

TensorFlow is imported for a .keras file alone.
"""
from importlib.util import find_spec
from pathlib import Path

from console import BadInput

PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"


def shipped_model():
    """Choose the file of the model that ships: the one that needs no TensorFlow, where ONNX Runtime is installed."""
    light = PRETRAINED / "best.onnx"
    return light if light.is_file() and find_spec("onnxruntime") else PRETRAINED / "best.keras"


def open_network(path, head_cues=None):
    """Open a model file.

    Parameters
    ----------
    path : path of a .onnx file (tools/export.py), a .keras file, or a folder with best.keras
    head_cues : np.ndarray [shape=(class, bin, 2)], optional: cues of a head to compare with, as
        likelihood.template_cues gives them

    Returns
    -------
    answers.Listener

    Raises
    ------
    BadInput : no such file, one that is not of this project, a runtime that is not installed, or a head for a network
        that compares with none

    """
    if Path(path).suffix.lower() == ".onnx":
        from network.light import LightNetwork

        network = LightNetwork.load(path)
    else:
        try:
            from network.model import Network  # here, not above: TensorFlow takes seconds
        except ModuleNotFoundError as problem:
            if problem.name not in ("keras", "tensorflow"):
                raise
            raise BadInput(f"{path} needs the package {problem.name}; install it with pip install -r requirements.txt, "
                           "or name a .onnx file.") from problem
        network = Network.load(path)
    if head_cues is not None:
        network.compare_with(head_cues)
    return network
