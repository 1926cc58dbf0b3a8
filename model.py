"""The network: a table of layers, its training step, its answer in degrees, and its file. The only user of Keras.

    network = Network(Params())                       # or Network.load("checkpoints/best.keras")
    network.azimuth_deg(samples)                      # (n, 321, 50, 2) -> (n,)

Two ways to train the same layers (Params.loss): "mse" is squared error in degrees on one linear output, as Pang et al.
2019; "distribution" is cross-entropy on a distribution over 37 azimuths against a Gaussian around the true one
(HL-Gauss: Imani and White 2018), read out as its mean around its peak. Either way the answer is one continuous azimuth.
"""
import io
import json
import os
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from console import BadInput, written_whole
from params import Params, differences


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

PREDICT_BATCH = 256
WINDOW_FRAMES = 50              # what the table of layers takes; other durations are made of it, see Network
WINDOW_HOP_FRAMES = 25
PER_RADIAN = 0.5                # tanh(0.5 x pi) = 0.92: the IPD keeps its resolution up to its ends
NEPER_PER_DB = np.log(10) / 20  # tanh(g) of the level difference g in neper
PARAMS_ENTRY, STATE_ENTRY = "binsl.json", "binsl_training.npz"  # our own entries in a .keras archive


def _layers(params):
    """The table: one layer a line, as Pang et al. 2019, table 2. Shapes are (frequency, frame, channel)."""
    conv = {"activation": "relu", "kernel_regularizer": keras.regularizers.L2(params.l2)}
    layer = keras.layers
    head = {                                                        # (256,) ->
        "mse": [layer.Dense(1, name="azimuth_deg")],                # (1,) degrees
        "distribution": [layer.Dense(len(params.class_deg), name="logits"),
                         layer.Softmax(name="distribution")],       # (37,) probabilities
    }[params.loss]
    return [                                                        # (321, 50, 2) ->
        # Both cues into -1..1, without parameters: an empty bin's 60 dB no longer drowns the others. tanh keeps sign
        # and order; of the ILD it is the exact measure (|R|^2 - |L|^2) / (|R|^2 + |L|^2).
        layer.Rescaling([PER_RADIAN, NEPER_PER_DB]), layer.Activation("tanh"),
        layer.Conv2D(32, 5, strides=3, **conv), layer.BatchNormalization(),   # (106, 16, 32)
        layer.Conv2D(64, 3, strides=2, **conv), layer.BatchNormalization(),   # (52, 7, 64)
        layer.Conv2D(96, 3, strides=2, **conv), layer.BatchNormalization(),   # (25, 3, 96)
        layer.Conv2D(128, 3, strides=2, **conv), layer.BatchNormalization(),  # (12, 1, 128)
        layer.Flatten(),                                                      # (1536,)
        layer.Dense(1024, activation="relu"),
        layer.Dropout(params.dropout),
        layer.Dense(512, activation="relu"),
        layer.Dense(256, activation="relu"),
        *head,
    ]


def soft_labels(azimuth_deg, params):
    """The distribution to learn: a Gaussian around each azimuth, integrated over each class (HL-Gauss).

    Parameters
    ----------
    azimuth_deg : np.ndarray [shape=(n,)]
    params : Params, for the classes and label_spread_deg

    Returns
    -------
    np.ndarray [shape=(n, class)], float32, rows sum to 1

    """
    grid = np.asarray(params.class_deg, np.float64)
    middles = (grid[1:] + grid[:-1]) / 2
    edges = np.concatenate(([2 * grid[0] - middles[0]], middles, [2 * grid[-1] - middles[-1]]))
    below = ndtr((edges - np.asarray(azimuth_deg, np.float64)[:, None]) / params.label_spread_deg)
    mass = np.diff(below, axis=1)
    return (mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)


def read_out(distribution, params):
    """One azimuth from a distribution: its mean within readout_reach_deg of its peak.

    At the ends of the grid the neighbourhood is one-sided and its mean is drawn inwards by up to 2 degrees. That is
    undone: reading out the soft label of any azimuth gives that azimuth.

    Parameters
    ----------
    distribution : np.ndarray [shape=(n, class)], rows sum to 1
    params : Params

    Returns
    -------
    np.ndarray [shape=(n,)], float64, degrees

    """
    truth = np.linspace(params.class_deg[0], params.class_deg[-1], 721)
    seen = np.maximum.accumulate(_mean_around_peak(soft_labels(truth, params), params))  # accumulate: rounding only
    return np.interp(_mean_around_peak(distribution, params), seen, truth)


def _mean_around_peak(distribution, params):
    grid = np.asarray(params.class_deg, np.float64)
    peak = grid[np.argmax(distribution, axis=1)]
    weight = np.where(np.abs(grid - peak[:, None]) <= params.readout_reach_deg, distribution, 0).astype(np.float64)
    return (weight * grid).sum(axis=1) / weight.sum(axis=1)


def windows(frames):
    """Which frames each window of WINDOW_FRAMES takes from a sample of `frames`: (window, WINDOW_FRAMES) int.

    A short sample is repeated until it fills one; a long one is covered evenly by windows that overlap by about half.
    """
    if frames <= WINDOW_FRAMES:
        return np.arange(WINDOW_FRAMES)[np.newaxis] % frames
    count = 1 + -(-(frames - WINDOW_FRAMES) // WINDOW_HOP_FRAMES)
    starts = np.rint(np.linspace(0, frames - WINDOW_FRAMES, count)).astype(int)
    return starts[:, np.newaxis] + np.arange(WINDOW_FRAMES)


class Network:
    """The CNN with the parameters of its features and layers.

    The layers see 50 frames. Samples of another duration are repeated, or cut into `windows` whose scores (logits or
    degrees) are averaged, in training as in use: one set of weights serves every duration.

    `params` are its Params, `scenes` the numbers its samples were made with, `state` what training keeps beside the
    weights (None for a network that was not loaded from a file with `with_state=True`).
    """

    def __init__(self, params, scenes=None):
        """Build it with weights drawn from params.seed."""
        keras.utils.set_random_seed(params.seed)
        self.params, self.scenes, self.state = params, scenes, None
        inputs = keras.Input((params.bins, WINDOW_FRAMES, 2))
        outputs = [inputs]
        for layer in _layers(params):
            outputs.append(layer(outputs[-1]))
        self.keras_model = keras.Model(inputs, outputs[-1])
        # The loss is taken before the softmax, where it neither overflows nor loses its gradient.
        self._scores = keras.Model(inputs, outputs[-2]) if params.loss == "distribution" else self.keras_model
        self._optimizer = keras.optimizers.Adam(params.learning_rate)
        self._optimizer.build(self.keras_model.trainable_variables)
        self._compiled = {}

    def _functions(self, frames):
        """Return the training step and the forward pass for samples of `frames`, compiled once."""
        if frames not in self._compiled:
            samples = tf.TensorSpec((None, self.params.bins, frames, 2), tf.float16)
            targets = tf.TensorSpec((None, self._scores.output_shape[-1]), tf.float32)
            self._compiled[frames] = (tf.function(self._step, input_signature=[samples, targets]),
                                      tf.function(self._answer, input_signature=[samples]))
        return self._compiled[frames]

    def _scored(self, samples, training):
        """Scores before the softmax, (n, class) or (n, 1), averaged over the windows of each sample."""
        frames = samples.shape[2]
        samples = tf.cast(samples, tf.float32)
        if frames == WINDOW_FRAMES:
            return self._scores(samples, training=training)
        chosen = windows(frames)
        cut = tf.gather(samples, chosen, axis=2)                       # (n, bin, window, 50, 2)
        cut = tf.reshape(tf.transpose(cut, (0, 2, 1, 3, 4)), (-1, samples.shape[1], WINDOW_FRAMES, 2))
        scores = self._scores(cut, training=training)
        return tf.reduce_mean(tf.reshape(scores, (-1, len(chosen), scores.shape[-1])), axis=1)

    def _answer(self, samples):
        scores = self._scored(samples, training=False)
        return tf.nn.softmax(scores) if self.params.loss == "distribution" else scores

    def _step(self, samples, targets):
        with tf.GradientTape() as tape:
            scores = self._scored(samples, training=True)
            if self.params.loss == "distribution":
                each = tf.nn.softmax_cross_entropy_with_logits(targets, scores)
            else:
                each = tf.square(targets - scores)
            loss = tf.reduce_mean(each)
            total = loss + tf.add_n(self._scores.losses)  # the L2 of the convolutions
        variables = self.keras_model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(total, variables), variables))
        return loss

    def _targets(self, azimuth_deg):
        if self.params.loss == "distribution":
            return soft_labels(azimuth_deg, self.params)
        return np.asarray(azimuth_deg, np.float32)[:, None]

    def begin_epoch(self, epoch):
        """Make dropout depend on the seed and the number of the epoch alone, so that a resumed run repeats."""
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
        return train_step(samples, self._targets(azimuth_deg))

    def outputs(self, samples):
        """What the last layer gives, any number of samples: (n, 37) probabilities or (n, 1) degrees, float32."""
        _, forward = self._functions(samples.shape[2])
        return np.concatenate([forward(samples[at:at + PREDICT_BATCH]).numpy()
                               for at in range(0, len(samples), PREDICT_BATCH)])

    def azimuth_of(self, outputs):
        """Azimuths in degrees, (n,) float64, from what `outputs` gave; -90..90, where the project's labels lie."""
        if self.params.loss == "distribution":
            return read_out(outputs, self.params)
        return np.clip(outputs[:, 0].astype(np.float64), self.params.class_deg[0], self.params.class_deg[-1])

    def azimuth_deg(self, samples):
        """Answer for samples (n, bin, frame, 2): azimuths in degrees, (n,) float64."""
        return self.azimuth_of(self.outputs(samples))

    def loss_of(self, outputs, azimuth_deg):
        """Sum over samples of the loss that training minimises, without the L2 term, from what `outputs` gave."""
        if self.params.loss == "distribution":
            return float(-(self._targets(azimuth_deg) * np.log(np.maximum(outputs, 1e-30))).sum())
        return float(np.square(outputs - self._targets(azimuth_deg), dtype=np.float64).sum())

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
        return self.params.features | {"frames": self.params.frames} | self.params.training | {"scenes": self.scenes}

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
            network = cls(params, made_with["scenes"])
            network.keras_model.load_weights(path)
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
