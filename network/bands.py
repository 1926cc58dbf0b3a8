"""Build the default network: 20 bands of frequency, each beside a head's templates, then dense layers on all.

Exchange the ears and the azimuth must change its sign. These layers hold that exactly, whatever their weights: each
computes a pair, its output for the sample and its output for the mirrored sample. With x and x' a pair,
y = A (x + x') + B (x - x') and y' = A (x + x') - B (x - x') is the general linear layer of this kind, at half the
multiplications of computing both (group equivariance: Cohen and Welling, ICML 2016).
"""
import itertools
import math

import numpy as np

from network.backend import keras, tf
from network.unit_vectors import LEAST_DISTANCE, unit_vectors

LEAST_CONTRAST = np.float32(1e-4)
VOTE_SHARPNESS = (1.5, 3, 6)    # of softmaxes over log-likelihoods in units of their contrast: broad to nearly one-hot
SEGMENT_FRAMES = (10, 17, 25, 50, 100)  # an answer also uses segments of about these durations, each by itself
BINS_A_LOGARITHM = 8            # whose distances are multiplied before it is taken: 2e-3 ** 8 is far from underflow


def layers(params):
    """List the layers; every 2 in a shape is a pair: as it is, and mirrored.

    Parameters
    ----------
    params : Params, for loss and class_deg

    Returns
    -------
    list of keras.layers.Layer: (n, 321, frames, 2) -> (n, 37) probabilities; of loss "mse" (n, 1) degrees

    """
    layer = keras.layers
    return [                                                        # (321, frames, 2) ->
        Bands(bins=16, context_frames=3, units=(32, 64), directions=len(params.class_deg)),   # (2, 3058)
        layer.BatchNormalization(),
        MirrorDense(512), layer.BatchNormalization(), layer.ReLU(),           # (2, 512)
        MirrorDense(256), layer.BatchNormalization(), layer.ReLU(),           # (2, 256)
        *{"mse": [Unmirror(1, name="azimuth_deg")],                           # (1,) degrees
          "distribution": [Unmirror(len(params.class_deg), name="logits"),
                           layer.Softmax(name="distribution")]}[params.loss],  # (37,) probabilities
    ]


# ------------------------------------------------------------------------------------------------ layers of the bands


def _mirror_sum(even, odd):
    """Combine A (x + x') and B (x - x') into the pair of a layer's outputs."""
    return even + odd, even - odd


def _contrast(values, axis):
    """Compute the root mean square over `axis`, which stays; LEAST_CONTRAST where all are zero."""
    return tf.sqrt(tf.reduce_mean(values * values, axis=axis, keepdims=True)) + LEAST_CONTRAST


class Segments:
    """Cut a sample into segments, each computed as if it were alone: (begin, end) in frames, from even ones."""

    def __init__(self, bounds):
        self._begins, self._ends = np.array(bounds).T
        segment_of = np.repeat(np.arange(len(bounds)), self._ends - self._begins)
        at = np.arange(len(segment_of))
        self.before = np.maximum(at - 1, self._begins[segment_of])
        self.after = np.minimum(at + 1, self._ends[segment_of] - 1)
        self._segment_of = np.append(segment_of, segment_of[-1:] if len(segment_of) % 2 else [])  # in steps of two

    def inside(self, offset):
        """Tell whether the frame `offset` later is of the same segment: (frame, 1) float32, 0 or 1."""
        beyond = np.full(abs(offset), -1)
        other = np.concatenate((beyond, self._segment_of, beyond))[abs(offset) + offset:][:len(self._segment_of)]
        return (other == self._segment_of).astype(np.float32)[:, np.newaxis]

    def means(self, values, frames_a_moment):
        """Average over the moments of each segment: (n, moment, value) -> (n x segment, value)."""
        first, behind = self._begins // frames_a_moment, -(-self._ends // frames_a_moment)
        moments = np.arange(behind[-1])
        is_in = (moments >= first[:, np.newaxis]) & (moments < behind[:, np.newaxis])
        share = (is_in / is_in.sum(axis=1, keepdims=True)).astype(np.float32)            # (segment, moment)
        return tf.reshape(share @ values, (-1, values.shape[-1]))


def _means(values, segments, frames_a_moment=1):
    """Average over all moments, or over those of each segment: (n, moment, value) -> (n x segment, value)."""
    return tf.reduce_mean(values, axis=1) if segments is None else segments.means(values, frames_a_moment)


def _coherence(vectors, segments=None):
    """Measure the interaural coherence of the cues in time, 1 at most: (bin, n, frame, 3) -> (n, frame, 1).

    The fourth power of the length of the mean vector of three neighbouring frames, averaged over the bins.
    """
    if segments:
        mean = (tf.gather(vectors, segments.before, axis=2) + vectors + tf.gather(vectors, segments.after, axis=2)) / 3
    else:
        ends = tf.concat((vectors[..., :1, :], vectors, vectors[..., -1:, :]), axis=2)
        mean = (ends[..., :-2, :] + ends[..., 1:-1, :] + ends[..., 2:, :]) / 3
    square = tf.reduce_sum(mean * mean, axis=-1)
    return tf.reduce_mean(square * square, axis=0)[..., tf.newaxis]


@keras.saving.register_keras_serializable("binsl")
class Bands(keras.layers.Layer):
    """Filter and compare each band of neighbouring bins, averaged over time: cues (n, bin, frame, 2) -> (n, 2, value).

    The cues of a bin become a unit vector (unit_vectors.py). A band sees
    `context_frames` frames at once through `units[0]` filters, then two such steps in time through `units[1]`. The 0 Hz
    bin, which has no phase, is left out.

    Beside these units stand, for each band and for all together, the log-likelihoods of likelihood.py under a head's
    `templates`: of each of `directions`, as they are and divided by their contrast, the root mean square over the
    directions. In noise their contrast is a hundredth of that in quiet, and a layer that sees both would round it away.
    The templates are not trained, which keeps them cheap. Some log-likelihoods weight each moment by the interaural
    coherence of its cues, which is high while one source is louder than all else (selection by interaural coherence:
    Faller and Merimaa, JASA 116, 2004).
    """

    def __init__(self, bins, context_frames, units, directions, **options):
        super().__init__(**options)
        self.bins, self.context_frames, self.units, self.directions = bins, context_frames, tuple(units), directions

    def build(self, shape):
        """Make the weights of every band, once Keras knows the shape of the input."""
        self.bands, inputs = (shape[1] - 1) // self.bins, self.bins * self.context_frames
        first, second = self.units

        def weights(name, rows, columns, scale):
            # He et al. 2015, halved for the sum of two halves; unit vectors have a mean square of 1/3 a component
            start = keras.initializers.RandomNormal(stddev=float(np.sqrt(scale / rows)))
            return self.add_weight(name=name, shape=(self.bands, rows, columns), initializer=start)

        self.first_even, self.first_odd = weights("first_even", inputs, first, 2), weights("first_odd", 2 * inputs,
                                                                                           first, 2)
        self.first_bias = self.add_weight(name="first_bias", shape=(self.bands, 1, first), initializer="zeros")
        self.second_even, self.second_odd = (weights(f"second_{part}", 2 * first, second, 0.5)
                                             for part in ("even", "odd"))
        self.second_bias = self.add_weight(name="second_bias", shape=(self.bands, 1, second), initializer="zeros")
        self.templates = self.add_weight(name="templates", shape=(self.bands * self.bins, 3, self.directions),
                                         initializer="zeros", trainable=False)

    def take_templates(self, templates):
        """Set unit vectors (direction, bin, 3) of a head.

        Those of the head of training are made symmetrical (`symmetrical`): then the mirrored sample, compared with
        them, gives the mirrored likelihoods. Of a head with two different ears, the pair compares the mirrored sample
        with the mirrored head.
        """
        self.templates.assign(templates[:, 1:1 + self.bands * self.bins].transpose(1, 2, 0))

    def call(self, cues):
        """Turn cues into features of the whole sample."""
        return self.of_segments(cues, [None])[0]

    def of_segments(self, cues, cuts, templates=None):
        """Turn cues into features, for each Segments those of its segments: list of (n x segment, 2, value).

        None instead of Segments is the whole sample. `templates` (n, direction, bin, 2), cues, are those of each
        sample's own head; where they are all zero, and without them, the layer's own serve.

        The band comes first inside, so that one batched product serves all of them.
        """
        count, frames, bands = tf.shape(cues)[0], tf.shape(cues)[2], self.bands
        cues = cues[:, 1:1 + bands * self.bins]
        vectors = unit_vectors(cues, tf)                                              # (n, bin, frame, 3)
        likelihoods = self._log_likelihoods(vectors, self._templates_for(templates), count, cuts)
        vectors = tf.transpose(tf.reshape(vectors, (count, bands, self.bins, frames, 3)), (1, 0, 3, 4, 2))
        vectors = tf.concat((vectors, vectors[:, :, frames - frames % 2:]), axis=2)  # steps of two: an odd last again
        even, odd = vectors[..., 1, :], tf.concat((vectors[..., 0, :], vectors[..., 2, :]), axis=-1)
        return [tf.concat((self._filtered(even, odd, cut), self._compared(*of_cut)), axis=-1)
                for cut, of_cut in zip(cuts, likelihoods)]

    def _filtered(self, even, odd, cut):
        """Apply the learnt filters: two of (band, n, frame, value) -> (n x segment, 2, band x unit)."""
        count = tf.shape(even)[1]
        even, odd = self._with_context(even, cut), self._with_context(odd, cut)   # (band, n x frame, context x value)
        pair = _mirror_sum(even @ self.first_even + self.first_bias, odd @ self.first_odd)
        seen, mirrored = (self._in_steps(tf.nn.relu(each)) for each in pair)      # (band, n x step, 2 x unit)
        pair = _mirror_sum((seen + mirrored) @ self.second_even + self.second_bias,
                           (seen - mirrored) @ self.second_odd)
        seen, mirrored = map(tf.nn.relu, pair)                                    # (band, n x step, unit)
        return tf.stack([self._averaged(each, count, cut) for each in (seen, mirrored)], axis=1)

    def _templates_for(self, cues):
        """Give the templates of each sample, (bin, n, 3, direction), from their cues; (bin, 1, ...) is for all."""
        shared = self.templates[:, tf.newaxis]
        if cues is None:
            return shared
        own = unit_vectors(cues[:, :, 1:1 + self.bands * self.bins], tf)             # (n, direction, bin, 3)
        has_own = tf.reduce_any(tf.not_equal(cues, 0), axis=(1, 2, 3))[:, tf.newaxis, tf.newaxis]
        return tf.where(has_own, tf.transpose(own, (2, 0, 3, 1)), shared)

    def _log_likelihoods(self, vectors, templates, count, cuts):
        """Average -ln(1 - u . u_a) over a band and over time, plain and weighted by coherence.

        (n, bin, frame, 3) -> for each Segments two of (n x segment, band, direction)
        """
        together = math.gcd(self.bins, BINS_A_LOGARITHM)
        groups = self.bands * self.bins // together
        vectors = tf.reshape(tf.transpose(vectors, (1, 0, 2, 3)), (groups, together, count, -1, 3))
        shared = templates.shape[1] == 1
        templates = tf.reshape(templates, (groups, together, -1, 3, self.directions))

        def of_some_bins(these):  # a few megabytes at once, which stay in the processor's cache
            vectors, templates = these
            # of templates for all samples one product, the faster one
            alike = tf.reshape(vectors, (together, -1, 3)) @ templates[:, 0] if shared else vectors @ templates
            distance = tf.maximum(1 - alike, 2 * LEAST_DISTANCE)
            likelihood = tf.reshape(-tf.math.log(tf.reduce_prod(distance, axis=0)), (count, -1, self.directions))
            return [tf.stack([_means(each, cut) for each in (likelihood, likelihood * _coherence(vectors, cut))])
                    for cut in cuts]

        likelihoods = tf.map_fn(of_some_bins, (vectors, templates), fn_output_signature=[tf.float32] * len(cuts))
        likelihoods = [tf.reshape(each, (self.bands, self.bins // together, 2, -1, self.directions))
                       for each in likelihoods]
        return [tf.unstack(tf.transpose(tf.reduce_sum(each, axis=1) / self.bins, (1, 2, 0, 3)))
                for each in likelihoods]

    def _compared(self, plain, coherent):
        """Arrange log-likelihoods and their contrasts as features: two of (n, band, direction) -> (n, 2, value)."""
        rows, contrasts = [plain], []
        for likelihoods in (plain, coherent):
            likelihoods -= tf.reduce_mean(likelihoods, axis=2, keepdims=True)
            together = tf.reduce_mean(likelihoods, axis=1, keepdims=True)
            contrasts.append(_contrast(together, axis=2))
            together /= contrasts[-1]
            rows += [together, *(tf.nn.softmax(sharpness * together) for sharpness in VOTE_SHARPNESS)]
        rows.append(likelihoods / _contrast(likelihoods, axis=(1, 2)))            # the coherent ones, among bands
        seen = tf.concat(rows, axis=1)                                            # (n, row, direction)
        pair = tf.reshape(tf.stack((seen, seen[..., ::-1]), axis=1), (-1, 2, self._rows * self.directions))
        return tf.concat((pair, tf.tile(tf.math.log(tf.concat(contrasts, axis=2)), (1, 2, 1))), axis=-1)

    def comparison_in(self, features):
        """Pick the coherent log-likelihoods (n, band, direction) and log contrasts (n, 2) from a call's features."""
        likelihoods = features[:, 0, -2 - self.bands * self.directions:-2]
        return tf.reshape(likelihoods, (-1, self.bands, self.directions)), features[:, 0, -2:]

    @property
    def _rows(self):
        """Count the rows, of one number a direction, that `_compared` makes."""
        return 2 * self.bands + 2 * (1 + len(VOTE_SHARPNESS))

    def _with_context(self, values, cut):
        """Join neighbouring frames, zeros beyond a segment: (band, n, frame, value) -> (band, n x frame, value)."""
        frames, before = tf.shape(values)[2], self.context_frames // 2
        padded = tf.pad(values, ((0, 0), (0, 0), (before, self.context_frames - 1 - before), (0, 0)))
        near = [padded[:, :, at:at + frames] for at in range(self.context_frames)]
        if cut:
            near = [each * cut.inside(at - before) for at, each in enumerate(near)]
        return tf.reshape(tf.concat(near, axis=-1), (self.bands, -1, self.context_frames * values.shape[-1]))

    def _in_steps(self, values):
        return tf.reshape(values, (self.bands, -1, 2 * values.shape[-1]))

    def _averaged(self, values, count, cut):
        """Average over time: (band, n x step, unit) -> (n x segment, band x unit)."""
        units = values.shape[-1]
        mean = _means(tf.reshape(values, (self.bands * count, -1, units)), cut, frames_a_moment=2)
        mean = tf.reshape(mean, (self.bands, -1, units))
        return tf.reshape(tf.transpose(mean, (1, 0, 2)), (-1, self.bands * units))

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras: (n, bin, frame, 2) -> (n, 2, band x unit + row x direction + 2)."""
        return shape[0], 2, self.bands * self.units[1] + self._rows * self.directions + 2

    def get_config(self):
        """Give the arguments, for Keras."""
        return super().get_config() | {"bins": self.bins, "context_frames": self.context_frames, "units": self.units,
                                       "directions": self.directions}


@keras.saving.register_keras_serializable("binsl")
class MirrorDense(keras.layers.Layer):
    """Multiply pairs by dense weights; the normalisation after it adds the bias: (n, 2, value) -> (n, 2, unit)."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        """Make the weights of either half, once Keras knows the shape of the input."""
        start = keras.initializers.RandomNormal(stddev=float(np.sqrt(1 / shape[-1])))
        self.even, self.odd = (self.add_weight(name=name, shape=(shape[-1], self.units), initializer=start)
                               for name in ("even", "odd"))

    def call(self, pair):
        """Multiply the pair by the even and odd weights."""
        seen, mirrored = pair[:, 0], pair[:, 1]
        return tf.stack(_mirror_sum((seen + mirrored) @ self.even, (seen - mirrored) @ self.odd), axis=1)

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras: (n, 2, value) -> (n, 2, unit)."""
        return shape[0], 2, self.units

    def get_config(self):
        """Give the arguments, for Keras."""
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable("binsl")
class Unmirror(keras.layers.Dense):
    """Fold the pairs into one output with dense weights: (n, 2, value) -> (n, class).

    The scores of the mirrored sample are added in reverse order. A single unit is an azimuth: that of the mirrored
    sample is subtracted.
    """

    def call(self, pair):
        """Multiply each of the pair by the weights and fold the two."""
        both = super().call(pair)
        return both[:, 0] + both[:, 1, ::-1] if self.units > 1 else both[:, 0] - both[:, 1]

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras: (n, 2, value) -> (n, class)."""
        return shape[0], self.units


def symmetrical(templates):
    """Average the unit vectors of a head (direction, bin, 3) with those of the mirrored head.

    >>> one_sided = np.zeros((3, 1, 3))
    >>> one_sided[0, 0] = one_sided[1, 0] = one_sided[2, 0] = (0.6, 0.8, 0)
    >>> symmetrical(one_sided)[:, 0].round(2).tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    mean = templates + templates[::-1] * np.array([-1, 1, -1])
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def segments_of(frames):
    """Cut a sample of `frames` into segments: lists of (begin, end), a list for each duration.

    The first is the whole; then it is cut evenly into segments of about SEGMENT_FRAMES, longer ones first.
    """
    counts = dict.fromkeys(max(1, round(frames / length)) for length in (frames, *sorted(SEGMENT_FRAMES, reverse=True)))
    cuts = [[2 * round(frames * at / count / 2) for at in range(count)] + [frames] for count in counts]
    return [list(itertools.pairwise(cut)) for cut in cuts]
