"""benchmarks/odds.py: tracks that repeat, and what counts as answered at which odds."""
import numpy as np
import pytest

import hrir
from benchmarks import odds
from network.answers import Answer, Hearing
from params import Params
from shards.audio import find_audio
from sound import mixing


@pytest.fixture
def mixed(wavs):
    """Make the tracks of a kind, from two speakers and a noise at MIT KEMAR."""
    params = Params()
    speech, _ = find_audio(wavs("SpeechTRAIN", 2), "--speech", params.excerpt_length, params)
    noise, _ = find_audio(wavs("NoiseTRAIN", 1), "--noise", 1, params)
    heads = [hrir.load("mit_kemar", params.sample_rate_hz, mixing.directions_deg(params))]
    return lambda kind, count=2: list(odds.ear_signals(kind, heads, speech, noise, count))


class Sure:
    """A network that hears a source in front, with odds of 3 against noise from all around."""

    def hear_rows(self, cues, starts, frames):
        """Answer as Listener.hear_rows does."""
        count, classes = len(starts), Params().class_deg
        distribution = np.tile(np.eye(len(classes))[classes.index(0)], (count, 1))
        return Hearing(Answer(np.zeros(count), np.ones(count), np.full(count, 3.0)), distribution,
                       np.full(count, np.log(3)))


@pytest.mark.parametrize("kind", odds.KINDS)
def test_tracks_repeat_and_know_their_talker(mixed, kind):
    first, again = mixed(kind), mixed(kind)
    for (ears, azimuth_deg), (same, _) in zip(first, again):
        np.testing.assert_array_equal(ears, same)
        assert ears.shape == (640 + 199 * 320, 2)
        assert (azimuth_deg is None) == kind.startswith("noise")


def test_a_source_is_answered_where_its_odds_exceed_those_demanded(mixed):
    tracks = mixed("noise")
    assert odds.heard(tracks, Sure(), 0.1) == (100, 0)      # nobody is there to be right about
    assert odds.heard(tracks, Sure(), 1000) == (0, 0)
    ears = [(ears, 3.0) for ears, _ in tracks]
    assert odds.heard(ears, Sure(), 0.1) == (100, 100)
