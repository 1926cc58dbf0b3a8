"""Let the default network answer for any duration: local features once, then means over segments that agree."""
import numpy as np

from network import cnn
from network.backend import tf
from network.cells import symmetrical, template_vectors
from network.segments import (
    SEGMENT_STEPS,
    STEP_FRAMES,
    outputs_of,
    running_means,
    scores_of_rows,
    segments_in_use,
    shares,
)

CROP_STEPS = min(SEGMENT_STEPS)     # training also uses a crop this long of every sample


class Segmented:
    """Hold the default network (cnn.py); an answer is what segments of several durations agree on (segments.py)."""

    losses = ()
    copies = 2  # of a sample in training: the whole and its crop

    def __init__(self, params):
        self.params, self.parts = params, cnn.build(params)
        self.keras_model = self.parts.whole
        self._templates = self.parts.local.get_layer("log_likelihoods").templates

    def compare_with(self, template_cues, is_symmetrical=False):
        """Compare with the cues (class, bin, 2) of a head from now on.

        Those of the head of training are made symmetrical: the mirrored sample then has the mirrored likelihoods.
        """
        vectors = template_vectors(template_cues[np.newaxis])[0]
        self._templates.assign(symmetrical(vectors) if is_symmetrical else vectors)

    def scores_in_training(self, samples, crop, template_cues=None):
        """Compute the scores (2 n, class) of the samples, then of a crop of each, in a dict: both durations are learnt.

        `crop` (0..1) says where the crop begins; for `template_cues` see Network.train.
        """
        steps = samples.shape[2] // STEP_FRAMES
        begin, length = tf.cast(crop * max(0, steps - CROP_STEPS + 1), tf.int32), min(CROP_STEPS, steps)
        filtered, likelihoods = self.local(samples, template_cues)
        means = [tf.concat((tf.reduce_mean(values, axis=1), tf.reduce_mean(values[:, begin:begin + count], axis=1)), 0)
                 for values, count in ((filtered, length - cnn.CONTEXT_STEPS + 1), (likelihoods, length))]
        return self.parts.score(means, training=True)

    def answer(self, samples, template_cues=None):
        """Compute what `outputs_of` takes for samples (n, bin, frame, 2), as tensors.

        These are scores of each segment, (n, segment, class) for each output, and the log-likelihoods of the whole.
        """
        steps = samples.shape[2] // STEP_FRAMES
        segments = segments_in_use(samples.shape[2], self.params)
        means = [tf.reshape(shares(segments, steps, context) @ values, (-1, values.shape[-1]))
                 for values, context in zip(self.local(samples, template_cues), (cnn.CONTEXT_STEPS, 1))]
        scores = [tf.reshape(each, (-1, len(segments), each.shape[-1])) for each in self.score(*means)]
        return *scores, tf.reshape(means[1], (-1, len(segments), means[1].shape[-1]))[:, 0]

    def answer_rows(self, local, score, cues, starts, frames):
        """Compute what `outputs_of` takes for windows of a recording, as arrays: see Listener.outputs_of_rows.

        `local` and `score` are the methods of this name, compiled.
        """
        def score_segments(cues, bounds):
            filtered, likelihoods = (each.numpy()[0] for each in local(cues[np.newaxis]))
            means = (running_means(filtered, bounds[:, 0], bounds[:, 1] - cnn.CONTEXT_STEPS + 1),
                     running_means(likelihoods, *bounds.T))
            return [*(each.numpy() for each in score(*means)), means[1]]

        return scores_of_rows(score_segments, cues, starts, frames // STEP_FRAMES, segments_in_use(frames, self.params))

    def outputs_of(self, scores, frames):
        """Let the segments of samples of `frames` agree: arrays as `answer` computes them -> Outputs."""
        return outputs_of(scores, frames, self.params)

    def local(self, samples, template_cues=None):
        """Compute the local features of samples (n, bin, frame, 2), as tensors: see cnn.Parts."""
        samples = tf.cast(samples, tf.float32)
        if template_cues is None:
            return _exact(self.parts.local(samples))
        has_own = tf.reduce_any(tf.not_equal(template_cues, 0), axis=(1, 2, 3))[:, tf.newaxis, tf.newaxis, tf.newaxis]
        vectors = template_vectors(tf.cast(template_cues, tf.float32), tf)
        return _exact(self.parts.local_of_head([samples, tf.where(has_own, vectors, 0)]))

    def score(self, *means):
        """Compute scores of means over time, (n, value) each: a list of tensors (n, class)."""
        return list(self.parts.score(means, training=False).values())


def _exact(features):
    """Make float32 of what layers of another precision compute: sums over time need it."""
    return [tf.cast(each, tf.float32) for each in features]
