"""Speed of reading shards beside np.load, and of the cues beside librosa.

    python benchmarks/reading.py                      # about a minute

"as training reads them" are shuffled batches; "in order" is every sample once. Both check what they read.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import features
from benchmarks import ratios
from benchmarks.spatialise import demo_files, demo_shards
from params import Params
from shards.feeds import batches, blocks_of, count_samples
from shards.files import open_shards

SAMPLES_OF_CUES = 64


def of_shards(work, params, repetitions):
    """Measure reading every sample of a folder: a table."""
    demo_files(work, params)
    demo_shards(work, work / "shards")
    shards = open_shards(work / "shards", params, "SpatialiseTRAIN.py")
    blocks = blocks_of(shards, params.block_samples)
    chunk_blocks = params.in_memory_of(params.blocks_mixed)

    def read(rng=None):
        for _ in batches(blocks, params.batch_size, chunk_blocks, rng):
            pass

    def load():
        for shard in shards:
            with np.load(shard.path) as stored:
                stored["samples"]

    rates = ratios.alternately({name: ratios.per_second(count_samples(blocks), work) for name, work in (
        ("np.load of the same files", load), ("shards in order", read),
        ("shards as training reads them", lambda: read(np.random.default_rng(0))))}, repetitions)
    return ratios.table("samples/s", rates, dict.fromkeys(list(rates)[1:], ["np.load of the same files"]))


def of_cues(params, repetitions):
    """Measure the cues of signals at the ears, beside the same by librosa: a table."""
    import librosa

    rng = np.random.default_rng(0)
    ears = rng.standard_normal((SAMPLES_OF_CUES, 2, params.sample_length)).astype(np.float32)

    def by_librosa():
        for sample in ears:
            left, right = librosa.stft(sample, n_fft=params.stft_window_samples, hop_length=params.stft_hop_samples,
                                       window="hamming", center=False)
            ratio = (right + 1e-20) / (left + 1e-20)
            np.stack((np.angle(ratio), 20 * np.log10(np.abs(ratio))), axis=-1)

    def ours():
        for sample in ears:
            features.from_ears(sample, params)

    rates = ratios.alternately({name: ratios.per_second(len(ears), work) for name, work in (
        ("librosa", by_librosa), ("features.py", ours))}, repetitions)
    return ratios.table("samples/s", rates, {"features.py": ["librosa"]})


def measure(repetitions, disk="."):
    """Measure everything here: markdown."""
    params = Params()
    with tempfile.TemporaryDirectory(dir=disk, prefix="benchmark-") as work:
        shards = of_shards(Path(work), params, repetitions)
    return f"{shards}\n\nIPD and ILD of signals at the ears:\n\n{of_cues(params, repetitions)}"


def main(argv=None):
    """Measure and print."""
    args = ratios.parser(__doc__).parse_args(argv)
    print(measure(args.repetitions, args.disk))


if __name__ == "__main__":
    sys.exit(console.run(main))
