"""Fills each of the four audio folders that is empty with synthetic speech and noise, to try the pipeline with.

    python tools/make_demo_audio.py

Speech: eSpeak NG from the PyPI wheel espeakng-loader, 20 talkers for training and 5 for testing who share no voice
variant and no sentence. Noise: white, pink, speech-shaped and clatter for training; a babble of six more talkers and a
noise that fluctuates for testing.

All comes from a seed: the same bytes with the same versions. A folder with other audio in it is
left alone. Scores for publication need real speech: see the README.
"""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console

if __name__ == "__main__":
    console.end_at_ctrl_c()  # while what follows is imported

import ctypes
import os
import re
import shutil
import tempfile
from typing import NamedTuple

import numpy as np
from scipy.signal import fftconvolve

from console import BadInput
from shards.audio import write_wav
from shards.folder import only_run

SPEECH_RMS, NOISE_RMS = 0.05, 0.05  # of full scale: crest factors up to 20 fit
NOISE_S = 12.0
LONGEST_DATA_PATH = 140  # eSpeak NG keeps the path of its data in 160 bytes (N_PATH_HOME)


class Talker(NamedTuple):
    """A voice of eSpeak NG, "language+variant", its pitch (0..99), words a minute, and what it says."""

    voice: str
    pitch: int
    words_per_minute: int
    text: str


TRAINING = [
    Talker("en-us+m1", 45, 165, "The old harbour wakes slowly when the first boats return, and gulls follow them past "
                                "the lighthouse to the quay where the fish is sold."),
    Talker("en+f1", 55, 160, "Before breakfast she walked around the garden, counted the ripe tomatoes, and decided "
                                "that the hedge could wait until Thursday."),
    Talker("de+m2", 40, 155, "Am Rande des Waldes steht ein kleines Haus, in dem seit vielen Jahren ein Uhrmacher "
                             "wohnt, der jeden Morgen seine Fenster putzt."),
    Talker("fr+f2", 60, 165, "Chaque dimanche, les voisins se retrouvent sur la place du marché pour boire un café "
                                "et parler des nouvelles du village."),
    Talker("es+m3", 50, 170, "El tren de la mañana cruza el valle despacio, y los niños saludan desde el puente "
                             "cuando pasa el último vagón."),
    Talker("it+f3", 52, 160, "La nonna prepara il pane prima dell'alba e tutta la casa profuma di farina, di legna "
                             "e di foglie d'alloro."),
    Talker("pt-br+m4", 38, 165, "Depois da chuva, o rio ficou mais largo, e os pescadores esperaram três dias para "
                                "voltar às suas redes."),
    Talker("nl+f4", 58, 160, "De fietser stopte bij de brug, keek naar de zwanen in het water en vergat helemaal dat "
                             "zijn trein bijna vertrok."),
    Talker("sv+m5", 47, 155, "På vintern fryser sjön till is, och då åker hela skolan skridskor tills solen går ner "
                             "bakom de mörka granarna."),
    Talker("pl+f5", 50, 160, "Wieczorem dziadek opowiadał nam długie historie o górach, o śniegu i o psie, który "
                             "zawsze znajdował drogę do domu."),
    Talker("cs+m6", 42, 158, "Na podzim se listí barví do červena a my chodíme do lesa sbírat houby, kaštany a "
                             "poslední ostružiny."),
    Talker("fi+Alicia", 54, 150, "Kesällä saunan jälkeen uimme järvessä ja istumme laiturilla, kunnes yö muuttuu "
                                 "hitaasti takaisin aamuksi."),
    Talker("el+m7", 44, 165, "Το καλοκαίρι κοιμόμαστε στην ταράτσα, μετράμε τα αστέρια και ακούμε τη θάλασσα "
                             "μέχρι να ξημερώσει."),
    Talker("tr+Andrea", 56, 160, "Çarşıda taze ekmek kokusu vardı, satıcılar bağırıyor, çocuklar ise kedilerin "
                                 "peşinden dar sokaklarda koşuyordu."),
    Talker("hu+m8", 48, 160, "A könyvtáros minden reggel kinyitja a nagy ablakot, megöntözi a virágokat, és csendben "
                             "olvas egy verset."),
    Talker("ro+Annie", 53, 158, "Bunica păstra scrisorile într-o cutie de lemn, legate cu o panglică albastră, lângă "
                                "o fotografie veche."),
    Talker("da+adam", 41, 155, "Bageren på hjørnet åbner klokken seks, og så står der allerede en lang kø af søvnige "
                               "mennesker foran døren."),
    Talker("en-us+belinda", 59, 170, "Nobody expected the choir to finish on time, yet the final chord rang out "
                                     "exactly as the tower clock struck nine."),
    Talker("ca+david", 46, 162, "Quan bufa el vent del nord, les barques es queden al port i els mariners juguen a "
                                "cartes a la taverna."),
    Talker("nb+linda", 51, 158, "Fjellet var dekket av tåke, men stien var godt merket, og vi nådde hytta lenge før "
                                "det ble mørkt."),
]
TESTING = [
    Talker("en+max", 43, 168, "Every visitor asks why the museum keeps a rowing boat in the attic, and the guard "
                                 "gives a different answer each time."),
    Talker("de+anika", 57, 160, "Die Schülerinnen übten das Lied so lange, bis sogar der Hausmeister die zweite "
                                "Stimme mitsingen konnte."),
    Talker("fr+paul", 39, 162, "Le facteur pose son vélo contre le mur, cherche une enveloppe jaune et sonne deux "
                                  "fois à la porte bleue."),
    Talker("es+steph", 55, 165, "La abuela guarda las llaves en un cajón, junto a las velas, los sellos y una brújula "
                                "que ya no funciona."),
    Talker("sv+pablo", 46, 158, "Tåget var försenat igen, så vi köpte bullar, spelade kort och lärde känna halva "
                                "väntsalen."),
]
BABBLE = [
    Talker("en-us+edward", 44, 175, "I never said the meeting was cancelled, I only said that nobody had found a room "
                                    "for it yet, which is hardly the same thing."),
    Talker("it+shelby", 58, 170, "Ma dove hai messo gli occhiali, li cerco da un'ora e fra poco dobbiamo uscire."),
    Talker("nl+robert", 40, 170, "Volgens mij was het gisteren veel drukker, maar ik vergis me wel vaker."),
    Talker("pt-br+steph2", 54, 172, "A gente combinou às sete, mas você sabe que ele sempre chega quando quer."),
    Talker("pl+victor", 45, 165, "Proszę pana, ten autobus już dawno odjechał, następny będzie dopiero za godzinę."),
    Talker("de+steph3", 56, 172, "Also ich nehme die Suppe, und danach vielleicht noch ein Stück Kuchen mit Sahne."),
]


class Espeak:
    """eSpeak NG through ctypes: `say(talker)` gives int16 samples at `sample_rate_hz`.

    Breathy voices draw random numbers and go on with them from one utterance to the next, so the same speech comes from
    the same seed in a fresh process, said in the same order.
    """

    SYNCHRONOUS, UTF8, POSITION_CHARACTER = 2, 1, 1  # of speak_lib.h
    RATE, PITCH = 1, 3

    def __init__(self, seed):
        """Load the library and its voices from the wheel; BadInput where that fails."""
        try:
            import espeakng_loader
        except ImportError as problem:
            raise BadInput("The package espeakng-loader is missing; run pip install -r requirements.txt.") from problem
        data = Path(espeakng_loader.get_data_path())
        self.short_path = None
        if len(as_c_path(data)) > LONGEST_DATA_PATH:
            self.short_path = tempfile.TemporaryDirectory()
            data = shutil.copytree(data, Path(self.short_path.name) / data.name)
        self.library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        self.sample_rate_hz = self.library.espeak_Initialize(self.SYNCHRONOUS, 0, as_c_path(data), 0)
        if self.sample_rate_hz <= 0:
            raise BadInput(f"eSpeak NG cannot read its voices in {data}; install espeakng-loader again, on Windows in "
                           "a folder of ASCII letters.")
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self.heard = []
        self.callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int,
                                         ctypes.c_void_p)(self._hear)  # kept: the library calls it later
        self.library.espeak_SetSynthCallback(self.callback)

    def _hear(self, samples, count, _events):
        if samples and count > 0:
            self.heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, talker):
        """Speech of a talker, int16 (n,)."""
        self.heard.clear()
        if self.library.espeak_SetVoiceByName(talker.voice.encode()) != 0:
            raise BadInput(f"eSpeak NG has no voice {talker.voice}; install the espeakng-loader of requirements.txt.")
        self.library.espeak_SetParameter(self.RATE, talker.words_per_minute, 0)
        self.library.espeak_SetParameter(self.PITCH, talker.pitch, 0)
        text = talker.text.encode() + b"\0"
        self.library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, self.POSITION_CHARACTER, 0, self.UTF8,
                                  None, None)
        self.library.espeak_Synchronize()
        return np.concatenate(self.heard)


def as_c_path(path):
    """Write a path as C opens it: in the code page of Windows, which lacks letters that a name may have."""
    return str(path).encode("mbcs", errors="replace") if sys.platform == "win32" else os.fsencode(path)


def at_level(signal, rms):
    """Scale a signal to a root mean square, as 16-bit integers of full scale 1."""
    signal = np.asarray(signal, np.float64)
    scaled = signal * (rms / np.sqrt(np.mean(np.square(signal))))
    return np.round(np.clip(scaled, -1, 1) * 32767).astype(np.int16)


def shaped_noise(rng, length, amplitude_at):
    """Gaussian noise (length,) whose spectrum follows `amplitude_at(f)`, f in 0..0.5 cycles a sample."""
    spectrum = np.fft.rfft(rng.standard_normal(length)) * amplitude_at(np.fft.rfftfreq(length))
    return np.fft.irfft(spectrum, length)


def long_term_spectrum(signals, size=1024):
    """Root mean square spectrum of signals over windows of `size` samples: (size // 2 + 1,)."""
    frames = np.concatenate([s[:len(s) // size * size].reshape(-1, size) for s in signals]).astype(np.float64)
    return np.sqrt(np.mean(np.abs(np.fft.rfft(frames * np.hanning(size))) ** 2, axis=0))


def fluctuation(rng, length, sample_rate_hz, rate_hz=3.0, range_db=20.0):
    """Gain (length,) that wanders smoothly over about `range_db`, `rate_hz` turns a second."""
    knots = rng.uniform(-range_db / 2, range_db / 2, int(length / sample_rate_hz * 2 * rate_hz) + 2)
    return 10 ** (np.interp(np.arange(length) / sample_rate_hz * 2 * rate_hz, np.arange(len(knots)), knots) / 20)


def clatter(rng, length, sample_rate_hz, rate_hz=6.0, decay_s=0.05):
    """Bursts of white noise (length,), `rate_hz` of them a second at random, that fall by 8.7 dB in `decay_s`."""
    strikes = np.zeros(length)
    at = rng.integers(length, size=int(length / sample_rate_hz * rate_hz))
    strikes[at] = 10 ** (rng.uniform(-10, 10, len(at)) / 20)
    fading = np.exp(-np.arange(int(8 * decay_s * sample_rate_hz)) / (decay_s * sample_rate_hz))
    return rng.standard_normal(length) * (fftconvolve(strikes, fading)[:length] + 0.01)


def talker_files(talkers, voices):
    """Name and samples of each talker's file."""
    for number, (talker, voice) in enumerate(zip(talkers, voices), 1):
        yield f"demo_{number:02d}_{talker.voice.replace('+', '_')}.wav", at_level(voice, SPEECH_RMS)


def make(seed):
    """All demo audio: dict of folder name to dict of file name to int16 samples, and the sample rate."""
    espeak = Espeak(seed)
    spoken = [espeak.say(talker) for talker in console.progress(TRAINING + TESTING + BABBLE, desc="eSpeak NG")]
    training, testing = spoken[:len(TRAINING)], spoken[len(TRAINING):-len(BABBLE)]
    rate, length = espeak.sample_rate_hz, int(NOISE_S * espeak.sample_rate_hz)
    rng = np.random.default_rng(seed)
    spectrum = long_term_spectrum(training)
    babble = sum(np.resize(np.roll(at_level(voice, 1e-1), rng.integers(len(voice))), length).astype(np.float64)
                 for voice in spoken[-len(BABBLE):])
    noises = {
        "white": rng.standard_normal(length),
        "pink": shaped_noise(rng, length, lambda f: 1 / np.sqrt(np.maximum(f, 20 / rate))),
        "speech_shaped": shaped_noise(
            rng, length, lambda f: np.interp(f, np.linspace(0, 0.5, len(spectrum)), spectrum)),
        "babble": babble,
        "fluctuating": shaped_noise(rng, length, lambda f: 1 / np.sqrt(np.maximum(f, 20 / rate)))
        * fluctuation(rng, length, rate),
        "clatter": clatter(rng, length, rate),
    }
    noise_files = {name: (f"demo_{name}.wav", at_level(noise, NOISE_RMS)) for name, noise in noises.items()}
    return {
        "SpeechTRAIN": dict(talker_files(TRAINING, training)),
        "NoiseTRAIN": dict(noise_files[name] for name in ("white", "pink", "speech_shaped", "clatter")),
        "SpeechTEST": dict(talker_files(TESTING, testing)),
        "NoiseTEST": dict(noise_files[name] for name in ("babble", "fluctuating")),
    }, rate


def holds_only_demo(folder):
    """Whether a folder holds nothing but its README and demo files: such a one may be filled or completed."""
    return all(re.fullmatch(r"README\.md|\..*|demo_\w[\w-]*\.wav(\..*)?", p.name) for p in folder.rglob("*"))


def main(argv=None):
    """Fill the folders."""
    parser = console.Parser(__doc__)
    parser.add_argument("--root", metavar="DIR", type=Path, default=ROOT, help="where the folders are (default: here)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    folders, rate = make(args.seed)
    for name, files in folders.items():
        with only_run(args.root / name) as folder:
            if not holds_only_demo(folder):
                print(f"{name}: left alone, it holds other audio.")
                continue
            missing = {file: signal for file, signal in files.items() if not (folder / file).exists()}
            for file, signal in missing.items():
                write_wav(folder / file, signal, rate)
        print(f"{name}: {len(files)} demo files, {len(missing)} of them made now.")


if __name__ == "__main__":
    sys.exit(console.run(main))
