"""What counts as a source: how often talkers in rooms and noise alone are answered, by the odds that are demanded.

    python benchmarks/odds.py --speech DIR --noise DIR --people DIR     # 20 minutes; what training hears will do

network/tracking.py holds the odds that a source must have against noise from all around, DEMANDED_ODDS. They are chosen
here, with speakers, noises and heads that no test uses: the least odds at which at most MOST_FALSE_PERCENT of diffuse
noise alone, with swells and without (--noise-swell-db), is taken for a source. Each track has 4 s. A talker is in a
simulated room in which reverberation is mostly louder than the direct sound. Noise is in the free field; that of the
last column is in such rooms, at unlike microphones.
"""
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import numpy as np

import console
import hrir
from network.balance import Balance
from network.opening import open_network, shipped_model
from network.tracking import DEMANDED_ODDS, Tracker, hop_frames_of
from params import WORLD, Params
from shards.audio import AudioCache, find_audio
from sound import mixing
from sound.noise_fields import noise_gain

ODDS = (0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 2.0, 5.0, 10.0)
MOST_FALSE_PERCENT = 2.0
FRAMES = 200                     # 4.02 s: 31 rows
WITHIN_DEG = 10
ONE_TALKER = WORLD | {"talkers": (1,), "noise_field": ("diffuse",), "snr_range_db": (10.0, 30.0),
                      "other_sounds_share": 0.0, "band_limit_share": 0.0, "noise_swell_db": 0.0}
ROOM = {"room_share": 1.0, "drr_db": (-8.0, 3.0), "rt60_s": (0.3, 1.0)}
FREE = {"room_share": 0.0, "head_share": 0.0, "mic_level_db": 1.0}
KINDS = {"talker in a room": ROOM, "noise": FREE, "noise that swells": FREE | {"noise_swell_db": 12.0},
         "noise that swells, in a room": ROOM | {"noise_swell_db": 12.0}}   # changes of ONE_TALKER
DECIDE = ("noise", "noise that swells")


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    for name, what in (("speech", "speech"), ("noise", "noise"), ("people", "SOFA files of people's heads")):
        parser.add_argument(f"--{name}", metavar="DIR", required=True, help=what)
    parser.add_argument("--model", metavar="FILE", type=Path, help="(default: the one that ships)")
    parser.add_argument("--tracks", metavar="N", type=int, default=400, help="of each kind (default: %(default)s)")
    return parser.parse_args(argv)


def ear_signals(kind, heads, speech, noise, count):
    """Mix `count` tracks of a kind: pairs of ear signals (n, 2) and the talker's azimuth, None of noise alone."""
    params = replace(Params(), frames=FRAMES, **(ONE_TALKER | KINDS[kind]))
    mixer, audio, rng = mixing.Mixer(params, heads), AudioCache(params), np.random.default_rng(0)
    for _ in range(count):
        talker = mixer.speech_at_ears(rng, audio.speech(speech[rng.integers(len(speech))]), count=1)
        around = mixer.noise_at_ears(rng, talker.scene, audio.noise(noise[rng.integers(len(noise))]))
        if kind.startswith("noise"):
            ears, azimuth_deg = around.signals, None
        else:
            gain = noise_gain(talker.front, around.signals, mixer.snrs_db(rng, around)[0])
            ears, azimuth_deg = talker.signals[0] + gain * around.signals, talker.azimuth_deg[0]
        yield (0.1 * ears / np.sqrt(np.mean(np.square(ears)))).astype(np.float32).T, azimuth_deg


def heard(tracks, network, odds):
    """Track ear signals: per cent of the rows that are answered, and that are right within WITHIN_DEG."""
    params, answered, right = Params(), [], []
    for ears, azimuth_deg in tracks:
        balance = Balance(params)
        balance.add(ears)
        tracker = Tracker(network.hear_rows, params, hop_frames_of(params), balance, demanded_odds=odds)
        tracker.push(ears)
        found_deg = tracker.track().azimuth_deg
        answered.append(np.isfinite(found_deg))
        right.append(np.abs(found_deg - (np.nan if azimuth_deg is None else azimuth_deg)) <= WITHIN_DEG)
    return 100 * np.mean(answered), 100 * np.mean(right)


def main(argv=None):
    """Measure, and print a table."""
    args, params = parse_args(argv), Params()
    speech, _ = find_audio(args.speech, "--speech", params.excerpt_length, params)
    noise, _ = find_audio(args.noise, "--noise", 1, params)
    directions_deg = mixing.directions_deg(params)
    heads = [hrir.load(name, params.sample_rate_hz, directions_deg)
             for name in ("mit_kemar", *hrir.sources_of(args.people))]
    network = open_network(args.model or shipped_model())
    tracks = {kind: list(ear_signals(kind, heads, speech, noise, args.tracks)) for kind in KINDS}
    print(f"| odds demanded | {' | '.join(KINDS)} |\n{'|---' * (len(KINDS) + 1)}|")
    least = None
    for odds in console.progress(ODDS, desc="odds"):
        found = {kind: heard(each, network, odds) for kind, each in tracks.items()}
        told = [f"{answered:.1f}" + ("" if kind.startswith("noise") else f", {right:.1f} right")
                for kind, (answered, right) in found.items()]
        print(f"| {odds:g} | {' | '.join(told)} |", flush=True)
        if least is None and np.mean([found[kind][0] for kind in DECIDE]) <= MOST_FALSE_PERCENT:
            least = odds
    print(f"The least odds with at most {MOST_FALSE_PERCENT:g} % of noise alone: {least}; network/tracking.py demands "
          f"{DEMANDED_ODDS:g}.")


if __name__ == "__main__":
    sys.exit(console.run(main))
