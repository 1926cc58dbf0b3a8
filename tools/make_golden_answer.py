"""Makes tests/golden/answer.wav and answer.json: a second of sound, and what the model that ships answers.

    python tools/make_golden_answer.py                   # after each new pretrained/best.onnx

Whoever computes the cues and runs the file in another language (docs/export.md) compares with these. A test does so for
this code.
"""
import json
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import console
import features
import hrir
from network.light import LightNetwork
from network.segments import segments_in_use
from params import Params

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "tests" / "golden"
MODEL = ROOT / "pretrained" / "best.onnx"
AZIMUTH_DEG = 30.0
BINS, FRAMES_SHOWN = (1, 40, 160, 320), (0, 25, 49)   # whose cues are listed


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--model", metavar="MODEL.onnx", type=Path, default=MODEL, help="(default: the one that ships)")
    parser.add_argument("--out", metavar="DIR", type=Path, default=OUT, help="(default: tests/golden)")
    return parser.parse_args(argv)


def main(argv=None):
    """Write the sound and the answer."""
    args, params = parse_args(argv), Params()
    network, out = LightNetwork.load(args.model), console.folder_for_output(args.out)
    ears = sound(params)
    with console.atomic_write(out / "answer.wav") as partial:
        sf.write(partial, ears, params.sample_rate_hz, format="WAV", subtype="PCM_16")
    with console.atomic_write(out / "answer.json") as partial:
        partial.write_text(json.dumps(answer(network, ears, params), indent=1), encoding="utf-8")
    print(f"{out}: answer.wav, answer.json")


def sound(params):
    """Make a second of noise from AZIMUTH_DEG through the shipped head, in noise of each ear's own: (n, 2) int16."""
    rng = np.random.default_rng(0)
    response, = hrir.load("mit_kemar", params.sample_rate_hz, [AZIMUTH_DEG]).response
    source = rng.normal(0, 0.05, params.sample_length)
    ears = np.stack([np.convolve(source, ear)[:params.sample_length] for ear in response], axis=1)
    return np.round(2 ** 15 * (ears + rng.normal(0, 0.01, ears.shape))).astype(np.int16)


def answer(network, ears, params):
    """List some cues of ear signals (n, 2) int16, the scores of every segment, and the answer: a dict for JSON."""
    cues = features.from_ears(ears.T / 2 ** 15, params)
    segments = np.array(segments_in_use(params.frames, params))
    logits, presence, _ = network.scores(cues, segments)
    heard = network.hear(cues[np.newaxis])

    def rounded(values):
        return np.round(np.asarray(values, np.float64), 4).tolist()

    return {"cues": [{"bin": bin, "frame": frame, "ipd_rad": rounded(cues[bin, frame, 0]),
                      "ild_db": rounded(cues[bin, frame, 1])} for bin in BINS for frame in FRAMES_SHOWN],
            "segments": segments.tolist(), "distribution_logits": rounded(logits), "presence_logits": rounded(presence),
            "distribution": rounded(heard.distribution[0]), "presence": rounded(heard.presence[0]),
            "azimuth_deg": rounded(heard.answer.azimuth_deg[0]),
            "half_width_68_deg": rounded(heard.answer.half_width_68_deg[0])}


if __name__ == "__main__":
    sys.exit(console.run(main))
