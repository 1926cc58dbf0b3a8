"""A sound card as it comes: any rate, its channels, what it loses, an unplugged cable, and refusals in one sentence."""
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import soxr
from helpers import one_sentence

from benchmarks.fake_sounddevice import Card, FakeSounddevice
from console import BadInput
from params import Params
from shards import microphone
from shards.devices import choose, devices, table_of_devices
from shards.microphone import Microphone

PARAMS = Params()
RATE = PARAMS.sample_rate_hz


def noise(seconds=1.0, rate=RATE, channels=2):
    return np.random.default_rng(0).normal(0, 0.1, (round(seconds * rate), channels)).astype(np.float32)


class Gate:
    """Lets a card play as far as it is told, whatever the time."""

    def __init__(self, until_s=0.0):
        self.until_s = until_s

    def __call__(self, played_s):
        """Tell whether it may go on."""
        return played_s < self.until_s


@pytest.fixture
def plug_in(monkeypatch):
    """Function: make these cards those of the computer."""
    def plug(*cards):
        fake = FakeSounddevice(list(cards))
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        return fake
    return plug


def fast(card, seconds=1e9):
    """Let a card play without waiting, up to so many seconds."""
    card.may_play = Gate(seconds)
    return card


def heard(listening, seconds):
    """Read so many seconds: the blocks."""
    blocks = []
    for block in listening.blocks():
        blocks.append(block)
        if sum(len(each.as_it_came) for each in blocks) >= seconds * listening.sample_rate_hz:
            return blocks
    return None


def joined(blocks, name="as_it_came"):
    return np.concatenate([getattr(block, name) for block in blocks])


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 192_000])
def test_blocks_of_any_rate_are_resampled_as_the_whole_would_be(plug_in, rate):
    card = fast(Card("card", noise(1.5, rate), rate), 1.5)
    plug_in(card)
    with Microphone(PARAMS) as listening:
        blocks = heard(listening, 1.4)
        assert listening.sample_rate_hz == rate
    came, ears = joined(blocks), joined(blocks, "ears")
    np.testing.assert_array_equal(came, card.signal[:len(came)])
    whole = soxr.resample(card.signal, rate, RATE) if rate != RATE else card.signal
    assert len(ears) > 1.2 * RATE
    np.testing.assert_allclose(ears, whole[:len(ears)], atol=1e-6)


@pytest.mark.parametrize("needs_all", [False, True])
def test_two_channels_of_several_are_the_ears(plug_in, needs_all):
    card = fast(Card("card", noise(channels=8), RATE), 0.5)
    card.needs_all_channels = needs_all
    plug_in(card)
    with Microphone(replace(PARAMS, channels=(4, 2))) as listening:
        came = joined(heard(listening, 0.4))
    np.testing.assert_array_equal(came, card.signal[:len(came), [3, 1]])
    assert card.opened_with["channels"] == (8 if needs_all else 4)


@pytest.mark.parametrize("knows_time", [True, False])
def test_what_an_overrun_loses_is_silence_and_counted(plug_in, capsys, knows_time):
    card = Card("card", noise(2.0), RATE)
    card.overruns, card.knows_time = {5: 800, 10: 1600}, knows_time
    plug_in(card)
    with Microphone(PARAMS) as listening:
        blocks = heard(listening, 0.6)
        overruns, lost_s = listening.overruns, listening.lost_s
    came = joined(blocks)
    assert overruns == 2
    assert capsys.readouterr().err.count("had an overrun") == 1
    assert (blocks[0].overruns, blocks[-1].overruns) == (0, 2)
    if knows_time:
        assert lost_s == pytest.approx(0.15)
        expected = card.signal[:len(came)].copy()
        expected[5 * 320:5 * 320 + 800] = 0
        expected[10 * 320 + 800:10 * 320 + 2400] = 0
        np.testing.assert_array_equal(came, expected)
    else:                                     # told from when blocks come, which jitters
        assert 0.05 < lost_s < 0.4


def test_a_card_that_begins_with_an_overrun_lost_nothing_that_counts(plug_in):
    card = Card("card", noise(1.0), RATE)
    card.overruns = {0: 800}
    plug_in(card)
    with Microphone(PARAMS) as listening:
        heard(listening, 0.1)
        assert listening.overruns == 0


def test_what_a_slow_reader_misses_is_silence_and_counted(plug_in, monkeypatch, capsys):
    monkeypatch.setattr(microphone, "QUEUE_S", 0.2)
    card = fast(Card("card", noise(2.0), RATE), 1.0)
    plug_in(card)
    with Microphone(PARAMS) as listening:
        while card.played < RATE:
            time.sleep(0.001)                 # it reads nothing meanwhile
        first = heard(listening, 0.2)
        card.may_play.until_s = 1.5
        rest = heard(listening, 1.0)
        assert listening.overruns == 1
        assert listening.lost_s == pytest.approx(0.8, abs=0.021)
    came = joined(first + rest)
    np.testing.assert_array_equal(came[:3200], card.signal[:3200])
    assert not came[3200:3200 + round(0.8 * RATE) - 320].any()
    after = np.flatnonzero(came[3200:].any(axis=1))[0] + 3200
    np.testing.assert_array_equal(came[after:], card.signal[after:len(came)])
    assert "an overrun" in capsys.readouterr().err


def test_a_reader_who_is_behind_gets_what_waits_at_once(plug_in):
    card = fast(Card("card", noise(2.0), RATE), 1.5)
    plug_in(card)
    with Microphone(PARAMS) as listening:
        while card.played < 1.5 * RATE:
            time.sleep(0.001)
        blocks = heard(listening, 1.5)
        assert len(blocks) == 2
        assert listening.overruns == 0
    np.testing.assert_array_equal(joined(blocks), card.signal[:round(1.5 * RATE)])


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e30])
def test_what_is_no_sound_is_silence_and_told_once(plug_in, capsys, broken):
    card = fast(Card("card", noise(1.0), RATE), 0.5)
    card.signal[10, 0] = card.signal[1000, 1] = broken
    plug_in(card)
    with Microphone(PARAMS) as listening:
        came = joined(heard(listening, 0.4))
    expected = card.signal[:len(came)].copy()
    expected[:320], expected[960:1280] = 0, 0                         # the blocks that hold it
    np.testing.assert_array_equal(came, expected)
    assert capsys.readouterr().err.count("card, ALSA delivers NaN, infinite or enormous samples") == 1


@pytest.mark.parametrize("gain", [1, 30])
def test_clipping_is_told_once(plug_in, capsys, monkeypatch, gain):
    monkeypatch.setattr(microphone, "CLIPPED_IN_S", 0.5)
    card = fast(Card("card", np.clip(gain * noise(2.0), -1, 1), RATE), 2.0)
    plug_in(card)
    with Microphone(PARAMS) as listening:
        heard(listening, 1.9)
    assert capsys.readouterr().err.count("card, ALSA is clipped") == (gain > 1)


def test_an_unplugged_card_is_waited_for_in_silence_and_time_goes_on(plug_in, monkeypatch, capsys):
    for name in ("GONE_S", "LOOK_AGAIN_S", "WAIT_S"):
        monkeypatch.setattr(microphone, name, 0.05)
    card, other = Card("card (hw:1,0)", noise(), RATE), Card("other", noise(), RATE, may_play=Gate())
    fake = plug_in(card)
    with Microphone(PARAMS) as listening:
        begun_s, blocks = time.monotonic(), []
        for block in listening.blocks():
            blocks.append(block)
            heard_s = sum(len(each.as_it_came) for each in blocks) / RATE
            if card.is_plugged and 0.2 < heard_s < 0.3:
                card.is_plugged = False
            if not card.is_plugged and heard_s > 0.8:
                fake.cards.insert(0, other)                           # it comes back under another number and name
                card.name, card.is_plugged = "card (hw:2,0)", True
            if heard_s > 1.5:
                break
        elapsed_s = time.monotonic() - begun_s
        assert listening.unplugged == 1
    assert heard_s == pytest.approx(elapsed_s, abs=0.2)
    is_silent = ~joined(blocks).any(axis=1)
    assert not is_silent[:round(0.2 * RATE)].any()
    assert not is_silent[-round(0.1 * RATE):].any()
    assert 0.4 < is_silent.mean() * heard_s < 1.3
    assert capsys.readouterr().err.splitlines() == [
        "card (hw:1,0), ALSA is gone; waiting for it.", "card (hw:1,0), ALSA is back after 1 s."]


def test_a_card_that_sends_nothing_counts_as_gone(plug_in, monkeypatch, capsys):
    monkeypatch.setattr(microphone, "GONE_S", 0.1)
    card = fast(Card("card", noise(), RATE), 0.1)
    plug_in(card)
    with Microphone(PARAMS) as listening:
        assert joined(heard(listening, 0.1)).any()
        assert not joined(heard(listening, 0.5)).any()                # it can be opened again and again meanwhile
        assert listening.unplugged == 1
    assert capsys.readouterr().err == "card, ALSA is gone; waiting for it.\n"


# ------------------------------------------------------------------------------------------------------------ refusals

def refusal_of(device=None, params=PARAMS):
    with pytest.raises(BadInput) as refused:
        Microphone(params, device)
    assert one_sentence(str(refused.value))
    return str(refused.value)


def test_no_package_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "requirements-live.txt" in refusal_of()


def test_no_portaudio_is_refused_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "apt install libportaudio2" in refusal_of()


def test_no_input_is_refused(plug_in):
    plug_in()
    assert "finds no input" in refusal_of()
    with pytest.raises(BadInput, match="finds no input"):
        table_of_devices()


def test_inputs_that_do_not_fit_are_refused(plug_in):
    plug_in(Card("mono", noise(channels=1), RATE), Card("USB one", noise(), RATE), Card("USB two", noise(), RATE))
    assert "mono, ALSA has 1 input channel(s)" in refusal_of()
    assert "1 and 3" in refusal_of("USB one", replace(PARAMS, channels=(1, 3)))
    assert "--device 7 is no input" in refusal_of("7")
    assert "--list-devices" in refusal_of("Zoom")
    several = refusal_of("usb")
    assert "1: USB one, ALSA; 2: USB two, ALSA" in several
    assert "by its number" in several


def test_a_card_that_another_program_holds_is_refused(plug_in):
    card = Card("card", noise(), RATE)
    plug_in(card)
    card.is_plugged = False
    assert "cannot be opened" in refusal_of()


def test_a_device_is_chosen_by_number_name_or_the_usual_driver_system(plug_in):
    silent = np.zeros((9, 0))
    fake = plug_in(Card("speakers", silent, RATE), Card("inner", noise(), RATE), Card("USB", noise(), RATE),
                   Card("USB", noise(), RATE, host=1), Card("USB 2", noise(), RATE, host=1))
    inputs = devices(fake)
    assert [each.number for each in inputs] == [1, 2, 3, 4]
    assert [each.is_default for each in inputs] == [True, False, False, False]
    for named, number in ((None, 1), ("3", 3), ("usb", 2), ("usb, jack", 3), ("inner", 1), ("usb 2", 4)):
        assert choose(inputs, named).number == number


def test_the_table_lists_every_input_and_marks_the_systems_own(plug_in):
    plug_in(Card("inner", noise(), 44_100), Card("Big", noise(channels=18), 48_000, host=1))
    lines = table_of_devices().splitlines()
    assert lines[0].split() == ["number", "channels", "rate", "(Hz)", "name"]
    assert lines[1].split() == ["*", "0", "2", "44100", "inner,", "ALSA"]
    assert lines[2].split() == ["1", "18", "48000", "Big,", "JACK"]
