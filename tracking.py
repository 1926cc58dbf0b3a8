"""A recording over time: ear signals in blocks -> azimuth, spread and level every hop, in bounded memory. Arrays only.

    tracker = Tracker(network.answer, Params(), hop_frames=5)
    for block in dataset.ear_blocks("talk.wav", params):     # (n, 2)
        rows = tracker.push(block)                           # whatever seconds are complete
    track = tracker.track()

A row is about the one second around its time; it has no azimuth where there is no source: in silence, and where the
network is unsure, as it is in noise from all around.
"""
from typing import NamedTuple

import numpy as np

import features

DELAY_SEARCH_S = 0.02        # how far apart the channels of a stereo mix are looked for
HEAD_DELAY_S = 1e-3          # no head delays a sound by more: that of an adult is 0.65 to 0.8 ms
MOST_COLUMNS = 2048          # of the spectrogram for the picture: with more, neighbours are averaged


class Track(NamedTuple):
    """Rows, each array (row,): the middle of the second in s, azimuth and spread in degrees (NaN: no source), dBFS."""

    time_s: np.ndarray
    azimuth_deg: np.ndarray
    spread_deg: np.ndarray
    level_db: np.ndarray

    @property
    def has_source(self):
        """Which rows have an azimuth: (row,) bool."""
        return np.isfinite(self.azimuth_deg)

    def overall(self):
        """Median azimuth and median spread of the rows with a source, in degrees; NaN without any."""
        if not self.has_source.any():
            return np.nan, np.nan
        return float(np.nanmedian(self.azimuth_deg)), float(np.nanmedian(self.spread_deg))


NO_ROWS = Track(*[np.empty(0)] * 4)


class Tracker:
    """Takes ear signals block by block and gives rows as soon as their second is complete.

    After the last block: `seconds` of signal, `is_one_signal` whether both ears heard the same throughout,
    `wide_share` the share of seconds with a delay between the ears that no head makes, `peak` of each ear (1 = full
    scale), `spectrogram`.
    """

    def __init__(self, answer, params, hop_frames):
        """Begin.

        Parameters
        ----------
        answer : callable, samples (n, bin, frame, 2) float16 -> model.Answer: azimuths and how far 68 and 95 % of their
            errors reach, each (n,) in degrees
        params : Params, for the features, frames, silence_dbfs and most_within_95_deg
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
        """Duration of what was pushed."""
        return self._samples / self.params.sample_rate_hz

    @property
    def is_one_signal(self):
        """Whether both ears heard exactly the same."""
        return not self._apart

    @property
    def wide_share(self):
        """Share of the seconds whose delay between the ears is more than a head makes."""
        return float(np.mean(np.abs(self._delays) > HEAD_DELAY_S)) if self._delays else 0.0

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
        azimuth_deg, spread_deg, within_95_deg = self._answer(samples)
        power = np.array([self._power[at:at + frames].mean() for at in starts - self._first])
        level_db = 10 * np.log10(np.maximum(power, 1e-20))
        is_source = (level_db > p.silence_dbfs) & ~(within_95_deg > p.most_within_95_deg)  # NaN for squared error
        time_s = (starts * p.stft_hop_samples + p.sample_length / 2) / p.sample_rate_hz
        azimuth_deg, spread_deg = (np.where(is_source, each, np.nan) for each in (azimuth_deg, spread_deg))
        return Track(time_s, azimuth_deg, spread_deg, level_db)

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
    """Power over time in at most MOST_COLUMNS columns, however long the recording."""

    def __init__(self, bins):
        self.frames_per_column = 1
        self._columns, self._waiting = np.empty((bins, 0), np.float32), np.empty((bins, 0), np.float32)

    def add(self, power):
        """Add frames (bin, frame)."""
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
        """Mean power (bin, column)."""
        return self._columns
