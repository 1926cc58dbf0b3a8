"""Play arrays in place of sound cards, for tests and benchmarks: what shards/microphone.py uses of sounddevice.

    card = Card("USB Audio", ears, 48_000)              # (n, channel), repeated without an end
    sys.modules["sounddevice"] = FakeSounddevice([card])
    card.is_plugged = False                             # the cable is pulled

A card plays at its rate; with `card.may_play` as fast as that allows: before each block it is asked, given the seconds
that were played, until it is true.
"""
import threading
import time
from types import SimpleNamespace

import numpy as np

POLL_S = 0.001
HOSTS = ({"name": "ALSA"}, {"name": "JACK"})


class PortAudioError(Exception):
    """As of sounddevice."""


class Card:
    """A sound card that plays a signal (n, channel).

    `overruns` is a dict of a block's number to the samples lost before it. `needs_all_channels`: it opens with all of
    them alone, as some do. `opened_with` are the options of the last stream.
    """

    def __init__(self, name, signal, sample_rate_hz, host=0, may_play=None):
        self.name, self.signal, self.sample_rate_hz, self.host = name, signal, sample_rate_hz, host
        self.may_play = may_play
        self.is_plugged, self.needs_all_channels, self.knows_time = True, False, True
        self.overruns, self.opened_with, self.played = {}, None, 0

    @property
    def channels(self):
        """Count its inputs."""
        return self.signal.shape[1]


class FakeSounddevice:
    """Stand in for the module; the first card that is plugged in is the system's own."""

    PortAudioError = PortAudioError

    def __init__(self, cards):
        self.cards, self._known = cards, []
        self._initialize()

    def _initialize(self):
        self._known = [card for card in self.cards if card.is_plugged]   # PortAudio lists them once

    def _terminate(self):
        self._known = []

    def query_hostapis(self):
        """List the driver systems."""
        return HOSTS

    def query_devices(self, kind=None):
        """List the cards, or give the system's own."""
        told = [{"name": card.name, "index": number, "hostapi": card.host, "max_input_channels": card.channels,
                 "default_samplerate": float(card.sample_rate_hz)} for number, card in enumerate(self._known)]
        if kind is None:
            return told
        if not any(each["max_input_channels"] for each in told):
            raise PortAudioError("Error querying device -1")
        return next(each for each in told if each["max_input_channels"])

    def InputStream(self, **options):  # noqa: N802 - as of sounddevice
        """Open a card."""
        return _FakeStream(self._known[options["device"]], **options)


class _FakeStream:
    latency = 0.01

    def __init__(self, card, samplerate, blocksize, channels, callback, **options):
        if not card.is_plugged or channels > card.channels or samplerate != card.sample_rate_hz \
                or card.needs_all_channels and channels != card.channels:
            raise PortAudioError("Error opening InputStream")
        self._card, self._size, self._channels, self._callback = card, blocksize, channels, callback
        card.opened_with = options | {"samplerate": samplerate, "blocksize": blocksize, "channels": channels}
        self._is_closed, self.active, self._thread = False, False, threading.Thread(target=self._play, daemon=True)

    def start(self):
        """Begin to play, in a thread as PortAudio's."""
        self.active = True
        self._thread.start()

    def close(self):
        """End."""
        self._is_closed = True
        self._thread.join()

    def _play(self):
        card, rate, begun_s, sent, taken = self._card, self._card.sample_rate_hz, time.monotonic(), 0, 0
        while not self._is_closed:
            lost = card.overruns.pop(sent, 0)
            taken += lost + self._size
            if card.may_play is None:
                time.sleep(max(0.0, begun_s + taken / rate - time.monotonic()))
            while card.may_play and not self._is_closed and not card.may_play(card.played / rate):
                time.sleep(POLL_S)
            if self._is_closed or not card.is_plugged:
                break
            card.played += lost
            rows = np.arange(card.played, card.played + self._size) % len(card.signal)
            card.played += self._size
            sent += 1
            captured_s = 100 + (taken - self._size) / rate
            times = SimpleNamespace(inputBufferAdcTime=captured_s if card.knows_time else 0.0,
                                    currentTime=captured_s + self._size / rate if card.knows_time else 0.0)
            self._callback(card.signal[rows, :self._channels].astype(np.float32), self._size, times,
                           SimpleNamespace(input_overflow=bool(lost)))
        self.active = False
