"""Videos in and out: picture and sound keep time, files are whole, and a given video is shown as it was meant."""
import os
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from helpers import one_sentence, posix_only

from console import BadInput
from shards import video
from shards.own_files import check_targets

av = pytest.importorskip("av")
RATE, BURST_S = video.SOUND_RATE_HZ, 1.2
AVAILABLE = [each for each in video.CHOICES if {each.picture, each.sound} <= av.codecs_available]
NO_VIDEO = {"video": False, "video_size": None, "video_over": None, "live": False}


def level_of(number):
    """Make the brightness that tells the number of a frame, apart enough for any encoder."""
    return 20 + 4 * number


def number_of(picture):
    return round((float(picture.mean()) - 20) / 4)


def grey(time_s, rate=25):
    return np.full((48, 64, 3), level_of(round(time_s * rate)), np.uint8)


def ears_with_burst(seconds=2.0):
    """Make blocks of quiet noise with a loud burst at BURST_S."""
    ears = 1e-4 * np.random.default_rng(0).standard_normal((round(seconds * RATE), 2)).astype(np.float32)
    begin = round(BURST_S * RATE)
    ears[begin:begin + RATE // 20] *= 3000
    return np.array_split(ears, 7)


def frames_of(path):
    with av.open(f"file:{path}") as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def begin_of_burst_s(path):
    """Find when the sound of a video first exceeds a tenth of full scale, by the times that its frames state."""
    with av.open(f"file:{path}") as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()).max(axis=0) > 0.1)
            if len(loud):
                return frame.time + loud[0] / frame.sample_rate
    raise AssertionError("no burst")


def write(path, chosen=video.CHOICES[0], frame_at=grey, seconds=2.0, blocks=None):
    video.write(path, chosen, frame_at, 25, seconds, ears_with_burst() if blocks is None else blocks, "title",
                "Made with care")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("chosen", AVAILABLE, ids=lambda each: each.ending)
def test_picture_and_sound_keep_time(tmp_path, chosen):
    path = write(tmp_path / f"out{chosen.ending}", chosen)
    frames = frames_of(path)
    assert len(frames) == 50
    for number, (time_s, picture) in enumerate(frames):
        assert time_s == pytest.approx(number / 25, abs=1e-3)
        assert number_of(picture) == number
    assert begin_of_burst_s(path) == pytest.approx(BURST_S, abs=0.003)


def test_colours_are_those_given(tmp_path):
    red = np.tile(np.array([214, 39, 40, 255], np.uint8), (48, 64, 1))
    path = write(tmp_path / "out.mp4", frame_at=lambda _: red, seconds=0.2)
    with av.open(str(path)) as container:
        luma = next(container.decode(video=0)).to_ndarray(format="yuv420p")[:48].mean()
    assert luma == pytest.approx(16 + 219 / 255 * (0.2126 * 214 + 0.7152 * 39 + 0.0722 * 40), abs=1.5)  # ITU-R BT.709
    with video.Film(path) as given:
        np.testing.assert_allclose(given.at(0).mean(axis=(0, 1)), (214, 39, 40), atol=4)


@pytest.mark.parametrize("chosen", AVAILABLE, ids=lambda each: each.ending)
def test_a_video_says_what_it_was_made_of_and_is_the_same_again(tmp_path, chosen):
    one, other = (write(tmp_path / f"{name}{chosen.ending}", chosen, seconds=0.4) for name in ("one", "other"))
    with av.open(str(one)) as container:
        tags = {name.lower(): text for name, text in container.metadata.items()}
    assert tags["title"] == "title"
    assert tags["comment"] == "Made with care"
    assert video.is_ours(one)
    assert one.read_bytes() == other.read_bytes()


def test_sound_is_read_as_the_picture_goes_on(tmp_path):
    read, ahead = [0], []

    def blocks():
        for _ in range(40):
            read[0] += RATE // 10
            yield np.zeros((RATE // 10, 2), np.float32)

    def frame_at(time_s):
        ahead.append(read[0] / RATE - time_s)
        return grey(time_s)
    write(tmp_path / "out.mp4", frame_at=frame_at, seconds=2.0, blocks=blocks())
    assert max(ahead) <= video.AHEAD_S + 0.1
    assert read[0] == 4 * RATE                                        # sound that lasts longer is kept


@posix_only
def test_names_of_any_bytes_are_written_and_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(Path(os.fsdecode(b"a:b %d \xe9.mp4")), seconds=0.2)   # a is no protocol
    assert len(frames_of(path)) == 5
    with video.Film(path) as film:
        assert film.at(0).shape[2] == 3


@posix_only
@pytest.mark.parametrize("most_bytes", [100, 20_000])
def test_a_file_that_may_not_grow_is_told_and_leaves_nothing(tmp_path, most_bytes):
    import resource

    noise = np.random.default_rng(0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        with pytest.raises(BadInput, match="out.mp4 cannot be written because the file is larger than is allowed here"):
            write(tmp_path / "out.mp4", frame_at=lambda _: noise.integers(0, 255, (240, 320, 3), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------------------------- flags and encoders

def test_mp4_comes_first_and_webm_where_its_encoders_are_missing(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"libx264", "aac", "libvpx-vp9", "libopus"})
    assert video.encoders().ending == ".mp4"
    monkeypatch.setattr(av, "codecs_available", {"aac", "libvpx-vp9", "libopus"})
    assert video.encoders().ending == ".webm"
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.raises(BadInput, match="no encoder of H.264 or VP9"):
        video.encoders()


@pytest.mark.parametrize("given", [{"video": True}, {"video_over": "film.mp4"}])
def test_without_pyav_the_remedy_is_told(monkeypatch, given):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BadInput, match="--video needs PyAV; install it with pip install -r requirements") as told:
        video.encoders_asked_for(SimpleNamespace(**NO_VIDEO | given))
    assert one_sentence(str(told.value))


@pytest.mark.parametrize(("given", "says"), [
    ({"video_size": [640, 360]}, "--video-size does nothing without --video"),
    ({"video": True, "video_size": [641, 360]}, "--video-size 641 360 is not possible"),
    ({"video": True, "video_size": [640, 36]}, "even numbers from 320 x 240 to 3840 x 3840"),
    ({"video": True, "video_size": [160, 240]}, "even numbers from 320 x 240"),
    ({"video": True, "video_size": [3840, 240]}, "neither more than 4 times the other"),
    ({"video": True, "video_size": [320, 1282]}, "neither more than 4 times the other"),
    ({"video_over": "film.mp4", "video_size": [640, 360]}, "does nothing with --video-over"),
    ({"video": True, "live": True}, "nothing with --live"),
])
def test_flags_that_do_not_go_together_are_refused(given, says):
    with pytest.raises(BadInput, match=says):
        video.encoders_asked_for(SimpleNamespace(**NO_VIDEO | given))


def test_no_flag_no_video():
    assert video.encoders_asked_for(SimpleNamespace(**NO_VIDEO)) is None


@pytest.mark.parametrize("size", [[320, 240], [320, 1280], [960, 240], [3840, 3840]])
def test_sizes_at_the_limits_are_possible(size):
    assert video.encoders_asked_for(SimpleNamespace(**NO_VIDEO | {"video": True, "video_size": size}))


def test_a_file_of_the_user_is_not_overwritten(tmp_path):
    recording, of_user, of_camera, of_ours = (
        tmp_path / name for name in ("a.wav", "theirs.mp4", "camera.mp4", "ours.mp4"))
    recording.touch()
    write(of_ours, seconds=0.2)
    video.write(of_camera, video.encoders(), grey, 25, 0.2, ears_with_burst(), "holidays", "Made on holiday")
    of_user.write_bytes(b"precious")
    check_targets({recording: "ours"}, tmp_path, [".mp4"])
    check_targets({recording: "new"}, tmp_path, [".mp4"])
    for target in (of_user, of_camera):
        with pytest.raises(BadInput, match=f"{target.name} exists and was not made by"):
            check_targets({recording: target.stem}, tmp_path, [".mp4"])
    for film, read in ((of_ours, recording), (None, of_ours)):
        with pytest.raises(BadInput, match="ours.mp4 is to be read, and a result would have its name"):
            check_targets({read: "ours"}, tmp_path, [".mp4"], film)


def test_one_film_is_for_one_recording():
    with pytest.raises(BadInput, match="--video-over takes one recording, and these are 2; name one"):
        video.check("film.mp4", 2)


# -------------------------------------------------------------------------------------------------------- a given video

def film(path, size=(64, 48), rate=10, count=20, picture_from_s=0.0, sound_from_s=None, aspect=None):
    """Write a video whose brightness tells the number of each frame; with sound from a time on, or without."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if sound_from_s is not None:
            sound = out.add_stream("pcm_s16le", rate=RATE, layout="stereo")
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 2 * RATE), np.int16), "s16", "stereo")
            silence.sample_rate, silence.time_base = RATE, Fraction(1, RATE)
            silence.pts = round(sound_from_s * RATE)
            out.mux(sound.encode(silence))
        for number in range(count):
            picture = np.full((size[1], size[0], 3), level_of(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = round(1000 * (picture_from_s + number / rate))
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def numbers_at(path, times_s):
    with video.Film(path) as given:
        return [number_of(given.at(time_s)) for time_s in times_s]


def test_a_film_shows_the_picture_of_the_time_and_its_last_one_stays(tmp_path):
    path = film(tmp_path / "film.mkv")
    assert numbers_at(path, [0, 0.04, 0.1, 0.12, 1.0, 1.9, 5.0, 500.0]) == [0, 0, 1, 1, 10, 19, 19, 19]
    with video.Film(path) as given:
        assert given.rate == 10
        assert given.seconds == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize(("picture_from_s", "sound_from_s", "numbers"), [
    (0.0, None, [0, 5, 10]), (0.0, 0.0, [0, 5, 10]), (0.0, 0.5, [5, 10, 15]), (0.5, 0.0, [0, 0, 5])])
def test_the_time_of_a_film_counts_from_its_sound(tmp_path, picture_from_s, sound_from_s, numbers):
    path = film(tmp_path / "film.mkv", picture_from_s=picture_from_s, sound_from_s=sound_from_s)
    assert numbers_at(path, [0.0, 0.5, 1.0]) == numbers


@pytest.mark.parametrize(("size", "aspect", "shown"), [
    ((641, 361), None, (640, 360)), ((2560, 1440), None, (1920, 1080)), ((96, 64), None, (320, 214)),
    ((400, 300), Fraction(2, 1), (800, 300)), ((360, 640), None, (360, 640))])
def test_sizes_become_even_square_and_usual(tmp_path, size, aspect, shown):
    with video.Film(film(tmp_path / "film.mkv", size, count=1, aspect=aspect)) as given:
        assert (given.width, given.height) == shown
        assert given.at(0).shape == (shown[1], shown[0], 3)


@pytest.mark.parametrize(("matrix", "corner"), [      # how a phone was held: tkhd's a, b, c, d, and where black goes to
    ((1, 0, 0, 1), (0, 0)), ((0, 1, -1, 0), (0, -1)), ((-1, 0, 0, -1), (-1, -1)), ((0, -1, 1, 0), (-1, 0))])
def test_a_film_of_a_turned_phone_is_upright(tmp_path, matrix, corner):
    path = tmp_path / "film.mp4"
    picture = np.full((240, 320, 3), 255, np.uint8)
    picture[:60, :60] = 0                                              # the upper left corner, as it is stored
    write(path, frame_at=lambda _: picture, seconds=0.2)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44                                      # ISO/IEC 14496-12, 8.3.2: the matrix
    for place, value in zip((0, 1, 3, 4), matrix):
        data[at + 4 * place:at + 4 * place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    with video.Film(path) as given:
        shown = given.at(0)
    assert shown.shape == ((320, 240, 3) if matrix[0] == 0 else (240, 320, 3))
    darkest = [(row, column) for row in (0, -1) for column in (0, -1) if shown[row, column].max() < 60]
    assert darkest == [corner]


@pytest.mark.parametrize(("name", "says"), [
    ("text.mp4", "cannot be read as a video"), ("missing.mp4", "cannot be read"), ("sound.wav", "holds no picture")])
def test_what_is_no_film_is_refused(tmp_path, name, says):
    (tmp_path / "text.mp4").write_text("no video " * 100)
    sf.write(tmp_path / "sound.wav", np.zeros((RATE, 2)), RATE)
    with pytest.raises(BadInput, match=f"{name} {says}") as told:
        video.Film(tmp_path / name)
    assert one_sentence(str(told.value))


def test_a_film_that_is_cut_short_keeps_its_last_picture(tmp_path, capsys):
    path = film(tmp_path / "film.mkv", size=(320, 240), count=40)
    path.write_bytes(path.read_bytes()[:-path.stat().st_size // 2])
    shown = numbers_at(path, [0.0, 0.2, 10.0])
    assert shown[:2] == [0, 2]
    assert 2 <= shown[2] < 39
    assert "is cut short after" in capsys.readouterr().err


def test_a_film_that_ends_before_its_first_picture_is_refused(tmp_path):
    whole = write(tmp_path / "film.mp4", seconds=0.4).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:whole.index(b"mdat") + 4])
    with pytest.raises(BadInput, match=r"cut\.mp4 cannot be read as a video"):
        video.Film(tmp_path / "cut.mp4")


def test_a_film_that_is_damaged_goes_on_where_it_is_whole(tmp_path, capsys):
    path = film(tmp_path / "film.mp4", size=(320, 240), count=40)
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle:middle + 60] = bytes(60)
    path.write_bytes(data)
    shown = numbers_at(path, [0.0, 0.5, 3.9])
    assert shown[:2] == [0, 5]
    assert shown[2] > 30
    assert "film.mp4 is damaged from" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "says"), [
    (20.0, "lasts 2.0 s and the recording 20.0 s; its last picture stays to the end"),
    (1.0, "lasts 2.0 s and the recording 1.0 s; what follows is left out"), (2.1, "")])
def test_another_length_is_told(tmp_path, capsys, seconds, says):
    with video.Film(film(tmp_path / "film.mp4")) as given:
        given.warn_of_length(seconds)
    told = capsys.readouterr().err
    assert says in told
    assert bool(says) == bool(told)
