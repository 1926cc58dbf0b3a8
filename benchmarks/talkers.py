"""What the accuracy benchmark measures with several talkers: model, likelihood and GCC-PHAT on the same mixtures.

    for rows in measure_talkers(heads, speech, noise, args, params): ...     # rows of accuracy.csv, a condition each

Nobody is told the number of talkers. Levels are exact: all are as loud as one another, or the others 6 dB weaker.
"""
import zlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

import console
from benchmarks import conditions
from console import BadInput
from network import gcc_phat, likelihood
from network.peaks import read_peaks
from params import MOST_TALKERS
from scores import talkers as scores
from shards.audio import AudioCache
from sound import mixing, talkers
from sound.noise_fields import noise_gain

SNR_DB = 20                      # of the loudest talker, in diffuse noise
LEAST_DISTANCE_DEG = 15          # between any two
MIXTURES, AZIMUTHS = 30, 12      # of a condition: mixtures, and azimuths of the loudest talker in each
MIXTURES_OF_NOBODY = 120         # which sounds the same from every azimuth
QUICK_SHARE = 6                  # of the mixtures, one in so many with --quick
COLUMNS = ("all_within_5_deg_percent", "all_within_10_deg_percent", "found_within_5_deg_percent",
           "found_within_10_deg_percent", "count_right_percent", "nobody_percent",
           "single_within_5_deg_of_loudest_percent", "single_within_5_deg_of_any_percent")


class Several(NamedTuple):
    """A number of talkers for as many frames; those after the first are `weaker_db` weaker."""

    number: int
    frames: int
    weaker_db: float = 0.0

    @property
    def variant(self):
        """The condition in words, as the column `variant` of accuracy.csv."""
        level = "" if self.number < 2 else f", {self.weaker_db:g} dB weaker" if self.weaker_db else ", equal"
        return {0: "nobody", 1: "1 talker"}.get(self.number, f"{self.number} talkers") + level


CONDITIONS = (Several(0, 100), Several(1, 100), Several(2, 50), Several(2, 100), Several(2, 50, 6.0),
              Several(2, 100, 6.0), Several(3, 100))


class Mixed(NamedTuple):
    """Samples of a condition (n, bin, frame, 2) and their talkers: azimuths and levels, (n, talker) each."""

    samples: np.ndarray
    azimuth_deg: np.ndarray
    level_db: np.ndarray


def heads_of(rooms):
    """List the heads to measure at, MIT KEMAR and measured rooms: (name, source) each."""
    return [(conditions.KEMAR, "mit_kemar"), *((Path(room).stem, room) for room in rooms)]


def measure_talkers(heads, speech, noise, args, params):
    """Measure every condition at every head: yields its rows, of all samples and by the least distance."""
    systems = systems_of(args, params)
    for name, source in heads:
        for wanted in CONDITIONS:
            mixtures = (MIXTURES if wanted.number else MIXTURES_OF_NOBODY) // (QUICK_SHARE if args.quick else 1)
            mixed = mix(wanted, name, source, speech, noise, params, mixtures)
            yield rows_of(wanted, name, mixed, systems)


def systems_of(args, params):
    """Give the methods that are compared: dict of name to a function, cues -> azimuths (n, MOST_TALKERS), one (n,).

    All compare with MIT KEMAR. BadInput for a model that tells one source of a sample.
    """
    network, templates = conditions.load_model(args), likelihood.template_cues(params)

    def model(samples):
        heard = network.hear(samples)
        if heard.presence is None:
            raise BadInput(f"--model {args.model} tells one source of a sample; name one that TrainingCNN.py trained "
                           "with --loss distribution and the default network.")
        return read_peaks(heard.presence, network.params, MOST_TALKERS).azimuth_deg, heard.answer.azimuth_deg

    def by_likelihood(samples):
        return (likelihood.read_azimuths(samples, templates, params, MOST_TALKERS),
                likelihood.localise(samples, templates, params.class_deg))

    def by_gcc_phat(samples):
        return (gcc_phat.read_azimuths(samples, templates, params, MOST_TALKERS),
                gcc_phat.localise(samples, templates, params))

    return {"model": model} if args.model_alone else {
        "model": model, "likelihood": by_likelihood, "GCC-PHAT": by_gcc_phat}


def mix(wanted, name, source, speech, noise, params, mixtures):
    """Mix the samples of a condition at a head: Mixed.

    Talkers are never two files of one speaker. Over the mixtures every speaker is the loudest, and meets every noise.

    Parameters
    ----------
    wanted : Several
    name, source : str, of the head, as for hrir.load
    speech, noise : lists of shards.audio.Audio, of as many speakers as talkers
    params : Params
    mixtures : int

    """
    condition = _condition(wanted, name)
    params = replace(conditions.params_of(condition, params), talkers=(wanted.number,), talker_level_db=0.0,
                     least_talker_distance_deg=LEAST_DISTANCE_DEG)
    mixer, audio = mixing.Mixer(params, [conditions.head_of(condition, source, params)]), AudioCache(params)
    azimuths = AZIMUTHS if wanted.number else 1
    mixed = Mixed(np.empty((mixtures * azimuths, *params.sample_shape), np.float16),
                  *np.full((2, mixtures * azimuths, params.most_talkers), np.nan))
    for number in console.progress(range(mixtures), desc=f"{name}, {wanted.variant}"):
        masker = noise[number % len(noise)]
        rng = np.random.default_rng([params.seed, number, zlib.crc32(masker.name.encode())])
        spoken = [audio.speech(each) for each in _speakers(rng, number, speech, params.most_talkers)]
        first = mixer.speech_at_ears(rng, spoken[0], count=azimuths)
        speeches = [first, *(mixer.speech_in(rng, first.scene, each, count=len(conditions.GRID_DEG))
                             for each in spoken[1:])]
        drawn = _weaker(talkers.draw(rng, speeches, params), wanted.weaker_db)
        masking = mixer.noise_at_ears(rng, first.scene, audio.noise(masker))
        rows = slice(number * azimuths, (number + 1) * azimuths)
        mixer.cues(talkers.mix(speeches, drawn, params), masking, noise_gain(first.front, masking.signals, SNR_DB),
                   out=mixed.samples[rows])
        mixed.azimuth_deg[rows], mixed.level_db[rows] = drawn.azimuth_deg, drawn.level_db
    return mixed


def _speakers(rng, number, speech, count):
    """Draw files of `count` speakers, the first of whom is that speaker's turn; BadInput where there are fewer."""
    by_speaker = {}
    for audio in speech:
        by_speaker.setdefault(conditions.speaker_of(audio.name), []).append(audio)
    if len(by_speaker) < count:
        raise BadInput(f"--audio holds {len(by_speaker)} speakers in SpeechTEST, and {count} are mixed; add others, "
                       'named as "speaker-...".')
    names = sorted(by_speaker)
    first = names.pop(number % len(names))
    every = [first, *rng.permutation(names)[:count - 1].tolist()]
    return [by_speaker[each][rng.integers(len(by_speaker[each]))] for each in every]


def _weaker(drawn, weaker_db):
    """Make all talkers but the loudest weaker: talkers.Talkers -> Talkers."""
    change_db = np.where(np.arange(drawn.gains.shape[1]) > 0, -weaker_db, 0).astype(np.float32)
    return drawn._replace(level_db=drawn.level_db + change_db, gains=drawn.gains * 10 ** (change_db / 20))


def rows_of(wanted, name, mixed, systems):
    """Score every method: rows of accuracy.csv, of all samples and of those by the least distance of two talkers."""
    every = np.ones(len(mixed.samples), bool)
    groups = {"": every} | ({f", {distance} degrees": rows for distance, rows in scores.groups(
        mixed.azimuth_deg, mixed.level_db)["by_least_distance_deg"].items()} if wanted.number == 2 else {})
    told = []
    for system, answer in systems.items():
        answer_deg, single_deg = answer(mixed.samples)
        for suffix, rows in groups.items():
            figures = scores.score(answer_deg[rows], mixed.azimuth_deg[rows], single_deg[rows])
            told.append(_condition(wanted, name, wanted.variant + suffix).columns
                        | {"snr_db": SNR_DB, "system": system} | figures)
    return told


def _condition(wanted, name, variant=""):
    return conditions.Condition("talkers", name, "diffuse", wanted.frames, conditions.GRID_DEG, (SNR_DB,), variant)
