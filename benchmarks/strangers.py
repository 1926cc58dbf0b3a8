"""What the accuracy benchmark measures with strangers: people, microphones, other sounds, recordings, noise alone.

Each function yields rows of accuracy.csv, some at a time. Heads are measured where their sets were: nothing is
interpolated, neither for the source nor for the noise.
"""
import csv
import io
import zlib
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

import numpy as np

import console
import features
import hrir
from benchmarks import conditions
from benchmarks.conditions import Condition
from console import BadInput
from network import likelihood, localise
from scores import metrics
from shards.audio import AudioCache, audio_paths, ear_blocks, read_mono
from sound import convolution, excerpts, noise_fields

PEOPLE_SNRS_DB = (-10, -6, 0, 6, 20)
SNR_DB = 20                  # of the parts that ask for something else than noise
MIXTURES_OF_PERSON = 6       # each noise with two talkers: with 13 azimuths a head's share is known to 3 or 4 points
MIXTURES = 3                 # of each head in the other parts, each in another noise
FEW = 4                      # people beside KEMAR in the parts that ask for something else than heads
GAINS_DB = (-6, -3, 0, 3, 6)  # of the right microphone over the left one
TALK_S = (0.5, 0.55, 2.25, 2.3, 3.2, 3.25, 4.45, 4.5)  # where the talker begins and ends, with fades of 0.05 s
CLIP_S = 5.0
PEAK = 0.5                   # of full scale, of ear signals; sets of responses differ in level
STRETCHES, STRETCH_S = 3, 11.1  # of noise alone, each drawn anew: with three noises 100 s a head
HOP_S = 0.2                  # of a track, coarser than usual: neighbours share most of their second
ACTIVE_DB = 20.0             # below the loudest hundredth of the rows, down to which the talker is active
NARROW_SHARE = 0.9           # of the power of a frame, within one octave


class Head(NamedTuple):
    """A head to measure with: `source` as for hrir.load, and the azimuths it is measured at."""

    name: str
    source: str
    azimuth_deg: tuple

    def condition(self, table, snrs_db, variant=""):
        """A Condition of diffuse noise, with source and noise from this head's own directions."""
        return Condition(table, self.name, "diffuse", 50, self.azimuth_deg, snrs_db, variant, self.azimuth_deg)


KEMAR = Head(conditions.KEMAR, "mit_kemar", tuple(range(-90, 91, 15)))  # as coarse as the people's


def find_people(folder):
    """List the people of a folder of SOFA files: each a Head with the set's own directions within +-90 degrees."""
    if not Path(folder).is_dir():
        raise BadInput(f"--people {folder} is not a folder; name one that holds SOFA files of people.")
    people = []
    for path in console.progress(hrir.sources_of(folder), unit=" heads", desc="reading heads"):
        azimuth_deg = hrir.read(path).azimuth_deg
        people.append(Head(Path(path).stem, path, tuple(azimuth_deg[np.abs(azimuth_deg) <= 90].tolist())))
    return people


def few_of(people):
    """KEMAR and FEW people, evenly spread over the list."""
    return [KEMAR, *(people[i] for i in np.unique(np.linspace(0, len(people) - 1, FEW).round().astype(int)))]


def pairs_of(number, count, speech, noise):
    """Pair `count` talkers and noises for the `number`-th head: over the heads each talker meets each noise."""
    talkers = sorted({conditions.speaker_of(s.name) for s in speech})
    rng = np.random.default_rng(number)
    for i in range(count):
        talker = talkers[(number + i) % len(talkers)]
        utterances = [s for s in speech if conditions.speaker_of(s.name) == talker]
        yield utterances[rng.integers(len(utterances))], noise[i % len(noise)]


# -------------------------------------------------------------------------------------------------------------- people

def measure_people(people, speech, noise, args, params):
    """Model and likelihood on strangers' heads, with KEMAR's templates and with those of the very head."""
    network, with_own_head = conditions.load_model(args), conditions.load_model(args)
    shared = {"model": conditions.answers_of(network),
              "likelihood": conditions.likelihood_of(likelihood.template_cues(params), params)}
    for number, head in enumerate(console.progress(people, unit=" heads", desc="people")):
        templates = likelihood.template_cues(params, head.source)
        with_own_head.compare_with(templates)
        systems = shared | {"model, own head": conditions.answers_of(with_own_head),
                            "likelihood, own head": conditions.likelihood_of(templates, params)}
        pairs = list(pairs_of(number, MIXTURES_OF_PERSON, speech, noise))
        yield _rows(head.condition("people", PEOPLE_SNRS_DB), head, systems, pairs, params)


def _rows(condition, head, systems, pairs, params):
    responses = conditions.head_of(condition, head.source, params)
    return conditions.rows_of(condition, conditions.measure(condition, systems, pairs, [], responses, params))


# -------------------------------------------------------------------------------------------------------------- sounds

def measure_sounds(heads, sounds, noise, args, params):
    """The model on sounds other than read English, each with MIXTURES noises at each head."""
    systems = {"model": conditions.answers_of(conditions.load_model(args))}
    for sound in console.progress(sounds, unit=" sounds", desc="sounds"):
        kind = "narrow-band" if is_narrow(read_mono(sound.path, params), params) else "broad-band"
        pairs = [(sound, masker) for masker in noise[:MIXTURES]]
        yield [row for head in heads for row in _rows(
            head.condition("sounds", (SNR_DB,), f"{kind}: {Path(sound.name).stem}"), head, systems, pairs, params)]


def is_narrow(signal, params):
    """Tell whether a sound (n,) is narrow-band: NARROW_SHARE of the power within an octave, in half of its loud frames.

    By frames, because a bird's whistle sweeps over more than an octave in a second; at any moment it tells one band.
    """
    power = np.square(np.abs(features.stft(np.asarray(signal)[np.newaxis], params)[0]))          # (bin, frame)
    total = power.sum(axis=0)
    power = power[:, total > total.max() * 10 ** (-ACTIVE_DB / 10)]
    below = np.concatenate((np.zeros((1, power.shape[1])), np.cumsum(power, axis=0)))
    octaves = [below[min(2 * low + 1, len(power))] - below[low] for low in range(1, len(power))]
    return bool(np.median(np.max(octaves, axis=0) / below[-1]) > NARROW_SHARE)


# --------------------------------------------------------------------------------------------------------- microphones

def measure_microphones(heads, speech, noise, args, params):
    """A talk of 5 s with pauses through microphones that differ: tracked, and one plain sample of each."""
    network, audio = conditions.load_model(args), AudioCache(params)
    for number, head in enumerate(heads):
        found = {(gain_db, system): [] for gain_db in GAINS_DB for system in ("track", "model")}
        for spoken, masker in pairs_of(number, MIXTURES, speech, noise):
            rng = _generator(head.name, spoken.name, masker.name)
            talk = talk_at_ears(rng, head, audio.speech(spoken), audio.noise(masker), params)  # (azimuth, ear, n)
            for azimuth_deg, ears in zip(console.progress(head.azimuth_deg, desc=f"microphones, {head.name}"), talk):
                for gain_db in GAINS_DB:
                    uneven = ears * 10 ** (np.array([[-0.5], [0.5]]) * gain_db / 20)
                    found[gain_db, "track"].append(track_errors(track_of(uneven, args, params), azimuth_deg))
                    middle = round(np.mean(TALK_S[:4]) * params.sample_rate_hz) - params.sample_length // 2
                    sample = features.from_ears(uneven[np.newaxis, :, middle:middle + params.sample_length], params)
                    answer = np.concatenate(network.answer(sample.astype(np.float16)))
                    found[gain_db, "model"].append((np.array([answer[0] - azimuth_deg]), answer[1:2]))
        yield [_columns("microphones", head.name, f"{gain_db:+g} dB", system) | figures_of(errors)
               for (gain_db, system), errors in found.items()]


def _columns(table, head, variant, system, snr_db=SNR_DB):
    return {"table": table, "head": head, "variant": variant, "noise_field": "diffuse", "snr_db": snr_db,
            "system": system}


def _generator(*names):
    return np.random.default_rng(zlib.crc32(" ".join(names).encode()))


def talk_at_ears(rng, head, talker, masker, params):
    """A talk of CLIP_S seconds from every azimuth of a head, in diffuse noise at SNR_DB: (azimuth, ear, n).

    The talker is active twice (TALK_S), the noise throughout. The SNR counts while the talker is active.
    """
    responses = _responses(head, params)
    length = round(CLIP_S * params.sample_rate_hz)
    gate = np.interp(np.arange(length) / params.sample_rate_hz, TALK_S, (0, 1, 1, 0, 0, 1, 1, 0))
    signal = gate * excerpts.cut(talker.samples, excerpts.draw_start(rng, talker.starts), 0, length, around=True)
    reach = responses.response.shape[-1]
    spectra = convolution.response_spectrum(responses.response, convolution.fft_size(reach + length))
    at_ears = convolution.at_ears(np.pad(signal, (convolution.fft_size(reach + length) - length, 0)), spectra, length)
    noise = noise_around(rng, responses, masker, length)
    is_active = gate > 0
    gain = noise_fields.noise_gain(at_ears[hrir.front(head.azimuth_deg)][:, is_active], noise[:, is_active], SNR_DB)
    ears = at_ears + gain * noise
    return PEAK * ears / np.abs(ears).max()


def noise_around(rng, responses, masker, length):
    """Diffuse noise from all directions of a head's Hrirs: (ear, length)."""
    size = convolution.fft_size(responses.response.shape[-1] + length)
    independent = np.stack([excerpts.cut(masker.samples, excerpts.draw_start(rng, masker.starts), size - length, length,
                                         around=True) for _ in responses.azimuth_deg])
    spectra = convolution.response_spectrum(responses.response, size)
    return noise_fields.diffuse(independent, spectra, responses.azimuth_deg, length)


def _responses(head, params):
    return hrir.load(head.source, params.sample_rate_hz, head.azimuth_deg, params.hrir_padding_samples)


def track_of(ears, args, params, hop_s=HOP_S):
    """Track ear signals (2, n) as users do: a Track. Its warnings about channels are left out: they are made so."""
    with redirect_stderr(io.StringIO()):
        return localise(ears, params.sample_rate_hz, hop_s, Path(args.model) / "best.keras")


def is_active(track):
    """Tell in which rows of a Track the talker is active: (row,) bool."""
    return track.level_db > np.percentile(track.level_db, 99) - ACTIVE_DB


def track_errors(track, true_deg):
    """Errors of the active rows of a Track, NaN where no source is stated, and their 68 % half-widths: two (row,).

    `true_deg` is one azimuth or (row,).
    """
    rows = is_active(track)
    return (track.azimuth_deg - true_deg)[rows], track.half_width_68_deg[rows]


def figures_of(errors):
    """Figures of rows without rounding, from a list of (errors, 68 % half-widths) in degrees, NaN without an answer.

    The shares within 5 and 10 degrees are of all rows: no answer counts as wrong. Errors and the share inside the
    stated half-width are of the answered rows.
    """
    error, half_width_deg = map(np.concatenate, zip(*errors))
    is_answered = np.isfinite(error)
    figures = {"samples": len(error), "answered_percent": float(100 * is_answered.mean())} | {
        f"within_{reach}_deg_percent": float(100 * np.mean(np.abs(error) <= reach)) for reach in (5, 10)}
    if is_answered.any():
        scored = metrics.score(error[is_answered], np.zeros(is_answered.sum()))
        figures |= {key: scored[key] for key in ("mae_deg", "median_deg", "rmse_deg", "bias_deg")}
        figures["inside_stated_68_percent"] = float(
            100 * np.mean(np.abs(error[is_answered]) <= half_width_deg[is_answered]))
    return figures


# ---------------------------------------------------------------------------------------------------------- recordings

def measure_recordings(folder, args, params):
    """Track real recordings beside their true azimuths, and beside those of a peer where the file has them."""
    found = {"track": [], "peer": []}
    for audio, truth_path in console.progress(find_recordings(folder), unit=" recordings", desc="recordings"):
        time_s, true_deg, peer_deg = read_truth(truth_path)
        ears = np.concatenate(list(ear_blocks(audio, params)))
        track = track_of(ears, args, params, params.hop_s)
        rows, truth_of_rows = is_active(track), np.interp(track.time_s, time_s, true_deg)
        peer_errors = (np.interp(track.time_s, time_s, peer_deg) - truth_of_rows)[rows]
        found["track"].append(track_errors(track, truth_of_rows))
        found["peer"].append((peer_errors, np.full(len(peer_errors), np.nan)))
        yield [_of_recording(audio.stem, system, errors[-1:]) for system, errors in found.items()]
    yield [_of_recording("all", system, errors) for system, errors in found.items()]


def _of_recording(name, system, errors):
    figures = figures_of(errors)
    if system == "peer":  # it states no half-width
        del figures["inside_stated_68_percent"]
    return _columns("recordings", name, "", system, np.nan) | {"noise_field": ""} | figures


def find_recordings(folder):
    """List the recordings of a folder, subfolders included, that have a truth beside them: (audio, csv) paths."""
    folder = Path(folder)
    found = [(path, truth) for path in (audio_paths(folder) if folder.is_dir() else [])
             if (truth := path.with_name(f"{path.stem}_truth.csv")).is_file()]
    if not found:
        raise BadInput(f"--recordings {folder} holds no recording with a truth beside it, such as clip.flac and "
                       "clip_truth.csv; name another folder.")
    return found


def read_truth(path):
    """Read the true azimuths of a recording: three (n,), seconds, degrees, and a peer's degrees.

    Columns: time_s, azimuth_deg, peer_azimuth_deg. Raises BadInput for other files.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [[float(row[name]) for name in ("time_s", "azimuth_deg", "peer_azimuth_deg")]
                    for row in csv.DictReader(file)]
        return np.array(rows).reshape(-1, 3).T
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInput(f"{path} lacks columns of numbers named time_s, azimuth_deg and peer_azimuth_deg; export it "
                       "again.") from problem


# --------------------------------------------------------------------------------------------------------- noise alone

def measure_noise_alone(heads, noise, args, params):
    """How often the track states a source in diffuse noise without any, by head and noise."""
    audio = AudioCache(params)
    for head in console.progress(heads, unit=" heads", desc="noise alone"):
        responses, rows = _responses(head, params), []
        for masker in noise[:MIXTURES]:
            has_source = []
            for stretch in range(STRETCHES):
                ears = noise_around(_generator(head.name, masker.name, str(stretch)), responses, audio.noise(masker),
                                    round(STRETCH_S * params.sample_rate_hz))
                has_source.append(track_of(PEAK * ears / np.abs(ears).max(), args, params).has_source)
            has_source = np.concatenate(has_source)
            rows.append(_columns("alone", head.name, Path(masker.name).stem, "track", -np.inf) | {
                "samples": len(has_source), "answered_percent": float(100 * has_source.mean())})
        yield rows
