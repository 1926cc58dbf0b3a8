"""Listen to two channels of a sound card as they come, for Localise.py --live.

    with Microphone(params, device="USB") as microphone:     # or its number; None is the system's
        for heard in microphone.blocks():                    # MicrophoneBlock, until the reader stops
            ...

The driver hands its blocks to a callback that only keeps them; `blocks` resamples and yields them. What the card loses,
in an overrun or while it is unplugged, is replaced by as much silence: so time goes on truthfully.
"""
import time
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import NamedTuple

import numpy as np
import soxr

from console import BadInput, WarnOnce, warn
from shards.audio import CLIPPED_SHARE, GREATEST_SAMPLE, Clipping
from shards.devices import choose, devices, imported

BLOCK_S = 0.02          # that the driver hands over at once
LATENCY_S = 0.03        # asked of the driver: less makes overruns likely, more delays every answer
QUEUE_S = 10.0          # of blocks that wait while answers take long; more are dropped, and counted
GONE_S = 1.5            # without a block, from which on a card counts as unplugged
LOOK_AGAIN_S = 1.0      # from one look for an unplugged card to the next
WAIT_S = 0.1            # of silence that is yielded at once meanwhile
MOST_AT_ONCE_S = 1.0    # in a block that is yielded
CLIPPED_IN_S = 10.0     # stretches that are judged as clipped or not, each by itself
LONGEST_DELAY_S = 1.0   # between microphone and callback: a driver that states more states nonsense


class MicrophoneBlock(NamedTuple):
    """A block of both ears: `ears` (n, 2) at params.sample_rate_hz, `as_it_came` (m, 2) at the card's own rate.

    `until_s` is when the last sample of `as_it_came` reached the microphone, in seconds of time.monotonic. `overruns`
    counts how often the card lost something so far.
    """

    ears: np.ndarray
    as_it_came: np.ndarray
    until_s: float
    overruns: int


class _Taken(NamedTuple):
    """A block as the callback keeps it; `begun_s` is of time.monotonic, `stamp_s` of the card's clock, 0 if unknown."""

    block: np.ndarray
    begun_s: float
    stamp_s: float
    has_overrun: bool
    dropped: int         # samples just before it, for which the queue had no room


class Microphone:
    """Two channels of an input, as a context manager.

    `device` is the Device, `sample_rate_hz` its rate, `latency_s` what its driver states; `overruns` counts how often
    something was lost, `lost_s` how much altogether, `unplugged` how often the card was gone.
    """

    def __init__(self, params, device=None):
        """Open an input; BadInput where there is none of that name, or with the channels of `params`.

        Parameters
        ----------
        params : Params, for sample_rate_hz and channels
        device : str, optional: a number, or a part of a name; without it the system's own

        """
        self._sounddevice = imported()
        self._channels = params.channels or (1, 2)
        self.device = choose(devices(self._sounddevice), device)
        self.sample_rate_hz = self.device.sample_rate_hz
        self.overruns, self.lost_s, self.unplugged = 0, 0.0, 0
        self._tell, self._clipping, self._judged, self._to_rate = WarnOnce(), Clipping(), 0, None
        if self.sample_rate_hz != params.sample_rate_hz:
            self._to_rate = soxr.ResampleStream(self.sample_rate_hz, params.sample_rate_hz, 2, dtype="float32")
        self._stream = self._ahead = None
        self._until_s = self._gone_since_s = None        # of time.monotonic; the first is the end of what was yielded
        if self.device.channels < max(self._channels):
            raise BadInput(f"{self.device.full_name} has {self.device.channels} input channel(s), which are not enough "
                           f"for the channels {' and '.join(map(str, self._channels))}; choose another input with "
                           "--device or other --channels.")
        try:
            self._open(self.device)
        except (self._sounddevice.PortAudioError, ValueError) as problem:
            raise BadInput(f"{self.device.full_name} cannot be opened ({problem}); close what else uses it, or choose "
                           "another input with --device.") from problem

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close()

    @property
    def in_words(self):
        """Name the input, and of more than two channels the left and the right one."""
        if self.device.channels == 2:
            return self.device.full_name
        (left, right), count = self._channels, self.device.channels
        return f"{self.device.full_name}, channels {left} and {right} of {count} (--channels takes others)"

    @property
    def latency_s(self):
        """Give the delay from the microphone to the callback, as the driver states it."""
        return getattr(self._stream, "latency", 0.0)  # which not every driver states

    def blocks(self):
        """Yield blocks as they come, MicrophoneBlock each, without an end."""
        while True:
            try:
                taken = self._next()
            except Empty:
                if self._is_gone():
                    yield from self._waited_for()
                continue
            if self._gone_since_s is not None:
                warn(f"{self.device.full_name} is back after {time.monotonic() - self._gone_since_s:.0f} s.")
                self._gone_since_s = None
            missing = self._missing_before(taken)
            if (taken.has_overrun or taken.dropped) and self._until_s is not None:            # some begin with one
                self._count_overrun(missing)
            yield from self._silence(missing)
            yield self._heard(taken.block, taken.begun_s + len(taken.block) / self.sample_rate_hz)
            self._until_stamp_s = taken.stamp_s and taken.stamp_s + len(taken.block) / self.sample_rate_hz

    # ---------------------------------------------------------------------------------------------- the driver's side

    def _open(self, device):
        """Start the stream: with the channels that are needed, or with all, as some cards want."""
        self._queue, self._dropped, self._until_stamp_s = Queue(round(QUEUE_S / BLOCK_S)), 0, None
        for channels in sorted({max(self._channels), device.channels}):
            try:
                self._stream = self._sounddevice.InputStream(
                    samplerate=self.sample_rate_hz, blocksize=round(BLOCK_S * self.sample_rate_hz),
                    device=device.number, channels=channels, dtype="float32", latency=LATENCY_S, callback=self._take)
                self._taken_at_s = time.monotonic()
                self._stream.start()
                return
            except self._sounddevice.PortAudioError:
                self._close()
                if channels == device.channels:
                    raise

    def _close(self):
        """Close the stream once: PortAudio frees it."""
        if self._stream:
            self._stream.close()
        self._stream = None

    def _take(self, block, frames, times, status):
        """Keep a block; a thread of the driver calls this, where nothing may wait."""
        self._taken_at_s = now_s = time.monotonic()
        recorded_s, now_of_card_s = (times.inputBufferAdcTime, times.currentTime) if times else (0.0, 0.0)  # unknown
        delay_s = now_of_card_s - recorded_s
        begun_s = now_s - (delay_s if 0 < delay_s < LONGEST_DELAY_S else frames / self.sample_rate_hz)
        ears = block[:, [channel - 1 for channel in self._channels]]                          # a copy
        try:
            self._queue.put_nowait(_Taken(ears, begun_s, recorded_s, bool(status and status.input_overflow),
                                          self._dropped))
            self._dropped = 0
        except Full:
            self._dropped += frames

    # ---------------------------------------------------------------------------------------------- the reader's side

    def _next(self):
        """Take what waits: blocks that join, as one, so that a reader who is behind catches up; Empty without any."""
        taken, self._ahead = self._ahead or self._queue.get(timeout=WAIT_S), None
        joining = [self._sound_of(taken.block)]
        while len(joining) * BLOCK_S < MOST_AT_ONCE_S:
            with suppress(Empty):
                self._ahead = self._queue.get_nowait()
            if self._ahead is None or self._ahead.has_overrun or self._ahead.dropped:
                break
            joining.append(self._sound_of(self._ahead.block))
            self._ahead = None
        return taken._replace(block=np.concatenate(joining))

    def _heard(self, block, until_s):
        self._until_s = until_s
        ears = self._to_rate.resample_chunk(block) if self._to_rate else block
        return MicrophoneBlock(ears, block, until_s, self.overruns)

    def _sound_of(self, block):
        """Give a block, or as much silence where it is no sound; what is wrong with it is told once."""
        if not np.abs(block).max(initial=0) <= GREATEST_SAMPLE:                              # NaN is not, either
            self._tell(f"{self.device.full_name} delivers NaN, infinite or enormous samples, which count as silence; "
                       "choose another driver system of the same card with --device.")
            return np.zeros_like(block)
        self._clipping.add(block)
        self._judged += len(block)
        if self._judged >= CLIPPED_IN_S * self.sample_rate_hz:
            if self._clipping.share > CLIPPED_SHARE:
                self._tell(f"{self.device.full_name} is clipped: samples stay at its highest level, which blurs the "
                           "level differences; give it less gain.")
            self._clipping, self._judged = Clipping(), 0
        return block

    def _missing_before(self, taken):
        """Count the samples between the last block and this one: those the queue dropped, or what the clocks tell."""
        if taken.dropped or self._until_s is None:
            return taken.dropped
        if self._until_stamp_s is None:                                           # the first one after an interruption
            missing_s = taken.begun_s - self._until_s
        elif not taken.has_overrun:                                               # clocks jitter; blocks join
            return 0
        else:
            missing_s = (taken.stamp_s - self._until_stamp_s if taken.stamp_s and self._until_stamp_s
                         else taken.begun_s - self._until_s)
        return max(0, round(missing_s * self.sample_rate_hz))

    def _count_overrun(self, missing):
        self.overruns += 1
        self.lost_s += missing / self.sample_rate_hz
        self._tell(f"{self.device.full_name} had an overrun: lost samples count as silence, and later overruns are "
                   "only counted; close other programs, or take a larger --hop-s.")

    def _silence(self, count):
        """Yield `count` samples of silence, a second at most at once."""
        most = round(MOST_AT_ONCE_S * self.sample_rate_hz)
        for at in range(0, count, most):
            block = np.zeros((min(most, count - at), 2), np.float32)
            yield self._heard(block, self._until_s + len(block) / self.sample_rate_hz)

    def _is_gone(self):
        with suppress(self._sounddevice.PortAudioError):
            if self._stream.active:
                return time.monotonic() - self._taken_at_s > GONE_S
        return self._queue.empty()                                                # what came before is heard first

    def _waited_for(self):
        """Yield silence until the card can be opened again."""
        if self._gone_since_s is None:
            self._gone_since_s = time.monotonic()
            self.unplugged += 1
            warn(f"{self.device.full_name} is gone; waiting for it.")
        self._close()
        while True:
            yield from self._silence_until_now()
            if self._is_back():
                return
            looked_s = time.monotonic()
            while time.monotonic() - looked_s < LOOK_AGAIN_S:
                time.sleep(WAIT_S)
                yield from self._silence_until_now()

    def _silence_until_now(self):
        self._until_s = self._until_s or time.monotonic()
        yield from self._silence(round((time.monotonic() - self._until_s) * self.sample_rate_hz))

    def _is_back(self):
        """Look for the card again, and open it if it is there."""
        with suppress(self._sounddevice.PortAudioError):
            self._sounddevice._terminate()                                        # PortAudio lists the cards only once
            self._sounddevice._initialize()
            same = [each for each in devices(self._sounddevice) if each.lasting_name == self.device.lasting_name]
            if same:
                self._open(min(same, key=lambda each: each.number != self.device.number))
                return True
        return False
