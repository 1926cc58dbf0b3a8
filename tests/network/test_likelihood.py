"""The likelihood finds what its templates describe."""
import numpy as np
import pytest

import baseline
import hrir
import scene
from params import Params

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz, PARAMS.azimuth_deg)


def test_unit_vectors_have_length_one_and_no_seam():
    cues = np.random.default_rng(0).uniform((-3.14, -90), (3.14, 90), (1000, 2))
    np.testing.assert_allclose(np.linalg.norm(baseline.unit_vectors(cues), axis=1), 1, atol=1e-5)
    seam = baseline.unit_vectors(np.array([[np.pi, 3.0], [-np.pi, 3.0]]))
    np.testing.assert_allclose(seam[0], seam[1], atol=1e-6)
    assert np.isfinite(baseline.unit_vectors(np.array([[0.0, 60_000], [0.0, -60_000]]))).all()


@pytest.mark.parametrize("gain", [0.0, 0.5])
def test_noise_from_a_direction_is_found(gain):
    rng = np.random.default_rng(1)
    source = rng.standard_normal(PARAMS.excerpt_length).astype(np.float32)
    heard_from = scene.response_spectrum(HEAD.response, PARAMS.excerpt_length)
    speech = scene.at_ears(source, heard_from, PARAMS.sample_length)
    field = scene.diffuse(rng.standard_normal((37, PARAMS.excerpt_length)).astype(np.float32), heard_from,
                          HEAD.azimuth_deg, PARAMS.sample_length) / np.sqrt(37)
    cues = np.empty((37, *PARAMS.sample_shape), np.float16)
    scene.mixed_cues(scene.parts(speech, PARAMS), scene.parts(field, PARAMS), gain, PARAMS, cues)
    found = baseline.localise(cues, baseline.template_cues(PARAMS), PARAMS.azimuth_deg)
    assert np.abs(found - np.array(PARAMS.azimuth_deg)).max() <= 5
