"""Audio files in and out: checked, read in blocks at one sample rate, cached, written.

    speech, problems = find_audio("SpeechTRAIN", "--speech", params.excerpt_length, params)
    signal = read_mono(speech[0].path, params)               # (n,) float32 at params.sample_rate_hz
    for block in ear_blocks("talk.wav", params): ...         # (n, 2), left ear first
"""
import hashlib
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr

from console import BadInput, atomic_write, progress
from sound import excerpts

COMPLETE_SHARE = 0.98  # of the promised length; an mp3's is an estimate
READ_FRAMES = 1 << 18  # of an audio file at once, so that an hour of many channels is never in memory whole


class Audio(NamedTuple):
    """Describe a readable audio file: its path, its name within its folder (with /), digest, channels."""

    path: Path
    name: str
    sha256: str
    channels: int


def find_audio(folder, role, least_samples, params):
    """Check every audio file of a folder, subfolders included, in sorted order.

    Parameters
    ----------
    folder : path
    role : str, the flag that named it ("--speech"), for messages
    least_samples : int, how long a file must be at params.sample_rate_hz
    params : Params

    Returns
    -------
    list of Audio
    list of str, one sentence for each file that cannot be used

    Raises
    ------
    BadInput : no folder, or nothing in it can be used

    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{role} {folder} is not a folder; make it and put at least one wav into it.")
    paths = audio_paths(folder)
    if not paths:
        raise BadInput(f"{role} {folder} holds no audio file; put at least one wav into it.")
    good, problems = [], []
    for path in progress(paths, unit=" files", desc=f"checking {folder}"):
        try:
            read_mono(path, params, least_samples)
            with sf.SoundFile(path) as file:
                channels = file.channels
            good.append(Audio(path, path.relative_to(folder).as_posix(), sha256_of(path), channels))
        except BadInput as problem:
            problems.append(str(problem))
    if not good:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise BadInput(f"{role} {folder} holds no usable audio: {problems[0]}{more}")
    return good, problems


def audio_paths(folder):
    """List the files of a folder, subfolders included, whose ending is that of an audio format, in sorted order."""
    suffixes = {f".{name.lower()}" for name in sf.available_formats()} | {".aif", ".oga", ".opus", ".m4a", ".wave"}
    suffixes -= {".raw"}  # without a header its sample rate is unknown
    return sorted((p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file()
                   and not p.name.startswith(".")), key=lambda p: p.relative_to(folder).as_posix())


def read_mono(path, params, least_samples=1):
    """Read an audio file as one channel, the mean of all, at params.sample_rate_hz.

    Parameters
    ----------
    path : path, of anything soundfile reads
    params : Params
    least_samples : int, how many samples it must have

    Returns
    -------
    np.ndarray [shape=(n,)], float32

    Raises
    ------
    BadInput : unreadable, cut short, too short, silent, or not finite; the sentence names the file

    """
    parts = list(_blocks(path, params, lambda block: block.mean(axis=1)))
    signal = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if len(signal) < least_samples:
        raise BadInput(f"{path} is {len(signal) / params.sample_rate_hz:.2f} s long; "
                       f"it must be at least {least_samples / params.sample_rate_hz:.2f} s.")
    if not np.isfinite(signal).all():
        raise BadInput(f"{path} holds NaN or infinite samples; export it again.")
    loudest = excerpts.running_power(signal, min(len(signal), params.excerpt_length)).max()
    if loudest < 10 ** (params.silence_dbfs / 10):
        raise BadInput(f"{path} is silent: no second of it is louder than {params.silence_dbfs:g} dB full scale; "
                       "record it louder or take it out of the folder.")
    return signal


def ear_blocks(path, params, channels=None):
    """Read two channels of a recording block by block, never mixed, at params.sample_rate_hz.

    Parameters
    ----------
    path : path, of anything soundfile reads
    params : Params
    channels : (int, int), optional: which are the left and the right ear, counted from 1; needed for more than two

    Yields
    ------
    np.ndarray [shape=(n, 2)], float32, left ear first; never more than READ_FRAMES frames of the file at once

    Raises
    ------
    BadInput : unreadable, cut short, not finite, or not of two channels; the sentence names the file

    """
    count = recording_channels(path)
    if count == 1:
        raise BadInput(f"{path} has one channel; a binaural recording has two, one for each ear.")
    if channels is None and count > 2:
        raise BadInput(f"{path} has {count} channels; name those of the left and the right ear, for example "
                       "--channels 1 2.")
    left, right = channels or (1, 2)
    if max(left, right) > count:
        raise BadInput(f"{path} has {count} channels, so --channels {left} {right} is not possible.")
    for block in _blocks(path, params, lambda block: np.ascontiguousarray(block[:, [left - 1, right - 1]])):
        if not np.isfinite(block).all():
            raise BadInput(f"{path} holds NaN or infinite samples; export it again.")
        yield block


def recording_channels(path):
    """Count the channels of an audio file; BadInput where it cannot be read."""
    try:
        with sf.SoundFile(path) as file:
            return file.channels
    except (sf.SoundFileError, OSError) as problem:
        raise _unreadable(path) from problem


def _unreadable(path):
    return BadInput(f"{path} cannot be read as audio; replace it or take it out of the folder.")


def _blocks(path, params, pick):
    """Read an audio file in blocks at params.sample_rate_hz, through `pick`: (n, channel) -> (n,) or (n, any)."""
    read, to_rate = 0, None
    try:
        with sf.SoundFile(path) as file:
            promised, log = file.frames, file.extra_info
            for block in file.blocks(READ_FRAMES, dtype="float32", always_2d=True):
                read += len(block)
                picked = pick(block)
                if file.samplerate != params.sample_rate_hz:
                    to_rate = to_rate or soxr.ResampleStream(file.samplerate, params.sample_rate_hz,
                                                             picked[0].size, dtype="float32")
                    picked = to_rate.resample_chunk(picked)
                yield picked
            if to_rate:
                yield to_rate.resample_chunk(np.empty((0, *picked.shape[1:]), np.float32), last=True)
    except (sf.SoundFileError, OSError) as problem:
        raise _unreadable(path) from problem
    if read < COMPLETE_SHARE * promised or _wav_is_cut(log):
        raise BadInput(f"{path} is cut short: its header promises more than it holds; copy it again.")


def _wav_is_cut(log):
    """Tell from the log of libsndfile whether a wav's data chunk is shorter than its header promises.

    A length near 2 or 4 GB stands for "not known": a recorder or a pipe wrote the header before it knew better.
    """
    match = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    return bool(match) and int(match[2]) < int(match[1]) < 0x7FFF0000


class AudioCache:
    """Keep the files read last, up to `most_bytes`, so that a file is not decoded again for every pair it is in."""

    def __init__(self, params, most_bytes=100 << 20):
        self.params, self.most_bytes = params, most_bytes
        self._clips, self._lock = OrderedDict(), threading.Lock()

    def speech(self, audio):
        """Give the excerpts.Clip of an `Audio` of speech."""
        return self._clip(audio, excerpts.speech_clip)

    def noise(self, audio):
        """Give the excerpts.Clip of an `Audio` of noise."""
        return self._clip(audio, excerpts.noise_clip)

    def _clip(self, audio, make):
        with self._lock:
            if (audio, make) in self._clips:
                self._clips.move_to_end((audio, make))
                return self._clips[audio, make]
        clip = make(read_mono(audio.path, self.params), self.params)
        with self._lock:
            self._clips[audio, make] = clip
            while (sum(c.samples.nbytes + c.starts.nbytes for c in self._clips.values()) > self.most_bytes
                   and len(self._clips) > 1):
                self._clips.popitem(last=False)
        return clip


def write_wav(path, ears, sample_rate_hz):
    """Write (2, n) ear signals in -1..1 as a 16-bit stereo wav, whole."""
    with atomic_write(path) as partial:
        sf.write(partial, ears.T, sample_rate_hz, subtype="PCM_16", format="WAV")


def sha256_of(path):
    """Compute the digest of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
