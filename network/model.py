"""Train, ask, save and load a network, together with its parameters.

    network = Network(Params())                       # or Network.load("pretrained/best.keras")
    network.azimuth_deg(samples)                      # (n, 321, 50, 2) -> (n,)

Params.model says which layers: "bands" (bands.py, the default) or "original" (original.py). Params.loss says how either
is trained: "mse" is squared error in degrees on one linear output; "distribution" is cross-entropy on a distribution
over 37 azimuths against a Gaussian around the true one (readout.py). Either way the answer is one continuous azimuth.
"""
import io
import json
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from console import BadInput, atomic_write
from network import bands, original
from network.backend import keras, tf
from network.readout import read_out, soft_labels
from network.uncertainty import Calibration, band_disagreement_deg, error_predictors, uncalibrated_half_width
from network.unit_vectors import unit_vectors
from params import Params, differences, from_stored

LAYERS = {"bands": bands.layers, "original": original.layers}
PREDICT_FRAMES = 1600           # at once, of all samples together: 32 of 50 frames
CROP_FRAMES = 10                # training of the bands also uses a crop this long of every sample
WINDOW_FRAMES = 50              # what the original takes; it makes other durations of it, see Network
WINDOW_HOP_FRAMES = 25
LEAST_PROBABILITY = np.float32(1e-12)  # before a logarithm is taken: a softmax may underflow
PARAMS_ENTRY, STATE_ENTRY = "binsl.json", "binsl_training.npz"  # our own entries in a .keras archive


class Network:
    """Keep a network together with the parameters of its features and layers.

    One set of weights serves samples of any duration: the bands average over their frames. A distribution that they
    answer with is the geometric mean of those of segments of several durations (bands.segments_of). The original sees
    50 frames; for it, samples are repeated, or cut into `windows` whose scores (logits or degrees) are averaged.

    `params` are its Params, `made_with` the numbers its samples were made with, `calibration` the
    uncertainty.Calibration that training measured on its validation samples (None before), `state` what training keeps
    beside the weights (None where it was not loaded from a file that holds it).
    """

    def __init__(self, params, made_with=None, templates=None):
        """Build the network with weights drawn from params.seed.

        `templates` are unit vectors (class, bin, 3) of the head that the bands compare with; without any, all
        directions are equally likely, until weights are loaded. The original needs none.
        """
        keras.utils.set_random_seed(params.seed)
        self.params, self.made_with, self.calibration, self.state = params, made_with, None, None
        self._is_windowed = params.model == "original"
        inputs = keras.Input((params.bins, WINDOW_FRAMES if self._is_windowed else None, 2))
        outputs = [inputs]
        for layer in LAYERS[params.model](params):
            outputs.append(layer(outputs[-1]))
        self.keras_model = keras.Model(inputs, outputs[-1])
        # The loss is taken before the softmax, where it neither overflows nor loses its gradient.
        scores = outputs[-2 if params.loss == "distribution" else -1]
        self._scores = keras.Model(inputs, scores)
        self._first, self._others = self.keras_model.layers[1], keras.Model(outputs[1], scores)
        if templates is not None:
            self._first.take_templates(bands.symmetrical(templates))
        self._optimizer = keras.optimizers.Adam(params.learning_rate)
        self._optimizer.build(self.keras_model.trainable_variables)
        self._compiled = {}
        self.begin_epoch(0)

    def compare_with(self, template_cues):
        """Compare with the cues (class, bin, 2) of another head from now on, as likelihood.template_cues gives them.

        Raises BadInput for the original network, which compares with none.
        """
        if self._is_windowed:
            raise BadInput("--head does nothing with the original network, which compares with no head; leave it out.")
        self._first.take_templates(unit_vectors(template_cues))

    def _functions(self, frames):
        """Return the training step and the forward pass for samples of `frames`, compiled once."""
        if frames not in self._compiled:
            samples = tf.TensorSpec((None, self.params.bins, frames, 2), tf.float16)
            targets = tf.TensorSpec((None, self._scores.output_shape[-1]), tf.float32)
            crop = tf.TensorSpec((), tf.int32)
            heads = tf.TensorSpec((None, len(self.params.class_deg), self.params.bins, 2), tf.float16)
            self._compiled[frames] = {
                "step": tf.function(self._step, input_signature=[samples, targets, crop]),
                "step_own": tf.function(self._step, input_signature=[samples, targets, crop, heads]),
                "answer": tf.function(self._answer, input_signature=[samples]),
                "answer_own": tf.function(self._answer, input_signature=[samples, heads])}
        return self._compiled[frames]

    def _scored(self, samples, training):
        """Compute scores before the softmax, (n, class) or (n, 1)."""
        samples = tf.cast(samples, tf.float32)
        if not self._is_windowed:
            return self._scores(samples, training=training)
        chosen = windows(samples.shape[2])
        cut = tf.gather(samples, chosen, axis=2)                       # (n, bin, window, 50, 2)
        cut = tf.reshape(tf.transpose(cut, (0, 2, 1, 3, 4)), (-1, samples.shape[1], WINDOW_FRAMES, 2))
        scores = self._scores(cut, training=training)
        return tf.reduce_mean(tf.reshape(scores, (-1, len(chosen), scores.shape[-1])), axis=1)

    def _scored_in_training(self, samples, crop, templates):
        """Compute scores of the samples, then of their CROP_FRAMES from `crop` on: both durations are learnt."""
        frames = samples.shape[2]
        if self._is_windowed or frames <= CROP_FRAMES:
            return self._scored(samples, training=True)
        samples = tf.cast(samples, tf.float32)
        features = [self._first.of_segments(each, [None], templates)[0]
                    for each in (samples, samples[:, :, crop:crop + CROP_FRAMES])]
        return self._others(tf.concat(features, axis=0), training=True)

    def _answer(self, samples, templates=None):
        if self._is_windowed:
            scores, comparison = self._scored(samples, training=False), ()
        else:
            durations = bands.segments_of(samples.shape[2])[1:] if self.params.loss == "distribution" else []
            features = self._first.of_segments(tf.cast(samples, tf.float32), [None, *map(bands.Segments, durations)],
                                               templates)
            scores, comparison = self._agreed(features), self._first.comparison_in(features[0])
        return (tf.nn.softmax(scores) if self.params.loss == "distribution" else scores), *comparison

    def _agreed(self, features):
        """Compute scores (n, class) from the features of the whole and of the segments of every duration.

        Probabilities are averaged over the segments of a duration, then geometrically over the durations. Where noise
        wins, some segments are wrong; what holds in all durations is more often right than the whole alone
        (docs/log/2026-11-27-segments-of-a-sample.md).
        """
        scores = self._others(tf.concat(features, axis=0), training=False)
        if len(features) == 1:
            return scores
        count = tf.shape(features[0])[0]
        probabilities = tf.split(tf.nn.softmax(scores), [tf.shape(each)[0] for each in features])
        means = [tf.reduce_mean(tf.reshape(each, (count, -1, each.shape[-1])), axis=1) for each in probabilities]
        return tf.reduce_mean(tf.math.log(tf.stack(means) + LEAST_PROBABILITY), axis=0)

    def _step(self, samples, targets, crop, templates=None):
        with tf.GradientTape() as tape:
            scores = self._scored_in_training(samples, crop, templates)
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
        """Draw crops and dropout from the seed and the epoch alone, so that a resumed run repeats."""
        self._rng = np.random.default_rng([self.params.seed, epoch])
        for layer in self.keras_model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([self.params.seed % 2 ** 32, epoch])

    def train(self, samples, azimuth_deg, learning_rate, templates=None):
        """Take one training step; returns the loss of the batch without the L2 term.

        The loss is a tensor that need not be ready yet.

        Parameters
        ----------
        samples : np.ndarray [shape=(n, bin, frame, 2)], float16
        azimuth_deg : np.ndarray [shape=(n,)]
        learning_rate : float
        templates : np.ndarray [shape=(n, class, bin, 2)], float16, optional: cues of each sample's own head, zeros
            where it is compared with the network's

        """
        self._optimizer.learning_rate.assign(learning_rate)
        functions = self._functions(samples.shape[2])
        crop = self._rng.integers(max(1, samples.shape[2] - CROP_FRAMES + 1), dtype=np.int32)
        if templates is None:
            return functions["step"](samples, self._targets(azimuth_deg), crop)
        return functions["step_own"](samples, self._targets(azimuth_deg), crop, templates)

    def outputs(self, samples, templates=None):
        """Compute the Outputs for any number of samples (n, bin, frame, 2), some at a time.

        `templates` are as for `train`.
        """
        functions, batch = self._functions(samples.shape[2]), max(1, PREDICT_FRAMES // samples.shape[2])
        parts = [slice(at, at + batch) for at in range(0, len(samples), batch)]
        given = [functions["answer"](samples[part]) if templates is None else
                 functions["answer_own"](samples[part], templates[part]) for part in parts]
        return Outputs(*map(np.concatenate, zip(*([each.numpy() for each in some] for some in given))))

    def reading_of(self, outputs):
        """Read out azimuths, widths and error predictors: Outputs -> Reading."""
        if self.params.loss != "distribution":
            azimuth_deg = np.clip(outputs.output[:, 0].astype(np.float64), self.params.class_deg[0],
                                  self.params.class_deg[-1])
            return Reading(azimuth_deg, np.full(len(azimuth_deg), np.nan), np.empty((len(azimuth_deg), 0)))
        azimuth_deg, width_deg = read_out(outputs.output, self.params)
        disagreement_deg = (None if outputs.log_likelihoods is None else
                            band_disagreement_deg(azimuth_deg, outputs.log_likelihoods, self.params))
        return Reading(azimuth_deg, width_deg, error_predictors(azimuth_deg, width_deg, outputs.output,
                                                                disagreement_deg, outputs.log_contrasts))

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

    def calibrate(self, predictors, error_deg, of_noise=None):
        """Measure how far errors reach: predictors and absolute errors of samples that were not trained on.

        `of_noise` are predictors of noise alone, as for Calibration.fit.
        """
        if self.params.loss == "distribution":
            self.calibration = Calibration.fit(predictors, error_deg, of_noise)

    def answer_of(self, outputs):
        """Read out azimuths and their half-widths: Outputs -> Answer.

        Before training has measured its errors, the 68 % half-width is what the width adds to that of the soft labels.
        """
        reading = self.reading_of(outputs)
        if self.calibration:
            return Answer(reading.azimuth_deg, *self.calibration.half_widths(reading.predictors))
        half_width_deg = uncalibrated_half_width(reading.width_deg, self.params)
        return Answer(reading.azimuth_deg, half_width_deg, 2 * half_width_deg)

    def answer(self, samples):
        """Localise samples (n, bin, frame, 2): azimuths and their half-widths as an Answer."""
        return self.answer_of(self.outputs(samples))

    def azimuth_deg(self, samples):
        """Localise samples (n, bin, frame, 2): azimuths in degrees, (n,) float64."""
        return self.answer(samples).azimuth_deg

    def hear(self, samples):
        """Localise samples (n, bin, frame, 2), and tell whether each has a source: a Hearing."""
        outputs = self.outputs(samples)
        answer = self.answer_of(outputs)
        if self.params.loss != "distribution" or not self.calibration:
            return Hearing(answer, None, np.full(len(samples), np.nan))
        return Hearing(answer, outputs.output, self.calibration.source_log_odds(self.reading_of(outputs).predictors))

    def loss_of(self, output, azimuth_deg):
        """Sum the loss that training minimises over samples, by Outputs.output (n, ...), without the L2 term."""
        if self.params.loss == "distribution":
            return float(-(self._targets(azimuth_deg) * np.log(np.maximum(output, 1e-30))).sum())
        return float(np.square(output - self._targets(azimuth_deg), dtype=np.float64).sum())

    def save(self, path, state=None):
        """Write the network whole as a file that Keras opens, with its parameters.

        Given a dict `state`, also what it takes to resume training: that and the optimiser's variables.

        Raises BadInput when the disk refuses.
        """
        path = Path(path)
        with atomic_write(path) as partial:
            named_for_keras = partial.with_name(partial.name + ".keras")  # it refuses other endings
            try:
                self.keras_model.save(named_for_keras)
                with zipfile.ZipFile(named_for_keras, "a") as archive:
                    archive.writestr(PARAMS_ENTRY, json.dumps(self._description()))
                    if state is not None:
                        slots = {str(i): np.asarray(v) for i, v in enumerate(self._optimizer.variables)}
                        buffer = io.BytesIO()
                        np.savez(buffer, state=json.dumps(state), **slots)
                        archive.writestr(STATE_ENTRY, buffer.getvalue())
                os.replace(named_for_keras, partial)
            finally:
                named_for_keras.unlink(missing_ok=True)

    def _description(self):
        return self.params.features | {"frames": self.params.frames} | self.params.training | {
            "scenes": self.made_with, "calibration": self.calibration and self.calibration._asdict()}

    @classmethod
    def load(cls, path, with_state=False):
        """Build the network that a file describes by its numbers, from this room's tables, and read its weights.

        Nothing else of the file is trusted: Keras would also rebuild layers, which can carry code of others.

        Parameters
        ----------
        path : path of a .keras file that `save` wrote, or of a folder with best.keras
        with_state : bool, also read the optimiser's variables; then the file must hold `state`

        Raises
        ------
        BadInput : no such file, torn, foreign, or of other features or layers than this code's

        """
        path = Path(path)
        path = path / "best.keras" if path.is_dir() else path
        if not path.is_file():
            raise BadInput(f"{path} does not exist; train a model first with TrainingCNN.py.")
        try:
            with zipfile.ZipFile(path) as archive:
                stored = json.loads(archive.read(PARAMS_ENTRY))
                state = archive.read(STATE_ENTRY) if with_state or STATE_ENTRY in archive.namelist() else None
            params = from_stored(stored, ("frames", *Params.TRAINING))
            if differ := differences(stored, params.features):
                raise BadInput(f"{path} was trained on other features ({differ}); train it again.")
            calibration = stored.get("calibration")
            if calibration and set(calibration) | {"terms_source"} != set(Calibration._fields):
                raise BadInput(f"{path} states its uncertainty as earlier versions of this code did; train it again.")
            network = cls(params, stored["scenes"])
            network.keras_model.load_weights(path)
            if calibration:
                network.calibration = Calibration(**{name: tuple(values) for name, values in calibration.items()})
            if state:
                with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
                    network.state = json.loads(str(arrays["state"]))
                    for i, variable in enumerate(network._optimizer.variables if with_state else ()):
                        variable.assign(arrays[str(i)])
        except BadInput:
            raise
        except Exception as problem:  # a torn or foreign file fails in zipfile, json, h5py or Keras in many ways
            raise BadInput(f"{path} is not a whole model of this project; train it again or name another folder.") \
                from problem
        return network


def windows(frames):
    """List which frames each window of WINDOW_FRAMES takes from a sample of `frames`: (window, WINDOW_FRAMES) int.

    A short sample is repeated until it fills one; a long one is covered evenly by windows that overlap by about half.
    """
    if frames <= WINDOW_FRAMES:
        return np.arange(WINDOW_FRAMES)[np.newaxis] % frames
    count = 1 + -(-(frames - WINDOW_FRAMES) // WINDOW_HOP_FRAMES)
    starts = np.rint(np.linspace(0, frames - WINDOW_FRAMES, count)).astype(int)
    return starts[:, np.newaxis] + np.arange(WINDOW_FRAMES)


class Outputs(NamedTuple):
    """Outputs of a network: `output` is probabilities (n, 37) or degrees (n, 1).

    `log_likelihoods` (n, band, class) and `log_contrasts` (n, 2) are what Bands.comparison_in gives; the original has
    none.
    """

    output: np.ndarray
    log_likelihoods: np.ndarray | None = None
    log_contrasts: np.ndarray | None = None


class Reading(NamedTuple):
    """Azimuths and widths in degrees as readout.read_out gives them, two (n,), and error predictors (n, predictor).

    Azimuths are within -90..90, where the project's labels lie. A network of squared error has no widths (NaN) and no
    predictors.
    """

    azimuth_deg: np.ndarray
    width_deg: np.ndarray
    predictors: np.ndarray


class Answer(NamedTuple):
    """Azimuths and their 68 and 95 % half-widths, all in degrees: three (n,) float64."""

    azimuth_deg: np.ndarray
    half_width_68_deg: np.ndarray
    half_width_95_deg: np.ndarray



class Hearing(NamedTuple):
    """An Answer, what it was read from, and the log odds that there is a source rather than noise from all around.

    `distribution` (n, class), None of a network of squared error; `source_log_odds` (n,), NaN where it cannot tell.
    """

    answer: Answer
    distribution: np.ndarray | None
    source_log_odds: np.ndarray
