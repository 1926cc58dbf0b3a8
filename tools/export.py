"""Writes a trained model as one ONNX file, which answers without TensorFlow: docs/export.md says what it holds.

    python tools/export.py pretrained/best.keras                  # -> pretrained/best.onnx
    python tools/export.py checkpoints/best.keras --out mine.onnx
    python Localise.py talk.wav --model mine.onnx

The file is compared with the model before it gets its name. Needs onnx and onnxruntime (requirements-dev.txt).
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import console

if __name__ == "__main__":
    console.end_at_ctrl_c()  # while what follows is imported

from typing import NamedTuple

import numpy as np

from console import BadInput
from network.light import LightNetwork, sealed

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden" / "cues.npz"
RANDOM_SAMPLES = 256
MOST_MEDIAN_DEG, MOST_DEG = 1e-4, 0.05    # of the difference of azimuths between the two


class Difference(NamedTuple):
    """How far the azimuths of two networks lie apart, in degrees."""

    median_deg: float
    greatest_deg: float


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("model", metavar="MODEL.keras", type=Path, help="a trained model, or a folder with best.keras")
    parser.add_argument("--out", metavar="MODEL.onnx", type=Path, help="(default: beside the model)")
    return parser.parse_args(argv)


def main(argv=None):
    """Export, compare, and print what came out."""
    args = parse_args(argv)
    path = args.model / "best.keras" if args.model.is_dir() else args.model
    out = args.out or path.with_suffix(".onnx")
    if out.suffix.lower() != ".onnx":
        raise BadInput(f"--out {out} does not end in .onnx, by which the other scripts know such a file; rename it.")

    maker_of_graphs()  # before TensorFlow, which takes seconds

    from network.model import Network

    difference = export(Network.load(path), out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, azimuths within {difference.median_deg:.1g} degrees of the "
          f"model's (median) and {difference.greatest_deg:.1g} (greatest)")


def maker_of_graphs():
    """Import and return network.graph.graph_of; BadInput without the package onnx."""
    try:
        from network.graph import graph_of
    except ImportError as problem:
        raise BadInput(f"tools/export.py needs the package onnx ({problem}); install it with pip install -r "
                       "requirements-dev.txt.") from problem
    return graph_of


def export(network, out):
    """Write a network as an ONNX file, whole, if its answers are the same.

    Parameters
    ----------
    network : model.Network
    out : Path

    Returns
    -------
    Difference

    Raises
    ------
    BadInput : the original network, a package that is missing, or answers that differ

    """
    if network.params.model != "cnn":
        raise BadInput(f"{out} cannot be made of the original network, which has no ONNX form; name a model of the "
                       "default network.")
    graph_of = maker_of_graphs()
    with console.atomic_write(out) as partial:
        partial.write_bytes(sealed(graph_of(network).SerializeToString()))
        exported = LightNetwork.load(partial)
        difference = difference_of(network, exported, cues_to_compare(network.params))
        if difference.median_deg > MOST_MEDIAN_DEG or difference.greatest_deg > MOST_DEG:
            raise BadInput(f"{out} was not written because its azimuths differ from the model's by up to "
                           f"{difference.greatest_deg:.2g} degrees (median {difference.median_deg:.2g}); report it "
                           "with the versions of onnx and onnxruntime.")
    return difference


def difference_of(network, other, samples):
    """Compare the azimuths that two networks give to samples (n, bin, frame, 2): a Difference."""
    apart_deg = np.abs(network.azimuth_deg(samples) - other.azimuth_deg(samples))
    return Difference(float(np.median(apart_deg)), float(apart_deg.max()))


def cues_to_compare(params):
    """Make cues to compare by: random ones, and the golden ones (silence, noise, a sine).

    Returns
    -------
    np.ndarray [shape=(n, bin, frame, 2)], float16

    """
    rng = np.random.default_rng(0)
    shape = (RANDOM_SAMPLES, params.bins, params.frames)
    scatter = rng.uniform(0.05, 1, (RANDOM_SAMPLES, 1, 1))
    delay_s = rng.uniform(-0.7e-3, 0.7e-3, (RANDOM_SAMPLES, 1, 1))
    hz = np.linspace(0, params.sample_rate_hz / 2, params.bins)[:, np.newaxis]
    ipd_rad = np.angle(np.exp(1j * (2 * np.pi * hz * delay_s + scatter * rng.normal(0, np.pi, shape))))
    ild_db = 1e4 * delay_s + scatter * rng.normal(0, 10, shape)
    with np.load(GOLDEN, allow_pickle=False) as golden:
        known = np.stack([golden[name] for name in golden.files if name.endswith("_cues")])
    known = np.tile(known, (1, 1, -(-params.frames // known.shape[2]), 1))[:, :, :params.frames]
    return np.concatenate((np.stack((ipd_rad, ild_db), axis=-1), known)).astype(np.float16)


if __name__ == "__main__":
    sys.exit(console.run(main))
