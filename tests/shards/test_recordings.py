"""Labelled recordings become shards like any other, with every problem of the labels named at once."""
import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf
from helpers import run_script, through_the_head

import features
import hrir
from console import BadInput
from params import Params
from shards import recordings
from shards.audio import AudioCache
from shards.feeds import ShardFeed
from shards.files import open_shards
from shards.reading import read_samples
from sound import mixing

PARAMS = replace(Params(), frames=10)
RATE = PARAMS.sample_rate_hz
GOOD = "file,start_s,end_s,azimuth_deg\n"
AZIMUTHS_DEG = ((-45, 30), (60, 0))  # of the two stretches of each recording


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two recordings of two stretches of 0.5 s, from directions on and off the grid, and their labels."""
    folder, rng = tmp_path_factory.mktemp("recorded"), np.random.default_rng(0)
    rows = []
    for number, directions in enumerate(AZIMUTHS_DEG):
        signal = np.concatenate([through_the_head(rng.standard_normal(RATE // 2), each) for each in directions])
        sf.write(folder / f"take{number}.wav", 0.5 * signal / np.abs(signal).max(), RATE, subtype="FLOAT")
        rows += [(f"take{number}.wav", 0.5 * i, 0.5 * i + 0.48, each + 0.5) for i, each in enumerate(directions)]
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([recordings.HEADER, *rows])
    return folder


def spatialise(*flags, status=0):
    return run_script("SpatialiseTRAIN.py", "--recordings", *flags, "--frames", 10, status=status)


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """The folder of their shards, without noise."""
    out = tmp_path_factory.mktemp("shards_of_recordings")
    assert "2 recordings" in spatialise(folder, "--out", out).stdout
    return out


def shards_of(path):
    return open_shards(path, PARAMS, "X.py")


def samples_of(shard):
    samples = np.empty((len(shard.labels), *PARAMS.sample_shape), np.float16)
    read_samples(shard, 0, len(samples), samples)
    return samples


@pytest.mark.parametrize("content", ["\x07" * 120_000, GOOD + "a.wav," + "9" * 100_000 + ",x,y\n",
                                     GOOD + "a" * 100_000 + ",1,2,3\n"], ids=["header", "numbers", "name"])
def test_what_a_damaged_table_holds_is_not_quoted_whole(tmp_path, content):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(BadInput) as refused:
        recordings.read_labels(tmp_path, PARAMS)
    assert len(str(refused.value)) < 600
    assert "\x07" not in str(refused.value)


# --------------------------------------------------------------------------------------------------------------- shards

def test_each_recording_becomes_a_shard_with_its_labels(made):
    shards = shards_of(made)
    assert [shard.speech for shard in shards] == ["take0.wav", "take1.wav"]
    assert [sorted(set(shard.labels.tolist())) for shard in shards] == [[-44.5, 30.5], [0.5, 60.5]]


def test_a_sample_of_a_recording_has_no_noise_and_no_simulated_head(made):
    shard = shards_of(made)[0]
    assert np.isinf(shard.snr_db).all()
    assert set(shard.hrir.tolist()) == {"recording"}
    assert set(shard.noise_field.tolist()) == {""}
    assert np.isnan(shard.room_rt60_s).all()


def test_samples_overlap_by_half_and_hold_the_cues_of_the_recording(folder, made):
    shard = shards_of(made)[1]
    signal, _ = sf.read(folder / shard.speech, dtype="float32")
    expected = features.from_ears(signal[1_600:1_600 + PARAMS.sample_length].T, PARAMS)
    np.testing.assert_allclose(shard.excerpt_start_s[:3], [0, 0.1, 0.2], atol=1e-4)
    np.testing.assert_allclose(samples_of(shard)[1].astype(float)[..., 1], expected[..., 1], atol=0.05)


def test_a_row_sounds_as_its_cues_say(folder, made):
    plan = recordings.RecordingPlan(recordings.read_labels(folder, PARAMS)[0], None, None)
    ears = plan.ears(3, mixing.Mixer(PARAMS, []), AudioCache(PARAMS))
    expected = features.from_ears(ears, PARAMS)
    np.testing.assert_allclose(samples_of(shards_of(made)[0])[3].astype(float)[..., 1], expected[..., 1], atol=0.05)


def test_shards_are_made_again_where_the_labels_have_changed(folder, made):
    labels = (folder / "labels.csv").read_text()
    assert "nothing to do" in spatialise(folder, "--out", made).stdout
    (folder / "labels.csv").write_text(labels.replace("60.5", "61.5"))
    try:
        assert "made 1 shards" in spatialise(folder, "--out", made).stdout
    finally:
        (folder / "labels.csv").write_text(labels)
        spatialise(folder, "--out", made)


def test_noise_is_added_at_the_snr_asked_for(folder, noise_files):
    params = replace(PARAMS, snr_db=(0, 20))
    mixer = mixing.Mixer(params, [hrir.load("mit_kemar", 16_000, mixing.directions_deg(params))])
    recording, noise = recordings.read_labels(folder, PARAMS)[0], noise_files("noise", 1, 1.0, PARAMS)[1][0]
    clean, noisy = (recordings.RecordingPlan(recording, each, None) for each in (None, noise))
    assert noisy.count(mixer) == 2 * clean.count(mixer) == len(list(noisy.samples(mixer, AudioCache(params))))
    ears = clean.ears(1, mixer, AudioCache(params))
    for row, snr_db in ((2, 0), (3, 20)):
        added = noisy.ears(row, mixer, AudioCache(params)) - ears
        measured_db = 10 * np.log10(np.mean(np.square(ears)) / np.mean(np.square(added)))
        assert measured_db == pytest.approx(snr_db, abs=0.01)


def test_recordings_and_simulation_are_mixed_by_weights(made, fake_shard):
    simulated = [fake_shard(f"{i}.npz", f"{i}") for i in range(4)]
    feed = ShardFeed([simulated, shards_of(made)], PARAMS, [1, 5])
    of_recordings = [len(shard.labels) for shard in shards_of(made)]
    assert feed.training_count in [3 * 8 + 5 * count for count in of_recordings]  # one of the two trains
    assert feed.title == "6 shards of 2 folders"


@pytest.mark.slow
def test_networks_are_trained_and_tested_on_recordings(made, tmp_path):
    run_script("TrainingCNN.py", "--data", made, "--epochs", 1, "--out", tmp_path / "models")
    tested = run_script("Testing.py", "--data", made, "--models", tmp_path / "models", "--out", tmp_path / "results")
    figures = json.loads((tmp_path / "results" / "results.json").read_text())["best"]
    assert re.search(r"SNR \(dB\) .*\n +no noise +\d", tested.stdout)
    assert re.search(r"\nnoise .*\n +none +\d", tested.stdout)
    assert "no noise" in (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "results" / "accuracy_by_snr.png").exists()
    assert list(figures["by_snr_db"]) == ["inf"]
    assert set(figures["by_azimuth_deg"]) == {"-44.5", "0.5", "30.5", "60.5"}


# --------------------------------------------------------------------------------------------------------------- labels

@pytest.mark.parametrize("labels", [
    "file;start_s;end_s;azimuth_deg\ntake0.wav;0;0,48;-44,5\n",
    "file\tstart_s\tend_s\tazimuth_deg\ntake0.wav\t0\t0.48\t-44.5\n",
    "File,Start_s,End_s,AZIMUTH_DEG\ntake0.wav,0,0.48,-44.5\n",
])
def test_labels_are_read_as_spreadsheets_write_them(folder, tmp_path, labels):
    (tmp_path / "take0.wav").symlink_to(folder / "take0.wav")
    (tmp_path / "labels.csv").write_text(labels)
    assert recordings.read_labels(tmp_path, PARAMS)[0].stretches == ((0, 0.48, -44.5),)


def cut_in_half(path):
    """Write 2.75 s of noise as a wav, and keep half of its bytes."""
    sf.write(path, 0.1 * np.random.default_rng(0).standard_normal((round(2.75 * RATE), 2)), RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def test_a_recording_cut_short_gives_the_samples_it_holds(tmp_path, capsys):
    cut_in_half(tmp_path / "cut.wav")
    (tmp_path / "labels.csv").write_text(GOOD + "cut.wav,0,1.2,10\n")
    recording, = recordings.read_labels(tmp_path, PARAMS)
    assert "cut.wav is cut short" in capsys.readouterr().err
    plan = recordings.RecordingPlan(recording, None, None)
    mixer = mixing.Mixer(PARAMS, [])
    assert len(list(plan.samples(mixer, AudioCache(PARAMS)))) == plan.count(mixer) > 5
    assert capsys.readouterr().err == ""


def test_the_duration_of_a_recording_is_what_it_holds_not_what_its_header_says(tmp_path):
    av = pytest.importorskip("av")
    signal = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
    sf.write(tmp_path / "open.wav", signal, RATE, subtype="PCM_16")
    stored = bytearray((tmp_path / "open.wav").read_bytes())
    stored[4:8] = stored[40:44] = bytes(4)  # never closed
    (tmp_path / "open.wav").write_bytes(stored)
    with av.open(str(tmp_path / "phone.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(signal.T, np.float32), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    (tmp_path / "labels.csv").write_text(GOOD + "open.wav,0,1,5\nphone.m4a,0,0.9,5\n")
    assert [each.name for each in recordings.read_labels(tmp_path, PARAMS)] == ["open.wav", "phone.m4a"]


@pytest.mark.parametrize(("labels", "says"), [
    ("", "its first line must be file,start_s,end_s,azimuth_deg"),
    ("file;start_s;end_s\n", "its first line must be"),
    (GOOD, "holds no stretch"),
    (GOOD + "nowhere.wav,0,2,0\n", "row 2: nowhere.wav does not exist"),
    (GOOD + "take0.wav,0,99,0\n", "row 2: 0 to 99 s does not lie within take0.wav (1.00 s)"),
    (GOOD + "take0.wav,3,2,0\n", "row 2: 3 to 2 s does not lie within"),
    (GOOD + "take0.wav,0,0.2,0\n", "row 2: 0 to 0.2 s is shorter than a sample (0.22 s)"),
    (GOOD + "take0.wav,0,0.9,120\n", "row 2: azimuth 120 is not within"),
    (GOOD + "take0.wav,0,0.9,nan\n", "row 2: 0, 0.9, nan are not finite"),
    (GOOD + "take0.wav,0,0.9,left\n", "row 2: 0, 0.9, left are not three numbers"),
    (GOOD + "take0.wav,0,0.9,5,5\n", "a decimal comma?"),
    (GOOD + "take0.wav,0,0.6,5\ntake0.wav,0.5,0.9,5\n", "row 3: overlaps with the stretch 0 to 0.6 s"),
    (GOOD + "mono.wav,0,2,5\n", "mono.wav has one channel"),
    (GOOD + "text.wav,0,2,5\n", "text.wav cannot be read as audio"),
    (GOOD + "cut.wav,0,2,5\n", "row 2: 0 to 2 s does not lie within cut.wav (1.3"),
])
def test_labels_that_cannot_be_used_are_named_by_row(folder, tmp_path, labels, says):
    (tmp_path / "take0.wav").symlink_to(folder / "take0.wav")
    sf.write(tmp_path / "mono.wav", np.zeros(3 * RATE), RATE)
    (tmp_path / "text.wav").write_text("no audio")
    cut_in_half(tmp_path / "cut.wav")
    (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(BadInput, match=r"labels\.csv") as refusal:
        recordings.read_labels(tmp_path, PARAMS)
    assert says in str(refusal.value)


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no labels.csv"):
        recordings.read_labels(tmp_path, PARAMS)


def test_all_problems_come_at_once_and_before_anything_is_written(folder, tmp_path):
    (tmp_path / "take0.wav").symlink_to(folder / "take0.wav")
    (tmp_path / "labels.csv").write_text(GOOD + "take0.wav,0,0.5,5\nnowhere.wav,0,2,5\n\ntake0.wav,0.6,0.9,100\n")
    refused = spatialise(tmp_path, "--out", tmp_path / "out", status=2).stderr
    assert "2 row(s)" in refused
    assert "row 3: nowhere.wav" in refused
    assert "row 5: azimuth 100" in refused
    assert not (tmp_path / "out").exists()


def test_samples_stay_within_their_stretch():
    stretches = (recordings.Stretch(0.0, 0.22, -10.0), recordings.Stretch(0.5, 1.0, 20.0))
    starts, azimuths = recordings.starts_of(recordings.Recording(None, "", "", stretches), PARAMS)
    assert azimuths.tolist() == [-10, 20, 20, 20]
    np.testing.assert_allclose(starts / RATE, [0, 0.5, 0.6, 0.7])
