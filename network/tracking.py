"""Track a recording over time: ear signals -> azimuth, uncertainty and level every hop, in bounded memory.

    tracker = Tracker(network.hear_rows, Params(), hop_frames=5)
    for block in blocks:                                     # (n, 2), left ear first
        rows = tracker.push(block)                           # whatever seconds are complete
    track = tracker.track()

A row covers the second around its time. It has no azimuth in silence and in noise from all around. Rows are smoothed
over time (smoothing.py). Several sources at a time are followed by sources.py: `tracker.sources(most=2)`. An input that
never ends is for live.py.
"""
import numpy as np

import features
from console import BadInput, warn
from network.channels import LOUD_SHARE, NARROW_SHARE, ChannelCheck
from network.peaks import presence_targets
from network.readout import read_out
from network.smoothing import Chain
from network.sources import follow
from network.spectrogram import Spectrogram, is_pause
from network.tracks import NO_ROWS, Rows, Source, Track
from network.uncertainty import uncalibrated_half_width

DEMANDED_ODDS = 0.4          # of a source against noise from all around: benchmarks/odds.py
SURE_LOG_ODDS = 2.0          # of a source, where it follows from a half-width alone
AGREES_DEG = 5.0             # of a row with what its neighbours say, at least
TOLD_IMBALANCE_DB = 2.0      # of the channels' levels, from which on it is told
FRONT_HALF_WIDTH_DEG = 5.0   # such a source counts if the network is no less sure than that
SAME_HALF_WIDTH_DEG, DOUBTFUL_HALF_WIDTH_DEG = 45.0, 60.0   # of one signal, maybe mono; of channels of no two ears


def hop_frames_of(params):
    """Return params.hop_s in frames, at least 1."""
    return max(1, round(params.hop_s * params.sample_rate_hz / params.stft_hop_samples))


class Tracker:
    """Track ear signals block by block; a row is given as soon as its second is complete.

    `seconds` is the duration so far, `spectrogram` the Spectrogram, `channels` the ChannelCheck of the two ears,
    `balance` their Balance, or None.
    """

    def __init__(self, hear, params, hop_frames, balance=None, smooths=True, demanded_odds=DEMANDED_ODDS):
        """Start with an empty recording.

        Parameters
        ----------
        hear : callable, as answers.Listener.hear_rows
        params : Params, for the features, frames, silence_dbfs and most_half_width_95_deg
        hop_frames : int, frames of 20 ms from row to row
        balance : Balance, optional, that has heard the recording
        smooths : bool, use what a row's neighbours tell; of those to come only `track` knows
        demanded_odds : float, of a source against noise from all around

        """
        self.params, self.hop_frames, self._hear = params, hop_frames, hear
        self.hop_s = hop_frames * params.stft_hop_samples / params.sample_rate_hz
        self.balance = balance
        self._chain, self._least_log_odds = Chain(params, self.hop_s) if smooths else None, np.log(demanded_odds)
        self._state = None                                             # of the chain, after the rows so far
        self._signal = np.empty((2, 0), np.float32)                    # (ear, n): less than a window, or not yet framed
        self._cues = np.empty((params.bins, 0, 2), np.float16)         # of the frames that rows to come need
        self._power = np.empty(0)                                      # of each of them
        self._kinds = np.empty((3, 0), bool)                           # what ChannelCheck.add_frames tells of them
        self._first = self._next = 0                                   # numbers of the first of them, of the next row's
        self._rows, self._loudest_db, self._samples = [], -np.inf, 0
        self.spectrogram, self.channels = Spectrogram(params.bins), ChannelCheck(params)

    def push(self, ears):
        """Take a block (n, 2), left ear first, and return the Track of the rows it completes."""
        self._samples += len(ears)
        self.channels.add_signal(ears)
        self._add_frames(ears)
        complete = self._first + self._cues.shape[1] - self.params.frames + 1
        starts = np.arange(self._next, complete, self.hop_frames)
        self._next += len(starts) * self.hop_frames
        rows = self._rows_at(starts) if len(starts) else None
        done = min(self._next - self._first, self._cues.shape[1])
        self._cues, self._power, self._first = self._cues[:, done:], self._power[done:], self._first + done
        self._kinds = self._kinds[:, done:]
        if rows is None:
            return NO_ROWS
        self._rows.append(rows)
        if not self._is_smoothed(rows):
            return self._as_they_are(rows)
        probabilities = []
        for evidence in self._chain.evidence(rows.distribution.astype(np.float64), rows.source_log_odds):
            self._state = self._chain.advanced(self._state, evidence)
            probabilities.append(self._state)
        return self._by_probabilities(rows, np.array(probabilities))

    def track(self):
        """Return all rows so far."""
        if not self._rows:
            return NO_ROWS
        rows = self._all_rows()
        if self._is_smoothed(rows):
            parts = [self._by_probabilities(Rows(*(each[part] for each in rows)), probabilities) for part, probabilities
                     in self._chain.smoothed_parts(rows.distribution, rows.source_log_odds)]
            track = Track(*map(np.concatenate, zip(*reversed(parts))))
        else:
            track = self._as_they_are(rows)
        if not self.channels.is_doubtful:
            return track
        return track._replace(half_width_68_deg=np.maximum(track.half_width_68_deg, DOUBTFUL_HALF_WIDTH_DEG))

    def sources(self, most):
        """Return the Source of each of several talkers so far, at most so many at a time; phantoms are left out.

        BadInput if the network tells one source.
        """
        if not self._rows:
            return []
        rows = self._all_rows()
        followed = follow(_presence_of(rows), self.hop_s, self.params, most, self._chain is not None)
        least_deg = np.where(self.channels.is_doubtful, DOUBTFUL_HALF_WIDTH_DEG,
                             np.where(rows.is_same, SAME_HALF_WIDTH_DEG, 0))
        return [Source(rows.time_s, azimuth_deg, np.maximum(half_width_deg, least_deg), confidence, rows.level_db)
                for azimuth_deg, confidence, half_width_deg in zip(*followed)]

    def latest_presence(self):
        """Return the presence (row, class) of the rows that the last block completed; BadInput as of `sources`."""
        return _presence_of(self._rows[-1])

    def _all_rows(self):
        rows = Rows(*map(np.concatenate, zip(*self._rows)))
        is_silent = is_pause(rows.level_db, self._loudest_db, self.params, rows.is_same)         # beside all there is
        return rows._replace(source_log_odds=np.where(is_silent, -np.inf, rows.source_log_odds))

    @property
    def seconds(self):
        """Return the duration of all blocks so far, in seconds."""
        return self._samples / self.params.sample_rate_hz

    def check(self, name):
        """Check after the last block that it was long enough and that the two channels are those of two ears.

        Raises BadInput where they cannot be, and warns of what makes the answers doubtful. `name` is of the recording.
        """
        if self.seconds < self.params.sample_s:
            raise BadInput(f"{name} is {self.seconds:.3f} s long; it must be at least {self.params.sample_s:.3f} s.")
        self.channels.check(name)
        imbalance = self.balance and self.balance.estimate()
        if imbalance and abs(imbalance.level_db) > max(TOLD_IMBALANCE_DB, 2 * imbalance.uncertainty_db):
            louder, other = ("right", "left") if imbalance.level_db > 0 else ("left", "right")
            warn(f"{name} has a {louder} channel {abs(imbalance.level_db):.0f} dB louder than the {other} one, "
                 "measured in the background noise; corrected. --balance off keeps the levels.")

    def _add_frames(self, ears):
        window, hop = self.params.stft_window_samples, self.params.stft_hop_samples
        signal = np.concatenate((self._signal, ears.T), axis=1)
        count = max(0, 1 + (signal.shape[1] - window) // hop)
        self._signal = signal[:, count * hop:]
        if count:
            spectra = features.stft(signal[:, :window + (count - 1) * hop], self.params)      # (ear, bin, frame)
            cues = features.interaural_cues(*spectra, self.params.power_floor)
            imbalance = self.balance and self.balance.estimate()
            if imbalance:
                cues[..., features.ILD] -= imbalance.of_bins_db[:, np.newaxis]
            cues = cues.astype(np.float16)
            steps = signal[:, :count * hop].astype(np.float64).reshape(2, count, hop)
            power = steps.var(axis=2).mean(axis=0)                                            # a DC offset is no sound
            self._cues = np.concatenate((self._cues, cues), axis=1)
            self._power = np.concatenate((self._power, power))
            ear_power = np.square(spectra.real) + np.square(spectra.imag)                     # (ear, bin, frame)
            kinds = self.channels.add_frames(spectra, ear_power, power, imbalance.level_db if imbalance else 0.0)
            self._kinds = np.concatenate((self._kinds, kinds), axis=1)
            if self.spectrogram:
                self.spectrogram.add(ear_power.sum(axis=0))

    def _rows_at(self, starts):
        p, frames = self.params, self.params.frames
        answer, distribution, log_odds, presence = self._hear(self._cues, starts - self._first, frames)
        presence = np.empty((len(starts), 0)) if presence is None else presence
        power = np.array([self._power[at:at + frames].mean() for at in starts - self._first])
        level_db = 10 * np.log10(np.maximum(power, 1e-20))
        log_odds = log_odds - self._least_log_odds
        # Where the network was not taught to tell noise alone: NaN, of one of squared error, counts as sure.
        is_sure = ~(answer.half_width_95_deg > p.most_half_width_95_deg)
        log_odds = np.where(np.isnan(log_odds), np.where(is_sure, SURE_LOG_ODDS, -SURE_LOG_ODDS), log_odds)
        is_same, is_front, is_narrow = (self._kinds_of(starts) > (0.5, 0.5, NARROW_SHARE)).T
        self.channels.add_rows(power, is_narrow)
        loudest_db = np.maximum.accumulate(np.maximum(level_db, self._loudest_db))
        self._loudest_db = loudest_db[-1]
        # Nearly equal ears are a source in front; the network also knows noise that sounds like that.
        is_clear = is_front & (answer.half_width_68_deg < FRONT_HALF_WIDTH_DEG) | is_same
        log_odds = np.where(is_clear, np.maximum(log_odds, SURE_LOG_ODDS), log_odds)
        log_odds[is_narrow | is_pause(level_db, loudest_db, p, is_same)] = -np.inf
        # Equal ears are in front by symmetry, which the network may not tell from noise; or the recording is mono.
        azimuth_deg, near_deg = answer.azimuth_deg.copy(), answer.half_width_68_deg.copy()
        azimuth_deg[is_same], near_deg[is_same] = 0, np.maximum(near_deg[is_same], SAME_HALF_WIDTH_DEG)
        if distribution is None:
            distribution = np.full((len(starts), len(p.class_deg)), np.nan)
        distribution = distribution.astype(np.float16)
        distribution[is_same] = np.eye(len(p.class_deg))[int(np.argmin(np.abs(p.class_deg)))]
        presence = presence.astype(np.float16)
        if presence.size:
            presence[is_same] = presence_targets([[0.0]], p)
        time_s = (starts * p.stft_hop_samples + p.sample_length / 2) / p.sample_rate_hz
        return Rows(time_s, level_db, azimuth_deg, near_deg, answer.half_width_95_deg, distribution, presence, log_odds,
                    is_same)

    def _is_smoothed(self, rows):
        return self._chain is not None and not np.isnan(rows.distribution).any()

    def _as_they_are(self, rows):
        """Make a Track of rows by themselves."""
        is_source = rows.source_log_odds > 0
        return Track(rows.time_s, np.where(is_source, rows.azimuth_deg, np.nan),
                     np.where(is_source, rows.half_width_68_deg, np.nan), rows.level_db, np.zeros(len(is_source), bool))

    def _by_probabilities(self, rows, probabilities):
        """Make a Track of rows and what the chain says of them, (row, 2, class).

        A row that agrees with it keeps its own half-width; of another it is that of the directions' probabilities.
        """
        azimuth_deg, width_deg = read_out(probabilities.sum(axis=1), self.params)
        is_source = (probabilities[:, 0].sum(axis=1) > 0.5) & ~np.isneginf(rows.source_log_odds)
        agrees = np.abs(azimuth_deg - rows.azimuth_deg) <= np.maximum(rows.half_width_95_deg, AGREES_DEG)
        near_deg = np.where(agrees, rows.half_width_68_deg, uncalibrated_half_width(width_deg, self.params))
        azimuth_deg[rows.is_same] = 0
        return Track(rows.time_s, np.where(is_source, azimuth_deg, np.nan), np.where(is_source, near_deg, np.nan),
                     rows.level_db, is_source & ~(agrees & (rows.source_log_odds > 0)))

    def _kinds_of(self, starts):
        """Share of each kind among the frames of rows that are not pauses within them: (row, kind)."""
        shares = []
        for at in starts - self._first:
            power = self._power[at:at + self.params.frames]
            is_loud = power > LOUD_SHARE * power.max()
            shares.append(self._kinds[:, at:at + self.params.frames][:, is_loud].sum(axis=1) / max(1, is_loud.sum()))
        return np.array(shares)


def _presence_of(rows):
    """Return the presence of Rows as float64, 0 where there is none to tell; BadInput without any."""
    if not rows.presence.shape[1]:
        raise BadInput("this model tells one source at a time, because it did not learn presence; name one that did "
                       "with --model, or leave out --sources.")
    return np.where(np.isneginf(rows.source_log_odds)[:, np.newaxis], 0.0, rows.presence.astype(np.float64))
