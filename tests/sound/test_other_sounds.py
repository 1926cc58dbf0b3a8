"""Sounds that are not speech: of every kind, of the level stated, repeatable, and some of them narrow."""
import numpy as np
import pytest

from sound import other_sounds

RATE = 16_000


@pytest.mark.parametrize("seed", range(30))
def test_a_sound_has_its_length_and_level(seed):
    sound = other_sounds.draw(np.random.default_rng(seed), 20_011, RATE)
    assert sound.shape == (20_011,)
    assert sound.dtype == np.float32
    assert np.sqrt(np.mean(np.square(sound))) == pytest.approx(0.1, rel=1e-3)


def test_a_sound_repeats_with_its_seed_alone():
    one, again, other = (other_sounds.draw(np.random.default_rng(seed), 4000, RATE) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_some_sounds_are_narrow_and_some_broad():
    def occupied_share(seed):
        power = np.square(np.abs(np.fft.rfft(other_sounds.draw(np.random.default_rng(seed), 16_000, RATE))))
        power = np.sort(power.reshape(-1)[:8000].reshape(80, 100).sum(axis=1))[::-1].cumsum()  # bands of 100 Hz
        return np.mean(power < 0.95 * power[-1])

    shares = [occupied_share(seed) for seed in range(60)]
    assert min(shares) < 0.05
    assert max(shares) > 0.6


@pytest.mark.parametrize("seed", range(8))
def test_a_tone_stays_below_half_the_rate(seed):
    tone = other_sounds._tone(np.random.default_rng(seed), 16_000, RATE)
    assert np.isfinite(tone).all()
    assert np.any(tone)
