"""The page of a recording: it plays, a head seen from above shows where each source is now, and all is said in words.

    text = page.html(localised, "audio/flac", flac_bytes)     # one file that opens offline
    text = page.index(["<tr>...</tr>"])                      # a row of each page: page.row

page.css is its look and page.js what it does; markup.py holds what it shares with the report of a test.
"""
import base64
import json
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from scores import labels, markup

LONGEST_INSIDE_S, MOST_INSIDE_BYTES = 600.0, 64 << 20  # a longer or larger sound lies beside its page, not in it
RANGE_DB, HEADROOM_DB = 80.0, 25.0  # of the spectrogram below its maximum, and above it: it is to be a background
GREY_STEPS = 8            # between levels, so that the picture is small
MOST_BANDS = 160          # of frequency
OVERVIEW_ROWS = 400       # of a track in the table over several recordings
HERE = Path(__file__).parent
STYLE, SCRIPT = ((HERE / f"page.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
ICONS = {"before": "M6 5h2v14H6zM20 5v14l-11-7z", "after": "M16 5h2v14h-2zM4 5v14l11-7z"}


def html(localised, media_type, sound, links=()):
    """Make the page of a recording.

    Parameters
    ----------
    localised : exports.Localised
    media_type : str, of the sound
    sound : bytes that go into the page, or the name of a file beside it, str
    links : sequence of (text, address), of what stands above the name: the table over several recordings

    Returns
    -------
    str

    """
    if isinstance(sound, bytes):
        player = '<audio id="audio" preload="auto"></audio>'
        inside = (f'<script type="application/octet-stream" id="sound" data-type="{media_type}">'
                  f"{base64.b64encode(sound).decode()}</script>")
    else:
        player, inside = (f'<audio id="audio" preload="auto" src="{_address(sound)}" '
                          f'data-name="{escape(plain(sound))}"></audio>'), ""
    events = localised.events
    body = (_header(localised, links) + _player(player) + "<main>" + _stage(localised) + _time(localised)
            + _list(events, localised) + "</main>" + _footer(localised)
            + f'<script type="application/json" id="data">{_data(localised)}</script>{inside}')
    return markup.document(f"{plain(localised.name)}: where it comes from", body, STYLE, SCRIPT,
                           "blob:" if inside else "'self' file:")


def _header(localised, links):
    back = "".join(f'<a class="back" href="{_address(address)}">{escape(text)}</a>' for text, address in links)
    warnings = "".join(f"<li>{escape(plain(each))}</li>" for each in localised.warnings)
    warnings = (f'<section class="warnings" aria-labelledby="mind"><h2 id="mind">Warnings about this recording</h2>'
                f"<ul>{warnings}</ul></section>") if warnings else ""
    return (f"<header>{back}<h1>{escape(plain(localised.name))}</h1>"
            f"<p>{escape(_sentence(localised.summary))}</p></header>{warnings}")


def _player(audio):
    icon = '<svg viewBox="0 0 24 24" aria-hidden="true"{}><path d="{}"/></svg>'.format
    return ('<section class="player" aria-label="Player">'
            f'<button id="before" aria-label="Back to what was heard before">{icon("", ICONS["before"])}</button>'
            f'<button id="play" aria-label="Play">{icon(" class=start", "M8 5v14l11-7z")}'
            f'{icon(" class=stop", "M7 5h4v14H7zM13 5h4v14h-4z")}</button>'
            f'<button id="after" aria-label="On to what is heard next">{icon("", ICONS["after"])}</button>'
            f'<span id="clock"></span><span class="keys"><kbd>Space</kbd> play, <kbd>←</kbd> <kbd>→</kbd> one second, '
            "<kbd>Shift</kbd> with them what is heard before or next</span>"
            f'{audio}<p id="problem" role="alert"></p><p id="status" class="unseen" role="status"></p></section>'
            '<noscript><p class="warnings">Without JavaScript the recording cannot be played here. All that was heard '
            "is in the list below.</p></noscript>")


def _stage(localised):
    sources = "".join(
        f'<g class="source silent c{color_of(number)}" id="source-{at}"><path class="wedge"/><path class="ray"/>'
        f'<g class="at"><circle class="spot" r="9"/><text class="number" y="4">{number or ""}</text></g></g>'
        for at, number in enumerate(localised.tracks))
    view = markup.head_view(sources, "A head seen from above, its nose up, and where each source is now; "
                                     "said in words below")
    return (f'<section class="stage"><h2 class="unseen">Now</h2>{view}<p id="now">nothing heard</p>'
            '<p class="note">The wedge is the 68 % interval. A sound behind is shown as its mirror image in front.</p>'
            "</section>")


def _time(localised):
    grid = "".join(f'<line x1="0" x2="100%" y1="{_percent(each)}" y2="{_percent(each)}"'
                   f'{" class=front" if each == 0 else ""}/>' for each in range(-45, 46, 45))
    drawn = "".join(f'<g class="c{color_of(number)}">{_band(track, localised.seconds)}'
                    f"{_line(track, localised.seconds)}</g>"
                    for number, track in localised.tracks.items())
    names = "".join(_name(number, track, localised.seconds) for number, track in localised.tracks.items() if number)
    picture = markup.data_url("image/png", markup.grey_png(grey_levels(localised.spectrogram)))
    shape = f'viewBox="0 -90 {localised.seconds:.3f} 180" preserveAspectRatio="none"'
    scale = "".join(f'<text x="100%" dx="-8" y="{_percent(each)}" dy="{dy}" text-anchor="end">{name}</text>'
                    for each, name, dy in ((90, "right", 12), (45, "45°", 4), (0, "front", 4), (-45, "45°", 4),
                                           (-90, "left", -3)))
    khz = localised.sample_rate_hz / 2000
    return ('<section class="time"><div class="titled"><h2 id="over-time">Over time</h2><div class="zoom">'
            '<button id="wider" aria-label="Show more time">−</button>'
            '<button id="closer" aria-label="Show less time, larger">+</button></div></div>'
            f'<div class="chart"><svg class="scale" aria-hidden="true">{scale}</svg><div class="window">'
            f'<div id="plot" role="slider" tabindex="0" aria-label="Position in the recording" aria-valuemin="0" '
            f'aria-valuemax="{localised.seconds:.1f}" aria-valuenow="0"><svg id="tracks" aria-hidden="true">'
            f'<svg {shape}><image class="spectrogram" x="0" y="-90" width="{localised.seconds:.3f}" height="180" '
            f'preserveAspectRatio="none" href="{picture}"/></svg><g class="grid">{grid}</g><svg {shape}>{drawn}</svg>'
            f'{names}<line id="cursor" y1="0" y2="100%"/></svg><svg id="ticks" aria-hidden="true"></svg></div></div>'
            f'</div><p class="note">Click to play from there. Grey: the spectrogram, 0 to {khz:g} kHz from bottom to '
            "top. Bands: the 68 % intervals.</p></section>")


def _list(events, localised):
    several = localised.sources is not None
    head = "".join(f'<th scope="col">{each}</th>' for each in
                   (*(["Source"] if several else []), "When", "Where"))
    body = "".join(_event(event, several) for event in events)
    strip = '<th scope="col" class="left-to-right"><span class="unseen">Left to right</span></th>'
    table = (f"<table><thead><tr>{head}{strip}</tr></thead><tbody>{body}</tbody></table>" if events
             else "<p>Nothing was heard.</p>")
    return ('<section class="when"><h2 id="heard">What was heard when</h2><div class="list" id="list" role="region" '
            f'tabindex="0" aria-labelledby="heard">{table}</div></section>')


def _event(event, several):
    number = f'<td><b class="c{color_of(event.source)}">{event.source}</b></td>' if several else ""
    words = labels.in_words(event).replace(" ± <", ", plus or minus less than ").replace(" ± ", ", plus or minus ")
    half = f" <span>{escape(labels.plus_minus(event.half_width_deg, '°').strip())}</span>"
    low, high = (min(max(event.azimuth_deg + sign * np.nan_to_num(event.half_width_deg), -90), 90) for sign in (-1, 1))
    strip = ('<svg class="strip" viewBox="-90 0 180 20" preserveAspectRatio="none" aria-hidden="true">'
             '<line x1="-90" x2="90" y1="10" y2="10"/><line class="middle" x1="0" x2="0" y1="4" y2="16"/>'
             f'<rect x="{low:.0f}" width="{high - low:.0f}" y="4" height="12"/>'
             f'<line class="at" x1="{event.azimuth_deg:.0f}" x2="{event.azimuth_deg:.0f}" y1="2" y2="18"/></svg>')
    return (f'<tr data-start="{event.start_s:.3f}" data-end="{event.end_s:.3f}">{number}<td><button aria-label="Play '
            f'from {clock(event.start_s)} to {clock(event.end_s)}: {words}">{clock(event.start_s)} – '
            f'{clock(event.end_s)}</button></td><td class="where">{direction(event.azimuth_deg)}{half}</td>'
            f'<td class="left-to-right c{color_of(event.source)}">{strip}</td></tr>')


def direction(azimuth_deg):
    """Write an azimuth as the page does.

    Examples
    --------
    >>> direction(-31.6), direction(0.2)
    ('32° left', 'in front, 0°')

    """
    degrees = round(abs(azimuth_deg))
    return f"{degrees}° {'right' if azimuth_deg > 0 else 'left'}" if degrees else "in front, 0°"


def _footer(localised):
    return f"<footer>{escape(made_in_words(localised.made_with))}. Azimuths are relative to the nose.</footer>"


def made_in_words(made):
    """Say what the answers depend on, of `Localised.made_with`; of files the names alone."""
    told = [f"Made with {Path(made['model']).name}, an answer every {made['hop_s']:g} s"]
    told += [f"compared with {Path(made['head']).name}"] if made["head"] else []
    told += ["balance off"] if made["balance"] == "off" else []
    told += [] if made["smoothing"] else ["no smoothing"]
    told += ["ears exchanged"] if made["swap_ears"] else []
    told += ["of channels {} and {}".format(*made["channels"])] if list(made["channels"]) != [1, 2] else []
    told += [f"up to {made['most_sources']} sources at a time"] if "most_sources" in made else []
    return plain(", ".join(told))


def _data(localised):
    """Write what the script needs as JSON that no text of it can leave."""
    first_s, hop_s = _times(localised.track.time_s)
    data = {"seconds": round(localised.seconds, 3), "first_s": first_s, "hop_s": hop_s,
            "rows": len(localised.track.time_s), "sources": []}
    for number, track in localised.tracks.items():
        heard = np.flatnonzero(np.isfinite(track.azimuth_deg))
        span = slice(heard[0], heard[-1] + 1) if len(heard) else slice(0, 0)  # one of many in an hour is short
        data["sources"].append({"number": number, "color": color_of(number), "from_row": int(span.start),
                                "azimuth_deg": _numbers(track.azimuth_deg[span]),
                                "half_width_deg": _numbers(track.half_width_68_deg[span])})
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _times(time_s):
    return round(float(time_s[0]), 4), round(float(time_s[1] - time_s[0]), 4) if len(time_s) > 1 else 1.0


def _numbers(values):
    return [round(float(each), 1) if np.isfinite(each) else None for each in values]


def grey_levels(spectrogram):
    """Turn power (bin, column) into grey levels (row, column), the highest frequency on top, dark where loud."""
    per_band = -(-len(spectrogram) // MOST_BANDS)
    bands = len(spectrogram) // per_band
    power = spectrogram[:bands * per_band].reshape(bands, per_band, -1).mean(axis=1)
    level_db = 10 * np.log10(np.maximum(power, 1e-12))
    share = np.clip((level_db - level_db.max() + RANGE_DB) / (RANGE_DB + HEADROOM_DB), 0, 1)
    return (255 - np.round(share * 255 / GREY_STEPS).astype(np.uint8) * GREY_STEPS)[::-1]


def runs(track, seconds):
    """Yield rows of a track without a pause: times from where they begin to where they end, and their rows."""
    edges_s = labels.edges_of(track.time_s, seconds)
    for run in labels.unbroken(track.azimuth_deg):
        time_s = track.time_s[run]
        yield [edges_s[run[0]], *time_s, edges_s[run[-1] + 1]], [run[0], *run, run[-1]]


def _line(track, seconds):
    steps = "".join(f"M{_points(time_s, track.azimuth_deg[rows])}" for time_s, rows in runs(track, seconds))
    return f'<path class="line" d="{steps}"/>'


def _band(track, seconds):
    shape = ""
    half_width_deg = np.nan_to_num(track.half_width_68_deg)
    for time_s, rows in runs(track, seconds):
        low, high = (np.clip(track.azimuth_deg[rows] + sign * half_width_deg[rows], -90, 90) for sign in (-1, 1))
        shape += f"M{_points(time_s, high)}L{_points(time_s[::-1], low[::-1])}Z"
    return f'<path class="band" d="{shape}"/>'


def _points(time_s, azimuth_deg):
    return " ".join(f"{time:.2f} {-azimuth:.1f}" for time, azimuth in zip(time_s, azimuth_deg))


def _name(number, track, seconds):
    """Write a source's number where its track begins."""
    rows = np.flatnonzero(np.isfinite(track.azimuth_deg))
    if not len(rows):
        return ""
    azimuth_deg = track.azimuth_deg[rows[0]]
    return (f'<text class="name" x="{100 * track.time_s[rows[0]] / seconds:.2f}%" y="{_percent(azimuth_deg)}" '
            f'dy="{16 if azimuth_deg > 60 else -8}">{number}</text>')


def _percent(azimuth_deg):
    """Place an azimuth in per cent of a height from above, right on top as in the pictures."""
    return f"{50 - azimuth_deg / 1.8:.2f}%"


def color_of(number):
    """Number the colour of a source, of markup.LIGHT: that of one source, or in turn those of several."""
    return 0 if number is None else 1 + (number - 1) % (len(markup.LIGHT) - 1)


def clock(seconds):
    """Write a time as the page does.

    Examples
    --------
    >>> clock(3.04), clock(75), clock(3723.5)
    ('0:03.0', '1:15.0', '1:02:03.5')

    """
    tenths = round(10 * seconds)
    minutes, tenths = divmod(tenths, 600)
    text = f"{minutes % 60 if minutes >= 60 else minutes}:{tenths // 10:02}.{tenths % 10}"
    return text if minutes < 60 else f"{minutes // 60}:{text.zfill(7)}"


# ------------------------------------------------------------------------------------------------------------ the index

def row(localised, address):
    """Make a row of the table over several recordings, for `index`; `address` is that of the page."""
    shape = f'viewBox="0 -90 {localised.seconds:.3f} 180" preserveAspectRatio="none"'
    every = max(1, len(localised.track.time_s) // OVERVIEW_ROWS)
    drawn = "".join(f'<g class="c{color_of(number)}">{_line(_thinned(track, every), localised.seconds)}</g>'
                    for number, track in localised.tracks.items())
    warnings = "".join(f"<small>{escape(plain(each))}</small>" for each in localised.warnings)
    ahead = f'<g class="grid"><line class="front" x1="0" x2="{localised.seconds:.3f}" y1="0" y2="0"/></g>'
    return (f'<tr><td><a href="{_address(address)}">{escape(plain(str(Path(address).with_suffix(""))))}</a></td>'
            f"<td>{clock(localised.seconds)}</td>"
            f'<td class="told">{escape(_sentence(localised.summary))}{warnings}</td><td><svg class="overview" '
            f'{shape} aria-hidden="true">{ahead}{drawn}</svg></td></tr>')


def _thinned(track, every):
    return type(track)(*(None if values is None else values[::every] for values in track))


def index(rows):
    """Make the table over several recordings, of what `row` made of each: the text of a page."""
    heads = "".join(f'<th scope="col">{each}</th>' for each in ("Recording", "Duration"))
    body = (f"<header><h1>All recordings</h1><p>{len(rows)} recordings. Each name opens its page. In the pictures time "
            'goes from left to right; right is on top.</p></header><table class="recordings"><thead><tr>'
            f'{heads}<th scope="col" class="told">What was heard</th><th scope="col"><span class="unseen">Azimuth over '
            f'time</span></th></tr></thead><tbody>{"".join(rows)}</tbody></table>')
    return markup.document("All recordings: where they come from", body, STYLE)


def _address(name):
    """Write a name of a file as an address, for an attribute."""
    return escape(quote(name.encode("utf-8", "surrogateescape")))


def plain(text):
    """Replace what is no UTF-8 in a name."""
    return text.encode(errors="replace").decode()


def _sentence(text):
    return text[:1].upper() + text[1:]
