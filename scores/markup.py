"""The parts that every page of ours shares: one HTML document that fetches nothing, its look, a head seen from above.

A page opens offline. Its Content-Security-Policy allows the style and the script that it was made with, by their
digests, and no others. What comes from files or users goes through `html.escape`.
"""
import base64
import hashlib
import math
import struct
import zlib
from html import escape

RADIUS, HEAD_RADIUS = 100.0, 24.0  # of the ring of directions and of the head, in units of the head's view
LEAST_SHOWN_DEG = 1.0              # half of the narrowest wedge that is drawn
GROUND, SURFACE, INK, SOFT, LINE = "#faf9f6", "#fff", "#1d1c1a", "#605d57", "#d8d4ca"  # on a light ground
LIGHT = ("#d62728", "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22",
         "#17becf")                # as in the pictures: of one source, then C0 to C9 of matplotlib
DARK = ("#ff7b7b", "#6cb6f5", "#ffa557", "#6bd06b", "#ff7b7b", "#c3a2ea", "#d09a8e", "#f3a5dc", "#b5b5b5", "#d8d95c",
        "#5cdbea")                 # the same hues on a dark ground


def _colors(values):
    return "".join(f".c{number}{{--c:{value}}}" for number, value in enumerate(values))


STYLE = f"""
:root{{color-scheme:light dark;--ground:{GROUND};--surface:{SURFACE};--ink:{INK};--soft:{SOFT};--line:{LINE};
--accent:#0a58a6;--mark:#e8f0fa;--warn:#8a5a00;--warn-ground:#fff4dc}}
{_colors(LIGHT)}
@media (prefers-color-scheme:dark){{
:root{{--ground:#131416;--surface:#1c1e21;--ink:#ecebe7;--soft:#a9a69f;--line:#393c41;
--accent:#86bdf5;--mark:#22303f;--warn:#f0c060;--warn-ground:#2b2415}}
{_colors(DARK)}}}
*{{box-sizing:border-box}}
body{{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1rem;background:var(--ground);
color:var(--ink)}}
h1{{font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere;margin:.25rem 0}}h2{{font-size:1.2rem;margin:2rem 0 .5rem}}
a{{color:var(--accent)}}
:focus-visible{{outline:3px solid var(--accent);outline-offset:2px}}
.scroll{{overflow-x:auto}}table{{border-collapse:collapse;font-variant-numeric:tabular-nums}}
th,td{{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right}}
th{{font-weight:600}}
.head{{display:block;width:100%;height:auto}}
.head .ring{{fill:none;stroke:var(--line);stroke-width:1.5}}
.head .tick{{stroke:var(--line);stroke-width:1.5}}
.head .skull{{fill:var(--surface);stroke:var(--ink);stroke-width:2;stroke-linejoin:round}}
.head text{{fill:var(--soft);font-size:11px;text-anchor:middle}}
.head .wedge{{fill:var(--c);fill-opacity:.28}}
.head .ray{{stroke:var(--c);stroke-width:2.5;stroke-linecap:round}}
.head .spot{{fill:var(--surface);stroke:var(--c);stroke-width:3}}
.head .number{{fill:var(--ink);font-size:11px;font-weight:600}}
.unseen{{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}}
"""


def document(title, body, style="", script="", media="", is_served=False):
    """Make a whole HTML document.

    Parameters
    ----------
    title : str, not yet escaped
    body : str, markup
    style, script : str, of this page; `style` follows STYLE
    media : str, where sound may come from, as sources of the Content-Security-Policy
    is_served : bool, by a server of ours, from which the script may fetch and load more

    Returns
    -------
    str

    Examples
    --------
    >>> page = document("a < b", "<p>text</p>")
    >>> page[page.index("<title>"):page.index("</title>")]
    '<title>a &lt; b'
    >>> "script-src" in page
    False

    """
    style = STYLE + style
    policy = ["default-src 'none'", "img-src data:", f"style-src {_digest(style)}", "base-uri 'none'",
              "form-action 'none'"]
    policy += [f"media-src {media}"] if media else []
    ours = " 'self'" if is_served else ""
    policy += [f"script-src {_digest(script)}{ours}"] if script else []
    policy += ["connect-src 'self'"] if is_served else []
    code = f"<script>{script}</script>" if script else ""
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(policy)}">'
            '<meta name="viewport" content="width=device-width,initial-scale=1,viewport-fit=cover">'
            '<link rel="icon" href="data:,">'  # else a browser asks the server for one
            f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}{code}</body></html>")


def _digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def data_url(media_type, data):
    """Write bytes as an address that needs no file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def head_view(inside="", label="A head seen from above"):
    """Draw a head seen from above, its nose up, within the ring of directions from left to right: SVG.

    `inside` is drawn under the head, in units in which the ring has RADIUS; front is up, right is right.
    """
    ticks = "".join(ray("tick", each, RADIUS, RADIUS + (7 if each % 30 == 0 else 4)) for each in range(-90, 91, 15))
    names = "".join(f'<text x="{_x(each, RADIUS + 22):.1f}" y="{_y(each, RADIUS + 22) + 4:.1f}">{name}</text>'
                    for each, name in ((-60, "60°"), (-30, "30°"), (0, "front"), (30, "30°"), (60, "60°")))
    r = HEAD_RADIUS
    skull = (f'<g class="skull"><ellipse cx="{-r}" cy="0" rx="4" ry="8"/><ellipse cx="{r}" cy="0" rx="4" ry="8"/>'
             f'<path d="M-6 {-r + 2} L0 {-r - 9} L6 {-r + 2}"/><ellipse cx="0" cy="0" rx="{r}" ry="{r + 2}"/></g>')
    return (f'<svg class="head" viewBox="-142 -132 284 166" role="img" aria-label="{escape(label)}">'
            f'<path class="ring" d="M{-RADIUS} 0 A{RADIUS} {RADIUS} 0 0 1 {RADIUS} 0"/>{ticks}{names}'
            f'<text x="-125" y="4">left</text><text x="127" y="4">right</text>{inside}{skull}</svg>')


def wedge(azimuth_deg, half_width_deg, color):
    """Draw a direction and its half-width, both in degrees, as `head_view` takes it; `color` is the number of LIGHT."""
    low, high = (min(max(azimuth_deg + sign * max(half_width_deg, LEAST_SHOWN_DEG), -90), 90) for sign in (-1, 1))
    return (f'<g class="c{color}"><path class="wedge" d="M0 0 L{_x(low):.1f} {_y(low):.1f} A{RADIUS} {RADIUS} 0 '
            f'{int(high - low > 180)} 1 {_x(high):.1f} {_y(high):.1f} Z"/>{ray("ray", azimuth_deg)}</g>')


def ray(name, azimuth_deg, from_radius=0.0, to_radius=RADIUS):
    """Draw a straight line from the head outwards, of a class `name`, as `head_view` takes it."""
    return (f'<path class="{name}" d="M{_x(azimuth_deg, from_radius):.1f} {_y(azimuth_deg, from_radius):.1f} '
            f'L{_x(azimuth_deg, to_radius):.1f} {_y(azimuth_deg, to_radius):.1f}"/>')


def _x(azimuth_deg, radius=RADIUS):
    return radius * math.sin(math.radians(azimuth_deg))


def _y(azimuth_deg, radius=RADIUS):
    return -radius * math.cos(math.radians(azimuth_deg))


def grey_png(levels):
    r"""Make a png of grey levels (row, column), uint8, the first row on top: bytes. Source: RFC 2083.

    Examples
    --------
    >>> import numpy as np
    >>> grey_png(np.zeros((2, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'

    """
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 8, 0, 0, 0, 0)
    return b"".join((b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)),
                     chunk(b"IEND", b"")))
