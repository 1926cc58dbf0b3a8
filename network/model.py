"""Train, ask, save and load a network, together with its parameters.

    network = Network(Params())                       # or Network.load("pretrained/best.keras")
    network.azimuth_deg(samples)                      # (n, 321, 50, 2) -> (n,)

Params.model says which layers: "cnn" (cnn.py, the default) or "original" (original.py). Params.loss says how either is
trained: "mse" is squared error in degrees on one linear output; "distribution" is cross-entropy on a distribution over
37 azimuths against a Gaussian around the true one (readout.py). Either way the answer is one continuous azimuth.
"""
import numpy as np

from console import BadInput
from network import files
from network.answers import Listener
from network.backend import keras, tf
from network.devices import local_devices, on_devices, synchronise
from network.peaks import presence_targets
from network.readout import soft_labels
from network.segmented import Segmented
from network.uncertainty import Calibration
from network.windowed import Windowed
from params import differences

CORES = {"cnn": Segmented, "original": Windowed}
PREDICT_FRAMES = 3200           # at once, of all samples together: 64 of 50 frames
ROWS_AT_ONCE = 256              # of a recording: 40 MB of local features for rows 0.1 s apart
PRESENCE_WEIGHT = 0.3           # of the binary cross-entropy of all azimuths, beside the loss of the loudest


class Network(Listener):
    """Keep a network together with the parameters of its features and layers; one set of weights for any duration.

    Beside what a Listener has, `state` is what training keeps beside the weights (None where it was not loaded from a
    file that holds it).
    """

    def __init__(self, params, made_with=None, template_cues=None):
        """Build the network with weights drawn from params.seed.

        `template_cues` (class, bin, 2) are those of the head that it compares with, as likelihood.template_cues gives
        them; without any, all directions are equally likely, until weights are loaded. The original needs none.
        """
        keras.utils.set_random_seed(params.seed)
        self.params, self.made_with, self.calibration, self.state = params, made_with, None, None
        self._core = CORES[params.model](params)
        self.keras_model = self._core.keras_model
        if template_cues is not None and self.has_templates:
            self._core.compare_with(template_cues, is_symmetrical=True)
        self._strategy = tf.distribute.get_strategy()   # of devices.py, in whose scope the network is built
        synchronise(self.keras_model)
        self.optimizer = keras.optimizers.Adam(params.learning_rate)
        if params.precision == "float16":
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        self.optimizer.build(self.keras_model.trainable_variables)
        self._compiled = {}
        self.begin_epoch(0)

    @property
    def has_templates(self):
        """Tell whether the network compares with a head: the default one does."""
        return self.params.model == "cnn"

    def compare_with(self, template_cues):
        """Compare with the cues (class, bin, 2) of another head from now on, as likelihood.template_cues gives them.

        Raises BadInput for the original network, which compares with none.
        """
        if not self.has_templates:
            raise BadInput("--head does nothing with the original network, which compares with no head; leave it out.")
        self._core.compare_with(template_cues)

    # ------------------------------------------------------------------------------------------------ training

    def begin_epoch(self, epoch):
        """Draw crops and dropout from the seed and the epoch alone, so that a resumed run repeats.

        Crops are the same on all devices; each drops other units.
        """
        self._rng = np.random.default_rng([self.params.seed, epoch])

        dropouts = [each for each in self.keras_model.layers if isinstance(each, keras.layers.Dropout) and each.rate]

        def seed_dropout():
            device = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.uint32)
            for layer in dropouts:
                layer.seed_generator.state.assign(tf.stack([self.params.seed % 2 ** 32 + device, epoch]))

        if dropouts:
            tf.function(lambda: self._strategy.run(seed_dropout), autograph=False)()

    def train(self, samples, azimuth_deg, learning_rate, template_cues=None, of=None):
        """Take one training step; returns the loss of the batch without the L2 term.

        The loss is a tensor that need not be ready yet.

        Parameters
        ----------
        samples : np.ndarray [shape=(n, bin, frame, 2)], float16
        azimuth_deg : np.ndarray [shape=(n,) or (n, source)], NaN-padded, the loudest first; all NaN is noise alone;
            infinity says that there are others, which are not known
        learning_rate : float
        template_cues : np.ndarray [shape=(n, class, bin, 2)], float16, optional: cues of each sample's own head, zeros
            where it is compared with the network's
        of : int, optional: how many samples the whole batch has, where these are a worker's share; then the losses of
            all workers add up to that of the batch

        """
        self.optimizer.learning_rate.assign(learning_rate)
        functions = self._functions(samples.shape[2])
        common = np.float32(self._rng.random()), np.float32(of or len(samples))
        given = [samples, *self._targets(azimuth_deg)]
        losses = [loss for loss, in (functions["step"](given, common) if template_cues is None else
                                     functions["step_own"]([*given, template_cues], common))]
        return losses[0] if len(losses) == 1 else tf.add_n(losses)

    def _step(self, crop, count, samples, loudest, has_loudest, presence, is_known, template_cues=None):
        """Learn one device's part of a batch of `count` samples; the devices add their gradients."""
        device = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            scores = self._core.scores_in_training(samples, crop, template_cues)
            each = self._losses(scores, loudest, has_loudest, presence, is_known)
            l2 = [loss / device.num_replicas_in_sync for loss in self._core.losses]  # of the original's convolutions
            total = tf.add_n([tf.reduce_sum(each) / (self._core.copies * count), *l2])
            scaled = self.optimizer.scale_loss(total)
        variables = self.keras_model.trainable_variables
        gradients = tape.gradient(scaled, variables)
        if self.params.precision == "float16" and device.num_replicas_in_sync > 1:
            # All devices must skip a step that overflows on one: it would wait for ever for their gradients.
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
            spoilt = device.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(finite, 0.0, np.nan))
            gradients = [gradient + spoilt for gradient in gradients]
        self.optimizer.apply_gradients(zip(gradients, variables))
        return (tf.reduce_sum(each[:tf.shape(samples)[0]]) / count,)

    def _losses(self, scores, loudest, has_loudest, presence, is_known):
        """Compute the loss of each sample, and of its crop after all samples: (n or 2 n,)."""
        copies = self._core.copies
        loudest, presence = (tf.tile(each, (copies, 1)) for each in (loudest, presence))
        has_loudest, is_known = (tf.tile(each, (copies,)) for each in (has_loudest, is_known))
        if "azimuth_deg" in scores:
            return has_loudest * tf.reduce_mean(tf.square(loudest - scores["azimuth_deg"]), axis=1)
        losses = has_loudest * tf.nn.softmax_cross_entropy_with_logits(loudest, scores["distribution"])
        if "presence" in scores:
            each = tf.nn.sigmoid_cross_entropy_with_logits(presence, scores["presence"])
            losses += PRESENCE_WEIGHT * is_known * tf.reduce_sum(each, axis=1)
        return losses

    def _targets(self, azimuth_deg):
        """Make what to learn: of the loudest, whether there is one, of every azimuth, whether all sources are known."""
        azimuth_deg = np.asarray(azimuth_deg, np.float32)
        every = azimuth_deg[:, np.newaxis] if azimuth_deg.ndim == 1 else azimuth_deg
        is_known, every = ~np.isinf(every).any(axis=1), np.where(np.isinf(every), np.nan, every)
        has_loudest, loudest = np.isfinite(every[:, 0]), np.nan_to_num(every[:, 0])
        return ((soft_labels(loudest, self.params) if self.params.loss == "distribution" else loudest[:, np.newaxis]),
                has_loudest.astype(np.float32), presence_targets(every, self.params), is_known.astype(np.float32))

    def loss_of(self, outputs, azimuth_deg):
        """Sum the loss that training minimises over samples, by their Outputs, without the L2 term."""
        loudest, has_loudest, presence, is_known = self._targets(azimuth_deg)
        if self.params.loss != "distribution":
            return float((has_loudest * np.square(outputs.output - loudest, dtype=np.float64)[:, 0]).sum())
        loss = has_loudest @ -(loudest * np.log(np.maximum(outputs.output, 1e-30))).sum(axis=1)
        if outputs.presence is not None:
            said = np.clip(outputs.presence, 1e-7, 1 - 1e-7)
            each = presence * np.log(said) + (1 - presence) * np.log(1 - said)
            loss -= PRESENCE_WEIGHT * (is_known @ each.sum(axis=1))
        return float(loss)

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

    # ------------------------------------------------------------------------------------------------ answers

    def outputs(self, samples, template_cues=None):
        """Compute the Outputs for any number of samples (n, bin, frame, 2), some at a time.

        `template_cues` are as for `train`.
        """
        frames = samples.shape[2]
        arrays, devices = [each for each in (samples, template_cues) if each is not None], local_devices(self._strategy)
        answer, given = self._functions(frames)["answer" if template_cues is None else "answer_own"], []
        batch = max(1, PREDICT_FRAMES // frames) * devices
        for at in range(0, len(samples), batch):
            part = [each[at:at + batch] for each in arrays]
            if len(part[0]) < devices:  # no device may be left without a row
                part = [np.resize(each, (devices, *each.shape[1:])) for each in part]
            given += answer(part)[:len(samples) - at]
        return self._core.outputs_of([np.concatenate([each.numpy() for each in some]) for some in zip(*given)], frames)

    def outputs_of_rows(self, cues, starts, frames):
        """Compute the Outputs of windows of a recording, as Listener says; the default network shares what overlaps."""
        if not self.has_templates:
            return super().outputs_of_rows(cues, starts, frames)
        functions = self._functions(None)
        parts = [self._core.answer_rows(functions["local"], functions["score"], cues, starts[at:at + ROWS_AT_ONCE],
                                        frames) for at in range(0, len(starts), ROWS_AT_ONCE)]
        return self._core.outputs_of([np.concatenate(each) for each in zip(*parts)], frames)

    def _functions(self, frames):
        """Return what is computed for samples of `frames`, or of None for recordings, compiled once."""
        if frames not in self._compiled:
            count, core = len(self.params.class_deg), self._core
            samples = tf.TensorSpec((None, self.params.bins, frames, 2), tf.float16)
            values = tf.TensorSpec((None, None), tf.float32)
            each = tf.TensorSpec((None,), tf.float32)
            batch = [samples, values, each, tf.TensorSpec((None, count), tf.float32), each]
            heads = tf.TensorSpec((None, count, self.params.bins, 2), tf.float16)
            common = 2 * [tf.TensorSpec((), tf.float32)]

            def compiled(function, *signature):
                return tf.function(function, input_signature=signature, autograph=False)

            with self._strategy.scope():
                self._compiled[frames] = {
                    "step": on_devices(self._step, batch, common),
                    "step_own": on_devices(self._step, [*batch, heads], common),
                    "answer": on_devices(core.answer, [samples]),
                    "answer_own": on_devices(core.answer, [samples, heads])} if frames else {
                    "local": compiled(core.local, samples), "score": compiled(core.score, values, values)}
        return self._compiled[frames]

    # ------------------------------------------------------------------------------------------------ files

    def save(self, path, state=None):
        """Write the network whole: see files.save."""
        files.save(self, path, state)

    @classmethod
    def load(cls, path, with_state=False):
        """Read a network that `save` wrote: see files.load."""
        return files.load(cls, path, with_state)
