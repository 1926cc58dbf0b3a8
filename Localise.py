"""Finds where the sound of a binaural recording comes from, over time: azimuth, uncertainty, level and a picture.

    python Localise.py talk.wav                          # -> localised/talk.csv, talk.png
    python Localise.py talk.wav --html                   # and talk.html: it plays, and shows where each source is
    python Localise.py talk.wav --video                  # and talk.mp4: head, spectrogram and sound; needs PyAV
    python Localise.py talk.wav --video-over film.mp4    # the head in a corner of another video
    python Localise.py recordings/ --format csv json     # every audio file of a folder, in several formats
    python Localise.py meeting.wav --channels 3 4        # channels 3 and 4 are the left and the right ear
    python Localise.py talk.wav --head MINE.sofa         # with your own measured HRTF in place of KEMAR's
    python Localise.py meeting.wav --sources 2           # up to two talkers at a time, each with a fixed number
    python Localise.py --live                            # a two-channel input as a moving bar; needs sounddevice
    python Localise.py --live --device USB --json        # a card by its name; a line of JSON for each answer
    python Localise.py --serve                           # a page in your browser to drop a file on, or to record

A row describes the second around its time. It has no azimuth where there is no source: in silence, and in noise from
all around. Negative is left. A row that contradicts its neighbours takes their azimuth (carried: 1).
"""
import console

if __name__ == "__main__":
    console.end_at_ctrl_c()  # while what follows is imported

import json
import sys
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from console import BadInput, CannotWrite
from network.balance import Balance
from network.likelihood import template_cues
from network.live import LiveTracker, live_answers, live_params
from network.opening import open_network, shipped_model
from network.sources import MOST_SOURCES
from network.tracking import Tracker, hop_frames_of
from params import Params
from scores import frames, page, plots
from scores.exports import FORMATS, Localised
from scores.live import Bar, JsonLines, Latencies, Osc
from scores.server import ANY_PORT, port_of, serve
from scores.summary import summary
from shards import video
from shards.audio import CutShort, ear_blocks
from shards.devices import table_of_devices
from shards.folder import only_run
from shards.listening import BESIDE_PAGE, listening_copy
from shards.live_flags import add_live_flags, check_live_flags
from shards.microphone import Microphone
from shards.own_files import OVERVIEW, check_targets
from shards.recorder import Recorder
from shards.recording_files import find_recordings, output_names


def parse_args(argv=None):
    """Flags of this script: (Params, the other arguments)."""
    default = Params()
    parser = console.Parser(__doc__)
    parser.add_argument("recordings", metavar="RECORDING", nargs="*", type=Path, help="two-channel files, or folders")
    parser.add_argument("--model", metavar="FILE", type=Path,
                        help="a .onnx or a .keras file (default: the one that ships)")
    parser.add_argument("--head", metavar="SOFA",
                        help="a SOFA file of your own head, measured; the network uses it in place of KEMAR")
    parser.add_argument("--hop-s", metavar="S", type=float,
                        help=f"time between answers, a multiple of 0.02 s (default: {default.hop_s:g}, with --live "
                             f"{default.live_hop_s:g})")
    parser.add_argument("--sources", metavar="N", type=int, choices=range(1, MOST_SOURCES + 1), default=1,
                        help=f"most sources at a time, 1 to {MOST_SOURCES}; each has a fixed number (default: 1)")
    parser.add_argument("--out", metavar="DIR", default="localised", help="(default: %(default)s)")
    parser.add_argument("--format", metavar="FORMAT", nargs="+", default=["csv"],
                        help=f"one or several of {', '.join(FORMATS)} (default: csv)")
    parser.add_argument("--html", action="store_true",
                        help="also a page that plays the recording and shows where each source is")
    video.add_flags(parser)
    parser.add_argument("--swap-ears", action="store_true", help="the first channel is the right ear")
    parser.add_argument("--channels", metavar=("LEFT", "RIGHT"), nargs=2, type=int,
                        help="which channels are the ears, counted from 1 (default: 1 2)")
    parser.add_argument("--balance", choices=("auto", "off"), default="auto",
                        help="correct the level difference of the microphones, measured in background noise "
                             "(default: %(default)s)")
    parser.add_argument("--no-smoothing", action="store_true", help="leave each row as it is, whatever its neighbours")
    add_live_flags(parser, default)
    parser.add_argument("--serve", metavar="PORT", nargs="?", const=ANY_PORT,
                        help="a page for browsers on this computer, to drop a file on or to record two channels "
                             "(default: any free port)")
    args = parser.parse_args(argv)
    named = [each for each in args.format if each not in FORMATS and Path(each).exists()]  # --format json talk.wav
    args.format = [each for each in dict.fromkeys(args.format) if each not in named]
    args.recordings += map(Path, named)
    if not args.format or not set(args.format) <= FORMATS.keys():
        raise BadInput(f"--format {' '.join(args.format)} is not possible; choose from {', '.join(FORMATS)}.")
    if args.serve is not None:
        args.serve = port_of(args.serve, args.recordings)
    if bool(args.recordings) + args.live + args.list_devices + (args.serve is not None) != 1:
        raise BadInput("Localise.py takes one of recordings, --live, --list-devices and --serve; name a file or a "
                       "folder.")
    check_live_flags(parser, args)
    writes = args.html or args.video or args.video_over or [args.format, args.out] != [["csv"], "localised"]
    if args.serve is not None and writes:
        raise BadInput("--serve writes no files; leave out --out, --format, --html and --video, and save what you want "
                       "to keep from the browser.")
    args.encoders = video.encoders_asked_for(args)
    if args.hop_s is None:
        args.hop_s = default.live_hop_s if args.live else default.hop_s
    args.model = args.model or shipped_model()
    window_s = default.live_window_s if args.window_s is None else args.window_s
    return replace(default, hop_s=args.hop_s, live_window_s=window_s, channels=tuple(args.channels or ())), args


def main(argv=None):
    """Localise every recording, or listen."""
    params, args = parse_args(argv)
    if args.list_devices:
        print(table_of_devices())
        return
    recordings = find_recordings(args.recordings)
    network = open_network(args.model, template_cues(params, args.head) if args.head else None)

    def tracker():
        balance = Balance(params) if args.balance == "auto" else None
        return Tracker(network.hear_rows, params, hop_frames_of(params), balance, not args.no_smoothing)

    if args.live:
        live(params, args, network)
        return
    if args.serve is not None:
        serve(lambda path, watch: page_of(path, tracker(), args, watch), args.serve)
        return
    names = output_names(recordings)
    with only_run(args.out, {Path(args.out, name).parent for name in names.values()}) as out:
        localise_all(recordings, names, tracker, args, out)


def localise_all(recordings, names, tracker, args, out):
    """Localise one recording after another, each with a new `tracker()`, and write them under their names in `out`."""
    done, pages, problems = [], [], []
    shown = {path: path.relative_to(folder) for folder, path in recordings}
    if args.video_over:
        video.check(args.video_over, len(names))
    check_targets(names, out, endings_of(args), args.video_over)
    for path, name in names.items():
        try:
            localised, told = heard_in(path, name, tracker(), args)
            console.folder_for_output((out / name).parent)
            write(localised, out / name, args)
            if args.html:
                overview = ("← All recordings", f"{'../' * name.count('/')}{OVERVIEW}.html")
                write_page(localised, path, out / name, args, [overview] if len(recordings) > 1 else [])
                pages.append(page.row(localised, f"{name}.html"))
            if args.encoders:
                write_video(localised, path, video_of(out / name, args), args)
            done.append(told)
            print(f"{shown[path]}: {told['summary']}")
        except CannotWrite:
            raise
        except BadInput as problem:
            if len(recordings) == 1:
                raise
            console.warn(f"Skipped: {problem}")
            problems.append(problem)
    if not done:
        raise BadInput(f"none of the {len(recordings)} recordings could be used; the reasons are above.")
    if len(recordings) > 1:
        write_text(out / OVERVIEW, ".json", json.dumps(done, indent=1))
        if pages:
            write_text(out / OVERVIEW, ".html", page.index(pages))
    *endings, picture = endings_of(args)
    endings[-1] += f" ({args.encoders.in_words})" if args.encoders else ""
    print(f"{out}: {len(done)} recording(s), {', '.join(endings)} and {picture} of each"
          + (f"; {OVERVIEW}.json{' and .html' if pages else ''} over all" if len(recordings) > 1 else "")
          + (f"; skipped {len(problems)}, named above." if problems else "."))


def endings_of(args):
    """List the endings of what is written of each recording."""
    return [*(FORMATS[each][0] for each in args.format), *([".html"] if args.html else []),
            *([args.encoders.ending] if args.encoders else []), ".png"]


def watched(blocks, doing, sample_rate_hz):
    """Yield blocks as they come, and show what is being done and how many seconds it has come."""
    with console.progress(unit=" s", desc=doing) as bar:
        for block in blocks:
            yield block
            bar.update(round(len(block) / sample_rate_hz, 2))


def heard_in(path, name, tracker, args, watch=watched):
    """Localise a recording: (exports.Localised, its line of the table over several as of `summary`).

    BadInput for one that is not binaural. `watch` is as of `localise`.
    """
    with console.kept_warnings() as warnings:
        localise(path, tracker, args, watch)
    track, sources = tracker.track(), tracker.sources(args.sources) if args.sources > 1 else None
    silences = tracker.spectrogram.silences(track.level_db.max(), tracker.params)
    told = summary(name, tracker.seconds, track, sources, silences)
    made_with = {"model": str(args.model), "hop_s": args.hop_s, "head": args.head, "balance": args.balance,
                 "smoothing": not args.no_smoothing, "swap_ears": args.swap_ears, "channels": args.channels or [1, 2]} \
        | ({} if sources is None else {"most_sources": args.sources})
    return Localised(path.name, track, sources, tracker.seconds, tracker.spectrogram.power(),
                     tracker.params.sample_rate_hz, made_with, told["summary"],
                     [text.replace(str(path), "This recording") for text in warnings], silences), told


def localise(path, tracker, args, watch=watched):
    """Track a whole recording; BadInput for one that is not binaural.

    `watch` yields the blocks that it is given, with what is done and their sample rate, and tells of it: see `watched`.
    """
    params = tracker.params
    if tracker.balance:  # which the first row needs, and the last second may tell
        with suppress(CutShort):
            blocks = ear_blocks(path, params, args.channels, warns=False)
            for block in watch(blocks, f"reading {path.name}", params.sample_rate_hz):
                tracker.balance.add(block[:, ::-1] if args.swap_ears else block)
    try:
        blocks = ear_blocks(path, params, args.channels)
        for block in watch(blocks, f"localising {path.name}", params.sample_rate_hz):
            rows = tracker.push(block[:, ::-1] if args.swap_ears else block)
            if args.sources > 1 and len(rows.time_s):
                tracker.latest_presence()  # a model that has none is refused at once
    except CutShort as problem:
        if tracker.seconds < params.sample_s:
            raise
        console.warn(f"{problem} What there is was localised.")
    tracker.check(path)
    return tracker


def write(localised, stem, args):
    """Write what was heard in every format, and the picture; `stem` is the path without ending."""
    for ending, text_of in map(FORMATS.get, args.format):
        write_text(stem, ending, text_of(localised))
    drawn_over = (localised.spectrogram, localised.sample_rate_hz, localised.name, stem.with_name(f"{stem.name}.png"))
    if localised.sources is None:
        plots.track(localised.track, *drawn_over)
    else:
        plots.sources(localised.track.time_s, localised.sources, *drawn_over)


def write_text(stem, ending, text):
    """Write a file whole; `stem` is its path without the ending."""
    with console.atomic_write(stem.with_name(stem.name + ending)) as partial:
        partial.write_bytes(text.encode("utf-8", errors="replace"))  # a name may not be UTF-8


def write_page(localised, path, stem, args, links):
    """Write the page of a recording, and beside it the sound where it is long or large; `links` as of page.html."""
    copy = listening_copy(path, args.channels, args.swap_ears)
    sound = copy.read(page.MOST_INSIDE_BYTES) if localised.seconds <= page.LONGEST_INSIDE_S else None
    name = f"{stem.name}{BESIDE_PAGE}{copy.ending}"
    write_text(stem, ".html", page.html(localised, copy.media_type, name if sound is None else sound, links))
    if sound is None:  # after its page, by which own_files.py knows it
        with console.atomic_write(stem.with_name(name)) as partial:
            copy.write(partial)


def page_of(path, tracker, args, watch):
    """Localise a recording for --serve: a function that makes its page, of links as of page.html."""
    localised, _ = heard_in(path, path.stem, tracker, args, watch)
    copy = listening_copy(path, args.channels, args.swap_ears)
    sound = copy.read(page.MOST_INSIDE_BYTES)
    if sound is None:  # a page that is served has nothing beside it
        copy = copy.smaller()
        sound = copy.read()
    return lambda links=(): page.html(localised, copy.media_type, sound, links)


def video_of(stem, args):
    """Name the video of a recording; `stem` is its path without the ending."""
    return stem.with_name(stem.name + args.encoders.ending)


def write_video(localised, path, to, args):
    """Write the video of a recording with the sound of its ears, or the head over the picture of --video-over."""
    ears = listening_copy(path, args.channels, args.swap_ears).blocks(video.SOUND_RATE_HZ)
    with video.Film(args.video_over) if args.video_over else nullcontext() as film:
        if film:
            film.warn_of_length(localised.seconds)
        drawn = frames.Inset(localised, film) if film else frames.Frames(localised, *(args.video_size or video.SIZE))
        video.write(to, args.encoders, drawn.at, film.rate if film else video.RATE, localised.seconds, ears,
                    localised.name, page.made_in_words(localised.made_with))


# ----------------------------------------------------------------------------------------------------------------- live

def live(params, args, network):
    """Show what a sound card hears, until Ctrl-C, SIGTERM or the end of the terminal; then tell how it went."""
    params = live_params(params, args.swap_ears)
    balance = Balance(params) if args.balance == "auto" else None
    latencies, ended = Latencies(), None
    with console.ended_in_order(), Microphone(params, args.device) as microphone, ExitStack() as opened:
        name = microphone.device.full_name
        tracker = LiveTracker(network.hear_rows, params, hop_frames_of(params), balance, not args.no_smoothing,
                              args.sources, name)
        outputs = [JsonLines(sys.stdout) if args.json else Bar(sys.stdout, args.sources)]
        outputs += [Osc(args.osc)] if args.osc else []
        for output in outputs:
            opened.callback(output.close)
        recorder = opened.enter_context(Recorder(args.record, microphone.sample_rate_hz)) if args.record else None
        console.warn(f"{microphone.in_words}: {microphone.sample_rate_hz} Hz, driver latency "
                     f"{microphone.latency_s:.2f} s; one answer every {tracker.hop_s:g} s, each from "
                     f"{params.sample_s:g} s of sound. Ctrl-C ends.")
        blocks = recorder.keep(microphone.blocks()) if recorder else microphone.blocks()
        try:
            for answered in live_answers(blocks, microphone.sample_rate_hz, tracker):
                latencies.add(answered.latency_s)
                for output in outputs:
                    output.show(answered)
        except (KeyboardInterrupt, SystemExit) as end:
            ended = end
    console.warn(f"Heard {tracker.seconds:.1f} s: {latencies.count} answers, {latencies.quantile(0.5):.2f} s after the "
                 f"end of what each covers (median; 95 %: {latencies.quantile(0.95):.2f} s); {microphone.overruns} "
                 f"overrun(s), {microphone.lost_s:.2f} s lost; unplugged {microphone.unplugged} time(s)."
                 + (f" {args.record}: {recorder.seconds:.1f} s." if recorder else ""))
    if isinstance(ended, SystemExit):
        raise ended


if __name__ == "__main__":
    sys.exit(console.run(main))
