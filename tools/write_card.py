"""Writes pretrained/MODEL_CARD.md from what the run stored and what the benchmark measured; no figure is typed.

    python tools/write_card.py

The prose is tools/model_card.md, where a line is a paragraph and {names} are filled in. They come from best.keras (its
parameters), history.csv and run.json (tools/make_model.py wrote them), and benchmarks/accuracy.csv. A figure that is
missing there, or was measured with another best.keras, reads "not measured".
"""
import csv
import json
import sys
import textwrap
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import hrir
from benchmarks import accuracy, page
from benchmarks.conditions import KEMAR
from console import BadInput, sha256_of
from params import WORLD, stored_name

TEMPLATE = Path(__file__).with_name("model_card.md")
NOT_MEASURED = "not measured"
OF_THE_MODEL = ("model", "model, own head", "track")    # systems whose figures belong to one file
ROOM_A, ROOM_D, TU_BERLIN, SURREY = "UniS_Room_A_BRIR_16k", "surrey_room_D", "TU Berlin KEMAR", "Surrey anechoic"
PERCENT, PLAIN = "within_5_deg_percent", "within_5_deg_not_rounded_percent"
INSIDE = ("inside_stated_68_percent", "inside_stated_95_percent")
RECIPE = ("azimuth_deg", *WORLD, "own_head_share")      # of what the samples were made with
TRAINING = ("batch_size", "learning_rate", "label_sigma_deg", "seed")


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--model", metavar="DIR", default=ROOT / "pretrained",
                        help="best.keras, history.csv, run.json (default: pretrained)")
    parser.add_argument("--benchmarks", metavar="DIR", default=ROOT / "benchmarks",
                        help="accuracy.csv, accuracy.json (default: benchmarks)")
    parser.add_argument("--out", metavar="FILE", help="(default: MODEL_CARD.md in the folder of the model)")
    return parser.parse_args(argv)


def main(argv=None):
    """Write the card."""
    args = parse_args(argv)
    model, out = Path(args.model), Path(args.out or Path(args.model) / "MODEL_CARD.md")
    network, history, run = read_run(model)
    rows, stale = of_one_model(*accuracy.read_figures(Path(args.benchmarks)), sha256_of(model / "best.keras"))
    if stale:
        console.warn(f"{', '.join(stale)}: not measured with {model / 'best.keras'}; benchmarks/accuracy.py measures.")
    text = card(run_values(network, history, run) | figure_values(Figures(rows)))
    with console.atomic_write(out) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"{out}: written; figures that are not measured: {text.count(NOT_MEASURED)}.")


def card(values):
    """Fill the template in, and wrap its paragraphs: Markdown."""
    lines, is_code = [], False
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        is_code ^= line.startswith("```")
        line = line.format_map(values)
        if is_code or "\n" in line or line.startswith(("#", "|", "```")):
            lines.append(line)
        else:
            lines.append(textwrap.fill(line, 120, subsequent_indent="  " * line.startswith("- "),
                                       break_long_words=False, break_on_hyphens=False))
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------- what the run stored

def read_run(folder):
    """Read what tools/make_model.py left in a folder: the Network, rows of history.csv as float, the dict of run.json.

    Raises BadInput where one of them is missing, or the network is not the one that the template describes.
    """
    from network.model import Network  # here, not above: TensorFlow takes seconds

    network = Network.load(folder)
    if network.params.model != "cnn" or network.params.loss != "distribution":
        raise BadInput(f"{folder} holds no default network, and the card describes no other; name another --model.")
    try:
        with open(folder / "history.csv", newline="", encoding="utf-8") as file:
            history = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadInput(f"{folder} lacks history.csv or run.json; copy there all that tools/make_model.py wrote.") \
            from problem
    return network, history, run


def run_values(network, history, run):
    """Say what the run stored: dict of the names in the template."""
    from network import cnn, layers

    best = min(history, key=lambda row: row["validation_loss"])
    trained, fixed = (sum(int(np.prod(variable.shape)) for variable in some) for some in (
        network.keras_model.trainable_variables, network.keras_model.non_trainable_variables))
    rounding, calibration = run["float16"], network.calibration
    recipe = [(name, network.made_with.get(stored_name(name))) for name in RECIPE] + \
        [(name, network.params.training[stored_name(name)]) for name in TRAINING]
    return {
        "parameters": f"{trained:,}", "fixed": f"{fixed:,}", "cells": layers.CELLS_IN_ALL, "bands": layers.BANDS,
        "filters": " and ".join(map(str, cnn.FILTERS)), "context": cnn.CONTEXT_STEPS,
        "dense": " and ".join(map(str, cnn.DENSE)),
        "uncertainty": (f"The half-widths follow from {len(calibration.least)} error predictors, fitted to the errors "
                        "on validation samples." if calibration else "The file states no fitted uncertainty."),
        "processors": f"{run['processors']} processors", "runs": runs_in_words(run, history),
        "epochs": len(history), "best_epoch": f"{best['epoch']:.0f}",
        "validation_loss": f"{best['validation_loss']:.3f}",
        "validation_within": f"{best['validation_within_5_deg_percent']:.1f}",
        "rounding": (f"The weights are stored as float16, which moves answers to {rounding['samples']} samples by "
                     f"{rounding['median_deg']:.4f} degrees (median) and at most by {rounding['largest_deg']:.4f}."),
        "data": run["data"], "recipe": "\n".join(["| stored as | value |", "|---|---|", *(
            f"| `{name}` | {in_words(value)} |" for name, value in recipe)]),
        "speech_files": run["speech_files"], "validation_share": f"{100 * network.params.validation_share:.0f} %",
        "noise_count": len(run["noise"]), "noise_names": ", ".join(run["noise"]), "heads": heads(network.made_with)}


def runs_in_words(run, history):
    """Say what runs a model comes from, the last one that of `run` and of the rows of its history.

    >>> last, history = {"samples": 600}, [{"seconds": 90.0}, {"seconds": 30.0}]
    >>> runs_in_words(last, history)
    '1. 600 mixtures asked for, 2 epochs in 2 minutes, from random weights.'
    >>> print(runs_in_words(last | {"before": [{"samples": 900, "epochs": 3, "minutes": 5}]}, history))
    1. 900 mixtures asked for, 3 epochs in 5 minutes, from random weights.
    2. 600 mixtures asked for, 2 epochs in 2 minutes, from the weights of run 1 (`--from`).
    """
    minutes = round(sum(row["seconds"] for row in history) / 60)
    lines = []
    for number, each in enumerate((*run.get("before", []), run | {"epochs": len(history), "minutes": minutes}), 1):
        begin = ("from random weights" if number == 1 else
                 f"from the mean of the best and the last epoch of run {number - 1} (`--mean-of`)"
                 if each.get("is_mean") else f"from the weights of run {number - 1} (`--from`)")
        epochs = f"{each['epochs']} epoch{'s' * (each['epochs'] != 1)}"
        lines.append(f"{number}. {each['samples']:,} mixtures asked for, {epochs} in {each['minutes']} minutes, "
                     f"{begin}.")
    return "\n".join(lines)


def in_words(value):
    """Write a stored value: many numbers in equal steps as a range, none as "off".

    >>> in_words([-90, -87.5, -85, -82.5, -80]), in_words([0.1, 1.2]), in_words(["diffuse", "mixed"]), in_words([])
    ('-90 to -80 by 2.5', '0.1 1.2', 'diffuse mixed', 'off')
    """
    if not isinstance(value, list):
        return "off" if value is None else f"{value:g}"
    if len(value) > 4 and not isinstance(value[0], str) and len(set(np.diff(value))) == 1:
        return f"{value[0]:g} to {value[-1]:g} by {value[1] - value[0]:g}"
    return " ".join(each if isinstance(each, str) else f"{each:g}" for each in value) or "off"


def heads(made_with):
    """Count the heads of each collection, and of 10 mixtures those that they are heard in.

    >>> heads({"hrir_set": ["mit_kemar", "cipic_003", "cipic_008"], "hrir_weights": [3, 3.5, 3.5]})
    'of 10 mixtures 3 through `mit_kemar`, 7 through 2 of `cipic`'
    """
    names = made_with["hrir_set"]
    weights = np.array(made_with.get("hrir_weights") or np.ones(len(names)))
    of_each = np.array([hrir.collection_of(name) for name in names])
    told = []
    for collection in dict.fromkeys(of_each.tolist()):
        some = of_each == collection
        who = f"`{names[some.argmax()]}`" if some.sum() == 1 else f"{some.sum()} of `{collection or 'numbers'}`"
        told.append(f"{10 * weights[some].sum() / weights.sum():.2g} through {who}")
    return f"of 10 mixtures {', '.join(told)}"


# ---------------------------------------------------------------------------------------- what the benchmark measured

def of_one_model(rows, runs, sha256):
    """Leave out figures of the model that were measured with another file: the rows left, the parts."""
    stale = [part for part in accuracy.PARTS if runs.get(part, {}).get("model") != sha256]
    tables = {table for part in stale for table in accuracy.PARTS[part].tables}
    return [row for row in rows if row["table"] not in tables or row["system"] not in OF_THE_MODEL], stale


class Figures:
    """Look up figures in rows as accuracy.read_figures gives them."""

    def __init__(self, rows):
        self.rows = rows

    def all(self, key, table, system="model", **condition):
        """Find a figure in every row of a table, a system, and of columns that are as given: (row,) float."""
        wanted = condition | {"table": table, "system": system}
        return np.array([row[key] for row in self.rows if all(_same(row[name], value) for name, value in wanted.items())
                         and not np.isnan(row[key])])

    def one(self, key, table, head, snr_db, system="model", **condition):
        """Find the only such figure of a head at an SNR, NaN where it is missing; BadInput for several.

        The noise is diffuse, the duration 1.02 s and the variant none, unless given.
        """
        condition = {"noise_field": "diffuse", "duration_s": 1.02, "variant": ""} | condition
        found = self.all(key, table, system, head=head, snr_db=snr_db, **condition)
        if len(found) > 1:
            raise BadInput(f"accuracy.csv holds {len(found)} rows of {table}, {head}, {snr_db:g} dB, {system}; measure "
                           "that part again.")
        return found[0] if len(found) else np.nan


def _same(stored, wanted):
    return stored == wanted if isinstance(wanted, str) else np.isclose(stored, wanted)


def shown(values, decimals=1, between=" / ", unit=""):
    """Write figures side by side.

    >>> shown([99.06, np.nan, 80]), shown([np.nan, np.nan]), shown([3.62], unit=" deg")
    ('99.1 / not measured / 80.0', 'not measured', '3.6 deg')
    """
    values = list(values)
    if np.isnan(values).all():
        return NOT_MEASURED
    return between.join(NOT_MEASURED if np.isnan(value) else f"{value:.{decimals}f}{unit}" for value in values)


def _mean(values):
    return float(values.mean()) if len(values) else np.nan


def figure_values(figures):
    """Say what was measured: dict of the names in the template."""
    return (_people_values(figures) | _recording_values(figures) | _talker_values(figures) | _room_values(figures)
            | _kemar_values(figures))


def _people_values(figures):
    def over_heads(snr_db, system, key=PERCENT):
        return figures.all(key, "people", system, snr_db=snr_db)

    def spread(snr_db, system):
        found = over_heads(snr_db, system)
        return [_mean(found), np.median(found), page.worst_tenth(found, PERCENT)] if len(found) else [np.nan] * 3

    def means(snrs_db, system, key=PERCENT):
        return [_mean(over_heads(snr_db, system, key)) for snr_db in snrs_db]

    def inside(snr_db, system):
        return shown((_mean(over_heads(snr_db, system, key)) for key in INSIDE), 0)

    count, own = len({row["head"] for row in figures.rows if row["table"] == "people"}), "model, own head"
    _, median, worst = spread(20, "model")
    values = {"people": f"{count} people" if count else "people"}
    for end, system in (("", "model"), ("_likelihood", "likelihood")):
        values |= {f"people_20{end}": shown(spread(20, system), between="; "),
                   f"people_0{end}": shown(spread(0, system), between="; "),
                   f"people_mae{end}": shown(means([20], system, "mae_deg"), unit=" deg"),
                   f"people_low{end}": shown(means([-6, -10], system)),
                   f"own_head{end}": shown(means([20, 0], f"{system}, own head"))}
    return values | {
        "people_20_median": shown([median]), "people_20_worst": shown([worst]), "own_head_20": shown(means([20], own)),
        "own_head_mae": shown(means([20], own, "mae_deg"), unit=" deg"), "inside_people_20": inside(20, "model"),
        "inside_people_0": inside(0, "model"), "inside_own_20": inside(20, own), "inside_own_0": inside(0, own)}


def _recording_values(figures):
    def of(system):
        return [_mean(figures.all(key, "recordings", system, head="all"))
                for key in ("answered_percent", "within_5_deg_percent", "within_10_deg_percent")]

    answered, _, within_10 = of("track")
    return {"track": shown(of("track"), 0, "; "), "peer": shown(of("peer"), 0, "; "),
            "track_answered": shown([answered], 0), "track_right": shown([100 * within_10 / max(answered, 1e-9)], 0),
            "alone": shown([_mean(figures.all("answered_percent", "alone", "track"))])}


def _talker_values(figures):
    def of(key, head, variant, system):
        return figures.one(key, "talkers", head, 20, system, duration_s=2.02, variant=variant)

    values = {}
    for end, system in (("", "model"), ("_likelihood", "likelihood")):
        for name, variant in (("talkers", "2 talkers, equal"), ("three_talkers", "3 talkers, equal")):
            values[name + end] = shown(of("all_within_10_deg_percent", head, variant, system)
                                       for head in (KEMAR, ROOM_A))
        values[f"talkers_count{end}"] = shown(of("count_right_percent", KEMAR, variant, system)
                                              for variant in ("nobody", "1 talker", "2 talkers, equal"))
    return values


def _room_values(figures):
    def inside(head):
        return shown((figures.one(key, "room", head, 20) for key in INSIDE), 0)

    values = {"inside_room_a": inside(ROOM_A), "inside_room_d": inside(ROOM_D)}
    for end, system in (("", "model"), ("_likelihood", "likelihood")):
        for name, head in (("room_a", ROOM_A), ("room_d", ROOM_D)):
            values[name + end] = shown(figures.one(PERCENT, "room", head, snr_db, system) for snr_db in (20, 6, 0))
        values[f"surrey{end}"] = shown([figures.one(PERCENT, "head", SURREY, 20, system)])
    return values


def _kemar_values(figures):
    def noise(snrs_db, field="diffuse", key=PERCENT, system="model"):
        return [figures.one(key, "noise", KEMAR, snr_db, system, noise_field=field) for snr_db in snrs_db]

    values = {}
    for end, key in (("", PERCENT), ("_plain", PLAIN)):
        values |= {f"diotic{end}": shown(noise((-6, 0, 6), "diotic", key)),
                   f"diffuse{end}": shown(noise((-10, -6, 0, 6), key=key)),
                   f"long{end}": shown([figures.one(key, "duration", KEMAR, -10, duration_s=2.02)]),
                   f"short{end}": shown([figures.one(key, "duration", KEMAR, 6, duration_s=0.22)]),
                   f"tu_berlin{end}": shown([figures.one(key, "head", TU_BERLIN, 20)])}
    inside = [np.array(noise((-6, 0, 6, 20), key=key)) for key in INSIDE]
    return values | {
        "kemar_mae": shown(noise([0], key="mae_deg"), 2, unit=" deg"),
        "every_degree_mae": shown([figures.one("mae_deg", "between", TU_BERLIN, 20)], 2, unit=" deg"),
        "behind": shown((figures.one(PERCENT, "behind", TU_BERLIN, snr_db, variant="behind")
                         for snr_db in (0, 20, np.inf)), between=", "),
        "competing": shown(noise((0, 6, 20), "talker"), between=", "),
        "competing_likelihood": shown(noise((0, 6, 20), "talker", system="likelihood"), between=", "),
        "inside_kemar": shown([_mean(each[:3]) for each in inside], 0),
        "inside_kemar_20": shown([each[3] for each in inside], 0)}


if __name__ == "__main__":
    sys.exit(console.run(main))
