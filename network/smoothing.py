"""Where a source is over time: a hidden Markov model over the rows of a track (Rabiner, Proceedings of the IEEE 1989).

    chain = Chain(params, hop_s=0.1)
    evidence = chain.evidence(distribution, source_log_odds)      # (row, 2, direction): heard from there, or silent
    chain.smoothed(evidence)                                      # the same: probabilities by all rows together
    chain.advanced(before, evidence[0])                           # (2, direction): by the rows up to one

A talker does not jump by 70 degrees in a tenth of a second: walking past at 1 m/s, 1.5 m away, he moves by 4. So a row
that stands alone, as a reflection makes it, weighs less than its neighbours. Between words he stays where he is; and
talkers take turns.
"""
import numpy as np

LOOKS_PER_SAMPLE = 2.0   # that count as independent: rows overlap, and a network also answers for parts of a sample
DOUBT = 0.02             # of every row: share of its distribution that is spread over all directions
MOST_LOG_ODDS = 6.0      # of a row for or against a source
SILENT_LOG_ODDS = -25.0  # of silence
WALK_DEG_PER_ROOT_S = 12.0  # standard deviation of where a source is a second later: 3.8 degrees after 0.1 s
TURNS_PER_S = 0.1        # how often another source takes over, from anywhere
STARTS_PER_S, STOPS_PER_S = 0.1, 0.1   # how often sound begins and ends
LONGEST_STEP_S = 0.1     # in which a source moves by no more than one direction of the grid
ROWS_AT_ONCE = 18_000    # of 2 kB each in memory: half an hour


class Chain:
    """Hold what is likely from row to row: how a source moves, and whether it is heard.

    A state is a direction in which the source is, heard or silent: arrays of (2, direction), heard first.
    """

    def __init__(self, params, hop_s):
        count = len(params.class_deg)
        grid_deg = (params.class_deg[-1] - params.class_deg[0]) / (count - 1)
        steps = max(1, int(np.ceil(hop_s / LONGEST_STEP_S - 1e-9)))
        step_s = hop_s / steps
        move = WALK_DEG_PER_ROOT_S ** 2 * step_s / (2 * grid_deg ** 2)        # to either neighbour: the same variance
        walk = np.eye(count) * (1 - 2 * move) + move * (np.eye(count, k=1) + np.eye(count, k=-1))
        walk[0, 0] = walk[-1, -1] = 1 - move
        turn, start, stop = (min(each * step_s, 0.5) for each in (TURNS_PER_S, STARTS_PER_S, STOPS_PER_S))
        self._moves = np.linalg.matrix_power((1 - turn) * walk + turn / count, steps)         # symmetric
        self._sounds = np.linalg.matrix_power([[1 - stop, stop], [start, 1 - start]], steps)  # (from, to)
        self._begin = np.full((2, count), 0.5 / count)
        self._weight = min(1.0, LOOKS_PER_SAMPLE * hop_s / params.sample_s)

    def evidence(self, distribution, source_log_odds):
        """Turn what a network says of rows into how well each state explains it, up to a factor of each row.

        Parameters
        ----------
        distribution : np.ndarray [shape=(row, class)], rows sum to 1
        source_log_odds : np.ndarray [shape=(row,)], that there is a source; minus infinity for silence

        Returns
        -------
        np.ndarray [shape=(row, 2, class)]

        Examples
        --------
        >>> from params import Params
        >>> chain = Chain(Params(), hop_s=0.1)
        >>> evidence = chain.evidence(np.eye(37)[[18, 18]], np.array([5.0, -np.inf]))
        >>> (evidence[:, 0, 18] > evidence[:, 1, 18]).tolist(), int(evidence[0, 0].argmax())
        ([True, False], 18)

        """
        is_silent = np.isneginf(source_log_odds)
        log_odds = np.where(is_silent, SILENT_LOG_ODDS, np.clip(source_log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS))
        told = np.where(is_silent[:, np.newaxis], 1, (1 - DOUBT) * distribution.shape[1] * distribution + DOUBT)
        # Of noise alone, which is heard anywhere, every direction is as likely: the mean over them. So rows that agree
        # speak for a source, and rows that scatter against one.
        where = told ** self._weight
        where /= where.mean(axis=1, keepdims=True)
        return np.stack((where * np.exp(self._weight * log_odds)[:, np.newaxis], np.ones_like(where)), axis=1)

    def advanced(self, before, evidence):
        """Give the probabilities (2, class) after a row, by those before it, or None, and its evidence (2, class)."""
        after = (self._begin if before is None else self._sounds.T @ before @ self._moves) * evidence
        return after / after.sum()

    def smoothed(self, evidence):
        """Give the probabilities of each row (row, 2, class) by all rows before and after it (forward-backward).

        >>> from params import Params
        >>> chain = Chain(Params(), hop_s=0.1)
        >>> outlier = chain.evidence(np.eye(37)[[18] * 10 + [3] + [18] * 10], np.full(21, 5.0))
        >>> set(chain.smoothed(outlier)[:, 0].argmax(axis=1).tolist())
        {18}
        """
        return self._smoothed(evidence, None, np.ones(evidence.shape[1:]))[0]

    def smoothed_parts(self, distribution, source_log_odds):
        """Smooth as `smoothed` does, in bounded memory, however many rows there are; arguments as of `evidence`.

        Yields
        ------
        part : slice of rows, the last ones first
        probabilities : np.ndarray [shape=(row of the part, 2, class)]

        """
        parts = [slice(begin, begin + ROWS_AT_ONCE) for begin in range(0, len(distribution), ROWS_AT_ONCE)]

        def evidence_of(part):
            return self.evidence(distribution[part].astype(np.float64), source_log_odds[part])

        states = [None]  # before each part
        for part in parts[:-1]:
            state = states[-1]
            for each in evidence_of(part):
                state = self.advanced(state, each)
            states.append(state)
        behind = np.ones((2, distribution.shape[1]))
        for part, state in zip(reversed(parts), reversed(states)):
            probabilities, behind = self._smoothed(evidence_of(part), state, behind)
            yield part, probabilities

    def _smoothed(self, evidence, before, behind):
        """Smooth rows between a state before them and what rows behind them tell; gives that of these rows, too."""
        probabilities, state = np.empty_like(evidence), before
        for row, each in enumerate(evidence):
            probabilities[row] = state = self.advanced(state, each)
        for row in range(len(evidence) - 1, -1, -1):
            probabilities[row] *= behind
            probabilities[row] /= probabilities[row].sum()
            behind = self._sounds @ (evidence[row] * behind) @ self._moves
            behind /= behind.sum()
        return probabilities, behind
