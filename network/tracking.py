"""Track a recording over time: ear signals -> azimuth, uncertainty and level every hop, in bounded memory.

    track = localise(ears, sample_rate_hz)                   # one call for an array

    tracker = Tracker(network.answer, Params(), hop_frames=5)
    for block in blocks:                                     # (n, 2), left ear first
        rows = tracker.push(block)                           # whatever seconds are complete
    track = tracker.track()

A row covers the second around its time. It has no azimuth where there is no source: in silence, and where the network
is unsure, as in noise from all around.
"""
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

import features
from console import BadInput, warn
from params import Params

PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained" / "best.keras"
SILENT_PEAK = 1e-4           # -80 dB full scale
WIDE_SHARE = 0.3             # of the seconds with a delay that no head makes, from which on a recording is not binaural

DELAY_SEARCH_S = 0.02        # how far apart the channels of a stereo mix are looked for
HEAD_DELAY_S = 1e-3          # no head delays a sound by more: that of an adult is 0.65 to 0.8 ms
MOST_COLUMNS = 2048          # of the spectrogram for the picture: with more, neighbours are averaged


def localise(ears, sample_rate_hz, hop_s=0.1, model=PRETRAINED):
    """Localise the sound in two ear signals over time.

    Parameters
    ----------
    ears : np.ndarray [shape=(2, n) or (n, 2)], left ear first; floats of full scale 1, or integers of
        the full scale of their type
    sample_rate_hz : float, any
    hop_s : float, from row to row, in steps of 0.02 s
    model : path of a .keras file, the model that ships unless given

    Returns
    -------
    Track

    Raises
    ------
    BadInput : another shape, values that are not finite, too short, silent, or not of two ears

    Examples
    --------
    Two seconds of noise through the shipped head from 45 degrees on the right:

    >>> import hrir
    >>> head = hrir.load("mit_kemar", 44_100, [45])
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 88_200)
    >>> ears = np.stack([np.convolve(noise, ear) for ear in head.response[0]])
    >>> track = localise(ears, 44_100, hop_s=0.5)
    >>> track.time_s.round(2)
    array([0.51, 1.01])
    >>> bool(np.all(abs(track.azimuth_deg - 45) < 5))
    True

    """
    ears = np.asarray(ears)
    if ears.ndim != 2 or 2 not in ears.shape:
        raise BadInput(f"ears have the shape {ears.shape}; two ear signals have (2, n) or (n, 2).")
    if np.issubdtype(ears.dtype, np.integer):
        ears = ears / (np.iinfo(ears.dtype).max + 1.0)
    if not np.issubdtype(ears.dtype, np.floating) or not np.isfinite(ears).all():
        raise BadInput("ears hold NaN, infinite or complex values; they must be finite real numbers.")
    if not sample_rate_hz > 0:
        raise BadInput(f"sample_rate_hz {sample_rate_hz} is not possible; it must be above 0.")
    params = replace(Params(), hop_s=hop_s)
    blocks = np.ascontiguousarray(ears.T if ears.shape[0] == 2 else ears, np.float32)               # (n, ear)
    tracker = Tracker(_network(model).answer, params, hop_frames_of(params))
    tracker.push(soxr.resample(blocks, sample_rate_hz, params.sample_rate_hz))
    tracker.check("the array")
    return tracker.track()


@lru_cache(maxsize=1)
def _network(path):
    from network.model import Network  # here, not above: TensorFlow takes seconds

    return Network.load(path)


def hop_frames_of(params):
    """Return params.hop_s in frames, at least 1."""
    return max(1, round(params.hop_s * params.sample_rate_hz / params.stft_hop_samples))


class Track(NamedTuple):
    """Rows of a localised recording, one every hop.

    `time_s` (row,) is the middle of the second that a row covers. `azimuth_deg` (row,) is NaN where there is no
    source, and so is `half_width_68_deg` (row,), within which 68 % of the errors lie. `level_db` (row,) is in dB of
    full scale.
    """

    time_s: np.ndarray
    azimuth_deg: np.ndarray
    half_width_68_deg: np.ndarray
    level_db: np.ndarray

    @property
    def has_source(self):
        """Tell which rows have an azimuth: (row,) bool."""
        return np.isfinite(self.azimuth_deg)

    def overall(self):
        """Return the medians of azimuth and half-width over the rows with a source, in degrees; NaN without any."""
        if not self.has_source.any():
            return np.nan, np.nan
        return float(np.nanmedian(self.azimuth_deg)), float(np.nanmedian(self.half_width_68_deg))


NO_ROWS = Track(*[np.empty(0)] * 4)


class Tracker:
    """Track ear signals block by block; a row is given as soon as its second is complete.

    After the last block: `seconds` of signal, `is_one_signal` whether both ears heard the same throughout,
    `wide_share` the share of seconds with a delay between the ears that no head makes, `peak` of each ear (1 = full
    scale), `spectrogram`.
    """

    def __init__(self, answer, params, hop_frames):
        """Start with an empty recording.

        Parameters
        ----------
        answer : callable, samples (n, bin, frame, 2) float16 -> model.Answer: azimuths, 68 and 95 % half-widths, each
            (n,) in degrees
        params : Params, for the features, frames, silence_dbfs and most_half_width_95_deg
        hop_frames : int, frames of 20 ms from row to row

        """
        self.params, self.hop_frames, self._answer = params, hop_frames, answer
        self._signal = np.empty((0, 2), np.float32)                    # less than a window, or not yet framed
        self._cues = np.empty((params.bins, 0, 2), np.float16)         # of the frames that rows to come need
        self._power = np.empty(0)                                      # of each of them
        self._first = self._next = 0                                   # numbers of the first of them, of the next row's
        self._rows, self._samples, self._apart, self._delays = [], 0, False, []
        self._second = np.empty((0, 2), np.float32)
        self.spectrogram, self.peak = Spectrogram(params.bins), np.zeros(2)

    def push(self, ears):
        """Take a block (n, 2), left ear first, and return the Track of the rows it completes."""
        self._samples += len(ears)
        self.peak = np.maximum(self.peak, np.abs(ears).max(axis=0, initial=0))
        self._apart = self._apart or bool(np.any(ears[:, 0] != ears[:, 1]))
        self._measure_delays(ears)
        self._add_frames(ears)
        complete = self._first + self._cues.shape[1] - self.params.frames + 1
        starts = np.arange(self._next, complete, self.hop_frames)
        self._next += len(starts) * self.hop_frames
        rows = self._rows_at(starts)
        done = min(self._next - self._first, self._cues.shape[1])
        self._cues, self._power, self._first = self._cues[:, done:], self._power[done:], self._first + done
        self._rows.append(rows)
        return rows

    def track(self):
        """Return all rows so far."""
        return Track(*map(np.concatenate, zip(*self._rows))) if self._rows else NO_ROWS

    @property
    def seconds(self):
        """Return the duration of all blocks so far, in seconds."""
        return self._samples / self.params.sample_rate_hz

    @property
    def is_one_signal(self):
        """Tell whether both ears heard exactly the same."""
        return not self._apart

    @property
    def wide_share(self):
        """Return the share of the seconds whose interaural delay is longer than a head makes."""
        return float(np.mean(np.abs(self._delays) > HEAD_DELAY_S)) if self._delays else 0.0

    def check(self, name):
        """Check after the last block that the two channels are those of two ears.

        Raises BadInput where they cannot be; warns where a stereo mix is likely. `name` is of the recording.
        """
        if self.seconds < self.params.sample_s:
            raise BadInput(f"{name} is {self.seconds:.3f} s long; it must be at least {self.params.sample_s:.3f} s.")
        if self.peak.min() < SILENT_PEAK <= self.peak.max():
            side = ("left", "right")[int(self.peak.argmin())]
            raise BadInput(f"{name} has nothing in its {side} channel; check the microphone or its cable and record "
                           "again.")
        if self.is_one_signal:
            raise BadInput(f"{name} holds the same signal in both channels, so no direction can be heard; "
                           "record with two microphones at the ears.")
        if self.wide_share > WIDE_SHARE:
            warn(f"{name}: {100 * self.wide_share:.0f} % of it has delays between the channels that no head makes; is "
                 "it a stereo mix, not a binaural recording? The azimuths mean little then.")

    def _add_frames(self, ears):
        window, hop = self.params.stft_window_samples, self.params.stft_hop_samples
        signal = np.concatenate((self._signal, ears))
        count = max(0, 1 + (len(signal) - window) // hop)
        self._signal = signal[count * hop:]
        if count:
            spectra = features.stft(signal[:window + (count - 1) * hop].T, self.params)       # (ear, bin, frame)
            cues = features.interaural_cues(*spectra, self.params.power_floor).astype(np.float16)
            power = np.square(signal[:count * hop], dtype=np.float64).reshape(count, -1).mean(axis=1)
            self._cues = np.concatenate((self._cues, cues), axis=1)
            self._power = np.concatenate((self._power, power))
            self.spectrogram.add((np.square(spectra.real) + np.square(spectra.imag)).sum(axis=0))

    def _rows_at(self, starts):
        p, frames = self.params, self.params.frames
        if not len(starts):
            return NO_ROWS
        samples = np.stack([self._cues[:, at:at + frames] for at in starts - self._first])
        azimuth_deg, half_width_68_deg, half_width_95_deg = self._answer(samples)
        power = np.array([self._power[at:at + frames].mean() for at in starts - self._first])
        level_db = 10 * np.log10(np.maximum(power, 1e-20))
        is_sure = ~(half_width_95_deg > p.most_half_width_95_deg)  # NaN, of a network of squared error, counts as sure
        is_source = (level_db > p.silence_dbfs) & is_sure
        time_s = (starts * p.stft_hop_samples + p.sample_length / 2) / p.sample_rate_hz
        return Track(time_s, np.where(is_source, azimuth_deg, np.nan), np.where(is_source, half_width_68_deg, np.nan),
                     level_db)

    def _measure_delays(self, ears):
        """Measure the delay of every whole second, where its cross-correlation with phase transform is highest."""
        rate = self.params.sample_rate_hz
        signal = np.concatenate((self._second, ears))
        count = len(signal) // rate
        self._second = signal[count * rate:]
        for second in signal[:count * rate].reshape(count, rate, 2):
            if np.square(second).mean() > 10 ** (self.params.silence_dbfs / 10):
                left, right = np.fft.rfft(second.T, 2 * rate)
                cross = right * np.conj(left)
                correlation = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12))
                reach = round(DELAY_SEARCH_S * rate)
                self._delays.append((np.roll(correlation, reach)[:2 * reach + 1].argmax() - reach) / rate)


class Spectrogram:
    """Average power over time into at most MOST_COLUMNS columns, however long the recording."""

    def __init__(self, bins):
        self.frames_per_column = 1
        self._columns, self._waiting = np.empty((bins, 0), np.float32), np.empty((bins, 0), np.float32)

    def add(self, power):
        """Add the power (bin, frame) of some frames."""
        waiting = np.concatenate((self._waiting, power.astype(np.float32)), axis=1)
        whole = waiting.shape[1] // self.frames_per_column
        used = whole * self.frames_per_column
        columns = waiting[:, :used].reshape(len(waiting), whole, -1).mean(axis=2) if whole else waiting[:, :0]
        self._columns, self._waiting = np.concatenate((self._columns, columns), axis=1), waiting[:, used:]
        while self._columns.shape[1] > MOST_COLUMNS:
            if self._columns.shape[1] % 2:                             # the odd one waits for its neighbour
                self._waiting = np.concatenate((np.repeat(self._columns[:, -1:], self.frames_per_column, axis=1),
                                                self._waiting), axis=1)
                self._columns = self._columns[:, :-1]
            self._columns = self._columns.reshape(len(self._columns), -1, 2).mean(axis=2)
            self.frames_per_column *= 2

    def power(self):
        """Return the mean power (bin, column)."""
        return self._columns
