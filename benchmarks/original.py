"""Trains the recipe of CNNBSL, the original, to compare with: fixed excerpts and noise, its network, squared error.

    python benchmarks/original.py --audio DIR    # -> benchmarks/original/best.keras; takes 13 GB of disk, 10 minutes

Frames 20 to 69 of every speech file are heard from 37 azimuths at -10 to 30 dB. The noise is diotic and runs from the
beginning of its file. The network takes raw cues, learns degrees, and sees every sample twice, in random order. Three
things differ from CNNBSL: the SNR is set over the excerpt, one gain serves both ears, and the learning rate falls.

The folder of --audio holds SpeechTRAIN and NoiseTRAIN; it is not part of the project.
"""
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
from params import Params
from shards import spatialise
from shards.audio import AudioCache
from shards.feeds import batches, blocks_of, count_samples
from shards.files import open_shards

FIRST_FRAME = 20
EPOCHS = 2
BLOCKS_MIXED = 200  # 7,400 samples, 480 MB, are shuffled together


class FixedExcerpts(AudioCache):
    """Audio whose excerpts begin at FIRST_FRAME, and nowhere else."""

    def _clip(self, audio, make):
        begin = FIRST_FRAME * self.params.stft_hop_samples - self.params.lead_in_samples
        return super()._clip(audio, make)._replace(starts=np.array([begin]))


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--audio", metavar="DIR", required=True, help="holds SpeechTRAIN and NoiseTRAIN")
    parser.add_argument("--out", metavar="DIR", default=ROOT / "benchmarks" / "original",
                        help="(default: benchmarks/original)")
    return parser.parse_args(argv)


def main(argv=None):
    """Make the samples, train, remove the samples."""
    args = parse_args(argv)
    out = console.folder_for_output(args.out)
    params = replace(Params(), model="original", loss="mse", noise_field=("diotic",))
    with tempfile.TemporaryDirectory(dir=out, prefix="samples-") as samples:
        spatialise.main(__doc__, "TRAIN", [
            "--speech", str(Path(args.audio) / "SpeechTRAIN"), "--noise", str(Path(args.audio) / "NoiseTRAIN"),
            "--noise-field", "diotic", "--out", samples], audio_cache=FixedExcerpts)
        train(open_shards(samples, params, "SpatialiseTRAIN.py"), params, out)
    print(f"{out / 'best.keras'}: the original recipe; accuracy.py takes it with --original.")


def train(shards, params, out):
    """Train on shards, without shuffling frames or mirroring, and save."""
    from network.model import Network
    from network.training import learning_rate_at

    network, blocks = Network(params), blocks_of(shards, params.block_samples)
    rng, seen, total = np.random.default_rng(params.seed), 0, EPOCHS * count_samples(blocks)
    with console.progress(total=total, unit=" samples", desc="original recipe") as bar:
        for epoch in range(1, EPOCHS + 1):
            network.begin_epoch(epoch)
            shuffled = [blocks[i] for i in rng.permutation(len(blocks))]
            for samples, labels in batches(shuffled, BLOCKS_MIXED * params.block_samples, BLOCKS_MIXED):
                order = rng.permutation(len(labels))
                for chosen in np.split(order, range(params.batch_size, len(order), params.batch_size)):
                    loss = network.train(samples[chosen], labels[chosen], learning_rate_at(seen / total, params))
                    seen += len(chosen)
                    bar.update(len(chosen))
                bar.set_postfix(loss=f"{float(loss):.0f}", refresh=False)
    network.save(out / "best.keras")


if __name__ == "__main__":
    sys.exit(console.run(main))
