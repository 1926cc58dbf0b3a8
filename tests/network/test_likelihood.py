"""The likelihood finds what its templates describe."""
import numpy as np
import pytest
import sofar

import features
import hrir
from network import likelihood
from params import Params
from sound.convolution import at_ears, response_spectrum
from sound.noise_fields import diffuse

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz, PARAMS.azimuth_deg)


@pytest.mark.parametrize("gain", [0.0, 0.5])
def test_noise_from_a_direction_is_found(gain):
    rng = np.random.default_rng(1)
    source = rng.standard_normal(PARAMS.excerpt_length).astype(np.float32)
    hrtf = response_spectrum(HEAD.response, PARAMS.excerpt_length)
    speech = at_ears(source, hrtf, PARAMS.sample_length)
    field = diffuse(rng.standard_normal((37, PARAMS.excerpt_length)).astype(np.float32), hrtf, HEAD.azimuth_deg,
                    PARAMS.sample_length) / np.sqrt(37)
    cues = np.stack([features.from_ears(ears + gain * field, PARAMS) for ears in speech]).astype(np.float16)
    found = likelihood.localise(cues, likelihood.template_cues(PARAMS), PARAMS.azimuth_deg)
    error_deg = np.abs(found - np.array(PARAMS.azimuth_deg))
    assert error_deg.max() <= 5
    assert gain or error_deg.max() == 0


def test_templates_are_the_cues_of_the_shipped_head():
    cues = likelihood.template_cues(PARAMS)
    assert cues.shape == (37, 321, 2)
    ild_db = np.median(cues[:, 80:200, 1], axis=1)
    assert np.array_equal(np.sign(ild_db[[0, 9, 27, 36]]), [-1, -1, 1, 1])  # the source's side is the louder one
    np.testing.assert_array_equal(likelihood.localise(
        np.repeat(cues[:, :, np.newaxis], 3, axis=2), cues, PARAMS.class_deg), PARAMS.class_deg)


def test_templates_of_a_file_are_those_of_its_head(tmp_path):
    measured, sofa = hrir.read("mit_kemar"), sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR, sofa.Data_SamplingRate = measured.response * [[[1.0], [2.0]]], measured.sample_rate_hz
    sofa.SourcePosition = np.stack([-measured.azimuth_deg % 360, np.zeros(37), np.ones(37)], axis=1)
    sofar.write_sofa(str(tmp_path / "louder.sofa"), sofa)
    louder, shipped = (likelihood.template_cues(PARAMS, head) for head in (tmp_path / "louder.sofa", "mit_kemar"))
    np.testing.assert_allclose((louder - shipped)[:, 1:], np.broadcast_to([0.0, 6.02], (37, 320, 2)), atol=0.01)
