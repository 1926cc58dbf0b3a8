"""Three layers of our own, from cues to what is averaged over time: unit vectors, filters of bands, log-likelihoods.

Each is local: a step of 2 frames depends on these, and for the filters on its two neighbours. Nothing is padded, so
that a step's output does not depend on the window that holds it. Cells and bands of frequency are those of cells.py.
"""
import numpy as np

from network.backend import keras, tf
from network.cells import BAND_CELLS, BANDS, CELLS_IN_ALL, in_cells
from network.segments import STEP_FRAMES
from network.unit_vectors import LEAST_DISTANCE, unit_vectors

LEAST_CONTRAST = 1e-4
VOTE_SHARPNESS = (1.5, 3.0, 6.0)   # of softmaxes over log-likelihoods in units of their contrast: broad to sharp


@keras.saving.register_keras_serializable("binsl")
class UnitVectors(keras.layers.Layer):
    """Average the cues' unit vectors over each cell and step: cues (n, bin, frame, 2) -> (n, 3, cell, step).

    A mean is the shorter, the less its vectors agree: its length is the interaural coherence of the cues.
    """

    def call(self, cues):
        """Average unit vectors (unit_vectors.py); an odd last frame is left out."""
        vectors = unit_vectors(cues, tf, axis=1)                                            # (n, 3, bin, frame)
        bins, frames = cues.shape[1], cues.shape[2] or tf.shape(cues)[2]
        steps = frames // STEP_FRAMES
        paired = tf.reshape(vectors[..., :steps * STEP_FRAMES], (-1, 3, bins, steps, STEP_FRAMES))
        return in_cells(tf.reduce_mean(paired, axis=-1), tf)

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras."""
        return shape[0], 3, CELLS_IN_ALL, shape[2] and shape[2] // STEP_FRAMES


@keras.saving.register_keras_serializable("binsl")
class BandFilters(keras.layers.Layer):
    """Filter each band by itself: (n, 3, cell, step) -> (n, step - context_steps + 1, 2 x band x unit).

    Two layers with ReLU: a convolution of `units[0]` filters over `context_steps`, then `units[1]` of a single step. It
    equals keras.layers.Conv1D(groups=BANDS), whose gradient is 40 times slower on processors.

    Each output comes for the sample, then for its mirror image, in which the ears are exchanged: that negates two of
    the three components. So a convolution of the component that stays, plus or minus one of those two, is the first
    layer for both.
    """

    def __init__(self, units, context_steps, **options):
        super().__init__(**options)
        self.units, self.context_steps = tuple(units), context_steps

    def build(self, shape):
        """Make the weights of every band: He et al. 2015, for the sum of two convolutions."""
        def weights(name, rows, columns, variance):
            start = keras.initializers.RandomNormal(stddev=float(np.sqrt(variance / rows)))
            return self.add_weight(name=name, shape=(BANDS, rows, columns), initializer=start)

        inputs = BAND_CELLS * self.context_steps
        self.staying, self.negated = (weights(name, rows, self.units[0], 2) for name, rows in
                                      (("staying", inputs), ("negated", 2 * inputs)))  # mean squares of 1/3 each
        self.second = weights("second", *self.units, 2)
        self.first_bias, self.second_bias = (
            self.add_weight(name=name, shape=(BANDS, 1, units), initializer="zeros")
            for name, units in zip(("first_bias", "second_bias"), self.units))

    def call(self, vectors):
        """Apply both layers, a batched product over the bands each."""
        steps = vectors.shape[3] or tf.shape(vectors)[3]
        bands = tf.reshape(vectors, (-1, 3, BANDS, BAND_CELLS, steps))
        lateral, front, side = tf.unstack(tf.transpose(bands, (1, 2, 0, 4, 3)))         # (band, n, step, cell)
        staying = self._in_context(front) @ self.staying + self.first_bias
        negated = self._in_context(tf.concat((lateral, side), axis=-1)) @ self.negated
        pair = tf.nn.relu(tf.stack((staying + negated, staying - negated)))              # (2, band, n x step, unit)
        units = tf.nn.relu(pair @ self.second + self.second_bias)
        units = tf.reshape(units, (2, BANDS, -1, steps - self.context_steps + 1, self.units[1]))
        return tf.reshape(tf.transpose(units, (2, 3, 0, 1, 4)),
                          (-1, steps - self.context_steps + 1, 2 * BANDS * self.units[1]))

    def _in_context(self, values):
        """Join neighbouring steps: (band, n, step, value) -> (band, n x step, context x value)."""
        count = tf.shape(values)[2] - self.context_steps + 1
        near = tf.concat([values[:, :, at:at + count] for at in range(self.context_steps)], axis=-1)
        return tf.reshape(near, (BANDS, -1, self.context_steps * values.shape[-1]))

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras."""
        return shape[0], shape[3] and shape[3] - self.context_steps + 1, 2 * BANDS * self.units[1]

    def get_config(self):
        """Give the arguments, for Keras."""
        return super().get_config() | {"units": self.units, "context_steps": self.context_steps}


@keras.saving.register_keras_serializable("binsl")
class LogLikelihoods(keras.layers.Layer):
    """Compare with a head's templates: (n, 3, cell, step) -> (n, step, band x direction).

    -ln(1 - u . t) for the mean u of a cell and the template t of a direction (likelihood.py), weighted by the square of
    the length of u, so that cells count by their coherence (Faller and Merimaa, JASA 116, 2004); averaged over a band;
    and less its mean over the directions. The templates are not trained.
    """

    def __init__(self, directions, **options):
        super().__init__(**options)
        self.directions = directions

    def build(self, shape):
        """Make room for the templates; all zero, every direction is as likely."""
        self.templates = self.add_weight(name="templates", shape=(3, CELLS_IN_ALL, self.directions),
                                         initializer="zeros", trainable=False)

    def call(self, vectors, templates=None):
        """Compare with the layer's own templates, or with those of each sample's head, (n, 3, cell, direction).

        Where these are all zero, the layer's own serve.
        """
        steps = vectors.shape[3] or tf.shape(vectors)[3]
        weight = tf.reduce_sum(vectors * vectors, axis=1)                                 # (n, cell, step)
        if templates is None:
            vectors = tf.reshape(tf.transpose(vectors, (2, 1, 0, 3)), (CELLS_IN_ALL, 3, -1))
            alike = tf.transpose(self.templates, (1, 2, 0)) @ vectors                      # (cell, direction, n x step)
            weight = tf.reshape(tf.transpose(weight, (1, 0, 2)), (CELLS_IN_ALL, 1, -1))
        else:
            has_own = tf.reduce_any(tf.not_equal(templates, 0), axis=(1, 2, 3), keepdims=True)
            templates = tf.where(has_own, templates, self.templates)
            alike = tf.transpose(templates, (2, 0, 3, 1)) @ tf.transpose(vectors, (2, 0, 1, 3))
            weight = tf.transpose(weight, (1, 0, 2))[:, :, tf.newaxis]                     # (cell, n, 1, step)
        likelihood = tf.math.log((1 + 2 * LEAST_DISTANCE) - alike) * (weight / -BAND_CELLS)
        if templates is None:
            likelihood = tf.reshape(likelihood, (BANDS, BAND_CELLS, self.directions, -1, steps))
            order = (2, 3, 0, 1)
        else:
            likelihood = tf.reshape(likelihood, (BANDS, BAND_CELLS, -1, self.directions, steps))
            order = (1, 3, 0, 2)
        of_bands = tf.transpose(tf.reduce_sum(likelihood, axis=1), order)                  # (n, step, band, direction)
        of_bands -= tf.reduce_mean(of_bands, axis=-1, keepdims=True)
        return tf.reshape(of_bands, (-1, steps, BANDS * self.directions))

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras."""
        return shape[0], shape[3], BANDS * self.directions

    def get_config(self):
        """Give the argument, for Keras."""
        return super().get_config() | {"directions": self.directions}


@keras.saving.register_keras_serializable("binsl")
class Relative(keras.layers.Layer):
    """Relate averaged log-likelihoods to each other: (n, band x direction) -> (n, 2, row x direction + 1).

    Rows are the bands and their mean, each divided by its contrast, the root mean square over the directions, and
    softmaxes of that mean; the last value is the logarithm of its contrast. In noise log-likelihoods differ by a
    hundredth of what they do in quiet, and a dense layer that sees both would round it away. Each output comes for the
    sample, then for its mirror image.
    """

    def __init__(self, directions, **options):
        super().__init__(**options)
        self.directions = directions

    def call(self, likelihoods):
        """Divide by contrasts, and mirror by reversing the directions."""
        bands = tf.reshape(likelihoods, (-1, BANDS, self.directions))
        mean = tf.reduce_mean(bands, axis=1, keepdims=True)
        contrast = _contrast(mean, 2)
        mean /= contrast
        votes = [tf.nn.softmax(sharpness * mean) for sharpness in VOTE_SHARPNESS]
        rows = tf.concat((bands / _contrast(bands, (1, 2)), mean, *votes), axis=1)
        pair = tf.stack((rows, rows[..., ::-1]), axis=1)
        pair = tf.reshape(pair, (-1, 2, (BANDS + 1 + len(VOTE_SHARPNESS)) * self.directions))
        return tf.concat((pair, tf.tile(tf.math.log(contrast), (1, 2, 1))), axis=-1)

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras."""
        return shape[0], 2, (BANDS + 1 + len(VOTE_SHARPNESS)) * self.directions + 1

    def get_config(self):
        """Give the argument, for Keras."""
        return super().get_config() | {"directions": self.directions}


def _contrast(values, axis):
    return tf.sqrt(tf.reduce_mean(values * values, axis=axis, keepdims=True)) + LEAST_CONTRAST


@keras.saving.register_keras_serializable("binsl")
class Fold(keras.layers.Layer):
    """Add what was computed for the mirror image, in reverse order: (n, 2, direction) -> (n, direction).

    A single value is an azimuth: that of the mirror image is subtracted.
    """

    def call(self, pair):
        """Fold the two."""
        return pair[:, 0] + pair[:, 1, ::-1] if pair.shape[-1] > 1 else pair[:, 0] - pair[:, 1]

    def compute_output_shape(self, shape):
        """Give the output's shape, for Keras."""
        return shape[0], shape[2]
