"""Keep the spectrogram of a recording for its picture, in bounded memory, and tell when it is silent."""
import numpy as np

from network.channels import FAINT_DBFS, LOUD_SHARE

MOST_COLUMNS = 2048   # with more, neighbours are averaged
AC_BINS = slice(2, None)    # which a constant offset does not reach through a Hamming window


def is_pause(level_db, loudest_db, params, is_same=False):
    """Tell which rows or frames are no sound beside the loudest row: silence, or the same faint noise in both ears.

    A recording that is quiet altogether has its silence at FAINT_DBFS, another at params.silence_dbfs.

    >>> from params import Params
    >>> is_pause(np.array([-96.0, -85.0, -60.0]), -20.0, Params()), bool(is_pause(-85.0, -70.0, Params()))
    (array([ True,  True, False]), False)
    """
    is_weak = level_db < loudest_db + 10 * np.log10(LOUD_SHARE)
    return (level_db <= FAINT_DBFS) | is_weak & (is_same | (level_db <= params.silence_dbfs))


class Spectrogram:
    """Average power over time into at most MOST_COLUMNS columns, however long the recording.

    Of each frame it also keeps the level, which is 0.7 MB an hour.
    """

    def __init__(self, bins):
        self.frames_per_column = 1
        self._columns, self._waiting = np.empty((bins, 0), np.float32), np.empty((bins, 0), np.float32)
        self._frame_power = [np.empty(0, np.float32)]

    def add(self, power):
        """Add the power (bin, frame) of some frames, of both ears together."""
        self._frame_power.append(power[AC_BINS].sum(axis=0, dtype=np.float32))
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

    def silences(self, loudest_db, params):
        """List when there was no sound.

        Silence is what it is of rows: see `is_pause`.

        Parameters
        ----------
        loudest_db : float, level of the loudest row in dBFS
        params : Params, for the frames and silence_dbfs

        Returns
        -------
        np.ndarray [shape=(silence, 2)], begin and end in seconds, to 0.02 s; the last one ends at infinity if it lasts

        """
        frame_s = params.stft_hop_samples / params.sample_rate_hz
        window_power = params.stft_window_samples ** 2 * (0.54 ** 2 + 0.46 ** 2 / 2)    # Parseval, of a Hamming window
        level_db = 10 * np.log10(np.maximum(np.concatenate(self._frame_power) / window_power, 1e-20))
        silent = np.concatenate(([False], is_pause(level_db, loudest_db, params), [False]))
        first, after = np.flatnonzero(np.diff(silent.astype(int))).reshape(-1, 2).T      # numbers of frames
        # Each frame covers 0.04 s: sound that begins in one begins in its second half, what ends in one in its first.
        begin_s, end_s = first * frame_s, (after + 1) * frame_s
        return np.column_stack((begin_s, np.where(after == len(level_db), np.inf, end_s)))
