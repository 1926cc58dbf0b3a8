"""Scores trained models on the shards of SpatialiseTEST.py, beside a baseline without learning.

    python Testing.py                                           # BinSL_TEST, checkpoints -> results
    python Testing.py --models pretrained --out results_pretrained   # the model that ships

A folder of models holds best.keras, last.keras or both. A prediction, rounded to whole degrees, is correct when it
differs by at most 5 degrees: the rule of the original, CNNBSL.
"""
import csv
import json
import sys
from pathlib import Path

import numpy as np

import console
from console import BadInput
from network import likelihood
from network.opening import open_network
from params import Params
from scores import metrics, plots, report, tables
from shards.feeds import batches, blocks_of, count_samples, read_ahead
from shards.files import BY_SAMPLE, open_shards
from shards.remix import Remixer

MODELS = ("best", "last")
BASELINE = "baseline"
AUDIBLE = 20    # of the worst and of typical samples, in the report
MOST_SNRS = 20  # with more different ones they were drawn from a range, and the table is by steps of 5 dB


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", default="BinSL_TEST", help="test shards (default: %(default)s)")
    parser.add_argument("--models", metavar="DIR", default="checkpoints",
                        help="trained models, a folder, or a .keras or .onnx file (default: %(default)s)")
    parser.add_argument("--head", metavar="SET", default="mit_kemar",
                        help="the head that models and baseline compare with, for example a SOFA file of one's own "
                             "(default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default="results", help="tables, pictures (default: %(default)s)")
    heard = parser.add_argument_group("what the shards were made of, to be heard in report.html where it is present")
    heard.add_argument("--speech", metavar="DIR", default="SpeechTEST", help="(default: %(default)s)")
    heard.add_argument("--noise", metavar="DIR", default="NoiseTEST", help="(default: %(default)s)")
    heard.add_argument("--recordings", metavar="DIR", help="for shards of labelled recordings")
    heard.add_argument("--hrir", metavar="SET", nargs="+", default=[], help="SOFA files besides mit_kemar")
    return parser.parse_args(argv)


def main(argv=None):
    """Score the models on the shards, write what came out, and print its tables."""
    args, params = parse_args(argv), Params()
    shards = open_shards(args.data, params, "SpatialiseTEST.py")
    templates = likelihood.template_cues(params, args.head)
    networks = load_networks(args.models, shards[0].params["frames"], templates if args.head != "mit_kemar" else None)
    out = console.folder_for_output(args.out)
    predicted, stated = predict(networks, templates, shards, params)
    results = score(predicted, stated, shards)
    write_results(results, predicted, stated, shards, out, {
        "data": str(args.data), "models": str(args.models), "head": args.head, "scenes": shards[0].params,
        "training": {name: network.params.training | {"frames": network.params.frames, "scenes": network.made_with}
                     for name, network in networks.items()}})

    shown = shown_as(predicted, networks)  # for people: best and last of one epoch are one
    results, predicted, stated = ({shown[name]: of_name for name, of_name in each.items() if name in shown}
                                  for each in (results, predicted, stated))
    pictures = plots.of_test(results, predicted, stated, true_azimuths(shards), params.tolerance_deg, out)
    results = tables.in_words(results)
    write_report(results, predicted, stated, shards, pictures, args, params, out)
    print("\n".join(tables.lines(results)))  # last, so that a reader who has seen enough (| head) loses nothing
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

    """
    answers, baseline_deg = {name: [] for name in networks}, []
    blocks = blocks_of(shards, params.block_samples)
    stream = read_ahead(batches(blocks, batch_size=256, blocks_mixed=8), depth=2)
    with console.progress(total=count_samples(blocks), unit=" samples", desc="Testing") as bar:
        for samples, _ in stream:
            for name, network in networks.items():
                answers[name].append(network.answer(samples))
            baseline_deg.append(likelihood.localise(samples, templates, params.class_deg))
            bar.update(len(samples))
    answers = {name: tuple(map(np.concatenate, zip(*parts))) for name, parts in answers.items()}
    predicted = {name: azimuth_deg for name, (azimuth_deg, *_) in answers.items()}
    return (predicted | {BASELINE: np.concatenate(baseline_deg)},
            {name: tuple(half_widths) for name, (_, *half_widths) in answers.items() if np.isfinite(half_widths).all()})


def score(predicted, stated, shards):
    """Score each method on all samples and on groups of them: dict of name to the figures of results.json."""
    groups = {
        "by_snr_db": in_steps(np.concatenate([shard.snr_db for shard in shards])),
        "by_azimuth_deg": true_azimuths(shards),
        "by_noise": np.concatenate([np.full(len(shard.labels), shard.noise) for shard in shards]),
        "by_noise_field": np.concatenate([shard.noise_field for shard in shards]),
        "by_hrir": np.concatenate([shard.hrir for shard in shards]),
    }
    results = {}
    for name, azimuth_deg in predicted.items():
        given = azimuth_deg, true_azimuths(shards), stated.get(name, ())
        results[name] = metrics.score(*given) | {by: metrics.score_by(group, *given) for by, group in groups.items()}
    return results


def in_steps(snr_db):
    """Keep SNRs as they are, or round them to 5 dB where they were drawn from a range."""
    return snr_db if len(np.unique(snr_db)) <= MOST_SNRS else np.round(snr_db / 5) * 5 + np.float32(0)  # -0 to 0


def true_azimuths(shards):
    """Collect the azimuths of all samples, (n,) in degrees."""
    return np.concatenate([shard.labels for shard in shards])


def write_results(results, predicted, stated, shards, out, made_with):
    """Write results.json and predictions.csv, one row a sample, each whole."""
    columns = {f"{name}_deg": values for name, values in predicted.items()} | {
        f"{name}_spread_deg": half_width_deg for name, (half_width_deg, _) in stated.items()}
    with console.atomic_write(out / "results.json") as partial:
        partial.write_text(json.dumps(results | {"made_with": made_with}, indent=1), encoding="utf-8")
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
                               f"{start_s:.3f}", f"{snr_db:g}", f"{azimuth_deg:g}",
                               *(f"{value:.2f}" for value in next(each))])


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


def write_report(results, predicted, stated, shards, pictures, args, params, out):
    """Write report.html: pictures, tables, and the worst and some typical samples of the first model to hear."""
    first = next(iter(predicted))
    true_deg = true_azimuths(shards)
    half_width_deg = stated[first][0] if first in stated else np.full(len(true_deg), np.nan)
    order = np.argsort(-np.abs(predicted[first] - true_deg), kind="stable")
    typical = np.sort(np.random.default_rng(0).permutation(len(order))[:AUDIBLE])
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
                                    shard.snr_db[row], shard.speech, shard.noise, ears, why_not)

    worst, some = ([clip(number) for number in console.progress(numbers, desc="report")]
                   for numbers in (order[:AUDIBLE], typical))
    made_with = f"{len(true_deg)} samples of {args.data}, models of {args.models}; the samples to hear are of {first}."
    with console.atomic_write(out / "report.html") as partial:
        partial.write_text(report.html("Binaural sound localisation: test", results, pictures, worst, some,
                                       params.sample_rate_hz, made_with), encoding="utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(console.run(main))
