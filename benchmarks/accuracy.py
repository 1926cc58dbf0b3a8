"""How accurate a model is by noise, SNR, head, room, duration and angle, beside methods without learning.

    python benchmarks/accuracy.py                               # the model that ships; about 20 minutes on 2 cores
    python benchmarks/accuracy.py --model checkpoints --quick   # one file a speaker, one noise

Writes ACCURACY.md, accuracy.json and pictures. Audio and heads are those of --audio (SpeechTEST, NoiseTEST) and --hrtf,
which are not part of the project; a speaker is what a file's name holds before its first "-". The original recipe is in
the comparison when original.py has trained it. Nothing here may be used to choose anything: it is the test.
"""
import json
import os
import sys
import time
import zlib
from dataclasses import replace
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
from network.tracking import HEAD_DELAY_S
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
FIGURES = {"within_5_deg_percent": "within 5 (%)", "within_10_deg_percent": "within 10 (%)",
           "same_class_percent": "same class (%)", "mae_deg": "MAE (deg)", "rmse_deg": "RMSE (deg)"}
PICTURES = ("noise", "head", "duration")
PRETRAINED = "pretrained"
FINER = 16            # the cross-correlation is sampled this many times as often as the signals


class Condition(NamedTuple):
    """What is mixed, at several SNRs of the same mixtures.

    `variant` "behind": all comes from the mirror images behind; "levelled": every direction is as loud as the front.
    """

    table: str
    head: str
    field: str
    frames: int
    azimuth_deg: tuple
    snrs_db: tuple
    variant: str = ""

    @property
    def label(self):
        """What tells it from the others of its table."""
        return {"noise": self.field, "head": ", ".join(filter(None, (self.head, self.variant))),
                "duration": f"{0.02 + 0.02 * self.frames:.2f} s", "between": "every degree",
                "behind": "behind"}[self.table]


CONDITIONS = [
    *(Condition("noise", "MIT KEMAR", field, 50, GRID_DEG, SNRS_DB) for field in ("diotic", "diffuse", "talker")),
    *(Condition("head", head, "diffuse", 50, GRID_DEG, SNRS_DB) for head in list(HEADS)[1:]),
    Condition("head", "Surrey room A", "diffuse", 50, GRID_DEG, SNRS_DB, "levelled"),
    *(Condition("duration", "MIT KEMAR", "diffuse", frames, GRID_DEG, SNRS_DB) for frames in (100, 25, 10)),
    Condition("between", "TU Berlin KEMAR", "diffuse", 50, tuple(range(-90, 91)), (0, 20)),
    Condition("behind", "TU Berlin KEMAR", "diffuse", 50, GRID_DEG, (0, 20, np.inf), "behind"),
]


# ---------------------------------------------------------------------------------------------------------- the methods

def gcc_phat_delays(ears, params):
    """Interaural delay of each sample by generalised cross-correlation with phase transform (Knapp and Carter 1976).

    (n, 2, samples) -> (n,) seconds, positive where the right ear comes first.
    """
    spectra = features.stft(ears, params)                                   # (n, 2, bin, frame)
    cross = spectra[:, features.RIGHT] * np.conj(spectra[:, features.LEFT])
    whitened = (cross / np.maximum(np.abs(cross), 1e-12)).sum(axis=-1)      # over frames
    size = FINER * params.stft_window_samples
    correlation = np.fft.irfft(whitened, size)
    reach = int(HEAD_DELAY_S * params.sample_rate_hz * FINER)
    near = np.concatenate((correlation[:, -reach:], correlation[:, :reach + 1]), axis=1)
    return (reach - near.argmax(axis=1)) / (params.sample_rate_hz * FINER)


def gcc_phat_table(params):
    """Delays of white noise at the shipped head from every azimuth of the grid: they rise with the azimuth."""
    head = hrir.load("mit_kemar", params.sample_rate_hz, GRID_DEG, params.hrir_padding_samples)
    noise = np.random.default_rng(0).standard_normal(params.sample_length + 512).astype(np.float32)
    size = len(noise)
    ears = np.fft.irfft(np.fft.rfft(noise) * np.fft.rfft(head.response, size), size)[..., -params.sample_length:]
    return np.maximum.accumulate(gcc_phat_delays(ears, params))


def speaker_of(name):
    """Which speaker a file is of: "1688-142285-0005.wav" -> "1688"."""
    return Path(name).name.split("-")[0]


# ------------------------------------------------------------------------------------------------------------ measuring

def measure(condition, systems, speech, noise, source, params):
    """Predict every sample of a condition.

    Returns
    -------
    dict of SNR to dict of system to (n,) degrees; (n,) true degrees; (n,) speakers; seconds by system

    """
    params = replace(params, frames=condition.frames, noise_field=(condition.field,),
                     azimuth_deg=condition.azimuth_deg)
    directions_deg = mixing.directions_deg(params)
    head = hrir.load(source, params.sample_rate_hz, 180 - directions_deg if condition.variant == "behind" else
                     directions_deg, params.hrir_padding_samples)
    if condition.variant == "levelled":
        level = np.sqrt(np.square(head.response).sum(axis=(1, 2), keepdims=True))
        head = head._replace(response=head.response * (level[hrir.front(directions_deg)] / level))
    mixer, audio = mixing.Mixer(params, [head]), AudioCache(params)
    count = len(params.azimuth_deg)
    predicted = {snr_db: {name: [] for name in systems} for snr_db in condition.snrs_db}
    seconds, speakers = dict.fromkeys(systems, 0.0), []
    cues = np.empty((len(condition.snrs_db), count, *params.sample_shape), np.float16)
    pairs = [(s, n) for s in speech for n in noise]
    for spoken, masker in console.progress(pairs, desc=f"{condition.field}, {condition.label}"):
        rng = np.random.default_rng([params.seed, zlib.crc32(f"{spoken.name} {masker.name}".encode())])
        others = [s for s in speech if speaker_of(s.name) != speaker_of(spoken.name)]
        speech_at_ears = mixer.speech_at_ears(rng, audio.speech(spoken))
        noise_at_ears = mixer.noise_at_ears(rng, speech_at_ears.scene, audio.noise(masker),
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


def score(predicted_deg, true_deg, speakers):
    """Figures of one system in one condition, with 95 % intervals of the speakers' means (Student's t)."""
    def figures_of(rows):
        error = np.abs(predicted_deg[rows] - true_deg[rows])
        return metrics.score(predicted_deg[rows], true_deg[rows]) | {
            "same_class_percent": float(100 * np.mean(error <= 2.5)),
            "within_5_deg_not_rounded_percent": float(100 * np.mean(error <= 5))}

    figures = figures_of(np.ones(len(true_deg), bool))
    each = [figures_of(speakers == speaker) for speaker in np.unique(speakers)]
    for key in FIGURES:
        values = np.array([figure[key] for figure in each])
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        figures[f"{key}_interval"] = float(student.ppf(0.975, max(1, len(values) - 1)) * error)
    return figures


# ------------------------------------------------------------------------------------------------------------ reporting

def name_of(snr_db):
    """An SNR as a heading."""
    return "no noise" if np.isinf(snr_db) else f"{snr_db:g} dB"


def report(rows, timing, args, speech, noise):
    """The Markdown of ACCURACY.md from rows of (Condition, SNR, system, figures)."""
    systems = [name for name in SYSTEMS if name in timing]
    lines = [
        "# Accuracy", "",
        f"Made by `python benchmarks/accuracy.py{'' if args.model == PRETRAINED else f' --model {args.model}'}"
        f"{' --quick' if args.quick else ''}`: {len(speech)} utterances of {len({speaker_of(s.name) for s in speech})} "
        f"speakers, {len(noise)} noises, none of them used in training. Per cent within 5 degrees, with the half width "
        "of the 95 % interval over speakers (Student's t); all other figures below. A prediction counts when, rounded "
        "to whole degrees, it is within 5 degrees (the rule of the original scripts), so it may be off by up to 5.5; "
        "not rounded, fewer are right: the script prints both for the model. The SNR is that of the speech from "
        "the front over the noise, in the sample; Surrey room A is 3 to 5 dB weaker from the sides than from the "
        "front, `levelled` makes every direction as loud.", "",
        "`original`: the recipe of the original scripts (`original.py`). `likelihood`: maximum likelihood over the "
        "templates of MIT KEMAR (`baseline.py`). `GCC-PHAT`: delays of MIT KEMAR (Knapp and Carter 1976).", ""]
    titles = {"noise": "Noise, MIT KEMAR, 1.02 s", "head": "Heads and rooms, diffuse noise, 1.02 s",
              "duration": "Duration, MIT KEMAR, diffuse noise",
              "between": "Every degree from -90 to 90, TU Berlin KEMAR, diffuse noise, 1.02 s",
              "behind": "Source and noise behind, TU Berlin KEMAR, scored against the mirror image in front, 1.02 s"}
    for table, title in titles.items():
        mine = [row for row in rows if row[0].table == table]
        snrs = sorted({row[1] for row in mine})
        lines += [f"## {title}", "", "| | method | " + " | ".join(map(name_of, snrs)) + " | MAE, 0 dB | MAE, 20 dB |",
                  "|---" * (len(snrs) + 4) + "|"]
        for condition in dict.fromkeys(row[0] for row in mine):
            for system in systems:
                by_snr = {row[1]: row[3] for row in mine if row[0] == condition and row[2] == system}
                cells = [_with_interval(by_snr[snr_db], "within_5_deg_percent", 1) for snr_db in snrs]
                errors = [_with_interval(by_snr[snr_db], "mae_deg", 2) for snr_db in (0, 20)]
                lines.append(f"| {condition.label} | {system} | " + " | ".join(cells + errors) + " |")
        lines += ["", f"![](accuracy_{table}.png)", ""] if table in PICTURES else [""]
    times = ", ".join(f"{name} {1e3 * timing[name]:.2f}" for name in systems)
    lines += ["## Time", "", f"Milliseconds a sample of 1.02 s on {os.cpu_count()} processors, from cues (model, "
              f"original, likelihood) or from ear signals (GCC-PHAT): {times}.", "",
              "## All figures", "", "| head | noise | duration | SNR | method | " + " | ".join(FIGURES.values()) + " |",
              "|---" * (5 + len(FIGURES)) + "|"]
    for condition, snr_db, system, figures in rows:
        what = " (every degree)" if condition.table == "between" else condition.variant and f" ({condition.variant})"
        cells = [_with_interval(figures, key, 1 if "percent" in key else 2) for key in FIGURES]
        lines.append(f"| {condition.head}{what} | {condition.field} | {0.02 + 0.02 * condition.frames:.2f} s | "
                     f"{name_of(snr_db)} | {system} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _with_interval(figures, key, digits):
    return f"{figures[key]:.{digits}f} ± {figures[f'{key}_interval']:.{digits}f}"


def picture(rows, table, path):
    """Per cent within 5 degrees against SNR, one line a condition and method."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    mine = [row for row in rows if row[0].table == table]
    for number, condition in enumerate(dict.fromkeys(row[0] for row in mine)):
        for system, style in zip(SYSTEMS, ("o-", "x-.", "s--", "^:")):
            points = sorted((min(row[1], 30), row[3]["within_5_deg_percent"]) for row in mine
                            if row[0] == condition and row[2] == system)
            if points:
                axes.plot(*zip(*points), style, color=f"C{number}", markersize=4, label=f"{condition.label}, {system}")
    axes.set(xlabel="SNR (dB; 30 stands for no noise)", ylabel="within 5 degrees (%)", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, ncols=2)
    with console.atomic_write(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def main(argv=None):
    """Measure and write."""
    parser = console.Parser(__doc__)
    parser.add_argument("--model", metavar="DIR", default=PRETRAINED, help="with best.keras (default: %(default)s)")
    parser.add_argument("--original", metavar="DIR", default=ROOT / "benchmarks" / "original",
                        help="the original recipe's, made by original.py (default: %(default)s)")
    parser.add_argument("--audio", metavar="DIR", default=ROOT.parent / "shared" / "audio",
                        help="holds SpeechTEST and NoiseTEST (default: %(default)s)")
    parser.add_argument("--hrtf", metavar="DIR", default=ROOT.parent / "shared" / "hrtf",
                        help="holds the SOFA sets (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default=ROOT / "benchmarks", help="(default: benchmarks)")
    parser.add_argument("--quick", action="store_true", help="one file a speaker, one noise")
    args = parser.parse_args(argv)
    params = Params()
    sources = {name: file if name == "MIT KEMAR" else Path(args.hrtf) / file for name, file in HEADS.items()}
    missing = [str(path) for path in list(sources.values())[1:] if not Path(path).is_file()]
    if missing:
        raise BadInput(f"{missing[0]} is absent; name the folder of the SOFA sets with --hrtf.")
    longest = replace(params, frames=max(condition.frames for condition in CONDITIONS))
    speech, _ = find_audio(Path(args.audio) / "SpeechTEST", "--audio", longest.excerpt_length, params)
    noise, _ = find_audio(Path(args.audio) / "NoiseTEST", "--audio", 1, params)
    if args.quick:
        speech, noise = list({speaker_of(s.name): s for s in speech}.values()), noise[:1]

    from model import Network

    network = Network.load(Path(args.model) / "best.keras")
    templates, table_s = baseline.template_cues(params), gcc_phat_table(params)
    systems = {"model": network.azimuth_deg}
    original = Path(args.original) / "best.keras"
    if original.exists():
        systems["original"] = Network.load(original).azimuth_deg
    else:
        console.warn(f"{original} is absent, so the original recipe is left out; benchmarks/original.py trains it.")
    systems |= {
        "likelihood": lambda samples: baseline.localise(samples, templates, params.class_deg),
        "GCC-PHAT": lambda ears: np.interp(gcc_phat_delays(ears, params), table_s, GRID_DEG),
    }
    rows, timing = [], {}
    print("Per cent of the model's answers within 5 degrees, rounded to whole degrees (in brackets: not rounded)")
    for condition in CONDITIONS:
        predicted, true_deg, speakers, seconds = measure(condition, systems, speech, noise, sources[condition.head],
                                                         params)
        for snr_db, by_system in predicted.items():
            rows += [(condition, snr_db, name, score(by_system[name], true_deg, speakers)) for name in systems]
        if condition == CONDITIONS[1]:
            timing = {name: value / len(true_deg) / len(condition.snrs_db) for name, value in seconds.items()}
        print(f"{condition.head:<16} {condition.field:<8} {condition.label:<12}   " + "   ".join(
            f"{name_of(row[1])} {row[3]['within_5_deg_percent']:.1f} "
            f"({row[3]['within_5_deg_not_rounded_percent']:.1f})" for row in rows
            if row[0] == condition and row[2] == "model"), flush=True)
    out = console.folder_for_output(args.out)
    with console.atomic_write(out / "ACCURACY.md") as partial:
        partial.write_text(report(rows, timing, args, speech, noise), encoding="utf-8")
    with console.atomic_write(out / "accuracy.json") as partial:
        partial.write_text(json.dumps([{**row[0]._asdict(), "snr_db": str(row[1]), "system": row[2], **row[3]}
                                       for row in rows], indent=1))
    for table in PICTURES:
        picture(rows, table, out / f"accuracy_{table}.png")
    print(f"{out / 'ACCURACY.md'}, accuracy.json and three pictures.")


if __name__ == "__main__":
    sys.exit(console.run(main))
