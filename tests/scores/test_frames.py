"""Frames of a video: each source in its colour where it is now, the cursor where the sound is, whatever the name."""
import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import TIME_S, localised_by_hand, source_by_hand
from matplotlib.colors import to_rgb

from network.tracks import Track
from scores import frames, markup
from scores.frames import Frames, Inset, Moments, words_of

WIDTH, HEIGHT = 1280, 720
RED, BLUE, ORANGE = (markup.LIGHT[at] for at in (0, 1, 2))
NOBODY = Track(TIME_S, *np.full((2, 190), np.nan), np.zeros(190), np.zeros(190))
NAMES = ["$\\frac{$ & <b>.wav", "\u65e5\u672c\u8a9e \U0001f600 \u05e9\u05dc\u05d5\u05dd.wav", "t\udce9.wav", "n" * 255]


def of_color(picture, color, tolerance=2):
    """Rows and columns of the pixels of a colour."""
    wanted = np.round(255 * np.array(to_rgb(color)))
    return np.nonzero((np.abs(picture[..., :3].astype(int) - wanted) <= tolerance).all(axis=-1))


def in_view(picture, color):
    """Columns, relative to the middle, of the pixels of a colour in the upper part, where the head is."""
    rows, columns = of_color(picture[:round(0.55 * picture.shape[0])], color)
    return columns - picture.shape[1] / 2


def place(drawn, azimuth_deg, radius):
    """Row and column of a place in the head's view."""
    x, y = drawn._head.axes.transData.transform(frames._point(azimuth_deg, radius))
    return int(drawn._canvas.buffer_rgba().shape[0] - y), int(x)


def cursor_column(picture, drawn):
    """Column of the cursor: of the ink that crosses the whole chart."""
    box = drawn._chart.bbox
    chart = picture[HEIGHT - int(box.y1) + 3:HEIGHT - int(box.y0) - 3, int(box.x0) + 3:int(box.x1) - 3]
    is_dark = (chart[..., :3].max(axis=-1) < 90).mean(axis=0)
    assert is_dark.max() > 0.95
    return int(box.x0) + 3 + int(is_dark.argmax())


def test_each_source_has_its_colour_where_it_is_while_it_is_heard():
    drawn = Frames(localised_by_hand(), WIDTH, HEIGHT)
    for time_s, is_left, is_right in ((1.0, False, False), (4.0, True, False), (7.0, True, True), (10.0, False, True)):
        picture = drawn.at(time_s)
        left, right = in_view(picture, BLUE), in_view(picture, ORANGE)
        assert (len(left) > 300, len(right) > 300) == (is_left, is_right)
        assert not len(left) or left.max() < 0
        assert not len(right) or right.min() > 0
    assert not len(in_view(picture, RED))


def test_one_source_is_red_as_on_the_page():
    picture = Frames(localised_by_hand(several=False), WIDTH, HEIGHT).at(4.0)
    assert in_view(picture, RED).max() < 0


@pytest.mark.parametrize("half_width_deg", [0.2, 5.0, 20.0])
def test_the_wedge_is_the_68_percent_interval(half_width_deg):
    source = source_by_hand(-40.0, 2, 8, half_width_deg)
    drawn = Frames(localised_by_hand(sources=[source]), WIDTH, HEIGHT)
    picture = drawn.at(4.0)[..., :3].astype(int)
    ground = picture[5, 5]
    shown_deg = max(half_width_deg, markup.LEAST_SHOWN_DEG)
    for sign in (-1, 1):
        inside, outside = (picture[place(drawn, -40 + sign * (shown_deg + beyond), 88)] for beyond in (-0.7, 2.0))
        assert np.abs(inside - ground).max() > 20
        assert np.abs(outside - ground).max() < 20


def test_the_cursor_is_where_the_sound_is():
    spectrogram = np.full((321, 1000), 1e-9)
    spectrogram[:, 500:503] = 1.0                                      # a click from 10.00 to 10.06 s
    drawn = Frames(localised_by_hand(several=False, track=NOBODY, spectrogram=spectrogram), WIDTH, HEIGHT)
    away = drawn.at(1.0).copy()
    middle = HEIGHT - int((drawn._chart.bbox.y0 + drawn._chart.bbox.y1) / 2) + 10
    dark = np.flatnonzero(away[middle, :, 0] < 130)
    click = dark[dark > cursor_column(away, drawn) + 10]
    assert cursor_column(drawn.at(10.03), drawn) == pytest.approx(click.mean(), abs=1.5)
    columns = [cursor_column(drawn.at(time_s), drawn) for time_s in np.linspace(1, 19, 10)]
    np.testing.assert_allclose(np.diff(columns), np.diff(columns).mean(), atol=1.01)


def test_the_head_changes_half_way_between_two_rows():
    left, right = source_by_hand(-40.0, 0, 9.96), source_by_hand(70.0, 9.96, 20)   # from the row of 10.01 s on
    drawn = Frames(localised_by_hand(sources=[left, right]), WIDTH, HEIGHT)
    assert in_view(drawn.at(9.95), BLUE).size
    assert in_view(drawn.at(9.97), ORANGE).size
    assert not in_view(drawn.at(9.97), BLUE).size
    assert in_view(drawn.at(9.95), BLUE).size                          # and back


def test_the_words_are_those_of_the_page():
    moments = Moments(localised_by_hand())
    assert moments.most == 2
    assert words_of(moments.heard(moments.row_at(7.0))) == ["1: 40° left ± 10°", "2: 70° right ± 10°"]
    assert words_of(moments.heard(moments.row_at(0.0))) == ["nothing heard"]
    assert [moments.row_at(time_s) for time_s in (0.0, 0.55, 0.57, 20.0, 99.0)] == [0, 0, 1, 189, 189]


def test_a_long_recording_turns_over():
    drawn = Frames(localised_by_hand(several=False, track=NOBODY, seconds=150.0), WIDTH, HEIGHT)
    box = drawn._chart.bbox
    begin, middle, end, turned = (cursor_column(drawn.at(time_s), drawn) for time_s in (0.5, 25.0, 49.5, 50.5))
    assert begin < box.x0 + 20
    assert middle == pytest.approx((box.x0 + box.x1) / 2, abs=2)
    assert end > box.x1 - 20
    assert turned == begin
    assert cursor_column(drawn.at(149.5), drawn) == end


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_drawn(name):
    frame = Frames(localised_by_hand(name=name), WIDTH, HEIGHT).at(3.0)
    rows, columns = of_color(frame[10:60], markup.INK, 30)
    assert columns.min() > 20
    assert columns.max() < 1100                                        # where the clock begins


@pytest.mark.parametrize("size", [(160, 160), (720, 1280), (1920, 1080)])
def test_sizes_are_those_asked_for(size):
    frame = Frames(localised_by_hand(), *size).at(4.0)
    assert frame.shape == (size[1], size[0], 4)
    assert in_view(frame, BLUE).size


def test_without_half_widths_or_sources_there_are_frames_too():
    unsure = localised_by_hand(sources=[source_by_hand(-40.0, 2, 8, np.nan)])
    assert in_view(Frames(unsure, WIDTH, HEIGHT).at(4.0), BLUE).size
    for nobody in (localised_by_hand(sources=[]), localised_by_hand(several=False, track=NOBODY)):
        picture = Frames(nobody, WIDTH, HEIGHT).at(4.0)
        assert not in_view(picture, BLUE).size
        assert not in_view(picture, RED).size


# -------------------------------------------------------------------------------------------------------------- inset

def film(width=640, height=360):
    picture = np.random.default_rng(0).integers(100, 110, (height, width, 3), np.uint8)
    return SimpleNamespace(width=width, height=height, picture=picture, at=lambda time_s: picture)


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (360, 640), (320, 20)])
def test_the_inset_leaves_the_rest_of_the_picture(size):
    given = film(*size)
    before = given.picture.copy()
    inset = Inset(localised_by_hand(), given)
    pictures = [inset.at(time_s) for time_s in (4.0, 4.02, 10.0, 4.0)]
    np.testing.assert_array_equal(given.picture, before)               # the next frame is drawn upon it
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[3])
    changed = (pictures[0] != before).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert rows.min() > 0.4 * size[1]
    assert columns.min() > 0.55 * size[0]
    assert changed.mean() > 0.005


def test_the_inset_shows_each_source_where_it_is():
    inset = Inset(localised_by_hand(), film())
    picture = inset.at(7.0)
    (_, left), (_, right) = (of_color(picture, color, 30) for color in (BLUE, ORANGE))
    assert left.max() < right.min()
    assert not of_color(inset.at(1.0), BLUE, 30)[0].size


def test_words_of_many_sources_take_several_lines():
    sources = [source_by_hand(azimuth_deg, 2, 8) for azimuth_deg in (-60.0, -20.0, 20.0, 60.0)]
    two, four = (Inset(localised_by_hand(sources=some), film()) for some in (sources[:2], sources))
    four.at(4.0)
    assert re.fullmatch(r"1: .*   2: .*\n3: .*   4: .*", four._words.get_text())
    assert four._canvas.buffer_rgba().shape[0] > two._canvas.buffer_rgba().shape[0]
