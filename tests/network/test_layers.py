"""The layers of the default network, each against its formula."""
import numpy as np
import pytest
from helpers import samples

from network import cells, layers, likelihood
from network.backend import keras
from network.unit_vectors import LEAST_DISTANCE, unit_vectors
from params import Params

PARAMS = Params()
TEMPLATES = cells.template_vectors(likelihood.template_cues(PARAMS)[np.newaxis])[0]
RNG = np.random.default_rng(0)


def cells_by_hand(cues):
    """Mean unit vectors, cell by cell: (n, bin, frame, 2) -> (n, 3, cell, step)."""
    vectors = unit_vectors(cues)
    edges = [1, *np.cumsum([bins for count, bins in cells.CELLS for _ in range(count)]) + 1]
    means = [[vectors[:, low:high, 2 * step:2 * step + 2].mean(axis=(1, 2)) for step in range(cues.shape[2] // 2)]
             for low, high in zip(edges, edges[1:])]
    return np.array(means).transpose(2, 3, 0, 1)


def test_cells_are_means_of_unit_vectors_and_cover_every_bin_but_that_of_0_hz():
    some = samples(2, 11).astype(np.float32)
    ours = layers.UnitVectors()(some).numpy()
    assert ours.shape == (2, 3, 120, 5)
    np.testing.assert_allclose(ours, cells_by_hand(some), atol=1e-6)
    assert 1 + sum(count * bins for count, bins in cells.CELLS) == PARAMS.bins


def test_a_source_that_holds_still_is_more_coherent_than_noise():
    still = np.broadcast_to(np.float32([0.5, 3.0]), (1, 321, 50, 2))
    noise = np.stack((RNG.uniform(-np.pi, np.pi, (1, 321, 50)), RNG.normal(0, 6, (1, 321, 50))), axis=-1)
    lengths = [np.linalg.norm(layers.UnitVectors()(each.astype(np.float32)).numpy(), axis=1) for each in (still, noise)]
    np.testing.assert_allclose(lengths[0], 1, rtol=1e-5)
    assert lengths[1].mean() < 0.6


@pytest.mark.parametrize("context_steps", [1, 3])
def test_filters_of_bands_are_a_convolution_in_groups(context_steps):
    """Keras's own Conv1D(groups=15) gives the same; its gradient is what is slow."""
    ours = layers.BandFilters((4, 6), context_steps)
    vectors = RNG.normal(size=(2, 3, 120, 9)).astype(np.float32)
    ours.build(vectors.shape)
    for weight in ours.weights:
        weight.assign(RNG.normal(size=weight.shape))
    grouped = vectors.reshape(2, 3, 15, 8, 9).transpose(0, 4, 2, 1, 3)                       # (n, step, band, 3, cell)
    for mirrored, sign in enumerate((1, -1)):
        signed = grouped * np.float32([sign, 1, sign])[:, np.newaxis]
        inputs = np.concatenate((signed[..., 1, :], signed[..., 0, :], signed[..., 2, :]), axis=-1)
        first = keras.layers.Conv1D(15 * 4, context_steps, groups=15)
        first.build((None, 9, 15 * 24))
        staying, negated = (np.array(each).reshape(15, context_steps, -1, 4) for each in (ours.staying, ours.negated))
        kernel = np.concatenate((staying, negated), axis=2)                                  # (band, context, 24, 4)
        first.set_weights([kernel.transpose(1, 2, 0, 3).reshape(context_steps, 24, -1), np.ravel(ours.first_bias)])
        second = keras.layers.Conv1D(15 * 6, 1, groups=15)
        second.build((None, None, 15 * 4))
        second.set_weights([np.array(ours.second).transpose(1, 0, 2).reshape(1, 4, -1), np.ravel(ours.second_bias)])
        by_keras = np.maximum(second(np.maximum(first(inputs.reshape(2, 9, -1)), 0)), 0)
        given = ours(vectors).numpy().reshape(2, 9 - context_steps + 1, 2, -1)[:, :, mirrored]
        np.testing.assert_allclose(given, by_keras, atol=2e-4)


def likelihoods_by_hand(vectors, templates):
    weight = np.square(vectors).sum(axis=1)
    distance = 1 + 2 * LEAST_DISTANCE - np.einsum("nkcs,kca->ncsa", vectors, templates)
    of_bands = (-np.log(distance) * weight[..., np.newaxis]).reshape(len(vectors), 15, 8, -1, 37).mean(axis=2)
    return (of_bands - of_bands.mean(axis=-1, keepdims=True)).transpose(0, 2, 1, 3)


def test_log_likelihoods_are_those_of_the_formula_and_of_each_samples_own_head():
    layer = layers.LogLikelihoods(37)
    vectors = cells_by_hand(samples(3, 8).astype(np.float32))
    layer.build(vectors.shape)
    layer.templates.assign(TEMPLATES)
    given = layer(vectors).numpy().reshape(3, 4, 15, 37)
    np.testing.assert_allclose(given, likelihoods_by_hand(vectors, TEMPLATES), atol=1e-4)
    own = np.stack((np.zeros_like(TEMPLATES), TEMPLATES[..., ::-1], TEMPLATES))
    of_heads = layer(vectors, own).numpy().reshape(3, 4, 15, 37)
    np.testing.assert_allclose(of_heads[[0, 2]], given[[0, 2]], atol=1e-4)               # zeros: the layer's own
    np.testing.assert_allclose(of_heads[1], given[1][..., ::-1], atol=1e-4)


def test_what_is_relative_does_not_depend_on_how_much_directions_differ():
    layer = layers.Relative(37)
    some = RNG.normal(size=(4, 555)).astype(np.float32)
    some -= some.reshape(4, 15, 37).mean(axis=2, keepdims=True).repeat(37, axis=2).reshape(4, 555)
    near, far = layer(some).numpy(), layer(some / 10).numpy()
    assert near.shape == (4, 2, 19 * 37 + 1)
    np.testing.assert_allclose(far[..., :-1], near[..., :-1], atol=0.01)
    np.testing.assert_allclose(near[..., -1] - far[..., -1], np.log(10), atol=0.01)
    rows = near[..., :-1].reshape(4, 2, 19, 37)
    np.testing.assert_allclose(rows[:, 1], rows[:, 0, :, ::-1])
    np.testing.assert_allclose(rows[:, 0, 16:].sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.square(rows[:, 0, 15]).mean(axis=-1)), 1, atol=0.01)
