"""The shipped head: as measured, and left is left."""
import numpy as np

import features
import hrir
from params import Params

PARAMS = Params()
HEAD = hrir.load("mit_kemar", PARAMS.sample_rate_hz)


def test_the_file_holds_integers_as_measured():
    with np.load(hrir.FOLDER / "mit_kemar.npz", allow_pickle=False) as stored:
        assert stored["impulse_response"].shape == (37, 2, 512)
        assert stored["impulse_response"].dtype == np.int16
        assert stored["sample_rate_hz"] == 44_100
        assert "Gardner" in str(stored["source"])
        assert "cited" in str(stored["licence"])
    assert (hrir.FOLDER / "mit_kemar.npz").stat().st_size < 80_000


def test_azimuths_are_the_labels():
    assert tuple(HEAD.azimuth_deg) == PARAMS.azimuth_deg
    assert hrir.front(HEAD.azimuth_deg) == 18
    assert HEAD.response.shape[:2] == (37, 2)


def test_the_near_ear_is_earlier_and_louder():
    arrival = np.argmax(np.abs(HEAD.response) > 0.2 * np.abs(HEAD.response).max(axis=-1, keepdims=True), axis=-1)
    level_db = 10 * np.log10(np.square(HEAD.response).sum(axis=-1))
    for row, azimuth_deg in enumerate(HEAD.azimuth_deg):
        if abs(azimuth_deg) < 10:
            continue
        near, far = (1, 0) if azimuth_deg > 0 else (0, 1)
        assert arrival[row, near] <= arrival[row, far]
        assert level_db[row, near] > level_db[row, far]
    assert arrival[36, 0] - arrival[36, 1] >= 9  # 0.6 ms and more at 16 kHz: a head's width


def test_a_mirrored_azimuth_is_the_swapped_pair():
    np.testing.assert_allclose(HEAD.response, HEAD.response[::-1, ::-1], atol=1e-6)  # this file mirrors one ear


def test_resampling_keeps_the_frequency_response():
    with np.load(hrir.FOLDER / "mit_kemar.npz") as stored:
        measured = stored["impulse_response"] / 2 ** 15
    hz = np.arange(200, 7000, 100)

    def response_at(taps, rate):
        return taps @ np.exp(-2j * np.pi * np.outer(np.arange(taps.shape[-1]), hz) / rate)

    error_db = 20 * np.log10(np.abs(response_at(HEAD.response, 16_000)) / np.abs(response_at(measured, 44_100)))
    assert np.abs(error_db).max() < 0.1


def test_interaural_delay_follows_the_head():
    spectra = np.fft.rfft(HEAD.response, 640)
    cues = features.interaural_cues(spectra[:, 0], spectra[:, 1], PARAMS.power_floor)
    ipd_500_hz = cues[:, 20, 0]
    assert np.all(np.diff(ipd_500_hz[2:-2]) > 0)
    np.testing.assert_allclose(ipd_500_hz, -ipd_500_hz[::-1], atol=1e-4)
