"""The imbalance of two channels, told from what is diffuse, and left alone where nothing is."""
import numpy as np
import pytest
from helpers import PARAMS, from_all_around, through_the_head

from network.balance import BLOCKS_KEPT, Balance

RATE = PARAMS.sample_rate_hz


def voice(seconds, pauses=True, seed=0):
    """Noise with the rhythm and spectrum of a voice, and pauses of 0.3 s."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    noise = np.cumsum(rng.standard_normal(count)) * 0.02 + rng.standard_normal(count) * 0.1
    noise -= np.convolve(noise, np.ones(400) / 400, "same")
    syllables = 0.05 + np.clip(np.sin(2 * np.pi * 3 * np.arange(count) / RATE), 0, 1)
    if pauses:
        syllables *= np.arange(count) / RATE % 1 < 0.7
    return noise * syllables


def imbalance_of(ears, gain_db=0.0):
    balance = Balance(PARAMS)
    for block in np.array_split((ears * [1, 10 ** (gain_db / 20)]).astype(np.float32), 9):
        balance.add(block)
    return balance.estimate()


def talker_in_noise(azimuth_deg, snr_db=20, seconds=6, pauses=True):
    ears = through_the_head(voice(seconds, pauses), azimuth_deg)
    noise = from_all_around(np.random.default_rng(1).standard_normal(5 * RATE), len(ears))
    noise *= np.sqrt(np.square(ears).mean() / np.square(noise).mean()) * 10 ** (-snr_db / 20)
    return 0.1 * (ears + noise) / np.sqrt(np.square(ears).mean())


@pytest.mark.parametrize("gain_db", [-6, -2, 0, 3, 6])
@pytest.mark.parametrize("azimuth_deg", [-60, 0, 90])
def test_gains_are_told_beside_a_talker_anywhere(azimuth_deg, gain_db):
    imbalance = imbalance_of(talker_in_noise(azimuth_deg), gain_db)
    assert imbalance.level_db == pytest.approx(gain_db, abs=1.0)
    assert imbalance.uncertainty_db < 2


def test_a_talker_who_never_pauses_is_not_taken_for_the_microphones():
    imbalance = imbalance_of(talker_in_noise(60, snr_db=20, pauses=False), 3)
    assert imbalance is None or abs(imbalance.level_db - 3) < 2 * imbalance.uncertainty_db


def test_nothing_is_told_of_a_source_in_stillness():
    assert imbalance_of(0.1 * through_the_head(voice(6, pauses=False), 60)) is None


def test_silence_and_rounding_noise_tell_nothing():
    rounded = np.round(np.random.default_rng(0).normal(0, 0.3, (6 * RATE, 2))) / 32768
    assert imbalance_of(np.zeros((6 * RATE, 2))) is None
    assert imbalance_of(rounded * [1, 2]) is None


def test_noise_from_one_side_is_not_balanced_away():
    ears = through_the_head(np.random.default_rng(0).normal(0, 0.1, 6 * RATE), 70)
    assert imbalance_of(ears) is None


def test_a_short_recording_tells_nothing():
    assert imbalance_of(talker_in_noise(0)[:RATE]) is None


def test_what_is_uncertain_is_corrected_by_less():
    imbalance = imbalance_of(talker_in_noise(0), 6)
    assert 4.5 < np.median(imbalance.of_bins_db) < 6.2
    assert imbalance.of_bins_db.shape == (PARAMS.bins,)


def test_memory_does_not_grow():
    balance = Balance(PARAMS)
    balance._levels_db = [np.zeros(12)] * BLOCKS_KEPT
    balance._doubt_db = [np.ones(12)] * BLOCKS_KEPT
    balance._excess = [0.0] * BLOCKS_KEPT
    balance.add(talker_in_noise(0).astype(np.float32))
    assert len(balance._levels_db) <= BLOCKS_KEPT // 2 + 1
    assert len(balance._signal) < 5 * RATE


def test_live_sound_is_measured_once_as_it_comes(monkeypatch):
    """Asked after every block of 0.1 s, as a live input is, no stretch counts twice and few are measured in vain."""
    measured = []
    monkeypatch.setattr(Balance, "_measure", lambda self, signal, measure=Balance._measure:
                        (measured.append(len(signal)), measure(self, signal)))
    for ears, told in ((talker_in_noise(0, seconds=9), True), (through_the_head(voice(9), 0), False)):
        balance, measured[:] = Balance(PARAMS), []
        for at in range(0, len(ears), RATE // 10):
            balance.add(ears[at:at + RATE // 10].astype(np.float32))
            balance.estimate()
        assert len(measured) <= 5
        assert bool(balance._levels_db) == told
        if told:
            assert sum(measured) <= len(ears)
