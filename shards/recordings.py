"""Labelled recordings: a folder of two-channel files and a labels.csv -> stretches -> the same shards as simulation.

labels.csv has the header file,start_s,end_s,azimuth_deg and a row a stretch, several a file; negative is left:
    file,start_s,end_s,azimuth_deg
    monday.wav,2.5,12.0,-35
    monday.wav,14.0,21.5,10

A shard is one for each recording (and noise), so that validation keeps whole recordings apart.
"""
import csv
import itertools
import os
import unicodedata
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from console import BadInput, sha256_of, short, warn
from shards.audio import Audio, CutShort, ear_blocks
from shards.files import seed_of
from shards.reading import RECORDING
from sound import kernels
from sound.noise_fields import noise_gain

LABELS = "labels.csv"
HEADER = ["file", "start_s", "end_s", "azimuth_deg"]
SEPARATORS = ",;\t"  # of columns: spreadsheets of countries with a decimal comma write semicolons
NO_NOISE = ""       # name of the noise, and its field, where none was added: the SNR is infinite then
MOST_PROBLEMS = 30  # are listed in full


class Stretch(NamedTuple):
    """Label a part of a recording in which the source stays at one azimuth."""

    start_s: float
    end_s: float
    azimuth_deg: float


class Recording(NamedTuple):
    """Hold a file and its stretches in order of time; `name` as in the labels, `sha256` of its bytes."""

    path: Path
    name: str
    sha256: str
    stretches: tuple


def read_labels(folder, params):
    """Read labels.csv of a folder and check every row against the files.

    Parameters
    ----------
    folder : path
    params : Params

    Returns
    -------
    list of Recording, sorted by name

    Raises
    ------
    BadInput : no folder, no labels, a wrong header; or the problems of all rows together, a line each

    """
    folder = Path(folder)
    path = folder / LABELS
    if not path.is_file():
        raise BadInput(f"--recordings {folder} holds no {LABELS}; write one with the header {','.join(HEADER)} and a "
                       "row for each stretch.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        separator = max(SEPARATORS, key=lines[0].count) if lines else SEPARATORS[0]
        rows = list(csv.reader(lines, delimiter=separator))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise BadInput(f"{path} is not a text file of comma-separated values in UTF-8; export it again.") from problem
    if not rows or [cell.strip().lower() for cell in rows[0]] != HEADER:
        first_line = ",".join(rows[0]) if rows else "nothing"
        raise BadInput(f"{path} begins with '{short(first_line)}'; its first line must be {','.join(HEADER)}.")
    stretches, problems, durations = defaultdict(list), [], {}
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            name, stretch = _checked(row, folder, durations, params, "." if separator == "," else ",")
            stretches[name].append((number, stretch))
        except BadInput as problem:
            problems.append((number, str(problem)))
    for each in stretches.values():
        each.sort(key=lambda pair: pair[1])
        for (_, before), (number, after) in zip(each, each[1:]):
            if after.start_s < before.end_s:
                problems.append((number, f"overlaps with the stretch {before.start_s:g} to {before.end_s:g} s"))
    if problems:
        lines = [f"  row {number}: {why}" for number, why in sorted(problems)[:MOST_PROBLEMS]]
        more = [f"  and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
        raise BadInput("\n".join([f"{path} has {len(problems)} row(s) that cannot be used; correct them and run again:",
                                  *lines, *more]))
    if not stretches:
        raise BadInput(f"{path} holds no stretch; write a row for each.")
    return [Recording(folder / name, name, sha256_of(folder / name), tuple(s for _, s in stretches[name]))
            for name in sorted(stretches)]


def _checked(row, folder, durations, params, decimal_mark):
    """Check one row: its file name and Stretch; BadInput names what is wrong with it."""
    if len(row) != len(HEADER):
        hint = " (a decimal comma? write 2.5, not 2,5)" if len(row) > len(HEADER) else ""
        raise BadInput(f"{len(row)} values in place of {len(HEADER)}{hint}")
    name, *texts = (cell.strip() for cell in row)
    name = _name_in(folder, name)
    try:
        start_s, end_s, azimuth_deg = (float(text.replace(decimal_mark, ".")) for text in texts)
    except ValueError as problem:
        raise BadInput(f"{short(', '.join(texts))} are not three numbers (decimal point, not comma)") from problem
    if name not in durations:
        durations[name] = _duration_s(folder / name, params) if name else BadInput("no file name")
    if isinstance(durations[name], BadInput):
        raise durations[name]
    if not np.isfinite([start_s, end_s, azimuth_deg]).all():
        raise BadInput(f"{', '.join(texts)} are not finite")
    if not 0 <= start_s < end_s <= durations[name] + 0.01:
        raise BadInput(f"{start_s:g} to {end_s:g} s does not lie within {name} ({durations[name]:.2f} s)")
    if end_s - start_s < params.sample_s:
        raise BadInput(f"{start_s:g} to {end_s:g} s is shorter than a sample ({params.sample_s:.2f} s)")
    if not -90 <= azimuth_deg <= 90:
        raise BadInput(f"azimuth {azimuth_deg:g} is not within -90 (left) to 90 (right)")
    return name, Stretch(start_s, end_s, azimuth_deg)


def _name_in(folder, name):
    """Give the name as the folder spells it: with / in place of a backslash, and accents composed or decomposed."""
    spellings = (name, name.replace("\\", "/"))
    spellings += tuple(unicodedata.normalize(form, each) for each in spellings for form in ("NFC", "NFD"))
    return next((each for each in spellings if each and os.path.isfile(folder / each)), name)


def _duration_s(path, params):
    """Measure a file of two ears by reading it, as headers err: seconds; or, not raised, BadInput."""
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name longer than a file system takes
        return BadInput(f"{short(path.name, 300)} does not exist in {path.parent}")
    count = 0
    try:
        for block in ear_blocks(path, params, params.channels or None):
            count += len(block)
    except CutShort as problem:
        warn(f"{problem} What there is can be used.")
    except BadInput as problem:
        return problem
    return count / params.sample_rate_hz


# -------------------------------------------------------------------------------------------------------------- samples

def starts_of(recording, params):
    """List where samples begin, at params.sample_rate_hz, and their azimuths: two (n,); they overlap by half."""
    hop = params.frames // 2 * params.stft_hop_samples
    starts, azimuths = [], []
    for stretch in recording.stretches:
        first = int(np.ceil(stretch.start_s * params.sample_rate_hz - 1e-6))
        last = int(stretch.end_s * params.sample_rate_hz + 1e-6) - params.sample_length
        here = np.arange(first, max(last, first) + 1, hop)
        starts.append(here)
        azimuths.append(np.full(len(here), stretch.azimuth_deg, np.float32))
    return np.concatenate(starts), np.concatenate(azimuths)


def windows(blocks, starts, length):
    """Cut windows (length, channel) from blocks (n, channel), which are never in memory all at once.

    `starts` ascend. Zeros stand for what lies behind the end: a resampler may end some samples early.

    >>> blocks = iter(np.arange(9.0).reshape(3, 3, 1))
    >>> [window[:, 0].tolist() for window in windows(blocks, [0, 2, 7], 4)]
    [[0.0, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0], [7.0, 8.0, 0.0, 0.0]]
    """
    held, first = next(blocks), 0
    for start in starts:
        with suppress(CutShort, StopIteration):  # what it lacks was told when the labels were read
            while first + len(held) < start + length:
                gone = min(start - first, len(held))
                held, first = np.concatenate((held[gone:], next(blocks))), first + gone
        window = held[start - first:start - first + length]
        yield np.pad(window, ((0, length - len(window)), (0, 0)))


class RecordingPlan(NamedTuple):
    """Plan the shard of a recording and a noise to add to it, or None (plan.ShardPlan)."""

    recording: Recording
    noise: Audio
    path: Path

    @property
    def names(self):
        """Give the names of the speech and the noise, as the shard stores them."""
        return self.recording.name, self.noise.name if self.noise else NO_NOISE

    def digests(self):
        """Describe the files and labels that the shard is made of, to tell when they were replaced."""
        return {"speech_sha256": self.recording.sha256, "noise_sha256": self.noise.sha256 if self.noise else NO_NOISE,
                "stretches": [list(stretch) for stretch in self.recording.stretches]}

    def count(self, mixer):
        """Count the samples of the shard."""
        return len(starts_of(self.recording, mixer.params)[0]) * (len(mixer.params.snr_db) if self.noise else 1)

    def _ears_of_all(self, mixer, audio):
        """Make the ear signals (2, n) of one sample after another, with azimuth, SNR, noise field and start in s.

        The noise is drawn anew for every sample, from the seed and the names. The SNR refers to the sample's own level.
        """
        params = mixer.params
        rng = np.random.default_rng([params.seed, *seed_of(*self.names)])
        starts, azimuths = starts_of(self.recording, params)
        blocks = ear_blocks(self.recording.path, params, params.channels or None, warns=False)
        for start, azimuth_deg, signal in zip(starts, azimuths, windows(blocks, starts, params.sample_length)):
            ears = np.ascontiguousarray(signal.T)
            start_s = start / params.sample_rate_hz
            if not self.noise:
                yield ears, azimuth_deg, np.inf, NO_NOISE, start_s
                continue
            noise = mixer.noise_at_ears(rng, mixer.draw_scene(rng), audio.noise(self.noise))
            for snr_db in params.snr_db:
                gain = np.float32(noise_gain(ears, noise.signals, snr_db))
                yield ears + gain * noise.signals, azimuth_deg, snr_db, noise.field, start_s

    def samples(self, mixer, audio):
        """Make the samples: cues (1, bin, frame, 2) of one after another, each with its files.BY_SAMPLE."""
        for ears, azimuth_deg, snr_db, field, start_s in self._ears_of_all(mixer, audio):
            cues = kernels.from_ears(ears, mixer.params)[np.newaxis].astype(np.float16)
            yield cues, {"labels": np.float32([azimuth_deg]), "snr_db": np.float32([snr_db]),
                         "noise_field": np.array([field]), "hrir": np.array([RECORDING]),
                         "room_rt60_s": np.float32([np.nan]), "excerpt_start_s": np.float32([start_s])}

    def ears(self, row, mixer, audio):
        """Make the ear signals (2, n) of the shard's sample `row`, to listen to."""
        return next(itertools.islice(self._ears_of_all(mixer, audio), row, None))[0]
