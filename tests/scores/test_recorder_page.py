"""The page of --serve in a headless Chromium: two channels arrive as they are; one channel and refusals are told."""
import json
import re
import threading

import numpy as np
import pytest
import soundfile as sf
from browser import Browser, needs_chromium

from console import BadInput
from scores import recorder, server
from scores.server import Server

pytestmark = [pytest.mark.slow, needs_chromium]
RATE = 44_100                                                        # of Chromium's fake input: nothing is resampled
TWO = 0.1 * np.random.default_rng(0).standard_normal((2 * RATE, 2)) * [1, 0.5]
DONE = "document.getElementById('page-of-recording') !== null"


class Answer:
    """Keep what arrives, and give a page; `problem` is what it says instead, `go` what it waits for."""

    def __init__(self):
        self.got, self.problem, self.go = [], None, threading.Event()
        self.go.set()

    def __call__(self, path, watch):
        """Answer as the server asks."""
        for _ in watch(iter([np.zeros((8_000, 2))]), f"localising {path.name}", 16_000):
            self.go.wait(60)
        if self.problem:
            raise BadInput(f"{path} {self.problem}")
        self.got.append((path.name, path.read_bytes()))
        return lambda links=(): f"<link rel=icon href='data:,'><title>{path.name}</title><p id=page-of-recording>page"


@pytest.fixture
def answer():
    return Answer()


@pytest.fixture
def opened(tmp_path, answer, monkeypatch):
    """Function: a Browser with the page, whose microphones play a signal (n, channel)."""
    monkeypatch.setattr(server, "TELL_S", 0.0)
    browsers, folder = [], tmp_path / "served"
    folder.mkdir()
    served = Server(answer, folder)
    threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def open_page(signal=TWO, before="", **options):
        sf.write(tmp_path / "input.wav", signal, RATE, subtype="PCM_16")
        browsers.append(Browser(tmp_path / f"profile{len(browsers)}", flags=(
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={tmp_path / 'input.wav'}"), **options))
        browsers[-1].call("Page.addScriptToEvaluateOnNewDocument", source=before)
        browsers[-1].open(served.address)
        return browsers[-1]
    yield open_page
    answer.go.set()
    for browser in browsers:
        browser.__exit__()
    served.end()
    served.shutdown()
    served.server_close()
    assert list(folder.iterdir()) == []


def text_of(browser, name):
    return browser.eval(f"document.getElementById('{name}').textContent")


def told(browser, name):
    """Wait until an element says something, and return it."""
    return browser.wait_for(f"document.getElementById('{name}').textContent")


def judged(browser):
    """Wait until the channels were heard, and return what is said of them."""
    browser.wait_for("!['', 'Waiting for sound.'].includes(document.getElementById('channels').textContent)")
    return text_of(browser, "channels")


def open_input(browser):
    browser.click("#open")
    return judged(browser)


def wav_of(data, tmp_path):
    (tmp_path / "got.wav").write_bytes(data)
    return sf.read(tmp_path / "got.wav")


def write(path, signal=TWO):
    sf.write(path, signal, RATE, subtype="PCM_16")
    return path


# ------------------------------------------------------------------------------------------------------ the microphones

def test_both_channels_arrive_sample_by_sample(opened, answer, tmp_path):
    browser = opened()
    assert open_input(browser) == "Two different channels arrive."
    assert text_of(browser, "processed") == ""
    left, right = (browser.eval(f"document.getElementById('{name}').value") for name in ("left", "right"))
    assert left - right == pytest.approx(6, abs=3)                   # peaks of noise, the right 6 dB weaker
    browser.click("#record")
    browser.wait_for("document.getElementById('clock').textContent.startsWith('0:01')")
    browser.click("#record")
    browser.wait_for(DONE)
    (name, data), = answer.got
    assert re.fullmatch(r"recording \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.wav", name)
    ears, rate = wav_of(data, tmp_path)
    assert rate == RATE
    assert len(ears) >= RATE
    played, _ = sf.read(tmp_path / "input.wav")
    middle = ears[2_000:2_000 + RATE // 2]                           # the file starts again at its end
    twice = np.concatenate([played, played])
    at = np.flatnonzero(np.abs(twice[:len(played), 0] - middle[0, 0]) < 1e-4)
    errors = [np.abs(twice[each:each + len(middle)] - middle).max() for each in at if each + len(middle) <= len(twice)]
    assert min(errors) < 2 ** -14                                    # of 16 bits, and the right one is the right one
    assert browser.faults == []


def test_one_microphone_in_both_channels_is_told(opened):
    browser = opened(TWO[:, :1])
    assert open_input(browser).startswith("Both channels are the same signal")


def test_a_silent_channel_is_told(opened):
    assert open_input(opened(TWO * [1, 0])) == "The right channel is silent."
    assert open_input(opened(TWO * 0)) == "Both channels are silent."


# The fake input always has two channels. Of a real one with one channel, Chromium says so in the settings of its track.
ONE_CHANNEL = """const settings = MediaStreamTrack.prototype.getSettings;
    MediaStreamTrack.prototype.getSettings = function () { return {...settings.call(this), channelCount: 1}; };"""
# Another browser may give Web Audio itself one channel.
ONE_IN_WEB_AUDIO = """AudioContext.prototype.createMediaStreamSource = function () {
      const tone = new OscillatorNode(this);
      tone.start();
      return tone;
    };"""


@pytest.mark.parametrize("before", [ONE_CHANNEL, ONE_IN_WEB_AUDIO])
def test_of_one_channel_the_page_says_so_and_does_not_record(opened, before):
    browser = opened(before=before)
    assert open_input(browser).startswith("The browser delivers one channel of this input, which tells no direction.")
    assert browser.eval("document.getElementById('record').disabled")
    assert text_of(browser, "right-db") == "none"


def test_the_browser_is_asked_for_two_channels_as_they_are(opened):
    browser = opened(before="""const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = asked => { window.asked = asked.audio; return ask(asked); };""")
    open_input(browser)
    asked = browser.eval("asked")
    assert [asked[each] for each in ("echoCancellation", "noiseSuppression", "autoGainControl")] == [False] * 3
    assert asked["channelCount"] == {"ideal": 2}


def test_what_the_browser_still_does_to_the_sound_is_told(opened):
    browser = opened(before="""const settings = MediaStreamTrack.prototype.getSettings;
        MediaStreamTrack.prototype.getSettings = function () {
          return {...settings.call(this), echoCancellation: true, autoGainControl: true};
        };""")
    open_input(browser)
    assert text_of(browser, "processed").startswith(
        "The browser still applies echo cancellation, automatic gain control, which changes what two ears hear")


@pytest.mark.parametrize(("before", "word"), [
    ("navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };",
     "may not use the microphones"),
    ("navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotFoundError'); };",
     "No microphone was found"),
    ("Object.defineProperty(navigator, 'mediaDevices', {value: undefined});", "lets no page hear the microphones")])
def test_without_microphones_the_page_says_what_to_do(opened, before, word):
    browser = opened(before=before)
    browser.click("#open")
    assert word in told(browser, "problem")
    assert not browser.eval("document.getElementById('open').hidden")


def test_where_no_sound_comes_the_page_waits_in_words(opened):
    browser = opened(before="AudioContext.prototype.resume = AudioContext.prototype.suspend;")
    browser.click("#open")
    browser.wait_for("!document.getElementById('input').hidden")
    assert browser.eval("document.getElementById('record').disabled")
    assert text_of(browser, "channels") == "Waiting for sound."


def test_a_lost_input_ends_the_recording_and_what_there_is_counts(opened, answer):
    browser = opened(before="""const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async asked => window.stream = await ask(asked);""")
    open_input(browser)
    browser.click("#record")
    told(browser, "clock")
    browser.eval("stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
    browser.wait_for(DONE)
    assert answer.got[0][0].endswith(", cut short.wav")


def test_a_recording_that_is_refused_can_be_saved(opened, answer):
    answer.problem = "is bad."
    browser = opened()
    open_input(browser)
    browser.click("#record")
    told(browser, "clock")
    assert browser.eval("document.getElementById('close').disabled")  # which would lose what was recorded
    browser.click("#record")
    browser.wait_for("!document.getElementById('keep').hidden")
    assert re.fullmatch(r"recording .* is bad\.", told(browser, "problem"))
    assert browser.eval("document.getElementById('keep').href").startswith("blob:")
    assert browser.eval("document.getElementById('keep').download").endswith(".wav")


def test_a_recording_stops_at_the_most(opened, answer, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MOST_SECONDS", 0.6)
    browser = opened()
    open_input(browser)
    browser.click("#record")
    browser.wait_for(DONE)
    assert 0.5 < len(wav_of(answer.got[0][1], tmp_path)[0]) / RATE <= 0.6


# --------------------------------------------------------------------------------------------------------------- a file

def test_a_chosen_file_arrives_byte_for_byte_and_its_page_opens(opened, answer, tmp_path):
    browser = opened()
    path = write(tmp_path / "Gespräch 1 & <2>.wav")
    browser.choose("#file", path)
    browser.wait_for(DONE)
    assert answer.got == [("Gespräch 1 & _2_.wav", path.read_bytes())]
    assert browser.eval("document.title") == "Gespräch 1 & _2_.wav"
    assert browser.faults == []


def test_a_dropped_file_arrives(opened, answer, tmp_path):
    browser = opened()
    browser.drop("#of-input", write(tmp_path / "talk.wav"))          # anywhere on the page
    browser.wait_for(DONE)
    assert [name for name, _ in answer.got] == ["talk.wav"]


def test_several_files_and_folders_are_refused(opened, answer, tmp_path):
    browser = opened()
    browser.drop("#drop", write(tmp_path / "one.wav"), write(tmp_path / "two.wav"))
    assert told(browser, "problem").startswith("One file at a time")
    (tmp_path / "folder").mkdir()
    browser.drop("#drop", tmp_path / "folder")
    browser.wait_for("document.getElementById('problem').textContent.startsWith('Drop a file')")
    assert not answer.got


def test_what_is_refused_is_an_alert_in_the_same_sentence(opened, answer, tmp_path):
    answer.problem = "has one channel; <b>record</b> two."
    browser = opened()
    browser.choose("#file", write(tmp_path / "talk.wav"))
    assert told(browser, "problem") == "talk.wav has one channel; <b>record</b> two."
    assert browser.eval("document.getElementById('problem').getAttribute('role')") == "alert"
    assert browser.eval("document.getElementById('work').hidden")
    answer.problem = None
    browser.choose("#file", tmp_path / "talk.wav")                   # the same one again
    browser.wait_for(DONE)


def test_a_file_too_large_is_not_sent(opened, answer, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MOST_BYTES", 1 << 20)
    browser = opened()
    (tmp_path / "large.wav").write_bytes(bytes((1 << 20) + 1))
    browser.choose("#file", tmp_path / "large.wav")
    assert told(browser, "problem") == recorder.too_large(1 << 20)
    assert not answer.got


def test_the_page_shows_how_far_it_is_and_can_be_cancelled(opened, answer, tmp_path):
    answer.go.clear()
    browser = opened()
    browser.choose("#file", write(tmp_path / "talk.wav"))
    browser.wait_for("!document.getElementById('work').hidden")
    assert browser.eval("document.getElementById('file').disabled")
    browser.drop("#drop", write(tmp_path / "second.wav"))
    assert told(browser, "problem").startswith("Another recording is at work")
    browser.click("#cancel")
    browser.wait_for("document.getElementById('work').hidden")
    assert browser.eval("document.activeElement.id") == "file"       # the keyboard is not lost with the button
    answer.go.set()
    browser.choose("#file", tmp_path / "second.wav")
    browser.wait_for(DONE)
    assert [name for name, _ in answer.got][-1] == "second.wav"


def test_how_far_it_is_is_said_in_words(opened, answer, tmp_path):
    browser = opened()
    browser.eval("said = new Set(); new MutationObserver(() => said.add(document.getElementById('doing').textContent))"
                 ".observe(document.getElementById('doing'), {childList: true})")
    answer.problem = "is bad."
    answer.go.clear()
    browser.choose("#file", write(tmp_path / "talk.wav"))
    browser.wait_for("document.getElementById('progress').max === 2")  # seconds, which the browser reads from the file
    answer.go.set()
    told(browser, "problem")
    assert browser.eval("[...said]") == ["sending talk.wav", "localising talk.wav: 0:00 of 0:02"]
    assert browser.eval("document.getElementById('progress').value") == 0.5


def test_when_the_server_has_ended_the_page_says_so(opened, tmp_path):
    browser = opened(before="fetch = async () => { throw new TypeError('Failed to fetch'); };")
    browser.choose("#file", write(tmp_path / "talk.wav"))
    assert "check that Localise.py still runs" in told(browser, "problem")


# ------------------------------------------------------------------------------------------------ for everybody, safely

@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, {"width": 390, "height": 844, "is_phone": True},
                                  {"width": 320, "height": 568, "is_phone": True}])
def test_it_fits_desk_and_phone(opened, size):
    browser = opened(**size)
    open_input(browser)
    assert browser.eval("document.documentElement.scrollWidth") <= size["width"]
    small = browser.eval("[...document.querySelectorAll('button,select,input')].map(e => e.getBoundingClientRect())"
                         ".filter(b => b.height && (b.width < 40 || b.height < 40)).length")
    assert small == 0                                                # a finger meets them


def test_all_works_by_the_keyboard_and_has_a_name(opened):
    browser = opened()
    browser.eval("document.getElementById('open').focus()")
    browser.press(" ")
    browser.wait_for("document.activeElement.id === 'device'")
    unnamed = browser.eval("[...document.querySelectorAll('button,select,input,meter,progress,output')]"
                           ".filter(e => !e.innerText && !e.labels?.length && !e.getAttribute('aria-labelledby')"
                           " && !e.htmlFor?.length).length")
    assert unnamed == 0
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    names = {(node["role"]["value"], node["name"]["value"]) for node in tree if "name" in node}
    assert {("combobox", "Input"), ("meter", "Left"), ("meter", "Right"), ("button", "Record")} <= names
    judged(browser)
    browser.eval("document.getElementById('close').focus()")
    browser.press(" ")
    browser.wait_for("document.activeElement.id === 'open'")


@pytest.mark.parametrize("is_dark", [False, True])
def test_dark_is_dark(opened, is_dark):
    browser = opened(is_dark=is_dark)
    ground, ink = (browser.eval(f"getComputedStyle(document.body).{name}.match(/[\\d.]+/g).slice(0, 3).map(Number)"
                                ".reduce((a, b) => a + b) / 765") for name in ("backgroundColor", "color"))
    assert (ground < ink) == is_dark
    assert abs(ground - ink) > 0.7


def test_nothing_is_fetched_from_elsewhere_and_no_foreign_script_runs(opened):
    browser = opened()
    browser.eval("e = document.createElement('script'); e.textContent = 'document.title = 1'; document.body.append(e)")
    assert browser.eval("document.title") == "From where does the sound come?"
    with pytest.raises(AssertionError, match="Failed to fetch"):
        browser.eval("fetch('http://127.0.0.1:9/')")
    assert sum("Content Security Policy" in fault for fault in browser.faults) >= 2


def test_the_limits_stand_on_the_page_without_a_script():
    text = recorder.html(256 << 20, 600.0)
    assert "up to 256 MB and 10 minutes" in text
    assert "<noscript>" in text
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"https?:", text)
    assert json.loads(re.search(r'id="limits">(.*?)</script>', text)[1])["most_seconds"] == 600
