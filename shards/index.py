"""The index of a folder of shards: what `files.open_shard` reads of each, in one file beside them.

A shard's entry counts while its size and its time of change are those of the index. Everything else is read again, so
the index may be deleted at any time. The seal that ends it (npz.py) covers all its bytes. Plain `np.load` opens it:
    shards       uint8 (bytes,)   JSON: name, size, mtime_ns, samples and what is no array, of each shard
    labels, ...  (n,)             an array of the shards, one after another; strings as codes
    hrir.words   str (words,)     what the codes of hrir stand for
"""
import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from console import BadInput, atomic_write
from shards import npz

NAME = "shards.index"
VERSION = 2
WORDS = ".words"
NO_SAMPLES = 0, 0  # of which the seal would leave the bytes out


def stamp(path):
    """Tell when a file is another one: [size in bytes, time of change in ns]; None where it cannot be looked at."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


class Index:
    """Hold the entries of a folder's index; without an index, or with a broken or older one, it holds none."""

    def __init__(self, folder, names):
        """Load it; `names` are those of what an entry holds, as in `save`."""
        self.shards, self._columns, self._words, self._common = {}, {}, {}, {}
        with suppress(Exception):  # whatever a damaged file makes of zipfile, NumPy and json: it is made again
            with open(Path(folder) / NAME, "rb") as file, zipfile.ZipFile(file) as archive:
                if not npz.is_sealed(file, *NO_SAMPLES):
                    return
                head = json.loads(npz.read_array(archive, "shards").tobytes())
                columns = {name: npz.read_array(archive, name) for name in head["columns"]}
                coded = [name for name in columns if f"{name}{WORDS}.npy" in archive.namelist()]
                words = {name: npz.read_array(archive, name + WORDS) for name in coded}
            if head["version"] != VERSION or head["names"] != list(names):
                return
            ends = np.cumsum([shard["count"] for shard in head["shards"]]).tolist()
            if any(len(column) != (ends[-1] if ends else 0) for column in columns.values()):
                return
            self._columns, self._words, self._common = columns, words, head["common"]
            self.shards = {shard["name"]: shard | {"end": end} for shard, end in zip(head["shards"], ends)}

    def get(self, name, stamped):
        """Give what a shard holds: a dict, or None where the index knows no shard of this name and stamp."""
        shard = self.shards.get(name)
        if shard is None or shard["stamp"] != stamped:
            return None
        part = slice(shard["end"] - shard["count"], shard["end"])
        arrays = {name: _decoded(column[part], self._words[name]) if name in self._words else column[part]
                  for name, column in self._columns.items()}
        return arrays | shard["rest"] | {"params": self._common | shard["own"]}


def _decoded(codes, words):
    """Give the strings of codes (n,); n times the same one takes the memory of one."""
    if len(codes) and (codes == codes[0]).all():
        return np.broadcast_to(words[codes[0]], codes.shape)
    return words[codes]


def save(folder, entries, names):
    """Write the index of a folder whole; where that cannot be, the shards are just read again next time.

    Parameters
    ----------
    folder : path
    entries : dict of a shard's name to (stamp, dict of what it holds): arrays (n, ...), `params` and what JSON takes.
        A shard whose arrays are unlike the first one's is left out.
    names : sequence of str, of what an entry holds

    """
    first = next(iter(entries.values()), (None, {}))[1]
    columns = [name for name, value in first.items() if isinstance(value, np.ndarray)]
    kept = {name: entry for name, entry in entries.items() if _layout(entry[1]) == _layout(first)}
    common = dict(first.get("params", {}))
    for _, held in kept.values():
        common = {key: value for key, value in common.items() if held["params"].get(key) == value}
    shards = [{"name": name, "stamp": stamped, "count": len(held[columns[0]]),
               "own": {key: value for key, value in held["params"].items() if key not in common},
               "rest": {key: value for key, value in held.items() if key not in (*columns, "params")}}
              for name, (stamped, held) in kept.items()]
    head = {"version": VERSION, "names": list(names), "columns": columns, "common": common, "shards": shards}
    arrays = {"shards": np.frombuffer(json.dumps(head).encode(), np.uint8)}
    for name in columns:
        arrays |= _encoded(name, [held[name] for _, held in kept.values()])
    with suppress(BadInput), atomic_write(Path(folder) / NAME) as partial:
        with open(partial, "wb") as file:
            np.savez(file, **arrays)
        with zipfile.ZipFile(partial, "a") as archive:
            npz.unsealed(archive)
        npz.seal(partial, *NO_SAMPLES)


def _layout(held):
    """Describe the arrays of a shard, but for their length and the length of their strings."""
    return {name: (value.dtype.kind, value.itemsize * (value.dtype.kind != "U"), value.shape[1:])
            for name, value in held.items() if isinstance(value, np.ndarray)}


def _encoded(name, values):
    """Join arrays to one column; strings become codes and their words: dict of arrays by name."""
    if values[0].dtype.kind != "U":
        return {name: np.concatenate(values)}
    codes, code_of = [], {}
    for each in values:
        words, inverse = np.unique(each, return_inverse=True)
        of_words = [code_of.setdefault(word, len(code_of)) for word in words.tolist()]
        codes.append(np.array(of_words, np.uint32)[inverse])
    smallest = np.min_scalar_type(max(0, len(code_of) - 1))
    joined = np.concatenate(codes, dtype=smallest, casting="unsafe")
    return {name: joined, name + WORDS: np.array(list(code_of), np.str_)}
