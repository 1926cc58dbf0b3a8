"""Cut a sample into segments, average local features over them, and let the segments agree.

Noise wins some segments; what holds in all durations is more often right than the whole alone
(docs/log/2026-11-27-segments-of-a-sample.md). A step is STEP_FRAMES, 40 ms.
"""
import itertools

import numpy as np
from scipy.special import expit, softmax

STEP_FRAMES = 2
SEGMENT_STEPS = (5, 8, 12, 25, 50)      # an answer also uses segments of about these durations, each by itself
LEAST_PROBABILITY = 1e-12               # before a logarithm is taken: a softmax may underflow


def segments_of(steps):
    """Cut a sample of `steps` into segments: lists of (begin, end), a list for each duration.

    The first is the whole; then it is cut evenly into segments of about SEGMENT_STEPS, longer ones first.

    >>> segments_of(12)
    [[(0, 12)], [(0, 6), (6, 12)]]
    """
    counts = dict.fromkeys(max(1, round(steps / length)) for length in (steps, *sorted(SEGMENT_STEPS, reverse=True)))
    cuts = [[round(steps * at / count) for at in range(count + 1)] for count in counts]
    return [list(itertools.pairwise(cut)) for cut in cuts]


def shares(segments, steps, context_steps=1):
    """Say how much each step counts in the mean of each segment: (segment, position) float32, rows sum to 1.

    Of features that see `context_steps` at once there are as many positions less; those wholly inside a segment count.

    >>> shares([(0, 4), (2, 4)], steps=4)
    array([[0.25, 0.25, 0.25, 0.25],
           [0.  , 0.  , 0.5 , 0.5 ]], dtype=float32)
    >>> shares([(0, 4), (2, 4)], steps=4, context_steps=2).round(2)
    array([[0.33, 0.33, 0.33],
           [0.  , 0.  , 1.  ]], dtype=float32)
    """
    begin, end = np.array(segments).T[..., np.newaxis]
    positions = np.arange(steps - context_steps + 1)
    is_inside = (positions >= begin) & (positions + context_steps <= end)
    return (is_inside / is_inside.sum(axis=1, keepdims=True)).astype(np.float32)


def running_means(values, begins, ends):
    """Average local features (position, value) over positions begin..end by differences of a running sum.

    Parameters
    ----------
    values : np.ndarray [shape=(position, value)]
    begins, ends : np.ndarray [shape=(segment,)], int

    Returns
    -------
    np.ndarray [shape=(segment, value)], float32

    Examples
    --------
    >>> running_means(np.array([[1.0], [3.0], [8.0]]), np.array([0, 1]), np.array([2, 3]))
    array([[2. ],
           [5.5]], dtype=float32)

    """
    sums = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)))
    return ((sums[ends] - sums[begins]) / (ends - begins)[:, np.newaxis]).astype(np.float32)


def agreed(distribution, presence, counts):
    """Let segments agree on a distribution and on presence.

    Distributions are averaged over the segments of a duration, then geometrically over the durations. A talker who is
    present in one segment is present: presence is the greatest of the segments of a duration, then the mean of the
    durations.

    Parameters
    ----------
    distribution, presence : np.ndarray [shape=(n, segment, class)], scores before softmax and before sigmoid, in the
        order of `segments_of`
    counts : sequence of int, segments of each duration

    Returns
    -------
    distribution, presence : np.ndarray [shape=(n, class)]; rows of `distribution` sum to 1

    Examples
    --------
    >>> scores = np.log([[[0.5, 0.5], [0.99, 0.01], [0.61, 0.39]]])
    >>> distribution, presence = agreed(scores, np.zeros((1, 3, 2)), [1, 2])
    >>> distribution.round(2), presence
    (array([[0.67, 0.33]]), array([[0.5, 0.5]]))

    """
    ends = np.cumsum(counts)

    def of_durations(values):
        return [values[:, end - count:end] for count, end in zip(counts, ends)]

    logs = [np.log(each.mean(axis=1) + LEAST_PROBABILITY) for each in of_durations(softmax(distribution, axis=-1))]
    greatest = [each.max(axis=1) for each in of_durations(expit(presence))]
    return softmax(np.mean(logs, axis=0), axis=-1), np.mean(greatest, axis=0)


def scores_of_rows(local, score, cues, starts, steps, segments, context_steps):
    """Score segments of overlapping windows of a recording: local features once, each segment once.

    Parameters
    ----------
    local : callable, cues (1, bin, frame, 2) -> filters (1, position, value), log-likelihoods (1, step, value)
    score : callable, their means (n, value) each -> list of scores, (n, class) each
    cues : np.ndarray [shape=(bin, frame, 2)]
    starts : np.ndarray [shape=(row,)], int: the frames at which the windows begin
    steps : int, of a window
    segments : list of (begin, end) in steps, of a window; the first is the whole
    context_steps : int, which the filters see at once

    Returns
    -------
    list of np.ndarray: the scores (row, segment, class), last the log-likelihoods of the whole windows (row, value)

    """
    scores, of_whole = None, None
    for phase in range(STEP_FRAMES):                          # a window may begin at any frame, a step at every other
        rows = np.flatnonzero(starts % STEP_FRAMES == phase)
        if not len(rows):
            continue
        first = starts[rows[0]]
        bounds = (starts[rows] - first)[:, np.newaxis, np.newaxis] // STEP_FRAMES + np.array(segments)
        filtered, likelihoods = local(cues[np.newaxis, :, first:starts[rows[-1]] + steps * STEP_FRAMES])
        once, which = np.unique(bounds.reshape(-1, 2), axis=0, return_inverse=True)
        which = which.reshape(len(rows), len(segments))
        mean_likelihoods = running_means(likelihoods[0], *once.T)
        given = score(running_means(filtered[0], once[:, 0], once[:, 1] - context_steps + 1), mean_likelihoods)
        if scores is None:
            scores = [np.empty((len(starts), len(segments), each.shape[-1]), np.float32) for each in given]
            of_whole = np.empty((len(starts), mean_likelihoods.shape[1]), np.float32)
        for into, each in zip(scores, given):
            into[rows] = each[which]
        of_whole[rows] = mean_likelihoods[which[:, 0]]
    return [*scores, of_whole]
