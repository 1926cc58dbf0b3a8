"""Localise.py --live, whole, with a sound card that plays an array: bar, JSON, OSC, record, Ctrl-C and refusals."""
import json
import os
import signal
import socket
import sys

import numpy as np
import pytest
import soundfile as sf
import soxr
from helpers import ROOT, FakeHearing, one_sentence, run_script, start_process, through_the_head
from pythonosc.osc_message import OscMessage

import Localise
from benchmarks.fake_sounddevice import Card, FakeSounddevice
from params import Params
from shards.audio import ear_blocks
from shards.microphone import Microphone

RATE, CARD_RATE = Params().sample_rate_hz, 48_000
AZIMUTH_DEG = 40
HEARD_S = 2.0
MODULE = """
import sys
import numpy as np
from benchmarks.fake_sounddevice import Card, FakeSounddevice
ears = np.random.default_rng(0).uniform(-1, 1, (16_000, 2))
sys.modules[__name__] = FakeSounddevice([Card("Card", ears, 16_000)])
"""
EARS = np.random.default_rng(0).uniform(-1, 1, (16_000, 2))     # what that plays


@pytest.fixture
def card(monkeypatch):
    """A sound card of four channels whose last two hear noise from the right; Ctrl-C is pressed when all was read."""
    noise = np.random.default_rng(0).normal(0, 0.05, 2 * RATE)
    ears = through_the_head(noise, AZIMUTH_DEG) + np.random.default_rng(1).normal(0, 1e-3, (2 * RATE, 2))
    playing = Card("Four", np.zeros((2 * CARD_RATE, 4), np.float32), CARD_RATE, may_play=lambda s: s < HEARD_S)
    playing.signal[:, 2:] = soxr.resample(ears, RATE, CARD_RATE)
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSounddevice([playing]))

    def until_ctrl_c(self, blocks=Microphone.blocks):
        heard = 0
        for block in blocks(self):
            yield block
            heard += len(block.as_it_came)
            if heard >= HEARD_S * CARD_RATE:
                raise KeyboardInterrupt

    monkeypatch.setattr(Microphone, "blocks", until_ctrl_c)
    return playing


def live(*flags, status=0):
    return run_script("Localise.py", "--live", "--channels", 3, 4, *flags, status=status)


def rows_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_json_is_a_line_for_each_answer_and_nothing_else(card):
    done = live("--json")
    rows = rows_of(done)
    assert 42 <= len(rows) <= 43                                  # of the last 0.04 s the resampler may keep some
    np.testing.assert_allclose([row["time_s"] for row in rows], 0.15 + 0.04 * np.arange(len(rows)), atol=1e-6)
    assert all(abs(row["azimuth_deg"] - AZIMUTH_DEG) < 5 for row in rows)
    assert all(row["spread_deg"] < 10 and row["overruns"] == 0 for row in rows)
    first, last = done.stderr.splitlines()
    assert first.startswith("Four, ALSA, channels 3 and 4 of 4 (--channels takes others): 48000 Hz, ")
    assert "one answer every 0.04 s, each from 0.3 s of sound" in first
    assert last.startswith(("Heard 2.0 s: ", "Heard 1.9 s: ", "Heard 1.99 s: "))
    assert f"{len(rows)} answers" in last
    assert "median; 95 %" in last
    assert "0 overrun(s), 0.00 s lost; unplugged 0 time(s)." in last


def test_the_bar_moves_where_there_is_no_json(card):
    frames = live("--window-s", 1.02, "--hop-s", 0.1).stdout.rstrip("\n").split("\r")[1:]
    assert len(frames) == 10
    assert all("degrees right ±" in frame for frame in frames)
    assert frames[-1].index("#") > frames[-1].index("|")


@pytest.mark.parametrize("swaps", [False, True])
def test_what_was_recorded_gives_the_same_answers_again(card, tmp_path, swaps):
    path = tmp_path / "kept.flac"
    done = live("--json", "--record", path, "--balance", "off", *(["--swap-ears"] if swaps else []))
    assert f"{path}: 2.0 s." in done.stderr
    assert all(abs(row["azimuth_deg"] - AZIMUTH_DEG * (-1 if swaps else 1)) < 5 for row in rows_of(done))
    run_script("Localise.py", path, "--format", "json", "--out", tmp_path)
    again = json.loads((tmp_path / "kept.json").read_text())
    assert again["seconds"] == pytest.approx(2.0, abs=1e-3)
    assert again["azimuth_deg"] == pytest.approx(AZIMUTH_DEG * (-1 if swaps else 1), abs=3)
    refused = live("--record", path, status=2)
    assert "exists already" in refused.stderr
    assert one_sentence(refused.stderr)


def test_osc_goes_beside_the_bar(card):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        done = live("--osc", f"127.0.0.1:{receiver.getsockname()[1]}")
        messages = [OscMessage(receiver.recv(4096)) for _ in range(4)]
    assert [each.address for each in messages] == ["/binsl/level", "/binsl/azimuth", "/binsl/spread", "/binsl/sources"]
    assert abs(messages[1].params[0] - AZIMUTH_DEG) < 5
    assert "left [" in done.stdout


def test_several_sources_have_numbers(card, monkeypatch):
    talkers_deg = np.full((43, 2), [-40, 20])
    network = type("Network", (), {"hear_rows": FakeHearing(talkers_deg=talkers_deg)})
    monkeypatch.setattr(Localise, "open_network", lambda *_: network)
    last = rows_of(live("--json", "--sources", 2))[-1]
    assert [(each["source"], round(each["azimuth_deg"])) for each in last["sources"]] == [(1, -40), (2, 20)]
    assert set(last["sources"][0]) == {"source", "azimuth_deg", "spread_deg", "confidence"}


def test_devices_are_listed(card):
    assert "Four, ALSA" in run_script("Localise.py", "--list-devices").stdout


@pytest.mark.parametrize(("flags", "message"), [
    (["--device", "nothing"], "--device nothing is no input"),
    (["--channels", 4, 5], "are not enough for the channels 4 and 5"),
    (["--osc", "9000"], "--osc 9000 is no address"),
    (["--record", "a.mp3"], "--record a.mp3"),
])
def test_what_cannot_be_is_refused_in_one_sentence(card, flags, message):
    refused = live(*flags, status=2).stderr
    assert message in refused
    assert one_sentence(refused)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status", "ending"), [
    ("SIGINT", 0, "wav"), ("SIGKILL", -9, "wav"), ("SIGTERM", 143, "flac"), ("SIGHUP", 129, "flac")])
def test_an_end_from_outside_is_told_and_even_kill_leaves_the_recording(tmp_path, name, status, ending):
    (tmp_path / "sounddevice.py").write_text(MODULE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    path = tmp_path / f"kept.{ending}"
    process = start_process("Localise.py", "--live", "--json", "--record", path, env=environment)
    for _ in range(10):
        row = json.loads(process.stdout.readline())
    process.send_signal(getattr(signal, name))
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    assert (f" time(s). {path}: " in errors.splitlines()[-1]) == (name != "SIGKILL")
    assert all(json.loads(line) for line in rest.splitlines()[:-1])
    recorded = np.concatenate(list(ear_blocks(path, Params())))
    assert sf.info(path).frames == len(recorded) >= (row["time_s"] + 0.15) * RATE
    np.testing.assert_allclose(recorded, EARS[np.arange(len(recorded)) % len(EARS)], atol=2 ** -23)
