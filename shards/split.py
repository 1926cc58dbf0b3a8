"""The one split into training and validation: whole speech files; a single file is split by time."""
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Tell which excerpts train and which validate.

    `validation_files` are the digests of the speech files kept for validation. A single speech file has none; there
    validation gets the excerpts that begin at `border` or later, and training those that end before it. `border` and
    `duration`, of an excerpt, are in the unit of the starts that `split` was given.
    """

    validation_files: frozenset
    border: float | None
    duration: float

    def trains(self, digest, starts):
        """Tell which excerpts of a speech file train: its digest, starts (n,) -> bool (n,)."""
        if self.border is None:
            return np.full(len(starts), digest not in self.validation_files)
        return starts + self.duration <= self.border

    def files(self, speech):
        """Sort speech files (audio.Audio) into those that train and those that validate; a single one does both."""
        if self.border is not None:
            return speech, speech
        return ([audio for audio in speech if audio.sha256 not in self.validation_files],
                [audio for audio in speech if audio.sha256 in self.validation_files])

    def validates(self, digest, starts):
        """Tell which excerpts of a speech file validate: its digest, starts (n,) -> bool (n,)."""
        if self.border is None:
            return np.full(len(starts), digest in self.validation_files)
        return starts >= self.border


class OtherTalkers(Sequence):
    """List the speech files but those of one digest, without a list of its own: of 10,000 files each has 9,999 others.

    >>> from types import SimpleNamespace
    >>> speech = SpeechFiles(SimpleNamespace(sha256=digest) for digest in "aabc")
    >>> [other.sha256 for other in OtherTalkers(speech, "a")], OtherTalkers(speech, "b")[2].sha256
    (['b', 'c'], 'c')
    """

    def __init__(self, files, digest):
        self._files, self._digest, self._left_out = files, digest, files.places.get(digest, ())

    def __len__(self):
        return len(self._files) - len(self._left_out)

    def __getitem__(self, number):
        number = range(len(self))[number]
        for place in self._left_out:
            number += place <= number
        return self._files[number]

    @property
    def sha256(self):
        """Compute a digest of which files they are."""
        return hashlib.sha256(f"{self._files.sha256} without {self._digest}".encode()).hexdigest()


class SpeechFiles(list):
    """Hold speech files (audio.Audio), a digest of all of them, and at which places the digest of each stands."""

    def __init__(self, files):
        super().__init__(files)
        self.places = defaultdict(list)
        for place, each in enumerate(self):
            self.places[each.sha256].append(place)
        self.sha256 = hashlib.sha256(" ".join(each.sha256 for each in self).encode()).hexdigest()


def other_talkers(speech, params):
    """Tell which speech files may speak beside one: the others of its part of the split, or all where it has none.

    So a talker that training keeps for validation is in no sample that trains.

    Parameters
    ----------
    speech : list of audio.Audio
    params : Params, for validation_share

    Returns
    -------
    callable, audio.Audio -> OtherTalkers

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from params import Params
    >>> speech = [SimpleNamespace(sha256=digest) for digest in "aabcde"]
    >>> beside = other_talkers(speech, Params())
    >>> [other.sha256 for other in beside(speech[0])]       # of 5 files 1 is kept, here c
    ['b', 'd', 'e']
    >>> len(beside(speech[3]))
    5

    """
    every = SpeechFiles(speech)
    kept = split(every.places, None, None, params).validation_files if len(every.places) > 1 else frozenset()
    parts = [SpeechFiles(each for each in speech if (each.sha256 in kept) == is_kept) for is_kept in (False, True)]
    return lambda audio: OtherTalkers(parts[audio.sha256 in kept], audio.sha256) or OtherTalkers(every, audio.sha256)


def split(digests, starts_of_one, duration, params):
    """Keep a share of the speech files for validation, or the last part of a single one.

    Which files are kept does not depend on the seed. So a run that starts from another run's model never validates on
    what that model was trained on.

    Parameters
    ----------
    digests : iterable of str, digests of the speech files' bytes; the same file under two names counts once
    starts_of_one : callable -> np.ndarray [shape=(n,)], ascending: where excerpts of a single file begin
    duration : float, of an excerpt, in the unit of these starts
    params : Params, for validation_share

    Returns
    -------
    Split

    """
    files = sorted(set(digests))
    if len(files) > 1:
        count = max(1, round(params.validation_share * len(files)))
        kept = np.random.default_rng(0).permutation(len(files))[:count]
        return Split(frozenset(files[i] for i in kept), None, duration)
    starts = starts_of_one()
    return Split(frozenset(), starts[-max(1, round(params.validation_share * len(starts)))], duration)
