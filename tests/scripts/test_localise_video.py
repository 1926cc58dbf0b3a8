"""Localise.py --video on real wavs: decoded again, the head turns when the source jumps, and the sound keeps time."""
import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from helpers import FakeHearing, one_sentence, run_script

import Localise
from params import Params
from shards import video

av = pytest.importorskip("av")
RATE = Params().sample_rate_hz
BURST_S, JUMP_ROW = 3.0, 25                                            # a row is 0.1 s; the first is at 0.51 s
TALKERS_DEG = np.tile([-40.0, 25.0], (100, 1))
RED, BLUE, ORANGE = (214, 39, 40), (31, 119, 180), (255, 127, 14)


class JumpingHearing(FakeHearing):
    """Hears a source at -50 degrees up to JUMP_ROW, then at 40."""

    rows = 0

    def __call__(self, cues, starts, frames):
        """Answer windows of cues (bin, frame, 2)."""
        answer, *others = super().__call__(cues, starts, frames)
        number = self.rows + np.arange(len(starts))
        self.rows += len(starts)
        answer.azimuth_deg = np.where(number < JUMP_ROW, -50.0, 40.0)
        return answer, *others


@pytest.fixture
def localise(tmp_path, monkeypatch):
    """Function: what Localise.py prints of recordings with a burst, and the folder of its results."""
    def run(*flags, hearing=JumpingHearing, names=("talk.wav",), status=0, out="out"):
        monkeypatch.setattr(Localise, "open_network", lambda *_: SimpleNamespace(hear_rows=hearing()))
        ears = 0.005 * np.random.default_rng(0).standard_normal((6 * RATE, 2))
        ears[round(BURST_S * RATE):round(BURST_S * RATE) + 800] *= 100
        for name in names:
            sf.write(tmp_path / name, ears, RATE, subtype="PCM_16")
        done = run_script("Localise.py", *(tmp_path / name for name in names), "--out", tmp_path / out, "--balance",
                          "off", "--no-smoothing", *flags, status=status)
        return done, tmp_path / out
    return run


def pictures_of(path):
    with av.open(f"file:{path}") as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def sound_of(path):
    """Sound of a video, (2, n), and its sample rate."""
    with av.open(f"file:{path}") as container:
        frames = list(container.decode(audio=0))
    assert frames[0].time == 0
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1), frames[0].sample_rate


def side_of(picture, color):
    """Mean column of a colour in the view of the head, relative to the middle; NaN without any."""
    near = (np.abs(picture[:picture.shape[0] // 2].astype(int) - color) < 25).all(axis=-1)
    return np.nonzero(near)[1].mean() - picture.shape[1] / 2 if near.sum() > 40 else np.nan


@pytest.mark.slow
def test_the_head_turns_when_the_source_jumps_and_the_burst_is_when_it_was(localise):
    done, out = localise("--video", "--video-size", 640, 360)
    assert ".csv, .mp4 (H.264 and AAC) and .png of each" in done.stdout
    table = list(csv.DictReader((out / "talk.csv").read_text().splitlines()))
    times_s = [float(row["time_s"]) for row in table if row["azimuth_deg"]]
    azimuths_deg = [float(row["azimuth_deg"]) for row in table if row["azimuth_deg"]]
    jump = next(at for at, azimuth_deg in enumerate(azimuths_deg) if azimuth_deg > 0)
    jump_s = (times_s[jump - 1] + times_s[jump]) / 2
    pictures = pictures_of(out / "talk.mp4")
    assert pictures[0][1].shape == (360, 640, 3)
    assert len(pictures) == 6 * video.RATE
    sides = [(time_s, side_of(picture, RED)) for time_s, picture in pictures]
    assert all(side < 0 for time_s, side in sides if time_s < jump_s)
    assert all(side > 0 for time_s, side in sides if time_s >= jump_s)
    sound, rate = sound_of(out / "talk.mp4")
    assert np.flatnonzero(np.abs(sound).max(axis=0) > 0.1)[0] / rate == pytest.approx(BURST_S, abs=0.005)


@pytest.mark.slow
def test_each_of_several_sources_has_its_colour(localise):
    _, out = localise("--video", "--sources", 2, "--video-size", 640, 360,
                      hearing=lambda: FakeHearing(talkers_deg=TALKERS_DEG))
    _, picture = pictures_of(out / "talk.mp4")[75]
    assert side_of(picture, BLUE) < 0 < side_of(picture, ORANGE)


@pytest.mark.slow
def test_over_a_film_the_sound_is_that_of_the_recording(localise, tmp_path):
    black = np.zeros((240, 320, 3), np.uint8)
    silence = [np.zeros((2 * video.SOUND_RATE_HZ, 2), np.float32)]
    video.write(tmp_path / "film.mp4", video.encoders(), lambda _: black, 20, 2.0, silence, "film", "theirs")
    done, out = localise("--video-over", tmp_path / "film.mp4")
    assert "film.mp4 lasts 2.0 s and the recording 6.0 s; its last picture stays to the end" in done.stderr
    pictures = pictures_of(out / "talk.mp4")
    assert len(pictures) == 6 * 20
    for _, picture in pictures[::30]:
        assert picture.shape == (240, 320, 3)
        assert picture[:120].max() < 30                                # the inset is in the lower right corner
        assert picture[120:, 160:].max() > 200
    sound, _ = sound_of(out / "talk.mp4")
    assert np.abs(sound).max() > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "loud"), [((), 1), (("--swap-ears",), 0)])
def test_the_ears_of_the_sound_are_those_that_were_localised(localise, tmp_path, flags, loud):
    ears = np.random.default_rng(0).standard_normal((2 * RATE, 3)) * [0, 0.02, 0.2]
    sf.write(tmp_path / "three.wav", ears, RATE)
    _, out = localise(tmp_path / "three.wav", "--channels", 2, 3, "--video", "--video-size", 320, 240, *flags, names=())
    sound, _ = sound_of(out / "three.mp4")
    assert np.square(sound).mean(axis=1).argmax() == loud


@pytest.mark.slow
def test_a_folder_gets_a_video_of_each_and_one_channel_is_skipped(localise, tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal((2 * RATE, 2))
    for name, signal in (("one.wav", noise), ("b%d $.wav", noise), ("mono.wav", noise[:, 0])):
        sf.write(tmp_path / name, signal, RATE)
    done, out = localise(tmp_path, "--video", names=())
    assert {path.name for path in out.glob("*.mp4")} == {"one.mp4", "b%d $.mp4"}
    assert pictures_of(out / "one.mp4")[0][1].shape == (720, 1280, 3)
    assert "mono.wav has one channel" in done.stderr
    assert len(json.loads((out / "all_recordings.json").read_text())) == 2


@pytest.mark.slow
def test_a_video_of_an_earlier_run_is_no_recording(localise, tmp_path):
    sf.write(tmp_path / "walk.wav", 0.1 * np.random.default_rng(0).standard_normal((2 * RATE, 2)), RATE)
    for _ in range(2):
        done, out = localise(tmp_path, "--video", names=(), out="localised")
        assert "1 recording(s), .csv, .mp4" in done.stdout
    assert "left out 1 result(s) of earlier runs, such as localised" in done.stderr
    assert not (out / "localised").exists()


def test_a_film_of_the_same_name_is_kept(localise, tmp_path):
    (tmp_path / "talk.mp4").write_bytes(b"the film beside the recording")
    done, _ = localise("--video", status=2, out="")
    assert one_sentence(done.stderr)
    assert "talk.mp4 exists and was not made by this script; choose another --out, or rename it" in done.stderr
    assert (tmp_path / "talk.mp4").read_bytes() == b"the film beside the recording"


@pytest.mark.parametrize(("flags", "says"), [
    (("--video-size", 640, 360), "--video-size does nothing without --video"),
    (("--video", "--video-size", 641, 360), "even numbers"),
    (("--video-over", "missing.mp4"), "missing.mp4 cannot be read as a video")])
def test_what_cannot_be_is_refused_before_any_work(localise, flags, says):
    done, out = localise(*flags, status=2)
    assert one_sentence(done.stderr)
    assert says in done.stderr
    assert not list(out.glob("*.csv"))
