"""Audio files in and out: checked, read in blocks at one sample rate, cached, written.

    speech, problems = find_audio("SpeechTRAIN", "--speech", params.excerpt_length, params)
    signal = read_mono(speech[0].path, params)               # (n,) float32 at params.sample_rate_hz
    for block in ear_blocks("talk.wav", params): ...         # (n, 2), left ear first
"""
import io
import itertools
import os
import re
import struct
import tempfile
import threading
import weakref
from collections import OrderedDict
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr

from console import BadInput, CannotWrite, atomic_write, processors, progress, sha256_of, warn
from params import GREATEST_RATE_HZ, LEAST_RATE_HZ
from shards import containers
from shards.threads import in_threads
from sound import excerpts

COMPLETE_SHARE = 0.98  # of the promised length; an mp3's is an estimate
CLIP_TOLERANCE, CLIP_RUN, CLIP_JUMP = 1.001, 3, 0.02  # so many samples at the peak to which the wave jumps are clipped
CLIPPED_SHARE = 2e-4   # of the samples, from which on it is told; speech, tones and sweeps that fit have none
LEAST_CLIP_PEAK = 0.1  # of full scale: below, the steps of 8 bits look alike
CANCELLED_SHARE = 1e-4  # of the power of the channels, below which their mean has lost the signal
USUAL_RATES_HZ = 8_000, 384_000  # of the telephone, and of the finest sound cards
LONGEST_OGG_PAGE = 1 << 17  # bytes, and as many again
LONGEST_FORMAT = 1 << 12   # bytes of a wav's fmt chunk
LONGEST_IN_MEMORY = 600 * 16_000  # samples of a signal, 38 MB: a longer one is kept in a temporary file
READ_FRAMES = 1 << 18  # in a block, so that an hour of many channels is never in memory whole
PIECE_FRAMES = 1 << 14  # read at once: what a torn file loses before the tear
GREATEST_SAMPLE = 2.0 ** 32  # full scale is 1, of integers stored as floats 2^31; beyond, it is no sound
UNKNOWN_FRAMES = 1 << 62  # from here on, libsndfile's word for a length that the header does not tell


SUFFIXES = {".8svx", ".aif", ".aifc", ".amb", ".bwf", ".mp2", ".oga", ".opus", ".sf", ".snd", ".sph",
            ".wave"}  # libsndfile reads them


class CutShort(BadInput):
    """A file holds less than its header promises; what there is was read."""


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

    def check(path):
        try:
            _, channels = _mono_and_channels(path, params, least_samples, tells_rate=True)
            return path, Audio(path, path.relative_to(folder).as_posix(), sha256_of(path), channels)
        except BadInput as problem:
            return path, problem

    with closing(in_threads(check, paths, processors())) as checked:
        checks = dict(progress(checked, total=len(paths), unit=" files", desc=f"checking {folder}"))
    good = [checks[path] for path in paths if isinstance(checks[path], Audio)]
    problems = [str(checks[path]) for path in paths if isinstance(checks[path], BadInput)]
    if not good:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise BadInput(f"{role} {folder} holds no usable audio: {problems[0]}{more}")
    return good, problems


def audio_paths(folder):
    """List every file of a folder whose ending is that of an audio format, in sorted order.

    Subfolders are included, and so are links to folders, each folder once.
    """
    suffixes = {f".{name.lower()}" for name in sf.available_formats()} | SUFFIXES | containers.SUFFIXES
    suffixes -= {".raw"}  # says nothing about its sample rate
    found, seen = [], set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a circle of links, or the same folder under two names
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        found += [path for path in map(Path(root).joinpath, names)
                  if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def read_mono(path, params, least_samples=1):
    """Read an audio file as one channel, the mean of all, at params.sample_rate_hz.

    Parameters
    ----------
    path : path, of anything soundfile reads
    params : Params
    least_samples : int, how many samples it must have

    Returns
    -------
    np.ndarray [shape=(n,)], float32; of a file longer than LONGEST_IN_MEMORY a Spool

    Raises
    ------
    BadInput : unreadable, cut short, too short, silent, or not finite; the sentence names the file

    """
    return _mono_and_channels(path, params, least_samples)[0]


def _mono_and_channels(path, params, least_samples, tells_rate=False):
    """Read a file as `read_mono` does: the signal, and how many channels it is the mean of.

    With `tells_rate` an unusual sample rate is told.
    """
    power, channels = np.zeros(2), 1  # of the mean of all channels, and of the channels

    def mean(block):
        nonlocal channels
        channels = block.shape[1]
        _require_sound(path, block)
        mono = block.mean(axis=1)
        power[:] += np.square(mono).sum(dtype=np.float64), np.square(block).mean(axis=1).sum(dtype=np.float64)
        return mono

    signal = _joined(_blocks(path, params, mean, tells_rate))
    if len(signal) < least_samples:
        raise BadInput(f"{path} is {len(signal) / params.sample_rate_hz:.2f} s long; "
                       f"it must be at least {least_samples / params.sample_rate_hz:.2f} s.")
    if power[0] < CANCELLED_SHARE * power[1]:
        raise BadInput(f"{path} has channels of opposite polarity, which cancel when they are mixed to one; invert one "
                       "of them, or export one channel.")
    loudest = excerpts.running_power(signal, min(len(signal), params.excerpt_length)).max()
    if loudest < params.silence_power:
        raise BadInput(f"{path} is silent: no second of it is louder than {params.silence_dbfs:g} dB full scale; "
                       "record it louder or leave it out.")
    return signal, channels


def _joined(blocks):
    """Join blocks (n,) of float32 to an array, or to a Spool when they are long."""
    short, length = [], 0
    for block in blocks:
        short.append(block)
        length += len(block)
        if length > LONGEST_IN_MEMORY:
            return Spool(itertools.chain(short, blocks))
    return np.concatenate(short) if short else np.empty(0, np.float32)


class Spool:
    """A long signal (n,) of float32 in a temporary file: has a length, and gives slices as arrays.

    An hour takes 230 MB of disk in place of memory. The file has no name and goes with the process.
    """

    nbytes = 0  # of memory

    def __init__(self, blocks):
        """Write blocks (n,) of float32; CannotWrite where the disk is full."""
        self._length, self._lock = 0, threading.Lock()
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lasts as long as the Spool
            weakref.finalize(self, self._file.close)
            for block in blocks:
                self._file.write(np.ascontiguousarray(block, np.float32).data)
                self._length += len(block)
            self._file.flush()
        except OSError as problem:
            raise CannotWrite(f"the folder for temporary files has no space for a long recording ({problem.strerror}); "
                              "free some space or set TMPDIR.") from problem

    def __len__(self):
        return self._length

    def __getitem__(self, part):
        first, last, _ = part.indices(self._length)
        with self._lock:  # several threads mix
            self._file.seek(4 * first)
            return np.frombuffer(self._file.read(4 * max(0, last - first)), np.float32)


def ear_blocks(path, params, channels=None, warns=True):
    """Read two channels of a recording block by block, never mixed, at params.sample_rate_hz.

    Parameters
    ----------
    path : path, of anything soundfile reads
    params : Params
    channels : (int, int), optional: which are the left and the right ear, counted from 1; needed for more than two
    warns : bool, of an unusual sample rate before the first block, and of clipping after the last

    Yields
    ------
    np.ndarray [shape=(n, 2)], float32, left ear first; never more than READ_FRAMES frames of the file at once

    Raises
    ------
    BadInput : unreadable, cut short, not finite, or not of two channels; the sentence names the file

    """
    clipping = Clipping()

    def two_ears(block):
        ears = np.ascontiguousarray(block[:, _columns_of_ears(path, block.shape[1], channels)])
        _require_sound(path, ears)
        clipping.add(ears)
        return ears

    yield from _blocks(path, params, two_ears, warns)
    if warns and clipping.share > CLIPPED_SHARE:
        percent = f"{100 * clipping.share:.1f}" if clipping.share >= 1e-3 else "less than 0.1"
        warn(f"{path} is clipped: {percent} % of its samples stay at its highest level, which blurs the level "
             "differences; record it with less gain.")


class Layout(NamedTuple):
    """How a file holds its sound; `bits` are those of FLAC that lose nothing, or nothing that is heard."""

    sample_rate_hz: int
    channels: int
    bits: int
    may_exceed_full_scale: bool


def layout_of(path):
    """Read the Layout of an audio file from its header; BadInput where it cannot be read."""
    with _opened(path) as file:
        subtype = getattr(file, "subtype", "")
        is_whole = subtype in ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32")
        is_fine = subtype in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
        return Layout(file.samplerate, file.channels, 24 if is_fine else 16, not is_whole)


class Clipping:
    """Count the clipped samples of blocks (n, channel), as the file holds them.

    A clipped wave jumps to its highest value, or its lowest, and stays there for some samples. The top of a slow sine
    stays there too, but without a jump. A run that a block cuts counts if it jumps within the block.
    """

    def __init__(self):
        self._waves, self._total = {}, 0  # of (channel, sign): the highest value so far, the samples clipped at it

    def add(self, block):
        """Count those of another block."""
        self._total += block.size
        for channel, wave in enumerate(block.T):
            for sign, peak in ((1, wave.max(initial=0)), (-1, -wave.min(initial=0))):
                highest, count = self._waves.get((channel, sign), (0.0, 0))
                if peak > CLIP_TOLERANCE * highest:  # what was thought to be the ceiling was not
                    highest, count = float(peak), 0
                if peak >= max(LEAST_CLIP_PEAK, highest / CLIP_TOLERANCE):
                    count += _clipped(sign * wave, highest)
                self._waves[channel, sign] = highest, count

    @property
    def share(self):
        """Return the share of all samples that are clipped."""
        return sum(count for _, count in self._waves.values()) / max(1, self._total)


def _clipped(wave, peak):
    """Count the samples of a wave (n,) in runs at `peak` to or from which it jumps."""
    is_high = wave >= peak / CLIP_TOLERANCE
    edges = np.flatnonzero(np.diff(is_high, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    around = np.concatenate(([peak], wave, [peak]))  # what lies beyond the block is no jump
    jumps = np.minimum(around[begins], around[ends + 1]) < (1 - CLIP_JUMP) * peak
    lengths = ends - begins
    return int(lengths[jumps & (lengths >= CLIP_RUN)].sum())


def _columns_of_ears(path, count, channels):
    """Choose the left and the right ear among `count` channels, counted from 0; BadInput where that is not possible."""
    if count == 1:
        raise BadInput(f"{path} has one channel; a binaural recording has two, one for each ear.")
    if channels is None and count > 2:
        raise BadInput(f"{path} has {count} channels; name those of the left and the right ear, for example "
                       "--channels 1 2.")
    left, right = channels or (1, 2)
    if max(left, right) > count:
        raise BadInput(f"{path} has {count} channels, so --channels {left} {right} is not possible.")
    return [left - 1, right - 1]


def _require_sound(path, samples):
    """Raise BadInput for samples that are not finite, or so large that they are no sound."""
    if not np.abs(samples).max(initial=0) <= GREATEST_SAMPLE:
        raise BadInput(f"{path} holds NaN, infinite or enormous samples, where full scale is 1; export it again.")


@contextmanager
def _opened(path):
    """Open an audio file for `read(frames)` from its beginning to its end; BadInput where it cannot be read."""
    with ExitStack() as opened:
        try:
            yield opened.enter_context(_file_of(Path(path), opened))
        except sf.SoundFileError as problem:
            raise _unreadable(path) from problem
        except FileNotFoundError as problem:  # it was there when the folder was listed
            raise BadInput(f"{path} is gone, another program may have removed it: put it back, then run again "
                           "(TrainingCNN.py with --resume).") from problem
        except OSError as problem:
            raise BadInput(f"{path} cannot be opened ({problem.strerror}); make it readable or take it out of the "
                           "folder.") from problem


def _unreadable(path):
    return BadInput(f"{path} cannot be read as audio; replace it or leave it out.")


def _file_of(path, opened):
    """Open a file by its ending, or by what it holds where soundfile does not know it; `opened` closes its source."""
    if path.suffix.lower() in containers.SUFFIXES:
        return containers.ContainerFile(path)
    source = _with_true_header(path)
    if isinstance(source, _ReheadedWav):
        opened.enter_context(source)
    else:
        source = os.fsencode(path) if os.name == "posix" else str(path)  # its name may not be UTF-8
    try:
        return _Stream(source)
    except Exception:  # libsndfile's own, and what a damaged header makes of soundfile's attributes
        return containers.ContainerFile(path)  # a phone's m4a that was renamed to wav


class _Stream(sf.SoundFile):
    """A sound file that is read on to its end, whatever length its header promises.

    soundfile limits what it reads of a file to the promised length, and seeks after every block, which a FLAC of
    unknown length refuses; neither happens to a stream that cannot seek.
    """

    def seekable(self):
        """Tell soundfile not to seek."""
        return False


def _with_true_header(path):
    """Give the path, or of a wav whose header misleads libsndfile an open file with another header.

    A recorder that lost power leaves a length of 0; one that wrote on past 4 GB leaves what is left over of 2^32 bytes.
    libsndfile reads a wav to its end when both its lengths are those of a file that was just begun. It also loses its
    way after a chunk of odd length without the byte that RIFF asks for then.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return path
        total = os.fstat(file.fileno()).st_size
        at, chunk_of_format, is_padded = 12, b"", True
        while at + 8 <= total:
            file.seek(at)
            chunk, size = struct.unpack("<4sI", file.read(8))
            ends = at + 8 + size
            if chunk == b"data":
                is_whole = ends + size % 2 >= total - 8 or _begins_chunk(file, ends + size % 2)
                if is_whole and is_padded:
                    return path
                riff_length, length = (total - 8, size) if is_whole else (8, 0)
                header = struct.pack("<4sI4s", b"RIFF", riff_length, b"WAVE") + chunk_of_format
                return _ReheadedWav(path, header + struct.pack("<4sI", chunk, length), at + 8)
            if chunk == b"fmt " and size <= LONGEST_FORMAT:
                chunk_of_format = struct.pack("<4sI", chunk, size) + file.read(size + size % 2)
            if size % 2 and _begins_chunk(file, ends):
                is_padded = False
            else:
                ends += size % 2
            at = ends
    return path


def _begins_chunk(file, at):
    """Tell whether a chunk's name stands at a byte of a wav: four printable characters."""
    file.seek(at)
    return all(32 <= byte < 127 for byte in file.read(4))


class _ReheadedWav(io.FileIO):
    """A wav from its sound on, behind another header: it covers the bytes before the sound, what precedes is hidden."""

    def __init__(self, path, header, sound_at):
        super().__init__(path)
        self._header, self._hidden = header, sound_at - len(header)
        self.seek(0)

    def seek(self, offset, whence=os.SEEK_SET):
        """Seek, counting from the header."""
        return super().seek(offset + self._hidden * (whence == os.SEEK_SET), whence) - self._hidden

    def tell(self):
        """Tell where reading goes on, counted from the header."""
        return super().tell() - self._hidden

    def readinto(self, buffer):
        """Read the header, then the sound."""
        at = self.tell()
        count = super().readinto(buffer)
        cover = self._header[at:at + count]
        memoryview(buffer).cast("B")[:len(cover)] = cover
        return count


def _blocks(path, params, pick, tells_rate=False):
    """Read blocks of an audio file at params.sample_rate_hz, through `pick`: (n, channel) -> (n,) or (n, any).

    All there is is read; CutShort in the end where that is less than the header promises.
    """
    read, to_rate, tear = 0, None, None
    with _opened(path) as file:
        promised, log, rate = file.frames, file.extra_info, file.samplerate
        if not LEAST_RATE_HZ <= rate <= GREATEST_RATE_HZ:
            raise BadInput(f"{path} states a sample rate of {rate} Hz, which no recording has; its header is damaged: "
                           "export it again.")
        if tells_rate and not USUAL_RATES_HZ[0] <= rate <= USUAL_RATES_HZ[1]:
            warn(f"{path}: its header states an unusual sample rate of {rate} Hz; if its pitch or its length is wrong, "
                 "export it again.")
        while tear is None:
            block, tear = _read_block(file, promised - read)
            if tear and not read + len(block):
                raise tear if isinstance(tear, BadInput) else _unreadable(path) from tear
            if not len(block):
                break
            read += len(block)
            picked = pick(block)
            if rate != params.sample_rate_hz:
                to_rate = to_rate or soxr.ResampleStream(rate, params.sample_rate_hz, picked[0].size, dtype="float32")
                picked = to_rate.resample_chunk(picked)
            yield picked
        if to_rate:
            yield to_rate.resample_chunk(np.empty((0, *picked.shape[1:]), np.float32), last=True)
    is_known = 0 < promised < UNKNOWN_FRAMES
    is_torn = tear and not (is_known and read >= promised)  # after the last frame it is a tag that is no audio
    if is_torn or is_known and read < COMPLETE_SHARE * promised or _is_cut(log, path):
        of = f" of {promised / rate:.1f}" if is_known and read < promised else ""
        raise CutShort(f"{path} is cut short: it holds {read / rate:.1f}{of} s, less than its header promises; copy it "
                       "again.")


def _read_block(file, expected):
    """Read up to READ_FRAMES frames (n, channel), and the error where the file is torn, else None.

    No piece reaches beyond the `expected` frames to come: a tag that follows them would tear the piece.
    """
    pieces, missing, tear = [], READ_FRAMES, None
    try:
        while missing:
            most = min(missing, PIECE_FRAMES, expected if expected > 0 else PIECE_FRAMES)
            piece = file.read(most, dtype="float32", always_2d=True)
            if not len(piece):
                break
            pieces.append(piece)
            missing, expected = missing - len(piece), expected - len(piece)
    except Exception as problem:  # libsndfile's own, and what it makes of soundfile's arrays
        tear = problem
    return np.concatenate([np.empty((0, file.channels), np.float32), *pieces]), tear


def _is_cut(log, path):
    """Tell from the log of libsndfile, or from an Ogg's last page, whether a file holds less than it promises.

    A length near 2 or 4 GB stands for "not known": a recorder or a pipe wrote the header before it knew better.
    """
    told = re.search(r"^ *(?:data|SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if told and int(told[2]) < int(told[1]) and not 0x7FFF0000 <= int(told[1]) <= 0xFFFFFFFF:
        return True
    counted = re.search(r"Calculated frame count (\d+) does not match value from 'ds64' chunk of (\d+)", log)
    if counted and int(counted[1]) < int(counted[2]):
        return True
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, os.fstat(file.fileno()).st_size - LONGEST_OGG_PAGE))
        end = file.read()
    last = end.rfind(b"OggS")
    return last >= 0 and not end[last + 5] & 4  # the flag of a stream's last page: RFC 3533, section 6


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


def write_wav(path, signals, sample_rate_hz):
    """Write signals (n,) or (channel, n) in -1..1 as a 16-bit wav, whole; CannotWrite where the disk is full."""
    with atomic_write(path) as partial, writing_errors(partial):
        sf.write(partial, signals.T, sample_rate_hz, subtype="PCM_16", format="WAV")


@contextmanager
def writing_errors(path):
    """Raise the OSError of the system for a file that soundfile could not write, and could not say why."""
    try:
        yield
    except sf.SoundFileError:
        with open(path, "ab") as file:  # what was refused is refused again
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
        raise
