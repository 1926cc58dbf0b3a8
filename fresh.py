"""Training straight from wavs: worker processes mix afresh for every batch, write nothing and never repeat a mixture.

    with fresh.WavFeed(speech, noise, heads, params, scenes, samples=300_000, workers=2) as feed:
        training.fit(feed, feed.epochs, out, resume=False)

The mixtures are those of mixing.py, as in shards. They are made in lots: a few places with an excerpt of speech each,
heard from some azimuths in a few noises. A lot follows from the seed and its number alone, so a run repeats exactly
with any number of workers and a resumed one goes on as if nothing had happened.
"""
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

import dataset
import mixing
from console import BadInput, notice

PLACES, NOISES = 4, 4   # of a lot: the transforms of a place serve 4 noises
AZIMUTHS = 8            # at most, of a place: more places teach more than all azimuths of each; a lot is 128 samples,
                        # 8 MB
LOTS_MIXED = 96         # in every batch: with few places in it the network learns those, not all
LOTS_PER_EPOCH = 288    # between validations and checkpoints: 36,864 samples
VALIDATION_LOTS, VALIDATION_AZIMUTHS = 128, 6   # spreads are measured on them, and more places say more than azimuths
TRAINING, VALIDATION = 0, 1


class WavFeed:
    """Training and validation batches mixed from audio files, for `training.fit`; close it, or use it with `with`.

    A quarter of the speech files is kept for validation, by the same rule as for shards; of a single file its last
    quarter. Another talker who interferes comes from the same side, unless that has only one.
    """

    def __init__(self, speech, noise, heads, params, scenes, samples, workers):
        """Start the workers.

        Parameters
        ----------
        speech, noise : lists of dataset.Audio
        heads : list of hrir.Hrirs at mixing.directions_deg(params)
        params : Params
        scenes : dict, what every sample is made with, to be stored with the model
        samples : int, how many to train on in all; `epochs` follows
        workers : int

        Raises
        ------
        BadInput : a single speech file that is too short to keep some for validation

        """
        self.params, self.scenes, self._workers = params, scenes, workers
        sides, border = _sides(speech, params)
        places = params.in_memory_of(PLACES)
        lot, validation_lot = (places * NOISES * azimuths for azimuths in _azimuths_of_lots(params))
        self._lots = min(LOTS_PER_EPOCH, -(-samples // lot))
        self.training_count, self.validation_count = self._lots * lot, VALIDATION_LOTS * validation_lot
        self.epochs = max(1, round(samples / self.training_count))
        self.title = f"fresh mixtures of {len(speech)} speech x {len(noise)} noise files"
        self.fingerprint = dataset.fingerprint([
            scenes, [a.sha256 for a in speech], [a.sha256 for a in noise], places, NOISES, AZIMUTHS,
            self._lots])
        self._pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"),  # a fork would copy TensorFlow's threads half alive
            _begin_worker, (sides, border, noise, heads, params, places))
        with _deaf_to_ctrl_c():  # as the workers then are from birth: Ctrl-C could end them before _begin_worker
            for _ in range(workers):
                self._pool.submit(os.getpid)  # starts one

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the workers as soon as they have made the lot in hand, a second or two."""
        self._pool.shutdown(cancel_futures=True)

    def training(self, epoch):
        """Shuffled batches of one epoch, which follow from the seed and the epoch."""
        return self._batches(TRAINING, epoch, self._lots, self.params.batch_size)

    def validation(self, batch_size):
        """Batches of the validation samples, always the same."""
        return self._batches(VALIDATION, 0, VALIDATION_LOTS, batch_size)

    def _batches(self, side, epoch, lots, batch_size):
        made = self._in_order([(side, epoch, number) for number in range(lots)])
        left = None  # what the lots before left over, less than a batch
        while group := list(itertools.islice(made, LOTS_MIXED)):
            begin, count = 0, sum(len(labels) for _, labels in group)
            if left is not None:
                begin = min(batch_size - len(left[1]), count)
                left = tuple(np.concatenate(pair) for pair in zip(left, _rows(group, 0, begin)))
                if len(left[1]) < batch_size:
                    continue
                yield left
            whole = count - (count - begin) % batch_size
            for at in range(begin, whole, batch_size):
                yield _rows(group, at, at + batch_size)
            left = _rows(group, whole, count) if whole < count else None
        if left is not None:
            yield left

    def _in_order(self, lots):
        """Results of the lots in their order, one more than there are workers being made or waiting."""
        waiting, made = deque(lots), deque()
        while waiting or made:
            while waiting and len(made) <= self._workers:
                made.append(self._pool.submit(_make_lot, *waiting.popleft()))
            yield made.popleft().result()


def _azimuths_of_lots(params):
    """How many azimuths a place of a TRAINING and of a VALIDATION lot is heard from."""
    return [min(azimuths, len(params.azimuth_deg)) for azimuths in (AZIMUTHS, VALIDATION_AZIMUTHS)]


def _rows(group, begin, end):
    """Rows begin..end of lots of one size, dealt out in turn: samples and labels."""
    slices = [slice(-((lot - begin) // len(group)), -((lot - end) // len(group))) for lot in range(len(group))]
    return tuple(np.concatenate([lot[part][rows] for lot, rows in zip(group, slices)]) for part in (0, 1))


def _sides(speech, params):
    """Training and validation files, and for a single file the sample where validation begins (else None)."""
    if len({audio.sha256 for audio in speech}) > 1:
        kept = dataset.kept_for_validation([audio.sha256 for audio in speech], params)
        return [[a for a in speech if a.sha256 not in kept], [a for a in speech if a.sha256 in kept]], None
    starts = dataset.AudioCache(params).speech(speech[0]).starts
    border = int(starts[-max(1, round(params.validation_share * len(starts)))])
    if starts[0] + params.excerpt_length > border:
        raise BadInput(f"{speech[0].path} is the only speech file and too short to keep some for validation; add a "
                       "second one.")
    notice(f"Only one speech file ({speech[0].name}): validation keeps what is said after "
           f"{border / params.sample_rate_hz:.1f} s of it.")
    return [speech, speech], border


@contextmanager
def _deaf_to_ctrl_c():
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


# ------------------------------------------------------------------------------------------------------- in the workers

_worker = {}  # what a worker process holds: set once by _begin_worker


def _begin_worker(sides, border, noise, heads, params, places):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer; Windows inherits nothing
    # A killed parent cannot end its workers, and they would wait for ever.
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    as_measured = replace(params, head_share=0.0, room_share=0.0)
    _worker.update(sides=sides, border=border, noise=noise, places=places, audio=dataset.AudioCache(params),
                   mixer=mixing.Mixer(params, heads), mixer_as_measured=mixing.Mixer(as_measured, heads))


def _end_with(parent):
    parent.join()
    os._exit(1)


def _clip(side, rng, other_than=None):
    """Draw a speech file of a side and return it with its clip, of a single file the part that belongs to the side."""
    files = _worker["sides"][side]
    if other_than is not None:
        files = [a for a in files if a.sha256 != other_than.sha256] or \
            [a for a in _worker["sides"][1 - side] if a.sha256 != other_than.sha256]
    audio = files[rng.integers(len(files))]
    clip, border = _worker["audio"].speech(audio), _worker["border"]
    if border is not None:
        length = _worker["mixer"].params.excerpt_length
        clip = clip._replace(starts=clip.starts[clip.starts >= border if side == VALIDATION
                                                else clip.starts + length <= border])
    return audio, clip


def _make_lot(side, epoch, number):
    """Mix one lot: samples (n, bin, frame, 2) float16 and labels (n,) float32, shuffled.

    Every other validation lot has the heads as measured, in the free field, where most are tested: spreads measured on
    other heads and rooms alone would be too wide there.
    """
    mixer = _worker["mixer_as_measured" if side == VALIDATION and number % 2 else "mixer"]
    noise_files = _worker["noise"]
    params, azimuth_deg = mixer.params, np.asarray(mixer.params.azimuth_deg, np.float32)
    azimuths = _azimuths_of_lots(params)[side]
    rng = np.random.default_rng([params.seed, side, epoch, number])
    samples = np.empty((_worker["places"] * NOISES * azimuths, *params.sample_shape), np.float16)
    labels = np.empty(len(samples), np.float32)
    order, at = rng.permutation(len(samples)), 0
    cues = np.empty((azimuths, *params.sample_shape), np.float16)
    for _ in range(_worker["places"]):
        talker, clip = _clip(side, rng)
        drawn = np.sort(rng.choice(len(azimuth_deg), azimuths, replace=False))
        speech = mixer.speech(rng, clip, azimuths=drawn)
        for _ in range(NOISES):
            masker = _worker["audio"].noise(noise_files[rng.integers(len(noise_files))])
            noise = mixer.noise(rng, speech.place, masker, lambda rng, heard=talker: _clip(side, rng, heard)[1])
            snrs_db = mixer.snrs_db(rng, noise)
            mixer.cues(speech, noise, snrs_db[rng.integers(len(snrs_db))], cues)
            samples[order[at:at + azimuths]] = cues
            labels[order[at:at + azimuths]] = azimuth_deg[drawn]
            at += azimuths
    return samples, labels
