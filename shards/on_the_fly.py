"""Training on the fly (dynamic mixing): worker processes mix wavs for every batch, and never repeat a mixture.

    with WavFeed(speech, noise, heads, params, made_with, samples=300_000, workers=2) as feed:
        training.fit(feed, feed.epochs, out, resume=False)

The mixtures are those of sound/mixing.py, as in shards. They are made in chunks: a few scenes with an excerpt of speech
each, from some azimuths, in a few noises. A chunk follows from the seed and its number alone, so a run repeats exactly
with any number of workers, and a resumed one goes on as if nothing had happened.
"""
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker

import numpy as np

from console import BadInput, warn
from shards.audio import AudioCache
from shards.feeds import Share, fingerprint
from shards.split import split
from sound import mixing, talkers
from sound.noise_fields import noise_gain

SCENES, NOISES = 4, 4   # of a chunk: the transforms of a scene serve 4 noises
AZIMUTHS = 8            # at most, of a scene: more scenes teach more than all azimuths of each; a chunk is 128
                        # samples, 8 MB
CHUNKS_MIXED = 96       # held at a time: of few scenes in a batch the network would learn the scenes
CHUNKS_PER_EPOCH = 576  # between validations and checkpoints: 73,728 samples
VALIDATION_CHUNKS, VALIDATION_AZIMUTHS = 160, 6   # uncertainties are measured on them, which takes many scenes
TRAINING, VALIDATION = 0, 1
TURNED_DEG = 2.5        # standard deviation of where people look when told to look ahead: by 0.017 ms the delays from
                        # left and right differ in 60 people's heads (CIPIC, SADIE I), of 0.0067 ms a degree there
# Of glibc, in bytes: arrays of megabytes went back to the system one by one, which took 15 % of the workers' time.
KEEPS_MEMORY = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
OF_A_KILL = "ignore::UserWarning:multiprocessing.resource_tracker"  # which tells that it cleans up after one
HEADS_KEPT = 10         # of a folder of so many heads or more, one in so many is kept for validation


class WavFeed:
    """Give training and validation batches mixed from audio files, for `training.fit`; close it, or use `with`.

    A quarter of the speech files is kept for validation, by the same rule as for shards; of a single file its last
    quarter. A competing talker comes from the same part of the split, unless that has only one. Of folders of many
    heads some are kept, too (`split_heads`): how sure a network is of strangers is measured on heads it never heard.
    """

    def __init__(self, speech, noise, heads, params, made_with, samples, workers, share=None):
        """Start the workers.

        Parameters
        ----------
        speech, noise : lists of shards.audio.Audio
        heads : list of hrir.Hrirs at mixing.directions_deg(params)
        params : Params
        made_with : dict, what every sample is made with, to be stored with the model
        samples : int, how many to train on in all; `epochs` follows
        workers : int
        share : feeds.Share, optional: of the batches, where several machines train together; all of each unless given

        Raises
        ------
        BadInput : a single speech file that is too short to keep some for validation

        """
        self.params, self._workers, self._share = params, workers, share or Share()
        self.made_with = made_with | ({"own_head_share": params.own_head_share} if params.own_head_share else {})
        parts = _split_speech(speech, params)
        scenes_of_chunk = params.in_memory_of(SCENES)
        chunk, validation_chunk = (scenes_of_chunk * NOISES * azimuths for azimuths in _azimuths_of_chunks(params))
        self._chunks = min(CHUNKS_PER_EPOCH, -(-samples // chunk))
        self.training_count, self.validation_count = self._chunks * chunk, VALIDATION_CHUNKS * validation_chunk
        self.epochs = max(1, round(samples / self.training_count))
        self.title = f"mixtures on the fly of {len(speech)} speech x {len(noise)} noise files"
        self.fingerprint = fingerprint([
            self.made_with, [a.sha256 for a in speech], [a.sha256 for a in noise], scenes_of_chunk, NOISES, AZIMUTHS,
            self._chunks])
        self._pool = None
        try:
            with _inherited_by_workers():
                self._pool = ProcessPoolExecutor(
                    workers, multiprocessing.get_context("spawn"),  # a fork would copy TensorFlow's threads half alive
                    _begin_worker, (speech, parts, noise, heads, params, scenes_of_chunk))
                for _ in range(workers):
                    self._pool.submit(os.getpid)  # starts one
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the workers as soon as they have made the chunk in hand, a second or two."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def training(self, epoch):
        """Give the shuffled batches of one epoch, which follow from the seed and the epoch."""
        return self._batches(TRAINING, epoch, self._chunks, self.training_count, self.params.batch_size)

    def validation(self, batch_size):
        """Give batches of the validation samples, always the same."""
        return self._batches(VALIDATION, 0, VALIDATION_CHUNKS, self.validation_count, batch_size)

    def _batches(self, part, epoch, chunks, samples, batch_size):
        """Give this share of the batches: the rows of every n-th chunk, for n workers; no other chunk is mixed here.

        Of a few chunks each worker would get too uneven a share: those are mixed by all, who take rows in turn.
        """
        index, workers = self._share
        rows_of_chunk = samples // chunks
        numbers, rows = dealt(chunks, rows_of_chunk)
        batches = [slice(at, at + batch_size) for at in range(0, len(numbers), batch_size)]
        of_worker = numbers % workers
        if not all(_is_even(of_worker[batch], workers) for batch in batches):
            of_worker = np.concatenate([np.sort(np.arange(len(numbers[batch])) % workers) for batch in batches])
        mine = np.unique(numbers[of_worker == index])
        made, held, begun = self._in_order([(part, epoch, int(number)) for number in mine]), {}, 0
        for batch in batches:
            is_mine = of_worker[batch] == index
            drawn, row = numbers[batch][is_mine], rows[batch][is_mine]
            while not begun or begun < len(mine) and mine[begun] <= drawn.max(initial=-1):
                held[mine[begun]] = latest = next(made)
                begun += 1
            given = [[values[row[drawn == number]] for values in held[number]] for number in np.unique(drawn)]
            for number in numbers[batch][rows[batch] == rows_of_chunk - 1]:  # whose last row this batch has
                held.pop(number, None)
            none = [values[row[:0]] for values in latest]  # of a small batch this worker may have no row
            yield tuple(np.concatenate(same) for same in zip(none, *given))

    def _in_order(self, chunks):
        """Yield the results of the chunks in order, while one more than there are workers is made or waits."""
        waiting, made = deque(chunks), deque()
        while waiting or made:
            while waiting and len(made) <= self._workers:
                made.append(self._pool.submit(_make_chunk, *waiting.popleft()))
            yield made.popleft().result()


def _azimuths_of_chunks(params):
    """Count the azimuths of a scene in a TRAINING and in a VALIDATION chunk."""
    return [min(azimuths, len(params.azimuth_deg)) for azimuths in (AZIMUTHS, VALIDATION_AZIMUTHS)]


def dealt(chunks, rows):
    """Order the rows of all chunks so that every batch has some of many chunks, which are made one after the other.

    A chunk's first row comes as early as the chunk's number says, the others evenly over the time that CHUNKS_MIXED
    chunks take. So the network has work from the first chunks on, and memory holds CHUNKS_MIXED of them.

    Returns
    -------
    numbers, rows : np.ndarray [shape=(chunks x rows,)], int: which row of which chunk

    Examples
    --------
    >>> numbers, rows = dealt(3, 2)
    >>> numbers.tolist(), rows.tolist()
    ([0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1])

    """
    when = np.arange(chunks)[:, np.newaxis] + CHUNKS_MIXED / rows * np.arange(rows)
    order = np.argsort(when, axis=None, kind="stable")
    return order // rows, order % rows


def _is_even(of_worker, workers):
    """Tell whether each of the workers has a quarter of its even share of a batch's rows, and one at least."""
    return workers == 1 or np.bincount(of_worker, minlength=workers).min() >= max(1, len(of_worker) // (4 * workers))


class OwnHeads:
    """Hold the templates of the few heads of a chunk, (head, class, bin, 2), and give them for rows of its samples."""

    def __init__(self, templates, heads):
        self.templates, self.heads = templates, heads

    def __getitem__(self, rows):
        return self.templates[self.heads[rows]]


def _split_speech(speech, params):
    """Split speech files, or a single one by time, as shards.split.split does; BadInput for one that is too short."""
    parts = split((audio.sha256 for audio in speech), lambda: AudioCache(params).speech(speech[0]).starts,
                  params.excerpt_length, params)
    if parts.border is None:
        return parts
    if not parts.trains(speech[0].sha256, AudioCache(params).speech(speech[0]).starts).any():
        raise BadInput(f"{speech[0].path} is the only speech file and too short to keep some for validation; add a "
                       "second one.")
    warn(f"Only one speech file ({speech[0].name}): validation keeps its end, from "
         f"{parts.border / params.sample_rate_hz:.1f} s on.")
    return parts


def split_heads(heads):
    """Split heads into those that train and those that validate, where those that are kept are drawn for their folder.

    Of a folder or pattern of HEADS_KEPT or more, one in HEADS_KEPT is kept, whatever the seed; the others do both.

    >>> import hrir
    >>> head = hrir.load("mit_kemar", 16_000, [0])
    >>> people = [head._replace(name=f"person {n}", sha256=str(n), of="people") for n in range(20)]
    >>> [len(each) for each in split_heads([head, *people])]
    [19, 3]
    >>> [each.share for each in split_heads([head, *people])[1]]
    [1.0, 10.0, 10.0]
    """
    training, validation = [], []
    for source in dict.fromkeys(head.of for head in heads):
        group = [head for head in heads if head.of == source]
        count = len(group) // HEADS_KEPT
        if not count:
            training += group
            validation += group
            continue
        kept = set(np.random.default_rng(0).permutation(sorted(head.sha256 for head in group))[:count].tolist())
        training += [head for head in group if head.sha256 not in kept]
        validation += [head._replace(share=head.share * len(group) / count) for head in group if head.sha256 in kept]
    return training, validation


@contextmanager
def _inherited_by_workers():
    """Start processes that are deaf to Ctrl-C from birth, before _begin_worker, and that keep the memory they free.

    It takes seconds. Signals that come meanwhile are answered at the end: a process that is half started when its
    parent ends would print a traceback.
    """
    came, environment, has_masks = [], os.environ.copy(), hasattr(signal, "pthread_sigmask")  # not on Windows
    before = {number: signal.signal(number, lambda which, _: came.append(which)) for number in ENDING}
    os.environ.update(dict.fromkeys(KEEPS_MEMORY, str(2 ** 30)) | environment | {
        "PYTHONWARNINGS": ",".join(filter(None, [environment.get("PYTHONWARNINGS"), OF_A_KILL]))})
    if has_masks:
        resource_tracker.ensure_running()  # now, because it unblocks Ctrl-C
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if has_masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        for name in (*KEEPS_MEMORY, "PYTHONWARNINGS"):
            if name in environment:
                os.environ[name] = environment[name]
            else:
                del os.environ[name]
        for number in came:
            signal.raise_signal(number)


# ------------------------------------------------------------------------------------------------------- in the workers

_worker = {}  # what a worker process holds: set once by _begin_worker


def _begin_worker(speech, parts, noise, heads, params, scenes_of_chunk):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer; Windows inherits nothing
    # A killed parent cannot end its workers, and they would wait for ever.
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    one = replace(params, talkers=(1,))
    free_field = replace(one, room_share=0.0, mic_level_db=min(params.mic_level_db, 1.0), band_limit_share=0.0,
                         other_sounds_share=0.0)
    validation = [one, free_field, replace(free_field, head_share=0.0),
                  replace(params, noise_field=("diffuse",), talkers=(0,))]   # other fields have a direction
    if several := tuple(number for number in params.talkers if number > 1):
        validation.append(replace(free_field, talkers=several))
    training_heads, validation_heads = split_heads(heads)
    strangers = {head.name for head in validation_heads} - {head.name for head in training_heads}
    _worker.update(files=parts.files(speech), keeps=(parts.trains, parts.validates), noise=noise,
                   strangers=strangers, scenes=scenes_of_chunk, audio=AudioCache(params),
                   most_talkers=params.most_talkers,
                   mixers={TRAINING: [mixing.Mixer(params, training_heads)],
                           VALIDATION: [mixing.Mixer(each, validation_heads) for each in validation]})


def _end_with(parent):
    parent.join()
    os._exit(1)


def _draw_clip(part, rng, other_than=None):
    """Draw a speech file of a part of the split, but not `other_than`, and its clip with that part's excerpts."""
    for source in (part, 1 - part):
        files = [a for a in _worker["files"][source] if other_than is None or a.sha256 != other_than.sha256]
        if files:
            break
    audio = files[rng.integers(len(files))]
    clip = _worker["audio"].speech(audio)
    return audio, clip._replace(starts=clip.starts[_worker["keeps"][source](audio.sha256, clip.starts)])


def _make_chunk(part, epoch, number):
    """Mix one chunk: samples (n, bin, frame, 2) float16, and azimuths of its sources, shuffled; OwnHeads if asked for.

    Azimuths (n, source) float32 are those of the talkers, NaN-padded, the loudest first; infinity at the end says that
    noise comes from one direction, too.

    Of validation chunks, one kind is like those of training. Two are in the free field with like microphones, where
    most are tested: uncertainties measured in rooms alone would be too wide there. One of these has the heads as
    measured; the other also varies them, for strangers differ more from all that trained than those of the same
    collection. One kind is noise alone, one several talkers. People's heads are turned a little, as strangers' are; the
    few that are kept would not show how much. Those compared with their own templates are not: these turn, too.
    """
    mixers = _worker["mixers"][part]
    mixer = mixers[number % len(mixers)]
    params = mixer.params
    azimuths, noises, audio = _azimuths_of_chunks(params)[part], NOISES, _worker["audio"]
    if not any(params.talkers):  # noise alone sounds the same from every azimuth
        azimuths, noises = 1, NOISES * azimuths
    rng = np.random.default_rng([params.seed, part, epoch, number])
    samples = np.empty((_worker["scenes"] * noises * azimuths, *params.sample_shape), np.float16)
    sources_deg = np.full((len(samples), _worker["most_talkers"] + 1), np.nan, np.float32)
    templates, heads = [np.zeros((len(params.class_deg), params.bins, 2), np.float16)], np.zeros(len(samples), int)
    order, at = rng.permutation(len(samples)), 0
    cues = np.empty((azimuths, *params.sample_shape), np.float16)
    for _ in range(_worker["scenes"]):
        file, clip = _draw_clip(part, rng)
        speeches = [mixer.speech_at_ears(rng, clip, count=azimuths)]
        scene = speeches[0].scene
        for _ in range(params.most_talkers - 1):
            speeches.append(mixer.speech_in(rng, scene, _draw_clip(part, rng, file)[1], count=azimuths))
        head = 0  # the network's
        if params.own_head_share and rng.random() < params.own_head_share:
            own = mixer.own_templates(scene)
            if own is not None:
                head = len(templates)
                templates.append(own.astype(np.float16))
        is_turned = part == VALIDATION and not head and scene.hrir in _worker["strangers"]
        turned_deg = rng.normal(0, TURNED_DEG) if is_turned else 0.0
        for _ in range(noises):
            noise_file = _worker["noise"][rng.integers(len(_worker["noise"]))]
            noise = mixer.noise_at_ears(rng, scene, audio.noise(noise_file),
                                        lambda rng, other_than=file: _draw_clip(part, rng, other_than)[1])
            snrs_db = mixer.snrs_db(rng, noise)
            gain = noise_gain(speeches[0].front, noise.signals, snrs_db[rng.integers(len(snrs_db))])
            rows, speech = order[at:at + azimuths], speeches[0]
            sources_deg[rows, 0] = speech.azimuth_deg + turned_deg
            if params.has_talkers:
                speech = talkers.mix(speeches, talkers.draw(rng, speeches, params), params)
                sources_deg[rows, :params.most_talkers] = speech.talkers.azimuth_deg + turned_deg
            mixer.cues(speech, noise, gain, out=cues)
            samples[rows], heads[rows] = cues, head
            if noise.has_point_source:
                sources_deg[rows, -1] = np.inf
            at += azimuths
    if not params.own_head_share:
        return samples, sources_deg
    return samples, sources_deg, OwnHeads(np.stack(templates), heads)
