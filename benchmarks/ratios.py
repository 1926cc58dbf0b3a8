"""What the benchmarks of speed share: methods measured side by side, and their ratios as a table.

    rates = alternately({"ours": measure_ours, "plain": measure_plain}, repetitions=5)
    print(table("samples/s", rates, {"ours": ["plain"]}))

Every repetition measures each method once, one after the other, so that a machine that slows down slows all of them.
"""
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import console
from console import BadInput

REPETITIONS = 5
PACKAGES = ("numpy", "scipy", "soundfile", "librosa", "tensorflow", "keras", "onnxruntime")
# A small process starts what is measured: on Linux the memory of the process that starts it counts as its own peak.
LAUNCHER = """
import os, subprocess, sys, time
begin = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - begin, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def parser(doc):
    """Make the parser of a benchmark, with the flags that all have."""
    made = console.Parser(doc)
    made.add_argument("--repetitions", metavar="N", type=int, default=REPETITIONS, help="(default: %(default)s)")
    made.add_argument("--disk", metavar="DIR", default=".", help="a folder on the disk to measure on (default: here)")
    return made


def alternately(measures, repetitions=REPETITIONS):
    """Measure each method once to warm up, then once a repetition, in turn.

    Parameters
    ----------
    measures : dict of name to callable, which measures once and returns a number
    repetitions : int

    Returns
    -------
    dict of name to np.ndarray [shape=(repetition,)]

    """
    values = {name: [] for name in measures}
    turns = [(name, measure) for _ in range(repetitions + 1) for name, measure in measures.items()]
    for name, measure in console.progress(turns, desc=" | ".join(measures)[:60]):
        values[name].append(measure())
    return {name: np.array(each[1:]) for name, each in values.items()}


def per_second(count, work):
    """Make a measure of how many of `count` a second `work()` does."""
    def measure():
        begin = time.perf_counter()
        work()
        return count / (time.perf_counter() - begin)
    return measure


def said(values, digits=2):
    """Say a median and its range.

    >>> said([3, 1, 2], 1)
    '2.0 (1.0-3.0)'
    """
    return f"{np.median(values):.{digits}f} ({np.min(values):.{digits}f}-{np.max(values):.{digits}f})"


def table(unit, rates, compared_with, digits=0):
    """Write rates as a markdown table; the ratios of a row are to those that `compared_with` lists for it.

    >>> print(table("samples/s", {"plain": np.array([10.0]), "ours": np.array([25.0])}, {"ours": ["plain"]}))
    | | samples/s | ratio |
    |---|---|---|
    | plain | 10 (10-10) | |
    | ours | 25 (25-25) | 2.50 (2.50-2.50) to plain |
    """
    lines = [f"| | {unit} | ratio |", "|---|---|---|"]
    for name, values in rates.items():
        compared = "; ".join(f"{said(values / rates[base])} to {base}" for base in compared_with.get(name, ()))
        lines.append(f"| {name} | {said(values, digits)} |{f' {compared}' * bool(compared)} |")
    return "\n".join(lines)


def run(command):
    """Run a command in silence; BadInput with what it said where it fails.

    Returns
    -------
    seconds : float
    memory_mb : float, the peak of its largest process

    """
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as complaints:
        done = subprocess.run([sys.executable, "-S", "-c", LAUNCHER, *command], stdout=subprocess.PIPE,
                              stderr=complaints, text=True, check=True)
        seconds, peak_kb, status = map(float, done.stdout.split())
        if status:
            complaints.seek(0)
            raise BadInput(f"{' '.join(command)} ended with {status:.0f}: "
                           f"{complaints.read().decode(errors='replace').strip()}")
    return seconds, peak_kb / 1024


def machine_in_words():
    """Describe the machine and the versions of what is measured, in one sentence each."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text(encoding="utf-8").splitlines()
                 if line.startswith("model name")]
        cpu = names[0] if names else cpu
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"no {package}")
    return (f"{console.processors()} processors of {cpu}, {platform.system()} {platform.release()}. "
            f"Python {platform.python_version()}, {', '.join(versions)}.")
