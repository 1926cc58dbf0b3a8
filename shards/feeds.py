"""Batches from shards: blocks of neighbouring samples, shuffled, and read ahead of the network."""
import hashlib
import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from console import BadInput, warn
from shards.files import Shard, talkers_of
from shards.reading import read_samples, sample_shape
from shards.split import split

POINT_SOURCES = {"directional", "talker", "mixed"}  # noise fields that have one, or may


class Share(NamedTuple):
    """Name the part of every batch that one of several workers takes: number `index`, from 0, of `count`.

    Which samples a batch has does not depend on the number of workers; each reads or mixes its own alone.

    >>> [range(10)[Share(index, 3).rows(10)] for index in range(3)]
    [range(0, 3), range(3, 6), range(6, 10)]
    """

    index: int = 0
    count: int = 1

    def rows(self, total):
        """Give its part of `total` rows as a slice, which is empty where there are fewer rows than workers."""
        return slice(total * self.index // self.count, total * (self.index + 1) // self.count)


class ShardFeed:
    """Give training and validation batches from one or several folders of shards, for `training.fit`.

    `params` are those given, with the shards' duration; `epochs` as many as see params.samples_to_see.
    """

    AHEAD = 16  # batches that wait for the network while the next chunk is read

    def __init__(self, folders, params, weights=None, share=None):
        """Split the shards of each folder.

        Parameters
        ----------
        folders : list of lists of Shard
        params : Params
        weights : sequence of float, optional: how often the samples of each folder come in an epoch, once unless given;
            a fraction takes other blocks in every epoch
        share : Share, optional: of the batches, where several workers train together; all of each unless given

        Raises
        ------
        BadInput : a folder cannot be split, or they differ in duration

        """
        weights, self._share = weights or [1.0] * len(folders), share or Share()
        first = folders[0][0]
        self.params = replace(params, frames=first.params["frames"])
        for shards in folders[1:]:
            if shards[0].params["frames"] != self.params.frames:
                raise BadInput(f"{shards[0].path.parent} holds samples of {shards[0].params['frames']} frames and "
                               f"{first.path.parent} of {self.params.frames}; make them again with one --frames.")
        parts = [split_shards(shards, self.params) for shards in folders]
        self._training = [(blocks, weight) for (blocks, _), weight in zip(parts, weights)]
        self._validation = [block for _, blocks in parts for block in blocks]
        self.training_count = sum(count_samples(_repeated(blocks, weight)) for blocks, weight in self._training)
        self.validation_count = count_samples(self._validation)
        self._sources = sources_of([shard for shards in folders for shard in shards])
        self._chunk_blocks = self.params.in_memory_of(params.blocks_mixed)
        self.epochs = epochs_for(self.training_count, params)
        # The default network sees neighbouring frames together, and is built to treat left and right alike.
        self._vary = varied if params.model == "original" else None
        self.title = f"{sum(map(len, folders))} shards" + (f" of {len(folders)} folders" if len(folders) > 1 else "")
        self.made_with = {name: value for name, value in first.params.items() if not name.endswith("_sha256")}
        self.fingerprint = _fingerprint_of_blocks(list(weights), [part for pair in parts for part in pair])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def training(self, epoch):
        """Give the shuffled batches of one epoch; their order follows from seed and epoch."""
        rng = np.random.default_rng([self.params.seed, epoch])
        blocks = [block for each, weight in self._training for block in _repeated(each, weight, epoch)]
        return read_ahead(batches(blocks, self.params.batch_size, self._chunk_blocks, rng, self._vary, self._sources,
                                  self._share), self.AHEAD)

    def validation(self, batch_size):
        """Give batches of the validation samples, always the same."""
        return read_ahead(batches(self._validation, batch_size, self._chunk_blocks, sources=self._sources,
                                  share=self._share), self.AHEAD // 4)


def sources_of(shards):
    """Collect the azimuths of all sources of shards to learn from, as shards/on_the_fly.py gives them.

    Parameters
    ----------
    shards : list of Shard

    Returns
    -------
    dict of path to np.ndarray [shape=(n, most talkers + 1)], float32
        azimuths in degrees of the talkers, NaN-padded, the loudest first; infinity at the end where the noise comes, or
        with the field mixed may come, from one direction, too. None where all samples have one talker and no such
        noise: then the labels tell everything.

    """
    has_point_source = [np.isin(shard.noise_field, list(POINT_SOURCES)) for shard in shards]
    if not any(map(np.any, has_point_source)) and all(shard.talker_azimuth_deg is None for shard in shards):
        return None
    azimuth_deg, _ = talkers_of(shards)
    unknown = np.where(np.concatenate(has_point_source), np.inf, np.nan).astype(np.float32)
    begins = np.cumsum([len(shard.labels) for shard in shards])[:-1]
    return {shard.path: sources for shard, sources in
            zip(shards, np.split(np.column_stack((azimuth_deg, unknown)), begins))}


class Block(NamedTuple):
    """Name neighbouring samples of one shard, to be read at once."""

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


def split_shards(shards, params):
    """Split shards by their speech files, or those of a single file by time (shards/split.py).

    Parameters
    ----------
    shards : list of Shard
    params : Params, for validation_share

    Returns
    -------
    training, validation : lists of Block

    Raises
    ------
    BadInput : there is only one speech file and no two of its excerpts lie apart

    """
    parts = split((shard.params["speech_sha256"] for shard in shards),
                  lambda: np.unique(np.concatenate([shard.excerpt_start_s for shard in shards])), params.excerpt_s,
                  params)
    training, validation = (
        blocks_of(shards, params.block_samples, lambda s, keep=keep: keep(s.params["speech_sha256"], s.excerpt_start_s))
        for keep in (parts.trains, parts.validates))
    if not training:
        raise BadInput(f"{shards[0].path.parent} holds a single speech file ({shards[0].speech}), too short to keep a "
                       "part for validation; add a second speech file, or more --excerpts of a longer one.")
    if parts.border is not None:
        warn(f"Only one speech file ({shards[0].speech}): validation keeps its end, from {parts.border:.1f} s on.")
    return training, validation


def count_samples(blocks):
    """Count the samples of the blocks."""
    return sum(block.last - block.first for block in blocks)


def batches(blocks, batch_size, blocks_mixed, rng=None, vary=None, sources=None, share=None):
    """Stream batches; memory holds `blocks_mixed` blocks, however many there are.

    Parameters
    ----------
    blocks : list of Block
    batch_size : int; the last batch may be smaller
    blocks_mixed : int, how many blocks are in memory to be shuffled together
    rng : np.random.Generator, optional: shuffles the blocks, and within each chunk the samples; without, all in order
    vary : callable, optional: changes each batch, as `varied` does; needs rng
    sources : dict, optional: what `sources_of` gives, in place of the labels
    share : Share, optional: give its rows of each batch alone, and read no others

    Yields
    ------
    samples : np.ndarray [shape=(<= batch_size, bin, frame, 2)], float16
    labels : np.ndarray [shape=(<= batch_size,) or (<= batch_size, source)], float32, azimuth in degrees

    """
    share = share or Share()
    order = np.arange(len(blocks)) if rng is None else rng.permutation(len(blocks))
    labels_of = {each.shard.path: each.shard.labels for each in blocks} if sources is None else sources
    left = np.empty((0, 2), int)  # (block, row of its shard) of samples that were less than a batch
    for chunk_begins in range(0, len(order), blocks_mixed):
        chunk = order[chunk_begins:chunk_begins + blocks_mixed]
        places = np.concatenate([left, *(_places(blocks, number) for number in chunk)])
        rows = np.arange(len(places)) if rng is None else rng.permutation(len(places))
        is_last = chunk_begins + blocks_mixed >= len(order)
        stop = len(rows) if is_last else len(rows) - len(rows) % batch_size
        whole = [rows[at:min(at + batch_size, stop)] for at in range(0, stop, batch_size)]
        own = [chosen[share.rows(len(chosen))] for chosen in whole]
        read = np.sort(np.concatenate([rows[:0], *own]))  # in the order of the files
        samples, labels = _read(blocks, places[read], labels_of)
        for chosen, mine in zip(whole, own):
            at = np.searchsorted(read, mine)
            batch = samples[at], labels[at]
            yield vary(*batch, rng, share, len(chosen)) if vary else batch
        left = places[rows[stop:]]


def _places(blocks, number):
    """List the samples of a block: (block, row of its shard) each, (n, 2) int."""
    rows = np.arange(blocks[number].first, blocks[number].last)
    return np.column_stack((np.full_like(rows, number), rows))


def _read(blocks, places, labels_of):
    """Read samples and labels at `places`, as `_places` gives them; neighbours are read at once."""
    shard = blocks[0].shard
    samples = np.empty((len(places), *sample_shape(shard.params)), np.float16)
    labels = [labels_of[shard.path][:0]]
    edges = np.flatnonzero(np.any(np.diff(places, axis=0) != [0, 1], axis=1)) + 1
    for begin, end in zip([0, *edges], [*edges, len(places)]) if len(places) else ():
        shard, first, last = blocks[places[begin, 0]].shard, places[begin, 1], places[end - 1, 1] + 1
        read_samples(shard, first, last, out=samples[begin:end])
        labels.append(labels_of[shard.path][first:last])
    return samples, np.concatenate(labels)


def varied(samples, labels, rng, share=None, total=None):
    """Shuffle the frames, on whose order the azimuth does not depend, and mirror every other sample.

    For a network that would otherwise memorise the noise of the shards:
    docs/log/2026-11-24-epochs-and-order-of-frames.md. Parameters as `mirrored`.
    """
    return mirrored(samples[:, :, rng.permutation(samples.shape[2])], labels, rng, share, total)


def mirrored(samples, labels, rng, share=None, total=None):
    """Mirror each sample with probability one half: ears exchanged, so that both cues and the azimuth change sign.

    Exact for a symmetric head, as the shipped one is; of another it makes its mirror image.

    Parameters
    ----------
    samples : np.ndarray [shape=(n, bin, frame, 2)], float16, changed in place
    labels : np.ndarray [shape=(n,) or (n, source)], azimuth in degrees
    rng : np.random.Generator
    share, total : Share and int, optional: the samples are this share of a batch of `total`, all of which is drawn for

    Returns
    -------
    samples, labels

    """
    chosen = rng.random(len(labels)) < 0.5 if share is None else (rng.random(total) < 0.5)[share.rows(total)]
    samples.view(np.uint16)[chosen] ^= 0x8000  # the sign bit: arithmetic on float16 is slow
    chosen = chosen.reshape(-1, *[1] * (labels.ndim - 1))
    return samples, np.where(chosen & np.isfinite(labels), -labels, labels)


def _repeated(blocks, weight, epoch=0):
    """Repeat blocks `weight` times; of a fraction, take the share whose turn it is in this epoch."""
    whole, part = int(weight), round((weight - int(weight)) * len(blocks))
    return blocks * whole + [blocks[(epoch * part + at) % len(blocks)] for at in range(part)]


def epochs_for(sample_count, params):
    """Count the epochs that see about params.samples_to_see samples, within params.epochs_min..epochs_max."""
    return min(params.epochs_max, max(params.epochs_min, round(params.samples_to_see / sample_count)))


def fingerprint(description):
    """Compute a short digest of what a training run is fed with, to refuse resuming on something else."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _fingerprint_of_blocks(weights, parts):
    """Compute `fingerprint` of [weights, parts], each block as (name, params of its shard, first, last).

    The text is never whole: that of 100,000 shards takes gigabytes. Only the shard of the last block is kept.
    """
    digest = hashlib.sha256(f"[{json.dumps(weights)}, [".encode())
    for number, part in enumerate(parts):
        digest.update(b", [" if number else b"[")
        shard, text = None, ""
        for at, block in enumerate(part):
            if block.shard is not shard:
                shard = block.shard
                text = f"{json.dumps(shard.path.name)}, {json.dumps(shard.params, sort_keys=True)}"
            digest.update(f"{', ' if at else ''}[{text}, {block.first}, {block.last}]".encode())
        digest.update(b"]")
    digest.update(b"]]")
    return digest.hexdigest()[:16]


def read_ahead(items, depth):
    """Yield the items of a generator while a thread makes the next `depth` of them."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        ready = deque(thread.submit(next, items, end) for _ in range(depth))
        try:
            while (item := ready.popleft().result()) is not end:
                ready.append(thread.submit(next, items, end))
                yield item
        finally:
            thread.shutdown(cancel_futures=True)
