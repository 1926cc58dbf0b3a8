"""Shards: npz files of samples and labels, written whole and opened; reading.py reads their samples in parts.

A shard is one npz for each pair of a speech and a noise file. Plain `np.load(f, allow_pickle=False)` reads it:
    samples          float16 (n, bin, frame, 2)   IPD in radians, ILD in dB
    labels, snr_db   float32 (n,)                 azimuth in degrees, SNR in dB
    noise_field      str (n,)                     one of params.NOISE_FIELDS
    hrir             str (n,)                     name of the head or room
    room_rt60_s      float32 (n,)                 its reverberation time in seconds, NaN for the free field
    excerpt_start_s  float32 (n,)                 where in the speech file the sample's excerpt begins
    talker_azimuth_deg, talker_level_db  float32 (n, most talkers)  of shards made with --talkers: the azimuth of each
                                                  talker and its level in dB relative to the loudest, who comes first
                                                  and whose azimuth is the label; NaN where nobody speaks
    speech, noise    str                          the file names
    params           str                          JSON of every number it was made with
    checksums        uint32 (n,)                  CRC-32 of the bytes of each sample; older shards have none

What is damaged is refused: samples by their checksums as they are read, every other byte by the seal (npz.py).
"""
import hashlib
import json
import math
import os
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from console import BadInput, atomic_write, progress, short, warn
from params import differences
from shards import index, npz
from shards.reading import REMEDY, problem_of, sample_shape
from shards.threads import in_threads

SAMPLES = "samples.npy"
BY_SAMPLE = ("labels", "snr_db", "noise_field", "hrir", "room_rt60_s", "excerpt_start_s")  # arrays of n
READERS = 8  # threads that open shards: over a network each waits most of the time
OF_TALKERS = ("talker_azimuth_deg", "talker_level_db")  # (n, most talkers), of shards of other than one talker a sample
CHECKSUMS = "checksums"


def shard_name(speech, noise):
    """Name the shard of two files, by their names: readable, and unique by a digest."""
    key = _digest_of_names(speech, noise).hex()[:8]
    return f"{_short(Path(speech).stem)}__{_short(Path(noise).stem)}__{key}.npz"


def _short(stem, characters=40, most_bytes=100):
    return os.fsencode(stem[:characters])[:most_bytes].decode(errors="ignore")


def seed_of(speech, noise):
    """Derive four numbers from the names of two files, to seed what is drawn for their shard."""
    return np.frombuffer(_digest_of_names(speech, noise)[:16], "<u4").tolist()


def _digest_of_names(speech, noise):
    return hashlib.sha256(f"{speech}\0{noise}".encode("utf-8", "surrogatepass")).digest()


def write_shard(path, count, pieces, arrays, params):
    """Write a shard whole; the same contents give the same bytes, and memory holds one piece at a time.

    Two processes may write the same shard: the last one's stays.

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
    checksums, header = [], npz.array_header("<f2", (count, *params.sample_shape))
    with atomic_write(path) as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            with archive.open(zipfile.ZipInfo(SAMPLES), "w", force_zip64=True) as entry:  # ZipInfo: a fixed date
                entry.write(header)
                for piece in pieces:
                    piece = np.ascontiguousarray(piece, "<f2")
                    entry.write(piece.data)
                    checksums += map(zlib.crc32, piece)
            for name, value in (arrays() | {CHECKSUMS: np.array(checksums, np.uint32)}).items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as entry:
                    np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)
            npz.unsealed(archive)
            info = archive.getinfo(SAMPLES)
        with open(partial, "rb") as file:
            begin = npz.offset_of(file, info) + len(header)
        npz.seal(partial, begin, begin + info.file_size - len(header))


class Shard(NamedTuple):
    """Hold everything of a shard but its samples, which begin at byte `offset` of the file.

    What OF_TALKERS names is None of a shard of one talker a sample, and `checksums` of one of an earlier version.
    """

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
    talker_azimuth_deg: np.ndarray = None
    talker_level_db: np.ndarray = None
    checksums: np.ndarray = None


def open_shard(path):
    """Read everything of a shard but its samples.

    Raises BadInput for a file that is torn, foreign, or does not hold what its header says.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            small = {name: npz.read_array(archive, name) for name in (*BY_SAMPLE, "speech", "noise", "params")}
            params = json.loads(str(small["params"]))
            if "talkers" in params:
                small |= {name: npz.read_array(archive, name) for name in OF_TALKERS}
            if f"{CHECKSUMS}.npy" in archive.namelist():
                small[CHECKSUMS] = npz.read_array(archive, CHECKSUMS)
            offset = _require_whole(small, params, archive, file)
    except Exception as problem:  # a damaged file fails in zipfile, NumPy and json in many ways
        raise BadInput(f"{path} is not a whole shard of this project ({short(problem)}); {REMEDY}.") from problem
    return Shard(path, *(small[name] for name in BY_SAMPLE), str(small["speech"]), str(small["noise"]), params, offset,
                 *(small.get(name) for name in (*OF_TALKERS, CHECKSUMS)))


def _require_whole(small, params, archive, file):
    """Check the arrays of a shard against each other and the file against its seal; give where its samples begin.

    Raises ValueError or KeyError where it is not whole.
    """
    if {small[name].shape[:1] for name in small if small[name].ndim} != {small["labels"].shape}:
        raise ValueError("its arrays contradict each other in length")
    if "talkers" in params:
        if not np.array_equal(small["labels"], small["talker_azimuth_deg"][:, 0], equal_nan=True):
            raise ValueError("its labels are not those of the loudest talkers")
    elif not np.isfinite(small["labels"]).all():
        raise ValueError("its labels are not finite")
    if np.isnan(small["snr_db"]).any():
        raise ValueError("its SNRs are not numbers")
    info = archive.getinfo(SAMPLES)
    begin = npz.offset_of(file, info)
    shape = (len(small["labels"]), *sample_shape(params))
    header = npz.array_header("<f2", shape)
    length = len(header) + 2 * math.prod(shape)
    file.seek(begin)
    if file.read(len(header)) != header or info.compress_type != zipfile.ZIP_STORED or info.file_size != length:
        raise ValueError("its samples do not have the shape its params promise")
    is_of_this_version = CHECKSUMS in small or archive.comment
    if is_of_this_version and (CHECKSUMS not in small or not npz.is_sealed(file, begin + len(header), begin + length)):
        raise ValueError("its checksum is not that of its bytes")
    return begin + len(header)


def open_folder(folder):
    """Open every shard of a folder, by its index where that matches; what was read anew is added to the index.

    Returns a dict of path to Shard, or to the BadInput that tells why there is none, sorted by path.
    """
    folder = Path(folder)
    stamps = {path: index.stamp(path) for path in sorted(folder.glob("*.npz"))}
    known = index.Index(folder, Shard._fields)
    opened = {path: known.get(path.name, stamped) for path, stamped in stamps.items()}
    unknown = [path for path, held in opened.items() if held is None]
    opened = {path: held and Shard(path=path, **held) for path, held in opened.items()}
    with closing(in_threads(_path_and_shard, unknown, READERS)) as read:
        for path, shard in progress(read, total=len(unknown), unit=" shards", desc=f"opening {folder}"):
            opened[path] = shard
    if unknown or known.shards.keys() - {path.name for path in stamps}:
        index.save(folder, {path.name: (stamps[path], _held(shard)) for path, shard in opened.items()
                            if isinstance(shard, Shard)}, Shard._fields)
    return opened


def _path_and_shard(path):
    try:
        return path, open_shard(path)
    except BadInput as problem:
        return path, problem


def _held(shard):
    return {name: value for name, value in shard._asdict().items() if name != "path"}


def talkers_of(shards):
    """Collect who speaks in each sample of shards; in those of one talker a sample it is that one, at 0 dB.

    Returns
    -------
    azimuth_deg, level_db : np.ndarray [shape=(n, most)], float32, the loudest first, NaN where nobody speaks

    """
    every = [(shard.labels[:, np.newaxis], np.zeros((len(shard.labels), 1), np.float32))
             if shard.talker_azimuth_deg is None else (shard.talker_azimuth_deg, shard.talker_level_db)
             for shard in shards]
    most = max(azimuth_deg.shape[1] for azimuth_deg, _ in every)
    return tuple(np.concatenate([np.pad(each, ((0, 0), (0, most - each.shape[1])), constant_values=np.nan)
                                 for each in same]) for same in zip(*every))


def open_shards(folder, params, script, skip_bad=False):
    """Open every shard of a folder and check that they hold the features of `params`, all of the same duration.

    Parameters
    ----------
    folder : path
    params : Params
    script : str, which makes such shards, for messages
    skip_bad : bool, read all samples first, and leave out and name the shards that are damaged

    Returns
    -------
    list of Shard, sorted by name

    Raises
    ------
    BadInput : no folder, no shard, one that is damaged, or one of other parameters

    """
    folder = Path(folder)
    opened = open_folder(folder) if folder.is_dir() else {}
    if not opened:
        raise BadInput(f"--data {folder} {'holds no shards' if folder.is_dir() else 'is not a folder'}; "
                       f"run {script} first or name its --out folder.")
    shards = _without_bad(opened, folder, script) if skip_bad else list(opened.values())
    for shard in shards:
        if isinstance(shard, BadInput):
            raise shard
    wanted = params.features | {"frames": shards[0].params["frames"]}
    for shard in shards:
        if differ := differences(shard.params, wanted):
            raise BadInput(f"{shard.path} was made with other parameters ({differ}); "
                           f"make it again with {script} or take it out of the folder.")
    return shards


def _without_bad(opened, folder, script):
    """Read all samples of the shards that `open_folder` gave; name those that are damaged, and give the others."""
    def checked(path):
        return path, problem_of(opened[path])

    with closing(in_threads(checked, opened, READERS)) as read:
        problems = dict(progress(read, total=len(opened), unit=" shards", desc=f"checking {folder}"))
    for path in opened:
        if problems[path]:
            warn(f"Skipped: {problems[path]}")
    whole = [shard for path, shard in opened.items() if not problems[path]]
    if not whole:
        raise BadInput(f"--data {folder} holds no whole shard; delete those named above and run {script} again.")
    if len(whole) < len(opened):
        warn(f"Skipped {len(opened) - len(whole)} of {len(opened)} shards of {folder}, named above.")
    return whole
