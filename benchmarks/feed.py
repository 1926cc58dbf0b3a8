"""Whether the data keep up with the network: samples per second of the feed, of the network, and of both together.

    python benchmarks/feed.py                         # shards, mixing on the fly, and --world; several minutes
    python benchmarks/feed.py --data BinSL_TRAIN      # your own shards in place of some that are made of demo audio

Feed and network share the processors, so together they are slower than the slower one alone. "of both busy" compares
with the rate at which each sample costs the time of the feed plus that of the network.
"""
import itertools
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
from params import WORLD, Params
from shards import on_the_fly, spatialise
from shards.audio import find_audio
from shards.feeds import ShardFeed
from shards.files import open_shards

# What a WavFeed mixes at once.
SAMPLES = on_the_fly.CHUNKS_MIXED * on_the_fly.SCENES * on_the_fly.NOISES * on_the_fly.AZIMUTHS


def rate(step, items, first=SAMPLES):
    """Measure samples per second of `step` over SAMPLES, after `first` ones during which all fills and compiles."""
    items = iter(items)
    begin, seen, result = time.perf_counter(), -first, None
    while seen < SAMPLES:
        samples, azimuth_deg = next(items)
        if seen < 0 <= seen + len(samples):
            begin = time.perf_counter()
        result = step(samples, azimuth_deg)
        seen += len(samples)
    if result is not None:
        float(result)  # wait for the last step
    return seen / (time.perf_counter() - begin)


def endless(feed):
    """Give the batches of one epoch after the other."""
    for epoch in itertools.count(1):
        yield from feed.training(epoch)


def measure(name, feed, network):
    """Print the three rates of a feed."""
    params = feed.params
    in_memory = next(endless(feed))

    def train(samples, azimuth_deg):
        return network.train(samples, azimuth_deg, params.learning_rate)

    alone = rate(lambda *_: None, endless(feed))
    memory = rate(train, itertools.repeat(in_memory), first=1000)
    together = rate(train, endless(feed))
    print(f"{name:<14} feed alone {alone:6.0f} samples/s   network alone {memory:5.0f}   together {together:5.0f}   "
          f"of the network's {together / memory:.2f}   of both busy {together * (1 / alone + 1 / memory):.2f}",
          flush=True)


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", help="shards to read (default: some made of demo audio)")
    parser.add_argument("--workers", metavar="N", type=int, default=os.cpu_count(),
                        help="processes that mix (default: one for each processor)")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure and print."""
    args = parse_args(argv)
    params = Params()
    from network.model import Network

    network = Network(params)
    with tempfile.TemporaryDirectory(dir=".", prefix="benchmark-") as work:
        subprocess.run([sys.executable, str(ROOT / "tools" / "make_demo_audio.py"), "--root", work], check=True,
                       stdout=subprocess.DEVNULL)
        folders = [Path(work) / "SpeechTRAIN", Path(work) / "NoiseTRAIN"]
        data = Path(args.data or Path(work) / "shards")
        if not args.data:
            subprocess.run([sys.executable, str(ROOT / "SpatialiseTRAIN.py"), "--speech", folders[0], "--noise",
                            folders[1], "--out", data], check=True, stdout=subprocess.DEVNULL)
        measure("shards", ShardFeed([open_shards(data, params, "SpatialiseTRAIN.py")], params), network)
        speech, noise = (find_audio(folder, "the demo's", params.excerpt_length, params)[0] for folder in folders)
        for name, scenes in (("wavs", params), ("wavs --world", replace(params, **WORLD))):
            heads, scenes = spatialise.load_heads(scenes)
            with on_the_fly.WavFeed(speech, noise, heads, scenes, scenes.scenes, 10 ** 6, args.workers) as feed:
                measure(name, feed, network)


if __name__ == "__main__":
    sys.exit(console.run(main))
