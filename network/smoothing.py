"""Where a source is over time: a hidden Markov model over the rows of a track (Rabiner, Proceedings of the IEEE 1989).

    chain = Chain(params, hop_s=0.1)
    evidence = chain.evidence(distribution, source_log_odds)      # (row, 37 directions and "no source")
    chain.smoothed(evidence)                                      # (row, 38): what all rows together say of each
    chain.advanced(before, evidence[0])                           # (38,): what the rows up to one say of it

A talker does not jump by 70 degrees in a tenth of a second: walking past at 1 m/s, 1.5 m away, he moves by 4. So a row
that stands alone, as a reflection makes it, weighs less than its neighbours. Talkers take turns, though, and pause.
"""
import numpy as np

LOOKS_PER_SAMPLE = 2.0   # that count as independent: rows overlap, and a network also answers for parts of a sample
DOUBT = 0.02             # of every row: share of its distribution that is spread over all directions
MOST_LOG_ODDS = 6.0      # of a row for or against a source
WALK_DEG_PER_ROOT_S = 12.0  # standard deviation of where a source is a second later: 3.8 degrees after 0.1 s
TURNS_PER_S = 0.1        # how often another source takes over, from anywhere
STARTS_PER_S, STOPS_PER_S = 0.5, 0.5   # how often sound begins and ends
LONGEST_STEP_S = 0.1     # in which a source moves by no more than one direction of the grid


class Chain:
    """Hold what is likely from row to row: the transitions between directions, and "no source", the last state."""

    def __init__(self, params, hop_s):
        count = len(params.class_deg)
        grid_deg = (params.class_deg[-1] - params.class_deg[0]) / (count - 1)
        steps = max(1, int(np.ceil(hop_s / LONGEST_STEP_S - 1e-9)))
        step_s = hop_s / steps
        move = WALK_DEG_PER_ROOT_S ** 2 * step_s / (2 * grid_deg ** 2)        # to either neighbour: the same variance
        walk = np.eye(count) * (1 - 2 * move) + move * (np.eye(count, k=1) + np.eye(count, k=-1))
        walk[0, 0] = walk[-1, -1] = 1 - move
        turn, start, stop = (min(each * step_s, 0.5) for each in (TURNS_PER_S, STARTS_PER_S, STOPS_PER_S))
        step = np.zeros((count + 1, count + 1))
        step[:-1, :-1] = (1 - stop) * ((1 - turn) * walk + turn / count)
        step[:-1, -1], step[-1, :-1], step[-1, -1] = stop, start / count, 1 - start
        self.transitions = np.linalg.matrix_power(step, steps)                # (from, to)
        self.begin = np.append(np.full(count, 0.5 / count), 0.5)
        self._weight = min(1.0, LOOKS_PER_SAMPLE * hop_s / params.sample_s)

    def evidence(self, distribution, source_log_odds):
        """Turn what a network says of rows into how well each state explains it, up to a factor of each row.

        Parameters
        ----------
        distribution : np.ndarray [shape=(row, class)], rows sum to 1
        source_log_odds : np.ndarray [shape=(row,)], that there is a source; minus infinity where there is none for sure

        Returns
        -------
        np.ndarray [shape=(row, class + 1)]

        Examples
        --------
        >>> from params import Params
        >>> chain = Chain(Params(), hop_s=0.1)
        >>> evidence = chain.evidence(np.eye(37)[[18, 18]], np.array([5.0, -np.inf]))
        >>> evidence.argmax(axis=1).tolist()              # in front; no source
        [18, 37]

        """
        count = distribution.shape[1]
        odds = np.exp(self._weight * np.clip(source_log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS))
        likelihood = ((1 - DOUBT) * count * distribution + DOUBT) ** self._weight * odds[:, np.newaxis]
        likelihood[np.isneginf(source_log_odds)] = 0.01   # of silence: far more likely without a source
        return np.concatenate((likelihood, np.ones((len(distribution), 1))), axis=1)

    def advanced(self, before, evidence):
        """Give the probabilities (state,) after a row, by those before it, or None, and its evidence (state,)."""
        after = (self.begin if before is None else before @ self.transitions) * evidence
        return after / after.sum()

    def smoothed(self, evidence):
        """Give the probabilities of each row (row, state) by all rows before and after it (forward-backward).

        >>> from params import Params
        >>> chain = Chain(Params(), hop_s=0.1)
        >>> outlier = chain.evidence(np.eye(37)[[18] * 10 + [3] + [18] * 10], np.full(21, 5.0))
        >>> set(chain.smoothed(outlier).argmax(axis=1).tolist())
        {18}
        """
        forward, state = np.empty_like(evidence), None
        for row, each in enumerate(evidence):
            forward[row] = state = self.advanced(state, each)
        behind = np.ones(evidence.shape[1])
        for row in range(len(evidence) - 1, -1, -1):
            forward[row] *= behind
            forward[row] /= forward[row].sum()
            behind = self.transitions @ (evidence[row] * behind)
            behind /= behind.sum()
        return forward
