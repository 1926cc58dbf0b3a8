"""How fast the networks are beside the original CNN: training, answers, Localise.py; ratios in one run.

    python benchmarks/network.py                      # about 5 minutes; needs a trained model in pretrained/
    python benchmarks/network.py --repetitions 9

Samples are noise: the answers do not matter here.
"""
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import numpy as np
import soundfile as sf

import console
import hrir
from benchmarks import ratios
from network import likelihood
from params import Params

BATCH, STEPS = 64, 12            # of a measurement
UNIT = "import numpy, scipy.signal, soundfile, matplotlib.pyplot"   # start-up is stated in units of this
SHORT_S, LONG_S = 10, 600        # of sound


def measures_of(params):
    """Make the measures of samples per second, by name; what stands before the comma is compared."""
    from network.model import Network

    rng = np.random.default_rng(0)
    samples = np.stack((rng.uniform(-np.pi, np.pi, (BATCH, params.bins, params.frames)),
                        rng.normal(0, 6, (BATCH, params.bins, params.frames))), axis=-1).astype(np.float16)
    azimuth_deg = rng.uniform(-90, 90, BATCH)
    templates = likelihood.template_cues(params)
    ours, original = Network(params, {}, templates), Network(replace(params, model="original", loss="mse"), {})

    def training(network):
        for _ in range(STEPS):
            loss = network.train(samples, azimuth_deg, 1e-9)
        return float(loss)

    def rate(work):
        return ratios.per_second(STEPS * BATCH, work)

    measured = {"training step, original": rate(lambda: training(original)),
                "training step, ours": rate(lambda: training(ours)),
                "answers, original": rate(lambda: [original.answer(samples) for _ in range(STEPS)]),
                "answers, ours": rate(lambda: [ours.answer(samples) for _ in range(STEPS)]),
                "answers, likelihood": rate(lambda: [likelihood.localise(samples, templates, params.class_deg)
                                                     for _ in range(STEPS)])}
    light = ROOT / "pretrained" / "best.onnx"
    if light.is_file():
        from network.light import LightNetwork

        exported = LightNetwork.load(light)
        measured["answers, ours without TensorFlow"] = rate(lambda: [exported.answer(samples) for _ in range(STEPS)])
    return measured


def localise(folder, repetitions):
    """Measure Localise.py for a short and a long recording of noise that moves around the shipped head: sentences."""
    params = Params()
    paths = [folder / f"{seconds}.wav" for seconds in (SHORT_S, LONG_S)]
    for path, seconds in zip(paths, (SHORT_S, LONG_S)):
        sf.write(path, talk(seconds, params), params.sample_rate_hz)
    script = [sys.executable, ROOT / "Localise.py", "--out", folder / "out"]
    commands = {"unit": [sys.executable, "-c", UNIT], "short": [*script, paths[0]], "long": [*script, paths[1]]}
    took = ratios.alternately({name: lambda command=command: ratios.run(command)[0]
                               for name, command in commands.items()}, repetitions)
    return (f"Localise.py takes {ratios.said(took['short'], 1)} s for {SHORT_S} s of sound, "
            f"{ratios.said(took['short'] / took['unit'], 1)} times `python -c \"{UNIT}\"` "
            f"({ratios.said(took['unit'], 1)} s); {ratios.said(took['long'], 1)} s for {LONG_S / 60:.0f} minutes: "
            f"{ratios.said(LONG_S / took['long'], 0)} times real time.")


def talk(seconds, params):
    """Make bursts of noise from changing azimuths, with noise between: (n, 2), left ear first."""
    head = hrir.load("mit_kemar", params.sample_rate_hz, list(params.class_deg))
    rng = np.random.default_rng(0)
    ears = rng.normal(0, 1e-3, (round(seconds * params.sample_rate_hz), 2))
    burst = params.sample_rate_hz // 2
    for begin in range(0, len(ears) - 2 * burst, 2 * burst):
        response = head.response[rng.integers(len(head.response))]
        sound = rng.normal(0, 0.1, burst)
        ears[begin:begin + burst] += np.stack([np.convolve(sound, ear)[:burst] for ear in response], axis=1)
    return ears


def measure(repetitions, disk=".", skip_localise=False):
    """Measure everything here: markdown."""
    rates = ratios.alternately(measures_of(Params()), repetitions)
    told = ratios.table("samples/s", rates, {name: [f"{name.split(',')[0]}, original"] for name in rates
                                             if not name.endswith(", original")})
    if not skip_localise:
        with tempfile.TemporaryDirectory(dir=disk, prefix="benchmark-") as folder:
            told += f"\n\n{localise(Path(folder), repetitions)}"
    return told


def main(argv=None):
    """Measure and print."""
    parser = ratios.parser(__doc__)
    parser.add_argument("--skip-localise", action="store_true", help="the networks alone, without Localise.py")
    args = parser.parse_args(argv)
    print(measure(args.repetitions, args.disk, args.skip_localise))


if __name__ == "__main__":
    sys.exit(console.run(main))
