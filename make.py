"""Sets up Python in this folder and runs the project, on any system, with nothing installed but Python 3.10 to 3.13.

    python make.py demo       # environment, demo audio, samples, a trained network, its score
    python make.py test       # all tests; pytest's own flags may follow
    python make.py setup      # the environment alone

`make demo` and so on run the same. On Windows write `py` for `python`. The environment is the folder .venv.
"""
# The standard library alone, in the syntax of Python 3.6: one that is too old must get as far as the sentence about it.
import argparse
import hashlib
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(os.path.abspath(__file__)).parent
OLDEST, NEWEST = (3, 10), (3, 13)  # TensorFlow 2.21 has no wheel for 3.14
DOWNLOADS = "https://www.python.org/downloads/"
EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 130, 143  # the first two are those of console.py
KNOWN_SHARE = 0.2  # a step that took less of its typical time was already done, and tells nothing of the machine
PIP_REMEDIES = [  # what pip prints, and what to do about it
    ("No space left|Errno 28", "free 3 GB of disk and run the same command again"),
    ("Long Path", "Windows refuses paths that are so long; move this folder to a short one, such as C:\\binsl"),
    ("Temporary failure|getaddrinfo|NewConnectionError|Max retries|timed out|unreachable",
     "connect to the internet and run the same command again"),
    ("No matching distribution", "the package named above has no wheel for this system, or the index was not reached; "
                                 f"use the Dockerfile, or Python 3.12 from {DOWNLOADS}"),
    ("", "its lines are above; remove the folder {venv} and run the same command again"),
]


class Problem(Exception):
    """Something to tell in one sentence, with an exit status."""

    def __init__(self, sentence, status=EXIT_BAD_INPUT):
        super().__init__(sentence)
        self.status = status


class Terminated(BaseException):
    """Somebody told this process to end, by SIGTERM."""


class DemoStep(NamedTuple):
    """A step of the demo: what it does, in words for a newcomer, its command, its seconds on 2 cores in 2026."""

    text: str
    command: list
    typical_s: float


# -------------------------------------------------------------------------------------------------------------- targets

def setup(args):
    """Make the environment and install the packages of requirements.txt."""
    prepare(args.venv, "requirements.txt")
    print(f"Ready. The Python of this project: {python_of(args.venv)}")


def demo(args):
    """Make audio and samples, train a network and score it, all at a small size."""
    python = prepare(args.venv, "requirements.txt")
    resume = ["--resume"] if (ROOT / "checkpoints" / "last.keras").exists() else []
    steps = [
        DemoStep("Making demo audio: a speech synthesiser plays 25 talkers, and there are 6 noises.",
                 ["tools/make_demo_audio.py"], 5),
        DemoStep("Making training data: speech from 37 directions, in noise, as the two ears of a dummy head hear it.",
                 ["SpatialiseTRAIN.py", "--excerpts", args.excerpts, "--snr-range-db", *args.snr_range_db],
                 3 + 0.9 * args.excerpts),
        DemoStep("Making test data in the same way, of talkers and noises that the training data lack.",
                 ["SpatialiseTEST.py", "--excerpts", args.excerpts_test], 3 + 0.3 * args.excerpts_test),
        DemoStep("Training the network: it learns which differences between the ears belong to which direction. Passes "
                 f"(epochs) through the training data: {args.epochs}; the time left is that of one.",
                 ["TrainingCNN.py", "--epochs", args.epochs, "--batch-size", 32, *resume],
                 10 + 4.5 * args.epochs * args.excerpts),
        DemoStep("Testing: the network says where each test sound comes from, and so does a method without learning.",
                 ["Testing.py"], 10 + 2.5 * args.excerpts_test),
    ]
    begin, took_s, typical_s = time.monotonic(), [], [step.typical_s for step in steps]
    print(f"The demo has {len(steps)} steps and takes roughly {in_words(sum(typical_s))} on 2 cores.")
    for number, step in enumerate(steps, 1):
        print(f"\nStep {number} of {len(steps)}. {step.text}", flush=True)
        step_begin = time.monotonic()
        run(python, *step.command, name=f"step {number} of {len(steps)} ({step.command[0]})",
            remedy="what was finished is kept, and the same command goes on from there")
        took_s.append(time.monotonic() - step_begin)
        left = in_words(seconds_left(took_s, typical_s))
        print(f"Took {in_words(took_s[-1])}" + (f"; roughly {left} to go." if number < len(steps) else "."))
    print(f"\nThe demo took {in_words(time.monotonic() - begin)}. Open this page to see and hear what the network "
          f"answers:\n\n    {(ROOT / 'results' / 'report.html').as_uri()}\n")


def every_test(args):
    """Run all tests; what follows goes to pytest."""
    run(prepare(args.venv, "requirements-dev.txt"), "-m", "pytest", *args.more)


def quick_tests(args):
    """Run the tests without the slow ones; what follows goes to pytest."""
    run(prepare(args.venv, "requirements-dev.txt"), "-m", "pytest", "-m", "not slow", *args.more)


def check(args):
    """Run ruff, and the test of the import directions."""
    python = prepare(args.venv, "requirements-dev.txt")
    run(python, "-m", "ruff", "check", ".")
    run(python, "-m", "pytest", "-n", 0, "tests/test_arrows.py")


def tour(args):
    """Write tour.py as a page with its pictures and sounds."""
    python = prepare(args.venv, "requirements-tour.txt")
    (ROOT / "tour").mkdir(exist_ok=True)
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH", "")])  # where jupytext looks for Jupyter
    run(python, "-m", "jupytext", "--quiet", "--to", "ipynb", "--set-kernel", "python3", "--run-path", ".", "--execute",
        "--output", "tour/tour.ipynb", "tour.py", env=dict(os.environ, PATH=path, PYTHONWARNINGS="ignore"))
    run(python, "-m", "nbconvert", "--log-level", "ERROR", "--to", "html", "--embed-images", "tour/tour.ipynb")
    print(f"The page: {(ROOT / 'tour' / 'tour.html').as_uri()}")


def model(args):
    """Make the model that ships; what follows goes to tools/make_model.py."""
    run(prepare(args.venv, "requirements.txt"), "tools/make_model.py", *args.more)


def bench(args):
    """Measure speed and memory, and write benchmarks/RESULTS.md; what follows goes to benchmarks/speed.py."""
    run(prepare(args.venv, "requirements-dev.txt"), "benchmarks/speed.py", *args.more)


TARGETS = {"setup": setup, "demo": demo, "test": every_test, "quick": quick_tests, "check": check, "tour": tour,
           "model": model, "bench": bench}
TAKE_MORE = ("test", "quick", "model", "bench")


def parse_args(argv=None):
    """Read the target and its flags; flags for the program that a target runs are `more`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = refuse
    targets = parser.add_subparsers(dest="target", metavar="TARGET")
    for name, target in TARGETS.items():
        flags = targets.add_parser(name, help=target.__doc__, description=target.__doc__, allow_abbrev=False)
        flags.error = refuse
        flags.add_argument("--venv", metavar="DIR", type=lambda path: Path(os.path.abspath(ROOT / path)),
                           default=ROOT / ".venv",
                           help="the environment; a relative path begins at the folder of make.py (default: .venv)")
        if name == "demo":
            # Many excerpts, each at one SNR: fresh words and noise teach more than another level of the same. The range
            # is wider than the test's: half-widths are measured on validation samples, and hold for what is like them.
            flags.add_argument("--excerpts", metavar="N", type=count, default=24, help="of training (default: 24)")
            flags.add_argument("--excerpts-test", metavar="N", type=count, default=4, help="(default: 4)")
            flags.add_argument("--epochs", metavar="N", type=count, default=2, help="(default: 2)")
            flags.add_argument("--snr-range-db", metavar=("LOW", "HIGH"), type=float, nargs=2, default=[-10.0, 6.0],
                               help="of training (default: -10 6)")
    args, args.more = parser.parse_known_args(argv)
    if args.target is None:
        parser.print_help()
    elif args.more and args.target not in TAKE_MORE:
        refuse(f"{args.target} takes no {' '.join(args.more)}")
    elif args.target == "demo" and not -math.inf < args.snr_range_db[0] <= args.snr_range_db[1] < math.inf:
        refuse("--snr-range-db takes two finite numbers, the lower one first")
    return args


def count(text):
    """Read a number of things, at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not possible, it takes a whole number from 1 on")
    return int(text)


def refuse(message):
    """Raise Problem in place of argparse's usage text and exit."""
    raise Problem(f"{message}; --help lists the targets, TARGET --help its flags.")


def main(argv=None):
    """Run a target; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a log of Windows lacks letters that the name of a folder may have
            stream.reconfigure(errors="replace")
    pressed = []  # Ctrl-C: the program that runs hears it too, ends in order and says what is kept
    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: pressed.append(True)),
              signal.SIGTERM: signal.signal(signal.SIGTERM, terminate)}
    try:
        args = parse_args(argv)
        if args.target is not None:
            TARGETS[args.target](args)
    except Problem as problem:
        if not pressed:
            print(f"make.py: {problem}", file=sys.stderr)
            return problem.status
    except Terminated:
        return EXIT_TERMINATED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return EXIT_INTERRUPTED if pressed else 0


def terminate(*_):
    """Raise Terminated, once: some send SIGTERM twice."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


@contextmanager
def started(command, **options):
    """Start a program for a `with`, which waits for its end; SIGTERM goes on to it. `options` go to Popen."""
    with subprocess.Popen([str(word) for word in command], **options) as program:
        try:
            yield program
        except Terminated:
            program.terminate()
            raise


def run(python, *args, name="", remedy="see above", **options):
    """Run a program of the environment in this folder, to its end; Problem where it fails.

    `name` is what the sentence calls the program, `remedy` what to do about it, unless the program refuses what it was
    given and has said what to change; `options` go to Popen.
    """
    with started([python, *map(_word, args)], cwd=str(ROOT), **options) as program:
        status = program.wait()
    if status:
        how = "was killed, as by a system short of memory" if status < 0 else f"ended with exit status {status}"
        remedy = "see above" if status == EXIT_BAD_INPUT else remedy
        raise Problem(f"{name or ' '.join(map(_word, args))} {how}; {remedy}.", 128 - status if status < 0 else status)


def _word(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def seconds_left(took_s, typical_s):
    """Estimate the seconds that are left of steps by those that are done.

    >>> seconds_left([10, 60], [5, 30, 20, 100])
    240.0
    """
    known = [(took, typical) for took, typical in zip(took_s, typical_s) if took > KNOWN_SHARE * typical]
    pace = sum(took for took, _ in known) / sum(typical for _, typical in known) if known else 1.0
    return pace * sum(typical_s[len(took_s):])


def in_words(seconds):
    """Write a duration as people say it.

    >>> in_words(3.2), in_words(48), in_words(200)
    ('3 seconds', '50 seconds', '3 minutes')
    """
    if seconds < 10:
        count, unit = max(1, round(seconds)), "second"
    elif seconds < 90:
        count, unit = 10 * round(seconds / 10), "second"
    else:
        count, unit = round(seconds / 60), "minute"
    return f"{count} {unit}{'' if count == 1 else 's'}"


# ------------------------------------------------------------------------------------------------------ the environment

def prepare(venv, requirements):
    """Make the environment `venv`, a Path, if need be, and install a file of requirements; gives its Python."""
    python = python_of(venv)
    if is_environment(venv):
        require_suitable(python, f"remove the folder {venv}, and ", again=True)
    else:
        require_suitable(sys.executable)
        print(f"Making an environment of Python in {venv}", flush=True)
        with started([sys.executable, "-m", "venv", venv]) as making:
            status = making.wait()
        if status:
            shutil.rmtree(str(venv), ignore_errors=True)  # half an environment would only confuse the next run
            raise Problem("Python cannot make an environment, see above; on Debian and Ubuntu run: sudo apt install "
                          "python3-venv")
    digest = hashlib.sha256(text_of(requirements).encode()).hexdigest()
    installed = venv / Path(requirements).with_suffix(".installed").name
    if not installed.exists() or installed.read_text(encoding="ascii") != digest:
        install(python, venv, requirements)
        installed.write_text(digest, encoding="ascii")
    return python


def is_environment(venv):
    """Tell whether an environment is at `venv`, a Path; Problem where something else is, which nobody may remove."""
    there = next(path for path in (venv, *venv.parents) if os.path.exists(str(path)))
    if not there.is_dir():
        raise Problem(f"{there} is a file, where --venv needs a folder; name another one with --venv.")
    try:
        is_empty = there != venv or not os.listdir(str(venv))
    except OSError as problem:
        raise Problem(f"{venv} cannot be read ({problem.strerror}); name another folder with --venv.") from None
    if not is_empty and not (venv / "pyvenv.cfg").exists():
        raise Problem(f"{venv} holds files and is no environment of Python; name another folder with --venv.")
    return not is_empty


def python_of(venv, is_windows=os.name == "nt"):
    r"""Name the Python of an environment.

    >>> from pathlib import PurePosixPath, PureWindowsPath
    >>> print(python_of(PurePosixPath("/home/ann/my binsl/.venv"), is_windows=False))
    /home/ann/my binsl/.venv/bin/python
    >>> print(python_of(PureWindowsPath(r"C:\Users\Zoë\my binsl\.venv"), is_windows=True))
    C:\Users\Zoë\my binsl\.venv\Scripts\python.exe
    """
    return venv / "Scripts" / "python.exe" if is_windows else venv / "bin" / "python"


def require_suitable(python, first="", again=False):
    """Raise Problem where a Python does not run or cannot serve.

    The remedy is to do `first` what that says, and then to take another Python. With `again`, where `python` is not the
    one that runs this file, the same command does, if that one can serve.
    """
    why = why_not(python)
    if why:
        remedy = "run the same command again." if again and not why_not(sys.executable) else which_python()
        raise Problem(f"{why}; {first}{remedy}")


def why_not(python):
    """Tell why a Python does not run or cannot serve, or give ""."""
    describe = ("import platform, sys, sysconfig; "
                "print(*sys.version_info[:2], sysconfig.get_platform(), platform.machine(), sep=',')")
    try:
        told = subprocess.check_output([str(python), "-c", describe], stderr=subprocess.DEVNULL).decode().strip()
        major, minor, platform, machine = told.split(",")
        return why_unsuitable((int(major), int(minor)), platform, machine)
    except (OSError, subprocess.CalledProcessError):
        return f"{python} does not run"


def why_unsuitable(version, platform, machine):
    """Tell why a Python cannot serve, or give "".

    Parameters
    ----------
    version : (major, minor)
    platform : str of sysconfig.get_platform(), what this Python was built for
    machine : str of platform.machine(): macOS builds for both processors run as one of them

    Examples
    --------
    >>> why_unsuitable((3, 12), "win-amd64", "AMD64")
    ''
    >>> why_unsuitable((3, 14), "linux-x86_64", "x86_64")
    'Python 3.14 is too new, TensorFlow has no wheel for it'

    """
    if version < OLDEST:
        return f"Python {version[0]}.{version[1]} is too old"
    if version > NEWEST:
        return f"Python {version[0]}.{version[1]} is too new, TensorFlow has no wheel for it"
    if platform == "win32" or platform.endswith("86"):
        return "this Python has 32 bits, TensorFlow has wheels for 64 alone"
    if platform == "win-arm64":
        return "TensorFlow has no wheel for Python of Windows on ARM, where that for x86-64 (amd64) runs too"
    if platform.startswith("macosx") and machine == "x86_64":
        return ("TensorFlow has no wheel for Macs with Intel processors, where the Dockerfile serves, and "
                "requirements-localise.txt for answers alone")
    return ""


def which_python(serves=None):
    """Say which Python to take: one that is here and serves, or where to find one.

    >>> which_python(lambda name: name == "python3.12")
    'run make.py with python3.12, which is here.'
    """
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        if (serves or _serves)(f"python3.{minor}"):
            return f"run make.py with python3.{minor}, which is here."
    return (f"take Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, 64 bits, from {DOWNLOADS} "
            "(on Windows then: py -3.12 make.py).")


def _serves(name):
    path = shutil.which(name)
    return path is not None and not why_not(path)  # a name alone may be that of pyenv, for one not chosen or removed


def text_of(requirements):
    """Put together a file of requirements and those that it includes."""
    text = (ROOT / requirements).read_text(encoding="utf-8")
    return text + "".join(map(text_of, re.findall(r"^-r (.+)$", text, re.MULTILINE)))


def install(python, venv, requirements):
    """Install a file of requirements, in sight; Problem that says what to do where pip fails."""
    print(f"Installing the packages of {requirements}. The first time this downloads about 800 MB: usually 2 to 10 "
          "minutes.", flush=True)
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "-r", requirements]
    complaints = deque(maxlen=50)
    with started(command, cwd=str(ROOT), stderr=subprocess.PIPE, universal_newlines=True, errors="replace") as pip:
        for line in pip.stderr:
            complaints.append(line)
            sys.stderr.write(line)
    if pip.returncode:
        remedy = next(remedy for pattern, remedy in PIP_REMEDIES if re.search(pattern, "".join(complaints)))
        raise Problem(f"pip could not install {requirements}: {remedy.format(venv=venv)}.")


if __name__ == "__main__":
    sys.exit(main())
