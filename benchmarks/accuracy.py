"""Accuracy of a model by noise, SNR, head, room, duration and angle, beside methods without learning.

    python benchmarks/accuracy.py --audio DIR --hrtf DIR            # the model that ships; about 25 minutes on 2 cores
    python benchmarks/accuracy.py --audio DIR --hrtf DIR --quick    # one file a speaker, one noise
    python benchmarks/accuracy.py --from-csv                        # write the page and pictures again, measure nothing

Writes every figure into accuracy.csv, and what was measured into accuracy.json. ACCURACY.md and the pictures are made
from these two. Audio and heads are not part of the project: README.md lists them. A speaker is the part of a file's
name before its first "-". The original recipe joins the comparison if original.py has trained it.

This is the test: choose nothing by it.
"""
import csv
import json
import os
import sys
import textwrap
import time
import zlib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import features
import hrir
from console import BadInput
from network import likelihood
from network.channels import HEAD_DELAY_S
from params import Params
from scores import metrics
from shards.audio import AudioCache, find_audio
from sound import mixing
from sound.noise_fields import noise_gain

HEADS = {"MIT KEMAR": "mit_kemar", "TU Berlin KEMAR": "tu_berlin_kemar/KEMAR_HRTFs_lfcorr.sofa",
         "Surrey anechoic": "surrey/UniS_Anechoic_BRIR_16k.sofa", "Surrey room A": "surrey/UniS_Room_A_BRIR_16k.sofa"}
GRID_DEG = tuple(range(-90, 91, 5))
SNRS_DB = (-10, -6, 0, 6, 20, np.inf)
SYSTEMS = ("model", "original", "likelihood", "GCC-PHAT")
WITH_INTERVAL = ("within_5_deg_percent", "within_10_deg_percent", "same_class_percent", "mae_deg", "rmse_deg")
CONDITION_COLUMNS = ("table", "head", "variant", "noise_field", "duration_s")
CSV_COLUMNS = (*CONDITION_COLUMNS, "snr_db", "system", "samples",
               *(name for key in WITH_INTERVAL for name in (key, f"{key}_interval")),
               "within_5_deg_not_rounded_percent", "median_deg", "bias_deg")
WORDS = ("table", "head", "variant", "noise_field", "system")  # columns that hold words, not numbers
TITLES = {"noise": "Noise, MIT KEMAR, 1.02 s", "head": "Heads and rooms, diffuse noise, 1.02 s",
          "duration": "Duration, MIT KEMAR, diffuse noise",
          "between": "Every degree from -90 to 90, TU Berlin KEMAR, diffuse noise, 1.02 s",
          "behind": "Source and noise behind, TU Berlin KEMAR, scored against the mirror image in front, 1.02 s"}
PICTURES = ("noise", "head", "duration")
PRETRAINED = ROOT / "pretrained"
DECIMALS = 8                 # of a stored figure
OVERSAMPLING = 16            # of the cross-correlation, against the signals


class Condition(NamedTuple):
    """A listening condition, mixed at several SNRs of the same mixtures.

    `variant` "behind": all sound comes from the mirror images behind; "levelled": every direction is as loud as the
    front.
    """

    table: str
    head: str
    noise_field: str
    frames: int
    azimuth_deg: tuple
    snrs_db: tuple
    variant: str = ""

    @property
    def columns(self):
        """The CONDITION_COLUMNS of accuracy.csv."""
        return {"table": self.table, "head": self.head, "variant": self.variant, "noise_field": self.noise_field,
                "duration_s": round(0.02 + 0.02 * self.frames, 2)}


CONDITIONS = [
    *(Condition("noise", "MIT KEMAR", field, 50, GRID_DEG, SNRS_DB) for field in ("diotic", "diffuse", "talker")),
    *(Condition("head", head, "diffuse", 50, GRID_DEG, SNRS_DB) for head in list(HEADS)[1:]),
    Condition("head", "Surrey room A", "diffuse", 50, GRID_DEG, SNRS_DB, "levelled"),
    *(Condition("duration", "MIT KEMAR", "diffuse", frames, GRID_DEG, SNRS_DB) for frames in (100, 25, 10)),
    Condition("between", "TU Berlin KEMAR", "diffuse", 50, tuple(range(-90, 91)), (0, 20)),
    Condition("behind", "TU Berlin KEMAR", "diffuse", 50, GRID_DEG, (0, 20, np.inf), "behind"),
]
TIMED = CONDITIONS[1]        # the condition whose seconds a sample the page states


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--audio", metavar="DIR", help="required: holds SpeechTEST and NoiseTEST")
    parser.add_argument("--hrtf", metavar="DIR", help="required: holds the SOFA sets")
    parser.add_argument("--from-csv", action="store_true",
                        help="measure nothing: write the page and the pictures from accuracy.csv and accuracy.json")
    parser.add_argument("--model", metavar="DIR", default=PRETRAINED, help="with best.keras (default: pretrained)")
    parser.add_argument("--original", metavar="DIR", default=ROOT / "benchmarks" / "original",
                        help="the original recipe, made by original.py (default: benchmarks/original)")
    parser.add_argument("--out", metavar="DIR", default=ROOT / "benchmarks", help="(default: benchmarks)")
    parser.add_argument("--quick", action="store_true", help="one file a speaker, one noise")
    args = parser.parse_args(argv)
    if not args.from_csv:
        for flag in ("audio", "hrtf"):
            if getattr(args, flag) is None:
                parser.error(f"--{flag} DIR is required, or --from-csv to measure nothing")
    return args


def main(argv=None):
    """Measure, unless the figures are there, and write the page."""
    args = parse_args(argv)
    out = console.folder_for_output(args.out)
    if not args.from_csv:
        write_figures(*measure_all(args), out)
    rows, run = read_figures(out)
    with console.atomic_write(out / "ACCURACY.md") as partial:
        partial.write_text(page(rows, run), encoding="utf-8")
    for table in PICTURES:
        picture(rows, table, out / f"accuracy_{table}.png")
    print(f"{out / 'ACCURACY.md'} and {len(PICTURES)} pictures, from accuracy.csv and accuracy.json.")


# ------------------------------------------------------------------------------------------------------------ measuring

def measure_all(args):
    """Measure every condition: rows of accuracy.csv, and the dict of accuracy.json."""
    params = Params()
    sources, speech, noise = find_inputs(args, params)
    systems = load_systems(args, params)
    rows, run = [], {
        "command": command_of(args), "utterances": len(speech), "speakers": len({speaker_of(s.name) for s in speech}),
        "noises": len(noise), "processors": os.cpu_count(),
        "measured_on": date.today().isoformat(), "ms_a_sample": {}}
    print("Per cent of the model's answers within 5 degrees, rounded to whole degrees (in brackets: not rounded)")
    for condition in CONDITIONS:
        predicted, true_deg, speakers, seconds = measure(condition, systems, speech, noise, sources[condition.head],
                                                         params)
        scored = [condition.columns | {"snr_db": snr_db, "system": name} | score(by_system[name], true_deg, speakers)
                  for snr_db, by_system in predicted.items() for name in systems]
        rows += scored
        if condition == TIMED:
            count = len(true_deg) * len(condition.snrs_db)
            run["ms_a_sample"] = {name: round(1e3 * value / count, 3) for name, value in seconds.items()}
        print(f"{condition.head:<16} {condition.noise_field:<8} {label_of(scored[0]):<24}" + "   ".join(
            f"{name_of(row['snr_db'])} {row['within_5_deg_percent']:.1f} "
            f"({row['within_5_deg_not_rounded_percent']:.1f})"
            for row in scored if row["system"] == "model"), flush=True)
    return rows, run


def find_inputs(args, params):
    """Find the SOFA files by head, the speech and the noise; BadInput for what is absent."""
    sources = {name: file if name == "MIT KEMAR" else Path(args.hrtf) / file for name, file in HEADS.items()}
    missing = [str(path) for path in list(sources.values())[1:] if not Path(path).is_file()]
    if missing:
        raise BadInput(f"{missing[0]} is absent; name the folder of the SOFA sets with --hrtf.")
    longest = replace(params, frames=max(condition.frames for condition in CONDITIONS))
    speech, _ = find_audio(Path(args.audio) / "SpeechTEST", "--audio", longest.excerpt_length, params)
    noise, _ = find_audio(Path(args.audio) / "NoiseTEST", "--audio", 1, params)
    if args.quick:
        speech, noise = list({speaker_of(s.name): s for s in speech}.values()), noise[:1]
    return sources, speech, noise


def load_systems(args, params):
    """Load what is compared: dict of name to a function, cues (for GCC-PHAT ear signals) -> (n,) degrees."""
    from network.model import Network

    systems = {"model": Network.load(Path(args.model) / "best.keras").azimuth_deg}
    original = Path(args.original) / "best.keras"
    if original.exists():
        systems["original"] = Network.load(original).azimuth_deg
    else:
        console.warn(f"{original} is absent, so the original recipe is left out; benchmarks/original.py trains it.")
    return systems | methods_without_learning(params)


def methods_without_learning(params):
    """Give the likelihood and GCC-PHAT as functions like those of `load_systems`."""
    templates, delays_s = likelihood.template_cues(params), gcc_phat_table(params)
    return {
        "likelihood": lambda samples: likelihood.localise(samples, templates, params.class_deg),
        "GCC-PHAT": lambda ears: np.interp(gcc_phat_delays(ears, params), delays_s, GRID_DEG),
    }


def gcc_phat_delays(ears, params):
    """Interaural delay of each sample by generalised cross-correlation with phase transform (Knapp and Carter 1976).

    (n, 2, samples) -> (n,) seconds, positive where the right ear comes first.
    """
    spectra = features.stft(ears, params)                                   # (n, 2, bin, frame)
    cross = spectra[:, features.RIGHT] * np.conj(spectra[:, features.LEFT])
    whitened = (cross / np.maximum(np.abs(cross), 1e-12)).sum(axis=-1)      # over frames
    size = OVERSAMPLING * params.stft_window_samples
    correlation = np.fft.irfft(whitened, size)
    longest = int(HEAD_DELAY_S * params.sample_rate_hz * OVERSAMPLING)
    near = np.concatenate((correlation[:, -longest:], correlation[:, :longest + 1]), axis=1)
    return (longest - near.argmax(axis=1)) / (params.sample_rate_hz * OVERSAMPLING)


def gcc_phat_table(params):
    """Delays of white noise at the shipped head from every azimuth of the grid: they rise with the azimuth."""
    head = hrir.load("mit_kemar", params.sample_rate_hz, GRID_DEG, params.hrir_padding_samples)
    noise = np.random.default_rng(0).standard_normal(params.sample_length + 512).astype(np.float32)
    size = len(noise)
    ears = np.fft.irfft(np.fft.rfft(noise) * np.fft.rfft(head.response, size), size)[..., -params.sample_length:]
    return np.maximum.accumulate(gcc_phat_delays(ears, params))


def speaker_of(name):
    """Name the speaker of a file: "1688-142285-0005.wav" -> "1688"."""
    return Path(name).name.split("-")[0]


def measure(condition, systems, speech, noise, source, params):
    """Predict every sample of a condition.

    Returns
    -------
    dict of SNR to dict of system to (n,) degrees; (n,) true degrees; (n,) speakers; seconds by system

    """
    params = replace(params, frames=condition.frames, noise_field=(condition.noise_field,),
                     azimuth_deg=condition.azimuth_deg)
    mixer, audio = mixing.Mixer(params, [head_of(condition, source, params)]), AudioCache(params)
    count = len(params.azimuth_deg)
    predicted = {snr_db: {name: [] for name in systems} for snr_db in condition.snrs_db}
    seconds, speakers = dict.fromkeys(systems, 0.0), []
    cues = np.empty((len(condition.snrs_db), count, *params.sample_shape), np.float16)
    pairs = [(s, n) for s in speech for n in noise]
    for spoken, masker in console.progress(pairs, desc=f"{condition.head}, {condition.noise_field}"):
        rng = np.random.default_rng([params.seed, zlib.crc32(f"{spoken.name} {masker.name}".encode())])
        others = [s for s in speech if speaker_of(s.name) != speaker_of(spoken.name)]
        speech_at_ears = mixer.speech_at_ears(rng, audio.speech(spoken))
        noise_at_ears = mixer.noise_at_ears(
            rng, speech_at_ears.scene, audio.noise(masker),
            lambda rng, others=others: audio.speech(others[rng.integers(len(others))]))
        gains = [noise_gain(speech_at_ears.front, noise_at_ears.signals, snr_db) for snr_db in condition.snrs_db]
        for row, gain in enumerate(gains):
            mixer.cues(speech_at_ears, noise_at_ears, gain, out=cues[row])
        for name, answer in systems.items():
            begin = time.perf_counter()
            if name == "GCC-PHAT":
                answers = [answer(mixer.ears(speech_at_ears, noise_at_ears, gain)) for gain in gains]
            else:
                answers = answer(cues.reshape(-1, *params.sample_shape)).reshape(len(condition.snrs_db), -1)
            seconds[name] += time.perf_counter() - begin
            for snr_db, each in zip(condition.snrs_db, answers):
                predicted[snr_db][name].append(each)
        speakers.append(np.full(count, speaker_of(spoken.name)))
    true_deg = np.tile(np.asarray(params.azimuth_deg, np.float64), len(pairs))
    return ({snr_db: {name: np.concatenate(parts) for name, parts in by_system.items()}
             for snr_db, by_system in predicted.items()}, true_deg, np.concatenate(speakers), seconds)


def head_of(condition, source, params):
    """Load the head of a condition, mirrored to behind or levelled as its variant asks for."""
    directions_deg = mixing.directions_deg(params)
    head = hrir.load(source, params.sample_rate_hz, 180 - directions_deg if condition.variant == "behind" else
                     directions_deg, params.hrir_padding_samples)
    if condition.variant == "levelled":
        level = np.sqrt(np.square(head.response).sum(axis=(1, 2), keepdims=True))
        head = head._replace(response=head.response * (level[hrir.front(directions_deg)] / level))
    return head


def score(predicted_deg, true_deg, speakers):
    """Figures of one system in one condition, with 95 % intervals of the speakers' means (Student's t)."""
    def figures_of(rows):
        error = np.abs(predicted_deg[rows] - true_deg[rows])
        return metrics.score(predicted_deg[rows], true_deg[rows]) | {
            "same_class_percent": float(100 * np.mean(error <= 2.5)),
            "within_5_deg_not_rounded_percent": float(100 * np.mean(error <= 5))}

    figures = figures_of(np.ones(len(true_deg), bool))
    each = [figures_of(speakers == speaker) for speaker in np.unique(speakers)]
    for key in WITH_INTERVAL:
        values = np.array([figure[key] for figure in each])
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        figures[f"{key}_interval"] = float(student.ppf(0.975, max(1, len(values) - 1)) * error)
    return figures


# ------------------------------------------------------------------------------------------------------- stored figures

def write_figures(rows, run, out):
    """Write accuracy.csv, a row a condition, SNR and system, and accuracy.json, what was measured."""
    with console.atomic_write(out / "accuracy.csv") as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: round(row[name], DECIMALS) if isinstance(row[name], float) else row[name]
                             for name in CSV_COLUMNS})
    with console.atomic_write(out / "accuracy.json") as partial:
        partial.write_text(json.dumps(run, indent=1) + "\n")


def read_figures(out):
    """Read what `write_figures` wrote: rows with numbers as float, NaN for an empty one, and the dict of the run."""
    try:
        with open(out / "accuracy.csv", newline="") as file:
            rows = [{name: value if name in WORDS else float(value or "nan") for name, value in row.items()}
                    for row in csv.DictReader(file)]
        return rows, json.loads((out / "accuracy.json").read_text())
    except (OSError, ValueError, TypeError) as problem:
        raise BadInput(f"{out} holds no accuracy.csv and accuracy.json of this script; measure without --from-csv.") \
            from problem


# ------------------------------------------------------------------------------------------------------------ reporting

def command_of(args):
    """The command that measured, without the folders of this machine."""
    model = "" if Path(args.model).resolve() == PRETRAINED else " --model DIR"
    return f"python benchmarks/accuracy.py --audio DIR --hrtf DIR{model}{' --quick' if args.quick else ''}"


def name_of(snr_db):
    """An SNR as a heading."""
    return "no noise" if np.isinf(snr_db) else f"{snr_db:g} dB"


def label_of(row):
    """What tells a row's condition from the others of its table."""
    return {"noise": row["noise_field"], "head": ", ".join(filter(None, (row["head"], row["variant"]))),
            "duration": f"{row['duration_s']:.2f} s", "between": "every degree", "behind": "behind"}[row["table"]]


def page(rows, run):
    """The Markdown of ACCURACY.md from what `read_figures` gives."""
    systems = [name for name in SYSTEMS if any(row["system"] == name for row in rows)]
    lines = [
        "# Accuracy", "",
        _paragraph(
            f"Measured by `{run['command']}` on {run['measured_on']}, every method on the same mixtures: "
            f"{run['utterances']} utterances of {run['speakers']} speakers in {run['noises']} noises, none of them "
            "used in training. [accuracy.csv](accuracy.csv) holds every figure. `python benchmarks/accuracy.py "
            "--from-csv` writes this page from it and from [accuracy.json](accuracy.json)."), "",
        _paragraph(
            "The tables show per cent within 5 degrees, with the half-width of the 95 % interval over speakers "
            "(Student's t). MAE is the mean absolute error in degrees. A prediction counts when, rounded to whole "
            "degrees, it is within 5 degrees: the rule of CNNBSL, the original. It may therefore be off by up to 5.5. "
            "Not rounded, fewer are right: column `within_5_deg_not_rounded_percent`."), "",
        _paragraph(
            "The SNR is that of the speech from the front over the noise, in the sample. Surrey room A is 3 to 5 dB "
            "weaker from the sides than from the front; `levelled` makes every direction as loud."), "",
        _paragraph(
            "`original`: the recipe of CNNBSL, trained by `original.py`. `likelihood`: maximum likelihood over the "
            "templates of MIT KEMAR (`network/likelihood.py`). `GCC-PHAT`: interaural delays of MIT KEMAR (Knapp and "
            "Carter 1976)."), ""]
    for table, title in TITLES.items():
        lines += [f"## {title}", "", *_table([row for row in rows if row["table"] == table], systems), ""]
        if table in PICTURES:
            lines += [f"![Per cent within 5 degrees against SNR](accuracy_{table}.png)", ""]
    times = ", ".join(f"{name} {run['ms_a_sample'][name]:.2f}" if name in run["ms_a_sample"] else f"{name} not timed"
                      for name in systems)
    return "\n".join([*lines, "## Time", "", _paragraph(
        f"Milliseconds a sample of 1.02 s on {run['processors']} processors, from cues (model, original, likelihood) "
        f"or from ear signals (GCC-PHAT): {times}."), ""])


def _paragraph(text):
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _table(rows, systems):
    """The lines of one Markdown table."""
    by_key = {(label_of(row), row["system"], row["snr_db"]): row for row in rows}
    labels, snrs = dict.fromkeys(map(label_of, rows)), sorted({row["snr_db"] for row in rows})
    lines = ["| | method | " + " | ".join(map(name_of, snrs)) + " | MAE, 0 dB | MAE, 20 dB |",
             "|---" * (len(snrs) + 4) + "|"]
    for label in labels:
        for system in systems:
            cells = [_with_interval(by_key[label, system, snr_db], "within_5_deg_percent", 1) for snr_db in snrs]
            cells += [_with_interval(by_key[label, system, snr_db], "mae_deg", 2) for snr_db in (0, 20)]
            lines.append(f"| {label} | {system} | " + " | ".join(cells) + " |")
    return lines


def _with_interval(row, key, digits):
    return f"{row[key]:.{digits}f} ± {row[f'{key}_interval']:.{digits}f}"


def picture(rows, table, path):
    """Draw per cent within 5 degrees against SNR, one line a condition and method."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    mine = [row for row in rows if row["table"] == table]
    for number, label in enumerate(dict.fromkeys(map(label_of, mine))):
        for system, style in zip(SYSTEMS, ("o-", "x-.", "s--", "^:")):
            points = sorted((min(row["snr_db"], 30), row["within_5_deg_percent"]) for row in mine
                            if label_of(row) == label and row["system"] == system)
            if points:
                axes.plot(*zip(*points), style, color=f"C{number}", markersize=4, label=f"{label}, {system}")
    axes.set(xlabel="SNR (dB; 30 stands for no noise)", ylabel="within 5 degrees (%)", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, ncols=2)
    with console.atomic_write(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


if __name__ == "__main__":
    sys.exit(console.run(main))
