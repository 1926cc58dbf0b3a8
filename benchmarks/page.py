"""ACCURACY.md and its pictures, from the rows of accuracy.csv and the runs of accuracy.json.

    page(rows, runs)                     # the Markdown
    draw_pictures(rows, folder)

Strangers come first: a user's head is one of them. Of several heads stand the mean and the worst, never one alone.
"""
import textwrap

import numpy as np
from matplotlib.figure import Figure

import console
from benchmarks.strangers import MIXTURES_OF_PERSON, NARROW_SHARE, SNR_DB

SYSTEMS = ("model", "model, own head", "original", "likelihood", "likelihood, own head", "GCC-PHAT")
TITLES = {"room": "Measured rooms, diffuse noise, 1.02 s", "noise": "Noise, MIT KEMAR, 1.02 s",
          "head": "Other dummy heads, diffuse noise, 1.02 s", "duration": "Duration, MIT KEMAR, diffuse noise",
          "between": "Every degree from -90 to 90, TU Berlin KEMAR, diffuse noise, 1.02 s",
          "behind": "Source and noise behind, TU Berlin KEMAR, scored against the mirror image in front, 1.02 s"}
PICTURES = ("people", "noise", "room", "head", "duration")
PEOPLE_PICTURE_SNRS_DB = (0, 20)
DISTANCES = ("15 to 30", "30 to 60", "60 or more")   # of two talkers
LONGER_S = 2.02


def page(rows, runs):
    """The Markdown of ACCURACY.md: rows with numbers as float, and a dict of part to its run."""
    tables = dict.fromkeys(row["table"] for row in rows)
    lines = ["# Accuracy", "", _paragraph(
        "How accurate the model is with heads, rooms, microphones and sounds that training never heard, and then with "
        "MIT KEMAR, the dummy head that ships. All methods hear the same mixtures. [accuracy.csv](accuracy.csv) "
        "holds every figure. `python benchmarks/accuracy.py --from-csv` writes this page from it and from "
        "[accuracy.json](accuracy.json)."), "", _paragraph(
        "Unless stated, the tables show per cent within 5 degrees, and MAE, the mean absolute error in degrees. A "
        "prediction counts when, rounded to whole degrees, it is within 5 degrees: the rule of CNNBSL, the original. "
        "It may therefore be off by up to 5.5. Without rounding fewer are right: column "
        "`within_5_deg_not_rounded_percent`. The SNR is that of the speech from the front over the noise, in the "
        "sample."), "", _paragraph(
        "`original`: the recipe of CNNBSL, trained by `original.py`. `likelihood`: maximum likelihood over the "
        "templates of MIT KEMAR (`network/likelihood.py`). `own head`: with the templates of the head that the test is "
        "heard through. `GCC-PHAT`: interaural delays of MIT KEMAR (Knapp and Carter 1976)."), ""]
    for table, section in SECTIONS.items():
        if table in tables:
            lines += section([row for row in rows if row["table"] == table])
    return "\n".join([*lines, *_runs(runs), ""])


def _paragraph(text):
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def name_of(snr_db):
    """An SNR as a heading."""
    return "no noise" if np.isinf(snr_db) else f"{snr_db:g} dB"


def label_of(row):
    """What tells a row's condition from the others of its table."""
    head = ", ".join(filter(None, (row["head"], row["variant"])))
    return {"noise": row["noise_field"], "head": head, "room": head, "duration": f"{row['duration_s']:.2f} s",
            "between": "every degree", "behind": "behind"}[row["table"]]


def _markdown(headings, rows):
    """The lines of a Markdown table."""
    return [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _values(rows, key):
    return np.array([row[key] for row in rows])


def worst_tenth(values, key):
    """The mean of the worst tenth of the heads, at least one: of errors the greatest, of shares the least."""
    ordered = np.sort(values)[::-1] if key.endswith("_deg") else np.sort(values)
    return float(ordered[:max(1, round(len(ordered) / 10))].mean())


def worst(values, key):
    """The worst head's value."""
    return float(values.max() if key.endswith("_deg") else values.min())


OVER_HEADS = {"mean": lambda values, key: float(values.mean()), "median head": lambda values, key: np.median(values),
              "worst tenth": worst_tenth, "worst head": worst}


# ----------------------------------------------------------------------------------------------------------- strangers

def _people(rows):
    heads, systems = len({row["head"] for row in rows}), [s for s in SYSTEMS if any(r["system"] == s for r in rows)]
    snrs = sorted({row["snr_db"] for row in rows})

    def of(system, snr_db):
        return [row for row in rows if (row["system"], row["snr_db"]) == (system, snr_db)]

    accuracy = [[system, statistic,
                 *(f"{reduce(_values(of(system, snr), 'within_5_deg_percent'), 'percent'):.1f}" for snr in snrs),
                 *(f"{reduce(_values(of(system, snr), 'mae_deg'), 'mae_deg'):.2f}" for snr in (0, 20))]
                for system in systems for statistic, reduce in OVER_HEADS.items()]
    inside = [[system, f"{share} %", statistic, *(
        f"{OVER_HEADS[statistic](_values(of(system, snr), f'inside_stated_{share}_percent'), 'percent'):.0f}"
        for snr in snrs)] for system in systems if system.startswith("model") for share in (68, 95)
        for statistic in ("mean", "worst tenth")]
    return [
        f"## {heads} people's heads, diffuse noise, 1.02 s", "", _paragraph(
            f"Each head hears {MIXTURES_OF_PERSON} mixtures of a talker and a noise; over all heads every talker meets "
            "every noise. Source and noise come from the directions in which the head was measured, none interpolated. "
            "The worst tenth is the mean over a tenth of the heads, chosen for each column."), "",
        *_markdown(["method", "heads", *map(name_of, snrs), "MAE, 0 dB", "MAE, 20 dB"], accuracy), "",
        "![Per cent within 5 degrees of every head](accuracy_people.png)", "",
        "Per cent of the true azimuths within the stated half-widths:", "",
        *_markdown(["method", "stated", "heads", *map(name_of, snrs)], inside), ""]


def _microphones(rows):
    gains = [variant for variant in dict.fromkeys(row["variant"] for row in rows) if variant != "+0 dB"]
    lines = []
    for system in ("track", "model"):
        of = {variant: {row["head"]: row for row in rows if (row["system"], row["variant"]) == (system, variant)}
              for variant in ("+0 dB", *gains)}
        even = _values(of["+0 dB"].values(), "within_5_deg_percent")
        lost = [even - _values([of[gain][head] for head in of["+0 dB"]], "within_5_deg_percent") for gain in gains]
        name = {"track": "track", "model": "sample"}[system]
        lines += [[name, "mean", f"{even.mean():.1f}", *(f"{each.mean():.1f}" for each in lost)],
                  [name, "worst head", f"{even.min():.1f}", *(f"{each.max():.1f}" for each in lost)]]
    heads = len({row["head"] for row in rows})
    return ["## Microphones that differ, 20 dB", "", _paragraph(
        f"A talk of 5 s with pauses at {heads} heads, MIT KEMAR and {heads - 1} people; the right microphone is louder "
        "by as much as the heading says. First with equal microphones, then the points lost against that. `track`: "
        "`network.localise` as users call it; of the rows in which the talker is active, those without an answer are "
        "wrong. `sample`: 1.02 s of the talk, not corrected. Nothing is rounded."), "",
        *_markdown(["", "heads", "equal", *(f"{gain}, points lost" for gain in gains)], lines), ""]


def _sounds(rows):
    heads = len({row["head"] for row in rows})
    kinds = {kind: [row for row in rows if row["variant"].startswith(kind)] for kind in ("broad-band", "narrow-band")}
    groups = kinds | {variant: [row for row in rows if row["variant"] == variant]
                      for variant in sorted({row["variant"] for row in rows})}
    lines = []
    for label, some in groups.items():
        of_heads = [[row for row in some if row["head"] == head] for head in dict.fromkeys(r["head"] for r in some)]
        if not of_heads:
            continue
        means = {key: np.array([_values(each, key).mean() for each in of_heads])
                 for key in ("within_5_deg_percent", "mae_deg", "inside_stated_95_percent")}
        lines.append([f"**all {label}**" if label in kinds else label,
                      f"{means['within_5_deg_percent'].mean():.1f}", f"{means['within_5_deg_percent'].min():.1f}",
                      f"{means['mae_deg'].mean():.2f}", f"{means['inside_stated_95_percent'].mean():.0f}",
                      f"{means['inside_stated_95_percent'].min():.0f}"])
    return [f"## Other sounds, {SNR_DB} dB, 1.02 s", "", _paragraph(
        f"The model on sounds other than read English at {heads} heads, MIT KEMAR and {heads - 1} people, in diffuse "
        f"noise. A sound is narrow-band when, in half of its loud frames of 40 ms, {100 * NARROW_SHARE:g} % of the "
        "power lies within one octave."), "",
        *_markdown(["sound", "within 5 degrees", "worst head", "MAE", "inside the stated 95 %", "worst head"], lines),
        ""]


def _recordings(rows):
    lines = []
    for row in rows:
        of_answered = [row[f"within_{reach}_deg_percent"] / max(row["answered_percent"], 1e-9) * 100
                       for reach in (5, 10)]
        inside = row["inside_stated_68_percent"]
        lines.append([
            row["head"], row["system"], f"{row['samples']:.0f}", f"{row['answered_percent']:.1f}",
            f"{row['within_5_deg_percent']:.1f}", f"{row['within_10_deg_percent']:.1f}",
            *(f"{share:.1f}" for share in of_answered), f"{row['median_deg']:.2f}", f"{row['mae_deg']:.2f}",
            "" if np.isnan(inside) else f"{inside:.0f}"])
    return ["## Real recordings", "", _paragraph(
        "A talker walks about in a real room around a dummy head. Rows within 20 dB of the loudest hundredth are "
        "scored; \"of all\" counts rows without an answer as wrong. The answered rows alone give the median and mean "
        "absolute error in degrees and the share inside the stated 68 %. `peer`: the track that the authors of another "
        "localiser published. Nothing is rounded."), "",
        *_markdown(["recording", "method", "rows", "answered (%)", "within 5, of all", "within 10, of all",
                    "within 5, of the answered", "within 10, of the answered", "median", "mean", "inside 68 %"], lines),
        ""]


def _alone(rows):
    heads, noises = (list(dict.fromkeys(row[key] for row in rows)) for key in ("head", "variant"))
    shares = np.array([[row["answered_percent"] for row in rows if row["head"] == head] for head in heads])
    shares = np.column_stack((shares.mean(axis=1), shares))
    return ["## Noise alone", "", _paragraph(
        f"False alarms: in how many of 100 s of diffuse noise without a source the track states one, at {len(heads)} "
        f"heads, MIT KEMAR and {len(heads) - 1} people. 0 would be right."), "",
        *_markdown(["heads", "all", *noises], [["mean", *(f"{share:.1f}" for share in shares.mean(axis=0))],
                                               ["worst head", *(f"{share:.1f}" for share in shares.max(axis=0))]]), ""]


# ------------------------------------------------------------------------------------------------------------- talkers

def _talkers(rows):
    by_key = {(row["head"], row["duration_s"], row["variant"], row["system"]): row for row in rows}
    systems = [name for name in SYSTEMS if any(row["system"] == name for row in rows)]
    whole = [key for key in by_key if not key[2].endswith("degrees")]
    lines = [[*_condition(key), f"{by_key[key]['samples']:.0f}", *(_cell(by_key[key][name]) for name in (
        "all_within_5_deg_percent", "all_within_10_deg_percent", "count_right_percent", "nobody_percent",
        "single_within_5_deg_of_loudest_percent", "single_within_5_deg_of_any_percent"))] for key in whole]
    counts = {(head, system): [by_key[key]["count_right_percent"] for key in whole if (key[0], key[3]) == (head, system)
                               and key[1] == LONGER_S and key[2] in ("nobody", "1 talker", "2 talkers, equal")]
              for head in dict.fromkeys(key[0] for key in by_key) for system in systems}
    near = [[*_condition(key), *(_cell(by_key.get((*key[:2], f"{key[2]}, {distance} degrees", key[3]), {}).get(name))
                                 for distance in DISTANCES
                                 for name in ("all_within_5_deg_percent", "all_within_10_deg_percent"))]
            for key in whole if key[2].startswith("2 talkers")]
    return ["## Several talkers, diffuse noise, 20 dB", "", _paragraph(
        "Per cent of the samples in which every talker is found within 5 and within 10 degrees, nothing rounded; then "
        "of the samples of the right count, of the answers further than 10 degrees from everybody, and of the samples "
        "whose one answer is within 5 degrees of the loudest talker and of any. No method is told the number. Any two "
        "talkers are 15 degrees or more apart, and each is another speaker. The SNR is that of the loudest. "
        "`likelihood`: peaks of the posterior averaged over frames (`network/likelihood.py`). `GCC-PHAT`: peaks of the "
        "cross-correlation (`network/gcc_phat.py`)."), "",
        *_markdown(["", "duration", "talkers", "method", "samples", "all within 5", "all within 10", "count right",
                    "nobody", "one: loudest", "one: any"], lines), "",
        f"Right counts of nobody, 1 and 2 equal talkers, {LONGER_S:.2f} s, each weighing the same:", "",
        *_markdown(["", *systems], [[head, *(f"{np.mean(counts[head, system]):.1f}" if counts[head, system] else ""
                                             for system in systems)]
                                    for head in dict.fromkeys(key[0] for key in by_key)]), "",
        "Both of two talkers within 5 and within 10 degrees, by their distance:", "",
        *_markdown(["", "duration", "talkers", "method", *(f"{distance} degrees: {reach}" for distance in DISTANCES
                                                           for reach in (5, 10))], near), ""]


def _condition(key):
    head, duration_s, variant, system = key
    return [head, f"{duration_s:.2f} s", variant, system]


def _cell(value):
    """A figure, empty where it was not measured."""
    return "" if value is None or np.isnan(value) else f"{value:.1f}"


# -------------------------------------------------------------------------------------------------------- one head each

def _one_head(rows):
    """The section of a table of conditions that one head each hears."""
    table = rows[0]["table"]
    by_key = {(label_of(row), row["system"], row["snr_db"]): row for row in rows}
    labels, snrs = dict.fromkeys(map(label_of, rows)), sorted({row["snr_db"] for row in rows})
    systems = [name for name in SYSTEMS if any(row["system"] == name for row in rows)]
    lines = [[label, system, *(_with_interval(by_key[label, system, snr], "within_5_deg_percent", 1) for snr in snrs),
              *(_with_interval(by_key[label, system, snr], "mae_deg", 2) for snr in (0, 20))]
             for label in labels for system in systems]
    remark = ("Measured rooms may be weaker from the sides than from the front; `levelled` makes every direction as "
              "loud. " if table == "room" else "")
    section = [f"## {TITLES[table]}", "", _paragraph(
        f"{remark}The half-widths are those of 95 % intervals over speakers (Student's t)."), "",
        *_markdown(["", "method", *map(name_of, snrs), "MAE, 0 dB", "MAE, 20 dB"], lines), ""]
    return section + ([f"![Per cent within 5 degrees against SNR](accuracy_{table}.png)", ""]
                      if table in PICTURES else [])


def _with_interval(row, key, digits):
    return f"{row[key]:.{digits}f} ± {row[f'{key}_interval']:.{digits}f}"


SECTIONS = {"people": _people, "recordings": _recordings, "room": _one_head, "microphones": _microphones,
            "sounds": _sounds, "alone": _alone, "talkers": _talkers, "noise": _one_head, "head": _one_head,
            "duration": _one_head, "between": _one_head, "behind": _one_head}


def _runs(runs):
    """The last section: by which commands everything was measured."""
    lines = ["## How it was measured", "", *_markdown(
        ["part", "command", "on", "audio", "model (SHA-256)"],
        [[part, f"`{run['command']}`", run["measured_on"], run["audio"], run["model"][:12] or "not noted"]
         for part, run in runs.items()]), ""]
    if "kemar" in runs:
        times = ", ".join(f"{name} {ms:.2f}" for name, ms in runs["kemar"]["ms_a_sample"].items())
        lines += [_paragraph(f"Milliseconds a sample of 1.02 s on {runs['kemar']['processors']} processors, from cues "
                             f"(model, original, likelihood) or from ear signals (GCC-PHAT): {times}."), ""]
    return lines[:-1]


# ------------------------------------------------------------------------------------------------------------- pictures

def draw_pictures(rows, folder):
    """Draw the pictures of those PICTURES that have rows; returns how many."""
    tables = [table for table in PICTURES if any(row["table"] == table for row in rows)]
    for table in tables:
        draw = draw_people if table == "people" else draw_against_snr
        figure = draw([row for row in rows if row["table"] == table])
        with console.atomic_write(folder / f"accuracy_{table}.png") as partial:
            figure.savefig(partial, format="png", dpi=110)
    return len(tables)


def draw_people(rows):
    """Draw per cent within 5 degrees of every head, from the best to the worst, one line a method."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, snr_db in zip(figure.subplots(1, 2, sharey=True), PEOPLE_PICTURE_SNRS_DB):
        for system in dict.fromkeys(row["system"] for row in rows):
            values = np.sort(_values([row for row in rows if (row["system"], row["snr_db"]) == (system, snr_db)],
                                     "within_5_deg_percent"))[::-1]
            axes.plot(np.arange(1, len(values) + 1), values, "--" if "own head" in system else "-",
                      color=f"C{int(system.startswith('likelihood'))}", label=system)
        axes.set(title=f"{snr_db} dB", xlabel="heads, from the best to the worst", ylim=(0, 101))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("within 5 degrees (%)")
    figure.axes[0].legend(fontsize=8, loc="lower left")
    return figure


def draw_against_snr(rows):
    """Draw per cent within 5 degrees against SNR, one line a condition and method."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number, label in enumerate(dict.fromkeys(map(label_of, rows))):
        for system, style in zip(("model", "original", "likelihood", "GCC-PHAT"), ("o-", "x-.", "s--", "^:")):
            points = sorted((min(row["snr_db"], 30), row["within_5_deg_percent"]) for row in rows
                            if label_of(row) == label and row["system"] == system)
            if points:
                axes.plot(*zip(*points), style, color=f"C{number}", markersize=4, label=f"{label}, {system}")
    axes.set(xlabel="SNR (dB; 30 stands for no noise)", ylabel="within 5 degrees (%)", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, ncols=2)
    return figure
