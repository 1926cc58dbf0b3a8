"""Whether the data keep up with the network: samples per second of the feed, of the network, and of both together.

    python benchmarks/feed.py                         # shards, mixing on the fly, and --world; about 6 minutes
    python benchmarks/feed.py --workers 8             # processes that mix

Feed and network share the processors, so on few of them both together are slower than the slower one alone. "both in
turn" is the rate at which each sample costs the time of the feed plus that of the network: more is work side by side.
"""
import itertools
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
from benchmarks import ratios
from benchmarks.spatialise import demo_files, demo_shards
from params import WORLD, Params
from shards import on_the_fly, spatialise
from shards.audio import find_audio
from shards.feeds import ShardFeed
from shards.files import open_shards

SAMPLES = 4096                   # of a measurement
EPOCH_SAMPLES = 10 ** 6          # of the feed on the fly: more than are measured


def endless(feed):
    """Give the batches of one epoch after the other."""
    for epoch in itertools.count(1):
        yield from feed.training(epoch)


def of_feed(feed, network, repetitions):
    """Measure the feed alone, the network on one batch in memory, and both together: a table."""
    stream = endless(feed)
    in_memory = next(stream)

    def through(items, step):
        def work():
            seen, result = 0, None
            while seen < SAMPLES:
                batch = next(items)
                result, seen = step(batch), seen + len(batch[0])
            if result is not None:
                float(result)  # wait for the last step
        return work

    def train(batch):
        return network.train(batch[0], batch[1], feed.params.learning_rate)

    rates = ratios.alternately({name: ratios.per_second(SAMPLES, work) for name, work in (
        ("feed alone", through(stream, lambda _: None)),
        ("network alone", through(itertools.repeat(in_memory), train)),
        ("together", through(stream, train)))}, repetitions)
    rates["both in turn"] = 1 / (1 / rates["feed alone"] + 1 / rates["network alone"])
    return ratios.table("samples/s", rates, dict.fromkeys(("together", "both in turn"), ["network alone"]))


def measure(repetitions, disk=".", workers=None):
    """Measure the three feeds: markdown."""
    params, tables, workers = Params(), {}, workers or console.processors()
    from network.model import Network

    network = Network(params)
    with tempfile.TemporaryDirectory(dir=disk, prefix="benchmark-") as work:
        work = Path(work)
        demo_files(work, params)
        demo_shards(work, work / "shards")
        shards = open_shards(work / "shards", params, "SpatialiseTRAIN.py")
        tables["shards"] = of_feed(ShardFeed([shards], params), network, repetitions)
        speech, noise = (find_audio(work / folder, "the demo's", params.excerpt_length, params)[0]
                         for folder in ("speech", "noise"))
        for name, scenes in (("--from-wavs", params), ("--from-wavs --world", replace(params, **WORLD))):
            heads, scenes = spatialise.load_heads(scenes)
            with on_the_fly.WavFeed(speech, noise, heads, scenes, scenes.scenes, EPOCH_SAMPLES, workers) as feed:
                tables[f"{name}, {workers} processes that mix"] = of_feed(feed, network, repetitions)
    return "\n\n".join(f"Training from {name}:\n\n{each}" for name, each in tables.items())


def main(argv=None):
    """Measure and print."""
    parser = ratios.parser(__doc__)
    parser.add_argument("--workers", metavar="N", type=int, help="processes that mix (default: one for each processor)")
    args = parser.parse_args(argv)
    print(measure(args.repetitions, args.disk, args.workers))


if __name__ == "__main__":
    sys.exit(console.run(main))
