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
import mixing
import recordings
from console import BadInput, notice
from params import RANGES, WORLD, Params, differences, flag_of


def parse_args(doc, side, argv=None):
    """Flags of the Spatialise script of one side ("TRAIN" or "TEST"): (Params, the other arguments)."""
    default = Params()
    parser = console.Parser(doc)
    parser.add_argument("--out", metavar="DIR", default=f"BinSL_{side}", help="npz shards (default: %(default)s)")
    parser.add_argument("--excerpts", metavar="N", type=int,
                        help=f"mixtures for each pair of files (default: {default.excerpts}; "
                             f"{default.excerpts_of_lone_speech} when there is one speech file)")
    parser.add_argument("--seed", metavar="N", type=int, default=default.seed, help="(default: %(default)s)")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count(),
                        help="shards made at the same time (default: one for each processor)")
    parser.add_argument("--listen", metavar="DIR", help="also write the first mixture, one wav for each azimuth")
    parser.add_argument("--overwrite", action="store_true",
                        help="remove the shards of --out that other parameters or files made")
    parser.add_argument("--recordings", metavar="DIR",
                        help="a folder of labelled two-channel recordings in place of speech (docs/recordings.md); "
                             "--noise adds noise to them")
    scene_flags = add_scene_flags(parser, side)
    args = parser.parse_args(argv)
    if args.jobs < 1:
        raise BadInput(f"--jobs {args.jobs} is not possible: it takes 1 or more.")
    if args.recordings:
        _need_fit_for_recordings(args, scene_flags)
    params = scene_params(args, side)
    return replace(params, seed=args.seed, excerpts=default.excerpts if args.excerpts is None else args.excerpts), args


def _need_fit_for_recordings(args, scene_flags):
    """Raise BadInput for flags that do nothing for recordings, which bring their own head, room and azimuths."""
    of_noise = ("snr_db", "noise_field", "hrir", "left_right")
    useful = ("frames", "noise", *(of_noise if args.noise else ()))
    for name in (*scene_flags, "excerpts", "listen"):
        if getattr(args, name) is not None and name not in useful:
            raise BadInput(f"{flag_of(name)} does nothing with --recordings{'' if args.noise else ' alone'}; leave it "
                           f"out{'' if args.noise or name not in of_noise else ', or add noise with --noise'}.")
    if {"talker", "mixed"} & set(args.noise_field or ()):
        raise BadInput("--noise-field talker and mixed need speech, which --recordings does not take; choose others.")


def add_scene_flags(parser, side):
    """Add the flags of what is mixed, which training straight from wavs takes too; None where they are not given.

    Returns their names as in the parsed arguments.
    """
    default = Params()

    def numbers(values):
        return " ".join(f"{value:g}" for value in values)

    group = parser.add_argument_group("what is mixed (docs/scenes.md shows what each does)")
    flags = [
        group.add_argument("--speech", metavar="DIR", help=f"speech files (default: Speech{side})"),
        group.add_argument("--noise", metavar="DIR", help=f"noise files (default: Noise{side})"),
        group.add_argument("--snr-db", metavar="SNR", nargs="+", type=float,
                           help=f"SNRs in dB (default: {numbers(_usual_snr_db(side))})"),
        group.add_argument("--noise-field", metavar="FIELD", nargs="+",
                           help="diffuse (from all around), diotic (the same at both ears), directional (from one "
                                "side), talker (speech of another file, from one side), mixed (diffuse and another); "
                                "of several one is drawn for each mixture (default: diffuse)"),
        group.add_argument("--frames", metavar="N", type=int,
                           help=f"duration of a sample, 10 to 200 frames of 20 ms (default: {default.frames})"),
        group.add_argument("--azimuth-deg", metavar="AZ", nargs="+", type=float,
                           help="where the speech comes from (default: -90 to 90 in steps of 5)"),
        group.add_argument("--hrir", metavar="SET", nargs="+",
                           help="heads, drawn for each mixture: mit_kemar or SOFA files, also of rooms "
                                "(default: mit_kemar)"),
        group.add_argument("--left-right", choices=hrir.LEFT_RIGHT,
                           help="of SOFA files: check against the data, keep as they say, or mirror (default: check)"),
    ]
    for name, (_, _, what) in RANGES.items():
        value = getattr(default, name)
        is_range = isinstance(value, tuple)
        usual = f" (default: {numbers(value if is_range else [value])})" if value else " (default: off)"
        metavar = ("LOW", "HIGH") if is_range else "DB" if name.endswith("_db") else "SHARE"
        flags.append(group.add_argument(flag_of(name), type=float, nargs=2 if is_range else None, metavar=metavar,
                                        help=what + usual))
    flags.append(group.add_argument("--world", action="store_true", default=None,
                                    help="all of it at once; flags beside it change single values"))
    return [flag.dest for flag in flags]


def scene_params(args, side):
    """Params of the flags that `add_scene_flags` added; fills in the folders. BadInput for what does nothing."""
    if not getattr(args, "recordings", None):
        args.speech, args.noise = args.speech or f"Speech{side}", args.noise or f"Noise{side}"
    given = {name: _plain(getattr(args, name)) for name in ("snr_db", "noise_field", "frames", "azimuth_deg",
                                                            "left_right", *RANGES) if getattr(args, name) is not None}
    if args.hrir:
        given["hrir_set"] = tuple(args.hrir)
    if "snr_db" in given and "snr_range_db" in given:
        raise BadInput("--snr-db and --snr-range-db exclude each other; give steps or a range.")
    values = {"snr_db": _usual_snr_db(side)}
    if args.world:
        values |= WORLD
    if "snr_db" in given:
        values["snr_range_db"] = ()
    values |= given
    for flag, *needs in (("drr_db", "rt60_s"), ("room_share", "rt60_s"), ("source_level_db", "sensor_snr_db"),
                         ("head_share", "head_size", "head_colour_db", "side_level_db")):
        if flag in given and not any(values.get(name) for name in needs):
            raise BadInput(f"{flag_of(flag)} does nothing without {' or '.join(map(flag_of, needs))}; give both.")
    return replace(Params(), **values)


def _usual_snr_db(side):
    return Params().snr_db if side == "TRAIN" else Params().snr_db_test


def _plain(value):
    """Lists as tuples, and whole numbers without a point, so that they are stored as they were typed."""
    if isinstance(value, list):
        return tuple(_plain(v) for v in value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else value


def load_heads(params):
    """Load the sets of Params and say what was found.

    Returns them as list of hrir.Hrirs at mixing.directions_deg, and Params whose circle of noise directions is what all
    of them can give. BadInput for a set that cannot be used, or lacks an azimuth asked for, or the front, which the SNR
    refers to.
    """
    sets = [hrir.read(source, params.left_right) for source in params.hrir_set]
    if len({measured.name for measured in sets}) < len(sets):
        raise BadInput(f"--hrir {' '.join(params.hrir_set)} holds two sets of one name; rename one of the files.")
    circle = tuple(azimuth for azimuth in params.circle_deg if all(hrir.can_give(m, azimuth) for m in sets))
    if circle and circle != params.circle_deg:
        notice(f"Noise comes from {len(circle)} of {len(params.circle_deg)} directions, {circle[0]:g} to "
               f"{circle[-1]:g} degrees: --hrir has no others.")
        params = replace(params, circle_deg=circle)
    heads = [hrir.at_azimuths(measured, params.sample_rate_hz, mixing.directions_deg(params),
                              params.hrir_padding_samples) for measured in sets]
    for head in heads:
        print(head.found)
    return heads, params


def scenes_with(heads, params):
    """Every number that a sample is made with, and which sets: names and digests in place of their paths."""
    return params.scenes | {"hrir_set": [head.name for head in heads], "hrir_sha256": [head.sha256 for head in heads],
                            "hrir_found": [head.found for head in heads]}


def need_other_talkers(speech, params):
    """Raise BadInput when Params wants a second talker and the speech files hold but one."""
    if _wants_talkers(params) and len({audio.sha256 for audio in speech}) < 2:
        raise BadInput("--noise-field talker or mixed needs speech of two talkers and --speech holds one file; add "
                       "another or choose other noise fields.")


def _other_talkers(audio, speech, params):
    return [other for other in speech if other.sha256 != audio.sha256] if _wants_talkers(params) else []


def _wants_talkers(params):
    return bool({"talker", "mixed"} & set(params.noise_field))


class Task(NamedTuple):
    """A shard to make: its files, the speech files that may interfere, and its place."""

    speech: dataset.Audio
    noise: dataset.Audio
    talkers: list
    path: Path

    @property
    def names(self):
        """Of the speech and the noise, as the shard stores them."""
        return self.speech.name, self.noise.name

    def digests(self):
        """What tells whether the files are still those that a shard was made of."""
        talkers = hashlib.sha256("".join(audio.sha256 for audio in self.talkers).encode()).hexdigest()
        return {"speech_sha256": self.speech.sha256, "noise_sha256": self.noise.sha256} | (
            {"talkers_sha256": talkers} if self.talkers else {})

    def count(self, params):
        """How many samples the shard holds."""
        return params.excerpts * (1 if params.snr_range_db else len(params.snr_db)) * len(params.azimuth_deg)

    def pieces(self, mixer, audio):
        """Cues (azimuth, bin, frame, 2) of one mixture after another, each with its dict of dataset.BY_SAMPLE."""
        params = mixer.params
        azimuths = len(params.azimuth_deg)
        cues = np.empty((azimuths, *params.sample_shape), np.float16)
        for number in range(params.excerpts):
            speech, noise, snrs_db = _mixture(self, number, mixer, audio)
            for snr_db in snrs_db:
                mixer.cues(speech, noise, snr_db, cues)
                of_all = {"snr_db": np.float32(snr_db), "noise_field": noise.field, "hrir": speech.place.hrir,
                          "room_rt60_s": np.float32(speech.place.rt60_s),
                          "excerpt_start_s": np.float32(speech.start / params.sample_rate_hz)}
                yield cues, {name: np.full(azimuths, value) for name, value in of_all.items()} | {
                    "labels": np.asarray(params.azimuth_deg, np.float32)}

    def ears(self, row, mixer, audio):
        """Ear signals (2, n) of the shard's sample `row`."""
        params = mixer.params
        azimuths = len(params.azimuth_deg)
        number, row = divmod(row, self.count(params) // params.excerpts)
        speech, noise, snrs_db = _mixture(self, number, mixer, audio)
        return mixer.ears(speech, noise, snrs_db[row // azimuths])[row % azimuths]


def main(doc, side, argv=None):
    """Make every shard that is missing, and say what was done."""
    params, args = parse_args(doc, side, argv)
    out = Path(args.out)
    if args.recordings:
        labelled, noise, bad = find_recordings(args, params)
        tasks = [recordings.Task(recording, each, out / dataset.shard_name(recording.name, each.name if each else ""))
                 for recording in labelled for each in noise or [None]]
        found = f"{len(labelled)} recordings" + (f" x {len(noise)} noise files" if noise else "")
        heads, params = load_heads(params) if noise else ([], params)
    else:
        speech, noise, bad = find_audio(args, params)
        if len(speech) == 1 and args.excerpts is None and side == "TRAIN":
            params = replace(params, excerpts=params.excerpts_of_lone_speech)
            notice(f"Only one speech file: {params.excerpts} excerpts of it for each noise, "
                   "so that training can keep some for validation.")
        need_other_talkers(speech, params)
        tasks = [Task(s, n, talkers, out / dataset.shard_name(s.name, n.name))
                 for s in speech for talkers in [_other_talkers(s, speech, params)] for n in noise]
        found = f"{len(speech)} speech x {len(noise)} noise files"
        heads, params = load_heads(params)

    console.folder_for_output(out)
    made_with = scenes_with(heads, params)
    missing = _missing(tasks, made_with, out, args.overwrite)
    size = int(np.prod(params.sample_shape)) * np.float16().nbytes
    _need_disk_space(out, sum(task.count(params) for task in missing) * size)
    mixer, audio = mixing.Mixer(params, heads), dataset.AudioCache(params)
    _make_shards(missing, mixer, audio, made_with, args.jobs, f"Spatialise{side}")
    if args.listen:
        _write_listening_examples(tasks[0], mixer, audio, console.folder_for_output(args.listen))

    skipped = f"; skipped {bad} bad file(s), named above" if bad else ""
    done = (f"made {len(missing)} shards" if missing else "nothing to do, every shard was already made")
    samples = sum(task.count(params) for task in tasks)
    print(f"{out}: {done}; {len(tasks)} shards ({found}), {samples} samples{skipped}.")


def find_recordings(args, params):
    """Check labelled recordings and the noise to add to them: recordings, noise as dataset.Audio, how many are bad."""
    labelled = recordings.read_labels(args.recordings, params)
    if args.noise is None:
        return labelled, [], 0
    noise, bad = dataset.find_audio(args.noise, "--noise", 1, params)
    _tell_about_audio(noise, bad)
    return labelled, noise, len(bad)


def find_audio(args, params):
    """Check both folders and say what is skipped or mixed down: speech and noise as dataset.Audio, how many are bad."""
    speech, bad_speech = dataset.find_audio(args.speech, "--speech", params.excerpt_length, params)
    noise, bad_noise = dataset.find_audio(args.noise, "--noise", 1, params)
    _tell_about_audio(speech + noise, bad_speech + bad_noise)
    return speech, noise, len(bad_speech + bad_noise)


def _tell_about_audio(files, problems):
    for problem in problems:
        notice(f"Skipped: {problem}")
    mixed_down = [audio for audio in files if audio.channels > 1]
    if mixed_down:
        names = ", ".join(str(a.path) for a in mixed_down[:3]) + (", ..." if len(mixed_down) > 3 else "")
        notice(f"Mixed down to mono: {len(mixed_down)} file(s) with several channels ({names}).")


def _missing(tasks, made_with, out, overwrite):
    """Return tasks without an up-to-date shard; refuse what does not belong in `out`, or with `overwrite` remove it."""
    for partial in out.glob("*.npz.partial"):  # a killed run's
        partial.unlink()
    wanted = {task.path: task for task in tasks}
    missing, strangers = dict(wanted), []
    for path in console.progress(sorted(out.glob("*.npz")), unit=" shards", desc=f"checking {out}"):
        task = wanted.get(path)
        try:
            found = dataset.open_shard(path).params
        except BadInput as problem:
            if task is None:
                raise BadInput(f"{path} is not a shard of this project; move it away or choose another --out.") \
                    from problem
            notice(f"Making again: {problem}")
            continue
        if differ := differences(found, made_with):
            strangers.append((path, f"it was made with {differ}"))
        elif task is None:
            strangers.append((path, "its audio is no longer in the folders"))
        elif differences(found, task.digests()):
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


def _make_shards(tasks, mixer, audio, made_with, jobs, title):
    """Make shards, `jobs` at a time.

    In threads, because NumPy and SciPy let go of the interpreter while they compute: no start-up and one copy of the
    audio. Not joblib's, which leave running work behind on Ctrl-C: here every thread drops its shard first.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        made = [pool.submit(_make_shard, task, mixer, audio, made_with, stop) for task in tasks]
        try:
            for future in console.progress(as_completed(made), total=len(made), unit="shard", desc=title):
                future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _make_shard(task, mixer, audio, made_with, stop):
    """Mix, transform and write one shard; `stop` is an event that ends it early, without a file."""
    each = {name: [] for name in dataset.BY_SAMPLE}

    def pieces():
        for cues, of_samples in task.pieces(mixer, audio):
            if stop.is_set():
                raise InterruptedError
            yield cues
            for name, values in of_samples.items():
                each[name].append(values)

    def arrays():
        speech, noise = task.names
        return {name: np.concatenate(values) for name, values in each.items()} | {
            "speech": speech, "noise": noise, "params": json.dumps(made_with | task.digests(), sort_keys=True)}

    dataset.write_shard(task.path, task.count(mixer.params), pieces(), arrays, mixer.params)


def _mixture(task, number, mixer, audio):
    """Speech, noise and SNRs of a shard's mixture `number`; all its draws follow from seed, file names and number."""
    rng = np.random.default_rng([mixer.params.seed, number, *dataset.seed_of(*task.names)])
    speech = mixer.speech(rng, audio.speech(task.speech), number, mixer.params.excerpts)
    noise = mixer.noise(rng, speech.place, audio.noise(task.noise),
                        lambda rng: audio.speech(task.talkers[rng.integers(len(task.talkers))]))
    return speech, noise, mixer.snrs_db(rng, noise)


def _write_listening_examples(task, mixer, audio, folder):
    """Write the first mixture at its highest SNR from every azimuth, with one gain that brings the loudest to 0.9."""
    speech, noise, snrs_db = _mixture(task, 0, mixer, audio)
    ears = mixer.ears(speech, noise, max(snrs_db))
    ears *= 0.9 / np.abs(ears).max()
    for azimuth_deg, pair in zip(mixer.params.azimuth_deg, ears):
        dataset.write_wav(folder / f"azimuth_{azimuth_deg:+03g}_deg.wav", pair, mixer.params.sample_rate_hz)
    print(f"{folder}: {len(ears)} wavs of {task.speech.name} in {task.noise.name} at "
          f"{max(snrs_db):g} dB, for headphones.")
