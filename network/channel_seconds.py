"""What single seconds of two channels tell: the delay between them, its sign, and how their levels go with it."""
from typing import NamedTuple

import numpy as np

HEAD_DELAY_S = 1e-3          # no head delays a sound by more: 117 measured ones make 0.63 to 0.86 ms
UNSHADED_DELAY_S, UNSHADED_DB = 0.35e-3, 2.0  # nor by so much with so little level above the bass, but in noise or
UNSHADED_PEAK = 0.5          # echoes: those have smaller peaks of the cross-correlation, spaced microphones 0.7 to 1
DELAY_SEARCH_S = 0.02        # how far apart the channels of a stereo mix are looked for
CLEAR_PEAK = 0.2             # of the cross-correlation: one sound with a delay; copies of a noise all around make 0.2
APART_DB = 12.0              # of level between frames, 10th to 90th percentile, where channels hold different sounds
DRIFT_S, DRIFT_CORRELATION = 0.5e-3, 0.9  # of the delay over a recording, and how straight it is: two clocks
DRIFT_SCATTER_S = 0.2e-3     # median distance of the delays from that line at most
INVERTED_PEAK = 1.5          # a negative peak of the cross-correlation, of a head's delay, so many times any positive
OPPOSED_HZ = (200.0, 1500.0)  # where the delay of a head is without doubt; in this band a level of at least OPPOSED_DB
OPPOSED_DELAY_S, OPPOSED_DB = 0.12e-3, 3.0  # against such a delay is no head's: of the bins that fit the delay within
OPPOSED_FIT_RAD, OPPOSED_FIT_SHARE = 0.6, 1 / 3  # so many radians, so many of them (by chance 0.25: no one delay)
FRAMES = 49                  # of a second, of 20 ms: levels between the channels are followed over them
LOW_SHARE = 1e-3             # of the power that a band must hold: castanets and birds have less, in noise
DEAD_DB = 30.0               # between the channels above the bass: 80 measured heads make 21 dB at most
TINY = 1e-20                 # against a logarithm of nothing


class Second(NamedTuple):
    """What one second tells of the channels; `power` is its mean square, `delay_s` positive where the left leads.

    `is_inverted`: one channel of them. `is_wide`: the delay is no head's. `is_opposed`: one channel leads, the other is
    louder. `is_one_sided`: one channel holds next to nothing.
    """

    power: float
    delay_s: float
    is_inverted: bool
    is_wide: bool
    is_opposed: bool
    is_one_sided: bool


def second_of(ears, rate):
    """Measure a second (ear, n) at `rate` Hz, by its cross-correlation with phase transform and the levels of its ears.

    A delay that no head makes counts where one sound has it (a clear peak), or where the channels hold different
    sounds: their levels part from frame to frame. In noise from all around neither holds, though its delays are random.
    """
    spectra = np.fft.rfft(ears, 2 * rate)
    hz = np.fft.rfftfreq(2 * rate, 1 / rate)
    phase = spectra[1] * np.conj(spectra[0])
    phase /= np.maximum(np.abs(phase), 1e-12)
    around, reach = _lags(phase, round(DELAY_SEARCH_S * rate)), round(HEAD_DELAY_S * rate)
    inverted = -around[len(around) // 2 - reach:len(around) // 2 + reach + 1].min()
    delay_s, peak = (around.argmax() - len(around) // 2) / rate, around.max()

    treble = np.square(np.diff(ears))                                                # as pre-emphasis does
    frames = treble[:, :treble.shape[1] // FRAMES * FRAMES].reshape(2, FRAMES, -1).sum(axis=2) + TINY  # (ear, frame)
    is_loud = frames.sum(axis=0) > 0.01 * frames.sum(axis=0).max()
    low_db, high_db = np.percentile(level_db(*frames[:, is_loud]), (10, 90))
    treble_db = level_db(*frames.sum(axis=1))
    is_wide = ((peak > CLEAR_PEAK or high_db - low_db > APART_DB) and abs(delay_s) > HEAD_DELAY_S
               or peak > UNSHADED_PEAK and abs(delay_s) > UNSHADED_DELAY_S and abs(treble_db) < UNSHADED_DB)

    band = slice(*np.searchsorted(hz, OPPOSED_HZ))
    of_band = np.zeros_like(phase)
    of_band[band] = phase[band]
    low = _lags(of_band, reach)
    low_delay_s = (low.argmax() - len(low) // 2) / rate
    fits = np.abs(phase[band] - np.exp(-2j * np.pi * hz[band] * low_delay_s)) < OPPOSED_FIT_RAD
    power = np.square(spectra.real) + np.square(spectra.imag)
    of_band_db = level_db(*power[:, band][:, fits].sum(axis=1) + TINY)
    is_opposed = (power[:, band].sum() > LOW_SHARE * power.sum() and fits.mean() > OPPOSED_FIT_SHARE
                  and abs(low_delay_s) >= OPPOSED_DELAY_S and np.sign(low_delay_s) * of_band_db > OPPOSED_DB)
    return Second(float(np.square(ears).mean()), delay_s, inverted > INVERTED_PEAK * peak, is_wide, is_opposed,
                  abs(treble_db) > DEAD_DB)


def _lags(cross, reach):
    """Correlate at lags of -reach to reach samples, from a cross-spectrum."""
    return np.roll(np.fft.irfft(cross), reach)[:2 * reach + 1]


def level_db(left, right):
    """Level of the right channel over the left one, from powers."""
    return 10 * np.log10(right / left)


def drifts(delays):
    """Tell whether delays (second,) move along a straight line, further than a head does."""
    if len(delays) < 5 or np.ptp(delays) < DRIFT_S or np.abs(delays).max() < HEAD_DELAY_S:
        return False
    number = np.arange(len(delays))
    line = np.polyval(np.polyfit(number, delays, 1), number)
    return bool(abs(np.corrcoef(number, delays)[0, 1]) > DRIFT_CORRELATION
                and np.median(np.abs(delays - line)) < DRIFT_SCATTER_S)
