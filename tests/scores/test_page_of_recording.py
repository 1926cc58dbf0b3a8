"""The page of a recording: names stay text, nothing is fetched, and in a browser it plays, jumps and says where."""
import base64
import hashlib
import io
import json
import re

import numpy as np
import pytest
import soundfile as sf
from browser import Browser, needs_chromium
from helpers import TIME_S, localised_by_hand

from network.tracks import Track
from scores import page


def flac():
    """20 s of a quiet tone."""
    buffer = io.BytesIO()
    tone = 0.01 * np.sin(np.arange(20 * 16_000) / 10)
    sf.write(buffer, np.stack([tone, tone], axis=1), 16_000, format="FLAC")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def text():
    return page.html(localised_by_hand(), "audio/flac", flac(), [("← All recordings", "../all_recordings.html")])


def test_names_and_warnings_stay_text(text):
    assert text.count("<script>") == text.count("</title>") == 1
    assert "&lt;i&gt;clipped&lt;/i&gt;" in text
    assert "&lt;best&gt;.keras" in text
    assert "Two sources &amp; more." in text


def test_nothing_is_fetched(text):
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in text
    assert set(re.findall(r'(?:src|href)="(.{6})', text)) == {"data:,", "data:i", "../all"}
    assert set(re.findall(r"url\((.*?)\)", text)) == set()


def test_the_policy_allows_our_script_and_style_alone(text):
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]
    for name, code in (("script", re.search(r"<script>(.*?)</script>", text, re.S)[1]),
                       ("style", re.search(r"<style>(.*?)</style>", text, re.S)[1])):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r'\s(style|on\w+)="', text)                 # which the policy would refuse


def test_the_page_holds_the_sound_and_the_rows(text):
    sound = re.search(r'id="sound" data-type="audio/flac">(.*?)</script>', text)[1]
    assert base64.b64decode(sound) == flac()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert [each["number"] for each in data["sources"]] == [1, 2]
    assert [each["from_row"] for each in data["sources"]] == [15, 55]   # from 2.01 and 6.01 s on
    assert [len(each["azimuth_deg"]) for each in data["sources"]] == [60, 120]
    assert set(data["sources"][0]["azimuth_deg"]) == {-40}


def test_the_list_says_everything_without_a_script(text):
    assert re.findall(r'aria-label="(Play from.*?)"', text) == [
        "Play from 0:02.0 to 0:08.0: 1: 40 degrees left, plus or minus 10",
        "Play from 0:06.0 to 0:18.0: 2: 70 degrees right, plus or minus 10"]
    assert "<noscript>" in text


def test_of_nobody_the_page_says_so():
    silent = Track(TIME_S, *np.full((2, 190), np.nan), np.zeros(190), np.zeros(190))
    nobody = localised_by_hand(several=False, track=silent)
    text = page.html(nobody, "audio/flac", b"")
    assert "<p>Nothing was heard.</p>" in text
    assert 'class="back"' not in text
    assert not re.search(r"\bnan\b", text.partition("<body>")[2].partition("<script")[0])


def test_a_track_is_drawn_right_on_top_within_the_recording():
    text = page.html(localised_by_hand(several=False, warnings=[]), "audio/flac", b"")
    lines = re.findall(r'class="line" d="(.*?)"', text)
    numbers = np.array([[float(each) for each in pair.split()] for pair in re.findall(r"[\d.]+ -?[\d.]+", lines[0])])
    assert numbers[:, 0].min() == pytest.approx(1.96, abs=0.02)
    assert numbers[:, 0].max() == pytest.approx(17.96, abs=0.02)
    assert set(numbers[:, 1]) == {40, -70}                           # SVG counts downwards: left is below
    assert lines[0].count("M") == 2                                  # the pause is a gap
    assert '<section class="warnings"' not in text


def test_the_spectrogram_has_the_highest_frequency_on_top_and_dark_where_loud():
    power = np.full((320, 10), 1e-9)
    power[300:] = 1.0
    grey = page.grey_levels(power)
    assert grey.shape == (160, 10)
    assert grey[:10].max() < grey[10:].min()


def test_the_index_opens_each_page_under_its_name():
    rows = [page.row(localised_by_hand(), "deep/a#b?.html"), page.row(localised_by_hand(warnings=[]), "t\udce9.html")]
    text = page.index(rows)
    assert re.findall(r'<a href="(.*?)">(.*?)</a>', text) == [("deep/a%23b%3F.html", "deep/a#b?"),
                                                              ("t%E9.html", "t?")]
    assert "script-src" not in text
    assert text.count("<small>") == 1


# --------------------------------------------------------------------------------------------------------- in a browser

@pytest.fixture
def opened(tmp_path, text):
    """Function: a Browser with the page, at the size of a desk or a phone."""
    browsers = []

    def open_page(content=text, **options):
        (tmp_path / "page.html").write_text(content, encoding="utf-8")
        browsers.append(Browser(tmp_path / f"profile{len(browsers)}", **options))
        browsers[-1].open(tmp_path / "page.html")
        return browsers[-1]
    yield open_page
    for browser in browsers:
        browser.__exit__()


def at_s(browser):
    return browser.eval("document.getElementById('audio').currentTime")


def now(browser):
    return browser.eval("document.getElementById('now').innerText")


def go(browser, time_s):
    browser.wait_for("document.getElementById('audio').readyState >= 1")
    browser.eval(f"document.getElementById('audio').currentTime = {time_s}")
    browser.wait_for(f"document.getElementById('plot').getAttribute('aria-valuenow') === '{time_s:.1f}'")


@pytest.mark.slow
@needs_chromium
def test_it_plays_and_shows_where_each_source_is(opened):
    browser = opened()
    assert browser.eval("document.title").startswith("</title><script>")  # which is text, and did not run
    assert now(browser) == "nothing heard"
    browser.press(" ")
    browser.wait_for("document.getElementById('audio').currentTime > 0.3")
    assert browser.eval("document.getElementById('play').getAttribute('aria-label')") == "Pause"
    browser.press(" ")
    assert browser.wait_for("document.getElementById('audio').paused")
    go(browser, 7)
    assert re.split(r"\s+", now(browser)) == ["1:", "40°", "left", "±", "10°", "2:", "70°", "right", "±", "10°"]
    wedges = browser.eval("[...document.querySelectorAll('.source .wedge')].map(e => e.getAttribute('d'))")
    corners = [[float(each) for each in re.findall(r"-?[\d.]+", wedge)] for wedge in wedges]
    for (_, _, x1, y1, *_, x2, y2), azimuth_deg in zip(corners, (-40, 70)):
        for x, y, deg in ((x1, y1, azimuth_deg - 10), (x2, y2, azimuth_deg + 10)):
            assert np.degrees(np.arctan2(x, -y)) == pytest.approx(deg, abs=0.2)
    go(browser, 19)
    assert browser.eval("document.querySelectorAll('.source.silent').length") == 2
    assert browser.wait_for("getComputedStyle(document.getElementById('source-1')).opacity === '0'")
    assert browser.faults == []


@pytest.mark.slow
@needs_chromium
def test_clicks_and_keys_play_from_there(opened):
    browser = opened()
    browser.wait_for("document.getElementById('audio').readyState >= 1")
    browser.eval("audio = document.getElementById('audio'); went = []; "
                 "audio.addEventListener('seeking', () => went.push(audio.currentTime))")  # before it plays on
    browser.click("#plot", 0.5)
    assert browser.wait_for("went.pop()") == pytest.approx(10, abs=0.1)
    browser.wait_for("!audio.paused")
    browser.press(" ")
    go(browser, 10)
    for key, shift, expected in (("ArrowRight", False, 11), ("ArrowLeft", False, 10), ("ArrowLeft", True, 6),
                                 ("ArrowLeft", True, 2), ("ArrowRight", True, 6)):
        browser.press(key, shift)
        assert browser.wait_for(f"!audio.seeking && Math.abs(audio.currentTime - {expected}) < 0.1")
    browser.eval("went = []")
    browser.click("#list tbody tr:nth-child(2) button")
    assert browser.wait_for("went.pop()") == pytest.approx(6, abs=0.1)
    browser.wait_for("!audio.paused")
    browser.press(" ")                                               # on a button: presses it again
    assert browser.wait_for("went.pop()") == pytest.approx(6, abs=0.1)
    browser.wait_for("document.querySelector('#list tr[aria-current]') !== null")
    browser.click("#play")
    browser.wait_for("document.getElementById('audio').paused")
    assert browser.faults == []


@pytest.mark.slow
@needs_chromium
def test_a_screen_reader_is_told_where_one_jumped(opened):
    browser = opened()
    go(browser, 15)
    said = "0:15.0: source 2: 70° right ± 10°"
    assert browser.wait_for("document.getElementById('status').textContent") == said
    slider = browser.eval("(e => [e.getAttribute('role'), e.getAttribute('aria-valuetext')])"
                          "(document.getElementById('plot'))")
    assert slider == ["slider", "0:15.0 of 0:20.0: source 2: 70° right ± 10°"]
    unnamed = browser.eval("[...document.querySelectorAll('button')].filter(e => !(e.ariaLabel || e.innerText)).length")
    assert unnamed == 0


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, {"width": 390, "height": 844, "is_phone": True},
                                  {"width": 320, "height": 568, "is_phone": True}])
def test_it_fits_desk_and_phone(opened, size):
    browser = opened(**size)
    assert browser.eval("document.documentElement.scrollWidth") <= size["width"]
    small = ("[...document.querySelectorAll('button')].filter(e => {const b = e.getBoundingClientRect(); "
             "return b.width < 40 || b.height < 40}).length")
    assert browser.eval(small) == 0                                  # a finger meets them
    assert browser.eval("(e => e.scrollWidth - e.clientWidth)(document.getElementById('list'))") == 0
    browser.click("#closer")
    assert browser.eval("document.getElementById('plot').style.width") == "200%"
    assert browser.eval("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.slow
@needs_chromium
def test_dark_is_dark(opened):
    luminance = ("getComputedStyle(document.body).{}.match(/[\\d.]+/g).slice(0, 3).map(Number)"
                 ".reduce((a, b) => a + b) / 765")
    for is_dark in (False, True):
        browser = opened(is_dark=is_dark)
        ground, ink = (browser.eval(luminance.format(name)) for name in ("backgroundColor", "color"))
        assert (ground < ink) == is_dark
        assert abs(ground - ink) > 0.7


@pytest.mark.slow
@needs_chromium
def test_a_foreign_script_is_refused(opened, text):
    browser = opened(text.replace("</body>", "<script>document.title = 'hit'</script></body>"))
    assert browser.eval("document.title") != "hit"
    assert any("Content Security Policy" in fault for fault in browser.faults)


@pytest.mark.slow
@needs_chromium
def test_a_long_recording_lies_beside_its_page(opened, tmp_path):
    (tmp_path / "50% talk#1.ears.flac").write_bytes(flac())
    content = page.html(localised_by_hand(), "audio/flac", "50% talk#1.ears.flac")
    browser = opened(content)
    go(browser, 7)
    assert "40° left" in now(browser)
    (tmp_path / "50% talk#1.ears.flac").unlink()
    lost = opened(content)
    told = lost.wait_for("document.getElementById('problem').textContent")
    assert "50% talk#1.ears.flac must lie beside this page" in told
