"""Keep the spectrogram of a recording for its picture, in bounded memory."""
import numpy as np

MOST_COLUMNS = 2048   # with more, neighbours are averaged


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
