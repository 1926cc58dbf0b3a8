"""What the accuracy benchmark measures with samples: conditions, the methods that are compared, their figures.

    predictions = measure(condition, systems, pairs, speech, head_of(condition, "mit_kemar", params), params)
    rows = rows_of(condition, predictions)                   # of accuracy.csv
"""
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

import console
import features
import hrir
from network import likelihood
from network.channel_seconds import HEAD_DELAY_S
from scores import metrics
from shards.audio import AudioCache
from sound import mixing
from sound.noise_fields import noise_gain

KEMAR = "MIT KEMAR"
HEADS = {KEMAR: "mit_kemar", "TU Berlin KEMAR": "tu_berlin_kemar/KEMAR_HRTFs_lfcorr.sofa",
         "Surrey anechoic": "surrey/UniS_Anechoic_BRIR_16k.sofa"}
GRID_DEG = tuple(range(-90, 91, 5))
SNRS_DB = (-10, -6, 0, 6, 20, np.inf)
ROOM_SNRS_DB = (0, 6, 20)
WITH_INTERVAL = ("within_5_deg_percent", "within_10_deg_percent", "same_class_percent", "mae_deg", "rmse_deg")
CONDITION_COLUMNS = ("table", "head", "variant", "noise_field", "duration_s")
OVERSAMPLING = 16            # of the cross-correlation, against the signals


class Condition(NamedTuple):
    """A listening condition, mixed at several SNRs of the same mixtures.

    `variant` "behind": all sound comes from the mirror images behind; "levelled": every direction is as loud as the
    front. `circle_deg` is where the noise comes from.
    """

    table: str
    head: str
    noise_field: str
    frames: int
    azimuth_deg: tuple
    snrs_db: tuple
    variant: str = ""
    circle_deg: tuple = GRID_DEG

    @property
    def columns(self):
        """The CONDITION_COLUMNS of accuracy.csv."""
        return {"table": self.table, "head": self.head, "variant": self.variant, "noise_field": self.noise_field,
                "duration_s": round(0.02 + 0.02 * self.frames, 2)}


CONDITIONS = [
    *(Condition("noise", KEMAR, field, 50, GRID_DEG, SNRS_DB) for field in ("diotic", "diffuse", "talker")),
    *(Condition("head", head, "diffuse", 50, GRID_DEG, SNRS_DB) for head in list(HEADS)[1:]),
    *(Condition("duration", KEMAR, "diffuse", frames, GRID_DEG, SNRS_DB) for frames in (100, 25, 10)),
    Condition("between", "TU Berlin KEMAR", "diffuse", 50, tuple(range(-90, 91)), (0, 20)),
    Condition("behind", "TU Berlin KEMAR", "diffuse", 50, GRID_DEG, (0, 20, np.inf), "behind"),
]
TIMED = CONDITIONS[1]        # the condition whose seconds a sample the page states


def room_conditions(path):
    """List the conditions of a measured room: as it is, and with every direction as loud as the front."""
    return [Condition("room", Path(path).stem, "diffuse", 50, GRID_DEG, ROOM_SNRS_DB, variant)
            for variant in ("", "levelled")]


class Predictions(NamedTuple):
    """Answers of a condition, of all methods to the same mixtures.

    `answers` is a dict of SNR to dict of system to (3, n): azimuth, 68 and 95 % half-width in degrees, NaN where none
    is stated. `true_deg` and `speakers` are (n,). `seconds` is a dict of system to what its answers took.
    """

    answers: dict
    true_deg: np.ndarray
    speakers: np.ndarray
    seconds: dict


# ------------------------------------------------------------------------------------------------------------- methods

def network_systems(args):
    """Load the networks that are compared: dict of name to a function, cues -> (3, n) as in Predictions."""
    systems = {"model": answers_of(load_model(args))}
    if (original := Path(args.original) / "best.keras").exists():
        from network.model import Network

        systems["original"] = answers_of(Network.load(original))
    else:
        console.warn(f"{original} is absent, so the original recipe is left out; benchmarks/original.py trains it.")
    return systems


def load_model(args):
    """Load the model that is measured."""
    from network.model import Network  # here, not above: TensorFlow takes seconds

    return Network.load(Path(args.model) / "best.keras")


def answers_of(network):
    """Give a network as a function, cues (n, bin, frame, 2) -> (3, n)."""
    return lambda samples: np.stack(network.answer(samples))


def likelihood_of(templates, params):
    """Give the likelihood over templates (class, bin, 2) as a function like that of `answers_of`."""
    return lambda samples: _unstated(likelihood.localise(samples, templates, params.class_deg))


def methods_without_learning(params):
    """Give the likelihood and GCC-PHAT, which takes ear signals (n, 2, samples), as functions like the networks'."""
    delays_s = gcc_phat_table(params)
    return {"likelihood": likelihood_of(likelihood.template_cues(params), params),
            "GCC-PHAT": lambda ears: _unstated(np.interp(gcc_phat_delays(ears, params), delays_s, GRID_DEG))}


def _unstated(azimuth_deg):
    return np.stack([azimuth_deg, *np.full((2, len(azimuth_deg)), np.nan)])


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


# ----------------------------------------------------------------------------------------------------------- measuring

def speaker_of(name):
    """Name the speaker of a file: "1688-142285-0005.wav" -> "1688"."""
    return Path(name).name.split("-")[0]


def params_of(condition, params):
    """Params of a condition's scenes."""
    return replace(params, frames=condition.frames, noise_field=(condition.noise_field,),
                   azimuth_deg=condition.azimuth_deg, circle_deg=condition.circle_deg)


def head_of(condition, source, params):
    """Load the head of a condition from a set or SOFA file, mirrored or levelled as its variant asks for: Hrirs."""
    directions_deg = mixing.directions_deg(params_of(condition, params))
    head = hrir.load(source, params.sample_rate_hz, 180 - directions_deg if condition.variant == "behind" else
                     directions_deg, params.hrir_padding_samples)
    head = head._replace(azimuth_deg=directions_deg)  # of what is behind, that of its mirror image
    if condition.variant == "levelled":
        level = np.sqrt(np.square(head.response).sum(axis=(1, 2), keepdims=True))
        head = head._replace(response=head.response * (level[hrir.front(directions_deg)] / level))
    return head


def measure(condition, systems, pairs, speech, head, params):
    """Ask every method about every mixture of a condition.

    Parameters
    ----------
    condition : Condition
    systems : dict of name to a function, cues (for GCC-PHAT ear signals) -> (3, n) as in Predictions
    pairs : list of (Audio, Audio), a speech and a noise file each, one mixture of each pair
    speech : list of Audio, where competing talkers come from
    head : Hrirs, as `head_of` gives it
    params : Params

    Returns
    -------
    Predictions

    """
    params = params_of(condition, params)
    mixer, audio = mixing.Mixer(params, [head]), AudioCache(params)
    count = len(params.azimuth_deg)
    answers = {snr_db: {name: [] for name in systems} for snr_db in condition.snrs_db}
    seconds, speakers = dict.fromkeys(systems, 0.0), []
    cues = np.empty((len(condition.snrs_db), count, *params.sample_shape), np.float16)
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
                given = np.stack([answer(mixer.ears(speech_at_ears, noise_at_ears, gain)) for gain in gains], axis=1)
            else:
                given = answer(cues.reshape(-1, *params.sample_shape)).reshape(3, len(gains), count)
            seconds[name] += time.perf_counter() - begin
            for row, snr_db in enumerate(condition.snrs_db):
                answers[snr_db][name].append(given[:, row])
        speakers.append(np.full(count, speaker_of(spoken.name)))
    true_deg = np.tile(np.asarray(params.azimuth_deg, np.float64), len(pairs))
    return Predictions({snr_db: {name: np.concatenate(parts, axis=1) for name, parts in by_system.items()}
                        for snr_db, by_system in answers.items()}, true_deg, np.concatenate(speakers), seconds)


# ------------------------------------------------------------------------------------------------------------- figures

def rows_of(condition, predictions):
    """Score Predictions: rows of accuracy.csv, one an SNR and system."""
    return [condition.columns | {"snr_db": snr_db, "system": name}
            | score(answers, predictions.true_deg, predictions.speakers)
            for snr_db, by_system in predictions.answers.items() for name, answers in by_system.items()]


def score(answers, true_deg, speakers):
    """Figures of one system in one condition, with 95 % intervals of the speakers' means (Student's t).

    `answers` are (3, n) as in Predictions. The shares inside the stated half-widths are those of systems that state
    them.
    """
    def figures_of(rows):
        predicted_deg, *stated_deg = answers[:, rows]
        error = np.abs(predicted_deg - true_deg[rows])
        return metrics.score(predicted_deg, true_deg[rows], [] if np.isnan(stated_deg).any() else stated_deg) | {
            "same_class_percent": float(100 * np.mean(error <= 2.5)),
            "within_5_deg_not_rounded_percent": float(100 * np.mean(error <= 5))}

    figures = figures_of(np.ones(len(true_deg), bool))
    each = [figures_of(speakers == speaker) for speaker in np.unique(speakers)]
    for key in WITH_INTERVAL:
        values = np.array([figure[key] for figure in each])
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        figures[f"{key}_interval"] = float(student.ppf(0.975, max(1, len(values) - 1)) * error)
    return figures
