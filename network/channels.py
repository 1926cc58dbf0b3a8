"""Whether the two channels of a recording are those of two ears: measured block by block, told in one sentence each."""
import numpy as np

from console import BadInput, warn
from network.channel_seconds import DEAD_DB, LOW_SHARE, TINY, Second, drifts, level_db, second_of

WIDE_SHARE = 0.3             # of the seconds with a delay that no head makes: from there on it is not binaural
LOUD_SHARE = 1e-3            # of the power of the loudest second, row or frame: what is weaker, pauses, tells nothing
FAINT_DBFS = -95.0           # 16-bit dither has -96: below is silence, however quiet the recording
INVERTED_SHARE = 0.6         # of the seconds, from which on a channel is inverted
SAME_RESIDUAL = 0.01         # share of the power of a frame that is left when one channel explains the other by a gain
SAME_SHARE = 0.7             # of the loud frames, from which on both channels hold one signal
SAME_GAIN_DB = 2.5           # one signal that differs by less is mono, or in front of unlike ears; by more it is panned
PANNED_HZ, PANNED_RANGE_DB = 1e3, 40.0  # bins from there up, within so many dB of the loudest one of their frame,
PANNED_RAD, PANNED_DB = 0.2, 4.0        # with so little phase and so much level, are panned:
PANNED_SHARE = 0.2           # a source at 0 or 5 degrees of some 60 heads makes 0.11 of them at most
STILL_S, STILL_SHARE = 0.1e-3, 0.8  # the delays of panned sounds, nearly all
FRONT_RESIDUAL, FRONT_GAIN_DB = 0.3, 4.0  # the same of a source in front, above the bass; a diffuse field leaves 1
DEAD_SHARE = 0.3             # of the seconds with so much, from which on the channels are not two ears
LOW_HZ, LEVELS_DB = (150.0, 500.0), 10.0  # in this band the same heads make 7 dB at most: more are two gains
OPPOSED_SHARE = 0.5          # of the seconds, from which on two gains differ: 1370 recordings of two ears have none
NARROW_BINS, NARROW_DB = 40, 40.0  # a frame with so few bins (1 kHz) within so many dB of its loudest is narrow;
NARROW_SHARE = 1 / 3         # of its loud frames, and a row tells no direction: speech has next to none of them
OFFSET, OFFSET_SHARE = 0.01, 0.1   # of full scale and of the root mean square: DC that is told
QUIET_PEAK_DB = -60.0        # of full scale, from which on a recording is said to be quiet
FAINT_POWER = 10 ** (FAINT_DBFS / 10)
STEREO_MIX = "the azimuths of a stereo mix mean nothing: record with two microphones at the ears."


class ChannelCheck:
    """Measures two channels as they come; `check` tells in the end what is wrong with them.

    `peak` (ear,) is the highest level so far, 1 = full scale. `is_doubtful` says after `check` that no azimuth can be
    trusted.
    """

    def __init__(self, params):
        self.params, self.peak, self.is_doubtful = params, np.zeros(2), False
        self._samples, self._is_apart, self._second = 0, False, np.empty((2, 0), np.float32)
        self._sum, self._square, self._treble, self._low = np.zeros((4, 2))
        self._heard = 0.0
        self._seconds = []                                                    # of Second
        self._frame_power, self._frame_gain_db = [], []                       # arrays; NaN where the channels differ
        self._frame_panned = []                                               # arrays: share of the bins
        self._row_power, self._row_is_narrow = [], []                         # arrays

    # ------------------------------------------------------------------------------------------------ measuring

    def add_signal(self, ears):
        """Measure a block (n, 2) of the signal."""
        self._samples += len(ears)
        ears = np.ascontiguousarray(ears.T)                            # (ear, n): sums over time are ten times as fast
        self.peak = np.maximum(self.peak, np.abs(ears).max(axis=1, initial=0))
        self._sum += ears.sum(axis=1, dtype=np.float64)
        self._square += np.square(ears).sum(axis=1, dtype=np.float64)
        self._is_apart = self._is_apart or bool(np.any(ears[0] != ears[1]))
        rate = self.params.sample_rate_hz
        signal = np.concatenate((self._second, ears), axis=1)
        count = signal.shape[1] // rate
        self._second = signal[:, count * rate:]
        for begin in range(0, count * rate, rate):
            second = signal[:, begin:begin + rate]
            second = second - second.mean(axis=1, keepdims=True)  # a DC offset is no sound
            if np.square(second).mean() > FAINT_POWER:
                self._seconds.append(second_of(second, rate))

    def add_frames(self, spectra, ear_power, power, imbalance_db=0.0):
        """Compare the channels of some frames.

        Parameters
        ----------
        spectra : np.ndarray [shape=(2, bin, frame)], complex
        ear_power : np.ndarray [shape=(2, bin, frame)], their squared magnitude
        power : np.ndarray [shape=(frame,)], mean square of the signal
        imbalance_db : float, known to be the microphones' own difference: a source in front differs by as much

        Returns
        -------
        np.ndarray [shape=(3, frame)], bool: whether the channels hold one signal, whether they are as nearly equal as
            those of a source in front, and whether the frame is of too few frequencies

        """
        p = self.params
        is_loud = power > FAINT_POWER
        rising = np.square(np.arange(p.bins, dtype=np.float32))[:, np.newaxis]                # as pre-emphasis does
        treble = (ear_power * rising).sum(axis=1)                                             # (ear, frame)
        left, right = treble + TINY
        product = spectra[1] * spectra[0].conj()
        cross = (product.real * rising).sum(axis=0)
        residual = np.where(cross > 0, 1 - cross / left * (cross / right), 1)
        gain_db, is_same = 10 * np.log10(right / left), residual < SAME_RESIDUAL
        audible = ear_power.sum(axis=0)[2:]                                                   # without a DC offset
        is_narrow = (audible > audible.max(axis=0) * 10 ** (-NARROW_DB / 10)).sum(axis=0) < NARROW_BINS
        first, last = (round(hz * p.stft_window_samples / p.sample_rate_hz) for hz in LOW_HZ)
        self._low += ear_power[:, first:last, is_loud].sum(axis=(1, 2), dtype=np.float64)
        self._heard += float(audible[:, is_loud].sum(dtype=np.float64))
        self._treble += treble.sum(axis=1, dtype=np.float64)
        self._frame_power.append(power[is_loud])
        first = round(PANNED_HZ * p.stft_window_samples / p.sample_rate_hz)
        self._frame_panned.append(_panned_share(product[first:], ear_power[:, first:])[is_loud])
        self._frame_gain_db.append(np.where(is_same, gain_db, np.nan)[is_loud])
        is_front = (residual < FRONT_RESIDUAL) & (np.abs(gain_db - imbalance_db) < FRONT_GAIN_DB)
        return np.stack([is_same & (np.abs(gain_db) < SAME_GAIN_DB), is_front, is_narrow])

    def add_rows(self, power, is_narrow):
        """Note the power (row,) of some rows, a mean square, and whether they are too narrow (row,)."""
        self._row_power.append(power)
        self._row_is_narrow.append(is_narrow)

    # ------------------------------------------------------------------------------------------------ telling

    @property
    def is_one_signal(self):
        """Tell whether both channels held exactly the same so far."""
        return not self._is_apart

    @property
    def wide_share(self):
        """Return the share of the loud seconds whose delay between the channels is more than a head makes."""
        return _share(self._loud_seconds.is_wide)

    def check(self, name, tell=warn, silence_remedy="check the recording"):
        """Raise BadInput where the channels cannot be those of two ears, and tell of all else; `name` comes first."""
        if self.peak.max() == 0:
            raise BadInput(f"{name} is silent in both channels; {silence_remedy}.")
        if 10 * np.log10((self._treble.max() + TINY) / (self._treble.min() + TINY)) > DEAD_DB:
            weaker = ("left", "right")[int(self._treble.argmin())]
            raise BadInput(f"{name} has next to nothing in its {weaker} channel above the bass; check the microphone "
                           "or its cable and record again.")
        if self.is_one_signal:
            raise BadInput(f"{name} holds the same signal in both channels, bit for bit: nothing tells mono from a "
                           "source straight in front of a symmetric head; record with two microphones at the ears.")
        for remark in self._remarks():
            tell(f"{name} {remark}")
        for remark in self._doubts():
            self.is_doubtful = True
            tell(f"{name} {remark}")

    def _remarks(self):
        """List what weakens the answers, each with the remedy."""
        peak_db = 20 * np.log10(self.peak.max())
        if peak_db < QUIET_PEAK_DB:
            yield (f"is very quiet: its peak is at {peak_db:.0f} dB of full scale; make it louder if little was heard.")
        offset = self._sum / self._samples
        worst = int(np.abs(offset).argmax())
        if abs(offset[worst]) > max(OFFSET, OFFSET_SHARE * np.sqrt(self._square[worst] / self._samples)):
            yield (f"has a DC offset of {offset[worst]:+.2f} of full scale; filter out what is below 20 Hz, or weak "
                   "sound is lost under it.")
        if self._is_narrow:
            yield ("holds too few frequencies at a time (a tone, a rumble) to tell directions from most of it; use "
                   "broad-band sound.")
        if len(self._same_gains_db) and not self._is_panned:
            yield ("holds nearly the same signal in both channels: a mono recording, or a source straight in front; "
                   "of a mono recording the azimuths mean nothing.")

    def _doubts(self):
        """List what makes the azimuths meaningless, each with the remedy."""
        if self._is_narrow:  # what follows needs broad-band sound
            return
        seconds = self._loud_seconds
        is_inverted = _share(seconds.is_inverted) > INVERTED_SHARE
        if self._is_panned:
            yield (f"has one signal in both channels, panned by level alone ({np.median(self._same_gains_db):+.0f} dB "
                   f"on the right); {STEREO_MIX}")
        elif self._is_panned_mix:
            yield f"has sounds panned by level alone, without the delays of a head; {STEREO_MIX}"
        elif _share(seconds.is_one_sided) > DEAD_SHARE:
            yield (f"has next to nothing in one of its channels in {100 * _share(seconds.is_one_sided):.0f} % of it: a "
                   f"loose cable, or a stereo mix; {STEREO_MIX}")
        if is_inverted:
            yield ("has one channel with inverted polarity, so the azimuths are wrong; invert one channel in an "
                   "editor, or exchange the wires of one microphone.")
        elif _share(seconds.is_one_sided) > DEAD_SHARE:  # of one channel there is no delay
            return
        elif drifts(seconds.delay_s):
            drift_ms = 1e3 * (seconds.delay_s[-1] - seconds.delay_s[0])
            yield (f"has a delay between its channels that drifts by {drift_ms:.1f} ms, as two recorders' clocks do; "
                   "record both channels with one device.")
        elif abs(self._low_level_db) > LEVELS_DB:
            yield (f"has a right channel {abs(self._low_level_db):.0f} dB "
                   f"{'louder' if self._low_level_db > 0 else 'weaker'} than the left one in the bass, more than a "
                   "head makes; give both channels the same gain.")
        elif _share(seconds.is_opposed) > OPPOSED_SHARE:
            yield ("has sounds that reach one channel first but are louder in the other, as in channels of very "
                   "different level; give both channels the same gain.")
        elif self.wide_share > WIDE_SHARE:
            yield (f"has delays between the channels that no head makes, in {100 * self.wide_share:.0f} % of it, "
                   "as in a stereo mix; the azimuths of a stereo mix mean little.")

    @property
    def _is_narrow(self):
        return _share(_loud(self._row_power, self._row_is_narrow)) > 0.5

    @property
    def _low_level_db(self):
        """Level of the right channel over the left one in the bass, 0 where there is none."""
        return level_db(*self._low) if self._low.min() > 0 and self._low.sum() > LOW_SHARE * self._heard else 0.0

    @property
    def _loud_seconds(self):
        """The seconds that are not pauses, as a Second of arrays (n,)."""
        seconds = np.array(self._seconds).reshape(-1, len(Second._fields))
        return Second(*seconds[seconds[:, 0] > LOUD_SHARE * seconds[:, 0].max(initial=0)].T)

    @property
    def _is_panned(self):
        """Tell whether both channels hold one signal and differ in level."""
        gains_db = self._same_gains_db
        return bool(len(gains_db)) and np.abs(np.percentile(gains_db, (10, 90))).max() >= SAME_GAIN_DB

    @property
    def _is_panned_mix(self):
        """Tell whether the channels hold several sounds, each of them without a delay but at another level."""
        is_still = np.abs(self._loud_seconds.delay_s) < STILL_S
        return _share(is_still) > STILL_SHARE and _share(_loud(self._frame_power, self._frame_panned)) > PANNED_SHARE

    @property
    def _same_gains_db(self):
        """Gains of the right channel where both hold one signal, (n,) dB; empty where that is not most of the sound."""
        gain_db = _loud(self._frame_power, self._frame_gain_db)
        is_same = np.isfinite(gain_db)
        return gain_db[is_same] if _share(is_same) > SAME_SHARE else np.empty(0)


def _panned_share(product, ear_power):
    """Share of the bins that differ between the ears in level but not in phase: (frame,).

    Parameters
    ----------
    product : np.ndarray [shape=(bin, frame)], complex: right times the conjugate of left
    ear_power : np.ndarray [shape=(2, bin, frame)]

    """
    left, right = ear_power + TINY
    power = left + right
    is_heard = power > power.max(axis=0) * 10 ** (-PANNED_RANGE_DB / 10)
    is_in_phase = np.abs(product.imag) < np.tan(PANNED_RAD) * product.real
    is_panned = is_in_phase & (np.maximum(left, right) > 10 ** (PANNED_DB / 10) * np.minimum(left, right))
    return (is_heard & is_panned).sum(axis=0) / is_heard.sum(axis=0)


def _loud(powers, values):
    """Values, of a list of arrays, whose power is not that of a pause; powers alike."""
    power, value = np.concatenate([*powers, []]), np.concatenate([*values, []])
    return value[power > LOUD_SHARE * power.max(initial=0)]


def _share(values):
    """Mean of some values or truths, 0 of none."""
    return float(np.mean(values)) if len(values) else 0.0
