"""What SpatialiseTRAIN.py and SpatialiseTEST.py share: their flags, the plan of every shard, and the run.

Every random draw comes from the seed and the names of the two files, so a shard is the same whichever others are made,
in whatever order and by however many jobs.
"""
import hashlib
import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

import console
import dataset
import hrir
import scene
from console import BadInput, notice
from params import Params, differences


def parse_args(doc, side, argv=None):
    """Flags of the Spatialise script of one side ("TRAIN" or "TEST"): (Params, the other arguments)."""
    default = Params()
    default_snr_db = default.snr_db if side == "TRAIN" else default.snr_db_test
    parser = console.Parser(doc)
    parser.add_argument("--speech", metavar="DIR", default=f"Speech{side}", help="speech files (default: %(default)s)")
    parser.add_argument("--noise", metavar="DIR", default=f"Noise{side}", help="noise files (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default=f"BinSL_{side}", help="npz shards (default: %(default)s)")
    parser.add_argument("--snr-db", metavar="SNR", nargs="+", type=float, default=default_snr_db,
                        help=f"SNRs in dB (default: {' '.join(map(str, default_snr_db))})")
    parser.add_argument("--noise-field", metavar="FIELD", nargs="+", default=default.noise_field,
                        help="diffuse (from all around), diotic (the same at both ears) or both, then drawn for each "
                             "mixture (default: diffuse)")
    parser.add_argument("--excerpts", metavar="N", type=int,
                        help=f"mixtures for each pair of files (default: {default.excerpts}; "
                             f"{default.excerpts_of_lone_speech} when there is one speech file)")
    parser.add_argument("--seed", metavar="N", type=int, default=default.seed, help="(default: %(default)s)")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count(),
                        help="shards made at the same time (default: one for each processor)")
    parser.add_argument("--listen", metavar="DIR", help="also write the first mixture as 37 wavs for headphones")
    parser.add_argument("--overwrite", action="store_true",
                        help="remove the shards of --out that other parameters or files made")
    args = parser.parse_args(argv)
    if args.jobs < 1:
        raise BadInput(f"--jobs {args.jobs} is not possible: it takes 1 or more.")
    params = replace(default, snr_db=tuple(int(s) if s.is_integer() else s for s in map(float, args.snr_db)),
                     noise_field=tuple(args.noise_field), seed=args.seed,
                     excerpts=default.excerpts if args.excerpts is None else args.excerpts)
    return params, args


class Task(NamedTuple):
    """A shard to make: its files and its place."""

    speech: dataset.Audio
    noise: dataset.Audio
    path: Path


def main(doc, side, argv=None):
    """Make every shard that is missing, and say what was done."""
    params, args = parse_args(doc, side, argv)
    speech, bad_speech = dataset.find_audio(args.speech, "--speech", params.excerpt_length, params)
    noise, bad_noise = dataset.find_audio(args.noise, "--noise", 1, params)
    _tell_about_audio(speech + noise, bad_speech + bad_noise)
    if len(speech) == 1 and args.excerpts is None and side == "TRAIN":
        params = replace(params, excerpts=params.excerpts_of_lone_speech)
        notice(f"Only one speech file: {params.excerpts} excerpts of it for each noise, "
               "so that training can keep some for validation.")

    out = console.folder_for_output(args.out)
    tasks = [Task(s, n, out / dataset.shard_name(s, n)) for s in speech for n in noise]
    missing = _missing(tasks, params, out, args.overwrite)
    samples = len(params.snr_db) * len(params.azimuth_deg) * params.excerpts
    _need_disk_space(out, len(missing) * samples * int(np.prod(params.sample_shape)) * np.float16().nbytes)
    head = hrir.load(params.hrir_set, params.sample_rate_hz, params.hrir_padding_samples)
    heard_from = scene.response_spectrum(head.response, params.excerpt_length, params.lead_in_samples)
    audio = dataset.AudioCache(params)
    _make_shards(missing, heard_from, audio, params, args.jobs, f"Spatialise{side}")
    if args.listen:
        _write_listening_examples(tasks[0], heard_from, audio, params, console.folder_for_output(args.listen))

    skipped = f"; skipped {len(bad_speech + bad_noise)} bad file(s), named above" if bad_speech + bad_noise else ""
    done = (f"made {len(missing)} shards" if missing else "nothing to do, every shard was already made")
    print(f"{out}: {done}; {len(tasks)} shards ({len(speech)} speech x {len(noise)} noise files), "
          f"{len(tasks) * samples} samples{skipped}.")


def _tell_about_audio(files, problems):
    for problem in problems:
        notice(f"Skipped: {problem}")
    mixed_down = [audio for audio in files if audio.channels > 1]
    if mixed_down:
        names = ", ".join(str(a.path) for a in mixed_down[:3]) + (", ..." if len(mixed_down) > 3 else "")
        notice(f"Mixed down to mono: {len(mixed_down)} file(s) with several channels ({names}).")


def _missing(tasks, params, out, overwrite):
    """Return tasks without an up-to-date shard; refuse what does not belong in `out`, or with `overwrite` remove it."""
    for partial in out.glob("*.npz.partial"):  # a killed run's
        partial.unlink()
    wanted = {task.path: task for task in tasks}
    missing, strangers = dict(wanted), []
    for path in console.progress(sorted(out.glob("*.npz")), unit=" shards", desc=f"checking {out}"):
        task = wanted.get(path)
        try:
            made_with = dataset.open_shard(path).params
        except BadInput as problem:
            if task is None:
                raise BadInput(f"{path} is not a shard of this project; move it away or choose another --out.") \
                    from problem
            notice(f"Making again: {problem}")
            continue
        if differ := differences(made_with, params.scenes):
            strangers.append((path, f"it was made with {differ}"))
        elif task is None:
            strangers.append((path, "its audio is no longer in the folders"))
        elif differ := differences(made_with, _digests(task)):
            notice(f"Making again: {path.name}, because its speech or noise file was replaced.")
        else:
            del missing[path]
    if strangers and not overwrite:
        path, why = strangers[0]
        more = f" (and {len(strangers) - 1} more)" if len(strangers) > 1 else ""
        raise BadInput(f"{path}{more} does not belong to this run: {why}; choose another --out, or remove with "
                       "--overwrite.")
    for path, _ in strangers:
        path.unlink()
    return list(missing.values())


def _need_disk_space(out, size):
    free = shutil.disk_usage(out).free
    if size > free:
        raise BadInput(f"{out} needs {size / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB left; free some space, "
                       "take fewer --excerpts or --snr-db, or choose another --out.")


def _digests(task):
    return {"speech_sha256": task.speech.sha256, "noise_sha256": task.noise.sha256}


def _make_shards(tasks, heard_from, audio, params, jobs, title):
    """Make shards, `jobs` at a time.

    In threads, because NumPy and SciPy let go of the interpreter while they compute: no start-up and one copy of the
    audio. Not joblib's, which leave running work behind on Ctrl-C: here every thread drops its shard first.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        made = [pool.submit(_make_shard, task, heard_from, audio, params, stop) for task in tasks]
        try:
            for future in console.progress(as_completed(made), total=len(made), unit="shard", desc=title):
                future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _make_shard(task, heard_from, audio, params, stop):
    """Mix, transform and write one shard; `stop` is an event that ends it early, without a file."""
    speech, noise = audio.read(task.speech), audio.read(task.noise)
    draws = [_draw(task, number, speech, noise, params) for number in range(params.excerpts)]
    per_excerpt = len(params.snr_db) * len(params.azimuth_deg)  # samples follow excerpt, SNR, azimuth
    arrays = {
        "labels": np.tile(np.asarray(params.azimuth_deg, np.float32), len(params.snr_db) * params.excerpts),
        "snr_db": np.tile(np.repeat(np.asarray(params.snr_db, np.float32), len(params.azimuth_deg)), params.excerpts),
        "noise_field": np.repeat([draw.noise_field for draw in draws], per_excerpt),
        "excerpt_start_s": np.repeat(np.asarray([draw.speech_start / params.sample_rate_hz for draw in draws],
                                                np.float32), per_excerpt),
        "speech": task.speech.name, "noise": task.noise.name,
        "params": json.dumps(params.scenes | _digests(task), sort_keys=True),
    }

    def pieces():
        for draw in draws:
            speech_at_ears, noise_at_ears = _at_ears(draw, speech, noise, heard_from, params)
            gains = _gains(speech_at_ears, noise_at_ears, params)
            for cues in scene.mixed_cues(speech_at_ears, noise_at_ears, gains, params):
                if stop.is_set():
                    raise InterruptedError
                yield cues

    dataset.write_shard(task.path, pieces(), arrays, params)


class Draw(NamedTuple):
    """One mixture: where its excerpts begin, in samples, and its noise field."""

    speech_start: int
    noise_field: str
    noise_starts: list


def _draw(task, number, speech, noise, params):
    key = hashlib.sha256(f"{task.speech.name}\0{task.noise.name}".encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng([params.seed, number, *np.frombuffer(key[:16], "<u4").tolist()])
    length = params.excerpt_length
    speech_start = scene.draw_start(rng, scene.eligible_starts(speech, length, params.speech_range_db),
                                    number, params.excerpts)
    noise_field = params.noise_field[rng.integers(len(params.noise_field))]
    starts = scene.eligible_starts(scene.looped(noise, length), length, params.noise_range_db)
    count = len(params.azimuth_deg) if noise_field == "diffuse" else 1
    return Draw(speech_start, noise_field, [scene.draw_start(rng, starts) for _ in range(count)])


def _at_ears(draw, speech, noise, heard_from, params):
    """Return speech (azimuth, 2, n) from every direction and noise (2, n), before their levels are set."""
    length, lead_in = params.excerpt_length, params.lead_in_samples
    endless = scene.looped(noise, length)
    excerpts = np.stack([endless[start:start + length] for start in draw.noise_starts])
    speech_excerpt = speech[draw.speech_start:draw.speech_start + length]
    speech_at_ears = scene.at_ears(speech_excerpt, heard_from, lead_in)
    if draw.noise_field == "diffuse":
        return speech_at_ears, scene.diffuse(excerpts, heard_from, lead_in)
    return speech_at_ears, scene.diotic(excerpts[0, lead_in:])


def _gains(speech_at_ears, noise_at_ears, params):
    front = speech_at_ears[hrir.front(params.azimuth_deg)]
    return [scene.noise_gain(front, noise_at_ears, snr_db) for snr_db in params.snr_db]


def _write_listening_examples(task, heard_from, audio, params, folder):
    """Write the first mixture at its highest SNR from every azimuth, with one gain that brings the loudest to 0.9."""
    speech, noise = audio.read(task.speech), audio.read(task.noise)
    speech_at_ears, noise_at_ears = _at_ears(_draw(task, 0, speech, noise, params), speech, noise, heard_from, params)
    loudest_snr = int(np.argmax(params.snr_db))
    ears = speech_at_ears + _gains(speech_at_ears, noise_at_ears, params)[loudest_snr] * noise_at_ears
    ears *= 0.9 / np.abs(ears).max()
    for azimuth_deg, pair in zip(params.azimuth_deg, ears):
        dataset.write_wav(folder / f"azimuth_{azimuth_deg:+03d}_deg.wav", pair, params.sample_rate_hz)
    print(f"{folder}: {len(ears)} wavs of {task.speech.name} in {task.noise.name} at "
          f"{params.snr_db[loudest_snr]:g} dB, for headphones.")
