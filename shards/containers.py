"""Audio in the containers of phones and video, through PyAV, an optional extra: requirements-formats.txt."""
import numpy as np

from console import BadInput

SUFFIXES = {".3g2", ".3gp", ".aac", ".ac3", ".amr", ".avi", ".eac3", ".flv", ".m4a", ".m4b", ".m4v", ".mka", ".mkv",
            ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".tta", ".weba", ".webm", ".wma", ".wv"}
GUESSED_LENGTH = {"aac", "ac3", "amr", "eac3"}  # formats of FFmpeg that store none: it is guessed from the first bits


class ContainerFile:
    """The first audio stream of a container, with the methods that audio.py uses of soundfile.SoundFile.

    Raises BadInput without PyAV, for a file that holds no audio, and for one that cannot be decoded.
    """

    extra_info = ""

    def __init__(self, path):
        try:
            import av
        except ImportError as problem:
            if path.suffix.lower() not in SUFFIXES:
                raise BadInput(f"{path} cannot be read as audio; PyAV may know its format (pip install -r "
                               "requirements-formats.txt), else replace it or leave it out.") from problem
            raise BadInput(f"{path} is in a format that needs PyAV; install it with pip install -r "
                           f"requirements-formats.txt, or convert it to wav (ffmpeg -i {path.name} {path.stem}.wav).") \
                from problem
        self._path, self._tear = path, None
        try:
            self._container = av.open(f"file:{path}")  # in "a:b.m4a" a is no protocol
        except Exception as problem:
            raise self._unreadable() from problem
        try:
            self._begin(av)
        except BadInput:
            self._container.close()
            raise
        except Exception as problem:  # what a damaged header makes of PyAV's attributes
            self._container.close()
            raise self._unreadable() from problem

    def _begin(self, av):
        """Choose the first audio stream."""
        streams = self._container.streams.audio
        if not streams:
            raise BadInput(f"{self._path} holds no audio; leave it out.")
        stream = streams[0]
        self.samplerate, self.channels = stream.rate, stream.channels
        length_s = (stream.duration * stream.time_base if stream.duration
                    else (self._container.duration or 0) / av.time_base)
        self.frames = 0 if self._container.format.name in GUESSED_LENGTH else int(length_s * stream.rate)
        self._frames, self._to_float = self._container.decode(stream), av.AudioResampler(format="fltp")
        self._left = np.empty((0, self.channels), np.float32)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._container.close()

    def read(self, frames, dtype, always_2d):
        """Read up to `frames` frames: (n, channel) of `dtype`, of none left (0, channel); BadInput at a tear."""
        parts, count = [self._left], len(self._left)
        try:
            while count < frames and (frame := next(self._frames, None)) is not None:
                for converted in self._to_float.resample(frame):
                    parts.append(converted.to_ndarray().T)
                    count += len(parts[-1])
        except Exception as problem:  # FFmpeg's and PyAV's own, and those of arrays of a changed number of channels
            self._tear = problem
        if self._tear and not count:
            raise self._unreadable() from self._tear
        if len({part.shape[1] for part in parts}) > 1:
            raise self._unreadable()
        block = np.concatenate(parts)
        self._left = block[frames:]
        return block[:frames].astype(dtype, copy=False)

    def _unreadable(self):
        return BadInput(f"{self._path} cannot be read as audio; convert it to wav or leave it out.")
