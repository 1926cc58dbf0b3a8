"""Fixtures that several rooms share: real wavs of a few talkers, shards made of them, a way to write a wav."""
import os
import shutil
import signal
import time

import numpy as np
import pytest
import soundfile as sf
from helpers import run_process, run_script, write_models
from hypothesis import HealthCheck, settings

from params import Params

MOST_TO_WAIT_S = 600
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # same results on every machine
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, max_examples=20,
                          suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("repeatable")

collect_ignore = ["two_devices.py", "train_worker.py"]   # run as processes of their own, by test_devices.py


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Function: a folder that `make(folder)` fills once for all workers of a session."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name, make):
        partial, deadline = base / f"{name}.partial", time.monotonic() + MOST_TO_WAIT_S
        while not (base / name).exists():
            try:
                partial.mkdir()  # which one worker can; the others wait
            except FileExistsError:
                assert time.monotonic() < deadline, f"the worker that makes {name} ended without it"
                time.sleep(0.1)
                continue
            if (base / name).exists():  # it was finished in between
                partial.rmdir()
                break
            try:
                make(partial)
                partial.rename(base / name)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return base / name
    return folder


@pytest.fixture(scope="session")
def demo(once):
    """The four folders filled with demo audio; by a process, as eSpeak NG speaks otherwise the second time."""
    return once("demo", lambda root: run_process("tools/make_demo_audio.py", "--root", root))


@pytest.fixture(scope="session")
def wavs(demo, tmp_path_factory):
    """Function: a new folder with the first `count` demo files of a folder such as "SpeechTRAIN"."""
    def folder(name, count):
        target = tmp_path_factory.mktemp(name)
        for source in sorted((demo / name).glob("*.wav"))[:count]:
            (target / source.name).write_bytes(source.read_bytes())
        return target
    return folder


@pytest.fixture(scope="module")
def folders(wavs):
    """Flags that name 2 speech and 2 noise files."""
    return ["--speech", wavs("SpeechTEST", 2), "--noise", wavs("NoiseTEST", 2)]


@pytest.fixture(scope="session")
def shards(once, wavs):
    """A folder of shards: 4 talkers x 2 noises x 2 SNRs x 37 azimuths."""
    return once("shards", lambda out: run_script(
        "SpatialiseTRAIN.py", "--speech", wavs("SpeechTRAIN", 4), "--noise", wavs("NoiseTRAIN", 2), "--out", out,
        "--snr-db", 0, 20))


@pytest.fixture(scope="session")
def short_shards(once, wavs):
    """A folder of shards of 20 frames, to train on: 3 talkers x 1 noise x 3 SNRs x 37 azimuths."""
    return once("short_shards", lambda out: run_script(
        "SpatialiseTRAIN.py", "--speech", wavs("SpeechTRAIN", 3), "--noise", wavs("NoiseTRAIN", 1), "--out", out,
        "--snr-db", 0, 10, 20, "--frames", 20))


@pytest.fixture(scope="session")
def network():
    """The default network with the templates of the shipped head, not trained; leave it as it is."""
    from network import likelihood, model

    params = Params()
    return model.Network(params, template_cues=likelihood.template_cues(params))


@pytest.fixture(scope="session")
def models(once):
    """A folder with best.keras and best.onnx of one network: random weights, statistics and calibration."""
    return once("models", lambda folder: write_models(folder, Params()))


@pytest.fixture
def write(tmp_path):
    """Function: write a signal as a float wav and give its path."""
    def wav(name, signal, sample_rate_hz=16_000, subtype="FLOAT"):
        sf.write(tmp_path / name, np.asarray(signal), sample_rate_hz, subtype=subtype)
        return tmp_path / name
    return wav


@pytest.fixture
def ctrl_c():
    """Let this test's process hear Ctrl-C as a script's does, and give what presses it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
