"""Localise.py --serve, whole: the page that --html writes, the sentences of Localise.py, and nothing left behind."""
import http.client
import json
import os
import re
import signal
import socket
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile as sf
from browser import Browser, needs_chromium
from helpers import FakeHearing, one_sentence, run_script, start_process, through_the_head

import Localise
from params import Params
from shards.audio import read_mono

RATE = Params().sample_rate_hz
SIGNAL = np.random.default_rng(0).normal(0, 0.1, (6 * RATE, 2))
ADDRESS = re.compile(r"Open (http://127\.0\.0\.1:\d+/\S+/) in a browser on this computer\. Ctrl-C ends it\.\n")


@pytest.fixture
def kept(tmp_path):
    """The folder of temporary files of a started server."""
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.fixture
def served(kept):
    """Function: a process of Localise.py --serve and its address."""
    processes = []

    def start(*flags):
        processes.append(start_process("Localise.py", "--serve", *flags, env=os.environ | {"TMPDIR": str(kept)}))
        line = processes[-1].stdout.readline()
        assert ADDRESS.fullmatch(line), line + processes[-1].stderr.read()
        return processes[-1], ADDRESS.fullmatch(line)[1]
    yield start
    for process in processes:
        process.kill()
        process.communicate()


def ask(address, after="", body=None, name=""):
    """Send a request to a server's address and return the text of the answer."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    if body is None:
        connection.request("GET", parts.path + after)
    else:
        connection.request("POST", f"{parts.path}localise?name={name}", body, {"Origin": f"http://{parts.netloc}"})
    return connection.getresponse().read().decode()


def send(address, path):
    """Send a recording and return the last line of the answer."""
    return json.loads(ask(address, body=path.read_bytes(), name=path.name).splitlines()[-1])


@pytest.fixture(scope="module")
def talk(demo, tmp_path_factory):
    """3 s of a talker at -45 degrees: a file."""
    voice = read_mono(sorted((demo / "SpeechTEST").glob("*.wav"))[0], Params())[:3 * RATE]
    ears = through_the_head(voice, -45)
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    sf.write(path, 0.5 * ears / np.abs(ears).max(), RATE, subtype="PCM_16")
    return path


@pytest.mark.slow
def test_the_page_is_that_of_html_and_refusals_are_those_of_localise(served, talk, kept, tmp_path):
    process, address = served("--hop-s", "0.2")
    run_script("Localise.py", talk, "--hop-s", "0.2", "--html", "--out", tmp_path / "out")
    page = send(address, talk)["page"]
    written = (tmp_path / "out" / "talk.html").read_text(encoding="utf-8")
    assert ask(address, f"{page}save") == written
    assert "degrees left" in written
    assert ask(address, page).replace('<a class="back" href="../">← Another recording</a>', "").replace(
        '<a class="back" href="save">Save this page</a>', "") == written
    for name, bad in (("mono.wav", SIGNAL[:, 0]), ("short.wav", SIGNAL[:RATE]), ("same.wav", SIGNAL[:, [0, 0]]),
                      ("dead.wav", SIGNAL * [1, 0])):
        sf.write(tmp_path / name, bad, RATE)
        refused = run_script("Localise.py", name, "--out", "out", status=2, cwd=tmp_path).stderr
        assert send(address, tmp_path / name) == {"problem": refused.removeprefix("Localise.py: ").strip()}
    (tmp_path / "text.wav").write_text("no audio")
    assert "text.wav cannot be read as audio" in send(address, tmp_path / "text.wav")["problem"]
    assert len(list(kept.rglob("*"))) == 1                            # the folder itself, and nothing of ONNX Runtime
    process.send_signal(signal.SIGINT)
    printed, complaints = process.communicate(timeout=60)
    assert (process.returncode, printed) == (0, "Ended; nothing is kept.\n")
    assert "Traceback" not in complaints
    assert list(kept.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 0), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_ended_at_work_it_leaves_nothing(served, kept, tmp_path, name, status):
    process, address = served()
    sf.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, (500 * RATE, 2)), RATE, subtype="PCM_16")
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    connection.request("POST", f"{parts.path}localise?name=long.wav", (tmp_path / "long.wav").read_bytes(),
                       {"Origin": f"http://{parts.netloc}"})
    answer = connection.getresponse()
    assert "doing" in json.loads(answer.readline())                   # it is at work
    assert [path.name for path in kept.rglob("*.wav")] == ["long.wav"]
    process.send_signal(getattr(signal, name))
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in complaints
    assert list(kept.iterdir()) == []
    assert b"page" not in answer.read()


@pytest.mark.slow
@needs_chromium
def test_in_a_browser_a_file_becomes_its_page_which_plays_and_leads_back(served, talk, tmp_path):
    _, address = served()
    with Browser(tmp_path / "profile") as browser:
        browser.open(address)
        browser.choose("#file", talk)
        browser.wait_for("document.getElementById('audio')?.readyState >= 1")
        assert "degrees left" in browser.eval("document.querySelector('header p').textContent")
        browser.press(" ")
        browser.wait_for("document.getElementById('audio').currentTime > 0.1")
        browser.click(".back")
        browser.wait_for("document.getElementById('file') !== null")
        assert browser.faults == []


@pytest.mark.slow
@needs_chromium
def test_what_two_microphones_of_the_browser_hear_is_localised(served, talk, tmp_path):
    _, address = served()
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
             f"--use-file-for-fake-audio-capture={talk}")
    with Browser(tmp_path / "profile", flags=flags) as browser:
        browser.open(address)
        browser.click("#open")
        browser.wait_for("!document.getElementById('record').disabled")
        browser.click("#record")
        browser.wait_for("document.getElementById('clock').textContent.startsWith('0:04')")  # once around, and more
        browser.click("#record")
        browser.wait_for("document.getElementById('audio')?.readyState >= 1")
        said = browser.eval("document.querySelector('header p').textContent")
        assert abs(int(re.search(r"(\d+) degrees left", said)[1]) - 45) <= 3
        assert browser.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--swap-ears"], ["--sources", "2"], ["--channels", "2", "1"],
                                   ["--balance", "off"], ["--no-smoothing"]])
def test_it_answers_with_the_other_flags(tmp_path, monkeypatch, flags):
    def hearing(*_):
        return SimpleNamespace(hear_rows=FakeHearing(talkers_deg=np.tile([-40.0, 25.0], (50, 1))))
    pages = []

    def serve(answer, port):
        pages.append(answer(tmp_path / "talk.wav", lambda blocks, doing, sample_rate_hz: blocks)())
    monkeypatch.setattr(Localise, "open_network", hearing)
    monkeypatch.setattr(Localise, "serve", serve)
    sf.write(tmp_path / "talk.wav", SIGNAL, RATE, subtype="PCM_16")
    run_script("Localise.py", "--serve", *flags)
    run_script("Localise.py", tmp_path / "talk.wav", "--html", "--out", tmp_path, *flags)
    assert pages == [(tmp_path / "talk.html").read_text(encoding="utf-8")]


def test_a_bad_model_is_refused_before_it_serves(tmp_path):
    refused = run_script("Localise.py", "--serve", "--model", tmp_path / "no.onnx", status=2)
    assert one_sentence(refused.stderr)
    assert refused.stdout == ""


def test_another_run_may_not_take_its_port(monkeypatch):
    monkeypatch.setattr(Localise, "open_network", lambda *_: SimpleNamespace(hear_rows=FakeHearing()))
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = run_script("Localise.py", "--serve", other.getsockname()[1], status=2).stderr
    assert "--serve cannot use port" in refused
    assert one_sentence(refused)
