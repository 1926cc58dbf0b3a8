"""The two ears of a recording as a browser plays them: the file's own bytes where it can, else FLAC, sample by sample.

    copy = listening_copy("talk.wav")
    copy.media_type, copy.ending                             # "audio/flac", ".flac"
    data = copy.read()                                       # or copy.write(path)
    data = copy.smaller().read()                             # a third of it or less
"""
import io
import math
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf

from params import Params
from shards.audio import CutShort, Layout, ear_blocks, layout_of, writing_errors

PLAYED_AS_THEY_ARE = {".flac": "audio/flac", ".mp3": "audio/mpeg", ".m4a": "audio/mp4"}  # by every current browser
PLAYED_RATES_HZ = (8_000, 192_000)  # others are resampled to this one:
USUAL_RATE_HZ = 48_000
SMALL_RATE_HZ, SMALL_BITS = 24_000, 16  # ten minutes have 58 MB at most
BESIDE_PAGE = ".ears"  # in the name of a copy that lies beside its page: talk.ears.flac


def listening_copy(path, channels=None, swaps_ears=False):
    """Choose how the two ears of a recording are played.

    Parameters
    ----------
    path : path of a recording that `ear_blocks` reads
    channels : (int, int), optional: which are the left and the right ear, counted from 1
    swaps_ears : bool, the first of them is the right ear

    Returns
    -------
    ListeningCopy

    """
    path, layout = Path(path), layout_of(path)
    left, right = channels or (1, 2)
    channels = (right, left) if swaps_ears else (left, right)
    media_type = PLAYED_AS_THEY_ARE.get(path.suffix.lower())
    if media_type and layout.channels == 2 and channels == (1, 2):
        return ListeningCopy(path, channels, None, media_type, path.suffix.lower())
    return ListeningCopy(path, channels, layout, "audio/flac", ".flac")


def endings_beside_page(path):
    """List the endings that a copy may have beside a page.

    Examples
    --------
    >>> endings_beside_page("talk.wav"), endings_beside_page("talk.MP3")
    (['.ears.flac'], ['.ears.flac', '.ears.mp3'])

    """
    return [f"{BESIDE_PAGE}{each}" for each in sorted({".flac", Path(path).suffix.lower()} & {
        ".flac", *PLAYED_AS_THEY_ARE})]


class ListeningCopy(NamedTuple):
    """A recording to be played by a browser; `layout` is None where its bytes are played as they are."""

    path: Path
    channels: tuple
    layout: Layout | None
    media_type: str
    ending: str

    def write(self, to):
        """Write the copy to a path."""
        if self.layout is None:
            shutil.copyfile(self.path, to)
        else:
            with writing_errors(to):
                for _ in self._encode(to):
                    pass

    def read(self, most_bytes=math.inf):
        """Give the copy as bytes, None where they are more than that."""
        if self.layout is None:
            return self.path.read_bytes() if self.path.stat().st_size <= most_bytes else None
        copy = io.BytesIO()
        for _ in self._encode(copy):
            if copy.getbuffer().nbytes > most_bytes:
                return None
        return copy.getvalue() if copy.getbuffer().nbytes <= most_bytes else None  # a header may be written last

    def smaller(self):
        """Return a ListeningCopy of fewer bytes: FLAC of SMALL_BITS at SMALL_RATE_HZ, or less."""
        layout = self.layout or layout_of(self.path)
        rate = min(layout.sample_rate_hz, SMALL_RATE_HZ)
        return self._replace(layout=layout._replace(sample_rate_hz=rate, bits=SMALL_BITS), media_type="audio/flac",
                             ending=".flac")

    def _encode(self, to):
        """Write FLAC to a path or an open file; yields after each block."""
        least, most = PLAYED_RATES_HZ
        rate = self.layout.sample_rate_hz if least <= self.layout.sample_rate_hz <= most else USUAL_RATE_HZ
        with sf.SoundFile(to, "w", rate, 2, f"PCM_{self.layout.bits}", format="FLAC") as file:
            for block in self.blocks(rate):
                file.write(block)
                yield

    def blocks(self, rate):
        """Yield the two ears at a sample rate in blocks (n, 2), made quieter where they exceed full scale."""
        gain = np.float32(1)
        if self.layout is None or self.layout.may_exceed_full_scale:
            gain = min(gain, 1 / max(np.abs(block).max(initial=1) for block in self._blocks(rate)))
        for block in self._blocks(rate):
            yield block * gain

    def _blocks(self, rate):
        with suppress(CutShort):  # what there is, is played
            yield from ear_blocks(self.path, replace(Params(), sample_rate_hz=rate), self.channels, False)
