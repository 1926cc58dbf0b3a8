"""Write what a microphone hears into a file as it goes, so that it can be read however the run ends.

    with Recorder("talk.flac", 48_000) as recorder:
        recorder.write(ears)                             # (n, 2) in -1..1, any number of times

A wav states its length anew after every block. A flac is a row of frames, each whole by itself; the last ones, up to
0.2 s at 48 kHz, are missing when the process is killed. Samples have 24 bits, those of a card of 16 or 24 bits exactly.
"""
import os
import struct
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile as sf

from console import BadInput, warn

SUFFIXES = (".flac", ".wav")
BYTES, FULL_SCALE = 3, 2 ** 23      # of a sample
HEADER_BYTES = 44                   # of a wav
MOST_WAV_BYTES = 2 ** 32 - 2 ** 16  # its header counts them with 32 bits


class Recorder:
    """A file of two channels that grows, as a context manager; `seconds` is its duration so far."""

    def __init__(self, path, sample_rate_hz):
        """Begin a file; BadInput for one that exists, another ending, or a place that cannot be written."""
        self.path, self.sample_rate_hz, self._frames, self._writer = Path(path), sample_rate_hz, 0, None
        if self.path.suffix.lower() not in SUFFIXES:
            raise BadInput(f"--record {path} is no file of a known kind; let its name end in {' or '.join(SUFFIXES)}.")
        if self.path.exists():
            raise BadInput(f"--record {path} exists already; name another file, or move that one away.")
        kind = _Wav if self.path.suffix.lower() == ".wav" else _Flac
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = kind(self.path, sample_rate_hz)
        except (OSError, sf.SoundFileError) as problem:
            raise BadInput(f"--record {path} cannot be written ({problem}); choose a folder you may write to, or "
                           "another ending.") from problem

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def seconds(self):
        """Give the duration so far, in seconds."""
        return self._frames / self.sample_rate_hz

    def keep(self, blocks):
        """Yield blocks of a Microphone, each after it was written as it came."""
        for block in blocks:
            self.write(block.as_it_came)
            yield block

    def write(self, ears):
        """Append a block (n, 2) in -1..1; a full disk ends the recording with one line, and what it holds stays."""
        if self._writer is None:
            return
        samples = np.clip(np.rint(ears * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int32)
        try:
            self._writer.write(samples)
        except (OSError, sf.SoundFileError, AssertionError) as problem:  # soundfile asserts that all was written
            warn(f"{self.path}: the recording ends at {self.seconds:.1f} s ({problem or 'the disk takes no more'}); "
                 "listening goes on.")
            with suppress(OSError, sf.SoundFileError):
                self._writer.close()
            self._writer = None
            return
        self._frames += len(samples)

    def close(self):
        """End the file."""
        writer, self._writer = self._writer, None
        try:
            if writer:
                writer.close()
        except (OSError, sf.SoundFileError) as problem:
            warn(f"{self.path}: its last moments could not be written ({problem}).")


class _Flac:
    def __init__(self, path, sample_rate_hz):
        self._file = sf.SoundFile(path, "w", sample_rate_hz, 2, "PCM_24", format="FLAC")

    def write(self, samples):
        self._file.write(samples << 8)                     # soundfile takes the upper bits of 32

    def close(self):
        self._file.close()


class _Wav:
    """A wav by the standard library, which corrects the lengths in the header after every write."""

    def __init__(self, path, sample_rate_hz):
        self._file = open(path, "wb")  # noqa: SIM115 - it lasts as long as the recording
        self._wav = wave.open(self._file, "wb")  # noqa: SIM115
        self._wav.setnchannels(2)
        self._wav.setsampwidth(BYTES)
        self._wav.setframerate(sample_rate_hz)

    def write(self, samples):
        if self._file.tell() > MOST_WAV_BYTES:
            raise OSError("a wav holds no more than 4 GB, a flac does")
        little_endian = np.ascontiguousarray(samples, "<i4").view(np.uint8).reshape(*samples.shape, 4)
        self._wav.writeframes(np.ascontiguousarray(little_endian[..., :BYTES]).tobytes())

    def close(self):
        self._wav.close()
        # Ctrl-C may come after samples were written and before the module counted them.
        length = self._file.seek(0, os.SEEK_END) - HEADER_BYTES
        for at, size in ((4, length + HEADER_BYTES - 8), (HEADER_BYTES - 4, length)) if length > 0 else ():
            self._file.seek(at)
            self._file.write(struct.pack("<I", size))
        self._file.close()
