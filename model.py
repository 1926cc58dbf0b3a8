"""The networks: tables of layers, their training step, their answer in degrees, their files. The only user of Keras.

    network = Network(Params())                       # or Network.load("pretrained/best.keras")
    network.azimuth_deg(samples)                      # (n, 321, 50, 2) -> (n,)

Two networks (Params.model). "original" is that of Pang et al. 2019. "bands" looks at 20 bands of frequency, each by
itself, through filters that respect left and right and through the templates of a head (baseline.py), and averages what
they say over any number of frames; it answers with what the whole sample and parts of it agree on.

Two ways to train either (Params.loss): "mse" is squared error in degrees on one linear output; "distribution" is
cross-entropy on a distribution over 37 azimuths against a Gaussian around the true one (readout.py). Either way the
answer is one continuous azimuth.
"""
import io
import itertools
import json
import math
import os
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from console import BadInput, written_whole
from params import Params, differences
from readout import Calibration, parting_deg, read_out, signs_of, soft_labels, uncalibrated_spread


@contextmanager
def _hushed():
    """Keep what TensorFlow's C++ side prints at start-up off the screen, unless the start-up fails."""
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        except BaseException:
            heard.seek(0)
            os.write(screen, heard.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
with _hushed():
    import keras
    import tensorflow as tf

    tf.zeros(1).numpy()  # the first operation looks for devices, and says so

PREDICT_FRAMES = 1600           # at once, of all samples together: 32 of 50 frames
GLIMPSE_FRAMES = 10             # training of the bands also looks at this much of every sample
WINDOW_FRAMES = 50              # what the original takes; it makes other durations of it, see Network
WINDOW_HOP_FRAMES = 25
NEPER_PER_DB = np.float32(np.log(10) / 20)
LEAST_MISFIT = np.float32(1e-3)  # as in baseline.py
LEAST_SIZE = np.float32(1e-4)
LEAST_PROBABILITY = np.float32(1e-12)  # before a logarithm is taken: a softmax may underflow
VOTE_SHARPNESS = (1.5, 3, 6)    # of softmaxes over fits divided by their standard deviation: broad to nearly one-hot
LOOK_FRAMES = (10, 17, 25, 50, 100)  # an answer also looks at parts of about these durations, each by itself
BINS_A_LOGARITHM = 8            # whose misfits are multiplied before it is taken: 2e-3 ** 8 is far from underflow
PARAMS_ENTRY, STATE_ENTRY = "binsl.json", "binsl_training.npz"  # our own entries in a .keras archive


def _layers(params):
    """The table of Params.model: one layer a line."""
    return {"bands": _bands, "original": _original}[params.model](params)


def _original(params):
    """Pang et al. 2019, table 2, on raw radians and dB. Shapes are (frequency, frame, channel)."""
    conv = {"activation": "relu", "kernel_regularizer": keras.regularizers.L2(params.l2)}
    layer = keras.layers
    return [                                                        # (321, 50, 2) ->
        layer.Conv2D(32, 5, strides=3, **conv), layer.BatchNormalization(),   # (106, 16, 32)
        layer.Conv2D(64, 3, strides=2, **conv), layer.BatchNormalization(),   # (52, 7, 64)
        layer.Conv2D(96, 3, strides=2, **conv), layer.BatchNormalization(),   # (25, 3, 96)
        layer.Conv2D(128, 3, strides=2, **conv), layer.BatchNormalization(),  # (12, 1, 128)
        layer.Flatten(),                                                      # (1536,)
        layer.Dense(1024, activation="relu"),
        layer.Dropout(params.dropout),
        layer.Dense(512, activation="relu"),
        layer.Dense(256, activation="relu"),
        *{"mse": [layer.Dense(1, name="azimuth_deg")],                        # (1,) degrees
          "distribution": [layer.Dense(len(params.class_deg), name="logits"),
                           layer.Softmax(name="distribution")]}[params.loss],  # (37,) probabilities
    ]


def _bands(params):
    """Bands, each by itself, averaged over time; then all together. Every 2 is a pair: as it is, and mirrored."""
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
#
# Exchange the ears and the azimuth must change its sign. These layers hold that exactly, whatever their weights: each
# computes a pair, what it says of the sample and what it says of the mirrored sample. With x and x' a pair,
# y = A (x + x') + B (x - x') and y' = A (x + x') - B (x - x') is the general linear layer of this kind, at half the
# multiplications of computing both (group equivariance: Cohen and Welling, ICML 2016).

def _mirror_sum(even, odd):
    """Pair of a layer from its A (x + x') and its B (x - x')."""
    return even + odd, even - odd


def _size(values, axis):
    """Root mean square over `axis`, which stays; not quite zero where all are alike."""
    return tf.sqrt(tf.reduce_mean(values * values, axis=axis, keepdims=True)) + LEAST_SIZE


class Cut:
    """A sample cut into parts, (begin, end) in frames, which begin at even ones; each is seen as if it were alone."""

    def __init__(self, parts):
        self._begins, self._ends = np.array(parts).T
        part_of = np.repeat(np.arange(len(parts)), self._ends - self._begins)
        at = np.arange(len(part_of))
        self.before = np.maximum(at - 1, self._begins[part_of])
        self.after = np.minimum(at + 1, self._ends[part_of] - 1)
        self._part_of = np.append(part_of, part_of[-1:] if len(part_of) % 2 else [])  # in steps of two

    def inside(self, offset):
        """Whether the frame `offset` later is of the same part: (frame, 1) float32."""
        beyond = np.full(abs(offset), -1)
        other = np.concatenate((beyond, self._part_of, beyond))[abs(offset) + offset:][:len(self._part_of)]
        return (other == self._part_of).astype(np.float32)[:, np.newaxis]

    def means(self, values, frames_a_moment):
        """Mean over the moments of each part: (n, moment, value) -> (n x part, value)."""
        first, behind = self._begins // frames_a_moment, -(-self._ends // frames_a_moment)
        moments = np.arange(behind[-1])
        is_in = (moments >= first[:, np.newaxis]) & (moments < behind[:, np.newaxis])
        share = (is_in / is_in.sum(axis=1, keepdims=True)).astype(np.float32)            # (part, moment)
        return tf.reshape(share @ values, (-1, values.shape[-1]))


def _means(values, cut, frames_a_moment=1):
    """Mean over all moments, or over those of each part of a Cut: (n, moment, value) -> (n x part, value)."""
    return tf.reduce_mean(values, axis=1) if cut is None else cut.means(values, frames_a_moment)


def _steadiness(vectors, cut=None):
    """How still the cues of neighbouring bins hold, 1 for entirely: (bin, n, frame, 3) -> (n, frame, 1).

    The fourth power of the length of the mean vector of three neighbouring frames, averaged over the bins.
    """
    if cut:
        mean = (tf.gather(vectors, cut.before, axis=2) + vectors + tf.gather(vectors, cut.after, axis=2)) / 3
    else:
        ends = tf.concat((vectors[..., :1, :], vectors, vectors[..., -1:, :]), axis=2)
        mean = (ends[..., :-2, :] + ends[..., 1:-1, :] + ends[..., 2:, :]) / 3
    square = tf.reduce_sum(mean * mean, axis=-1)
    return tf.reduce_mean(square * square, axis=0)[..., tf.newaxis]


@keras.saving.register_keras_serializable("binsl")
class Bands(keras.layers.Layer):
    """What each band of neighbouring bins says, averaged over time: cues (n, bin, frame, 2) -> (n, 2, value).

    A bin's cues become the unit vector of baseline.py, (tanh g, cos IPD / cosh g, sin IPD / cosh g): no phase wrap, and
    an empty bin's 60 dB count no more than others. Exchanging the ears negates the first and the last. A band sees
    `context_frames` frames at once through `units[0]` filters, then two such steps in time through `units[1]`. The 0 Hz
    bin, which has no phase, is left out.

    Beside these units stand, for each band and for all together, the log-likelihoods of baseline.py under a head's
    `templates`: how well the cues fit each of `directions`, as they are and as multiples of how much they differ. In
    noise they differ by a hundredth of what they do without, and a layer that sees both would round that away. They are
    not trained, which keeps them cheap. Some count moments more in which the cues hold still, as they do while one
    source is louder than all else (selection by interaural coherence: Faller and Merimaa, JASA 116, 2004).
    """

    def __init__(self, bins, context_frames, units, directions, **options):
        super().__init__(**options)
        self.bins, self.context_frames, self.units, self.directions = bins, context_frames, tuple(units), directions

    def build(self, shape):
        """Make the weights, which every band has its own of."""
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
        """Set unit vectors (direction, bin, 3), made symmetrical: the mirrored head is the same head."""
        mirrored = templates[::-1] * np.array([-1, 1, -1])
        mean = (templates + mirrored)[:, 1:1 + self.bands * self.bins].transpose(1, 2, 0)
        self.templates.assign(mean / np.linalg.norm(mean, axis=1, keepdims=True))

    def call(self, cues):
        """Cues to features of the whole sample."""
        return self.seen_in(cues, [None])[0]

    def seen_in(self, cues, cuts):
        """Cues to features, for each Cut (None is the whole) those of its parts: list of (n x part, 2, value).

        The band comes first inside, so that one batched product serves all of them.
        """
        count, frames, bands = tf.shape(cues)[0], tf.shape(cues)[2], self.bands
        cues = cues[:, 1:1 + bands * self.bins]
        ipd, level = cues[..., 0], tf.tanh(cues[..., 1] * NEPER_PER_DB)
        across = tf.sqrt(tf.maximum(1 - level * level, 0))                        # 1 / cosh g
        vectors = tf.stack((level, tf.cos(ipd) * across, tf.sin(ipd) * across), axis=-1)
        fits = self._fits(vectors, count, cuts)
        vectors = tf.transpose(tf.reshape(vectors, (count, bands, self.bins, frames, 3)), (1, 0, 3, 4, 2))
        vectors = tf.concat((vectors, vectors[:, :, frames - frames % 2:]), axis=2)  # steps of two: an odd last again
        even, odd = vectors[..., 1, :], tf.concat((vectors[..., 0, :], vectors[..., 2, :]), axis=-1)
        return [tf.concat((self._filtered(even, odd, cut), self._compared(*fits_of_cut)), axis=-1)
                for cut, fits_of_cut in zip(cuts, fits)]

    def _filtered(self, even, odd, cut):
        """What the filters say: two of (band, n, frame, value) -> (n x part, 2, band x unit)."""
        count = tf.shape(even)[1]
        even, odd = self._with_context(even, cut), self._with_context(odd, cut)   # (band, n x frame, context x value)
        pair = _mirror_sum(even @ self.first_even + self.first_bias, odd @ self.first_odd)
        seen, mirrored = (self._in_steps(tf.nn.relu(each)) for each in pair)      # (band, n x step, 2 x unit)
        pair = _mirror_sum((seen + mirrored) @ self.second_even + self.second_bias,
                           (seen - mirrored) @ self.second_odd)
        seen, mirrored = map(tf.nn.relu, pair)                                    # (band, n x step, unit)
        return tf.stack([self._averaged(each, count, cut) for each in (seen, mirrored)], axis=1)

    def _fits(self, vectors, count, cuts):
        """Means over a band and over time of -ln(1 - u . u_a), plain and weighted by steadiness.

        (n, bin, frame, 3) -> for each Cut two of (n x part, band, direction)
        """
        together = math.gcd(self.bins, BINS_A_LOGARITHM)
        groups = self.bands * self.bins // together
        vectors = tf.reshape(tf.transpose(vectors, (1, 0, 2, 3)), (groups, together, count, -1, 3))
        templates = tf.reshape(self.templates, (groups, together, 3, self.directions))

        def of_some_bins(these):  # a few megabytes at once, which stay in the processor's cache
            vectors, templates = these
            misfit = tf.maximum(1 - tf.reshape(vectors, (together, -1, 3)) @ templates, 2 * LEAST_MISFIT)
            fit = tf.reshape(-tf.math.log(tf.reduce_prod(misfit, axis=0)), (count, -1, self.directions))
            return [tf.stack([_means(each, cut) for each in (fit, fit * _steadiness(vectors, cut))]) for cut in cuts]

        fits = tf.map_fn(of_some_bins, (vectors, templates), fn_output_signature=[tf.float32] * len(cuts))
        fits = [tf.reshape(each, (self.bands, self.bins // together, 2, -1, self.directions)) for each in fits]
        return [tf.unstack(tf.transpose(tf.reduce_sum(each, axis=1) / self.bins, (1, 2, 0, 3))) for each in fits]

    def _compared(self, plain, steady):
        """Fits in the terms that the class names: two of (n, band, direction) -> (n, 2, value)."""
        rows, sizes = [plain], []
        for fits in (plain, steady):
            fits -= tf.reduce_mean(fits, axis=2, keepdims=True)
            together = tf.reduce_mean(fits, axis=1, keepdims=True)
            sizes.append(_size(together, axis=2))
            together /= sizes[-1]
            rows += [together, *(tf.nn.softmax(sharpness * together) for sharpness in VOTE_SHARPNESS)]
        rows.append(fits / _size(fits, axis=(1, 2)))                              # the steady ones, among bands
        seen = tf.concat(rows, axis=1)                                            # (n, row, direction)
        pair = tf.reshape(tf.stack((seen, seen[..., ::-1]), axis=1), (-1, 2, self._rows * self.directions))
        return tf.concat((pair, tf.tile(tf.math.log(tf.concat(sizes, axis=2)), (1, 2, 1))), axis=-1)

    def compared_in(self, features):
        """Parts of what `call` gave: steady fits (n, band, direction), in any unit, and logarithms of sizes (n, 2)."""
        fits = features[:, 0, -2 - self.bands * self.directions:-2]
        return tf.reshape(fits, (-1, self.bands, self.directions)), features[:, 0, -2:]

    @property
    def _rows(self):
        """How many rows of one number a direction `_compared` makes."""
        return 2 * self.bands + 2 * (1 + len(VOTE_SHARPNESS))

    def _with_context(self, values, cut):
        """(band, n, frame, value) -> (band, n x frame, neighbouring frames x value); zeros beyond a part's ends."""
        frames, before = tf.shape(values)[2], self.context_frames // 2
        padded = tf.pad(values, ((0, 0), (0, 0), (before, self.context_frames - 1 - before), (0, 0)))
        near = [padded[:, :, at:at + frames] for at in range(self.context_frames)]
        if cut:
            near = [each * cut.inside(at - before) for at, each in enumerate(near)]
        return tf.reshape(tf.concat(near, axis=-1), (self.bands, -1, self.context_frames * values.shape[-1]))

    def _in_steps(self, values):
        return tf.reshape(values, (self.bands, -1, 2 * values.shape[-1]))

    def _averaged(self, values, count, cut):
        """(band, n x step, unit) -> (n x part, band x unit)."""
        units = values.shape[-1]
        mean = _means(tf.reshape(values, (self.bands * count, -1, units)), cut, frames_a_moment=2)
        mean = tf.reshape(mean, (self.bands, -1, units))
        return tf.reshape(tf.transpose(mean, (1, 0, 2)), (-1, self.bands * units))

    def compute_output_shape(self, shape):
        """(n, bin, frame, 2) -> (n, 2, band x unit + row x direction + 2)."""
        return shape[0], 2, self.bands * self.units[1] + self._rows * self.directions + 2

    def get_config(self):
        """Arguments, for Keras."""
        return super().get_config() | {"bins": self.bins, "context_frames": self.context_frames, "units": self.units,
                                       "directions": self.directions}


@keras.saving.register_keras_serializable("binsl")
class MirrorDense(keras.layers.Layer):
    """Dense layer on pairs, without a bias, which the normalisation after it has: (n, 2, value) -> (n, 2, unit)."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        """Make the weights."""
        start = keras.initializers.RandomNormal(stddev=float(np.sqrt(1 / shape[-1])))
        self.even, self.odd = (self.add_weight(name=name, shape=(shape[-1], self.units), initializer=start)
                               for name in ("even", "odd"))

    def call(self, pair):
        """Multiply."""
        seen, mirrored = pair[:, 0], pair[:, 1]
        return tf.stack(_mirror_sum((seen + mirrored) @ self.even, (seen - mirrored) @ self.odd), axis=1)

    def compute_output_shape(self, shape):
        """(n, 2, value) -> (n, 2, unit)."""
        return shape[0], 2, self.units

    def get_config(self):
        """Arguments, for Keras."""
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable("binsl")
class Unmirror(keras.layers.Dense):
    """Dense layer that ends the pairs: (n, 2, value) -> (n, class), those of the mirrored in reverse order and added.

    A single unit is an azimuth: that of the mirrored is subtracted.
    """

    def call(self, pair):
        """Multiply and fold."""
        both = super().call(pair)
        return both[:, 0] + both[:, 1, ::-1] if self.units > 1 else both[:, 0] - both[:, 1]

    def compute_output_shape(self, shape):
        """(n, 2, value) -> (n, class)."""
        return shape[0], self.units


# ------------------------------------------------------------------------------------------------------- the network

def windows(frames):
    """Which frames each window of WINDOW_FRAMES takes from a sample of `frames`: (window, WINDOW_FRAMES) int.

    A short sample is repeated until it fills one; a long one is covered evenly by windows that overlap by about half.
    """
    if frames <= WINDOW_FRAMES:
        return np.arange(WINDOW_FRAMES)[np.newaxis] % frames
    count = 1 + -(-(frames - WINDOW_FRAMES) // WINDOW_HOP_FRAMES)
    starts = np.rint(np.linspace(0, frames - WINDOW_FRAMES, count)).astype(int)
    return starts[:, np.newaxis] + np.arange(WINDOW_FRAMES)


def looks(frames):
    """Parts of a sample of `frames` to look at, each by itself: lists of (begin, end), a list for each duration.

    The first is the whole; then it is cut evenly into parts of about LOOK_FRAMES, longer ones first.
    """
    counts = dict.fromkeys(max(1, round(frames / length)) for length in (frames, *sorted(LOOK_FRAMES, reverse=True)))
    cuts = [[2 * round(frames * at / count / 2) for at in range(count)] + [frames] for count in counts]
    return [list(itertools.pairwise(cut)) for cut in cuts]


class Outputs(NamedTuple):
    """What a network gives: `said`, probabilities (n, 37) or degrees (n, 1); and `fits` and `sizes`.

    These two are what Bands.compared_in gives, (n, band, class) and (n, 2); the original has none.
    """

    said: np.ndarray
    fits: np.ndarray | None = None
    sizes: np.ndarray | None = None


class Reading(NamedTuple):
    """Azimuths and widths in degrees as readout.read_out gives them, two (n,), and readout.signs_of them (n, sign).

    Azimuths are within -90..90, where the project's labels lie. A network of squared error has no widths (NaN) and no
    signs.
    """

    azimuth_deg: np.ndarray
    width_deg: np.ndarray
    signs: np.ndarray


class Answer(NamedTuple):
    """Azimuths in degrees and how far 68 (the spread) and 95 % of their errors reach: three (n,) float64."""

    azimuth_deg: np.ndarray
    spread_deg: np.ndarray
    within_95_deg: np.ndarray


class Network:
    """A network with the parameters of its features and layers.

    One set of weights serves samples of any duration: the bands average over their frames. A distribution that they
    answer with is the geometric mean of those of several durations (`looks`). The original sees 50 frames; for it,
    samples are repeated, or cut into `windows` whose scores (logits or degrees) are averaged.

    `params` are its Params, `scenes` the numbers its samples were made with, `calibration` the readout.Calibration that
    training measured on its validation samples (None before), `state` what training keeps beside the weights (None for
    a network that was not loaded from a file with `with_state=True`).
    """

    def __init__(self, params, scenes=None, templates=None):
        """Build it with weights drawn from params.seed.

        `templates` are unit vectors (class, bin, 3) of the head that the bands compare with; without any, all
        directions fit them alike, until weights are loaded. The original needs none.
        """
        keras.utils.set_random_seed(params.seed)
        self.params, self.scenes, self.calibration, self.state = params, scenes, None, None
        self._is_windowed = params.model == "original"
        inputs = keras.Input((params.bins, WINDOW_FRAMES if self._is_windowed else None, 2))
        outputs = [inputs]
        for layer in _layers(params):
            outputs.append(layer(outputs[-1]))
        self.keras_model = keras.Model(inputs, outputs[-1])
        # The loss is taken before the softmax, where it neither overflows nor loses its gradient.
        scores = outputs[-2 if params.loss == "distribution" else -1]
        self._scores = keras.Model(inputs, scores)
        self._first, self._others = self.keras_model.layers[1], keras.Model(outputs[1], scores)
        if templates is not None:
            self._first.take_templates(templates)
        self._optimizer = keras.optimizers.Adam(params.learning_rate)
        self._optimizer.build(self.keras_model.trainable_variables)
        self._compiled = {}
        self.begin_epoch(0)

    def _functions(self, frames):
        """Return the training step and the forward pass for samples of `frames`, compiled once."""
        if frames not in self._compiled:
            samples = tf.TensorSpec((None, self.params.bins, frames, 2), tf.float16)
            targets = tf.TensorSpec((None, self._scores.output_shape[-1]), tf.float32)
            glimpse = tf.TensorSpec((), tf.int32)
            self._compiled[frames] = (tf.function(self._step, input_signature=[samples, targets, glimpse]),
                                      tf.function(self._answer, input_signature=[samples]))
        return self._compiled[frames]

    def _scored(self, samples, training):
        """Scores before the softmax, (n, class) or (n, 1)."""
        samples = tf.cast(samples, tf.float32)
        if not self._is_windowed:
            return self._scores(samples, training=training)
        chosen = windows(samples.shape[2])
        cut = tf.gather(samples, chosen, axis=2)                       # (n, bin, window, 50, 2)
        cut = tf.reshape(tf.transpose(cut, (0, 2, 1, 3, 4)), (-1, samples.shape[1], WINDOW_FRAMES, 2))
        scores = self._scores(cut, training=training)
        return tf.reduce_mean(tf.reshape(scores, (-1, len(chosen), scores.shape[-1])), axis=1)

    def _scored_in_training(self, samples, glimpse):
        """Scores of the samples, then those of their GLIMPSE_FRAMES from `glimpse` on: both durations are learnt."""
        frames = samples.shape[2]
        if self._is_windowed or frames <= GLIMPSE_FRAMES:
            return self._scored(samples, training=True)
        samples = tf.cast(samples, tf.float32)
        features = [self._first(samples), self._first(samples[:, :, glimpse:glimpse + GLIMPSE_FRAMES])]
        return self._others(tf.concat(features, axis=0), training=True)

    def _answer(self, samples):
        if self._is_windowed:
            scores, compared = self._scored(samples, training=False), ()
        else:
            durations = looks(samples.shape[2])[1:] if self.params.loss == "distribution" else []
            features = self._first.seen_in(tf.cast(samples, tf.float32), [None, *map(Cut, durations)])
            scores, compared = self._agreed(features), self._first.compared_in(features[0])
        return (tf.nn.softmax(scores) if self.params.loss == "distribution" else scores), *compared

    def _agreed(self, features):
        """Scores (n, class) from the features of the whole and of the parts of every duration.

        The mean over the durations of the logarithm of what their parts say on average. Where noise wins, some parts
        are wrong; what holds in all durations is more often right than what the whole says (docs/experiments.md).
        """
        scores = self._others(tf.concat(features, axis=0), training=False)
        if len(features) == 1:
            return scores
        count = tf.shape(features[0])[0]
        said = tf.split(tf.nn.softmax(scores), [tf.shape(each)[0] for each in features])
        means = [tf.reduce_mean(tf.reshape(each, (count, -1, each.shape[-1])), axis=1) for each in said]
        return tf.reduce_mean(tf.math.log(tf.stack(means) + LEAST_PROBABILITY), axis=0)

    def _step(self, samples, targets, glimpse):
        with tf.GradientTape() as tape:
            scores = self._scored_in_training(samples, glimpse)
            durations = tf.shape(scores)[0] // tf.shape(targets)[0]
            wanted = tf.tile(targets, (durations, 1))
            if self.params.loss == "distribution":
                each = tf.nn.softmax_cross_entropy_with_logits(wanted, scores)
            else:
                each = tf.square(wanted - scores)
            total = tf.add_n([tf.reduce_mean(each), *self._scores.losses])  # with the L2 of the original's convolutions
            loss = tf.reduce_mean(each[:tf.shape(targets)[0]])
        variables = self.keras_model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(total, variables), variables))
        return loss

    def _targets(self, azimuth_deg):
        if self.params.loss == "distribution":
            return soft_labels(azimuth_deg, self.params)
        return np.asarray(azimuth_deg, np.float32)[:, None]

    def begin_epoch(self, epoch):
        """Make what is random depend on the seed and the number of the epoch alone, so that a resumed run repeats."""
        self._rng = np.random.default_rng([self.params.seed, epoch])
        for layer in self.keras_model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([self.params.seed % 2 ** 32, epoch])

    def train(self, samples, azimuth_deg, learning_rate):
        """Take one step; returns the batch's loss without the L2 term, as a tensor that need not be ready yet.

        Parameters
        ----------
        samples : np.ndarray [shape=(n, bin, frame, 2)], float16
        azimuth_deg : np.ndarray [shape=(n,)]
        learning_rate : float

        """
        self._optimizer.learning_rate.assign(learning_rate)
        train_step, _ = self._functions(samples.shape[2])
        glimpse = self._rng.integers(max(1, samples.shape[2] - GLIMPSE_FRAMES + 1), dtype=np.int32)
        return train_step(samples, self._targets(azimuth_deg), glimpse)

    def outputs(self, samples):
        """Return the Outputs for any number of samples."""
        _, forward = self._functions(samples.shape[2])
        batch = max(1, PREDICT_FRAMES // samples.shape[2])
        given = [[each.numpy() for each in forward(samples[at:at + batch])] for at in range(0, len(samples), batch)]
        return Outputs(*map(np.concatenate, zip(*given)))

    def reading_of(self, outputs):
        """Return the Reading of Outputs."""
        if self.params.loss != "distribution":
            azimuth_deg = np.clip(outputs.said[:, 0].astype(np.float64), self.params.class_deg[0],
                                  self.params.class_deg[-1])
            return Reading(azimuth_deg, np.full(len(azimuth_deg), np.nan), np.empty((len(azimuth_deg), 0)))
        azimuth_deg, width_deg = read_out(outputs.said, self.params)
        parting = None if outputs.fits is None else parting_deg(azimuth_deg, outputs.fits, self.params)
        return Reading(azimuth_deg, width_deg, signs_of(azimuth_deg, width_deg, outputs.said, parting, outputs.sizes))

    def begin_with(self, others):
        """Take the mean of other networks' weights; BadInput where one is of another kind.

        Networks trained on from one and the same lie in one valley, where the mean keeps what each has learnt (model
        soups: Wortsman et al., ICML 2022). Of networks begun at random it is worth nothing.
        """
        for other in others:
            ours, theirs = ({name: network.params.training[name] for name in ("model", "loss", "class_deg")}
                            for network in (self, other))
            if differ := differences(theirs, ours):
                raise BadInput(f"--from names a model that differs ({differ}); give the same --model and --loss.")
        weights = zip(*(other.keras_model.get_weights() for other in others))
        self.keras_model.set_weights([np.mean(same, axis=0) for same in weights])

    def calibrate(self, signs, error_deg):
        """Measure how far errors reach, on the signs of `reading_of` samples that were not trained on."""
        if self.params.loss == "distribution":
            self.calibration = Calibration.fit(signs, error_deg)

    def answer_of(self, outputs):
        """Return the Answer of Outputs.

        Before training has measured its errors, the spread is what the width adds to that of the labels.
        """
        reading = self.reading_of(outputs)
        if self.calibration:
            return Answer(reading.azimuth_deg, *self.calibration.spreads(reading.signs))
        spread_deg = uncalibrated_spread(reading.width_deg, self.params)
        return Answer(reading.azimuth_deg, spread_deg, 2 * spread_deg)

    def answer(self, samples):
        """Return the Answer to samples (n, bin, frame, 2)."""
        return self.answer_of(self.outputs(samples))

    def azimuth_deg(self, samples):
        """Azimuths in degrees, (n,) float64, of samples (n, bin, frame, 2)."""
        return self.answer(samples).azimuth_deg

    def loss_of(self, outputs, azimuth_deg):
        """Sum over samples of the loss that training minimises, without the L2 term, of Outputs."""
        if self.params.loss == "distribution":
            return float(-(self._targets(azimuth_deg) * np.log(np.maximum(outputs.said, 1e-30))).sum())
        return float(np.square(outputs.said - self._targets(azimuth_deg), dtype=np.float64).sum())

    def save(self, path, state=None):
        """Write the network whole as a file that Keras opens, with its parameters.

        Given a dict `state`, also what it takes to resume training: that and the optimiser's variables.

        Raises BadInput when the disk refuses.
        """
        path = Path(path)
        with written_whole(path) as partial:
            named_for_keras = partial.with_name(partial.name + ".keras")  # it refuses other endings
            try:
                self.keras_model.save(named_for_keras)
                with zipfile.ZipFile(named_for_keras, "a") as archive:
                    archive.writestr(PARAMS_ENTRY, json.dumps(self._made_with()))
                    if state is not None:
                        slots = {str(i): np.asarray(v) for i, v in enumerate(self._optimizer.variables)}
                        buffer = io.BytesIO()
                        np.savez(buffer, state=json.dumps(state), **slots)
                        archive.writestr(STATE_ENTRY, buffer.getvalue())
                os.replace(named_for_keras, partial)
            finally:
                named_for_keras.unlink(missing_ok=True)

    def _made_with(self):
        return self.params.features | {"frames": self.params.frames} | self.params.training | {
            "scenes": self.scenes, "calibration": self.calibration and self.calibration._asdict()}

    @classmethod
    def load(cls, path, with_state=False):
        """Build the network that a file describes by its numbers, from this module's table, and read its weights.

        Nothing else of the file is trusted: Keras would also rebuild layers, which can carry code of others.

        Parameters
        ----------
        path : path of a .keras file that `save` wrote
        with_state : bool, also read the optimiser's variables and `state`

        Raises
        ------
        BadInput : no such file, torn, foreign, or of other features or layers than this code's

        """
        path = Path(path)
        if not path.is_file():
            raise BadInput(f"{path} does not exist; train a model first with TrainingCNN.py.")
        try:
            with zipfile.ZipFile(path) as archive:
                made_with = json.loads(archive.read(PARAMS_ENTRY))
                stored = archive.read(STATE_ENTRY) if with_state else None
            names = ("frames", *Params().training)
            params = replace(Params(), **{name: tuple(made_with[name]) if isinstance(made_with[name], list)
                                          else made_with[name] for name in names})
            if differ := differences(made_with, params.features):
                raise BadInput(f"{path} was trained on other features ({differ}); train it again.")
            if (calibration := made_with.get("calibration")) and set(calibration) != set(Calibration._fields):
                raise BadInput(f"{path} tells its spreads as earlier versions of this code did; train it again.")
            network = cls(params, made_with["scenes"])
            network.keras_model.load_weights(path)
            if calibration:
                network.calibration = Calibration(*(tuple(calibration[name]) for name in Calibration._fields))
            if with_state:
                with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
                    network.state = json.loads(str(arrays["state"]))
                    for i, variable in enumerate(network._optimizer.variables):
                        variable.assign(arrays[str(i)])
        except BadInput:
            raise
        except Exception as problem:  # a torn or foreign file fails in zipfile, json, h5py or Keras in many ways
            raise BadInput(f"{path} is not a whole model of this project; train it again or name another folder.") \
                from problem
        return network
