"""Whether the shards keep up with the network: samples per second of the feed, of the network, and of both together.

    python benchmarks/feed.py [--data BinSL_TRAIN]     # without shards there, makes some in a temporary folder
"""
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import dataset
from params import Params
from training import READ_AHEAD

SAMPLES = 12_000  # of each measurement


def stream(blocks, params, seed):
    """Batches as training reads them, again and again."""
    for epoch in itertools.count():
        yield from dataset.batches(blocks, params.batch_size, params.blocks_mixed, np.random.default_rng([seed, epoch]))


def rate(step, items):
    """Samples per second of `step` until SAMPLES are seen; the first step, which compiles, does not count."""
    items = iter(items)
    step(*next(items))
    begin, seen = time.perf_counter(), 0
    while seen < SAMPLES:
        samples, azimuth_deg = next(items)
        result = step(samples, azimuth_deg)
        seen += len(samples)
    if result is not None:
        float(result)  # wait for the last step
    return seen / (time.perf_counter() - begin)


def main(argv=None):
    """Measure and print."""
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", default="BinSL_TRAIN", help="shards (default: %(default)s)")
    args = parser.parse_args(argv)
    params = Params()
    from model import Network

    with tempfile.TemporaryDirectory(dir=".", prefix="benchmark-") as work:
        data = Path(args.data)
        if not list(data.glob("*.npz")):
            print(f"{data} holds no shards: making some of demo audio.", flush=True)
            subprocess.run([sys.executable, str(ROOT / "tools" / "make_demo_audio.py"), "--root", work], check=True,
                           stdout=subprocess.DEVNULL)
            data = Path(work) / "shards"
            subprocess.run([sys.executable, str(ROOT / "SpatialiseTRAIN.py"), "--speech", Path(work) / "SpeechTRAIN",
                            "--noise", Path(work) / "NoiseTRAIN", "--out", data], check=True)
        blocks, _ = dataset.split(dataset.open_shards(data, params, "SpatialiseTRAIN.py"), params)
        network = Network(params)
        in_memory = next(stream(blocks, params, 0))

        def train(samples, azimuth_deg):
            return network.train(samples, azimuth_deg, params.learning_rate)

        for turn in range(2):
            feed = rate(lambda *_: None, stream(blocks, params, turn))
            memory = rate(train, itertools.repeat(in_memory))
            together = rate(train, dataset.read_ahead(stream(blocks, params, turn), READ_AHEAD))
            print(f"feed alone {feed:6.0f} samples/s   network from memory {memory:5.0f}   network from shards "
                  f"{together:5.0f}   ratio shards / memory {together / memory:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(console.run(main))
