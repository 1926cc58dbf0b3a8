"""Cut a sample into segments, average local features over them, and let the segments agree.

Noise wins some segments; what holds in all durations is more often right than the whole alone
(docs/log/2026-11-27-segments-of-a-sample.md). A step is STEP_FRAMES, 40 ms.
"""
import itertools

import numpy as np

from network.answers import Outputs
from network.cells import BANDS

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

    logs = [np.log(each.mean(axis=1) + LEAST_PROBABILITY) for each in of_durations(_softmax(distribution))]
    greatest = [each.max(axis=1) for each in of_durations(_sigmoid(presence))]
    return _softmax(np.mean(logs, axis=0)), np.mean(greatest, axis=0)


def _softmax(scores):  # these two are SciPy's, whose import takes longer than ten seconds of sound
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _sigmoid(scores):
    return 0.5 + 0.5 * np.tanh(0.5 * scores)


def segments_in_use(frames, params):
    """List the segments of samples of `frames` that a network scores, longest duration first: (begin, end) in steps.

    One of squared error scores the whole alone.
    """
    durations = segments_of(frames // STEP_FRAMES)[:None if params.loss == "distribution" else 1]
    return [segment for duration in durations for segment in duration]


def outputs_of(scores, frames, params):
    """Let the segments of samples of `frames` agree.

    Parameters
    ----------
    scores : sequence of np.ndarray: the scores (n, segment, class) of each output, in the order of `segments_in_use`;
        last the log-likelihoods of the whole samples (n, band x class)
    frames : int
    params : Params, for the loss and the classes

    Returns
    -------
    answers.Outputs

    """
    if params.loss != "distribution":
        return Outputs(scores[0][:, 0])
    *scores, likelihoods = scores
    counts = [len(duration) for duration in segments_of(frames // STEP_FRAMES)]
    return Outputs(*agreed(*scores, counts), likelihoods.reshape(-1, BANDS, len(params.class_deg)))


def scores_of_rows(score, cues, starts, steps, segments):
    """Score segments of overlapping windows of a recording: local features once, each segment once.

    Parameters
    ----------
    score : callable, cues (bin, frame, 2) and bounds (n, 2) of segments in steps -> list of scores, (n, class) each,
        and of mean log-likelihoods (n, value), last
    cues : np.ndarray [shape=(bin, frame, 2)]
    starts : np.ndarray [shape=(row,)], int: the frames at which the windows begin
    steps : int, of a window
    segments : list of (begin, end) in steps, of a window; the first is the whole

    Returns
    -------
    list of np.ndarray: the scores (row, segment, class), last the log-likelihoods of the whole windows (row, value)

    """
    scores = None
    for phase in range(STEP_FRAMES):                          # a window may begin at any frame, a step at every other
        rows = np.flatnonzero(starts % STEP_FRAMES == phase)
        if not len(rows):
            continue
        first = starts[rows[0]]
        bounds = (starts[rows] - first)[:, np.newaxis, np.newaxis] // STEP_FRAMES + np.array(segments)
        once, which = np.unique(bounds.reshape(-1, 2), axis=0, return_inverse=True)
        given = score(cues[:, first:starts[rows[-1]] + steps * STEP_FRAMES], once)
        if scores is None:
            scores = [np.empty((len(starts), len(segments), each.shape[-1]), np.float32) for each in given]
        for into, each in zip(scores, given):
            into[rows] = each[which.reshape(len(rows), len(segments))]
    return [*scores[:-1], scores[-1][:, 0]]
