"""Trains the model that ships: one run of TrainingCNN.py, then its weights as float16; under 4 hours on 2 cores.

    python tools/make_model.py --speech DIR --noise DIR --people DIR              # or: make model SPEECH=DIR ...
    python tools/make_model.py --speech DIR --noise DIR --people DIR --dry-run    # print the command of the run
    python tools/make_model.py --speech DIR --noise DIR --people DIR --from pretrained --out MORE    # go on from that
    python tools/make_model.py --speech DIR --noise DIR --people DIR --mean-of MORE    # of its best and its last epoch

--people names folders of SOFA files, or patterns in quotes ('people/cipic_*.sofa'). Files of a folder whose names agree
up to the first digit or underscore are one collection, and so are those of a pattern. Of 10 mixtures 3 are heard
through MIT KEMAR, about 7 through people. A collection of four times as many heads is drawn twice as often.

The run can be interrupted: the same command goes on after the last finished epoch, and every epoch prints the time
left. In the end --out holds the folder shipped: best.keras with float16 weights, history.csv, and run.json, which is
what tools/write_card.py needs besides. pretrained/ is left as it is.
"""
import csv
import glob
import itertools
import json
import math
import shlex
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import hrir
from console import BadInput
from shards.audio import AudioCache, find_audio
from shards.recipe import PairPlan, samples_of_pair
from sound import mixing

SAMPLES = 3_833_856                 # 52 epochs of 73,728
MORE_SAMPLES, MORE_LEARNING_RATE = 884_736, 2.5e-4  # of a run that goes on: 12 epochs
MEAN_SAMPLES, MEAN_LEARNING_RATE = 73_728, 1e-6     # of a mean, which keeps its weights: its uncertainty is measured
AZIMUTH_DEG = tuple(2.5 * step for step in range(-36, 37))
KEMAR_WEIGHT, PEOPLE_WEIGHT = 3, 7  # of 10 mixtures
OWN_HEAD_SHARE = 0.3
CHECK_PAIRS, CHECK_SNR_DB = 3, (-6, 0, 20)              # 333 samples: 3 pairs x 3 SNRs x 37 azimuths
MOST_MEDIAN_DEG, MOST_99_PERCENT_DEG = 0.005, 0.05      # changes by float16: below the last digit shown, 0.1 degrees


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--speech", metavar="DIR", required=True, help="speech to train on")
    parser.add_argument("--noise", metavar="DIR", required=True, help="noise to train on")
    parser.add_argument("--people", metavar="DIR", nargs="+", required=True,
                        help="people's heads: folders of SOFA files, or patterns in quotes")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--from", metavar="DIR", dest="origin", type=Path,
                       help="go on from a folder that an earlier run shipped: best.keras, history.csv, run.json")
    begin.add_argument("--mean-of", metavar="DIR", type=Path,
                       help="the --out of an earlier run: take the mean of the weights of its best and its last epoch")
    parser.add_argument("--samples", metavar="N", type=int,
                        help=f"mixtures (default: {SAMPLES}, with --from {MORE_SAMPLES}, of a mean {MEAN_SAMPLES})")
    parser.add_argument("--out", metavar="DIR", default="checkpoints_shipped", help="(default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="print the command and run nothing")
    args = parser.parse_args(argv)
    args.begin = beginning_of(args)
    args.samples = args.samples or args.begin.samples
    args.before = earlier_runs(args.begin.shipped) if args.begin.shipped else []
    return args


def main(argv=None):
    """Run TrainingCNN.py, or print its command; then write what ships and check it."""
    args = parse_args(argv)
    flags = training_flags(args)
    if args.dry_run:
        print(shlex.join(["python", "TrainingCNN.py", *flags]))
        return
    if subprocess.run([sys.executable, str(ROOT / "TrainingCNN.py"), *flags]).returncode:
        raise BadInput("TrainingCNN.py ended early, see above; run the same command again to go on.")
    shipped, change = finish(args)
    print(f"{shipped}: best.keras, {(shipped / 'best.keras').stat().st_size / 1e6:.1f} MB; float16 changes answers to "
          f"{change['samples']} samples by {change['median_deg']:.4f} degrees (median) and at most "
          f"{change['largest_deg']:.4f}, a probability by at most {change['largest_probability']:.5f}.")
    print("Copy the three files to pretrained/, export them for ONNX, measure, and write the card:\n"
          "  python tools/export.py pretrained/best.keras\n  python tools/make_golden_answer.py\n"
          "  python benchmarks/accuracy.py --audio DIR --people DIR --recordings DIR --room FILE FILE --sounds DIR "
          "--hrtf DIR\n  python tools/write_card.py")


# ------------------------------------------------------------------------------------------------------------- the run

def training_flags(args):
    """List the flags of the run of TrainingCNN.py; with --resume, since the same command begins and goes on."""
    people = collections_of(args.people)
    return ["--from-wavs", "--world", "--azimuth-deg", *(f"{azimuth:g}" for azimuth in AZIMUTH_DEG),
            "--hrir", "mit_kemar", *people, "--hrir-weights", *map(str, (KEMAR_WEIGHT, *weights_of(people.values()))),
            "--own-head-share", str(OWN_HEAD_SHARE), "--samples", str(args.samples), "--speech", args.speech,
            "--noise", args.noise, "--out", args.out, "--resume", *args.begin.flags]


class Beginning(NamedTuple):
    """What a run begins with: samples unless given, the folder shipped before it, and its flags of TrainingCNN.py."""

    samples: int
    shipped: Path | None = None
    flags: tuple = ()


def beginning_of(args):
    """Tell the Beginning that --from or --mean-of ask for; without either, weights are drawn at random."""
    if args.origin:
        return Beginning(MORE_SAMPLES, args.origin, (
            "--from", str(args.origin / "best.keras"), "--learning-rate", f"{MORE_LEARNING_RATE:g}"))
    if args.mean_of:
        return Beginning(MEAN_SAMPLES, args.mean_of / "shipped", (
            "--from", str(args.mean_of / "best.keras"), str(args.mean_of / "last.keras"),
            "--learning-rate", f"{MEAN_LEARNING_RATE:g}"))
    return Beginning(SAMPLES)


def earlier_runs(origin):
    """List the runs that a shipped folder comes from, the first one first: dicts of samples, epochs and minutes.

    Raises BadInput where the folder does not hold what `finish` writes.
    """
    try:
        run = json.loads((origin / "run.json").read_text(encoding="utf-8"))
        with open(origin / "history.csv", newline="", encoding="utf-8") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        of_it = {"is_mean": run.get("is_mean", False), "samples": run["samples"]}
        return [*run.get("before", []), of_it | {"epochs": len(seconds), "minutes": round(sum(seconds) / 60)}]
    except (OSError, ValueError, KeyError) as problem:
        raise BadInput(f"{origin} does not hold best.keras, history.csv and run.json of a model that shipped; name the "
                       "folder that this script wrote, or pretrained.") from problem


def collections_of(people):
    """Find the collections of heads that folders and patterns hold: dict of pattern to number of files.

    Raises BadInput for a single file, and for a folder or pattern without any.
    """
    found = Counter()
    for name in people:
        if Path(name).is_file():
            raise BadInput(f"--people {name} is a single file; name its folder, or put a pattern in quotes.")
        of_name = (Counter(map(pattern_of, sorted(Path(name).glob("*.sofa")))) if Path(name).is_dir() else
                   {name: len(glob.glob(name))})
        if not sum(of_name.values()):
            raise BadInput(f"--people {name} holds no SOFA file; name another folder or pattern.")
        found.update(of_name)
    return found


def pattern_of(path):
    """Give the pattern of a file's collection.

    >>> pattern_of(Path("people/cipic_008.sofa"))
    'people/cipic[0-9_]*.sofa'
    """
    collection = hrir.collection_of(path.stem)
    ending = "" if collection == path.stem else "[0-9_]*"
    return str(Path(glob.escape(str(path.parent))) / f"{glob.escape(collection)}{ending}.sofa")


def weights_of(counts):
    """Share PEOPLE_WEIGHT out by the square root of the heads of each collection, in whole numbers.

    >>> weights_of([42, 18])
    [4, 3]
    """
    roots = [math.sqrt(count) for count in counts]
    return [max(1, round(PEOPLE_WEIGHT * root / sum(roots))) for root in roots]


# ---------------------------------------------------------------------------------------------------------- what ships

def finish(args):
    """Write the folder shipped and check that float16 changes nothing that is shown: its path, the changes.

    Raises BadInput where it does.
    """
    from network import files  # here, not above: TensorFlow takes seconds
    from network.model import Network

    out = Path(args.out)
    shipped = console.folder_for_output(out / "shipped")
    network, last = Network.load(out / "best.keras"), Network.load(out / "last.keras")
    speech, _ = find_audio(args.speech, "--speech", network.params.excerpt_length, network.params)
    noise, _ = find_audio(args.noise, "--noise", 1, network.params)
    samples = some_samples(speech, noise, network.params)
    before = network.hear(samples)
    files.save_half(network, shipped / "best.keras")
    change = changes(before, Network.load(shipped / "best.keras").hear(samples))
    if change["median_deg"] > MOST_MEDIAN_DEG or change["percentile_99_deg"] > MOST_99_PERCENT_DEG:
        (shipped / "best.keras").unlink()
        raise BadInput(f"{out / 'best.keras'} as float16 answers otherwise: by {change['median_deg']:.3f} degrees "
                       f"(median), 1 % of the answers by {change['percentile_99_deg']:.3f} or more; ship it as it is.")
    with console.atomic_write(shipped / "history.csv") as partial:
        partial.write_bytes((out / "history.csv").read_bytes())
    with console.atomic_write(shipped / "run.json") as partial:
        run = {"before": args.before, "is_mean": bool(args.mean_of), "samples": args.samples,
               "speech_files": len(speech), "noise": [each.name for each in noise], "data": last.state["data"],
               "processors": console.processors(), "float16": change}
        partial.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    return shipped, change


def some_samples(speech, noise, params):
    """Mix some files through MIT KEMAR at several SNRs: (n, 321, 50, 2) float16."""
    params = replace(params, snr_db=CHECK_SNR_DB)
    head = hrir.load("mit_kemar", params.sample_rate_hz, mixing.directions_deg(params))
    mixer, audio = mixing.Mixer(params, [head]), AudioCache(params)
    pairs = itertools.islice(zip(itertools.cycle(speech), itertools.cycle(noise)), CHECK_PAIRS)
    return np.concatenate([mixture.cues.copy() for pair in pairs
                           for mixture in samples_of_pair(PairPlan(*pair, [], Path()), mixer, audio)])


def changes(before, after):
    """Compare two answers.Hearing of the same samples: dict of degrees and of a probability, rounded."""
    moved_deg = np.abs(after.answer.azimuth_deg - before.answer.azimuth_deg)
    probability = np.abs(after.distribution - before.distribution).max()
    return {"samples": len(moved_deg), "median_deg": round(float(np.median(moved_deg)), 5),
            "percentile_99_deg": round(float(np.quantile(moved_deg, 0.99)), 5),
            "largest_deg": round(float(moved_deg.max()), 5), "largest_probability": round(float(probability), 6)}


if __name__ == "__main__":
    sys.exit(console.run(main))
