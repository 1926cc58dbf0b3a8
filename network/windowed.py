"""Let the original network answer for any duration: it sees 50 frames, and nothing else."""
import numpy as np

from network import original
from network.answers import Outputs
from network.backend import keras, tf

WINDOW_FRAMES = 50
WINDOW_HOP_FRAMES = 25


def windows(frames):
    """List which frames each window of WINDOW_FRAMES takes from a sample of `frames`: (window, WINDOW_FRAMES) int.

    A short sample is repeated until it fills one; a long one is covered evenly by windows that overlap by about half.
    """
    if frames <= WINDOW_FRAMES:
        return np.arange(WINDOW_FRAMES)[np.newaxis] % frames
    count = 1 + -(-(frames - WINDOW_FRAMES) // WINDOW_HOP_FRAMES)
    starts = np.rint(np.linspace(0, frames - WINDOW_FRAMES, count)).astype(int)
    return starts[:, np.newaxis] + np.arange(WINDOW_FRAMES)


class Windowed:
    """Hold the original network; its scores (logits or degrees) are averaged over the windows of a sample."""

    copies = 1  # of a sample in training

    def __init__(self, params):
        inputs = keras.Input((params.bins, WINDOW_FRAMES, 2))
        outputs = [inputs]
        for layer in original.layers(params):
            outputs.append(layer(outputs[-1]))
        self.keras_model = keras.Model(inputs, outputs[-1])
        # The loss is taken before the softmax, where it neither overflows nor loses its gradient.
        self._scores = keras.Model(inputs, outputs[-2 if params.loss == "distribution" else -1])
        self._name = "distribution" if params.loss == "distribution" else "azimuth_deg"

    @property
    def losses(self):
        """List what is added to the loss: the L2 of the convolutions."""
        return self._scores.losses

    def scores_in_training(self, samples, *_):
        """Compute the scores (n, class) of samples as a dict of one output."""
        return {self._name: self._of_windows(samples, training=True)}

    def answer(self, samples, *_):
        """Compute the output of samples: a tuple of probabilities (n, class) or degrees (n, 1), as a tensor."""
        scores = self._of_windows(samples, training=False)
        return (tf.nn.softmax(scores) if self._name == "distribution" else scores,)

    def outputs_of(self, arrays, _):
        """Make Outputs of arrays as `answer` computes them."""
        return Outputs(*arrays)

    def _of_windows(self, samples, training):
        samples, chosen = tf.cast(samples, tf.float32), windows(samples.shape[2])
        cut = tf.gather(samples, chosen, axis=2)                       # (n, bin, window, 50, 2)
        cut = tf.reshape(tf.transpose(cut, (0, 2, 1, 3, 4)), (-1, samples.shape[1], WINDOW_FRAMES, 2))
        scores = self._scores(cut, training=training)
        return tf.reduce_mean(tf.reshape(scores, (-1, len(chosen), scores.shape[-1])), axis=1)
