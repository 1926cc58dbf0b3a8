"""Audio files in, npz shards out and in again as batches: the only audio and npz I/O of the project.

A shard is one npz for each pair of a speech and a noise file. Plain `np.load(f, allow_pickle=False)` reads it:
    samples          float16 (n, bin, frame, 2)   IPD in radians, ILD in dB
    labels, snr_db   float32 (n,)                 azimuth in degrees, SNR in dB
    noise_field      str (n,)                     one of params.NOISE_FIELDS
    hrir             str (n,)                     name of the head or room
    room_rt60_s      float32 (n,)                 its reverberation time in seconds, NaN for the free field
    excerpt_start_s  float32 (n,)                 where in the speech file the sample's excerpt begins
    speech, noise    str                          the file names
    params           str                          JSON of every number it was made with
"""
import hashlib
import json
import re
import threading
import zipfile
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr

import scene
from console import BadInput, notice, progress, written_whole
from params import differences

SAMPLES = "samples.npy"
BY_SAMPLE = ("labels", "snr_db", "noise_field", "hrir", "room_rt60_s", "excerpt_start_s")  # arrays of n
COMPLETE_SHARE = 0.98  # of the promised length; an mp3's is an estimate
READ_FRAMES = 1 << 18  # of an audio file at once, so that an hour of many channels is never in memory whole


# ---------------------------------------------------------------------------------------------------------- audio

class Audio(NamedTuple):
    """A readable audio file: its place, its name within its folder (with /), digest of its bytes, channels."""

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
    """Every file of a folder, subfolders included, whose ending is that of an audio format, in sorted order."""
    suffixes = {f".{name.lower()}" for name in sf.available_formats()} | {".aif", ".oga", ".opus", ".m4a", ".wave"}
    suffixes -= {".raw"}  # says nothing about its sample rate
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
    loudest = scene.running_power(signal, min(len(signal), params.excerpt_length)).max()
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
        raise BadInput(f"{path} has {count} channels; say which two are the left and the right ear, for example "
                       "--channels 1 2.")
    left, right = channels or (1, 2)
    if max(left, right) > count:
        raise BadInput(f"{path} has {count} channels, so --channels {left} {right} is not possible.")
    for block in _blocks(path, params, lambda block: np.ascontiguousarray(block[:, [left - 1, right - 1]])):
        if not np.isfinite(block).all():
            raise BadInput(f"{path} holds NaN or infinite samples; export it again.")
        yield block


def recording_channels(path):
    """How many channels an audio file has; BadInput where it cannot be read."""
    try:
        with sf.SoundFile(path) as file:
            return file.channels
    except (sf.SoundFileError, OSError) as problem:
        raise _unreadable(path) from problem


def _unreadable(path):
    return BadInput(f"{path} cannot be read as audio; replace it or take it out of the folder.")


def _blocks(path, params, pick):
    """Blocks of an audio file at params.sample_rate_hz, through `pick`: (n, channel) -> (n,) or (n, any)."""
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
    """Whether libsndfile's log says that a wav's data chunk is shorter than its header promises.

    A length near 2 or 4 GB stands for "not known": a recorder or a pipe wrote the header before it knew better.
    """
    match = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    return bool(match) and int(match[2]) < int(match[1]) < 0x7FFF0000


class AudioCache:
    """Files read lately, `most_bytes` of them, so that each is not decoded anew for every file it is paired with."""

    def __init__(self, params, most_bytes=100 << 20):
        self.params, self.most_bytes = params, most_bytes
        self._clips, self._lock = OrderedDict(), threading.Lock()

    def speech(self, audio):
        """The scene.Clip of an `Audio` of speech."""
        return self._clip(audio, scene.speech_clip)

    def noise(self, audio):
        """The scene.Clip of an `Audio` of noise."""
        return self._clip(audio, scene.noise_clip)

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
    with written_whole(path) as partial:
        sf.write(partial, ears.T, sample_rate_hz, subtype="PCM_16", format="WAV")


def sha256_of(path):
    """Digest of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------- shards, out

def shard_name(speech, noise):
    """File name of the shard of two files' names: readable, and told apart by a digest where that part is cut."""
    key = _digest_of_names(speech, noise).hex()[:8]
    return f"{Path(speech).stem[:40]}__{Path(noise).stem[:40]}__{key}.npz"


def seed_of(speech, noise):
    """Four numbers that follow from two files' names, for seeding what is drawn for their shard."""
    return np.frombuffer(_digest_of_names(speech, noise)[:16], "<u4").tolist()


def _digest_of_names(speech, noise):
    return hashlib.sha256(f"{speech}\0{noise}".encode("utf-8", "surrogatepass")).digest()


def write_shard(path, count, pieces, arrays, params):
    """Write a shard whole; the same contents give the same bytes, and memory holds one piece at a time.

    Parameters
    ----------
    path : path
    count : int, samples in all
    pieces : iterable of np.ndarray [shape=(any, bin, frame, 2)], `count` samples together
    arrays : callable -> dict of everything but the samples, called when the pieces are written
    params : Params

    Raises
    ------
    BadInput : the disk refuses

    """
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo(SAMPLES), "w", force_zip64=True) as entry:  # ZipInfo: a fixed date
            np.lib.format.write_array_header_1_0(
                entry, {"descr": "<f2", "fortran_order": False, "shape": (count, *params.sample_shape)})
            for piece in pieces:
                entry.write(np.ascontiguousarray(piece, "<f2").data)
        for name, value in arrays().items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as entry:
                np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)


# ------------------------------------------------------------------------------------------------------ shards, in

class Shard(NamedTuple):
    """What is known of a shard without reading its samples; `offset` is where in the file they begin, in bytes."""

    path: Path
    labels: np.ndarray
    snr_db: np.ndarray
    noise_field: np.ndarray
    hrir: np.ndarray
    room_rt60_s: np.ndarray
    excerpt_start_s: np.ndarray
    speech: str
    noise: str
    params: dict
    offset: int


def open_shard(path):
    """Read everything of a shard but its samples.

    Raises BadInput for a file that is torn, foreign, or does not hold what its header says.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(SAMPLES)
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its samples are compressed")
            with archive.open(info) as entry:
                if np.lib.format.read_magic(entry) != (1, 0):
                    raise ValueError("its samples have an unknown header")
                shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(entry)
                header_bytes = entry.tell()
            small = {name: _read_entry(archive, name) for name in (*BY_SAMPLE, "speech", "noise", "params")}
        with open(path, "rb") as file:
            file.seek(info.header_offset + 26)  # the local header's two lengths (PKWARE APPNOTE 4.3.7)
            name_bytes, extra_bytes = np.frombuffer(file.read(4), "<u2")
        params = json.loads(str(small["params"]))
        lengths = {len(small[name]) for name in BY_SAMPLE}
        if len(shape) != 4 or lengths != {shape[0]} or fortran_order or dtype != np.dtype("<f2"):
            raise ValueError("its arrays do not fit together")
        if not np.isfinite(small["labels"]).all() or np.isnan(small["snr_db"]).any():
            raise ValueError("its labels are not finite")
        if not isinstance(params, dict) or list(shape[1:]) != [
                params["stft_window_samples"] // 2 + 1, params["frames"], 2]:
            raise ValueError("its samples do not have the shape its params promise")
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError, NotImplementedError) as problem:
        raise BadInput(f"{path} is not a whole shard of this project ({problem}); "
                       "delete it and run the Spatialise script again.") from problem
    return Shard(path, *(small[name] for name in BY_SAMPLE), str(small["speech"]), str(small["noise"]), params,
                 info.header_offset + 30 + int(name_bytes) + int(extra_bytes) + header_bytes)


def _read_entry(archive, name):
    with archive.open(f"{name}.npy") as entry:
        return np.lib.format.read_array(entry, allow_pickle=False)


def open_shards(folder, params, script):
    """Open every shard of a folder and check that they hold the features of `params`, all of the same duration.

    Parameters
    ----------
    folder : path
    params : Params
    script : str, which makes such shards, for messages

    Returns
    -------
    list of Shard, sorted by name

    Raises
    ------
    BadInput : no folder, no shard, or one that does not fit

    """
    folder = Path(folder)
    paths = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if not paths:
        raise BadInput(f"--data {folder} {'holds no shards' if folder.is_dir() else 'is not a folder'}; "
                       f"run {script} first or name its --out folder.")
    shards = [open_shard(path) for path in progress(paths, unit=" shards", desc=f"opening {folder}")]
    for shard in shards:
        if differ := differences(shard.params, params.features | {"frames": shards[0].params["frames"]}):
            raise BadInput(f"{shard.path} was made with other parameters ({differ}); "
                           f"make it again with {script} or take it out of the folder.")
    return shards


def read_samples(shard, first, last, out):
    """Read samples first..last-1 of a shard into `out`: float16 (last - first, bin, frame, 2), contiguous.

    Raises BadInput where the numbers cannot be cues, which is how a damaged file shows.
    """
    with open(shard.path, "rb") as file:
        file.seek(shard.offset + first * out[0].nbytes)
        complete = file.readinto(out.data.cast("B")) == out.nbytes
    finite = (out.view("<u2") & 0x7C00).max() < 0x7C00  # some exponent bit is clear: several times faster than isfinite
    if not complete or not finite or np.abs(out[..., 0]).max() > np.float16(np.pi):
        raise BadInput(f"{shard.path} is damaged: it does not hold phase and level differences throughout; "
                       "delete it and run the Spatialise script again.")


# --------------------------------------------------------------------------------------------------- split, stream

class Block(NamedTuple):
    """Neighbouring samples of one shard, read at once."""

    shard: Shard
    first: int
    last: int


def blocks_of(shards, block_samples, keep=None):
    """Cut shards into blocks of at most `block_samples`; with `keep(shard) -> bool (n,)` only runs that it keeps."""
    blocks = []
    for shard in shards:
        kept = np.ones(len(shard.labels), bool) if keep is None else keep(shard)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], kept, [0]))))
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist()):
            blocks += [Block(shard, at, min(at + block_samples, last)) for at in range(first, last, block_samples)]
    return blocks


def split(shards, params):
    """Keep a share of the speech files for validation; no speech file is on both sides, under two names neither.

    With a single speech file the split is by time: the excerpts that begin last are kept, and training gets those
    that end before the first of them begins.

    Parameters
    ----------
    shards : list of Shard
    params : Params, for validation_share and seed

    Returns
    -------
    training, validation : lists of Block

    Raises
    ------
    BadInput : there is only one speech file and no two of its excerpts lie apart

    """
    files = {shard.params["speech_sha256"] for shard in shards}
    if len(files) > 1:
        kept = kept_for_validation(files, params)
        return (blocks_of([s for s in shards if s.params["speech_sha256"] not in kept], params.block_samples),
                blocks_of([s for s in shards if s.params["speech_sha256"] in kept], params.block_samples))

    starts = np.unique(np.concatenate([shard.excerpt_start_s for shard in shards]))
    border = starts[-max(1, round(params.validation_share * len(starts)))]
    training = blocks_of(shards, params.block_samples, lambda s: s.excerpt_start_s + params.excerpt_s <= border)
    if not training:
        raise BadInput(f"{shards[0].path.parent} holds a single speech file ({shards[0].speech}) and no two excerpts "
                       "of it that lie apart, so nothing can be kept for validation; add a second speech file, or run "
                       "SpatialiseTRAIN.py with a longer file or more --excerpts.")
    notice(f"Only one speech file ({shards[0].speech}): validation keeps what is said after {border:.1f} s of it.")
    return training, blocks_of(shards, params.block_samples, lambda s: s.excerpt_start_s >= border)


def kept_for_validation(digests, params):
    """Which of several speech files, told by the digests of their bytes, are kept for validation: a set.

    The same whatever the seed: a run that goes on from another's model must not validate on what that one trained on.
    """
    files = sorted(set(digests))
    count = max(1, round(params.validation_share * len(files)))
    return {files[i] for i in np.random.default_rng(0).permutation(len(files))[:count]}


def count_samples(blocks):
    """How many samples the blocks hold."""
    return sum(block.last - block.first for block in blocks)


def batches(blocks, batch_size, blocks_mixed, rng=None, vary=None):
    """Stream batches; memory holds `blocks_mixed` blocks, however many there are.

    Parameters
    ----------
    blocks : list of Block
    batch_size : int; the last batch may be smaller
    blocks_mixed : int, how many blocks are in memory to be shuffled together
    rng : np.random.Generator, optional: shuffles the blocks, and within each lot the samples; without, all in order
    vary : callable, optional: changes each batch, as `varied` does; needs rng

    Yields
    ------
    samples : np.ndarray [shape=(<= batch_size, bin, frame, 2)], float16
    labels : np.ndarray [shape=(<= batch_size,)], float32, azimuth in degrees

    """
    shape = (blocks[0].shard.params["stft_window_samples"] // 2 + 1, blocks[0].shard.params["frames"], 2)
    order = np.arange(len(blocks)) if rng is None else rng.permutation(len(blocks))
    left_samples, left_labels = np.empty((0, *shape), np.float16), np.empty(0, np.float32)
    for lot_begins in range(0, len(order), blocks_mixed):
        lot = [blocks[i] for i in order[lot_begins:lot_begins + blocks_mixed]]
        samples = np.empty((len(left_labels) + count_samples(lot), *shape), np.float16)
        samples[:len(left_labels)], at = left_samples, len(left_labels)
        for block in lot:
            read_samples(*block, out=samples[at:at + block.last - block.first])
            at += block.last - block.first
        labels = np.concatenate([left_labels, *(b.shard.labels[b.first:b.last] for b in lot)])
        rows = np.arange(len(labels)) if rng is None else rng.permutation(len(labels))
        is_last = lot_begins + blocks_mixed >= len(order)
        stop = len(rows) if is_last else len(rows) - len(rows) % batch_size
        for chosen in (rows[at:min(at + batch_size, stop)] for at in range(0, stop, batch_size)):
            batch = samples[chosen], labels[chosen]
            yield vary(*batch, rng) if vary else batch
        left_samples, left_labels = samples[rows[stop:]], labels[rows[stop:]]


def varied(samples, labels, rng):
    """Shuffle the frames, on whose order the azimuth does not depend, and mirror every other sample.

    For a network that would else learn the noise of the shards by heart (docs/experiments.md). Shapes as `mirrored`.
    """
    return mirrored(samples[:, :, rng.permutation(samples.shape[2])], labels, rng)


def mirrored(samples, labels, rng):
    """Mirror each sample with probability one half: ears exchanged, so that both cues and the azimuth change sign.

    Exact for a symmetric head, as the shipped one is; of another it makes its mirror image.

    Parameters
    ----------
    samples : np.ndarray [shape=(n, bin, frame, 2)], float16, changed in place
    labels : np.ndarray [shape=(n,)], azimuth in degrees
    rng : np.random.Generator

    Returns
    -------
    samples, labels

    """
    chosen = rng.random(len(labels)) < 0.5
    samples.view(np.uint16)[chosen] ^= 0x8000  # the sign bit: arithmetic on float16 is slow
    return samples, np.where(chosen, -labels, labels)


class ShardFeed:
    """Training and validation batches from one or several folders of shards, for `training.fit`.

    `params` are those given, with the shards' duration; `epochs` as many as see params.samples_to_see.
    """

    AHEAD = 16  # batches that wait for the network: they bridge the reading of the next lot

    def __init__(self, folders, params, weights=None):
        """Split the shards of each folder.

        Parameters
        ----------
        folders : list of lists of Shard
        params : Params
        weights : sequence of float, optional: how often the samples of each folder come in an epoch, once unless given;
            a fraction takes other blocks in every epoch

        Raises
        ------
        BadInput : a folder cannot be split, or they differ in duration

        """
        weights = weights or [1.0] * len(folders)
        first = folders[0][0]
        self.params = replace(params, frames=first.params["frames"])
        for shards in folders[1:]:
            if shards[0].params["frames"] != self.params.frames:
                raise BadInput(f"{shards[0].path.parent} holds samples of {shards[0].params['frames']} frames and "
                               f"{first.path.parent} of {self.params.frames}; make them again with one --frames.")
        sides = [split(shards, self.params) for shards in folders]
        self._training = [(blocks, weight) for (blocks, _), weight in zip(sides, weights)]
        self._validation = [block for _, blocks in sides for block in blocks]
        self.training_count = sum(count_samples(_repeated(blocks, weight)) for blocks, weight in self._training)
        self.validation_count = count_samples(self._validation)
        self._lot_blocks = self.params.in_memory_of(params.blocks_mixed)
        self.epochs = epochs_for(self.training_count, params)
        # The bands look at neighbouring frames and treat left and right alike as they are built.
        self._vary = varied if params.model == "original" else None
        self.title = f"{sum(map(len, folders))} shards" + (f" of {len(folders)} folders" if len(folders) > 1 else "")
        self.scenes = {name: value for name, value in first.params.items() if not name.endswith("_sha256")}
        self.fingerprint = fingerprint([list(weights), [
            [(b.shard.path.name, b.shard.params, b.first, b.last) for b in side] for pair in sides for side in pair]])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def training(self, epoch):
        """Shuffled batches of one epoch; their order follows from seed and epoch."""
        rng = np.random.default_rng([self.params.seed, epoch])
        blocks = [block for each, weight in self._training for block in _repeated(each, weight, epoch)]
        return read_ahead(batches(blocks, self.params.batch_size, self._lot_blocks, rng, self._vary), self.AHEAD)

    def validation(self, batch_size):
        """Batches of the validation samples, always the same."""
        return read_ahead(batches(self._validation, batch_size, self._lot_blocks), self.AHEAD // 4)


def _repeated(blocks, weight, epoch=0):
    """Blocks `weight` times; of a fraction the share that is the epoch's turn."""
    whole, part = int(weight), round((weight - int(weight)) * len(blocks))
    return blocks * whole + [blocks[(epoch * part + at) % len(blocks)] for at in range(part)]


def epochs_for(sample_count, params):
    """How many epochs see about params.samples_to_see samples, within params.epochs_min..epochs_max."""
    return min(params.epochs_max, max(params.epochs_min, round(params.samples_to_see / sample_count)))


def fingerprint(description):
    """Short digest of what a training run is fed with, to refuse resuming on something else."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_ahead(items, depth):
    """Yield the items of a generator, of which a thread keeps `depth` ready."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        ready = deque(thread.submit(next, items, end) for _ in range(depth))
        try:
            while (item := ready.popleft().result()) is not end:
                ready.append(thread.submit(next, items, end))
                yield item
        finally:
            thread.shutdown(cancel_futures=True)
