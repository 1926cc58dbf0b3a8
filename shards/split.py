"""The one split into training and validation: whole speech files; a single file is split by time."""
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


def other_talkers(audio, speech, params):
    """List the speech files that may speak beside one: the others of its part of the split, or all where it has none.

    So a talker that training keeps for validation is in no sample that trains.

    >>> from types import SimpleNamespace
    >>> from params import Params
    >>> speech = [SimpleNamespace(sha256=digest) for digest in "aabcde"]
    >>> [other.sha256 for other in other_talkers(speech[0], speech, Params())]       # of 5 files 1 is kept, here c
    ['b', 'd', 'e']
    >>> len(other_talkers(speech[3], speech, Params()))
    5
    """
    others = [other for other in speech if other.sha256 != audio.sha256]
    if not others:
        return []
    kept = split((each.sha256 for each in speech), None, None, params).validation_files
    return [other for other in others if (other.sha256 in kept) == (audio.sha256 in kept)] or others


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
