"""Scores trained models on the shards of SpatialiseTEST.py, beside a baseline without learning.

    python Testing.py                                           # BinSL_TEST, checkpoints -> results
    python Testing.py --models pretrained --out results_pretrained   # the model that ships

A folder of models holds best.keras, last.keras or both. A prediction, rounded to whole degrees, is correct when it
differs by at most 5 degrees: the rule of the original, CNNBSL.
"""
import console

if __name__ == "__main__":
    console.end_at_ctrl_c()  # while what follows is imported

import csv
import json
import sys
from pathlib import Path

import numpy as np

from console import BadInput
from network import gcc_phat, likelihood
from network.opening import open_network
from network.peaks import read_peaks
from params import MOST_TALKERS, Params
from scores import metrics, plots, report, tables, talkers
from shards.feeds import batches, blocks_of, count_samples, read_ahead
from shards.files import BY_SAMPLE, open_shards, talkers_of
from shards.folder import only_run
from shards.remix import Remixer

MODELS = ("best", "last")
BASELINE, GCC_PHAT = "baseline", "gcc_phat"   # the second is compared of several talkers
AUDIBLE = 20    # of the worst and of typical samples, in the report
MOST_SNRS = 20  # with more different ones they were drawn from a range, and the table is by steps of 5 dB


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", default="BinSL_TEST", help="test shards (default: %(default)s)")
    parser.add_argument("--models", metavar="DIR", default="checkpoints",
                        help="trained models, a folder, or a .keras or .onnx file (default: %(default)s)")
    parser.add_argument("--head", metavar="SET", default="mit_kemar",
                        help="the head whose HRTF models and baseline use, for example a SOFA file of your own "
                             "(default: %(default)s)")
    parser.add_argument("--skip-bad", action="store_true",
                        help="read all shards first, and score without those that are damaged")
    parser.add_argument("--out", metavar="DIR", default="results", help="tables and pictures (default: %(default)s)")
    heard = parser.add_argument_group("what the shards were made of; report.html plays it if it is present")
    heard.add_argument("--speech", metavar="DIR", default="SpeechTEST", help="(default: %(default)s)")
    heard.add_argument("--noise", metavar="DIR", default="NoiseTEST", help="(default: %(default)s)")
    heard.add_argument("--recordings", metavar="DIR", help="for shards of labelled recordings")
    heard.add_argument("--hrir", metavar="SET", nargs="+", default=[], help="SOFA files, besides mit_kemar")
    return parser.parse_args(argv)


def main(argv=None):
    """Open the shards and the models, and score them."""
    args, params = parse_args(argv), Params()
    shards = open_shards(args.data, params, "SpatialiseTEST.py", args.skip_bad)
    if not has_talker(shards).any():
        raise BadInput(f"--data {args.data} holds noise alone, without anybody to localise; run SpatialiseTEST.py with "
                       "--talkers of 1 or more.")
    templates = likelihood.template_cues(params, args.head)
    networks = load_networks(args.models, shards[0].params["frames"], templates if args.head != "mit_kemar" else None)
    with only_run(args.out) as out:
        score_and_report(networks, templates, shards, args, params, out)


def score_and_report(networks, templates, shards, args, params, out):
    """Score networks on shards, write what came out into the folder `out`, and print its tables."""
    predicted, stated, found = predict(networks, templates, shards, params)
    for name in set(networks) - set(found) if found else ():
        console.warn(f"{name} tells one source of a sample, so the table of several talkers leaves it out.")
    results, of_talkers = score(predicted, stated, shards), score_talkers(found, predicted, shards)
    write_results(results, of_talkers, predicted, stated, found, shards, out, {
        "data": str(args.data), "skip_bad": args.skip_bad, "models": str(args.models), "head": args.head,
        "scenes": shards[0].params,
        "training": {name: network.params.training | {"frames": network.params.frames, "scenes": network.made_with}
                     for name, network in networks.items()}})

    shown = shown_as(predicted, networks) | {GCC_PHAT: "GCC-PHAT"}  # for people: best and last of one epoch are one
    results, predicted, stated, of_talkers = (
        {shown[name]: of_name for name, of_name in each.items() if name in shown}
        for each in (results, predicted, stated, of_talkers))
    pictures = plots.of_test(results, *of_those(has_talker(shards), predicted, stated),
                             true_azimuths(shards)[has_talker(shards)], params.tolerance_deg, out)
    results = tables.in_words(results)
    write_report(results, of_talkers, predicted, stated, shards, pictures, args, params, out)
    several = ["", *tables.talker_lines(of_talkers)] if of_talkers else []
    print("\n".join([*tables.lines(results), *several]))  # last: who has seen enough (| head) loses nothing
    print(f"\nWritten: {out / 'report.html'}, {out / 'results.json'}, {out / 'predictions.csv'}, and the pictures")
    for picture in pictures:
        print(f"  {picture}")


def load_networks(folder, frames, templates=None):
    """Load best.keras and last.keras of a folder, or best.onnx, or one file, to score on samples of `frames`.

    Given the `templates` (class, bin, 2) of another head, they compare with those.
    """
    paths = {name: Path(folder) / f"{name}.keras" for name in MODELS}
    if Path(folder).is_file():
        paths = {"last" if Path(folder).stem == "last" else "best": Path(folder)}
    present = {name: path for name, path in paths.items() if path.is_file()}
    if not present and (light := Path(folder) / "best.onnx").is_file():
        present = {"best": light}
    networks = {name: open_network(path, templates) for name, path in (present or paths).items()}  # the first is missed
    for name, network in networks.items():
        if network.params.frames != frames:
            console.warn(f"{present[name].name} was trained on samples of {network.params.frames} frames and is scored "
                         f"on {frames}.")
    return networks


def predict(networks, templates, shards, params):
    """Predict the azimuth of every sample, and its uncertainty; the baseline compares with `templates`.

    Returns
    -------
    dict of name to azimuths (n,) in degrees, in the order of the shards, the baseline's included
    dict of name to the stated 68 and 95 % half-widths, each (n,) in degrees, of networks that state them
    dict of name to the azimuths of all talkers, (n, MOST_TALKERS) padded with NaN; empty without shards of several

    """
    answers, baseline_deg, found = {name: [] for name in networks}, [], {}
    has_several = any(shard.talker_azimuth_deg is not None for shard in shards)
    blocks = blocks_of(shards, params.block_samples)
    stream = read_ahead(batches(blocks, batch_size=256, blocks_mixed=8), depth=2)
    with console.progress(total=count_samples(blocks), unit=" samples", desc="Testing") as bar:
        for samples, _ in stream:
            for name, network in networks.items():
                heard = network.hear(samples)
                answers[name].append(heard.answer)
                if has_several and heard.presence is not None:
                    peaks = read_peaks(heard.presence, network.params, MOST_TALKERS)
                    found.setdefault(name, []).append(peaks.azimuth_deg)
            baseline_deg.append(likelihood.localise(samples, templates, params.class_deg))
            if has_several:
                for name, method in ((BASELINE, likelihood), (GCC_PHAT, gcc_phat)):
                    found.setdefault(name, []).append(method.read_azimuths(samples, templates, params, MOST_TALKERS))
            bar.update(len(samples))
    answers = {name: tuple(map(np.concatenate, zip(*parts))) for name, parts in answers.items()}
    predicted = {name: azimuth_deg for name, (azimuth_deg, *_) in answers.items()}
    return (predicted | {BASELINE: np.concatenate(baseline_deg)},
            {name: tuple(half_widths) for name, (_, *half_widths) in answers.items() if np.isfinite(half_widths).all()},
            {name: np.concatenate(parts) for name, parts in found.items()})


def score(predicted, stated, shards):
    """Score each method on all samples with a talker, of several the loudest, and on groups of them.

    Returns a dict of name to the figures of results.json.
    """
    rows = has_talker(shards)
    groups = {
        "by_snr_db": in_steps(np.concatenate([shard.snr_db for shard in shards])),
        "by_azimuth_deg": true_azimuths(shards),
        "by_noise": np.concatenate([np.full(len(shard.labels), shard.noise) for shard in shards]),
        "by_noise_field": np.concatenate([shard.noise_field for shard in shards]),
        "by_hrir": np.concatenate([shard.hrir for shard in shards]),
    }
    results, (predicted, stated) = {}, of_those(rows, predicted, stated)
    for name, azimuth_deg in predicted.items():
        given = azimuth_deg, true_azimuths(shards)[rows], stated.get(name, ())
        results[name] = metrics.score(*given) | {by: metrics.score_by(group[rows], *given)
                                                 for by, group in groups.items()}
    return results


def score_talkers(found, predicted, shards):
    """Score the azimuths of all talkers, and beside them the one answer, GCC-PHAT's being its highest peak.

    Returns a dict of name to the figures of talkers.score_groups; empty without shards of several talkers.
    """
    return {name: talkers.score_groups(azimuth_deg, *talkers_of(shards), predicted.get(name, azimuth_deg[:, 0]))
            for name, azimuth_deg in found.items()}


def of_those(rows, predicted, stated):
    """Pick rows (n,) bool of all methods' azimuths and stated half-widths: as `predict` gives them."""
    return ({name: azimuth_deg[rows] for name, azimuth_deg in predicted.items()},
            {name: tuple(each[rows] for each in half_widths) for name, half_widths in stated.items()})


def in_steps(snr_db):
    """Keep SNRs as they are, or round them to 5 dB where they were drawn from a range."""
    return snr_db if len(np.unique(snr_db)) <= MOST_SNRS else np.round(snr_db / 5) * 5 + np.float32(0)  # -0 to 0


def true_azimuths(shards):
    """Collect the azimuths of all samples, (n,) in degrees; of several talkers the loudest, NaN without any."""
    return np.concatenate([shard.labels for shard in shards])


def has_talker(shards):
    """Tell which samples have a talker, (n,) bool: of the others there is no one answer to score."""
    return np.isfinite(true_azimuths(shards))


def write_results(results, of_talkers, predicted, stated, found, shards, out, made_with):
    """Write results.json and predictions.csv, one row a sample, each whole."""
    columns = {f"{name}_deg": (f"{value:.2f}" for value in values) for name, values in predicted.items()} | {
        f"{name}_spread_deg": (f"{value:.2f}" for value in half_width_deg)
        for name, (half_width_deg, _) in stated.items()}
    if found:
        azimuth_deg, level_db = talkers_of(shards)
        columns |= {"talker_azimuth_deg": map(_listed, azimuth_deg), "talker_level_db": map(_listed, level_db)} | {
            f"{name}_talkers_deg": map(_listed, values) for name, values in found.items()}
    several = {"talkers": of_talkers} if of_talkers else {}
    with console.atomic_write(out / "results.json") as partial:
        partial.write_text(json.dumps(results | several | {"made_with": made_with}, indent=1), encoding="utf-8")
    with console.atomic_write(out / "predictions.csv") as partial, \
            open(partial, "w", newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.writer(file)
        rows.writerow(["speech", "noise", "noise_field", "hrir", "room_rt60_s", "excerpt_start_s", "snr_db",
                       "azimuth_deg", *columns])
        each = zip(*columns.values())
        for shard in shards:
            of_samples = (getattr(shard, name) for name in BY_SAMPLE)
            for azimuth_deg, snr_db, field, head, rt60_s, start_s in zip(*of_samples):
                rows.writerow([shard.speech, shard.noise, field, head, "" if np.isnan(rt60_s) else f"{rt60_s:.2f}",
                               f"{start_s:.3f}", f"{snr_db:g}", "" if np.isnan(azimuth_deg) else f"{azimuth_deg:g}",
                               *next(each)])


def _listed(values):
    """Write the numbers among values (n,) with spaces between."""
    return " ".join(f"{value:.4g}" for value in values[np.isfinite(values)])


def shown_as(predicted, networks):
    """Name each method for people; best and last are one, named with its epoch, where their weights are the same.

    Returns
    -------
    dict of name to what is shown, without "last" where "best" stands for both

    """
    shown = {name: name for name in predicted}
    if set(MODELS) <= set(networks) and have_same_weights(*networks.values()):
        del shown["last"]
        shown["best"] = "best = last" + epoch_of(networks["last"])
    return shown


def have_same_weights(network, other):
    """Tell whether two networks answer alike because their weights and calibrations are equal."""
    weights, others = network.keras_model.get_weights(), other.keras_model.get_weights()
    return network.calibration == other.calibration and len(weights) == len(others) and all(
        map(np.array_equal, weights, others))


def epoch_of(network):
    """Give ", epoch 2" by the training state of last.keras, or nothing where a copy without it lies there."""
    return f", epoch {len(network.state['history'])}" if network.state else ""


def write_report(results, of_talkers, predicted, stated, shards, pictures, args, params, out):
    """Write report.html: pictures, tables, and the worst and some typical samples of the first model to hear."""
    first = next(iter(predicted))
    true_deg, numbers = true_azimuths(shards), np.flatnonzero(has_talker(shards))
    every_deg, _ = talkers_of(shards)
    half_width_deg = stated[first][0] if first in stated else np.full(len(true_deg), np.nan)
    order = numbers[np.argsort(-np.abs(predicted[first] - true_deg)[numbers], kind="stable")]
    typical = np.sort(numbers[np.random.default_rng(0).permutation(len(order))[:AUDIBLE]])
    remixer = Remixer(args.speech, args.noise, args.recordings, args.hrir)
    begins = np.cumsum([0, *(len(shard.labels) for shard in shards)])

    def clip(number):
        which = int(np.searchsorted(begins, number, side="right")) - 1
        shard, row = shards[which], int(number - begins[which])
        try:
            ears, why_not = remixer.ears(shard, row), ""
        except BadInput as problem:
            ears, why_not = None, str(problem)
        return report.AudibleSample(true_deg[number], predicted[first][number], half_width_deg[number],
                                    shard.snr_db[row], shard.speech, shard.noise, ears, why_not,
                                    tuple(every_deg[number, 1:][np.isfinite(every_deg[number, 1:])].tolist()))

    worst, some = ([clip(number) for number in console.progress(numbers, desc="report")]
                   for numbers in (order[:AUDIBLE], typical))
    made_with = f"{len(true_deg)} samples of {args.data}, models of {args.models}; the samples to hear are of {first}."
    with console.atomic_write(out / "report.html") as partial:
        partial.write_text(report.html("Binaural sound localisation: test", results, pictures, worst, some,
                                       params.sample_rate_hz, made_with, of_talkers), encoding="utf-8",
                           errors="replace")


if __name__ == "__main__":
    sys.exit(console.run(main))
