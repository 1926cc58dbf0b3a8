"""Makes tests/golden/cues.npz: ear signals of silence, noise and a sine, and their cues by the plain formulas.

    python tools/make_golden_cues.py

A test compares features.from_ears and the fast kernels with it, so that a change of the cues cannot go unseen. Run it
again only where the cues shall change: shards and models made before do not fit the new ones.
"""
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import console
import features
from params import Params

OUT = Path(__file__).resolve().parents[1] / "tests" / "golden" / "cues.npz"
FRAMES = 4
SINE_HZ = 1010  # between two bins, so that it leaks into all of them
FULL_SCALE = 2 ** 15


def signals(params):
    """Make ear signals (2, n) of 16-bit integers: dict by name. In the noise and the sine the source is on the right.

    The right ear leads by 4 samples and is 6 dB louder. In the noise each ear also has a weak noise of its own.
    """
    length, lead = params.stft_window_samples + (FRAMES - 1) * params.stft_hop_samples, 4
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(length + lead)
    sine = 0.4 * np.sin(2 * np.pi * SINE_HZ * np.arange(length + lead) / params.sample_rate_hz)
    own = 0.01 * rng.standard_normal((2, length))

    def at_ears(source):
        return np.stack([0.5 * source[:-lead], source[lead:]])

    ears = {"silence": np.zeros((2, length)), "noise": at_ears(noise) + own, "sine": at_ears(sine)}
    return {name: np.round(signal * FULL_SCALE).astype(np.int16) for name, signal in ears.items()}


def main():
    """Write the signals and their cues, computed in double precision."""
    params = Params()
    arrays = {}
    for name, ears in signals(params).items():
        arrays[f"{name}_ears"] = ears
        arrays[f"{name}_cues"] = features.from_ears(ears / FULL_SCALE, params)
    OUT.parent.mkdir(exist_ok=True)
    with console.atomic_write(OUT) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)
    print(f"{OUT}: {', '.join(signals(params))}, {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(console.run(main))
