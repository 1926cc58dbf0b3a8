"""Answers as they come: a bar, a line of JSON each, OSC messages over UDP."""
import io
import json
import socket
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import one_sentence
from pythonosc.osc_message import OscMessage

from console import BadInput
from scores.live import Answered, Bar, JsonLines, Latencies, Osc, bar_of, messages_of, row_of


def answered(azimuth_deg=-31.26, half_width_deg=2.04, heard=None):
    values = (0.15, azimuth_deg, half_width_deg, -20.06, False)
    return Answered(tuple(np.array([value]) for value in values), heard, 0.0412, 2)


def source(number, azimuth_deg):
    return SimpleNamespace(number=number, azimuth_deg=azimuth_deg, confidence=0.876, half_width_deg=3.33)


NOBODY = answered(np.nan, np.nan)
TWO = answered(heard=[source(1, -30.04), source(12, 45.0)])


def test_a_line_of_json_holds_the_keys_of_files_and_null_for_no_source():
    text = io.StringIO()
    for each in (answered(), NOBODY, TWO):
        JsonLines(text).show(each)
    one, nobody, two = map(json.loads, text.getvalue().splitlines())
    assert one == {"time_s": 0.15, "azimuth_deg": -31.3, "spread_deg": 2.0, "level_db": -20.1, "carried": 0,
                   "latency_s": 0.041, "overruns": 2}
    assert nobody == one | {"azimuth_deg": None, "spread_deg": None}
    assert two == one | {"sources": [
        {"source": 1, "azimuth_deg": -30.0, "spread_deg": 3.3, "confidence": 0.88},
        {"source": 12, "azimuth_deg": 45.0, "spread_deg": 3.3, "confidence": 0.88}]}


def test_every_line_is_flushed(tmp_path):
    with open(tmp_path / "lines", "w") as file:
        JsonLines(file).show(NOBODY)
        assert json.loads((tmp_path / "lines").read_text()) == row_of(NOBODY)


def test_the_bar_marks_left_and_right():
    assert bar_of(-90).index("#") == bar_of(np.nan).index(".")
    assert bar_of(90)[::-1].index("#") == bar_of(np.nan)[::-1].index(".")
    assert "#" not in bar_of(np.nan)


def test_the_bar_draws_over_the_line_before():
    screen = io.StringIO()
    bar = Bar(screen)
    for each in (answered(), NOBODY):
        bar.show(each)
    bar.close()
    first, second = screen.getvalue().rstrip("\n").split("\r")[1:]
    assert len(first) == len(second)
    assert first.index("#") < first.index("|")
    assert "31 degrees left ± 2" in first
    assert "-20 dB" in first
    assert "no source" in second


def test_the_bar_marks_each_source_by_its_number():
    screen = io.StringIO()
    for each in (answered(heard=[]), TWO):
        Bar(screen, most_sources=2).show(each)
    first, second = screen.getvalue().split("\r")[1:]
    assert "no source" in first
    bar, _, told = second.partition("] right")
    assert bar.index("1") < bar.index("|") < bar.index("2")
    assert "1: 30 degrees left, 12: 45 degrees right" in told
    assert len(first) == len(second)


# ----------------------------------------------------------------------------------------------------------------- OSC

def sent(answers, **of_address):
    """What a program at a UDP port receives: a list of (address, values) for each answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        osc, received = Osc(f"localhost:{receiver.getsockname()[1]}"), []
        for each in answers:
            osc.show(each)
            received.append([])
            while not received[-1] or received[-1][-1][0] != "/binsl/sources":     # the last one of an answer
                message = OscMessage(receiver.recv(4096))
                received[-1].append((message.address, [round(value, 3) for value in message.params]))
        osc.close()
    return received


def test_osc_messages_arrive_as_documented():
    one, nobody, two = sent([answered(), NOBODY, TWO])
    assert one == [("/binsl/level", [-20.1]), ("/binsl/azimuth", [-31.3]), ("/binsl/spread", [2.0]),
                   ("/binsl/sources", [1])]
    assert nobody == [("/binsl/level", [-20.1]), ("/binsl/sources", [0])]
    assert two == [("/binsl/level", [-20.1]), ("/binsl/source", [1, -30.0, 3.3]), ("/binsl/source", [12, 45.0, 3.3]),
                   ("/binsl/azimuth", [-31.3]), ("/binsl/spread", [2.0]), ("/binsl/sources", [2])]
    assert all(type(value) is int for address, values in two for value in values if address == "/binsl/sources")


def test_an_answer_without_a_half_width_sends_none():
    assert [address for address, _ in messages_of(answered(half_width_deg=np.nan))] == [
        "/binsl/level", "/binsl/azimuth", "/binsl/sources"]


def test_what_cannot_be_sent_is_told_once(capsys, monkeypatch):
    osc = Osc("localhost:9000")
    monkeypatch.setattr(osc._client, "send_message", lambda *_: (_ for _ in ()).throw(OSError("unreachable")))
    for _ in range(3):
        osc.show(answered())
    osc.close()
    assert capsys.readouterr().err.count("unreachable") == 1


@pytest.mark.parametrize("where", ["localhost", "9000", ":9000", "localhost:", "localhost:0", "localhost:65536",
                                   "localhost:-1", "localhost:x"])
def test_what_is_no_address_is_refused(where):
    with pytest.raises(BadInput, match="localhost:9000") as refused:
        Osc(where)
    assert one_sentence(str(refused.value))


def test_an_unknown_host_and_a_missing_package_are_refused(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(BadInput, match="the host is not known"):
        Osc("nowhere:9000")
    monkeypatch.setitem(sys.modules, "pythonosc.udp_client", None)
    with pytest.raises(BadInput, match=r"requirements-live\.txt"):
        Osc("localhost:9000")


def test_latencies_count_in_bounded_memory():
    latencies = Latencies()
    assert (latencies.count, latencies.quantile(0.5)) == (0, 0.0)
    for latency_ms in range(1, 101):
        latencies.add(latency_ms / 1000)
    assert (latencies.quantile(0.5), latencies.quantile(0.95)) == (0.05, 0.095)
    size = latencies._counts.nbytes
    latencies.add(-0.1)
    latencies.add(1e6)
    assert latencies.count == 102
    assert latencies.quantile(1.0) == 5.0
    assert latencies._counts.nbytes == size
