"""Build the default network: filters of its own for each band, beside a head's templates, then dense layers.

                                              mean over time
    cues -> unit vectors -+-> band filters ------- | ----------------+-> dense 512 -> dense 256 -+-> distribution
                          |                        |                 |                           +-> presence
                          +-> log-likelihoods ---- | -> relative ----+
            local: a step and its neighbours             of a segment

Everything before the mean is local, so that it is computed once for all segments that overlap (segments.py). Exchange
the ears and the azimuth must change its sign: everything is computed for the sample and for its mirror image, by the
same weights, and the two answers are added in the end (group equivariance: Cohen and Welling, ICML 2016).

| output       | shape | what it says                                               | trained by                     |
|--------------|-------|------------------------------------------------------------|--------------------------------|
| distribution | 37    | how likely the loudest source is at each azimuth: sum of 1 | cross-entropy with soft labels |
| presence     | 37    | how likely there is a source at each azimuth, each of many | binary cross-entropy           |
| azimuth_deg  | 1     | in place of the two with --loss mse: that of the loudest   | squared error                  |
"""
from typing import NamedTuple

from network.backend import keras
from network.layers import BandFilters, Fold, LogLikelihoods, Relative, UnitVectors

FILTERS, CONTEXT_STEPS = (48, 48), 3
DENSE = (512, 256)


class Parts(NamedTuple):
    """Hold the network as two Keras models, and both in one, which is what a file holds.

    `local`: cues (n, bin, frame, 2) -> filters (n, step - 2, value), log-likelihoods (n, step, value);
    `local_of_head`: the same of cues and each sample's own templates (n, 3, cell, direction).
    `score`: their means over time, (n, value) each -> dict of scores (n, direction), before softmax and sigmoid.
    """

    whole: keras.Model
    local: keras.Model
    local_of_head: keras.Model
    score: keras.Model


def build(params):
    """Build the network of Params; shapes are of one sample of 50 frames.

    Parameters
    ----------
    params : Params, for loss, class_deg and the precision of the layers with large products

    Returns
    -------
    Parts

    """
    layer, directions = keras.layers, len(params.class_deg)

    cues = keras.Input((params.bins, None, 2), name="cues")                             # (321, 50, 2)
    vectors = UnitVectors(name="unit_vectors")(cues)                                    # (3, 120, 25)
    filtered = BandFilters(FILTERS, CONTEXT_STEPS, name="filters", dtype=params.layer_dtype)(vectors)   # (23, 1440)
    compare = LogLikelihoods(directions, name="log_likelihoods")
    likelihoods = compare(vectors)                                                      # (25, 555)
    local = keras.Model(cues, [filtered, likelihoods], name="local")

    templates = keras.Input((3, vectors.shape[2], directions), name="templates")
    local_of_head = keras.Model([cues, templates], [filtered, compare(vectors, templates)], name="local_of_head")

    mean_filtered = keras.Input((filtered.shape[2],), name="mean_filtered")             # (1440,)
    mean_likelihoods = keras.Input((likelihoods.shape[2],), name="mean_log_likelihoods")    # (555,)
    both = layer.Concatenate()([layer.Reshape((2, filtered.shape[2] // 2))(mean_filtered),
                                Relative(directions, name="relative")(mean_likelihoods)])   # (2, 1424)
    hidden = layer.BatchNormalization()(both)
    for units in DENSE:
        hidden = layer.Dense(units, use_bias=False, kernel_initializer="he_normal", dtype=params.layer_dtype)(hidden)
        hidden = layer.ReLU()(layer.BatchNormalization()(hidden))                        # (2, 512), (2, 256)
    units = {"mse": {"azimuth_deg": 1}, "distribution": {"distribution": directions, "presence": directions}}
    scores = {name: Fold(name=name)(layer.Dense(count, name=f"{name}_dense")(hidden))
              for name, count in units[params.loss].items()}                             # (37,) each
    score = keras.Model([mean_filtered, mean_likelihoods], scores, name="score")

    mean = layer.GlobalAveragePooling1D()
    last = {"distribution": layer.Softmax(), "presence": layer.Activation("sigmoid"), "azimuth_deg": layer.Identity()}
    outputs = {name: last[name](each) for name, each in score([mean(filtered), mean(likelihoods)]).items()}
    return Parts(keras.Model(cues, outputs, name="whole"), local, local_of_head, score)
