"""Draw the frames of a recording's video: a head seen from above shows where each source is, a cursor the time.

    frames = Frames(localised, 1280, 720)
    frame = frames.at(12.34)                                 # (720, 1280, 4) uint8, valid until the next call
    frame = Inset(localised, film).at(12.34)                 # the head alone, in a corner of a film's picture

What stays is drawn once. A row of the track changes the head, and each frame moves the cursor alone. The colours, the
scales and the words are those of the page (page.py, markup.py).
"""
import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Ellipse, FancyBboxPatch, Polygon, Wedge
from matplotlib.ticker import FuncFormatter, MaxNLocator

from scores import labels, markup, page, plots
from scores.markup import HEAD_RADIUS, RADIUS

LONGEST_PAGE_S = 60.0            # of the chart: of a longer recording it turns over like a page
VIEW = (-150.0, 150.0, -34.0, 136.0)  # left, right, bottom, top of the head's view, in units of markup.RADIUS
INSET_OF_WIDTH, INSET_OF_HEIGHT = 0.4, 0.45  # the most that an inset's width is of a picture's width, of its height
INSET_OPACITY = 0.85
LINE_UNITS, MOST_NAME = 20.0, 70  # height of a line of words in the inset, characters of a name that are shown
SCALE = ((90, "right", "top"), (45, "45°", "center"), (0, "front", "center"), (-45, "45°", "center"),
         (-90, "left", "bottom"))


class Moments:
    """Tell what is heard at any time of an exports.Localised; `most` is how many sources are heard at once at most."""

    def __init__(self, localised):
        self._tracks = localised.tracks
        self._ends_s = np.array(labels.edges_of(localised.track.time_s, localised.seconds)[1:-1])
        counts = sum(np.isfinite(track.azimuth_deg).astype(int) for track in self._tracks.values())
        self.most = max(1, int(np.max(counts, initial=0)))

    def row_at(self, time_s):
        """Return the row of the track that is nearest to a time."""
        return int(np.searchsorted(self._ends_s, time_s, side="right"))

    def heard(self, row):
        """List the sources of a row: (number or None, azimuth and 68 % half-width in degrees)."""
        return [(number, float(track.azimuth_deg[row]), float(track.half_width_68_deg[row]))
                for number, track in self._tracks.items() if np.isfinite(track.azimuth_deg[row])]


def words_of(heard):
    """Say each source of `Moments.heard` in a few words.

    Examples
    --------
    >>> words_of([(1, -40.2, 5.0), (2, 25.0, np.nan)])
    ['1: 40° left ± 5°', '2: 25° right']

    """
    return [("" if number is None else f"{number}: ") + page.direction(azimuth_deg)
            + labels.plus_minus(half_width_deg, "°")
            for number, azimuth_deg, half_width_deg in heard] or ["nothing heard"]


class HeadView:
    """A head seen from above in a matplotlib axes, as markup.head_view draws it, and sources around it that move."""

    def __init__(self, figure, left, bottom, width, height, most):
        """Draw what stays; the box is in pixels, and `most` sources are drawn at once."""
        view_width, view_height = VIEW[1] - VIEW[0], VIEW[3] - VIEW[2]
        unit = min(width / view_width, height / view_height)            # pixels
        box = (left + (width - unit * view_width) / 2, bottom + (height - unit * view_height) / 2,
               unit * view_width, unit * view_height)
        self.points = unit * 72 / figure.dpi                            # of text and lines, in a unit
        self.axes = figure.add_axes(np.array(box) / np.tile(figure.bbox.size, 2))
        self.axes.set(xlim=VIEW[:2], ylim=VIEW[2:])
        self.axes.axis("off")
        thin = {"color": markup.LINE, "linewidth": 1.5 * self.points}
        self.axes.add_patch(Arc((0, 0), 2 * RADIUS, 2 * RADIUS, theta1=0, theta2=180, **thin))
        self.axes.add_collection(LineCollection(
            [[_point(each, RADIUS), _point(each, RADIUS + (7 if each % 30 == 0 else 4))] for each in
             range(-90, 91, 15)], colors=markup.LINE, linewidths=1.5 * self.points))
        for each in (-60, -30, 0, 30, 60):
            self._text(*_point(each, RADIUS + 22), f"{abs(each)}°" if each else "front")
        self._text(-125, 0, "left")
        self._text(127, 0, "right")
        self._skull = [self.axes.add_patch(each) for each in self._parts_of_head()]
        self._sources = [self._moving() for _ in range(most)]

    def _text(self, x, y, text, **options):
        return self.axes.text(x, y, text, **{"ha": "center", "va": "center", "color": markup.SOFT,
                                             "fontsize": 11 * self.points} | options)

    def _parts_of_head(self):
        r, style = HEAD_RADIUS, {"facecolor": markup.SURFACE, "edgecolor": markup.INK, "linewidth": 2 * self.points,
                                 "animated": True}
        return [Ellipse((-r, 0), 8, 16, **style), Ellipse((r, 0), 8, 16, **style),
                Polygon([(-6, r - 2), (0, r + 9), (6, r - 2)], joinstyle="round", **style),
                Ellipse((0, 0), 2 * r, 2 * (r + 2), **style)]

    def _moving(self):
        """Make the wedge, the ray, the spot and the number of a source."""
        wedge = self.axes.add_patch(Wedge((0, 0), RADIUS, 0, 180, alpha=0.28, linewidth=0, animated=True))
        ray, = self.axes.plot([], [], linewidth=2.5 * self.points, solid_capstyle="round", animated=True)
        spot = self.axes.add_patch(Circle((0, 0), 9, facecolor=markup.SURFACE, linewidth=3 * self.points,
                                          animated=True))
        number = self._text(0, 0, "", color=markup.INK, fontweight="bold", animated=True, clip_on=False)
        return wedge, ray, spot, number

    def draw(self, heard):
        """Draw the sources of `Moments.heard`, and the head over them."""
        for (number, azimuth_deg, half_width_deg), (wedge, ray, spot, text) in zip(heard, self._sources):
            color, at = markup.LIGHT[page.color_of(number)], _point(azimuth_deg, RADIUS)
            half = max(np.nan_to_num(half_width_deg), markup.LEAST_SHOWN_DEG)
            low, high = np.clip((azimuth_deg - half, azimuth_deg + half), -90, 90)
            wedge.set(theta1=90 - high, theta2=90 - low, facecolor=color)
            ray.set(xdata=(0, at[0]), ydata=(0, at[1]), color=color)
            spot.set(center=at, edgecolor=color)
            text.set(position=at, text="" if number is None else str(number))
            for each in (wedge, ray, spot, text):
                self.axes.draw_artist(each)
        for each in self._skull:
            self.axes.draw_artist(each)


def _point(azimuth_deg, radius):
    """Place an azimuth in the head's view: (x, y), front up, right to the right."""
    return radius * math.sin(math.radians(azimuth_deg)), radius * math.cos(math.radians(azimuth_deg))


class Frames:
    """The frames of a recording's video: name and clock, head, what is heard in words, and the chart over time."""

    def __init__(self, localised, width, height):
        """Draw what stays of the frames of an exports.Localised; `width` and `height` in pixels."""
        self._moments, self._seconds = Moments(localised), localised.seconds
        self._page_s = self._seconds / math.ceil(self._seconds / LONGEST_PAGE_S)
        self._page = self._shown = None
        unit = min(width / 1280, height / 720)
        self._figure = Figure(figsize=(width / (100 * unit), height / (100 * unit)), dpi=100 * unit,
                              facecolor=markup.GROUND)
        self._canvas = FigureCanvasAgg(self._figure)
        chart_top = 0.35 * height
        self._chart = self._figure.add_axes((70 * unit / width, 44 * unit / height, 1 - 94 * unit / width,
                                             (chart_top - 44 * unit) / height), facecolor=markup.GROUND)
        self._head = HeadView(self._figure, 0, chart_top + 62 * unit, width, height - chart_top - 130 * unit,
                              self._moments.most)
        across = 32 * unit / width
        self._text(across, 1 - 38 * unit / height, _shown_name(localised.name), fontsize=15, ha="left",
                   color=markup.INK, parse_math=False, family=plots.families())  # $ is no formula
        self._clock = self._text(1 - across, 1 - 38 * unit / height, "", fontsize=15, ha="right", animated=True)
        self._words = self._text(0.5, (chart_top + 34 * unit) / height, "", fontsize=16, color=markup.INK,
                                 animated=True)
        self._draw_chart(localised)
        self._cursor = self._chart.axvline(0, color=markup.INK, linewidth=1.5, animated=True)

    def _text(self, x, y, text, **options):
        return self._figure.text(x, y, text, **{"ha": "center", "va": "center", "color": markup.SOFT} | options)

    def _draw_chart(self, localised):
        chart = self._chart
        chart.imshow(page.grey_levels(localised.spectrogram), cmap="gray", vmin=0, vmax=255, aspect="auto", alpha=0.75,
                     extent=(0, localised.seconds, -90, 90))
        for azimuth_deg in (-45, 0, 45):
            chart.axhline(azimuth_deg, color=markup.LINE if azimuth_deg else markup.SOFT, linewidth=0.8)
        for number, track in localised.tracks.items():
            lines, bands = [], []
            for time_s, rows in page.runs(track, localised.seconds):
                azimuth_deg, half_deg = track.azimuth_deg[rows], np.nan_to_num(track.half_width_68_deg[rows])
                low, high = (np.clip(azimuth_deg + sign * half_deg, -90, 90) for sign in (-1, 1))
                lines.append(np.column_stack((time_s, azimuth_deg)))
                bands.append(np.column_stack((np.append(time_s, time_s[::-1]), np.append(high, low[::-1]))))
            color = markup.LIGHT[page.color_of(number)]
            chart.add_collection(PolyCollection(bands, facecolors=color, alpha=0.3, linewidths=0))
            chart.add_collection(LineCollection(lines, colors=color, linewidths=2, capstyle="round"))
            if number and lines:
                above = lines[0][0, 1] < 60
                chart.annotate(str(number), lines[0][0], xytext=(2, 6 if above else -6), textcoords="offset points",
                               va="bottom" if above else "top", fontweight="bold", fontsize=10, color=markup.INK,
                               annotation_clip=True)
        chart.set(ylim=(-90, 90), yticks=[each for each, *_ in SCALE])
        for label, (*_, align) in zip(chart.set_yticklabels([name for _, name, _ in SCALE]), SCALE):
            label.set_verticalalignment(align)
        chart.xaxis.set_major_locator(MaxNLocator(12, steps=(1, 2, 5, 10)))
        chart.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: page.clock(time_s).removesuffix(".0")))
        chart.tick_params(colors=markup.SOFT, length=4, labelsize=10)
        for spine in chart.spines.values():
            spine.set_color(markup.LINE)

    def at(self, time_s):
        """Draw the frame of a time in seconds: np.ndarray [shape=(height, width, 4)], uint8, until the next call."""
        turned = min(int(time_s / self._page_s), round(self._seconds / self._page_s) - 1)
        if turned != self._page:
            self._page, self._shown = turned, None
            self._chart.set_xlim(turned * self._page_s, (turned + 1) * self._page_s)
            with plots.any_glyphs():
                self._canvas.draw()
            self._still = self._canvas.copy_from_bbox(self._figure.bbox)
        row, clock = self._moments.row_at(time_s), _clock(time_s)
        if (row, clock) != self._shown:
            self._shown, heard = (row, clock), self._moments.heard(row)
            self._canvas.restore_region(self._still)
            self._head.draw(heard)
            self._words.set_text("     ".join(words_of(heard)))
            self._clock.set_text(f"{clock} / {_clock(self._seconds)}")
            for text in (self._words, self._clock):
                self._figure.draw_artist(text)
            self._without_cursor = self._canvas.copy_from_bbox(self._figure.bbox)
        self._canvas.restore_region(self._without_cursor)
        self._cursor.set_xdata((time_s, time_s))
        self._chart.draw_artist(self._cursor)
        return np.asarray(self._canvas.buffer_rgba())


def _clock(time_s):
    """Write a time in whole seconds: text that seldom changes is seldom drawn."""
    return page.clock(int(time_s)).removesuffix(".0")


def _shown_name(name):
    name = page.plain(name)
    return name if len(name) <= MOST_NAME else f"{name[:MOST_NAME // 2]}…{name[-MOST_NAME // 2:]}"


class Inset:
    """The head alone with what is heard in words, in the lower right corner of a film's picture."""

    def __init__(self, localised, film):
        """Draw what stays; `film` has `width`, `height` and `at(time_s)`, a picture (height, width, 3), uint8."""
        self._moments, self._film, self._row = Moments(localised), film, None
        lines = LINE_UNITS * math.ceil(self._moments.most / 2)
        view_width, view_height = VIEW[1] - VIEW[0], VIEW[3] - VIEW[2]
        unit = min(INSET_OF_WIDTH * film.width, INSET_OF_HEIGHT * film.height) / view_width
        across, down = math.ceil(unit * view_width), math.ceil(unit * (view_height + lines + 8))
        self._figure = Figure(figsize=(across / 100, down / 100), dpi=100, facecolor="none")
        self._canvas = FigureCanvasAgg(self._figure)
        self._figure.add_artist(FancyBboxPatch(
            (0, 0), across, down, boxstyle=f"round,pad=0,rounding_size={8 * unit}", transform=None, linewidth=0,
            zorder=-1, facecolor=(markup.SURFACE, INSET_OPACITY)))
        self._head = HeadView(self._figure, 0, down - unit * view_height, across, unit * view_height,
                              self._moments.most)
        self._words = self._figure.text(0.5, (lines / 2 + 8) * unit / down, "", ha="center", va="center",
                                        color=markup.INK, fontsize=13 * self._head.points, animated=True)
        self._canvas.draw()
        self._still = self._canvas.copy_from_bbox(self._figure.bbox)
        margin = round(0.02 * min(film.width, film.height))
        down, across = self._canvas.buffer_rgba().shape[:2]
        self._place = (slice(film.height - margin - down, film.height - margin),
                       slice(film.width - margin - across, film.width - margin))

    def at(self, time_s):
        """Draw the film's picture of a time in seconds with the head over it: (height, width, 3), uint8."""
        row = self._moments.row_at(time_s)
        if row != self._row:
            self._row, heard = row, self._moments.heard(row)
            self._canvas.restore_region(self._still)
            self._head.draw(heard)
            words = words_of(heard)
            self._words.set_text("\n".join("   ".join(words[at:at + 2]) for at in range(0, len(words), 2)))
            self._figure.draw_artist(self._words)
            drawn = np.asarray(self._canvas.buffer_rgba()).astype(np.uint16)
            self._opacity = drawn[..., 3:]
            self._drawn = drawn[..., :3] * self._opacity
        picture = self._film.at(time_s).copy()
        below = picture[self._place]
        below[:] = (below * (255 - self._opacity) + self._drawn) // 255
        return picture
