"""What each step from the original network to the default one gains, on the same data and in the same time.

    python benchmarks/steps.py --audio DIR --hrtf DIR --people-train DIR --people DIR --room FILE     # about 30 minutes

--audio holds SpeechTRAIN, NoiseTRAIN, SpeechTEST and NoiseTEST. Every step trains for --minutes from random weights,
beside workers that mix its scenes; the learning rate falls as a cosine over that time. The first four steps see the
same scenes of one head again and again, as shards would give them. Scored are talkers, noises and heads of the test.
"""
import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import numpy as np

import console
from benchmarks import conditions, strangers
from network import likelihood
from params import WORLD, Params
from shards import spatialise
from shards.audio import find_audio
from shards.on_the_fly import WavFeed

SHARD_SAMPLES = 12_288          # that the first steps see again and again: 0.8 GB
PEOPLE = 8                      # of the test, each with strangers.MIXTURES_OF_PERSON mixtures
GRID_DEG = tuple(2.5 * step for step in range(-36, 37))
MIXTURES = 15                   # of a condition: every speaker with every noise once


class Step(NamedTuple):
    """A step: its name, how the network differs from the default one, what it hears."""

    name: str
    network: dict
    is_fresh: bool = False
    hears_world: bool = False
    hears_people: bool = False


STEPS = [
    Step("the original: squared error", {"model": "original", "loss": "mse"}),
    Step("loss: a distribution of 37 azimuths", {"model": "original", "loss": "distribution"}),
    Step("unit vectors, and filters of its own for each band", {"templates": False}),
    Step("templates of the head", {}),
    Step("never the same mixture twice", {}, is_fresh=True),
    Step("every kind of scene (--world)", {}, is_fresh=True, hears_world=True),
    Step("people's heads", {}, is_fresh=True, hears_world=True, hears_people=True),
]


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    for flag, what in (("audio", "SpeechTRAIN, NoiseTRAIN, SpeechTEST, NoiseTEST"),
                       ("people-train", "people's heads to train on"), ("people", "people's heads of the test"),
                       ("room", "a measured room, a SOFA file")):
        metavar = "FILE" if flag == "room" else "DIR"
        parser.add_argument(f"--{flag}", metavar=metavar, required=True, type=Path, help=what)
    parser.add_argument("--minutes", metavar="M", type=float, default=3.0, help="of each step (default: %(default)s)")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="that mix (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv=None):
    """Train and score every step, and print the table."""
    args, params = parse_args(argv), Params()
    print(f"{args.minutes:g} minutes a step.\n\n| step | samples seen | KEMAR, 6 / -6 dB | room, 6 dB | people, 20 dB |"
          "\n|---|---|---|---|---|", flush=True)
    for step in STEPS:
        network, seen = trained(step, args, params)
        kemar, room, people = scores(network, args, params)
        print(f"| {step.name} | {seen:,} | {kemar[6]:.0f} / {kemar[-6]:.0f} | {room:.0f} | {people:.0f} |", flush=True)


def trained(step, args, params):
    """Train the network of a step for so long: the Network, and how many samples it saw."""
    from network.model import Network
    from network.training import learning_rate_at

    values = (WORLD if step.hears_world else {}) | {"azimuth_deg": GRID_DEG}
    if step.hears_people:
        values |= {"hrir_set": ("mit_kemar", str(args.people_train)), "hrir_weights": (3, 7)}
    of_network = {name: value for name, value in step.network.items() if name != "templates"}
    params = replace(params, **values, **of_network)
    args.speech, args.noise, args.recordings = args.audio / "SpeechTRAIN", args.audio / "NoiseTRAIN", None
    speech, noise, _ = spatialise.find_speech_and_noise(args, params)
    heads, params = spatialise.load_heads(params)
    network = Network(params, {}, likelihood.template_cues(params) if step.network.get("templates", True) else None)
    with WavFeed(speech, noise, heads, params, {}, 10 ** 9, args.workers) as feed:
        batches = itertools.chain.from_iterable(feed.training(epoch) for epoch in itertools.count(1))
        if not step.is_fresh:
            batches = again_and_again(batches, params)
        network.train(*next(batches), 1e-9)                      # what is compiled takes no time of the step
        begin, seen = time.monotonic(), 0
        while (progress := (time.monotonic() - begin) / (60 * args.minutes)) < 1:
            samples, azimuth_deg = next(batches)
            network.train(samples, azimuth_deg, learning_rate_at(progress, params))
            seen += len(samples)
    return network, seen


def again_and_again(batches, params):
    """Keep the first SHARD_SAMPLES of some batches and yield them in ever new order."""
    kept = list(itertools.islice(batches, SHARD_SAMPLES // params.batch_size))
    samples, azimuth_deg = (np.concatenate(each) for each in zip(*kept))
    rng = np.random.default_rng(params.seed)
    while True:
        order = rng.permutation(len(samples))
        for at in range(0, len(order), params.batch_size):
            rows = np.sort(order[at:at + params.batch_size])
            yield samples[rows], azimuth_deg[rows]


def scores(network, args, params):
    """Score per cent within 5 degrees: of KEMAR a dict by SNR, in the room, and with people's heads."""
    speech, _ = find_audio(args.audio / "SpeechTEST", "--audio", params.excerpt_length, params)
    noise, _ = find_audio(args.audio / "NoiseTEST", "--audio", 1, params)
    systems = {"model": conditions.answers_of(network)}
    pairs = list(strangers.pairs_of(0, MIXTURES, speech, noise))

    def of(condition, source, pairs):
        head = conditions.head_of(condition, source, params)
        rows = conditions.rows_of(condition, conditions.measure(condition, systems, pairs, speech, head, params))
        return {row["snr_db"]: row["within_5_deg_percent"] for row in rows}

    kemar = of(conditions.Condition("steps", conditions.KEMAR, "diffuse", params.frames, conditions.GRID_DEG, (6, -6)),
               "mit_kemar", pairs)
    room = of(conditions.Condition("steps", args.room.stem, "diffuse", params.frames, conditions.GRID_DEG, (6,)),
              args.room, pairs)
    people = strangers.find_people(args.people)
    some = [people[at] for at in np.linspace(0, len(people) - 1, PEOPLE).round().astype(int)]
    of_people = [of(head.condition("steps", (20,)), head.source,
                    list(strangers.pairs_of(number, strangers.MIXTURES_OF_PERSON, speech, noise)))[20]
                 for number, head in enumerate(some)]
    return kemar, room[6], float(np.mean(of_people))


if __name__ == "__main__":
    sys.exit(console.run(main))
