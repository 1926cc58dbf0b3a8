"""The run of SpatialiseTRAIN.py and SpatialiseTEST.py: plans the shards, makes those that are missing, reports.

shards/recipe.py holds the recipe of a sample, shards/flags.py the flags.
"""
import json
import os
import shutil
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

import console
import hrir
from console import BadInput, warn
from params import SINCE_0_4, TALKERS, differences
from shards import flags, recordings
from shards.audio import AudioCache, audio_paths, find_audio, write_wav
from shards.files import BY_SAMPLE, OF_TALKERS, open_folder, shard_name, write_shard
from shards.folder import only_run
from shards.recipe import PairPlan, has_competing_talkers, samples_of_pair, talkers_beside
from shards.threads import in_threads
from sound import mixing

HEADS_TOLD = 5  # of many, described in lines of their own
OPTIONAL = (*SINCE_0_4, *TALKERS)  # numbers that shards hold where they are set


def main(doc, split, argv=None, audio_cache=AudioCache):
    """Make every shard of a split ("TRAIN" or "TEST") that is missing, and print what was done.

    `audio_cache` is the class that reads the files and lists where their excerpts may begin.
    """
    params, args = flags.parse_args(doc, split, argv)
    if args.dask:
        _name_in_full(args)
    out = Path(args.out)
    if args.recordings:
        labelled, noise, bad = find_labelled(args, params)
        plans = [recordings.RecordingPlan(recording, each, out / shard_name(recording.name, each.name if each else ""))
                 for recording in labelled for each in noise or [None]]
        source = f"{len(labelled)} recordings" + (f" x {len(noise)} noise files" if noise else "")
        heads, params = load_heads(params) if noise else ([], params)
    else:
        speech, noise, bad = find_speech_and_noise(args, params)
        if len(speech) == 1 and args.excerpts is None and split == "TRAIN":
            params = replace(params, excerpts=params.excerpts_of_lone_speech)
            warn(f"Only one speech file: {params.excerpts} excerpts of it for each noise, "
                   "so that training can keep some for validation.")
        require_competing_talkers(speech, params)
        beside = talkers_beside(speech, params)
        plans = [PairPlan(s, n, talkers, out / shard_name(s.name, n.name))
                 for s in speech for talkers in [beside(s)] for n in noise]
        source = f"{len(speech)} speech x {len(noise)} noise files"
        heads, params = load_heads(params)

    made_with = scenes_with(heads, params)
    with only_run(out):
        missing = _missing(plans, made_with, out, args.overwrite)
        size = int(np.prod(params.sample_shape)) * np.float16().nbytes
        mixer, audio = mixing.Mixer(params, heads), audio_cache(params)
        _require_disk_space(out, sum(plan.count(mixer) for plan in missing) * size)
        if missing:
            title = f"Spatialise{split}"
            if args.dask:
                _make_shards_on(args, missing, mixer, audio_cache, made_with, title)
            else:
                _make_shards(missing, mixer, audio, made_with, args.jobs, title)
            open_folder(out)  # for the index
    if args.listen:
        with only_run(args.listen) as folder:
            _write_listening_examples(plans[0], mixer, audio, folder)

    skipped = f"; skipped {bad} bad file(s), named above" if bad else ""
    done = (f"made {len(missing)} shards" if missing else "nothing to do, every shard was already made")
    samples = sum(plan.count(mixer) for plan in plans)
    print(f"{out}: {done}; {len(plans)} shards ({source}), {samples} samples{skipped}.")


def find_labelled(args, params):
    """Check labelled recordings and the noise to add to them: recordings, noise as Audio, the count of bad files."""
    labelled = recordings.read_labels(args.recordings, params)
    if args.noise is None:
        return labelled, [], 0
    noise, bad = find_audio(args.noise, "--noise", 1, params)
    _tell_about_audio(noise, bad)
    return labelled, noise, len(bad)


def find_speech_and_noise(args, params):
    """Check both folders and print what is skipped or mixed down: speech, noise as Audio, the count of bad files."""
    speech, bad_speech = find_audio(args.speech, "--speech", params.excerpt_length, params)
    noise, bad_noise = find_audio(args.noise, "--noise", 1, params)
    _tell_about_audio(speech + noise, bad_speech + bad_noise)
    return speech, noise, len(bad_speech + bad_noise)


def _tell_about_audio(files, problems):
    for problem in problems:
        warn(f"Skipped: {problem}")
    mixed_down = [audio for audio in files if audio.channels > 1]
    if mixed_down:
        names = ", ".join(str(a.path) for a in mixed_down[:3]) + (", ..." if len(mixed_down) > 3 else "")
        warn(f"Mixed down to mono: {len(mixed_down)} file(s) with several channels ({names}).")


def load_heads(params):
    """Load the sets of Params and print their descriptions.

    Returns a list of hrir.Hrirs at those of mixing.directions_deg that each has, and Params with those directions of
    noise that any has. Raises BadInput for a set that cannot be used or lacks the front, which the SNR refers to, and
    for an azimuth that no set has.
    """
    sources = list(dict.fromkeys((path, of) for of in params.hrir_set for path in hrir.sources_of(of)))
    sets = [hrir.read(path, params.left_right, params.receivers) for path, _ in sources]
    names = [measured.name for measured in sets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"--hrir {' '.join(params.hrir_set)} holds two sets of one name ({twice[0]}); rename one of the "
                       "files.")
    circle = tuple(azimuth for azimuth in params.circle_deg if any(hrir.can_give(m, azimuth) for m in sets))
    if circle and circle != params.circle_deg:
        warn(f"Noise comes from {len(circle)} of {len(params.circle_deg)} directions, {circle[0]:g} to "
               f"{circle[-1]:g} degrees: --hrir has no others.")
        params = replace(params, circle_deg=circle)
    of_each = [of for _, of in sources]
    shares = ([1.0] * len(sets) if not params.hrir_weights else
              [dict(zip(params.hrir_set, params.hrir_weights))[of] / of_each.count(of) for of in of_each])
    offered = mixing.directions_of(sets, params)
    most = max(map(len, offered))
    incomplete = [measured.name for measured, directions in zip(sets, offered) if len(directions) < most]
    if incomplete:
        warn(f"{len(incomplete)} of {len(sets)} sets lack directions ({', '.join(incomplete[:3])}"
             f"{', ...' if len(incomplete) > 3 else ''}); their mixtures use the directions that they have.")
    heads = [hrir.at_azimuths(measured, params.sample_rate_hz, directions_deg,
                              params.hrir_padding_samples)._replace(share=share, of=of)
             for measured, directions_deg, share, of in zip(sets, offered, shares, of_each)]
    for head in heads[:HEADS_TOLD]:
        print(head.description)
    if len(heads) > HEADS_TOLD:
        print(f"... and {len(heads) - HEADS_TOLD} more heads.")
    return heads, params


def scenes_with(heads, params):
    """Collect every number that a sample is made with, and the sets: names and digests in place of their paths."""
    return params.scenes | {"hrir_set": [head.name for head in heads], "hrir_sha256": [head.sha256 for head in heads],
                            "hrir_found": [head.description for head in heads]} | (
        {"hrir_weights": [head.share for head in heads]} if params.hrir_weights else {})


def require_competing_talkers(speech, params):
    """Raise BadInput when Params asks for a second talker and the speech files hold one alone."""
    if len({audio.sha256 for audio in speech}) >= 2:
        return
    if params.most_talkers > 1:
        raise BadInput("--talkers of 2 or more needs speech of two talkers and --speech holds one file; add another or "
                       "choose --talkers 1.")
    if has_competing_talkers(params):
        raise BadInput("--noise-field talker or mixed needs speech of two talkers and --speech holds one file; add "
                       "another or choose other noise fields.")


def _missing(plans, made_with, out, overwrite):
    """Return plans without an up-to-date shard; refuse what does not belong in `out`, or with `overwrite` remove it."""
    wanted = {plan.path: plan for plan in plans}
    missing, strangers = dict(wanted), []
    for path, shard in open_folder(out).items():
        plan = wanted.get(path)
        if isinstance(shard, BadInput):
            if plan is None:
                raise BadInput(f"{path} is not a shard of this project; move it away or choose another --out.") \
                    from shard
            warn(f"Making again: {shard}")
        elif differ := differences(shard.params, dict.fromkeys(OPTIONAL) | made_with):
            strangers.append((path, f"it was made with {differ}"))
        elif plan is None:
            strangers.append((path, "its audio is no longer in the folders"))
        elif differences(shard.params, plan.digests()):
            warn(f"Making again: {path.name}, because its speech or noise file was replaced.")
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


def _require_disk_space(out, size):
    free = shutil.disk_usage(out).free
    if size > free:
        raise BadInput(f"{out} needs {_as_text(size)} and its disk has {_as_text(free)} left; free some space, "
                       "take fewer --excerpts or --snr-db, or choose another --out.")


def _as_text(size):
    """Write a number of bytes in the unit that shows it: GB, MB or kB."""
    unit, name = next(((unit, name) for unit, name in ((1e9, "GB"), (1e6, "MB")) if size >= unit), (1e3, "kB"))
    return f"{size / unit:.1f} {name}"


def _name_in_full(args):
    """Make the paths of folders absolute: workers on other machines have other working folders."""
    for name in ("out", "speech", "noise", "recordings"):
        if getattr(args, name):
            setattr(args, name, os.path.abspath(getattr(args, name)))


def _make_shards_on(args, plans, mixer, audio_cache, made_with, title):
    """Make shards on the cluster of --dask."""
    from shards import cluster  # here, not above: Dask is imported where it is asked for alone

    sources = [audio_paths(folder)[0] for folder in (args.recordings or args.speech, args.noise) if folder]
    job = cluster.Job(_make_shard, plans, mixer.params, mixer.heads, audio_cache, made_with)
    cluster.make_shards(args.dask, job, sources, title)


def _make_shards(plans, mixer, audio, made_with, jobs, title):
    """Make shards, `jobs` at a time.

    In threads, because NumPy and SciPy let go of the interpreter while they compute: no start-up and one copy of the
    audio. On Ctrl-C every thread drops its shard first.
    """
    stop = threading.Event()

    def make(plan):
        _make_shard(plan, mixer, audio, made_with, stop)

    with closing(in_threads(make, plans, jobs, stop)) as made:
        for _ in console.progress(made, total=len(plans), unit=" shards", desc=title):
            pass


def _make_shard(plan, mixer, audio, made_with, stop):
    """Mix, transform and write one shard; `stop` is an event that ends it early, without a file."""
    each = {name: [] for name in (*BY_SAMPLE, *(OF_TALKERS if mixer.params.has_talkers else ()))}

    def pieces():
        for cues, of_samples in plan.samples(mixer, audio):
            if stop.is_set():
                raise InterruptedError
            yield cues
            for name, values in of_samples.items():
                each[name].append(values)

    def arrays():
        speech, noise = plan.names
        return {name: np.concatenate(values) for name, values in each.items()} | {
            "speech": speech, "noise": noise, "params": json.dumps(made_with | plan.digests(), sort_keys=True)}

    write_shard(plan.path, plan.count(mixer), pieces(), arrays, mixer.params)


def _write_listening_examples(pair, mixer, audio, folder):
    """Write the first mixture at its highest SNR from every azimuth, with one gain that brings the loudest to 0.9."""
    mixture = max(samples_of_pair(pair, mixer, audio, [0]), key=lambda mixture: mixture.snr_db)
    ears = mixer.ears(mixture.speech, mixture.noise, mixture.gain)
    ears *= 0.9 / np.abs(ears).max()
    names = _names_of_examples(mixture.speech)
    for name, pair_of_ears in zip(names, ears):
        write_wav(folder / name, pair_of_ears, mixer.params.sample_rate_hz)
    print(f"{folder}: {len(set(names))} wavs of {pair.speech.name} in {pair.noise.name} at {mixture.snr_db:g} dB, for "
          "headphones.")


def _names_of_examples(speech):
    """Name the wav of each row by the azimuths of its talkers, loudest first; all that have none sound alike."""
    every = speech.azimuth_deg[:, np.newaxis] if speech.talkers is None else speech.talkers.azimuth_deg
    azimuths = ["_".join(f"{azimuth_deg:+03g}" for azimuth_deg in row[np.isfinite(row)]) for row in every]
    return [f"azimuth_{each}_deg.wav" if each else "noise_alone.wav" for each in azimuths]
