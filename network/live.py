"""Track an input that never ends: rows as they come, in memory that does not grow, and what is wrong with the channels.

    tracker = LiveTracker(network.hear_rows, params, hop_frames=2, name="the input")
    for block in blocks:                                     # (n, 2), left ear first
        track = tracker.push(block)                          # Track of whatever windows are complete
        tracker.heard                                        # with most_sources=2: for each row, its sources.Heard

A window of fewer frames (params.frames) answers sooner: docs/recordings.md says what that costs.
"""
import time
from dataclasses import replace

import numpy as np

from console import BadInput, WarnOnce
from network.channels import ChannelCheck
from network.sources import Follower
from network.tracking import DOUBTFUL_HALF_WIDTH_DEG, Tracker
from network.tracks import Track
from scores.live import Answered

CHECKED_S = 30.0     # of sound, after which the two channels are judged, and measured anew


class LiveTracker(Tracker):
    """Track ear signals of which nobody knows what comes; of those that came, only what rows to come need is kept.

    `heard` lists for each row of the last block the sources.Heard in it, with `most_sources` above 1.
    """

    def __init__(self, hear, params, hop_frames, balance=None, smooths=True, most_sources=1, name="the input"):
        """Start with nothing heard; parameters as of Tracker.

        The `balance` hears what comes. `most_sources` are followed at a time, more than 1 with numbers. `name` begins
        the sentences about the channels.
        """
        super().__init__(hear, params, hop_frames, balance, smooths)
        self.spectrogram, self.heard, self.name = None, [], name
        self._follower = Follower(self.hop_s, params, most_sources) if most_sources > 1 else None
        self._tell, self._unchecked = WarnOnce(), 0

    def push(self, ears):
        """Take a block (n, 2), left ear first, and return the Track of the rows it completes; BadInput as of `sources`.

        What is wrong with the channels is told once, and widens the half-widths while it lasts.
        """
        if self.balance:
            self.balance.add(ears)
        is_doubtful = self.channels.is_doubtful
        track = super().push(ears)
        del self._rows[:-1]
        self.heard = []
        if self._follower and len(track.time_s):
            self.heard = [self._follower.push(row[np.newaxis]) for row in self.latest_presence()]
            self._follower.forget()
        self._unchecked += len(ears)
        if self._unchecked >= CHECKED_S * self.params.sample_rate_hz:
            self._check_channels()
        if not is_doubtful:
            return track
        return track._replace(half_width_68_deg=np.maximum(track.half_width_68_deg, DOUBTFUL_HALF_WIDTH_DEG))

    def _check_channels(self):
        """Judge the channels by what came since they were last judged."""
        judged, self._unchecked = self.channels, 0
        judged.is_doubtful = False
        try:
            judged.check(self.name, self._tell, "check the cable and the input's gain")
        except BadInput as problem:            # which may be put right while it is heard
            judged.is_doubtful = judged.peak.max() > 0
            self._tell(str(problem))
        self.channels = ChannelCheck(self.params)
        self.channels.is_doubtful = judged.is_doubtful


def live_params(params, swaps_ears=False):
    """Fit Params to listening: frames of the window, and channels, exchanged where the first is the right ear.

    >>> from params import Params
    >>> fitted = live_params(replace(Params(), live_window_s=0.3), swaps_ears=True)
    >>> fitted.frames, fitted.sample_s, fitted.channels
    (14, 0.3, (2, 1))
    """
    frames = 1 + (round(params.live_window_s * params.sample_rate_hz) - params.stft_window_samples) \
        // params.stft_hop_samples
    channels = params.channels or (1, 2)
    return replace(params, frames=frames, channels=channels[::-1] if swaps_ears else channels)


def live_answers(blocks, sample_rate_hz, tracker):
    """Yield an Answered for each row of what a sound card hears.

    Parameters
    ----------
    blocks : iterable of microphone.MicrophoneBlock
    sample_rate_hz : int, of the sound card
    tracker : LiveTracker

    """
    samples = 0
    for block in blocks:
        track, samples = tracker.push(block.ears), samples + len(block.as_it_came)
        begun_s = block.until_s - samples / sample_rate_hz                  # of time.monotonic, where time_s is 0
        for at, time_s in enumerate(track.time_s):
            latency_s = time.monotonic() - begun_s - (time_s + tracker.params.sample_s / 2)
            yield Answered(Track(*(each[at:at + 1] for each in track)), tracker.heard[at] if tracker.heard else None,
                           float(latency_s), block.overruns)
