"""Localise.py on recordings: two talkers where they are, gaps where nobody is, and refusals in one sentence."""
import argparse
import csv
import json
import re

import numpy as np
import pytest
import soundfile as sf
import soxr
from helpers import ROOT, FakeHearing, from_all_around, one_sentence, run_script, through_the_head, write_head

import Localise
from console import BadInput
from network import tracking
from params import Params
from scores import exports
from shards.audio import read_mono

PARAMS = Params()
RATE = PARAMS.sample_rate_hz


@pytest.fixture(scope="module")
def talk(demo):
    """3 s of a talker at -45, 3 s of silence, 3 s of another at 30 degrees: (n, 2) at 16 kHz, and a noise."""
    files = sorted((demo / "SpeechTEST").glob("*.wav"))
    voices = [read_mono(files[at], PARAMS)[:3 * RATE] for at in (0, -1)]
    noise = read_mono(sorted((demo / "NoiseTEST").glob("*.wav"))[0], PARAMS)
    silence = np.zeros((3 * RATE, 2))
    signal = np.concatenate([through_the_head(voices[0], -45), silence, through_the_head(voices[1], 30)])
    return signal * 0.5 / np.abs(signal).max(), noise


@pytest.fixture(scope="module")
def localised(talk, tmp_path_factory):
    """What Localise.py prints about a folder of good and bad recordings, and the folder of its results."""
    folder = tmp_path_factory.mktemp("recordings")
    signal, noise = talk
    sf.write(folder / "talk.wav", signal, RATE, subtype="PCM_16")
    sf.write(folder / "talk48.flac", soxr.resample(signal, RATE, 48_000), 48_000, subtype="PCM_24")
    sf.write(folder / "swapped.wav", signal[:, ::-1], RATE, subtype="PCM_16")
    sf.write(folder / "noise.wav", 0.01 * from_all_around(noise, 6 * RATE), RATE, subtype="FLOAT")
    sf.write(folder / "mono.wav", signal[:, 0], RATE)
    (folder / "text.wav").write_text("not audio")
    mix = np.random.default_rng(0).standard_normal(3 * RATE + 100) * 0.1
    sf.write(folder / "spaced.wav", np.stack([mix[100:], mix[:-100]], axis=1), RATE)
    out = tmp_path_factory.mktemp("out")
    return run_script("Localise.py", folder, "--out", out), out


def rows(out, name):
    return list(csv.DictReader((out / f"{name}.csv").read_text().splitlines()))


def azimuths(table, begin_s, end_s):
    """Azimuths of some rows, "" for a gap."""
    some = [row["azimuth_deg"] for row in table if begin_s <= float(row["time_s"]) <= end_s]
    return [text and float(text) for text in some]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["talk", "talk48"])
def test_talkers_are_where_they_are_and_silence_is_a_gap(localised, name):
    table = rows(localised[1], name)
    times = np.array([float(row["time_s"]) for row in table])
    assert times[0] == pytest.approx(0.51)
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-6)
    for begin_s, end_s, azimuth_deg in ((0.5, 2.4, -45), (6.6, 8.4, 30)):
        heard = [each for each in azimuths(table, begin_s, end_s) if each != ""]
        assert len(heard) > 0.8 * len(azimuths(table, begin_s, end_s))
        assert np.median(np.abs(np.array(heard) - azimuth_deg)) < 3
    assert set(azimuths(table, 3.6, 5.4)) == {""}
    assert all(float(row["level_db"]) < -80 for row in table if 3.6 <= float(row["time_s"]) <= 5.4)


@pytest.fixture(scope="module")
def unequal(talk, tmp_path_factory):
    """A talker at 30 degrees in a little noise from all around, whose right channel is 6 dB too loud: a file."""
    signal, noise = talk
    talker = signal[6 * RATE:]
    ears = talker + 0.3 * np.sqrt(np.square(talker).mean()) * from_all_around(noise / noise.std(), len(talker)) / 6
    path = tmp_path_factory.mktemp("unequal") / "unequal.wav"
    sf.write(path, 0.3 * ears / np.abs(ears).max() * [1, 2], RATE, subtype="PCM_24")
    return path


@pytest.mark.slow
def test_unequal_microphones_are_balanced_and_told(unequal, tmp_path):
    balanced = run_script("Localise.py", unequal, "--out", tmp_path / "auto")
    left = run_script("Localise.py", unequal, "--out", tmp_path / "off", "--balance", "off")
    told = re.search(r"right channel (\d+) dB louder", balanced.stderr)
    assert 5 <= int(told[1]) <= 7
    assert "--balance off" in balanced.stderr
    assert "measured in the background noise" not in left.stderr
    heard = [each for each in azimuths(rows(tmp_path / "auto", "unequal"), 0, 3) if each != ""]
    assert np.median(np.abs(np.array(heard) - 30)) < 3


@pytest.mark.slow
def test_rows_say_which_are_carried_over(unequal, tmp_path):
    run_script("Localise.py", unequal, "--out", tmp_path / "smooth")
    run_script("Localise.py", unequal, "--out", tmp_path / "single", "--no-smoothing")
    assert tuple(rows(tmp_path / "smooth", "unequal")[0]) == exports.COLUMNS
    assert {row["carried"] for row in rows(tmp_path / "single", "unequal")} == {"0"}


@pytest.mark.slow
def test_a_head_of_ones_own_is_compared_with(unequal, tmp_path):
    own = tmp_path / "mine.sofa"
    write_head(own)
    run_script("Localise.py", unequal, "--out", tmp_path / "own", "--head", own, "--format", "json")
    made = json.loads((tmp_path / "own" / "unequal.json").read_text())
    assert made["head"] == str(own)
    assert abs(made["azimuth_deg"] - 30) < 4
    missing = run_script("Localise.py", unequal, "--out", tmp_path / "no", "--head", tmp_path / "no.sofa", status=2)
    assert one_sentence(missing.stderr)
    assert "no.sofa" in missing.stderr


@pytest.mark.slow
def test_noise_from_all_around_is_mostly_a_gap(localised):
    heard = [each for each in azimuths(rows(localised[1], "noise"), 0, 10) if each != ""]
    assert len(heard) <= 0.3 * len(rows(localised[1], "noise"))


@pytest.mark.slow
def test_exchanged_ears_mirror_the_answer(localised, talk, tmp_path):
    as_is, swapped = (rows(localised[1], name) for name in ("talk", "swapped"))
    for one, other in zip(as_is, swapped, strict=True):
        assert (one["azimuth_deg"] == "") == (other["azimuth_deg"] == "")
        if one["azimuth_deg"]:
            assert float(one["azimuth_deg"]) == -float(other["azimuth_deg"])
        assert one["spread_deg"] == other["spread_deg"]
    sf.write(tmp_path / "talk.wav", talk[0], RATE, subtype="PCM_16")
    run_script("Localise.py", tmp_path / "talk.wav", "--swap-ears", "--out", tmp_path, "--format", "json")
    again = json.loads((tmp_path / "talk.json").read_text())["rows"]
    assert [row["azimuth_deg"] for row in again] == [float(row["azimuth_deg"]) if row["azimuth_deg"] else None
                                                     for row in swapped]


@pytest.mark.slow
def test_recordings_that_are_all_bad_are_refused(write, tmp_path):
    mono, text = write("mono.wav", np.ones(2 * RATE)), tmp_path / "text.wav"
    text.write_text("not audio")
    refused = run_script("Localise.py", mono, "--out", tmp_path, status=2).stderr
    assert "mono.wav has one channel" in refused
    assert one_sentence(refused)
    refused = run_script("Localise.py", mono, text, "--out", tmp_path, status=2).stderr.splitlines()
    assert [line.partition(":")[0] for line in refused] == ["Skipped", "Skipped", "Localise.py"]
    assert "none of the 2 recordings could be used" in refused[2]


@pytest.mark.slow
def test_the_example_of_the_readme_runs(talk, tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)[1]
    (tmp_path / "gallery").mkdir()
    sf.write(tmp_path / "gallery" / "walk.wav", talk[0], RATE, subtype="PCM_16")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert len(names["track"].time_s) == 80


@pytest.mark.slow
def test_the_folder_is_summed_up(localised):
    done, out = localised
    assert "skipped 2" in done.stdout
    line = r"^talk\.wav: several places, \d+ degrees left from .*; \d+ degrees right .*heard in \d+ % of 9\.0 s\.$"
    assert re.search(line, done.stdout, re.M)
    for reason in ("mono.wav has one channel", "text.wav cannot be read as audio"):
        assert any(line.startswith("Skipped: ") and reason in line for line in done.stderr.splitlines())
    assert "spaced.wav has delays between the channels that no head makes, in 100 % of it" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["all_recordings.json", *(f"{name}.{ending}" for name in ("talk", "talk48", "swapped", "noise", "spaced")
                                  for ending in ("csv", "png"))])
    assert all(path.stat().st_size > 10_000 for path in out.glob("*.png"))


def tracker(hop_frames=5):
    return tracking.Tracker(FakeHearing(), PARAMS, hop_frames)


def args(**changes):
    return argparse.Namespace(**({"channels": None, "swap_ears": False, "sources": 1} | changes))


@pytest.mark.parametrize(("signal", "changes", "message"), [
    (np.ones(RATE * 2), {}, "has one channel"),
    (np.ones((RATE * 2, 4)), {}, "--channels 1 2"),
    (np.ones((RATE * 2, 4)), {"channels": (1, 5)}, "has 4 channels"),
    (np.random.default_rng(0).normal(0, 0.1, (RATE, 2)), {}, "must be at least 1.020 s"),
    (np.repeat(np.random.default_rng(0).normal(0, 0.1, (RATE * 2, 1)), 2, axis=1), {}, "same signal in both"),
    (np.full((RATE * 2, 2), np.nan), {}, "NaN"),
    (np.random.default_rng(0).normal(0, 0.1, (RATE * 2, 2)) * [1, 0], {}, "nothing in its right channel"),
])
def test_what_is_not_binaural_is_refused(write, signal, changes, message):
    path = write("bad.wav", signal)
    with pytest.raises(BadInput, match=re.escape(message)) as refusal:
        Localise.localise(path, tracker(), args(**changes))
    assert "bad.wav" in str(refusal.value)
    assert one_sentence(str(refusal.value))


def test_a_recording_as_long_as_a_sample_is_enough(write):
    signal = np.random.default_rng(0).normal(0, 0.1, (PARAMS.sample_length, 2))
    assert len(Localise.localise(write("listen.wav", signal), tracker(), args()).track().time_s) == 1


def test_channels_are_picked_as_asked(write):
    signal = np.random.default_rng(0).normal(0, 0.1, (2 * RATE, 4)).astype(np.float32)
    one, other = tracker(), tracker()
    Localise.localise(write("four.wav", signal), one, args(channels=(4, 2)))
    other.push(signal[:, [3, 1]])
    assert np.array_equal(np.concatenate(one._hear.seen), np.concatenate(other._hear.seen))


@pytest.mark.parametrize(("flags", "message"), [
    ([], "name a file or a folder"),
    (["--live", "a.wav"], "takes one of"),
    (["--serve", "--live"], "takes one of"),
    (["a.wav", "--serve"], "--serve takes no recording; leave out a.wav and drop it on the page"),
    (["--serve", "80"], "--serve 80 is not possible; name a port from 1024 to 65535"),
    (["--serve", "a.wav"], "--serve takes no recording; leave out a.wav and drop it on the page"),
    (["--serve", "²"], "--serve takes no recording"),
    (["--serve", "-1"], "--serve -1 is not possible; name a port from 1024 to 65535"),
    (["--serve", "--html"], "--serve writes no files"),
    (["--serve", "--out", "elsewhere"], "--serve writes no files"),
    (["--live", "--list-devices"], "takes one of"),
    (["--list-devices", "--html"], "--html does nothing with --list-devices; leave it out"),
    (["--list-devices", "--out", "zzz"], "--out does nothing with --list-devices"),
    (["--list-devices", "--device", "1"], "--device does nothing with --list-devices"),
    (["--list-devices", "--swap-ears"], "--swap-ears does nothing with --list-devices"),
    (["a.wav", "--json"], "--json does nothing without --live; use --format json"),
    (["a.wav", "--video", "--video-over", "b.mp4"], "--video-over makes the only video"),
    (["a.wav", "--window-s", "0.5"], "--window-s does nothing without --live"),
    (["a.wav", "--device", "1"], "--device does nothing without --live"),
    (["a.wav", "--record", "b.wav"], "--record does nothing without --live"),
    (["a.wav", "--osc", "localhost:9000"], "--osc does nothing without --live"),
    (["--live", "--html"], "--html does nothing with --live"),
    (["--live", "--format", "json"], "--format does nothing with --live"),
    (["--live", "--window-s", "0.2"], "--window-s 0.2"),
    (["--live", "--window-s", "nan"], "--window-s nan"),
    (["nowhere.wav"], "nowhere.wav does not exist"),
    (["/dev/null"], "/dev/null is a pipe or a device"),
    ([""], "an argument is empty"),
    (["nowhere.wav", "--hop-s", "0"], "--hop-s"),
    (["nowhere.wav", "--channels", "1", "1"], "--channels"),
    (["nowhere.wav", "--format", "xml"], "--format"),
    (["nowhere.wav", "--sources", "0"], "--sources"),
    (["nowhere.wav", "--sources", "5"], "--sources"),
])
def test_flags_that_make_no_sense(tmp_path, flags, message):
    refused = run_script("Localise.py", *flags, status=2, cwd=tmp_path).stderr
    assert message in refused
    assert one_sentence(refused)
