"""Makes docs/gallery.md and its pictures: what Localise.py reports for eight recordings, easy and hard ones.

    python tools/make_gallery.py                         # needs PyAV, and Chromium for the picture of a page
    python tools/make_gallery.py --sounds gallery        # the recordings alone, to try the commands with

The recordings are the demo's talkers and noises, heard through the head that ships. All comes from a seed.
"""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console

if __name__ == "__main__":
    console.end_at_ctrl_c()  # while what follows is imported

import shlex
import shutil
import subprocess
import tempfile
import textwrap
from typing import NamedTuple

import numpy as np
from PIL import Image  # which matplotlib brings
from scipy.signal import fftconvolve

import hrir
from console import BadInput
from params import Params
from shards.audio import read_mono, write_wav
from sound import convolution, noise_fields, rooms

PARAMS = Params()
RATE = PARAMS.sample_rate_hz
GRID_DEG = np.arange(-90, 91)
PICTURE_WIDTH, COLOURS = 1000, 64
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPENING = (
    "What `Localise.py` reports for eight recordings, easy and hard ones. Above each picture stands what the "
    "recording holds, below it the command and what it prints. The recordings are the demo's synthetic talkers, heard "
    "through the head that ships. `python tools/make_gallery.py` makes this page. In a fresh clone, in an activated "
    "environment, this makes the recordings:")
PREPARATION = ("pip install -r requirements.txt -r requirements-formats.txt",
               "python tools/make_gallery.py --sounds gallery")


class Case(NamedTuple):
    """Describe a picture: the recording and what it holds, flags of Localise.py, what the picture shows.

    `picture` is the ending of what it is taken of: .png, .html, or .mp4 at `at_s` seconds.
    """

    name: str
    title: str
    holds: str
    flags: str
    shows: str
    picture: str = ".png"
    at_s: float = 0.0

    @property
    def command(self):
        """The command under the picture."""
        return f"python Localise.py gallery/{self.name}.wav{self.flags and ' '}{self.flags}"


CASES = (
    Case("turns", "A page to play", "Two talkers take turns, at 50 degrees left and at 35 right.", "--sources 2 --html",
         "The page in a browser: the head from above, what was heard when, and both tracks over the spectrogram.",
         ".html"),
    Case("walk", "A talker who walks", "A talker goes from 80 degrees left to 80 right in 12 seconds.", "",
         "The line follows. It begins half a second late and ends half a second early: a row covers a second."),
    Case("cross", "Two talkers cross", "One walks from 60 degrees left to 60 right, the other from 60 right to left.",
         "--sources 2", "Both talk all the time. Each keeps its number where they meet."),
    Case("three", "A frame of a video", "Three talkers begin in turn, at 65 and 10 degrees left and at 40 right.",
         "--sources 3 --video", "A frame of the video at 7 s; the video has the sound of both ears.", ".mp4", 7.0),
    Case("room", "A room, with noise", "A talker at 45 degrees right in a room (RT60 0.6 s), babble 5 dB below.", "",
         "The line stays; walls and babble widen the band, the 68 % interval."),
    Case("microphones", "Unequal microphones", "A talker at 20 degrees left; the right channel is 5 dB too loud.", "",
         "The gains are estimated from the background noise and corrected, and a message says so."),
    Case("panned", "A stereo mix", "Two voices, panned by level alone: no recording of two ears.", "",
         "The warning says that these azimuths mean nothing, and every band is at least 60 degrees wide to each side."),
    Case("noise", "Nobody", "Babble from all around, and no talker.", "",
         "There is no line, because there is no source."),
)


# ----------------------------------------------------------------------------------------------------------- recordings

class RenderedHead:
    """The head that ships at every degree, perhaps in a room, and what is heard through it."""

    def __init__(self, room=None):
        self.response = hrir.load("mit_kemar", RATE, GRID_DEG).response
        self.tail = np.zeros((2, 1))
        if room:
            self.response, self.tail = rooms.responses(room, self.response, GRID_DEG, RATE, np.random.default_rng(0))

    def hear(self, signal, azimuth_deg):
        """Hear a signal (n,) from an azimuth, or from one for each sample: (2, n)."""
        azimuth_deg = np.broadcast_to(azimuth_deg, signal.shape)
        ears = np.stack([fftconvolve(signal, tail)[:len(signal)] for tail in self.tail])
        for degree, response in zip(GRID_DEG, self.response):
            share = np.maximum(1 - np.abs(azimuth_deg - degree), 0)   # from one degree to the next
            there = np.flatnonzero(share)
            if len(there):
                begin, end = there[0], there[-1] + 1
                part = signal[begin:end] * share[begin:end]
                heard = np.stack([fftconvolve(part, ear) for ear in response])[:, :len(signal) - begin]
                ears[:, begin:begin + heard.shape[1]] += heard
        return ears

    def hear_all_around(self, noise, length, seed=0):
        """Hear excerpts of a noise (n,) from every fifth degree, those behind as well: (2, length), power 1."""
        some = slice(None, None, 5)
        size = convolution.fft_size(length + self.response.shape[-1])
        starts = np.random.default_rng(seed).integers(len(noise), size=len(GRID_DEG[some]))
        excerpts = np.stack([np.take(noise, np.arange(at, at + size), mode="wrap") for at in starts])
        spectrum = convolution.response_spectrum(self.response[some], size)
        ears = noise_fields.diffuse(excerpts, spectrum, GRID_DEG[some], length)
        return ears / np.sqrt(np.square(ears).mean())


def recordings(demo):
    """Make every recording of demo audio in a folder: dict of its name to (2, n)."""
    speech = [read_mono(path, PARAMS) for path in sorted((demo / "SpeechTRAIN").glob("*.wav"))]
    babble = read_mono(demo / "NoiseTEST" / "demo_babble.wav", PARAMS)
    pink = read_mono(demo / "NoiseTRAIN" / "demo_pink.wav", PARAMS)
    head = RenderedHead()
    in_room = RenderedHead(rooms.Room(np.array([7.0, 5.5, 2.8]), np.array([3.2, 2.6, 1.4]), 20.0, 1.8, rt60_s=0.6,
                                      drr_db=3.0))

    def talker(first, seconds, begin_s=0.0):
        """Let one file after another speak, silent before `begin_s`."""
        signal = np.concatenate([np.zeros(round(begin_s * RATE)), *speech[first:first + 3]])[:round(seconds * RATE)]
        return signal / np.sqrt(np.square(speech[first]).mean())

    def mixed(ears, noise=pink, snr_db=30.0):
        """Add noise from all around, and leave room up to full scale."""
        level = np.sqrt(np.square(ears).mean()) * 10 ** (-snr_db / 20)
        ears = ears + level * head.hear_all_around(noise, ears.shape[1])
        return 0.5 * ears / np.abs(ears).max()

    ten_s, walk = np.linspace(0, 1, 10 * RATE), np.linspace(-80, 80, 12 * RATE)
    turn = np.repeat([1, 0, 1, 0], 3 * RATE)
    gains = np.array([[1.0], [10 ** (5 / 20)]])                       # the right channel is 5 dB louder
    panned = np.array([[1.0], [0.25]]) * talker(1, 8) + np.array([[0.3], [1.0]]) * talker(14, 8)
    return {
        "turns": mixed(head.hear(talker(0, 12) * turn, -50) + head.hear(talker(3, 12) * (1 - turn), 35)),
        "walk": mixed(head.hear(talker(4, 12), walk)),
        "cross": mixed(head.hear(talker(2, 10), -60 + 120 * ten_s) + head.hear(talker(11, 10), 60 - 120 * ten_s)),
        "three": mixed(head.hear(talker(0, 10), -65) + head.hear(talker(5, 10, 2.0), -10)
                       + head.hear(talker(12, 10, 4.0), 40)),
        "room": mixed(in_room.hear(talker(7, 8), 45), babble, 5.0),
        "microphones": 0.5 * gains * mixed(head.hear(talker(8, 8), -20), snr_db=20.0),
        "panned": 0.5 * panned / np.abs(panned).max(),
        "noise": 0.05 * head.hear_all_around(babble, 8 * RATE),
    }


def write_recordings(folder):
    """Write the recordings into a folder, of demo audio that is made for it."""
    with tempfile.TemporaryDirectory() as demo:
        subprocess.run([sys.executable, str(ROOT / "tools" / "make_demo_audio.py"), "--root", demo], check=True,
                       stdout=subprocess.DEVNULL)
        for name, ears in recordings(Path(demo)).items():
            write_wav(folder / f"{name}.wav", ears, RATE)


# ------------------------------------------------------------------------------------------------------------- pictures

def picture_of(case, results):
    """Take the picture of what Localise.py wrote into a folder: a PIL image, None for a page without Chromium."""
    path = results / f"{case.name}{case.picture}"
    if case.picture == ".png":
        return Image.open(path)
    if case.picture == ".mp4":
        from shards.video import Film

        with Film(path) as film:
            return Image.fromarray(film.at(case.at_s))
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        return None
    shot = path.with_suffix(".shot.png")
    subprocess.run([browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--screenshot={shot}", "--window-size=1280,960", path.as_uri()], check=True, capture_output=True)
    return Image.open(shot)


def write_picture(image, path):
    """Write an image in few colours, which is what makes it small; those of the sources count, though rare."""
    height = round(image.height * PICTURE_WIDTH / image.width)
    small = image.convert("RGB").resize((PICTURE_WIDTH, height), Image.Resampling.LANCZOS)
    small = small.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    with console.atomic_write(path) as partial:
        small.save(partial, format="png", optimize=True)


def page(told):
    """Write docs/gallery.md; `told` is a dict of a case's name to what its command printed."""
    lines = ["# Gallery", "", *textwrap.wrap(OPENING, 120), "", "```", *PREPARATION, "```", ""]
    for case in CASES:
        lines += [f"## {case.title}", "", case.holds, "", f"![{case.holds}](gallery/{case.name}.png)", "", "```",
                  case.command, *told[case.name], "```", "", case.shows, ""]
    return "\n".join(lines)


def main(argv=None):
    """Make the recordings, the pictures of them and the page, or the recordings alone."""
    parser = console.Parser(__doc__)
    parser.add_argument("--sounds", metavar="DIR", help="write the recordings alone, into this folder")
    parser.add_argument("--out", metavar="DIR", default=ROOT / "docs",
                        help="for gallery.md and the folder of its pictures (default: docs)")
    args = parser.parse_args(argv)
    if args.sounds:
        folder = console.folder_for_output(args.sounds)
        write_recordings(folder)
        print(f"{folder}: {len(CASES)} recordings.")
        return
    out, told = console.folder_for_output(args.out), {}
    pictures = console.folder_for_output(out / "gallery")
    with tempfile.TemporaryDirectory() as work:
        write_recordings(console.folder_for_output(Path(work) / "gallery"))
        for case in console.progress(CASES, desc="pictures"):
            _, script, *flags = shlex.split(case.command)
            done = subprocess.run([sys.executable, str(ROOT / script), *flags], cwd=work, text=True,
                                  capture_output=True)
            if done.returncode:
                raise BadInput(f"{case.command} failed: {done.stderr.strip()}")
            told[case.name] = [*done.stderr.splitlines(), done.stdout.splitlines()[0]]
            image = picture_of(case, Path(work) / "localised")
            if image is None:
                console.warn(f"{pictures / case.name}.png stays as it is: there is no Chromium here to open a page.")
            else:
                write_picture(image, pictures / f"{case.name}.png")
    with console.atomic_write(out / "gallery.md") as partial:
        partial.write_text(page(told), encoding="utf-8")
    print(f"{out / 'gallery.md'}: {len(CASES)} pictures.")


if __name__ == "__main__":
    sys.exit(console.run(main))
