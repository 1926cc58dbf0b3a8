"""The report of a test: one HTML file that opens offline, with pictures, tables and samples to hear.

    page = report.html("Test", results, pictures, worst, typical, 16_000, "how it was made")

Every name that comes from a file is escaped: one called `<script>` stays text.
"""
import io
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf

from scores import markup
from scores.labels import plus_minus
from scores.tables import COLUMNS_OF_TALKERS, GROUPS, GROUPS_OF_TALKERS, WORDS_OF_TALKERS, talker_groups

COLUMNS = {"within_5_deg_percent": ("within 5° (%)", 1), "within_10_deg_percent": ("within 10° (%)", 1),
           "mae_deg": ("mean abs. error (°)", 2), "median_deg": ("median (°)", 2), "rmse_deg": ("RMSE (°)", 2),
           "bias_deg": ("bias (°)", 2), "inside_stated_68_percent": ("inside stated 68 %", 1),
           "inside_stated_95_percent": ("inside stated 95 %", 1)}
MOST_ROWS = 20  # of a table that is open when the page opens
LOUDEST = 0.9
STYLE = """
td{white-space:nowrap}th{min-width:4.5rem}
th:first-child,td:first-child{text-align:left}
.pictures{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,32rem),1fr));align-items:center}
.pictures img{width:100%;max-width:44rem;height:auto;background:#fff}
.tables{display:flex;flex-wrap:wrap;gap:0 3rem}.tables section{min-width:0;max-width:100%}
summary{cursor:pointer}summary h2{display:inline-block}
.clips{display:grid;gap:.75rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));padding:0;list-style:none}
.clips li{border:1px solid var(--line);border-radius:.5rem;padding:.6rem;overflow-wrap:anywhere}
.clips audio{width:100%;margin-top:.4rem}
.clips .head{max-width:14rem;margin:.25rem auto}
.clips .true{fill:none;stroke:var(--ink);stroke-width:3;stroke-dasharray:5 4}
"""


class AudibleSample(NamedTuple):
    """A sample to hear: `ears` (2, n) or None with the reason in `why_not`; azimuths in degrees, names as text.

    `true_deg` is that of the loudest talker, `others_deg` those of the others.
    """

    true_deg: float
    predicted_deg: float
    half_width_deg: float
    snr_db: float
    speech: str
    noise: str
    ears: np.ndarray
    why_not: str = ""
    others_deg: tuple = ()


def html(title, results, pictures, worst, typical, sample_rate_hz, made_with, of_talkers=None):
    """The page.

    Parameters
    ----------
    title : str
    results : dict of name to `metrics.score` with the groups of GROUPS
    pictures : list of paths of png files
    worst, typical : lists of AudibleSample
    sample_rate_hz : int, of the clips
    made_with : str, how the results came about
    of_talkers : dict of name to `talkers.score_groups`, optional

    Returns
    -------
    str

    """
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(made_with)}</p>",
             f'<div class="pictures">{"".join(map(_picture, pictures))}</div>',
             "<h2>All samples</h2>", _table(results),
             f'<div class="tables">{"".join(_group(results, by, heading) for by, heading in GROUPS.items())}</div>',
             *(_talkers(of_talkers) if of_talkers else ()),
             "<p>To be heard with headphones: left is left. Dashed: the truth; red: the answer and its 68 % "
             "interval.</p>"]
    for heading, some in ((f"The {len(worst)} worst samples", worst), (f"{len(typical)} typical samples", typical)):
        items = "".join(_item(clip, sample_rate_hz) for clip in some)
        parts.append(f'<h2>{heading}</h2><ul class="clips">{items}</ul>')
    return markup.document(title, "".join(parts), STYLE, media="data:")


def _picture(path):
    data = markup.data_url("image/png", Path(path).read_bytes())
    return f'<img alt="{escape(Path(path).stem.replace("_", " "))}" src="{data}">'


def _table(rows):
    keys = [key for key in COLUMNS if any(key in figures for figures in rows.values())]
    head = "".join(f"<th>{COLUMNS[key][0]}</th>" for key in keys)
    body = "".join(f"<tr><td>{escape(name)}</td>" + "".join(
        f"<td>{figures[key]:.{COLUMNS[key][1]}f}</td>" if key in figures else "<td></td>" for key in keys) + "</tr>"
        for name, figures in rows.items())
    return f'<div class="scroll"><table><tr><th></th>{head}</tr>{body}</table></div>'


def _group(results, by, title):
    """Per cent within 5 degrees by group, folded away where there are more than MOST_ROWS of them."""
    heading, groups = title[0].upper() + title[1:], next(iter(results.values()))[by]
    head = "".join(f"<th>{escape(name)}</th>" for name in results)
    body = "".join(f"<tr><td>{escape(group)}</td>" + "".join(
        f"<td>{figures[by][group]['within_5_deg_percent']:.1f}</td>" for figures in results.values()) + "</tr>"
        for group in groups)
    table = f'<div class="scroll"><table><tr><th>within 5° (%)</th>{head}</tr>{body}</table></div>'
    if len(groups) > MOST_ROWS:
        return f"<section><details><summary><h2>{heading}</h2>, {len(groups)} rows</summary>{table}</details></section>"
    return f"<section><h2>{heading}</h2>{table}</section>"


def _talkers(of_talkers):
    """Give the figures of several talkers, of all samples and by group, as sections of one table each."""
    yield f"<h2>Several talkers</h2><p>{escape(WORDS_OF_TALKERS)}</p>"
    titles = {"": {"": of_talkers}} | {title: talker_groups(of_talkers, by) for by, title in GROUPS_OF_TALKERS.items()}
    for title, groups in titles.items():
        if not groups:
            continue
        head = "".join(f"<th>{escape(name)}</th>" for name in (*COLUMNS_OF_TALKERS.values(), "samples"))
        body = "".join(f"<tr><td>{escape(group)}</td><td>{escape(name)}</td>" + "".join(
            f"<td>{figures[key]:.1f}</td>" if key in figures else "<td></td>" for key in COLUMNS_OF_TALKERS)
            + f"<td>{figures['samples']}</td></tr>" for group, by_name in groups.items()
            for name, figures in by_name.items())
        yield f'<div class="scroll"><table><tr><th>{escape(title)}</th><th></th>{head}</tr>{body}</table></div>'


def _item(clip, sample_rate_hz):
    half_width = escape(plus_minus(clip.half_width_deg))
    snr = f"{clip.snr_db:g} dB" if np.isfinite(clip.snr_db) else "no noise added"
    if clip.ears is None:
        sound = f"<p>{escape(clip.why_not)}</p>"
    else:
        data = markup.data_url("audio/wav", _wav(clip.ears, sample_rate_hz))
        sound = f'<audio controls preload="none" src="{data}"></audio>'
    view = markup.head_view(markup.wedge(clip.predicted_deg, np.nan_to_num(clip.half_width_deg), 0)
                            + "".join(markup.ray("true", each) for each in (clip.true_deg, *clip.others_deg)),
                            "The head from above: dashed the truth, red the answer and its 68 % interval")
    others = f", others {', '.join(f'{each:g}°' for each in clip.others_deg)}" if clip.others_deg else ""
    return (f"<li>true {clip.true_deg:g}°{others}, answer {clip.predicted_deg:.0f}°{half_width}, {snr}{view}"
            f"{escape(clip.speech)}<br>{escape(clip.noise) or 'as recorded'}{sound}</li>")


def _wav(ears, sample_rate_hz):
    buffer = io.BytesIO()
    sf.write(buffer, (ears * (LOUDEST / max(np.abs(ears).max(), 1e-9))).T, sample_rate_hz, format="WAV",
             subtype="PCM_16")
    return buffer.getvalue()
