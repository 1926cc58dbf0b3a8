"""Average cues over cells of frequency, and prepare a head's templates: what every runtime needs, without Keras.

Frequencies: 320 bins of 25 Hz (0 Hz has no phase) in 120 cells of 2 bins, of 4 above 4 kHz; 8 cells are one of 15
bands.
"""
import numpy as np

from network.unit_vectors import unit_vectors

CELLS = ((80, 2), (40, 4))   # how many cells of how many bins, upwards from 25 Hz: as wide as hearing resolves, roughly
BAND_CELLS = 8
CELLS_IN_ALL = sum(count for count, _ in CELLS)
BANDS = CELLS_IN_ALL // BAND_CELLS


def in_cells(vectors, library=np):
    """Average vectors over the bins of each cell: (n, 3, bin, time) -> (n, 3, cell, time), without the bin of 0 Hz.

    >>> in_cells(np.ones((1, 3, 321, 7))).shape
    (1, 3, 120, 7)
    """
    mean = np.mean if library is np else library.reduce_mean
    parts, begin, time = [], 1, vectors.shape[3] or library.shape(vectors)[3]
    for count, bins in CELLS:
        part = vectors[:, :, begin:begin + count * bins]
        parts.append(mean(library.reshape(part, (-1, 3, count, bins, time)), axis=3))
        begin += count * bins
    return (np.concatenate if library is np else library.concat)(parts, 2)


def template_vectors(template_cues, library=np):
    """Turn heads' cues (n, direction, bin, 2) into the vectors that LogLikelihoods compares with.

    Returns (n, 3, cell, direction) of `library`, of length 1.

    >>> template_vectors(np.zeros((1, 37, 321, 2))).shape
    (1, 3, 120, 37)
    """
    vectors = in_cells(unit_vectors(library.transpose(template_cues, (0, 2, 1, 3)), library, axis=1), library)
    total = np.sum if library is np else library.reduce_sum
    return vectors / library.sqrt(total(vectors * vectors, axis=1, keepdims=True))


def symmetrical(vectors):
    """Average a head's vectors (3, cell, direction) with those of the mirrored head.

    Then the mirrored sample, compared with them, gives the mirrored likelihoods.

    >>> one_sided = np.broadcast_to(np.array([0.6, 0.8, 0]).reshape(3, 1, 1), (3, 1, 3))
    >>> symmetrical(one_sided)[:, 0, 0].round(2).tolist()
    [0.0, 1.0, 0.0]
    """
    mean = vectors + vectors[..., ::-1] * np.array([-1, 1, -1]).reshape(3, 1, 1)
    return (mean / np.linalg.norm(mean, axis=0)).astype(np.float32)
