"""Whether the two channels of a recording are those of two ears: measured block by block, told in one sentence each."""
import numpy as np

from console import BadInput, warn

HEAD_DELAY_S = 1e-3          # no head delays a sound by more: that of an adult is 0.65 to 0.8 ms
DELAY_SEARCH_S = 0.02        # how far apart the channels of a stereo mix are looked for
WIDE_SHARE = 0.3             # of the seconds with a delay that no head makes: from there on it is not binaural
DRIFT_S, DRIFT_CORRELATION = 0.5e-3, 0.9  # of the delay over a recording, and how straight it is: two clocks
DRIFT_SCATTER_S = 0.2e-3     # median distance of the delays from that line at most
LOUD_SHARE = 1e-3            # of the power of the loudest second or frame: what is weaker, pauses, tells nothing
INVERTED_PEAK = 1.5          # a negative peak of the cross-correlation so many times the positive one
INVERTED_SHARE = 0.6         # of the seconds, from which on a channel is inverted
SAME_RESIDUAL = 0.01         # share of the power of a frame that is left when one channel explains the other by a gain
SAME_SHARE = 0.7             # of the loud frames, from which on both channels hold one signal
SAME_GAIN_DB = 1.0           # two channels of one signal that differ by less are mono, else panned
FRONT_RESIDUAL, FRONT_GAIN_DB = 0.3, 4.0  # the same of a source in front, above the bass; a diffuse field leaves 1
DEAD_DB = 30.0               # between the channels above the bass: 80 measured heads make 21 dB at most
LOW_HZ, LEVELS_DB = (150.0, 500.0), 10.0  # in this band the same heads make 7 dB at most: more are two gains
NARROW_BINS, NARROW_DB = 40, 40.0  # a frame with so few bins (1 kHz) within so many dB of its loudest is narrow;
NARROW_SHARE = 1 / 3         # of its loud frames, and a row tells no direction: speech has next to none of them
OFFSET, OFFSET_SHARE = 0.01, 0.1   # of full scale and of the root mean square: DC that is told
QUIET_PEAK_DB = -60.0        # of full scale, from which on a recording is said to be quiet
TINY = 1e-20                 # against a logarithm of nothing


class ChannelCheck:
    """Measures two channels as they come; `check` tells in the end what is wrong with them.

    `peak` (ear,) is the highest level so far, 1 = full scale. `is_doubtful` says after `check` that no azimuth can be
    trusted.
    """

    def __init__(self, params):
        self.params, self.peak, self.is_doubtful = params, np.zeros(2), False
        self._samples, self._is_apart, self._second = 0, False, np.empty((0, 2), np.float32)
        self._sum, self._square, self._treble, self._low = np.zeros((4, 2))
        self._seconds = []                                                    # of (power, delay, is inverted)
        self._frame_power, self._frame_gain_db = [], []                       # arrays; NaN where the channels differ
        self._loud_rows = self._narrow_rows = 0

    # ------------------------------------------------------------------------------------------------ measuring

    def add_signal(self, ears):
        """Measure a block (n, 2) of the signal."""
        self._samples += len(ears)
        self.peak = np.maximum(self.peak, np.abs(ears).max(axis=0, initial=0))
        self._sum += ears.sum(axis=0, dtype=np.float64)
        self._square += np.square(ears).sum(axis=0, dtype=np.float64)
        self._is_apart = self._is_apart or bool(np.any(ears[:, 0] != ears[:, 1]))
        rate = self.params.sample_rate_hz
        signal = np.concatenate((self._second, ears))
        count = len(signal) // rate
        self._second = signal[count * rate:]
        for second in signal[:count * rate].reshape(count, rate, 2):
            power = float(np.square(second).mean())
            if power > self.params.silence_power:
                self._add_second(second, power)

    def _add_second(self, second, power):
        """Measure the delay and polarity of a second: the peaks of its cross-correlation with phase transform."""
        rate = self.params.sample_rate_hz
        left, right = np.fft.rfft(second.T, 2 * rate)
        cross = right * np.conj(left)
        correlation = np.fft.irfft(cross / np.maximum(np.abs(cross), 1e-12))
        reach, head = round(DELAY_SEARCH_S * rate), round(HEAD_DELAY_S * rate)
        around = np.roll(correlation, reach)[:2 * reach + 1]
        near = around[reach - head:reach + head + 1]
        self._seconds.append((power, (around.argmax() - reach) / rate, -near.min() > INVERTED_PEAK * near.max()))

    def add_frames(self, spectra, ear_power, power):
        """Compare the channels of some frames.

        Parameters
        ----------
        spectra : np.ndarray [shape=(2, bin, frame)], complex
        ear_power : np.ndarray [shape=(2, bin, frame)], their squared magnitude
        power : np.ndarray [shape=(frame,)], mean square of the signal

        Returns
        -------
        np.ndarray [shape=(3, frame)], bool: whether the channels hold one signal, whether they are as nearly equal as
            those of a source in front, and whether the frame is loud but of too few frequencies

        """
        p = self.params
        is_loud = power > p.silence_power
        rising = np.square(np.arange(p.bins, dtype=np.float32))[:, np.newaxis]                # as pre-emphasis does
        treble = (ear_power * rising).sum(axis=1)                                             # (ear, frame)
        left, right = treble + TINY
        cross = ((spectra[0] * spectra[1].conj()).real * rising).sum(axis=0)
        residual = np.where(cross > 0, 1 - cross / left * (cross / right), 1)
        gain_db, is_same = 10 * np.log10(right / left), residual < SAME_RESIDUAL
        audible = ear_power.sum(axis=0)[2:]                                                   # without a DC offset
        is_narrow = (audible > audible.max(axis=0) * 10 ** (-NARROW_DB / 10)).sum(axis=0) < NARROW_BINS
        first, last = (round(hz * p.stft_window_samples / p.sample_rate_hz) for hz in LOW_HZ)
        self._low += ear_power[:, first:last, is_loud].sum(axis=(1, 2), dtype=np.float64)
        self._treble += treble.sum(axis=1, dtype=np.float64)
        self._frame_power.append(power[is_loud])
        self._frame_gain_db.append(np.where(is_same, gain_db, np.nan)[is_loud])
        is_front = is_loud & (residual < FRONT_RESIDUAL) & (np.abs(gain_db) < FRONT_GAIN_DB)
        return np.stack([is_same & (np.abs(gain_db) < SAME_GAIN_DB), is_front, is_narrow & is_loud])

    def add_rows(self, is_narrow):
        """Count the rows above silence and those of them that are too narrow: (row,) bool."""
        self._loud_rows += len(is_narrow)
        self._narrow_rows += int(is_narrow.sum())

    # ------------------------------------------------------------------------------------------------ telling

    @property
    def is_one_signal(self):
        """Tell whether both channels held exactly the same so far."""
        return not self._is_apart

    @property
    def wide_share(self):
        """Return the share of the seconds whose delay between the channels is more than a head makes."""
        delays = self._loud_seconds[0]
        return float(np.mean(np.abs(delays) > HEAD_DELAY_S)) if len(delays) else 0.0

    def check(self, name):
        """Raise BadInput where the channels cannot be those of two ears, and warn of all else; `name` comes first."""
        if self.peak.max() == 0:
            raise BadInput(f"{name} is silent in both channels; check the recording.")
        if 10 * np.log10((self._treble.max() + TINY) / (self._treble.min() + TINY)) > DEAD_DB:
            weaker = ("left", "right")[int(self._treble.argmin())]
            raise BadInput(f"{name} has next to nothing in its {weaker} channel above the bass; check the microphone "
                           "or its cable and record again.")
        if self.is_one_signal:
            raise BadInput(f"{name} holds the same signal in both channels, so it says nothing about directions; "
                           "record with two microphones at the ears.")
        for remark in self._remarks():
            warn(f"{name} {remark}")
        for remark in self._doubts():
            self.is_doubtful = True
            warn(f"{name} {remark}")

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
        levels_db = 10 * np.log10((self._low[1] + TINY) / (self._low[0] + TINY))
        if abs(levels_db) > LEVELS_DB:
            yield (f"has a right channel {abs(levels_db):.0f} dB {'louder' if levels_db > 0 else 'weaker'} than the "
                   "left one in the bass, more than a head makes; give both channels the same gain.")
        delays, is_inverted = self._loud_seconds
        if self._is_panned:
            yield (f"has one signal in both channels, panned by level alone ({np.median(self._same_gains_db):+.0f} dB "
                   "on the right); the azimuths of a stereo mix mean nothing: record with two microphones at the ears.")
        if len(is_inverted) and np.mean(is_inverted) > INVERTED_SHARE:
            yield ("has one channel with inverted polarity, so the azimuths are wrong; invert one channel in an "
                   "editor, or exchange the wires of one microphone.")
        elif _drifts(delays):
            drift_ms = 1e3 * (delays[-1] - delays[0])
            yield (f"has a delay between its channels that drifts by {drift_ms:.1f} ms, as two recorders' clocks do; "
                   "record both channels with one device.")
        elif self.wide_share > WIDE_SHARE:
            yield (f"has delays between the channels that no head makes, in {100 * self.wide_share:.0f} % of it; is "
                   "it a stereo mix, not a binaural recording? The azimuths mean little then.")

    @property
    def _is_narrow(self):
        return self._narrow_rows > 0.5 * self._loud_rows

    @property
    def _loud_seconds(self):
        """Delays in seconds and whether polarity is inverted, of the seconds that are not pauses: two (n,)."""
        power, delays, is_inverted = np.array(self._seconds).reshape(-1, 3).T
        is_loud = power > LOUD_SHARE * power.max(initial=0)
        return delays[is_loud], is_inverted[is_loud]

    @property
    def _is_panned(self):
        """Tell whether both channels hold one signal and differ in level."""
        gains_db = self._same_gains_db
        return bool(len(gains_db)) and np.abs(np.percentile(gains_db, (10, 90))).max() >= SAME_GAIN_DB

    @property
    def _same_gains_db(self):
        """Gains of the right channel where both hold one signal, (n,) dB; empty where that is not most of the sound."""
        power, gain_db = (np.concatenate([*each, []]) for each in (self._frame_power, self._frame_gain_db))
        gain_db = gain_db[power > LOUD_SHARE * power.max(initial=0)]
        is_same = np.isfinite(gain_db)
        return gain_db[is_same] if len(gain_db) and is_same.mean() > SAME_SHARE else np.empty(0)


def _drifts(delays):
    """Tell whether delays (second,) move along a straight line, further than a head does."""
    if len(delays) < 5 or np.ptp(delays) < DRIFT_S or np.abs(delays).max() < HEAD_DELAY_S:
        return False
    number = np.arange(len(delays))
    line = np.polyval(np.polyfit(number, delays, 1), number)
    return bool(abs(np.corrcoef(number, delays)[0, 1]) > DRIFT_CORRELATION
                and np.median(np.abs(delays - line)) < DRIFT_SCATTER_S)
