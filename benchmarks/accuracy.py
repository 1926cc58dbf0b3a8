"""How accurate a model is by noise, SNR, head, room, duration and angle, beside methods without learning.

    python benchmarks/accuracy.py --model checkpoints           # about 15 minutes on 2 cores
    python benchmarks/accuracy.py --model checkpoints --quick   # one file a speaker, one noise

Writes ACCURACY.md, accuracy.json and pictures. Audio and heads are those of --audio (SpeechTEST, NoiseTEST) and --hrtf,
which are not part of the project; a speaker is what a file's name holds before its first "-". Nothing here may be used
to choose anything: it is the test.
"""
import json
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
import baseline
import console
import dataset
import features
import hrir
import metrics
import mixing
import Testing
from console import BadInput
from params import Params

HEADS = {"MIT KEMAR": "mit_kemar", "TU Berlin KEMAR": "tu_berlin_kemar/KEMAR_HRTFs_lfcorr.sofa",
         "Surrey anechoic": "surrey/UniS_Anechoic_BRIR_16k.sofa", "Surrey room A": "surrey/UniS_Room_A_BRIR_16k.sofa"}
GRID_DEG = tuple(range(-90, 91, 5))
SNRS_DB = (-10, -6, 0, 6, 20, np.inf)
SYSTEMS = ("model", "likelihood", "GCC-PHAT")
CLOSE_S = 1e-3        # no head delays a sound by more
FINER = 16            # the cross-correlation is sampled this many times as often as the signals


class Condition(NamedTuple):
    """What is mixed, at several SNRs of the same mixtures."""

    table: str
    head: str
    field: str
    frames: int
    azimuth_deg: tuple
    snrs_db: tuple


CONDITIONS = [
    *(Condition("noise", "MIT KEMAR", field, 50, GRID_DEG, SNRS_DB) for field in ("diotic", "diffuse", "talker")),
    *(Condition("head", head, "diffuse", 50, GRID_DEG, SNRS_DB) for head in list(HEADS)[1:]),
    *(Condition("duration", "MIT KEMAR", "diffuse", frames, GRID_DEG, SNRS_DB) for frames in (100, 25, 10)),
    Condition("between", "TU Berlin KEMAR", "diffuse", 50, tuple(range(-90, 91)), (0, 6, 20, np.inf)),
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
    reach = int(CLOSE_S * params.sample_rate_hz * FINER)
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
    heads = [hrir.load(source, params.sample_rate_hz, mixing.directions_deg(params), params.hrir_padding_samples)]
    mixer, audio = mixing.Mixer(params, heads), dataset.AudioCache(params)
    count = len(params.azimuth_deg)
    predicted = {snr_db: {name: [] for name in systems} for snr_db in condition.snrs_db}
    seconds, speakers = dict.fromkeys(systems, 0.0), []
    cues = np.empty((len(condition.snrs_db), count, *params.sample_shape), np.float16)
    pairs = [(s, n) for s in speech for n in noise]
    for spoken, masker in console.progress(pairs, desc=f"{condition.head}, {condition.field}, {condition.frames}"):
        rng = np.random.default_rng([params.seed, zlib.crc32(f"{spoken.name} {masker.name}".encode())])
        others = [s for s in speech if speaker_of(s.name) != speaker_of(spoken.name)]
        said = mixer.speech(rng, audio.speech(spoken))
        field = mixer.noise(rng, said.place, audio.noise(masker),
                            lambda rng, others=others: audio.speech(others[rng.integers(len(others))]))
        for row, snr_db in enumerate(condition.snrs_db):
            mixer.cues(said, field, snr_db, cues[row])
        for name, answer in systems.items():
            begin = time.perf_counter()
            if name == "GCC-PHAT":
                answers = [answer(mixer.ears(said, field, snr_db)) for snr_db in condition.snrs_db]
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
    figures = metrics.score(predicted_deg, true_deg)
    figures["same_class_percent"] = float(100 * np.mean(np.abs(predicted_deg - true_deg) <= 2.5))
    each = [metrics.score(predicted_deg[speakers == s], true_deg[speakers == s]) for s in np.unique(speakers)]
    for key in ("within_5_deg_percent", "mae_deg"):
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
    lines = [
        "# Accuracy", "",
        f"Made by `python benchmarks/accuracy.py --model {args.model}{' --quick' if args.quick else ''}`: "
        f"{len(speech)} utterances of {len({speaker_of(s.name) for s in speech})} speakers, {len(noise)} noises. Per "
        "cent within 5 degrees, with the half width of the 95 % interval over speakers.", ""]
    titles = {"noise": "Noise, MIT KEMAR, 1.02 s", "head": "Heads and rooms, diffuse noise, 1.02 s",
              "duration": "Duration, MIT KEMAR, diffuse noise",
              "between": "Every degree, TU Berlin KEMAR, diffuse noise"}
    for table, title in titles.items():
        mine = [row for row in rows if row[0].table == table]
        snrs = sorted({row[1] for row in mine})
        lines += [f"## {title}", "", "| | method | " + " | ".join(map(name_of, snrs)) + " | MAE, 0 dB | MAE, 20 dB |",
                  "|---" * (len(snrs) + 4) + "|"]
        for condition in dict.fromkeys(row[0] for row in mine):
            label = {"noise": condition.field, "head": condition.head, "between": "1-degree steps",
                     "duration": f"{0.04 + 0.02 * (condition.frames - 1):.2f} s"}[table]
            for system in SYSTEMS:
                by_snr = {row[1]: row[3] for row in mine if row[0] == condition and row[2] == system}
                cells = [f"{by_snr[s]['within_5_deg_percent']:.1f} ± "
                         f"{by_snr[s]['within_5_deg_percent_interval']:.1f}" for s in snrs]
                errors = [f"{by_snr[s]['mae_deg']:.2f}" for s in (0, 20)]
                lines.append(f"| {label} | {system} | " + " | ".join(cells + errors) + " |")
        lines.append("")
    times = ", ".join(f"{name} {1e3 * value:.2f}" for name, value in timing.items())
    lines += ["## Time", "", "Milliseconds a sample of 1.02 s, from cues (model, likelihood) or from ear signals: "
              f"{times}.", ""]
    return "\n".join(lines)


def picture(rows, table, path):
    """Per cent within 5 degrees against SNR, one line a condition and method."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    mine = [row for row in rows if row[0].table == table]
    for number, condition in enumerate(dict.fromkeys(row[0] for row in mine)):
        for system, style in zip(SYSTEMS, ("o-", "s--", "^:")):
            points = sorted((min(row[1], 30), row[3]["within_5_deg_percent"]) for row in mine
                            if row[0] == condition and row[2] == system)
            axes.plot(*zip(*points), style, color=f"C{number}", markersize=4, label=(
                f"{condition.head}, {condition.field}, {condition.frames} frames, {system}"))
    axes.set(xlabel="SNR (dB; 30 stands for no noise)", ylabel="within 5 degrees (%)", ylim=(0, 101))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6)
    with console.written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def main(argv=None):
    """Measure and write."""
    parser = console.Parser(__doc__)
    parser.add_argument("--model", metavar="DIR", default="checkpoints", help="with best.keras (default: %(default)s)")
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
    speech, _ = dataset.find_audio(Path(args.audio) / "SpeechTEST", "--audio", longest.excerpt_length, params)
    noise, _ = dataset.find_audio(Path(args.audio) / "NoiseTEST", "--audio", 1, params)
    if args.quick:
        speech, noise = list({speaker_of(s.name): s for s in speech}.values()), noise[:1]

    from model import Network

    network = Network.load(Path(args.model) / "best.keras")
    templates, table_s = Testing.template_cues(params), gcc_phat_table(params)
    systems = {
        "model": network.azimuth_deg,
        "likelihood": lambda samples: baseline.localise(samples, templates, params.circle_deg),
        "GCC-PHAT": lambda ears: np.interp(gcc_phat_delays(ears, params), table_s, GRID_DEG),
    }
    rows, timing = [], dict.fromkeys(SYSTEMS, 0.0)
    for condition in CONDITIONS:
        predicted, true_deg, speakers, seconds = measure(condition, systems, speech, noise, sources[condition.head],
                                                         params)
        for snr_db, by_system in predicted.items():
            rows += [(condition, snr_db, name, score(by_system[name], true_deg, speakers)) for name in SYSTEMS]
        if condition == CONDITIONS[1]:
            timing = {name: value / len(true_deg) / len(condition.snrs_db) for name, value in seconds.items()}
        print(f"{condition.head:<16} {condition.field:<8} {condition.frames:3d} frames   " + "   ".join(
            f"{name_of(row[1])} {row[3]['within_5_deg_percent']:.1f}" for row in rows
            if row[0] == condition and row[2] == "model"), flush=True)
    out = console.folder_for_output(args.out)
    with console.written_whole(out / "ACCURACY.md") as partial:
        partial.write_text(report(rows, timing, args, speech, noise), encoding="utf-8")
    with console.written_whole(out / "accuracy.json") as partial:
        partial.write_text(json.dumps([{**row[0]._asdict(), "snr_db": str(row[1]), "system": row[2], **row[3]}
                                       for row in rows], indent=1))
    for table in ("noise", "head", "duration"):
        picture(rows, table, out / f"accuracy_{table}.png")
    print(f"{out / 'ACCURACY.md'}, accuracy.json and three pictures.")


if __name__ == "__main__":
    sys.exit(console.run(main))
