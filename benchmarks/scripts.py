"""Start-up of every script, and its peak memory as the data grow.

    python benchmarks/scripts.py                      # about 10 minutes
    python benchmarks/scripts.py --repetitions 3

Start-up is what `--help` takes. Memory is that of the largest process; the data are once, 4 and 16 times as many speech
files, and recordings as many times as long. Speech here is bursts of noise: memory does not depend on what is said.
"""
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
from benchmarks import network, ratios
from params import Params

SCRIPTS = ("SpatialiseTRAIN.py", "SpatialiseTEST.py", "TrainingCNN.py", "Testing.py", "Localise.py")
TIMES = (1, 4, 16)
SPEECH, SPEECH_S, NOISE_S = 4, 3.0, 6.0      # of once the data: files, and how long each is
RECORDING_S = 60                             # of once the data
MEMORY_REPETITIONS = 2                       # it hardly differs from run to run


def start_up(repetitions):
    """Measure `--help` of every script beside the imports that each needs: a table."""
    commands = {f"`import {network.UNIT.removeprefix('import ')}`": ["-c", network.UNIT]} | {
        script: [ROOT / script, "--help"] for script in SCRIPTS}
    took = ratios.alternately({name: lambda command=command: ratios.run([sys.executable, *command])[0]
                               for name, command in commands.items()}, repetitions)
    return ratios.table("s", took, dict.fromkeys(list(took)[1:], list(took)[:1]), 2)


def sounds(folder, count, seconds, params, seed):
    """Write so many wavs of bursts of noise."""
    folder.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        samples = rng.normal(0, 0.1, round(seconds * params.sample_rate_hz))
        samples *= np.repeat(rng.random(-(-len(samples) // 1600)), 1600)[:len(samples)]
        sf.write(folder / f"{number}.wav", samples, params.sample_rate_hz)


def make_inputs(work, times, params):
    """Make `times` the audio in `work`."""
    for kind in ("SpeechTRAIN", "SpeechTEST"):
        sounds(work / kind, SPEECH * times, SPEECH_S, params, len(kind))
    for kind in ("NoiseTRAIN", "NoiseTEST"):
        sounds(work / kind, 1, NOISE_S, params, len(kind))
    sf.write(work / "talk.wav", network.talk(RECORDING_S * times, params), params.sample_rate_hz)


def commands(work, out, times):
    """List the command of every script, each for the results of those before: dict of name to arguments."""
    of_kind = {kind: ["--speech", work / f"Speech{kind}", "--noise", work / f"Noise{kind}"]
               for kind in ("TRAIN", "TEST")}
    return {f"Spatialise{kind}.py": [*of_kind[kind], "--out", out / kind] for kind in of_kind} | {
        "TrainingCNN.py": ["--epochs", 1, "--data", out / "TRAIN", "--out", out / "checkpoints"],
        "TrainingCNN.py --from-wavs": [*of_kind["TRAIN"], "--samples", 1000 * times, "--out", out / "wavs"],
        "Testing.py": ["--models", out / "checkpoints", "--data", out / "TEST", "--out", out / "results"],
        "Localise.py": [work / "talk.wav", "--out", out / "localised"]}


def memory(work, params, repetitions):
    """Measure the peak memory of every script at each of TIMES the data: a table."""
    peaks = {}
    for times in TIMES:
        make_inputs(work / str(times), times, params)
        for repetition in console.progress(range(repetitions), desc=f"memory, {times} times the data"):
            out = work / f"out {repetition}"
            out.mkdir()
            for name, arguments in commands(work / str(times), out, times).items():
                script, *flags = name.split()
                peaks.setdefault((name, times), []).append(
                    ratios.run([sys.executable, ROOT / script, *flags, *arguments])[1])
            shutil.rmtree(out)
        shutil.rmtree(work / str(times))
    peaks = {key: np.array(values) for key, values in peaks.items()}
    lines = [f"| MB | {' | '.join(f'{times} x' for times in TIMES)} | {TIMES[-1]} x to 1 x |",
             "|---" * (len(TIMES) + 2) + "|"]
    for name in dict.fromkeys(name for name, _ in peaks):
        each = [ratios.said(peaks[name, times], 0) for times in TIMES]
        lines.append(f"| {name} | {' | '.join(each)} | {ratios.said(peaks[name, TIMES[-1]] / peaks[name, 1])} |")
    return "\n".join(lines)


def measure(repetitions, disk="."):
    """Measure everything here: markdown."""
    params = Params()
    with tempfile.TemporaryDirectory(dir=disk, prefix="benchmark-") as work:
        table = memory(Path(work), params, min(repetitions, MEMORY_REPETITIONS))
    return (f"Start-up:\n\n{start_up(repetitions)}\n\nPeak memory of the largest process; once the data are {SPEECH} "
            f"speech files, {SPEECH * len(params.snr_db) * len(params.azimuth_deg)} samples to train on, and a "
            f"recording of {RECORDING_S} s:\n\n{table}")


def main(argv=None):
    """Measure and print."""
    args = ratios.parser(__doc__).parse_args(argv)
    print(measure(args.repetitions, args.disk))


if __name__ == "__main__":
    sys.exit(console.run(main))
