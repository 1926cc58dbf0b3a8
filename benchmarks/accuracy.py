"""Accuracy of a model with strangers: people's heads, rooms, microphones, sounds, recordings; then on MIT KEMAR.

    python benchmarks/accuracy.py --audio DIR --people DIR          # what the folders given allow, here three parts
    python benchmarks/accuracy.py --only recordings --recordings DIR
    python benchmarks/accuracy.py --from-csv                        # write the page and pictures again, measure nothing

Each part replaces its own figures in accuracy.csv and accuracy.json as soon as it is done, so parts may be measured
one after the other. ACCURACY.md and the pictures are made from these two. Audio and heads are not part of the project:
README.md lists them. A speaker is the part of a file's name before its first "-". The original recipe joins the
comparison if original.py has trained it.

This is the test: choose nothing by it.
"""
import csv
import json
import os
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
from benchmarks import conditions, page, strangers, talkers
from console import BadInput, sha256_of
from params import Params
from shards.audio import find_audio

PRETRAINED = ROOT / "pretrained"
CSV_COLUMNS = (*conditions.CONDITION_COLUMNS, "snr_db", "system", "samples",
               *(name for key in conditions.WITH_INTERVAL for name in (key, f"{key}_interval")),
               "within_5_deg_not_rounded_percent", "median_deg", "bias_deg", "inside_stated_68_percent",
               "inside_stated_95_percent", "answered_percent", *talkers.COLUMNS)
WORDS = ("table", "head", "variant", "noise_field", "system")  # columns that hold words, not numbers
DECIMALS = 8                 # of a stored figure
QUICK_HEADS = 3
IN_SHORT = ("within_5_deg_percent", "all_within_5_deg_percent", "answered_percent", "count_right_percent")


class Part(NamedTuple):
    """A part of the benchmark: the flags it needs, and its tables in accuracy.csv."""

    flags: tuple
    tables: tuple


PARTS = {
    "people": Part(("audio", "people"), ("people",)),
    "recordings": Part(("recordings",), ("recordings",)),
    "rooms": Part(("audio", "room"), ("room",)),
    "microphones": Part(("audio", "people"), ("microphones",)),
    "sounds": Part(("audio", "people", "sounds"), ("sounds",)),
    "noise-alone": Part(("audio", "people"), ("alone",)),
    "talkers": Part(("audio", "room"), ("talkers",)),
    "kemar": Part(("audio", "hrtf"), ("noise", "head", "duration", "between", "behind")),
}


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--audio", metavar="DIR", help="holds SpeechTEST and NoiseTEST; all but recordings need it")
    parser.add_argument("--people", metavar="DIR", help="SOFA files of people's heads")
    parser.add_argument("--recordings", metavar="DIR", help="recordings, each with a truth: clip.flac, clip_truth.csv")
    parser.add_argument("--room", metavar="FILE", nargs="+", help="SOFA files of measured rooms")
    parser.add_argument("--sounds", metavar="DIR", help="sounds other than read English")
    parser.add_argument("--hrtf", metavar="DIR", help="SOFA sets of dummy heads, compared with MIT KEMAR")
    parser.add_argument("--only", metavar="PART", nargs="+", choices=PARTS,
                        help=f"of {', '.join(PARTS)} (default: those whose folders are given)")
    parser.add_argument("--model-alone", action="store_true",
                        help="of the parts rooms, talkers and kemar measure the model alone, and keep the stored "
                             "figures of the other methods, which do not depend on it")
    parser.add_argument("--from-csv", action="store_true",
                        help="measure nothing: write the page and the pictures from accuracy.csv and accuracy.json")
    parser.add_argument("--model", metavar="DIR", default=PRETRAINED, help="with best.keras (default: pretrained)")
    parser.add_argument("--original", metavar="DIR", default=ROOT / "benchmarks" / "original",
                        help="the original recipe, made by original.py (default: benchmarks/original)")
    parser.add_argument("--out", metavar="DIR", default=ROOT / "benchmarks", help="(default: benchmarks)")
    parser.add_argument("--quick", action="store_true", help=f"one file a speaker, one noise, {QUICK_HEADS} people")
    args = parser.parse_args(argv)
    lacking = {part: [flag for flag in PARTS[part].flags if getattr(args, flag) is None] for part in PARTS}
    for part in args.only or ():
        if lacking[part]:
            parser.error(f"--only {part} needs --{lacking[part][0]} as well")
    args.parts = [part for part in PARTS if part in args.only] if args.only else \
        [part for part in PARTS if not lacking[part]]
    if not args.parts and not args.from_csv:
        parser.error("there is nothing to measure: give --audio DIR with --people, --room or --hrtf, or --recordings "
                     "DIR, or --from-csv to measure nothing")
    return args


def main(argv=None):
    """Measure the parts that were asked for, and write the page of all that were ever measured."""
    args = parse_args(argv)
    out = console.folder_for_output(args.out)
    if not args.from_csv:
        measure_parts(args, out)
    rows, runs = read_figures(out)
    with console.atomic_write(out / "ACCURACY.md") as partial:
        partial.write_text(page.page(rows, runs), encoding="utf-8")
    count = page.draw_pictures(rows, out)
    print(f"{out / 'ACCURACY.md'} and {count} pictures, from accuracy.csv and accuracy.json.")


# ----------------------------------------------------------------------------------------------------------- measuring

def measure_parts(args, out):
    """Measure part by part, and store each when it is done."""
    params = Params()
    speech, noise = find_test_audio(args, params) if args.audio else ([], [])
    people = strangers.find_people(args.people) if args.people else []
    if args.quick:
        people = people[:QUICK_HEADS]
    few = strangers.few_of(people) if people else []
    measures = {
        "people": lambda: strangers.measure_people(people, speech, noise, args, params),
        "recordings": lambda: strangers.measure_recordings(args.recordings, args, params),
        "rooms": lambda: measure_conditions([(condition, path) for path in args.room
                                             for condition in conditions.room_conditions(path)],
                                            speech, noise, args, params),
        "microphones": lambda: strangers.measure_microphones(few, speech, noise, args, params),
        "sounds": lambda: strangers.measure_sounds(few, find_sounds(args, params), noise, args, params),
        "noise-alone": lambda: strangers.measure_noise_alone(few, noise, args, params),
        "talkers": lambda: talkers.measure_talkers(talkers.heads_of(args.room), speech, noise, args, params),
        "kemar": lambda: measure_conditions(kemar_conditions(args), speech, noise, args, params),
    }
    model = sha256_of(Path(args.model) / "best.keras")
    for part in args.parts:
        rows, run = [], {"command": command_of(args, part), "measured_on": date.today().isoformat(), "model": model,
                         "audio": in_words(speech, noise) if "audio" in PARTS[part].flags else ""}
        for some in measures[part]():
            rows += some
            print(f"{part}: {in_short(some)}", flush=True)
        if part == "kemar":
            run |= {"processors": os.cpu_count(), "ms_a_sample": {
                row["system"]: round(row["ms_a_sample"], 3) for row in rows if "ms_a_sample" in row}}
        keeps = args.model_alone and part in ("rooms", "talkers", "kemar")
        store(part, rows, run, out, keeps_others=keeps)


def find_test_audio(args, params):
    """Find the speech and the noise of the test, long enough for every condition: two lists of Audio."""
    longest = replace(params, frames=max(condition.frames for condition in conditions.CONDITIONS))
    speech, _ = find_audio(Path(args.audio) / "SpeechTEST", "--audio", longest.excerpt_length, params)
    noise, _ = find_audio(Path(args.audio) / "NoiseTEST", "--audio", 1, params)
    if args.quick:
        speech, noise = list({conditions.speaker_of(s.name): s for s in speech}.values()), noise[:1]
    return speech, noise


def find_sounds(args, params):
    """Find the other sounds, and name those that cannot be used."""
    sounds, problems = find_audio(args.sounds, "--sounds", params.excerpt_length, params)
    for problem in problems:
        console.warn(f"Skipped: {problem}")
    return sounds


def kemar_conditions(args):
    """List the conditions of MIT KEMAR and the other dummy heads with their sets; BadInput for what is absent."""
    sources = {name: file if name == conditions.KEMAR else Path(args.hrtf) / file
               for name, file in conditions.HEADS.items()}
    missing = [str(path) for path in list(sources.values())[1:] if not Path(path).is_file()]
    if missing:
        raise BadInput(f"{missing[0]} is absent; name the folder of the SOFA sets with --hrtf.")
    return [(condition, sources[condition.head]) for condition in conditions.CONDITIONS]


def measure_conditions(wanted, speech, noise, args, params):
    """Measure conditions, each with its set, on all pairs of speech and noise: yields the rows of each."""
    systems = ({"model": conditions.answers_of(conditions.load_model(args))} if args.model_alone else
               conditions.network_systems(args) | conditions.methods_without_learning(params))
    pairs = [(s, n) for s in speech for n in noise]
    for condition, source in wanted:
        head = conditions.head_of(condition, source, params)
        predictions = conditions.measure(condition, systems, pairs, speech, head, params)
        rows = conditions.rows_of(condition, predictions)
        if condition == conditions.TIMED:
            count = len(predictions.true_deg) * len(condition.snrs_db)
            rows = [row | {"ms_a_sample": 1e3 * predictions.seconds[row["system"]] / count} for row in rows]
        yield rows


def in_short(rows):
    """Some rows in one line: what they have in common, then the main figure of each, by system."""
    common = [rows[0][name] for name in ("head", "variant", "noise_field") if len({row[name] for row in rows}) == 1]
    of_systems = []
    for system in dict.fromkeys(row["system"] for row in rows):
        values = [next(row[key] for key in IN_SHORT if key in row) for row in rows if row["system"] == system]
        of_systems.append(" ".join([system, *(f"{value:.1f}" for value in values)]))
    return f"{' '.join(filter(None, common))}: {', '.join(of_systems)}"


def in_words(speech, noise):
    """The audio in words."""
    speakers = len({conditions.speaker_of(s.name) for s in speech})
    return f"{len(speech)} utterances of {speakers} speakers, {len(noise)} noises"


def command_of(args, part):
    """The command that measured a part, without the folders of this machine."""
    flags = "".join(f" --{flag} {'FILE' * (flag == 'room') or 'DIR'}" for flag in PARTS[part].flags)
    model = "" if Path(args.model).resolve() == PRETRAINED else " --model DIR"
    return f"python benchmarks/accuracy.py --only {part}{flags}{model}{' --quick' if args.quick else ''}"


# ------------------------------------------------------------------------------------------------------- stored figures

def store(part, rows, run, out, keeps_others=False):
    """Put the rows and the run of a part in the place of those before, and leave the other parts alone.

    `keeps_others`: rows of methods that were not measured stay, as far as they are of the same conditions and SNRs.
    """
    others, runs = read_figures(out) if (out / "accuracy.csv").exists() else ([], {})
    of_part = [row for row in others if row["table"] in PARTS[part].tables]
    others = [row for row in others if row["table"] not in PARTS[part].tables]
    if keeps_others:
        measured = {row["system"] for row in rows}
        wanted = {tuple(row[name] for name in (*conditions.CONDITION_COLUMNS, "snr_db")) for row in rows}
        others += [row for row in of_part if row["system"] not in measured
                   and tuple(row[name] for name in (*conditions.CONDITION_COLUMNS, "snr_db")) in wanted]
        run = runs.get(part, {}) | run
    order = [table for each in PARTS.values() for table in each.tables]
    runs = runs | {part: run}
    write_figures(sorted([*others, *rows], key=lambda row: order.index(row["table"])),
                  {name: runs[name] for name in PARTS if name in runs}, out)


def write_figures(rows, runs, out):
    """Write accuracy.csv, a row a condition, SNR and system, and accuracy.json, how each part was measured."""
    with console.atomic_write(out / "accuracy.csv") as partial, \
            open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _stored(row.get(name, np.nan)) for name in CSV_COLUMNS})
    with console.atomic_write(out / "accuracy.json") as partial:
        partial.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


def _stored(value):
    """A value as accuracy.csv has it: empty for NaN, what was not measured."""
    return value if isinstance(value, (str, int)) else "" if np.isnan(value) else round(float(value), DECIMALS)


def read_figures(out):
    """Read what `write_figures` wrote: rows with numbers as float, NaN for an empty one, and the dict of runs."""
    try:
        with open(out / "accuracy.csv", newline="", encoding="utf-8") as file:
            rows = [{name: value if name in WORDS else float(value or "nan") for name, value in row.items()}
                    for row in csv.DictReader(file)]
        return rows, json.loads((out / "accuracy.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as problem:
        raise BadInput(f"{out} holds no accuracy.csv and accuracy.json of this script; measure without --from-csv.") \
            from problem


if __name__ == "__main__":
    sys.exit(console.run(main))
