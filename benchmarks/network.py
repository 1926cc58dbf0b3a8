"""How fast the networks are beside the original CNN: training, answers, Localise.py; ratios in one run.

    python benchmarks/network.py                      # about 5 minutes; needs a trained model in pretrained/
    python benchmarks/network.py --repetitions 9

Every repetition measures each method once, one after the other, so that a machine that slows down slows all of them.
Stated are medians and, in brackets, the least and the greatest. Samples are noise: the answers do not matter here.
"""
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import numpy as np
import soundfile as sf

import console
import hrir
from network import likelihood
from params import Params

BATCH, STEPS = 64, 12            # of a measurement
UNIT = "import numpy, scipy.signal, soundfile, matplotlib.pyplot"   # start-up is stated in units of this
SHORT_S, LONG_S = 10, 600        # of sound


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--repetitions", metavar="N", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--skip-localise", action="store_true", help="the networks alone, without Localise.py")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure, and print a table of ratios."""
    args, params = parse_args(argv), Params()
    print(f"{os.cpu_count()} cores; medians of {args.repetitions} repetitions (least-greatest).", flush=True)
    rates = {name: repeated(measure, args.repetitions) for name, measure in per_second(params).items()}
    print("\n| samples/s | rate | to the original CNN |\n|---|---|---|")
    for name, values in rates.items():
        base = rates[f"{name.split(',')[0]}, original"]
        print(f"| {name} | {said(values, 0)} | {said(np.array(values) / np.array(base), 2)} |", flush=True)
    if not args.skip_localise:
        with tempfile.TemporaryDirectory() as folder:
            localise(Path(folder), args.repetitions)


def repeated(measure, repetitions):
    """Warm up once, then list a measurement's values."""
    measure()
    return [measure() for _ in range(repetitions)]


def said(values, digits):
    """Print a median and its range."""
    return f"{np.median(values):.{digits}f} ({np.min(values):.{digits}f}-{np.max(values):.{digits}f})"


def per_second(params):
    """Make the functions that measure samples per second, by name; what stands before the comma is compared."""
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
        def measured():
            begin = time.perf_counter()
            work()
            return STEPS * BATCH / (time.perf_counter() - begin)
        return measured

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
    """Print how long Localise.py takes for a short and a long recording of noise that moves around the shipped head."""
    params = Params()
    paths = [folder / f"{seconds}.wav" for seconds in (SHORT_S, LONG_S)]
    for path, seconds in zip(paths, (SHORT_S, LONG_S)):
        sf.write(path, talk(seconds, params), params.sample_rate_hz)
    unit, short, long = [], [], []
    for _ in range(repetitions + 1):  # the first fills caches
        unit.append(seconds_of([sys.executable, "-c", UNIT]))
        short.append(seconds_of([sys.executable, ROOT / "Localise.py", paths[0], "--out", folder / "out"]))
        long.append(seconds_of([sys.executable, ROOT / "Localise.py", paths[1], "--out", folder / "out"]))
    unit, short, long = (np.array(each[1:]) for each in (unit, short, long))
    print(f"\nLocalise.py, {SHORT_S} s of sound: {said(short, 1)} s, {said(short / unit, 1)} times `python -c "
          f"\"{UNIT}\"` ({said(unit, 1)} s)")
    print(f"Localise.py, {LONG_S / 60:.0f} minutes of sound: {said(long, 1)} s, "
          f"{said(LONG_S / long, 0)} times real time")


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


def seconds_of(command):
    """Run a command and return how long it took; its output goes nowhere."""
    begin = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(console.run(main))
