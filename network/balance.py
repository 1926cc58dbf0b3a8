"""The level difference of two microphones, told from what comes from all around: background, reverberation.

    balance = Balance(params)
    for block in blocks:                       # (n, 2), left ear first
        balance.add(block)
    balance.estimate()                         # Imbalance: how many dB the right channel is too loud, how sure, per bin

A talker reaches the two ears with different levels, and so does noise from one side. A diffuse field does not: of 111
measured heads, the ears differ by 0.7 dB (standard deviation). So between words, and where speech has gaps, what is
left in both channels tells their gains, provided that it is diffuse: then it is hardly coherent between the ears.
"""
from typing import NamedTuple

import numpy as np

import features

BLOCK_S = 5.0                 # in which the quiet frames are looked for
LEAST_S = 2.0                 # of a last block, to tell anything
EDGES_HZ = np.geomspace(200, 7500, 13)
QUIET_SHARE, LEAST_FRAMES = 0.15, 35  # of the frames of a band, which are taken for background; so many at least
DIFFUSE_COHERENCE = np.array([0.42, 0.22, 0.03, 0.05, 0.12, 0.03, 0.04, 0, 0, 0, 0, 0])  # magnitude squared, of each
                              # band in a diffuse field: the mean of KEMAR and three people
CHANCE_COHERENCE = 1.0        # over the count of frames: what independent noise has by chance
TOLD_BY = slice(2, None)      # the bands whose coherence tells of a single direction; below, a diffuse field has some
COHERENCE_ERROR = 0.01        # standard deviation of their mean, in one block
MOST_COHERENT_SHARE = 0.3     # of the background's power, from a single direction, for a band to tell anything
SIDE_DB = 15.0                # the error that a background wholly from one direction makes: the usual ILD of one
LEAKS = 2.0                   # of the difference between the quieter half of the quiet frames and all of them
LEAST_DOUBT_DB = 0.3
LEAST_BANDS = 3               # with such an estimate, from which on a block tells something
ROUNDING_POWER = 1e-7         # |STFT|^2 of the rounding noise of 16 bits, times five: no background but the file's own
HEAD_DB, GAINS_DB = 0.7, 2.5  # standard deviations: of a head in a diffuse field, of the gains of microphones
BLOCKS_KEPT = 720             # an hour; of more, every other is dropped


class Imbalance(NamedTuple):
    """How much louder the right channel is than it should be.

    `level_db` is the mean of all bands, `uncertainty_db` its standard deviation, `of_bins_db` (bin,) what to take from
    the right channel at each frequency: the estimate, drawn to 0 as far as it is uncertain.
    """

    level_db: float
    uncertainty_db: float
    of_bins_db: np.ndarray


class Balance:
    """Estimate the imbalance of two channels as they come, in bounded memory.

    >>> rng = np.random.default_rng(0)
    >>> from params import Params
    >>> balance = Balance(Params())
    >>> balance.add(rng.normal(0, 0.01, (80_000, 2)) * [1, 2])      # incoherent noise, 6 dB louder on the right
    >>> imbalance = balance.estimate()
    >>> round(imbalance.level_db), round(float(np.median(imbalance.of_bins_db)))
    (6, 6)
    """

    def __init__(self, params):
        self.params, self._signal, self._estimate = params, np.empty((0, 2), np.float32), None
        self._tried = 0                                            # samples of `_signal` in which nothing was found
        self._levels_db, self._doubt_db = [], []                   # of each block: (band,) each; infinite: unknown
        self._excess = []                                          # of each block: of the coherence over a diffuse one
        hz = np.fft.rfftfreq(params.stft_window_samples, 1 / params.sample_rate_hz)
        self._middles_hz = np.sqrt(EDGES_HZ[1:] * EDGES_HZ[:-1])
        self._bins = [np.flatnonzero((hz >= low) & (hz < high)) for low, high in zip(EDGES_HZ[:-1], EDGES_HZ[1:])]
        self._hz = np.maximum(hz, EDGES_HZ[0])

    def add(self, ears):
        """Measure a block (n, 2) of the signal, left ear first."""
        self._signal = np.concatenate((self._signal, ears))
        size = round(BLOCK_S * self.params.sample_rate_hz)
        while len(self._signal) >= size:
            self._measure(self._signal[:size])
            self._signal, self._tried = self._signal[size:], 0

    def estimate(self):
        """Give the Imbalance of all blocks so far; None where nothing diffuse was heard."""
        if not self._levels_db and len(self._signal) - self._tried >= LEAST_S * self.params.sample_rate_hz:
            self._measure(self._signal)
            self._tried = len(self._signal)
            if self._levels_db:                                    # what told something counts once
                self._signal, self._tried = self._signal[:0], 0
        if self._estimate is None and self._levels_db:
            self._estimate = self._combined(np.array(self._levels_db), np.array(self._doubt_db))
        return self._estimate

    def _measure(self, signal):
        """Measure each band of one stretch (n, 2) in its quiet frames: level difference, and how far it may be off."""
        left, right = features.stft(np.ascontiguousarray(signal.T, np.float32), self.params)       # (bin, frame)
        levels_db, doubt_db = np.zeros(len(self._bins)), np.full(len(self._bins), np.inf)
        excess = np.full(len(self._bins), np.nan)
        for band, bins in enumerate(self._bins):
            of_left, of_right = left[bins], right[bins]
            # The geometric mean of both ears: by their sum, moments would be chosen in which the louder is weak.
            power = np.sqrt(np.square(np.abs(of_left)).mean(axis=0) * np.square(np.abs(of_right)).mean(axis=0))
            audible = np.flatnonzero(power > ROUNDING_POWER)
            count = max(LEAST_FRAMES, int(QUIET_SHARE * len(audible)))
            if len(audible) < count:
                continue
            quiet = audible[np.argsort(power[audible])[:count]]
            of_left, of_right = of_left[:, quiet], of_right[:, quiet]
            powers = [np.square(np.abs(each)).sum(axis=1, dtype=np.float64) for each in (of_left, of_right)]
            cross = np.abs((of_left * of_right.conj()).sum(axis=1, dtype=np.complex128))
            coherence = np.average(cross ** 2 / (powers[0] * powers[1] + 1e-30), weights=powers[0] + powers[1])
            levels_db[band], quieter_db = (
                10 * np.log10(np.square(np.abs(of_right[:, :most])).sum() / np.square(np.abs(of_left[:, :most])).sum())
                for most in (count, count // 2))
            # Of power from one direction and diffuse power, the coherence is the square of the share of the first.
            excess[band] = coherence - DIFFUSE_COHERENCE[band] - CHANCE_COHERENCE / count
            if excess[band] < MOST_COHERENT_SHARE ** 2:
                leaks_db = LEAKS * (levels_db[band] - quieter_db)  # what the louder half holds, the quieter has too
                doubt_db[band] = np.hypot(leaks_db, LEAST_DOUBT_DB)
        if np.isfinite(doubt_db).sum() >= LEAST_BANDS:
            self._levels_db.append(levels_db)
            self._doubt_db.append(doubt_db)
            self._excess.append(float(np.nanmean(excess[TOLD_BY])))
            self._estimate = None
        if len(self._levels_db) > BLOCKS_KEPT:
            self._levels_db, self._doubt_db, self._excess = (
                each[::2] for each in (self._levels_db, self._doubt_db, self._excess))

    def _combined(self, levels_db, doubt_db):
        """Combine blocks and bands, (block, band) each, into an Imbalance."""
        weight = doubt_db ** -2.0
        level_db = _weighted_median(levels_db.ravel(), weight.ravel())
        known = weight.any(axis=0)
        of_bands = np.array([_weighted_median(*each) if each[1].any() else level_db
                             for each in zip(levels_db.T, weight.T)])
        # What comes from one direction is wrong by as much in all bands, so that their number does not help.
        error = COHERENCE_ERROR / np.sqrt(len(self._excess))
        common_db = SIDE_DB * np.sqrt(max(np.median(self._excess) - error, 0))
        scatter_db = np.std(of_bands[known]) / np.sqrt(known.sum())
        uncertainty_db = float(np.sqrt(HEAD_DB ** 2 + common_db ** 2 + scatter_db ** 2))
        # The best estimate of a gain that is normally distributed around 0, seen with this uncertainty.
        drawn = GAINS_DB ** 2 / (GAINS_DB ** 2 + uncertainty_db ** 2)
        smooth = np.convolve(np.pad(of_bands, 1, mode="edge"), (0.25, 0.5, 0.25), "valid")
        of_bins_db = drawn * np.interp(np.log(self._hz), np.log(self._middles_hz), smooth)
        return Imbalance(float(level_db), uncertainty_db, of_bins_db.astype(np.float32))


def _weighted_median(values, weights):
    """Find the median of values (n,) that count by their weights (n,)."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
