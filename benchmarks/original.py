"""The original recipe, to compare with: its fixed excerpts and noise, its network, its squared error.

    python benchmarks/original.py          # -> benchmarks/original/best.keras; 13 GB of disk meanwhile, 10 minutes

Frames 20 to 69 of every speech file in noise that is the same at both ears and runs from its file's beginning, at -10
to 30 dB from 37 azimuths, all seen twice in random order; the network takes raw cues and learns degrees. What is not of
the recipe: the SNR is set over the excerpt, one gain for both ears, and the learning rate falls. Audio is that of
--audio (SpeechTRAIN, NoiseTRAIN), which is not part of the project.
"""
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
import dataset
import spatialise
import training
from params import Params

FIRST_FRAME = 20
EPOCHS = 2
BLOCKS_MIXED = 200  # 7,400 samples, 480 MB, are shuffled together


class FromTheBeginning(dataset.AudioCache):
    """Audio whose excerpts can begin at one place only."""

    def _clip(self, audio, make):
        begin = FIRST_FRAME * self.params.stft_hop_samples - self.params.lead_in_samples
        return super()._clip(audio, make)._replace(starts=np.array([begin]))


def train(shards, params, out):
    """Train on shards without shuffling frames or mirroring, and save."""
    from model import Network

    network, blocks = Network(params), dataset.blocks_of(shards, params.block_samples)
    rng, seen, total = np.random.default_rng(params.seed), 0, EPOCHS * dataset.count_samples(blocks)
    with console.progress(total=total, unit=" samples", desc="original recipe") as bar:
        for epoch in range(1, EPOCHS + 1):
            network.begin_epoch(epoch)
            shuffled = [blocks[i] for i in rng.permutation(len(blocks))]
            for samples, labels in dataset.batches(shuffled, BLOCKS_MIXED * params.block_samples, BLOCKS_MIXED):
                order = rng.permutation(len(labels))
                for chosen in np.split(order, range(params.batch_size, len(order), params.batch_size)):
                    rate = training.learning_rate_at(seen / total, params)
                    loss = network.train(samples[chosen], labels[chosen], rate)
                    seen += len(chosen)
                    bar.update(len(chosen))
                bar.set_postfix(loss=f"{float(loss):.0f}", refresh=False)
    network.save(out / "best.keras")


def main(argv=None):
    """Make the samples, train, remove the samples."""
    parser = console.Parser(__doc__)
    parser.add_argument("--audio", metavar="DIR", default=ROOT.parent / "shared" / "audio",
                        help="holds SpeechTRAIN and NoiseTRAIN (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default=ROOT / "benchmarks" / "original", help="(default: %(default)s)")
    args = parser.parse_args(argv)
    out = console.folder_for_output(args.out)
    params = replace(Params(), model="original", loss="mse", noise_field=("diotic",))
    dataset.AudioCache = FromTheBeginning
    with tempfile.TemporaryDirectory(dir=out, prefix="samples-") as samples:
        spatialise.main(__doc__, "TRAIN", [
            "--speech", str(Path(args.audio) / "SpeechTRAIN"), "--noise", str(Path(args.audio) / "NoiseTRAIN"),
            "--noise-field", "diotic", "--out", samples])
        train(dataset.open_shards(samples, params, "SpatialiseTRAIN.py"), params, out)
    print(f"{out / 'best.keras'}: the original recipe; accuracy.py takes it with --original.")


if __name__ == "__main__":
    sys.exit(console.run(main))
