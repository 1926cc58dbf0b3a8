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
from params import Params
from scores import metrics, plots, report
from shards.feeds import batches, blocks_of, count_samples, read_ahead
from shards.files import BY_SAMPLE, open_shards
from shards.remix import Remixer

MODELS = ("best", "last")
BASELINE = "baseline"
HEARD = 20      # of the worst and of typical samples, in the report
MOST_SNRS = 20  # with more different ones they were drawn from a range, and the table is by steps of 5 dB


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", default="BinSL_TEST", help="test shards (default: %(default)s)")
    parser.add_argument("--models", metavar="DIR", default="checkpoints", help="trained models (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default="results", help="tables, pictures (default: %(default)s)")
    heard = parser.add_argument_group("what the shards were made of, to be heard in report.html where it is present")
    heard.add_argument("--speech", metavar="DIR", default="SpeechTEST", help="(default: %(default)s)")
    heard.add_argument("--noise", metavar="DIR", default="NoiseTEST", help="(default: %(default)s)")
    heard.add_argument("--recordings", metavar="DIR", help="for shards of labelled recordings")
    heard.add_argument("--hrir", metavar="SET", nargs="+", default=[], help="SOFA files besides mit_kemar")
    return parser.parse_args(argv)


def main(argv=None):
    """Score and report."""
    args = parse_args(argv)
    params = Params()
    shards = open_shards(args.data, params, "SpatialiseTEST.py")
    frames = shards[0].params["frames"]

    from network.model import (
        Network,  # here, not above: TensorFlow takes seconds, and a wrong flag should not wait for it
    )

    paths = {name: Path(args.models) / f"{name}.keras" for name in MODELS}
    present = {name: path for name, path in paths.items() if path.is_file()} or paths  # of none, the first is missed
    networks = {name: Network.load(path) for name, path in present.items()}
    for name, network in networks.items():
        if network.params.frames != frames:
            console.warn(f"{name}.keras was trained on samples of {network.params.frames} frames and is scored on "
                           f"{frames}.")
    out = console.folder_for_output(args.out)
    predicted, stated = predict(networks, shards, params)
    true_deg = np.concatenate([shard.labels for shard in shards])
    groups = {
        "by_snr_db": in_steps(np.concatenate([shard.snr_db for shard in shards])),
        "by_azimuth_deg": true_deg,
        "by_noise": np.concatenate([np.full(len(shard.labels), shard.noise) for shard in shards]),
        "by_noise_field": np.concatenate([shard.noise_field for shard in shards]),
        "by_hrir": np.concatenate([shard.hrir for shard in shards]),
    }
    results = {}
    for name, azimuth_deg in predicted.items():
        given = azimuth_deg, true_deg, stated.get(name, ())
        results[name] = metrics.score(*given) | {by: metrics.score_by(group, *given) for by, group in groups.items()}
    write_results(results, predicted, stated, shards, out, {
        "data": str(args.data), "models": str(args.models), "scenes": shards[0].params,
        "training": {name: network.params.training | {"frames": network.params.frames, "scenes": network.made_with}
                     for name, network in networks.items()}})
    pictures = draw(results, predicted, stated, true_deg, params, out)
    results = for_people(results, groups)
    write_report(results, predicted, stated, shards, pictures, args, params, out)
    print_tables(results)  # last, so that a reader who has seen enough (| head) loses nothing
    print(f"\nWritten: {out / 'report.html'}, {out / 'results.json'}, {out / 'predictions.csv'}, and the pictures")
    for picture in pictures:
        print(f"  {picture}")


def for_people(results, groups):
    """Results with words for the groups of recordings to which no noise was added: SNR "inf", noise ""."""
    words = {"inf": "no noise", "": "none"}
    return {name: figures | {by: {words.get(group, group): of_group for group, of_group in figures[by].items()}
                             for by in groups} for name, figures in results.items()}


def draw(results, predicted, stated, true_deg, params, out):
    """Draw what the results show, of the first model where a picture holds one, and return the pictures' paths."""
    first = next(iter(predicted))
    paths = [out / f"{name}.png" for name in ("predicted_vs_true", "error_by_azimuth")]
    plots.density(predicted[first], true_deg, params.tolerance_deg, f"{first.capitalize()} epoch", paths[0])
    plots.error_by_azimuth(results, paths[1])
    if set(results[first]["by_snr_db"]) != {"inf"}:  # recordings may have no noise but their own
        paths.append(out / "accuracy_by_snr.png")
        plots.accuracy_by_snr(results, paths[-1])
    if stated:
        sure = next(iter(stated))
        paths += [out / "calibration.png", out / "accuracy_by_kept.png"]
        plots.calibration(np.abs(predicted[sure] - true_deg), stated[sure][0], f"{sure.capitalize()} epoch", paths[-2])
        curves = {name: metrics.kept_curve(predicted[name], true_deg, half_width_deg, params.tolerance_deg)
                  for name, (half_width_deg, _) in stated.items()}
        plots.accuracy_by_kept(curves, params.tolerance_deg, paths[-1])
    return paths


def predict(networks, shards, params):
    """Predict the azimuth of every sample, and how sure each network is of it.

    Returns
    -------
    dict of name to azimuths (n,) in degrees, in the order of the shards, the baseline's included
    dict of name to two (n,) in degrees, how far 68 and 95 % of the errors are said to reach, of networks that say it

    """
    answers, baseline_deg = {name: [] for name in networks}, []
    blocks = blocks_of(shards, params.block_samples)
    templates = likelihood.template_cues(params)
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
            {name: tuple(reach) for name, (_, *reach) in answers.items() if np.isfinite(reach).all()})


def in_steps(snr_db):
    """SNRs as they are, or to the nearest 5 dB where they were drawn from a range."""
    return snr_db if len(np.unique(snr_db)) <= MOST_SNRS else np.round(snr_db / 5) * 5 + np.float32(0)  # -0 to 0


def write_report(results, predicted, stated, shards, pictures, args, params, out):
    """Write report.html whole: tables, pictures, and the worst and some typical samples of the first model to hear."""
    first = next(iter(predicted))
    true_deg = np.concatenate([shard.labels for shard in shards])
    half_width_deg = stated[first][0] if first in stated else np.full(len(true_deg), np.nan)
    order = np.argsort(-np.abs(predicted[first] - true_deg), kind="stable")
    typical = np.sort(np.random.default_rng(0).permutation(len(order))[:HEARD])
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
                   for numbers in (order[:HEARD], typical))
    made_with = f"{len(true_deg)} samples of {args.data}, models of {args.models}; the samples to hear are of {first}."
    with console.atomic_write(out / "report.html") as partial:
        partial.write_text(report.html("Binaural sound localisation: test", results, pictures, worst, some,
                                       params.sample_rate_hz, made_with), encoding="utf-8", errors="replace")


def print_tables(results):
    """Print the figures of the whole, then percent within 5 degrees by SNR, noise field, noise and azimuth."""
    columns = {"within_5_deg_percent": "within 5 deg (%)", "within_10_deg_percent": "within 10 deg (%)",
               "mae_deg": "mean abs. error", "median_deg": "median", "rmse_deg": "RMSE", "bias_deg": "bias (deg)"}
    title = f"{results[BASELINE]['samples']} samples"
    print(f"{title:<16}" + "".join(f"{head:>{len(head) + 3}}" for head in columns.values()))
    for name in results:
        print(f"{name:>16}" + "".join(f"{results[name][key]:{len(head) + 3}.{1 if 'percent' in key else 2}f}"
                                      for key, head in columns.items()))
    for name, figures in results.items():
        if "inside_stated_68_percent" in figures:
            print(f"{name:>16}   true azimuths inside the stated 68 and 95 %: "
                  f"{figures['inside_stated_68_percent']:.1f}, {figures['inside_stated_95_percent']:.1f} %")
    titles = {"by_snr_db": "SNR (dB)", "by_noise_field": "noise field", "by_hrir": "head or room", "by_noise": "noise",
              "by_azimuth_deg": "azimuth (deg)"}
    for by, title in titles.items():
        groups = results[BASELINE][by]
        width = max(16, *map(len, groups))
        print(f"\n{title:<{width}}" + "".join(f"{name:>10}" for name in results) + "   within 5 deg (%)")
        for group in groups:
            print(f"{group:>{width}}" +
                  "".join(f"{results[name][by][group]['within_5_deg_percent']:10.1f}" for name in results))


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


if __name__ == "__main__":
    sys.exit(console.run(main))
