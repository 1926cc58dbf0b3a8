"""Excerpts: where they may begin, what they hold at the ends of a file, how they are played faster."""
import numpy as np
import pytest

from params import Params
from sound import excerpts

PARAMS = Params()


def noise(seed, count):
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def test_outside_a_signal_is_silence():
    signal = np.arange(1, 11)
    assert excerpts.cut(signal, 4, 2, 3).tolist() == [3, 4, 5, 6, 7]
    assert excerpts.cut(signal, 1, 3, 2).tolist() == [0, 0, 1, 2, 3]
    assert excerpts.cut(signal, 8, 1, 4).tolist() == [8, 9, 10, 0, 0]


def test_around_a_signal_goes_round():
    signal = np.arange(1, 11)
    assert excerpts.cut(signal, 8, 1, 4, around=True).tolist() == [8, 9, 10, 1, 2]
    assert excerpts.cut(signal, 0, 3, 12, around=True).tolist() == [8, 9, 10, *range(1, 11), 1, 2]


@pytest.mark.parametrize("count", [1, 7, 100, 1_000])
def test_the_power_of_noise_goes_round_as_cut_does(count):
    noise_file = noise(3, count)
    power = excerpts.running_power(noise_file, 240, around=True)
    cut = [np.mean(excerpts.cut(noise_file, start, 0, 240, around=True) ** 2) for start in range(0, count, 80)]
    np.testing.assert_allclose(power, cut, rtol=1e-5)


SPEECH = np.concatenate((np.zeros(5_000), noise(7, 3_000), np.zeros(5_000)))
POWER = np.array([np.mean(SPEECH[at:at + 1_600] ** 2) for at in range(0, len(SPEECH) - 1_600 + 1, 80)])


def test_the_running_power_is_the_mean_square():
    np.testing.assert_allclose(excerpts.running_power(SPEECH, 1_600), POWER, atol=1e-6)


def test_the_running_power_of_less_than_a_grid_step_is_that_of_the_signal():
    np.testing.assert_allclose(excerpts.running_power(np.full(70, 2.0), 70), [4.0])


def test_excerpts_more_than_20_db_below_the_loudest_are_silence():
    starts = excerpts.eligible_starts(SPEECH, 1_600, range_db=20)
    assert starts.tolist() == (80 * np.flatnonzero(POWER / POWER.max() >= 0.01)).tolist()
    assert 5_000 - 1_600 < starts.min() < starts.max() < 8_000


@pytest.mark.parametrize("count", [16_720, 16_721, 16_799, 16_800])
@pytest.mark.parametrize("length", [16_640, 16_690, 16_720])
def test_the_last_excerpt_ends_within_the_file(count, length):
    starts = excerpts.eligible_starts(noise(8, count), length, 20)
    assert starts[0] == 0
    assert count - 80 < starts[-1] + length <= count


def test_speech_ends_within_its_file_and_noise_goes_round():
    signal = noise(9, PARAMS.excerpt_length + 800)
    assert excerpts.speech_clip(signal, PARAMS).starts.tolist() == list(range(0, 801, 80))
    assert excerpts.noise_clip(signal, PARAMS).starts[-1] == (len(signal) - 1) // 80 * 80


def test_noise_may_be_shorter_than_a_sample():
    assert excerpts.noise_clip(noise(9, 500), PARAMS).starts.tolist() == list(range(0, 500, 80))


def test_quiet_noise_is_drawn_where_quiet_speech_is_not():
    signal = np.concatenate((noise(1, 20_000), 0.01 * noise(2, 40_000)))  # the second part 40 dB below
    assert excerpts.speech_clip(signal, PARAMS).starts.max() < 20_000
    assert excerpts.noise_clip(signal, PARAMS).starts.max() > 50_000


def test_the_parts_of_a_file_are_drawn_from_in_order():
    rng, starts = np.random.default_rng(0), np.arange(1000)
    assert [excerpts.draw_start(rng, starts, part, 4) // 250 for part in range(4)] == [0, 1, 2, 3]


def test_every_start_is_drawn():
    rng = np.random.default_rng(0)
    assert {excerpts.draw_start(rng, np.arange(3)) for _ in range(100)} == {0, 1, 2}


SECONDS = np.arange(3 * 16_000) / 16_000
TONE = (np.sin(2 * np.pi * 1000 * SECONDS) * (1 + (SECONDS > 2.0))).astype(np.float32)  # louder after 2 s


@pytest.mark.parametrize("speed", [0.85, 1.25])
def test_a_faster_source_is_higher(speed):
    signal, _ = excerpts.at_speed(TONE, 16_000, speed, 2_000, 8_000)
    assert len(signal) >= 10_000
    spectrum = np.abs(np.fft.rfft(signal[-8_000:] * np.hanning(8_000)))
    assert 2 * spectrum.argmax() == pytest.approx(1000 * speed, abs=2)


@pytest.mark.parametrize("speed", [0.85, 1.25])
def test_a_faster_source_keeps_its_beginning(speed):
    """What sounds 2,000 samples after the start of the excerpt sounds 2,000 / speed after it."""
    signal, begins = excerpts.at_speed(TONE, 30_000, speed, 2_000, 8_000)
    louder = np.flatnonzero(np.abs(signal) > 1.3)[0]
    assert louder == pytest.approx(begins + 2_000 / speed, abs=20)
