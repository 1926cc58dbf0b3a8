"""Says from where the sound in a binaural recording comes, over time: azimuth, how sure, level; and draws it.

    python Localise.py talk.wav                          # -> localised/talk.csv, talk.png
    python Localise.py recordings/ --format json         # every audio file of a folder
    python Localise.py meeting.wav --channels 3 4        # of several channels the left and the right ear
    python Localise.py --live                            # a two-channel input as a moving bar; needs sounddevice

A row is about the second around its time. It has no azimuth where there is no source: in silence, and where the network
is unsure, as in noise from all around. Negative is left.
"""
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import console
from console import BadInput
from network.tracking import PRETRAINED, Tracker, hop_frames_of
from params import Params
from scores import plots
from shards.audio import audio_paths, ear_blocks

FORMATS = ("csv", "json", "textgrid")
SHORT_S = 30.0          # a shorter file gets one line with its overall answer
LIVE_BLOCK_S = 0.1


def parse_args(argv=None):
    """Flags of this script: (Params, the other arguments)."""
    default = Params()
    parser = console.Parser(__doc__)
    parser.add_argument("recordings", metavar="RECORDING", nargs="*", type=Path, help="two-channel files, or folders")
    parser.add_argument("--model", metavar="FILE", type=Path, default=PRETRAINED,
                        help="(default: the one that ships)")
    parser.add_argument("--hop-s", metavar="S", type=float, default=default.hop_s,
                        help="from answer to answer, in steps of 0.02 s (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default="localised", help="(default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="(default: %(default)s)")
    parser.add_argument("--swap-ears", action="store_true", help="the first channel is the right ear")
    parser.add_argument("--channels", metavar=("LEFT", "RIGHT"), nargs=2, type=int,
                        help="which channels are the ears, counted from 1 (default: 1 2)")
    parser.add_argument("--live", action="store_true", help="listen to a two-channel input instead of files")
    args = parser.parse_args(argv)
    if bool(args.recordings) == args.live:
        raise BadInput("Localise.py takes recordings or --live, and not both; name a file or a folder.")
    if args.channels and (min(args.channels) < 1 or args.channels[0] == args.channels[1]):
        raise BadInput(f"--channels {args.channels[0]} {args.channels[1]} is not possible: it takes two different "
                       "numbers from 1 on.")
    return replace(default, hop_s=args.hop_s), args


def main(argv=None):
    """Localise every recording, or listen."""
    params, args = parse_args(argv)
    paths = find_recordings(args.recordings)

    from network.model import Network  # here, not above: a wrong flag should not wait for TensorFlow

    network = Network.load(args.model)
    hop_frames = hop_frames_of(params)
    if args.live:
        live(microphone_blocks(params), Tracker(network.answer, params, hop_frames), args.swap_ears)
        return
    out, problems = console.folder_for_output(args.out), []
    for path, name in zip(paths, output_names(paths)):
        try:
            tracker = localise(path, Tracker(network.answer, params, hop_frames), args)
            write(tracker, path, out / name, args)
            report(tracker, path)
        except BadInput as problem:
            if len(paths) == 1:
                raise
            console.warn(f"Skipped: {problem}")
            problems.append(problem)
    if len(problems) == len(paths):
        raise BadInput(f"none of the {len(paths)} recordings could be used; the reasons are above.")
    print(f"{out}: {len(paths) - len(problems)} recording(s), one .{args.format} and one .png each"
          + (f"; skipped {len(problems)}, named above." if problems else "."))


def find_recordings(named):
    """Files as named, and those of folders, in order; BadInput for what is neither."""
    paths = []
    for path in named:
        if path.is_dir():
            found = audio_paths(path)
            if not found:
                raise BadInput(f"{path} holds no audio file; name a folder of two-channel recordings.")
            paths += found
        elif path.is_file():
            paths.append(path)
        else:
            raise BadInput(f"{path} does not exist; name a two-channel recording or a folder of them.")
    return paths


def output_names(paths):
    """Name of the results of each path: its stem, with a number where another one has it already."""
    names = []
    for path in paths:
        same = sum(name == path.stem or name.startswith(f"{path.stem} (") for name in names)
        names.append(f"{path.stem} ({same + 1})" if same else path.stem)
    return names


def localise(path, tracker, args):
    """Track a whole recording; BadInput for one that is not binaural."""
    params = tracker.params
    with console.progress(unit=" s", desc=path.name) as bar:
        for block in ear_blocks(path, params, args.channels):
            tracker.push(block[:, ::-1] if args.swap_ears else block)
            bar.update(round(len(block) / params.sample_rate_hz, 2))
    tracker.check(path)
    return tracker


def rows_of(track):
    """Yield rows as written: time, azimuth and half-width (None: no source), level; rounded to what is meaningful."""
    for time_s, azimuth_deg, half_width_deg, level_db in zip(*track):
        is_source = np.isfinite(azimuth_deg)
        yield {"time_s": round(float(time_s), 3), "azimuth_deg": round(float(azimuth_deg), 1) if is_source else None,
               "spread_deg": round(float(half_width_deg), 1) if np.isfinite(half_width_deg) else None,
               "level_db": round(float(level_db), 1)}


def write(tracker, path, stem, args):
    """Write the track and its picture, each whole; `stem` is the path without an ending."""
    track = tracker.track()
    with console.atomic_write(stem.with_name(f"{stem.name}.{args.format}")) as partial, \
            open(partial, "w", newline="", encoding="utf-8") as file:
        if args.format == "csv":
            rows = csv.DictWriter(file, ("time_s", "azimuth_deg", "spread_deg", "level_db"))
            rows.writeheader()
            rows.writerows(rows_of(track))
        elif args.format == "json":
            azimuth_deg, half_width_deg = (None if np.isnan(each) else round(each, 1) for each in track.overall())
            json.dump({"recording": path.name, "model": str(args.model), "hop_s": args.hop_s,
                       "swap_ears": args.swap_ears, "channels": args.channels or [1, 2],
                       "seconds": round(tracker.seconds, 3), "azimuth_deg": azimuth_deg, "spread_deg": half_width_deg,
                       "rows": list(rows_of(track))}, file, indent=1)
        else:
            file.write(textgrid(track, tracker.seconds))
    plots.track(track, tracker.spectrogram.power(), tracker.params.sample_rate_hz, path.name,
                stem.with_name(f"{stem.name}.png"))


def textgrid(track, seconds):
    """A Praat TextGrid with one tier: intervals of one azimuth in whole degrees, empty where there is no source."""
    middles = (track.time_s[1:] + track.time_s[:-1]) / 2
    edges = [0.0, *middles.tolist(), seconds]
    texts = [str(round(azimuth_deg)) if np.isfinite(azimuth_deg) else "" for azimuth_deg in track.azimuth_deg]
    intervals = []
    for begin, end, text in zip(edges, edges[1:], texts):
        if intervals and intervals[-1][2] == text:
            intervals[-1][1] = end
        else:
            intervals.append([begin, end, text])
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.4f}",
             "tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"',
             '        name = "azimuth_deg"', "        xmin = 0", f"        xmax = {seconds:.4f}",
             f"        intervals: size = {len(intervals)}"]
    for number, (begin, end, text) in enumerate(intervals, 1):
        lines += [f"        intervals [{number}]:", f"            xmin = {begin:.4f}", f"            xmax = {end:.4f}",
                  f'            text = "{text}"']
    return "\n".join([*lines, ""])


def report(tracker, path):
    """Print one line with the overall answer of a short recording, and that a long one is done."""
    track = tracker.track()
    azimuth_deg, half_width_deg = track.overall()
    share = f"heard in {100 * track.has_source.mean():.0f} % of {tracker.seconds:.1f} s"
    if tracker.seconds >= SHORT_S:
        print(f"{path.name}: a source {share}.")
    elif np.isnan(azimuth_deg):
        print(f"{path.name}: no source in {tracker.seconds:.1f} s.")
    else:
        print(f"{path.name}: {side_of(azimuth_deg)} (spread {half_width_deg:.0f}), {share}.")


def side_of(azimuth_deg):
    """An azimuth in words: "32 degrees left"."""
    degrees = round(abs(azimuth_deg))
    return f"{degrees} degrees {'right' if azimuth_deg > 0 else 'left'}" if degrees else "in front, 0 degrees"


# ----------------------------------------------------------------------------------------------------------------- live

def live(blocks, tracker, swap_ears=False, file=None):
    """Show the azimuth of blocks (n, 2) as they come, as a bar in the terminal, until they end or Ctrl-C."""
    file = file or sys.stdout
    for block in blocks:
        track = tracker.push(block[:, ::-1] if swap_ears else block)
        if len(track.time_s):
            azimuth_deg = track.azimuth_deg[-1]
            half_width_deg = track.half_width_68_deg[-1]
            where = "no source" if np.isnan(azimuth_deg) else f"{side_of(azimuth_deg)} ± {half_width_deg:.0f}"
            file.write(f"\r{bar_of(azimuth_deg)} {track.level_db[-1]:4.0f} dB  {where:<30}")
            file.flush()
    file.write("\n")


def bar_of(azimuth_deg, width=61):
    """Left to right in characters with the azimuth marked: "left [....|..#.] right"."""
    cells = ["."] * width
    cells[width // 2] = "|"
    if np.isfinite(azimuth_deg):
        cells[round((azimuth_deg + 90) / 180 * (width - 1))] = "#"
    return f"left [{''.join(cells)}] right"


def microphone_blocks(params):
    """Blocks (n, 2) of the default two-channel input; BadInput where there is none."""
    try:
        import sounddevice
    except (ImportError, OSError) as problem:  # OSError: the package is there, the PortAudio library is not
        raise BadInput(f"--live needs the package sounddevice ({problem}); install it with pip install -r "
                       "requirements-live.txt.") from problem
    try:
        with sounddevice.InputStream(samplerate=params.sample_rate_hz, channels=2, dtype="float32") as stream:
            while True:
                yield stream.read(round(LIVE_BLOCK_S * params.sample_rate_hz))[0]
    except (sounddevice.PortAudioError, ValueError) as problem:
        raise BadInput(f"--live finds no two-channel input ({problem}); connect one, or localise a recording.") \
            from problem


if __name__ == "__main__":
    sys.exit(console.run(main))
