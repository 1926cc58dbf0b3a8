"""The report: names stay text, every sample sounds as it was mixed, and a browser opens it."""
import re
import shutil
import subprocess

import numpy as np
import pytest
from conftest import run_script

import dataset
import features
import metrics
import report
from console import BadInput
from params import Params
from remix import Remixer

PARAMS = Params()
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def results(name="best"):
    truth, said = np.array([0.0, 10, -20, 90]), np.array([1.0, 10, 40, 88])
    stated = np.full(4, 2.0), np.full(4, 5.0)
    groups = {by: metrics.score_by(np.array(["a", "<b>", "a", "a"]), said, truth) for by in report.GROUPS}
    return {name: metrics.score(said, truth, stated) | groups, "baseline": metrics.score(said, truth) | groups}


def clip(**changes):
    ears = np.stack([np.sin(np.arange(1600) / 5), np.zeros(1600)])
    values = {"true_deg": -45.0, "predicted_deg": 30.4, "spread_deg": 12.0, "snr_db": -6.0, "speech": "talk.wav",
              "noise": "rain.wav", "ears": ears} | changes
    return report.Clip(**values)


@pytest.fixture
def page(tmp_path):
    picture = tmp_path / "a_picture.png"
    picture.write_bytes(bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478"
                                      "9c6360000002000001e221bc330000000049454e44ae426082"))
    hostile = "<script>document.title='hit'</script>&\".wav"
    others = [clip(), clip(ears=None, why_not="gone & <lost>"), clip(snr_db=np.inf, spread_deg=np.nan, noise="")]
    return report.html("Test <1>", results("<script>x"), [picture], [clip(speech=hostile, noise=hostile)], others,
                       16_000, "made <of> nothing")


def test_names_stay_text(page):
    assert "<script" not in page
    assert page.count("&lt;script&gt;document.title=&#x27;hit&#x27;&lt;/script&gt;&amp;&quot;.wav") == 2
    for text in ("Test &lt;1&gt;", "made &lt;of&gt; nothing", "gone &amp; &lt;lost&gt;", "&lt;b&gt;"):
        assert text in page


def test_it_needs_nothing_from_outside(page):
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("<audio ") == 3
    assert "no noise added" in page
    assert "true -45°, answer 30° ± 12, -6 dB" in page


def test_left_is_left_in_the_player(page):
    import base64
    import io

    import soundfile as sf
    first = re.search(r"data:audio/wav;base64,([^\"]+)", page)[1]
    ears, rate = sf.read(io.BytesIO(base64.b64decode(first)))
    assert rate == 16_000
    assert np.abs(ears[:, 0]).max() == pytest.approx(0.9, abs=0.01)
    assert np.abs(ears[:, 1]).max() == 0


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_opens_it(page, tmp_path):
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    done = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                           "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                           f"file://{tmp_path / 'report.html'}"], capture_output=True, text=True, timeout=120)
    assert "<title>Test &lt;1&gt;</title>" in done.stdout  # no script of a file name ran
    assert done.stdout.count("<li>") == 4


@pytest.mark.parametrize("flags", [
    ["--excerpts", 2, "--snr-db", 0, 20],
    ["--noise-field", "talker", "mixed", "--snr-range-db", 3, 10, "--rt60-s", 0.2, 0.4, "--head-size", 0.95, 1.05],
])
def test_samples_sound_as_they_were_mixed(wavs, tmp_path, flags):
    speech, noise = wavs("SpeechTEST", 2), wavs("NoiseTEST", 1)
    run_script("SpatialiseTEST.py", "--speech", speech, "--noise", noise, "--out", tmp_path, *flags)
    remixer = Remixer(speech, noise)
    for shard in dataset.open_shards(tmp_path, PARAMS, "X.py"):
        for row in (0, 20, len(shard.labels) - 1):
            stored = np.empty((1, *PARAMS.sample_shape), np.float16)
            dataset.read_samples(shard, row, row + 1, stored)
            cues = features.from_ears(remixer.ears(shard, row), PARAMS)
            assert np.quantile(np.abs(cues[..., 1] - stored[0, ..., 1].astype(float)), 0.99) < 0.05


def test_what_is_gone_is_not_heard(wavs, tmp_path):
    speech, noise = wavs("SpeechTEST", 1), wavs("NoiseTEST", 1)
    run_script("SpatialiseTEST.py", "--speech", speech, "--noise", noise, "--out", tmp_path, "--snr-db", 0)
    shard = dataset.open_shards(tmp_path, PARAMS, "X.py")[0]
    with pytest.raises(BadInput, match="is not in --noise"):
        Remixer(speech, tmp_path).ears(shard, 0)
    file = next(speech.glob("*.wav"))
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(BadInput, match="has changed since"):
        Remixer(speech, noise).ears(shard, 0)
