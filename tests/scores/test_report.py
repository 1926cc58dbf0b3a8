"""The report: names stay text, every sample sounds as it was mixed, one epoch is one row, and a browser opens it."""
import base64
import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import soundfile as sf
from helpers import PARAMS, run_script

import Testing
from console import BadInput
from scores import metrics, report, tables
from shards.files import open_shards
from shards.reading import read_samples
from shards.remix import Remixer
from sound import kernels

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def results(name="best"):
    truth = np.arange(-90.0, 91, 5)
    predicted = truth + np.where(truth < 0, 20, 1)
    stated = np.full(37, 2.0), np.full(37, 5.0)
    groups = {by: metrics.score_by(np.where(truth < 0, "a", "<b>"), predicted, truth) for by in tables.GROUPS}
    groups["by_azimuth_deg"] = metrics.score_by(truth, predicted, truth)
    return {name: metrics.score(predicted, truth, stated) | groups,
            "baseline": metrics.score(predicted, truth) | groups}


def clip(**changes):
    ears = np.stack([np.sin(np.arange(1600) / 5), np.zeros(1600)])
    values = {"true_deg": -45.0, "predicted_deg": 30.4, "half_width_deg": 12.0, "snr_db": -6.0, "speech": "talk.wav",
              "noise": "rain.wav", "ears": ears} | changes
    return report.AudibleSample(**values)


@pytest.fixture
def page(tmp_path):
    picture = tmp_path / "a_picture.png"
    picture.write_bytes(bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478"
                                      "9c6360000002000001e221bc330000000049454e44ae426082"))
    hostile = "<script>document.title='hit'</script>&\".wav"
    others = [clip(), clip(ears=None, why_not="gone & <lost>"), clip(snr_db=np.inf, half_width_deg=np.nan, noise="")]
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


def test_pictures_come_first_and_a_long_table_is_folded_away(page):
    parts = [page.index(text) for text in ('alt="a picture"', "All samples", "SNR (dB)", "Azimuth (deg)", "<audio ")]
    assert parts == sorted(parts)
    folded = re.findall("<details>.*?</details>", page)
    assert len(folded) == 1
    assert folded[0].count("<tr>") == 38  # with the heading's
    assert "<td>-90</td>" in folded[0]


def test_the_tables_of_the_screen():
    lines = tables.lines(results())
    assert lines[0] == ("37 samples         within 5 deg (%)   within 10 deg (%)   mean abs. error   median   RMSE"
                        "   bias (deg)")
    assert lines[1].split() == ["best", "51.4", "51.4", "10.24", "1.00", "13.97", "10.24"]
    assert lines[3] == "            best   true azimuths inside the stated 68 and 95 %: 51.4, 51.4 %"
    assert lines[5:8] == ["SNR (dB)              best  baseline   within 5 deg (%)",
                          "             <b>     100.0     100.0", "               a       0.0       0.0"]
    wide = [line.removesuffix("   within 5 deg (%)") for line in tables.lines(results("best = last, epoch 12"))[5:8]]
    assert len(set(map(len, wide))) == 1


def test_no_noise_is_said_in_words():
    scores = {"best": {by: {"inf": {}, "": {}, "6": {}} for by in tables.GROUPS}}
    assert list(tables.in_words(scores)["best"]["by_snr_db"]) == ["no noise", "none", "6"]


@pytest.mark.slow
def test_best_and_last_of_one_epoch_are_one_row(network, short_shards, tmp_path, monkeypatch):
    models, out = tmp_path / "models", tmp_path / "results"
    models.mkdir()
    network.save(models / "best.keras")
    network.save(models / "last.keras", {"history": [{}, {}], "data": ""})
    loaded, load = [], type(network).load
    monkeypatch.setattr(type(network), "load", lambda path: loaded.append(path.name) or load(path))
    screen = run_script("Testing.py", "--data", short_shards, "--models", models, "--out", out).stdout
    assert loaded == ["best.keras", "last.keras"]
    page = (out / "report.html").read_text(encoding="utf-8")
    for text in (screen, page):
        assert "best = last, epoch 2" in text
        assert not re.search(r"\blast\b", text.replace("best = last, epoch 2", ""))
    assert set(json.loads((out / "results.json").read_text())) == {"best", "last", "baseline", "made_with"}
    rows = list(csv.DictReader((out / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert all(row["best_deg"] == row["last_deg"] for row in rows)


def test_best_and_last_of_two_epochs_are_two_rows(network, tmp_path):
    network.save(tmp_path / "best.keras")
    other = type(network).load(tmp_path / "best.keras")
    names = ("best", "last", "baseline")
    assert Testing.shown_as(names, {"best": network, "last": other}) == {
        "best": "best = last", "baseline": "baseline"}  # a copy knows no epoch
    other.keras_model.trainable_variables[-1].assign_add([1e-3] * 37)
    assert Testing.shown_as(names, {"best": network, "last": other}) == {name: name for name in names}
    assert Testing.shown_as(names[1:], {"last": other}) == {name: name for name in names[1:]}


def test_left_is_left_in_the_player(page):
    first = re.search(r"data:audio/wav;base64,([^\"]+)", page)[1]
    ears, rate = sf.read(io.BytesIO(base64.b64decode(first)))
    assert rate == 16_000
    assert np.abs(ears[:, 0]).max() == pytest.approx(0.9, abs=0.01)
    assert np.abs(ears[:, 1]).max() == 0


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_opens_it(page, tmp_path):
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    done = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                           "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                           f"file://{tmp_path / 'report.html'}"], capture_output=True, text=True, timeout=120)
    assert "<title>Test &lt;1&gt;</title>" in done.stdout  # no script of a file name ran
    assert done.stdout.count("<li>") == 4


@pytest.mark.slow
@pytest.mark.parametrize("flags", [
    ["--excerpts", 2, "--snr-db", 0, 20],
    ["--noise-field", "talker", "mixed", "--snr-range-db", 3, 10, "--rt60-s", 0.2, 0.4, "--head-size", 0.95, 1.05],
])
def test_samples_sound_as_they_were_mixed(wavs, tmp_path, flags):
    speech, noise = wavs("SpeechTEST", 2), wavs("NoiseTEST", 1)
    run_script("SpatialiseTEST.py", "--speech", speech, "--noise", noise, "--out", tmp_path, *flags)
    remixer = Remixer(speech, noise)
    for shard in open_shards(tmp_path, PARAMS, "X.py"):
        for row in (0, 20, len(shard.labels) - 1):
            stored = np.empty((1, *PARAMS.sample_shape), np.float16)
            read_samples(shard, row, row + 1, stored)
            cues = kernels.from_ears(remixer.ears(shard, row), PARAMS)
            assert np.quantile(np.abs(cues[..., 1] - stored[0, ..., 1].astype(float)), 0.99) < 0.05


def test_what_is_gone_is_not_heard(wavs, tmp_path):
    speech, noise = wavs("SpeechTEST", 1), wavs("NoiseTEST", 1)
    run_script("SpatialiseTEST.py", "--speech", speech, "--noise", noise, "--out", tmp_path, "--snr-db", 0)
    shard = open_shards(tmp_path, PARAMS, "X.py")[0]
    with pytest.raises(BadInput, match="is not in --noise"):
        Remixer(speech, tmp_path).ears(shard, 0)
    file = next(speech.glob("*.wav"))
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(BadInput, match="has changed since"):
        Remixer(speech, noise).ears(shard, 0)
