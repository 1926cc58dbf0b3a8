"""Trains the CNN on the shards of SpatialiseTRAIN.py and keeps the best and the last epoch.

    python TrainingCNN.py                                   # BinSL_TRAIN -> checkpoints/best.keras, last.keras
    python TrainingCNN.py --resume                          # go on after an interruption
    python TrainingCNN.py --loss mse --out checkpoints_mse  # squared error, as in the original

A quarter of the speech files is kept for validation. Without --epochs there are as many as see 300,000 samples (8 to
12 minutes on 2 cores), 2 at least and 500 at most.
"""
import sys
from dataclasses import replace

import console
import dataset
from console import BadInput
from params import LOSSES, Params


def parse_args(argv=None):
    """Flags of this script: (Params, the other arguments)."""
    default = Params()
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", default="BinSL_TRAIN", help="training shards (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", default="checkpoints", help="models, history (default: %(default)s)")
    parser.add_argument("--loss", choices=LOSSES, default=default.loss, help="(default: %(default)s)")
    parser.add_argument("--epochs", metavar="N", type=int, help="(default: by the number of samples, see above)")
    parser.add_argument("--batch-size", metavar="N", type=int, default=default.batch_size,
                        help="(default: %(default)s)")
    parser.add_argument("--learning-rate", metavar="X", type=float, default=default.learning_rate,
                        help="at its highest (default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=default.seed, help="(default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on from the last finished epoch in --out")
    parser.add_argument("--overwrite", action="store_true", help="replace the model that is in --out")
    args = parser.parse_args(argv)
    if args.epochs is not None and not 1 <= args.epochs <= 100_000:
        raise BadInput(f"--epochs {args.epochs} is not possible: it takes 1 to 100000.")
    return replace(default, loss=args.loss, batch_size=args.batch_size, learning_rate=args.learning_rate,
                   seed=args.seed), args


def main(argv=None):
    """Train."""
    params, args = parse_args(argv)
    shards = dataset.open_shards(args.data, params, "SpatialiseTRAIN.py")
    training, validation = dataset.split(shards, params)
    out = console.folder_for_output(args.out)
    resume = args.resume and (out / "last.keras").exists()
    if args.resume and not resume:
        console.notice(f"{out} holds nothing to resume; starting with the first epoch.")
    if (out / "last.keras").exists() and not (args.resume or args.overwrite):
        raise BadInput(f"{out} already holds a trained model; go on with --resume, choose another --out, or replace it "
                       "with --overwrite.")

    import training as loop  # here, not above: TensorFlow takes seconds, and a wrong flag should not wait for it

    count = dataset.count_samples(training)
    epochs = args.epochs or loop.epochs_for(count, params)
    print(f"{count} training and {dataset.count_samples(validation)} validation samples of {len(shards)} shards, "
          f"{epochs} epochs, loss: {params.loss}.", flush=True)
    history = loop.fit(training, validation, params, epochs, out, resume)
    best = min(history, key=lambda row: row["validation_loss"])
    print(f"{out}: best.keras is epoch {best['epoch']}, {best['validation_within_5_deg_percent']:.1f} % of the "
          f"validation samples within 5 degrees; last.keras is epoch {history[-1]['epoch']}; history.csv, history.png.")


if __name__ == "__main__":
    sys.exit(console.run(main))
