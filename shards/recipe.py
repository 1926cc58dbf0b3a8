"""The recipe of a sample: speech at the ears, noise at the ears, a gain for the SNR, interaural cues.

Every random draw comes from the seed and the names of the two files, so a shard is the same whichever others are made,
in whatever order and by however many jobs.
"""
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shards.audio import Audio
from shards.files import seed_of
from shards.split import OtherTalkers, SpeechFiles, other_talkers
from sound import talkers
from sound.mixing import Noise, Speech
from sound.noise_fields import noise_gain


def samples_of_pair(pair, mixer, audio, excerpts=None):
    """Make the samples of a speech and a noise file, one Mixture after another.

    Parameters
    ----------
    pair : PairPlan
    mixer : sound.mixing.Mixer
    audio : shards.audio.AudioCache
    excerpts : iterable of int, optional: which excerpts of the speech, all of Params unless given

    Yields
    ------
    Mixture, whose `cues` the next one overwrites

    """
    params, buffer = mixer.params, np.empty((len(mixer.params.azimuth_deg), *mixer.params.sample_shape), np.float16)
    for number in range(params.excerpts) if excerpts is None else excerpts:
        rng = pair.generator(number, params)
        speech = mixer.speech_at_ears(rng, audio.speech(pair.speech), number, params.excerpts)       # (azimuth, ear, n)
        if params.has_talkers:
            speech = _with_talkers(rng, speech, pair, mixer, audio)
        noise = mixer.noise_at_ears(rng, speech.scene, audio.noise(pair.noise), pair.talker(audio))  # (ear, n)
        cues = buffer[:len(speech.signals)]
        for snr_db in mixer.snrs_db(rng, noise):
            gain = noise_gain(speech.front, noise.signals, snr_db)                                   # sets the SNR
            mixer.cues(speech, noise, gain, out=cues)                 # IPD and ILD of the STFT of speech + gain * noise
            yield Mixture(speech, noise, snr_db, gain, cues)          # (azimuth, bin, frame, 2)


def _with_talkers(rng, speech, pair, mixer, audio):
    """Draw the other talkers of each azimuth and add them to the first one's Speech; all SNRs share them."""
    count = mixer.params.most_talkers - 1
    which = rng.choice(len(pair.talkers), count, replace=len(pair.talkers) < count) if count else []
    others = [mixer.speech_in(rng, speech.scene, audio.speech(pair.talkers[each])) for each in which]
    return talkers.mix([speech, *others], talkers.draw(rng, [speech, *others], mixer.params), mixer.params)


def talkers_beside(speech, params):
    """Tell which files of `speech` one of them is mixed with, beside it or in its noise, for PairPlan.

    Those beside it are of the same part of the split; a competing talker in the noise may be any other.

    Returns
    -------
    callable, audio.Audio -> sequence of audio.Audio

    """
    if params.most_talkers > 1:
        return other_talkers(speech, params)
    if has_competing_talkers(params):
        files = SpeechFiles(speech)
        return lambda audio: OtherTalkers(files, audio.sha256)
    return lambda audio: ()


def has_competing_talkers(params):
    """Tell whether the noise may hold a competing talker, which it never does beside counted ones."""
    return not params.has_talkers and bool({"talker", "mixed"} & set(params.noise_field))


class Mixture(NamedTuple):
    """Hold speech from every azimuth in one noise at one SNR, and its `cues` float16 (azimuth, bin, frame, 2)."""

    speech: Speech
    noise: Noise
    snr_db: float
    gain: float
    cues: np.ndarray


class PairPlan(NamedTuple):
    """Plan the shard of a speech and a noise file (plan.ShardPlan).

    `talkers` are the speech files of others, who may compete in the noise, or speak beside it where Params has talkers:
    split.OtherTalkers, or nothing.
    """

    speech: Audio
    noise: Audio
    talkers: Sequence
    path: Path

    @property
    def names(self):
        """Give the names of the speech and the noise, as the shard stores them."""
        return self.speech.name, self.noise.name

    def digests(self):
        """Describe the files that the shard is made of, to tell when they were replaced."""
        return {"speech_sha256": self.speech.sha256, "noise_sha256": self.noise.sha256} | (
            {"talkers_sha256": self.talkers.sha256} if self.talkers else {})

    def generator(self, number, params):
        """Make the random generator of the pair's excerpt of this number."""
        return np.random.default_rng([params.seed, number, *seed_of(*self.names)])

    def counts(self, mixer):
        """Count the azimuths of each excerpt: those that its head, which is drawn first, offers."""
        offered = [len(grid.azimuths) for grid in mixer.grids]
        return [offered[mixer.draw_head(self.generator(number, mixer.params))]
                for number in range(mixer.params.excerpts)]

    def count(self, mixer):
        """Count the samples of the shard."""
        params = mixer.params
        offered = {len(grid.azimuths) for grid in mixer.grids}
        azimuths = params.excerpts * offered.pop() if len(offered) == 1 else sum(self.counts(mixer))
        return (1 if params.snr_range_db else len(params.snr_db)) * azimuths

    def talker(self, audio):
        """Give a function, rng -> excerpts.Clip of a competing talker."""
        return lambda rng: audio.speech(self.talkers[rng.integers(len(self.talkers))])

    def samples(self, mixer, audio):
        """Make the samples: cues (azimuth, bin, frame, 2) of each mixture, with its files.BY_SAMPLE."""
        params = mixer.params
        for speech, noise, snr_db, _, cues in samples_of_pair(self, mixer, audio):
            same = {"snr_db": np.float32(snr_db), "noise_field": noise.field, "hrir": speech.scene.hrir,
                    "room_rt60_s": np.float32(speech.scene.rt60_s),
                    "excerpt_start_s": np.float32(speech.start / params.sample_rate_hz)}
            yield cues, {name: np.full(len(cues), value) for name, value in same.items()} | {
                "labels": speech.azimuth_deg} | ({"talker_azimuth_deg": speech.talkers.azimuth_deg,
                                                  "talker_level_db": speech.talkers.level_db} if speech.talkers else {})

    def ears(self, row, mixer, audio):
        """Make the ear signals (2, n) of the shard's sample `row`, to listen to."""
        counts = self.counts(mixer)
        begins = np.cumsum([0, *counts]) * (self.count(mixer) // sum(counts))
        number = int(np.searchsorted(begins, row, side="right")) - 1
        snr, azimuth = divmod(row - int(begins[number]), counts[number])
        mixture = next(itertools.islice(samples_of_pair(self, mixer, audio, [number]), snr, None))
        return mixer.ears(mixture.speech, mixture.noise, mixture.gain)[azimuth]
