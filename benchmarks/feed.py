"""Whether the data keep up with the network: samples per second of the feed, of the network, and of both together.

    python benchmarks/feed.py                         # shards, fresh mixtures, and those of --world; several minutes
    python benchmarks/feed.py --data BinSL_TRAIN      # your own shards in place of some that are made of demo audio

Both mix on the processors that the network trains on, so together they are slower than the slower one alone; "of both
busy" is the rate if each sample costs the time of the feed plus that of the network.
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
import dataset
import fresh
import spatialise
from params import WORLD, Params

SAMPLES = fresh.LOTS_MIXED * fresh.PLACES * fresh.NOISES * fresh.AZIMUTHS  # what a WavFeed mixes at once


def rate(step, items, first=SAMPLES):
    """Samples per second of `step` until SAMPLES are seen, after `first` ones while all fills and compiles."""
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
    """Batches of one epoch after the other."""
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


def main(argv=None):
    """Measure and print."""
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", help="shards to read (default: some made of demo audio)")
    parser.add_argument("--workers", metavar="N", type=int, default=os.cpu_count(), help="(default: %(default)s)")
    args = parser.parse_args(argv)
    params = Params()
    from model import Network

    network = Network(params)
    with tempfile.TemporaryDirectory(dir=".", prefix="benchmark-") as work:
        subprocess.run([sys.executable, str(ROOT / "tools" / "make_demo_audio.py"), "--root", work], check=True,
                       stdout=subprocess.DEVNULL)
        folders = [Path(work) / "SpeechTRAIN", Path(work) / "NoiseTRAIN"]
        data = Path(args.data or Path(work) / "shards")
        if not args.data:
            subprocess.run([sys.executable, str(ROOT / "SpatialiseTRAIN.py"), "--speech", folders[0], "--noise",
                            folders[1], "--out", data], check=True, stdout=subprocess.DEVNULL)
        measure("shards", dataset.ShardFeed([dataset.open_shards(data, params, "SpatialiseTRAIN.py")], params), network)
        speech, noise = (dataset.find_audio(folder, "--x", params.excerpt_length, params)[0] for folder in folders)
        for name, scenes in (("wavs", params), ("wavs --world", replace(params, **WORLD))):
            heads, scenes = spatialise.load_heads(scenes)
            with fresh.WavFeed(speech, noise, heads, scenes, scenes.scenes, 10 ** 6, args.workers) as feed:
                measure(name, feed, network)


if __name__ == "__main__":
    sys.exit(console.run(main))
