"""What tests share besides fixtures: running scripts, and a source at the ears of the shipped head."""
import hashlib
import importlib.util
import io
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import sofar
from scipy.signal import fftconvolve

import console
import hrir
from network.peaks import presence_targets
from network.tracks import Source, Track
from params import Params
from scores.exports import Localised

ROOT = Path(__file__).resolve().parents[1]
PARAMS = Params()
posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals, limits or names")
HOSTILE_NAME = "</title><script>document.title='hit'</script>\"'&.wav"
RECORDING_S = 20.0
TIME_S = np.arange(0.51, 19.5, 0.1)                                  # 190 rows
MADE_WITH = {"model": "models/<best>.keras", "hop_s": 0.1, "head": None, "balance": "auto", "smoothing": True,
             "swap_ears": False, "channels": [1, 2]}


class Done(NamedTuple):
    """What a script printed."""

    stdout: str
    stderr: str


def run_script(script, *args, status=0, cwd=ROOT):
    """Run a script's `main` in this process, as console.run does, and check its exit status.

    A fault of the program keeps its traceback and fails the test. `script` is a path below the root.
    """
    printed, complaints = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    main = _module_of(script).main
    with _as_if_started(script, cwd), redirect_stdout(printed), redirect_stderr(complaints):
        ended = console.run(lambda: main(list(map(str, args))))
    done = Done(printed.buffer.getvalue().decode(), without_progress(complaints.buffer.getvalue().decode()))
    assert ended == status, f"{script} ended with {ended}, not {status}: {done.stderr[-2000:]}"
    return done


def _module_of(script):
    name = Path(script).stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / script)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@contextmanager
def _as_if_started(script, cwd):
    before = sys.argv, os.getcwd(), signal.getsignal(signal.SIGINT)
    sys.argv = [str(ROOT / script)]
    os.chdir(cwd)
    try:
        yield
    finally:
        sys.argv = before[0]
        os.chdir(before[1])
        signal.signal(signal.SIGINT, before[2])


def run_process(script, *args, status=0, cwd=ROOT, encoding="utf-8", **options):
    """Run a script as a user does, in a process of its own: no traceback, the exit status; gives the process."""
    done = subprocess.run([sys.executable, str(ROOT / script), *map(str, args)], cwd=cwd, text=True, encoding=encoding,
                          env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=280, **options)
    assert done.returncode == status, f"{script} exited {done.returncode}, not {status}: {done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    done.stderr = without_progress(done.stderr)
    return done


def without_progress(text):
    """Take away the lines of progress, which a slow machine sees more of."""
    return re.sub(r"^.*: \d+ % done, about \d+ (s|min) left\.\n", "", text, flags=re.MULTILINE)


def start_process(script, *args, **options):
    """Start a script in a process that hears Ctrl-C, which a shell lets its background jobs ignore."""
    if os.name != "posix":
        pytest.skip("Windows sends no signals to one process")

    def hear_ctrl_c():
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen([sys.executable, str(ROOT / script), *map(str, args)], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c, **options)


def free_ports(count):
    """Find TCP ports that nothing listens at, a list."""
    with ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def one_sentence(text):
    """Whether an error message is a single short line."""
    return len(text.strip().splitlines()) == 1 and len(text) < 600


@lru_cache
def head():
    """The shipped head at the default azimuths."""
    return hrir.load("mit_kemar", PARAMS.sample_rate_hz, PARAMS.azimuth_deg)


def through_the_head(signal, azimuth_deg):
    """(n,) -> (n, 2)."""
    pair = head().response[PARAMS.azimuth_deg.index(azimuth_deg)]
    return np.stack([fftconvolve(signal, response)[:len(signal)] for response in pair], axis=1)


def from_all_around(noise, count, seed=0):
    """Excerpts of a noise from every azimuth at once: (count, 2)."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(noise), size=len(PARAMS.azimuth_deg))
    return sum(through_the_head(np.take(noise, np.arange(at, at + count), mode="wrap"), azimuth_deg)
               for at, azimuth_deg in zip(starts, PARAMS.azimuth_deg))


def samples(count, frames=PARAMS.frames, seed=0):
    """Cues of nothing in particular: (count, 321, frames, 2) float16."""
    return np.random.default_rng(seed).normal(0, 1, (count, PARAMS.bins, frames, 2)).astype(np.float16)


class FakeHearing:
    """Hears as Network.hear_rows does, the same everywhere, and keeps the windows it got as samples.

    `talkers_deg` (row, talker) are those whose presence it tells in one row after another.
    """

    def __init__(self, azimuth_deg=10.0, half_widths_deg=(1.0, 5.0), talkers_deg=None):
        self.seen, self._answer = [], (azimuth_deg, *half_widths_deg)
        self._presence = None if talkers_deg is None else presence_targets(talkers_deg, PARAMS)

    def __call__(self, cues, starts, frames):
        """Answer windows of cues (bin, frame, 2)."""
        self.seen.append(np.stack([cues[:, at:at + frames] for at in starts]))
        count = len(starts)
        answer = dict(zip(("azimuth_deg", "half_width_68_deg", "half_width_95_deg"),
                          (np.full(count, value) for value in self._answer)))
        presence = None
        if self._presence is not None:
            presence, self._presence = np.split(self._presence, [count])
        return SimpleNamespace(**answer), None, np.full(count, np.nan), presence


def digests(folder):
    """SHA-256 of every shard of a folder: dict of its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.npz"))}


def load_shards(folder):
    """Every array of every shard of a folder: list of dicts."""
    loaded = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as shard:
            loaded.append(dict(shard))
    return loaded


def room_file(path):
    """A SOFA file of a reverberant room that counts its azimuths clockwise."""
    measured = hrir.read("mit_kemar")
    rng = np.random.default_rng(0)
    response = rng.standard_normal((37, 2, 22_050)) * 10 ** (-3 * np.arange(22_050) / 44_100 / 0.3) * 0.02
    response[..., :512] = measured.response
    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR, sofa.Data_SamplingRate = response, 44_100
    sofa.SourcePosition = np.stack([measured.azimuth_deg % 360, np.zeros(37), np.ones(37)], axis=1)
    sofar.write_sofa(str(path), sofa)
    return path


def write_head(path):
    """Write the shipped head as a SOFA file of one's own would hold it."""
    measured = hrir.read("mit_kemar")
    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR, sofa.Data_SamplingRate = measured.response, measured.sample_rate_hz
    sofa.SourcePosition = np.stack([-measured.azimuth_deg % 360, np.zeros(37), np.ones(37)], axis=1)
    sofar.write_sofa(str(path), sofa)


def write_models(folder, params):
    """Write best.keras and best.onnx of one network whose batch normalisations do something, with a calibration."""
    from network import likelihood
    from network.model import Network
    from tools.export import export

    network, rng = Network(params, params.scenes, likelihood.template_cues(params)), np.random.default_rng(0)
    for variable in network.keras_model.variables:
        if variable.path.endswith("variance"):
            variable.assign(rng.uniform(0.3, 3, variable.shape))
        elif variable.path.endswith(("gamma", "mean", "beta", "bias")):
            variable.assign(variable + rng.normal(0, 0.2, variable.shape))
    if params.loss == "distribution":
        predictors = network.reading_of(network.outputs(samples(400))).predictors
        network.calibrate(predictors, rng.uniform(0, 10, 400), of_noise=predictors + 1)
    network.save(folder / "best.keras")
    export(network, folder / "best.onnx")


def source_by_hand(azimuth_deg, start_s, end_s, half_width_deg=10.0):
    """A source that is heard at one azimuth for a time, in the rows of TIME_S."""
    heard = (start_s <= TIME_S) & (end_s > TIME_S)
    values = [np.where(heard, value, np.nan) for value in (azimuth_deg, half_width_deg, 0.9)]
    return Source(TIME_S, *values, np.full(len(TIME_S), -20.0))


def localised_by_hand(several=True, **changes):
    """A recording in which one is heard on the left from 2 to 8 s, and on the right, another if several, from 6 s."""
    left, right = source_by_hand(-40.0, 2, 8), source_by_hand(70.0, 12, 18)
    track = Track(TIME_S, *(np.where(np.isfinite(one), one, other) for one, other in zip(left[1:3], right[1:3])),
                  left.level_db, np.zeros(len(TIME_S), bool))
    spectrogram = np.random.default_rng(0).random((321, 1000)).astype(np.float32)
    values = {"name": HOSTILE_NAME, "track": track, "sources": [left, source_by_hand(70.0, 6, 18)] if several else None,
              "seconds": RECORDING_S, "spectrogram": spectrogram, "sample_rate_hz": 16_000, "made_with": MADE_WITH,
              "summary": "two sources & more.", "warnings": ["This recording is <i>clipped</i>."],
              "silences": np.empty((0, 2))}
    return Localised(**(values | changes))
