"""Makes docs/scenes/*.png: what each kind of scene does to IPD and ILD of one second of speech from 45 degrees.

    python tools/make_scene_pictures.py

Its audio is the demo's, which it makes in a temporary folder.
"""
import io
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image  # which matplotlib brings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import hrir
from params import WORLD, Params
from shards.audio import AudioCache, find_audio
from sound import mixing
from sound.noise_fields import noise_gain

AZIMUTH_DEG = 45
PLAIN = {"azimuth_deg": (AZIMUTH_DEG,), "snr_db": (40,)}
SCENES = {  # name of the picture: (its title, what is changed)
    "diotic": ("noise field diotic, 0 dB", {"noise_field": ("diotic",), "snr_db": (0,)}),
    "diffuse": ("noise field diffuse, 0 dB", {"noise_field": ("diffuse",), "snr_db": (0,)}),
    "directional": ("noise field directional, 0 dB", {"noise_field": ("directional",), "snr_db": (0,)}),
    "talker": ("noise field talker, 0 dB", {"noise_field": ("talker",), "snr_db": (0,)}),
    "mixed": ("noise field mixed, 0 dB", {"noise_field": ("mixed",), "snr_db": (0,)}),
    "head_size": ("head size 1.15", {"head_size": (1.15, 1.15)}),
    "head_colour_db": ("head colour 2 dB", {"head_colour_db": 2.0}),
    "side_level_db": ("noise field diffuse, 0 dB, sides 8 dB weaker",
                      {"noise_field": ("diffuse",), "snr_db": (0,), "side_level_db": (-8, -8)}),
    "rt60_s": ("room, RT60 0.6 s, DRR 0 dB", {"rt60_s": (0.6, 0.6), "drr_db": (0, 0)}),
    "mic_level_db": ("microphones up to 3 dB apart", {"mic_level_db": 3.0}),
    "mic_colour_db": ("microphone spectra 1 dB", {"mic_colour_db": 1.0}),
    "band_limit_share": ("a recording that ends below 7.5 kHz", {"band_limit_share": 1.0, "sensor_snr_db": (40, 40)}),
    "sensor_snr_db": ("sensor noise 15 dB below", {"sensor_snr_db": (15, 15)}),
    "source_level_db": ("sensor noise 15 dB below, source 10 dB weaker",
                        {"sensor_snr_db": (15, 15), "source_level_db": (-10, -10)}),
    "source_colour_db": ("source colour 6 dB", {"source_colour_db": 6.0}),
    "source_speed": ("source 1.18 times as fast", {"source_speed": (1.18, 1.18)}),
    "noise_colour_db": ("noise field diffuse, 0 dB, noise colour 8 dB",
                        {"noise_field": ("diffuse",), "snr_db": (0,), "noise_colour_db": 8.0}),
    "noise_swell_db": ("noise field diffuse, 0 dB, swells up to 20 dB",
                       {"noise_field": ("diffuse",), "snr_db": (0,), "noise_swell_db": 20.0}),
    "world": ("--world, one talker", WORLD | {"talkers": (1,)}),
}


def cues_of(changes, speech, noise, talker, seed=3):
    """IPD and ILD of the one sample, (bin, frame, 2)."""
    params = replace(Params(), **(PLAIN | changes))
    mixer = mixing.Mixer(params, [hrir.load("mit_kemar", params.sample_rate_hz, mixing.directions_deg(params))])
    rng = np.random.default_rng(seed)
    speech_at_ears = mixer.speech_at_ears(rng, speech)
    noise_at_ears = mixer.noise_at_ears(rng, speech_at_ears.scene, noise, lambda rng: talker)
    cues = np.empty((1, *params.sample_shape), np.float32)
    snr_db = mixer.snrs_db(rng, noise_at_ears)[0]
    gain = noise_gain(speech_at_ears.front, noise_at_ears.signals, snr_db)
    mixer.cues(speech_at_ears, noise_at_ears, gain, out=cues)
    return cues[0]


def picture(title, plain, changed, path):
    """Both cues without and with the change."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    rows = ((0, "IPD (rad)", "twilight_shifted", np.pi), (1, "ILD (dB)", "RdBu_r", 30))
    for column, (name, cues) in enumerate((("plain, diffuse noise 40 dB below", plain), (title, changed))):
        for row, (channel, label, colours, limit) in enumerate(rows):
            mesh = axes[row, column].imshow(cues[..., channel], origin="lower", aspect="auto", cmap=colours,
                                            vmin=-limit, vmax=limit, extent=(0, 1.02, 0, 8))
            if column == 1:
                figure.colorbar(mesh, ax=axes[row, :], label=label)
        axes[0, column].set_title(name)
        axes[1, column].set_xlabel("time (s)")
    for row in range(2):
        axes[row, 0].set_ylabel("frequency (kHz)")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=64)
    few_colours = Image.open(drawn).convert("RGB").quantize(64)  # noise does not compress: a third of the bytes
    with console.atomic_write(path) as partial:
        few_colours.save(partial, format="png", optimize=True)


def main(argv=None):
    """Make every picture."""
    parser = console.Parser(__doc__)
    parser.add_argument("--out", metavar="DIR", default=ROOT / "docs" / "scenes", help="(default: docs/scenes)")
    args = parser.parse_args(argv)
    out = console.folder_for_output(args.out)
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([sys.executable, str(ROOT / "tools" / "make_demo_audio.py"), "--root", work], check=True,
                       stdout=subprocess.DEVNULL)
        params = Params()
        audio = AudioCache(params)
        talkers, noises = (find_audio(Path(work) / name, "--x", params.excerpt_length, params)[0]
                           for name in ("SpeechTRAIN", "NoiseTRAIN"))
        steady = next(noise for noise in noises if "pink" in noise.name)
        given = audio.speech(talkers[0]), audio.noise(steady), audio.speech(talkers[1])
    plain = cues_of({}, *given)
    for name, (title, changes) in console.progress(SCENES.items(), desc="pictures"):
        picture(title, plain, cues_of(changes, *given), out / f"{name}.png")
    print(f"{out}: {len(SCENES)} pictures.")


if __name__ == "__main__":
    sys.exit(console.run(main))
