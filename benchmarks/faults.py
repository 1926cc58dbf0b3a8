"""Whether nothing made is lost: kills scripts at random moments, goes on, and compares with an undisturbed run.

    python benchmarks/faults.py                      # 20 of each kind: half an hour on 2 idle cores
    python benchmarks/faults.py spatialise --times 5

docs/reliability.md states the figures. Each line counts how many of the runs ended as they should; the exit status is 1
if any did not. Processes are killed with SIGKILL, which none can answer, so this needs Linux or macOS.
"""
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import soundfile as sf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console

TIMES = ("seconds", "samples_per_s")  # columns of the history that are not repeated exactly
PATIENCE_S = 30.0   # until every process of a run that was ended must be gone
# Training on the fly with epochs of 2 chunks, so that a kill finds several.
SHORT_EPOCHS = """
import console
if __name__ == "__main__":
    console.end_at_ctrl_c()
import sys
import TrainingCNN
from shards import on_the_fly
on_the_fly.CHUNKS_PER_EPOCH, on_the_fly.VALIDATION_CHUNKS = 2, 4
sys.argv[0] = "TrainingCNN.py"
if __name__ == "__main__":
    sys.exit(console.run(TrainingCNN.main))
"""


def make_audio(folder):
    """Write speech and noise files of noise: 4 and 2, of 3 s."""
    for number in range(6):
        kind, rng = ("speech", "noise")[number >= 4], np.random.default_rng(number)
        sf.write(console.folder_for_output(folder / kind) / f"{number}.wav", 0.1 * rng.standard_normal(48_000), 16_000)
    return ["--speech", folder / "speech", "--noise", folder / "noise", "--frames", 10]


def start(command):
    """Start a command in a process group of its own, deaf to nothing."""
    def hear_ctrl_c():
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen([sys.executable, *map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL, text=True,
                            stderr=subprocess.PIPE, start_new_session=True, preexec_fn=hear_ctrl_c)


def finish(command):
    """Run a command to its end: the seconds it took; RuntimeError where it fails."""
    begin = time.monotonic()
    with start(command) as running:
        _, told = running.communicate()
    if running.returncode:
        raise RuntimeError(f"exit status {running.returncode}: {told}")
    return time.monotonic() - begin


def end(command, after_s, ending):
    """Start a command and send its processes a signal: what it told, whether any process is left.

    SIGKILL and SIGTERM go to the main process alone, the others to all, as a terminal does.
    """
    with start(command) as running:
        try:
            running.wait(after_s)
        except subprocess.TimeoutExpired:
            send = os.kill if ending in (signal.SIGKILL, signal.SIGTERM) else os.killpg
            send(running.pid, ending)
        deadline, is_left = time.monotonic() + PATIENCE_S, True
        while is_left and time.monotonic() < deadline:
            running.poll()
            try:
                os.killpg(running.pid, 0)
                time.sleep(0.05)
            except ProcessLookupError:
                is_left = False
        if is_left:
            os.killpg(running.pid, signal.SIGKILL)
        return running.communicate()[1], running.returncode, is_left


def bytes_of(folder):
    """Describe a folder of shards: dict of name to digest, the index left out, half-written files and locks not."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
            if path.name != "shards.index"}


def weights_of(data):
    """Read the arrays of an HDF5 file, bytes, whose other bytes may hold the time: dict of name to bytes."""
    arrays = {}

    def add(name, entry):
        if isinstance(entry, h5py.Dataset):
            arrays[name] = entry[()].tobytes()

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(add)
    return arrays


def training_of(folder):
    """Describe a folder of models: names, all weights and optimiser variables, and the history without times."""
    described = {"names": sorted(path.name for path in folder.iterdir())}
    for name in ("best.keras", "last.keras"):
        with zipfile.ZipFile(folder / name) as archive:
            described[name] = weights_of(archive.read("model.weights.h5")), archive.read("binsl.json")
            if name == "last.keras":
                with np.load(io.BytesIO(archive.read("binsl_training.npz"))) as state:
                    described |= {("state", key): state[key].tobytes() for key in state.files if key != "state"}
                    history = json.loads(str(state["state"]))["history"]
    described["history"] = [{key: value for key, value in row.items() if key not in TIMES} for row in history]
    return described


def killed_and_resumed(command, resumed, describe, work, times, rng):
    """Kill runs at random moments and go on: how many ended as an undisturbed one did, and left no process."""
    seconds = finish([*command, "--out", work / "whole"])
    whole, good = describe(work / "whole"), 0
    for number in console.progress(range(times)):
        out = work / str(number)
        after_s = rng.uniform(0, seconds)
        _, _, is_left = end([*command, "--out", out], after_s, signal.SIGKILL)
        finish([*resumed, "--out", out])
        is_good = not is_left and describe(out) == whole
        if not is_good:
            console.warn(f"killed after {after_s:.2f} s: processes left: {is_left}, the same: {describe(out) == whole}")
        good += is_good
        shutil.rmtree(out)
    return good


def ended(command, ending, work, times, rng):
    """End training by a signal at random moments: how many left no process, and of Ctrl-C told it in one line."""
    seconds, good = finish([*command, "--out", work / "whole"]), 0
    for number in console.progress(range(times)):
        after_s = rng.uniform(0.2, seconds)
        told, status, is_left = end([*command, "--out", work / str(number)], after_s, ending)
        # At its very end Python lets Ctrl-C end it as any program.
        is_told = status in (0, console.EXIT_INTERRUPTED, -signal.SIGINT) and "Traceback" not in told
        is_good = not is_left and (ending != signal.SIGINT or is_told)
        if not is_good:
            console.warn(f"{ending.name} after {after_s:.2f} s: status {status}, processes left: {is_left}, {told}")
        good += is_good
    return good


def main(argv=None):
    """Kill, go on, compare, and print a line for each kind."""
    parser = console.Parser(__doc__)
    kinds = ("spatialise", "shards", "wavs", "ctrl-c", "SIGTERM", "SIGHUP")
    parser.add_argument("kinds", metavar="KIND", nargs="*", help=f"of {', '.join(kinds)} (default: all)")
    parser.add_argument("--times", metavar="N", type=int, default=20, help="of each kind (default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the moments (default: %(default)s)")
    args = parser.parse_args(argv)
    if unknown := set(args.kinds) - set(kinds):
        raise console.BadInput(f"{min(unknown)} is not possible; choose from {', '.join(kinds)}.")
    failures = 0
    with tempfile.TemporaryDirectory() as work:
        audio = make_audio(Path(work))
        spatialise = ["SpatialiseTRAIN.py", *audio, "--excerpts", 8]
        finish([*spatialise, "--excerpts", 1, "--snr-db", 10, "--out", Path(work) / "data"])
        shards = ["TrainingCNN.py", "--data", Path(work) / "data", "--epochs", 3, "--batch-size", 32]
        wavs = ["-c", SHORT_EPOCHS, "--from-wavs", *audio, "--samples", 800, "--workers", 2]
        for kind in args.kinds or kinds:
            folder, rng = console.folder_for_output(Path(work) / kind), np.random.default_rng(args.seed)
            begin = time.monotonic()
            if kind == "spatialise":
                good = killed_and_resumed(spatialise, spatialise, bytes_of, folder, args.times, rng)
            elif kind in ("shards", "wavs"):
                command = shards if kind == "shards" else wavs
                good = killed_and_resumed(command, [*command, "--resume"], training_of, folder, args.times, rng)
            else:
                ending = signal.SIGINT if kind == "ctrl-c" else signal.Signals[kind]
                good = ended(wavs, ending, folder, args.times, rng)
            print(f"{kind}: {good} of {args.times} ended as they should ({time.monotonic() - begin:.0f} s)", flush=True)
            failures += args.times - good
    sys.exit(bool(failures))


if __name__ == "__main__":
    sys.exit(console.run(main))
