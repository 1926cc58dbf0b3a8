"""What several tests share: real wavs of a few talkers, shards made of them, and a way to run the scripts."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def run_script(script, *args, status=0, cwd=ROOT, **options):
    """Run a script as a user does and check its exit status; gives the finished process."""
    env = {**os.environ, "PYTHONIOENCODING": "utf-8", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, str(ROOT / script), *map(str, args)], cwd=cwd, env=env, text=True,
                          encoding="utf-8", capture_output=True, stdin=subprocess.DEVNULL, timeout=280, **options)
    assert done.returncode == status, f"{script} exited {done.returncode}, not {status}: {done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return done


def one_sentence(text):
    """Whether an error message is a single short line."""
    return len(text.strip().splitlines()) == 1 and len(text) < 600


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The four folders filled with demo audio."""
    root = tmp_path_factory.mktemp("demo")
    run_script("tools/make_demo_audio.py", "--root", root)
    return root


@pytest.fixture(scope="session")
def wavs(demo, tmp_path_factory):
    """Function: a new folder with the first `count` demo files of a folder such as "SpeechTRAIN"."""
    def folder(name, count):
        target = tmp_path_factory.mktemp(name)
        for source in sorted((demo / name).glob("*.wav"))[:count]:
            (target / source.name).write_bytes(source.read_bytes())
        return target
    return folder


@pytest.fixture(scope="session")
def shards(wavs, tmp_path_factory):
    """A folder of shards: 4 talkers x 2 noises x 2 SNRs x 37 azimuths."""
    out = tmp_path_factory.mktemp("shards")
    run_script("SpatialiseTRAIN.py", "--speech", wavs("SpeechTRAIN", 4), "--noise", wavs("NoiseTRAIN", 2), "--out", out,
               "--snr-db", 0, 20)
    return out


@pytest.fixture
def write(tmp_path):
    """Function: write a signal as a float wav and give its path."""
    def wav(name, signal, sample_rate_hz=16_000, subtype="FLOAT"):
        sf.write(tmp_path / name, np.asarray(signal), sample_rate_hz, subtype=subtype)
        return tmp_path / name
    return wav
