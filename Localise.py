"""Says from where the sound in a binaural recording comes, over time: azimuth, how sure, level; and draws it.

    python Localise.py talk.wav                          # -> localised/talk.csv, talk.png
    python Localise.py recordings/ --format json         # every audio file of a folder
    python Localise.py meeting.wav --channels 3 4        # of several channels the left and the right ear
    python Localise.py talk.wav --head MINE.sofa         # compared with your own head, as measured
    python Localise.py --live                            # a two-channel input as a moving bar; needs sounddevice

A row is about the second around its time. It has no azimuth where there is no source: in silence, and in noise from all
around. Negative is left. Rows that contradict their neighbours follow them (carried: 1).
"""
import csv
import json
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from glob import glob
from pathlib import Path

import numpy as np
import soxr

import console
from console import BadInput
from network.balance import Balance
from network.likelihood import template_cues
from network.tracking import PRETRAINED, Tracker, hop_frames_of
from params import Params
from scores import plots
from shards.audio import CutShort, audio_paths, ear_blocks

FORMATS = ("csv", "json", "textgrid")
RESULTS = {".png", *(f".{each}" for each in FORMATS)}  # endings of what is written
OVERVIEW = "all_recordings"  # the table over several recordings
COLUMNS = ("time_s", "azimuth_deg", "spread_deg", "level_db", "carried")
LONGEST_TOLD = 3        # intervals in the line of a recording that was heard in several places
LIVE_BLOCK_S = 0.1


def parse_args(argv=None):
    """Flags of this script: (Params, the other arguments)."""
    default = Params()
    parser = console.Parser(__doc__)
    parser.add_argument("recordings", metavar="RECORDING", nargs="*", type=Path, help="two-channel files, or folders")
    parser.add_argument("--model", metavar="FILE", type=Path, default=PRETRAINED,
                        help="(default: the one that ships)")
    parser.add_argument("--head", metavar="SOFA",
                        help="your own head as measured, which the network compares with in place of KEMAR")
    parser.add_argument("--hop-s", metavar="S", type=float, default=default.hop_s,
                        help="from answer to answer, in steps of 0.02 s (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default="localised", help="(default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="(default: %(default)s)")
    parser.add_argument("--swap-ears", action="store_true", help="the first channel is the right ear")
    parser.add_argument("--channels", metavar=("LEFT", "RIGHT"), nargs=2, type=int,
                        help="which channels are the ears, counted from 1 (default: 1 2)")
    parser.add_argument("--balance", choices=("auto", "off"), default="auto",
                        help="correct the levels of unequal microphones, told from what comes from all around "
                             "(default: %(default)s)")
    parser.add_argument("--no-smoothing", action="store_true", help="each row by itself, whatever its neighbours say")
    parser.add_argument("--live", action="store_true", help="listen to a two-channel input instead of files")
    parser.add_argument("--device", metavar="NAME",
                        help="the input of --live, by its name or number (default: the system's)")
    args = parser.parse_args(argv)
    if bool(args.recordings) == args.live:
        raise BadInput("Localise.py takes recordings or --live, and not both; name a file or a folder.")
    return replace(default, hop_s=args.hop_s, channels=tuple(args.channels or ())), args


def main(argv=None):
    """Localise every recording, or listen."""
    params, args = parse_args(argv)
    recordings = find_recordings(args.recordings)

    from network.model import Network  # here, not above: a wrong flag should not wait for TensorFlow

    network = Network.load(args.model)
    if args.head:
        network.compare_with(template_cues(params, args.head))

    def tracker():
        balance = Balance(params) if args.balance == "auto" else None
        return Tracker(network.hear, params, hop_frames_of(params), balance, not args.no_smoothing, args.live)

    if args.live:
        live(microphone_blocks(params, args.device), tracker(), args.swap_ears)
        return
    out, done, problems = console.folder_for_output(args.out), [], []
    shown = {path: path.relative_to(folder) for folder, path in recordings}
    for path, name in output_names(recordings).items():
        try:
            tracked = localise(path, tracker(), args)
            console.folder_for_output((out / name).parent)
            write(tracked, path, out / name, args)
            done.append(summary(name, tracked))
            print(f"{shown[path]}: {done[-1]['summary']}")
        except BadInput as problem:
            if len(recordings) == 1:
                raise
            console.warn(f"Skipped: {problem}")
            problems.append(problem)
    if not done:
        raise BadInput(f"none of the {len(recordings)} recordings could be used; the reasons are above.")
    if len(recordings) > 1:
        write_overview(done, out / f"{OVERVIEW}.json")
    print(f"{out}: {len(done)} recording(s), one .{args.format} and one .png each"
          + (f"; {OVERVIEW}.json over all" if len(recordings) > 1 else "")
          + (f"; skipped {len(problems)}, named above." if problems else "."))


def find_recordings(named):
    """List the recordings as (folder, path): files as named, and those of folders in order; BadInput for others."""
    recordings = []
    for path in _expanded(named):
        if path.is_dir():
            found = audio_paths(path)
            if not found:
                raise BadInput(f"{path} holds no audio file; name a folder of two-channel recordings.")
            recordings += [(path, each) for each in found]
            links = sorted({part.name for each in found for part in each.relative_to(path).parents
                            if (path / part).is_symlink()})
            if links:
                console.warn(f"{path}: followed links to folders: {', '.join(links)}.")
        elif path.is_file():
            recordings.append((path.parent, path))
        elif path.exists():
            raise BadInput(f"{path} is a pipe or a device, not a file; save the recording to a file first.")
        else:
            raise BadInput(f"{path} does not exist; name a two-channel recording or a folder of them.")
    once = {path.resolve(): (folder, path) for folder, path in reversed(recordings)}  # each under its first name
    return list(reversed(once.values()))


def _expanded(named):
    """Expand patterns such as *.wav, which not every shell does."""
    for path in named:
        found = [] if path.exists() else sorted(map(Path, glob(str(path))))
        yield from found or [path]


def output_names(recordings):
    """Name the results of each recording: dict of path to a name without an ending, with / for subfolders.

    The name is that within its folder; where two are alike but for their endings, the ending stays, and where folders
    hold the same names, the folder's name comes first. No two differ in case alone, and no file has a subfolder's name.
    """
    names = {path: path.relative_to(folder).with_suffix("").as_posix() for folder, path in recordings}
    longer = (lambda folder, path: path.relative_to(folder).as_posix(),
              lambda folder, path: (Path(folder.resolve().name) / path.relative_to(folder)).as_posix(),
              lambda folder, path: path.resolve().as_posix().strip("/").replace(":", ""))
    for make in longer:
        count = Counter(name.casefold() for name in names.values())
        count[OVERVIEW] += 1
        count.update(parent.with_suffix("").as_posix().casefold() for parent in
                     {parent for name in names.values() for parent in Path(name).parents}
                     if parent.suffix.casefold() in RESULTS)
        names |= {path: make(folder, path) for folder, path in recordings if count[names[path].casefold()] > 1}
    return names


def localise(path, tracker, args):
    """Track a whole recording; BadInput for one that is not binaural."""
    params = tracker.params
    if tracker.balance:  # which the first row needs, and the last second may tell
        with suppress(CutShort):
            for block in ear_blocks(path, params, args.channels, tells_clipping=False):
                tracker.balance.add(block[:, ::-1] if args.swap_ears else block)
    with console.progress(unit=" s", desc=path.name) as bar:
        try:
            for block in ear_blocks(path, params, args.channels):
                tracker.push(block[:, ::-1] if args.swap_ears else block)
                bar.update(round(len(block) / params.sample_rate_hz, 2))
        except CutShort as problem:
            if tracker.seconds < params.sample_s:
                raise
            console.warn(f"{problem} What there is was localised.")
    tracker.check(path)
    return tracker


def rows_of(track):
    """Yield rows as written, rounded to what is meaningful: see COLUMNS; no source is None."""
    for time_s, azimuth_deg, half_width_deg, level_db, is_carried in zip(*track):
        is_source = np.isfinite(azimuth_deg)
        yield {"time_s": round(float(time_s), 3), "azimuth_deg": round(float(azimuth_deg), 1) if is_source else None,
               "spread_deg": round(float(half_width_deg), 1) if np.isfinite(half_width_deg) else None,
               "level_db": round(float(level_db), 1), "carried": int(is_carried)}


def write(tracker, path, stem, args):
    """Write the track and its picture, each whole; `stem` is the path without an ending."""
    track = tracker.track()
    with console.atomic_write(stem.with_name(f"{stem.name}.{args.format}")) as partial, \
            open(partial, "w", newline="", encoding="utf-8") as file:
        if args.format == "csv":
            rows = csv.DictWriter(file, COLUMNS)
            rows.writeheader()
            rows.writerows(rows_of(track))
        elif args.format == "json":
            azimuth_deg, half_width_deg = (None if np.isnan(each) else round(each, 1) for each in track.overall())
            json.dump({"recording": path.name, "model": str(args.model), "hop_s": args.hop_s,
                       "head": args.head, "balance": args.balance, "smoothing": not args.no_smoothing,
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


def in_words(tracker):
    """Describe a recording in one line: where a source was heard, and when, if it was heard in several places."""
    track = tracker.track()
    share = f"heard in {100 * track.has_source.mean():.0f} % of {tracker.seconds:.1f} s"
    if not track.has_source.any():
        return f"no source in {tracker.seconds:.1f} s."
    azimuth_deg, half_width_deg = track.overall()
    intervals = track.intervals()
    if len(intervals) == 1:
        return f"{side_of(azimuth_deg)} (spread {half_width_deg:.0f}), {share}."
    if track.moves():
        first, last = intervals[0], intervals[-1]
        return f"moves from {side_of(first.azimuth_deg)} to {side_of(last.azimuth_deg)}, {share}."
    longest = sorted(sorted(intervals, key=lambda each: each.start_s - each.end_s)[:LONGEST_TOLD])
    told = "; ".join(f"{side_of(each.azimuth_deg)} from {each.start_s:.1f} to {each.end_s:.1f} s" for each in longest)
    return f"several places, {told}{' and others' if len(intervals) > LONGEST_TOLD else ''}; {share}."


def summary(name, tracker):
    """Sum up a recording for the table over several: dict of its name, duration, azimuth, half-width and one line."""
    track = tracker.track()
    azimuth_deg, half_width_deg = (None if np.isnan(each) else round(each, 1) for each in track.overall())
    return {"recording": name, "seconds": round(tracker.seconds, 3), "azimuth_deg": azimuth_deg,
            "spread_deg": half_width_deg, "source_percent": round(100 * float(track.has_source.mean()), 1),
            "summary": in_words(tracker)}


def write_overview(rows, path):
    """Write the table over several recordings, one row each, as json: `*.csv` finds the tracks alone."""
    with console.atomic_write(path) as partial:
        partial.write_text(json.dumps(rows, indent=1), encoding="utf-8")


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


def microphone_blocks(params, device=None):
    """Yield blocks (n, 2) at params.sample_rate_hz of a two-channel input; BadInput where there is none.

    An input that does not know this rate is opened at its own and resampled.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as problem:  # OSError: the package is there, the PortAudio library is not
        raise BadInput(f"--live needs the package sounddevice ({problem}); install it with pip install -r "
                       "requirements-live.txt.") from problem
    device = int(device) if device is not None and device.isdigit() else device
    rate_hz, to_rate = params.sample_rate_hz, None
    try:
        try:
            sounddevice.check_input_settings(device=device, channels=2, dtype="float32", samplerate=rate_hz)
        except sounddevice.PortAudioError:
            rate_hz = sounddevice.query_devices(device, "input")["default_samplerate"]
            to_rate = soxr.ResampleStream(rate_hz, params.sample_rate_hz, 2, dtype="float32")
        with sounddevice.InputStream(samplerate=rate_hz, device=device, channels=2, dtype="float32") as stream:
            while True:
                block = stream.read(round(LIVE_BLOCK_S * rate_hz))[0]
                yield to_rate.resample_chunk(block) if to_rate else block
    except (sounddevice.PortAudioError, ValueError) as problem:
        raise BadInput(f"--live finds no two-channel input ({problem}); connect one, choose one with --device, or "
                       "localise a recording.") from problem


if __name__ == "__main__":
    sys.exit(console.run(main))
