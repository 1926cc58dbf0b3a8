"""Videos in and out, through PyAV, an optional extra (requirements-formats.txt): frames with the sound of two ears.

    encoders = video.encoders()                              # of mp4, or else of webm; BadInput where there are none
    video.write("talk.mp4", encoders, frame_at, 25, 20.3, blocks, "talk.wav", "made with ...")
    with video.Film("film.mp4") as film:                     # the picture of a given video
        picture = film.at(1.5)                               # (height, width, 3) uint8
"""
import importlib
import math
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from console import BadInput, atomic_write, progress, warn

SOUND_RATE_HZ = 48_000           # that every encoder takes
SOUND_BITS_PER_S = 192_000
AHEAD_S = 1.0                    # of the picture is the sound, in what waits to be written
RATE, LEAST_RATE, GREATEST_RATE = 25, 10, 60  # frames a second; the latter two of a given video
LEAST_SIDE, GREATEST_SIDE = 320, 1920                # pixels of the longer side of a given video; others are scaled
SIZE = (1280, 720)               # of a video of ours
LEAST_SIZE, GREATEST_SIZE, GREATEST_RATIO = (320, 240), 3840, 4  # that can be read
LONGEST_UNTOLD_S = 0.5           # by which a given video may be longer or shorter than the recording
MADE_BY_US = "Made with "        # begins the comment of every video of ours
BT709, UNSPECIFIED, LIMITED_RANGE = 1, 2, 1  # numbers of FFmpeg for the colours of video: HD, not said, not all of 255
LEAST_HD_HEIGHT = 720            # from which on players take colours of which nothing is said for those of HD


class Encoders(NamedTuple):
    """Name a container's ending and options, its encoders of picture and sound, those of the picture, both in words."""

    ending: str
    options: dict
    picture: str
    sound: str
    picture_options: dict
    in_words: str


CHOICES = (
    Encoders(".mp4", {"movflags": "+faststart"}, "libx264", "aac", {"preset": "veryfast", "crf": "20"},
             "H.264 and AAC"),
    Encoders(".webm", {}, "libvpx-vp9", "libopus",
             {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "30", "b": "0"}, "VP9 and Opus"),
)
ENDINGS = tuple(each.ending for each in CHOICES)


def add_flags(parser):
    """Add the flags of a video to those of a script."""
    parser.add_argument("--video", action="store_true",
                        help="also a video of the head, the spectrogram and the sound; needs PyAV")
    parser.add_argument("--video-size", metavar=("WIDTH", "HEIGHT"), nargs=2, type=int,
                        help="size of --video in pixels, even numbers (default: {} {})".format(*SIZE))
    parser.add_argument("--video-over", metavar="FILM", type=Path,
                        help="a video of the head in a corner of this video's picture, with the recording's sound")


def encoders_asked_for(args):
    """Return the Encoders for a video, None where the flags ask for none; BadInput where they do not go together."""
    if not (args.video or args.video_over):
        if args.video_size:
            raise BadInput("--video-size does nothing without --video; give both.")
        return None
    if args.video and args.video_over:
        raise BadInput("--video-over makes the only video; leave out --video.")
    if args.live:
        raise BadInput("--video and --video-over do nothing with --live; leave them out.")
    if args.video_over and args.video_size:
        raise BadInput("--video-size does nothing with --video-over, which keeps the size of that video; leave it out.")
    if args.video_size:
        _check_size(*args.video_size)
    return encoders()


def _check_size(width, height):
    (least_width, least_height), most = LEAST_SIZE, GREATEST_SIZE
    if width % 2 or height % 2 or not (least_width <= width <= most and least_height <= height <= most
                                       and max(width, height) <= GREATEST_RATIO * min(width, height)):
        raise BadInput(f"--video-size {width} {height} is not possible: it takes even numbers from {least_width} x "
                       f"{least_height} to {most} x {most}, neither more than {GREATEST_RATIO} times the other.")


def check(film, count):
    """Check before any work that the film of --video-over can be read, and that it has one recording of `count`."""
    if count > 1:
        raise BadInput(f"--video-over takes one recording, and these are {count}; name one.")
    with Film(film):
        pass


def is_ours(path):
    """Tell whether a video was made by `write`; without PyAV nobody can."""
    try:
        av = importlib.import_module("av")
        with av.open(f"file:{path}") as container:
            tags = {name.lower(): text for name, text in container.metadata.items()}
    except ImportError:
        return False
    except (av.FFmpegError, ValueError):
        return False
    return tags.get("comment", "").startswith(MADE_BY_US)


def _pyav(flag):
    try:
        return importlib.import_module("av")
    except ImportError as problem:
        raise BadInput(f"{flag} needs PyAV; install it with pip install -r requirements-formats.txt.") from problem


def encoders():
    """Choose the first of CHOICES whose encoders are here; BadInput without PyAV, or without any of them."""
    av = _pyav("--video")
    for choice in CHOICES:
        if {choice.picture, choice.sound} <= av.codecs_available:
            return choice
    raise BadInput("--video finds no encoder of H.264 or VP9 in this PyAV; install its wheel with pip install "
                   "--force-reinstall -r requirements-formats.txt.")


def write(path, chosen, frame_at, rate, seconds, blocks, title, comment):
    """Write a video whole, frame by frame.

    Parameters
    ----------
    path : Path
    chosen : Encoders
    frame_at : callable, time in seconds -> np.ndarray [shape=(height, width, 3 or 4)], uint8, of even sizes
    rate : number, frames a second
    seconds : float, the duration
    blocks : iterable of np.ndarray [shape=(n, 2)], the sound at SOUND_RATE_HZ, left ear first
    title, comment : str, stored in the file

    Raises
    ------
    BadInput : the disk is full, or closed to this user

    """
    av = _pyav("--video")
    rate = Fraction(rate).limit_denominator(1001)
    with atomic_write(path) as partial:
        with av.open(f"file:{partial}", "w", format=chosen.ending[1:],
                     options={"fflags": "+bitexact"} | chosen.options) as out:
            out.metadata.update(title=title, comment=comment)
            frame = frame_at(0.0)
            picture = _picture_stream(out, chosen, rate, frame.shape)
            sound = _Sound(av, out, chosen, blocks)
            for number in progress(range(max(1, math.ceil(seconds * rate))), unit=" frames", desc=path.name):
                time_s = number / rate
                frame = frame_at(float(time_s))
                encoded = av.VideoFrame.from_ndarray(frame, format="rgba" if frame.shape[2] == 4 else "rgb24")
                encoded = encoded.reformat(format="yuv420p", dst_colorspace="ITU709")
                encoded.pts, encoded.time_base = number, 1 / rate
                out.mux(picture.encode(encoded))
                sound.write_until(time_s + AHEAD_S)
            sound.write_until(math.inf)
            out.mux(picture.encode(None))


def _picture_stream(out, chosen, rate, shape):
    stream = out.add_stream(chosen.picture, rate=rate, options=chosen.picture_options)
    stream.height, stream.width, stream.pix_fmt = *shape[:2], "yuv420p"
    context = stream.codec_context
    context.time_base, context.gop_size = 1 / rate, max(1, round(5 * rate))  # players seek to every fifth second
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED_RANGE
    return stream


class _Sound:
    """The sound of a video, encoded as far as the picture needs it."""

    def __init__(self, av, out, chosen, blocks):
        self._av, self._out, self._blocks, self._samples = av, out, iter(blocks), 0
        self._stream = out.add_stream(chosen.sound, rate=SOUND_RATE_HZ, layout="stereo")
        self._stream.bit_rate = SOUND_BITS_PER_S

    def write_until(self, time_s):
        """Write blocks up to a time in seconds, of infinity all and the end."""
        while self._samples < time_s * SOUND_RATE_HZ:
            block = next(self._blocks, None)
            if block is None:
                if math.isinf(time_s):
                    self._out.mux(self._stream.encode(None))
                return
            frame = self._av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T, np.float32), "fltp", "stereo")
            frame.sample_rate, frame.time_base, frame.pts = SOUND_RATE_HZ, Fraction(1, SOUND_RATE_HZ), self._samples
            self._samples += len(block)
            self._out.mux(self._stream.encode(frame))


class Film:
    """The picture of a given video over time, which counts from the beginning of its sound, if it has any.

    `width` and `height` are even, of square pixels, upright, and within LEAST_SIDE and GREATEST_SIDE; `rate` is frames
    a second and `seconds` the duration that the file states, 0 if none. BadInput without PyAV and for what holds no
    picture.
    """

    def __init__(self, path):
        av = _pyav("--video-over")
        self._path, self._problems, self.seconds = path, (av.FFmpegError, ValueError), 0.0
        self._next_s = 0.0
        try:
            self._begins_s = self._begin_of_sound(av)
            self._container = av.open(f"file:{path}")
        except self._problems as problem:
            raise self._unreadable() from problem
        streams = self._container.streams.video
        if not streams:
            self._container.close()
            raise BadInput(f"--video-over {path} holds no picture; name a video.")
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"
        self.rate = min(max(self._stream.average_rate or RATE, LEAST_RATE), GREATEST_RATE)
        self._frames, self._count = self._decoded(), 0
        self._current = self._picture = None
        self._advance()
        if self._next is None:
            self._container.close()
            raise self._unreadable()
        self._turns = round(self._next.rotation / 90) % 4  # counter-clockwise, as a phone was held
        self.width, self.height = self._size()
        duration = self._stream.duration
        self.seconds = float(duration * self._stream.time_base if duration else
                             (self._container.duration or 0) / av.time_base)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._container.close()

    def at(self, time_s):
        """Give the picture of a time: np.ndarray [shape=(height, width, 3)], uint8; the last one stays."""
        half_s = 0.5 / float(self.rate)
        while self._next is not None and (self._current is None or self._next_s <= time_s + half_s):
            self._current, self._picture = self._next, None
            self._advance()
        if self._picture is None:
            self._picture = self._upright(self._current)
        return self._picture

    def warn_of_length(self, seconds):
        """Warn where the recording, of so many seconds, lasts longer or shorter."""
        if self.seconds and abs(self.seconds - seconds) > LONGEST_UNTOLD_S:
            what = "its last picture stays to the end" if self.seconds < seconds else "what follows is left out"
            warn(f"--video-over {self._path} lasts {self.seconds:.1f} s and the recording {seconds:.1f} s; {what}.")

    def _advance(self):
        self._next = next(self._frames, None)
        if self._next is None:
            end_s = self._next_s + 1 / float(self.rate)
            if self.seconds - end_s > LONGEST_UNTOLD_S:
                warn(f"--video-over {self._path} is cut short after {end_s:.1f} of {self.seconds:.1f} s; its last "
                     "picture stays.")
        else:
            time_s = self._next.time
            self._next_s = float(self._count / self.rate) if time_s is None else time_s - self._begins_s
            self._count += 1

    def _decoded(self):
        """Yield the frames of the film, but for those that cannot be decoded."""
        packets, is_told = self._container.demux(self._stream), False
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                yield from packet.decode()
            except self._problems:
                if self._count and not is_told:
                    is_told = True
                    warn(f"--video-over {self._path} is damaged from {self._next_s:.1f} s on; where a picture is "
                         "missing, the one before stays.")

    def _begin_of_sound(self, av):
        """Tell when the first sample of the sound is, 0 without any: a recording taken of this file begins there."""
        with av.open(f"file:{self._path}") as container:
            first = next(container.decode(audio=0), None) if container.streams.audio else None
            return (first.time or 0.0) if first is not None else 0.0

    def _size(self):
        width = self._stream.width * (self._stream.sample_aspect_ratio or 1)
        height = self._stream.height
        longer = max(width, height)
        scale = min(max(longer, LEAST_SIDE), GREATEST_SIDE) / longer
        width, height = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
        return (height, width) if self._turns % 2 else (width, height)

    def _upright(self, frame):
        width, height = (self.height, self.width) if self._turns % 2 else (self.width, self.height)
        is_hd = frame.colorspace == BT709 or frame.colorspace == UNSPECIFIED and frame.height >= LEAST_HD_HEIGHT
        picture = frame.reformat(  # RGB has no such matrix, but PyAV before 17 heeds the source's only beside another
            width=width, height=height, format="rgb24", src_colorspace="ITU709" if is_hd else "ITU601",
            dst_colorspace="ITU601").to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, self._turns))

    def _unreadable(self):
        return BadInput(f"--video-over {self._path} cannot be read as a video; name another, or convert it to mp4.")
