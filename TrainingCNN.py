"""Trains the CNN on the shards of SpatialiseTRAIN.py, or straight from wavs, and keeps the best and the last epoch.

    python TrainingCNN.py                                   # BinSL_TRAIN -> checkpoints/best.keras, last.keras
    python TrainingCNN.py --resume                          # go on after an interruption
    python TrainingCNN.py --model original --out checkpoints_original   # the original's network and loss
    python TrainingCNN.py --from-wavs --samples 500000      # SpeechTRAIN x NoiseTRAIN mixed on the fly, without shards
    python TrainingCNN.py --from-wavs --world               # every kind of scene: docs/scenes.md
    python TrainingCNN.py --from pretrained/best.keras --data BinSL_MINE --learning-rate 1e-4   # go on from a model

It takes every GPU of the machine, and many machines with TF_CONFIG: docs/cluster.md, "Train on many machines".
A quarter of the speech files is kept for validation. Without --epochs or --samples training sees about 300,000 samples
(4 to 10 minutes on 2 cores).

The networks are network/cnn.py (the default) and network/original.py, the loop is network/training.py.
"""
import console

if __name__ == "__main__":
    console.end_at_ctrl_c()  # while what follows is imported

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from console import BadInput
from network.workers import this_worker
from params import LOSSES, MODELS, PRECISIONS, Params, flag_of
from shards import flags, spatialise
from shards.feeds import ShardFeed, Share
from shards.files import open_shards
from shards.folder import only_run

NETWORKS = {"cnn": "cnn, the default (network/cnn.py)",
            "original": "original, the CNN of CNNBSL (network/original.py)"}
LOSS_NAMES = {"distribution": "distribution, cross-entropy with soft labels over 37 azimuths",
              "mse": "mse, squared error in degrees"}


def parse_args(argv=None):
    """Flags of this script: (Params, the other arguments)."""
    default = Params()
    parser = console.Parser(__doc__)
    parser.add_argument("--data", metavar="DIR", nargs="+", help="folders of training shards (default: BinSL_TRAIN)")
    parser.add_argument("--weights", metavar="W", nargs="+", type=float,
                        help="how often an epoch uses the samples of each folder of --data (default: once)")
    parser.add_argument("--from", metavar="MODEL", nargs="+", dest="origins", default=[],
                        help="begin with the weights of a trained model (docs/recordings.md), or with the mean of "
                             "several that continued from one model")
    parser.add_argument("--from-wavs", action="store_true",
                        help="mix on the fly for every batch instead of reading shards")
    parser.add_argument("--samples", metavar="N", type=int,
                        help=f"from wavs: number of samples to train on (default: {default.samples_to_see})")
    parser.add_argument("--own-head-share", metavar="SHARE", type=float,
                        help="from wavs: share of the mixtures compared with their own head's templates, which "
                             "teaches the model to use --head (default: 0)")
    parser.add_argument("--workers", metavar="N", type=int,
                        help="from wavs: processes that mix (default: one for each processor)")
    parser.add_argument("--out", metavar="DIR", default="checkpoints", help="models and history (default: %(default)s)")
    parser.add_argument("--model", choices=MODELS, default=default.model,
                        help="cnn, or the network of the original, CNNBSL (default: %(default)s)")
    parser.add_argument("--loss", choices=LOSSES,
                        help=f"(default: {default.loss}; for the original network mse, squared error)")
    parser.add_argument("--epochs", metavar="N", type=int, help="(default: by the number of samples, see above)")
    parser.add_argument("--batch-size", metavar="N", type=int, default=default.batch_size,
                        help="(default: %(default)s)")
    parser.add_argument("--learning-rate", metavar="X", type=float, default=default.learning_rate,
                        help="the greatest of the schedule (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default=default.precision,
                        help="precision of the large matrix products; docs/cluster.md says when another is faster "
                             "(default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=default.seed, help="(default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on from the last finished epoch in --out")
    parser.add_argument("--overwrite", action="store_true", help="replace the model that is in --out")
    parser.add_argument("--skip-bad", action="store_true", default=None,
                        help="read all shards first, and train without those that are damaged")
    scene_flags = flags.add_scene_flags(parser, "TRAIN")
    args = parser.parse_args(argv)
    for flag, most in (("epochs", 100_000), ("samples", 10 ** 10), ("workers", 256)):
        value = getattr(args, flag)
        if value is not None and not 1 <= value <= most:
            raise BadInput(f"--{flag} {value} is not possible: it takes 1 to {most}.")
    folders = len(args.data or ["BinSL_TRAIN"])
    if args.weights and (len(args.weights) != folders or not all(0 < weight <= 1e4 for weight in args.weights)):
        given = " ".join(f"{weight:g}" for weight in args.weights)
        raise BadInput(f"--weights {given} is not possible: it takes a number above 0 for each of the {folders} "
                       "folder(s) of --data.")
    idle = (("data", "weights", "epochs", "skip_bad") if args.from_wavs else
            ("samples", "workers", "own_head_share", *scene_flags))
    for flag in idle:
        if getattr(args, flag) is not None:
            why = ("does nothing with --from-wavs; leave one of them out (--samples says how long to train)."
                   if args.from_wavs else "does nothing without --from-wavs; shards are what SpatialiseTRAIN.py made.")
            raise BadInput(f"{flag_of(flag)} {why}")
    params = flags.scene_params(args, "TRAIN") if args.from_wavs else default
    for origin in args.origins:
        if not Path(origin).exists():
            raise BadInput(f"--from {origin} does not exist; name a .keras file that TrainingCNN.py wrote, or its "
                           "folder.")
    loss = args.loss or ("mse" if args.model == "original" else default.loss)
    if args.own_head_share and args.model == "original":
        raise BadInput("--own-head-share does nothing with --model original, which compares with no head; leave it "
                       "out.")
    return replace(params, own_head_share=args.own_head_share or 0.0, model=args.model, loss=loss,
                   batch_size=args.batch_size, learning_rate=args.learning_rate, precision=args.precision,
                   seed=args.seed), args


def main(argv=None):
    """Train a network on shards, or on mixtures made on the fly."""
    params, args = parse_args(argv)
    worker = this_worker()
    share = Share(worker.index, worker.count)
    print(f"Network: {NETWORKS[params.model]}; loss: {LOSS_NAMES[params.loss]}.", flush=True)
    if args.from_wavs:
        train(wav_feed(params, args, share), args, worker)
    else:
        folders = [open_shards(folder, params, "SpatialiseTRAIN.py", args.skip_bad)
                   for folder in args.data or ["BinSL_TRAIN"]]
        train(ShardFeed(folders, params, args.weights, share), args, worker)


def wav_feed(params, args, share):
    """Check the audio and the heads, and start the workers that mix them."""
    from shards.on_the_fly import WavFeed

    speech, noise, skipped = spatialise.find_speech_and_noise(args, params)
    if skipped:
        print(f"Skipped {skipped} bad file(s), named above.")
    spatialise.require_competing_talkers(speech, params)
    heads, params = spatialise.load_heads(params)
    return WavFeed(speech, noise, heads, params, spatialise.scenes_with(heads, params),
                   args.samples or params.samples_to_see, args.workers or console.processors(), share)


def train(feed, args, worker):
    """Run the epochs of a feed, which is closed in the end; of many workers the chief alone writes."""
    with feed, only_run(args.out) if worker.is_chief else nullcontext(console.folder_for_output(args.out)) as out:
        resume = args.resume and (out / "last.keras").exists()
        if args.resume and not resume:
            console.warn(f"{out} holds nothing to resume; starting with the first epoch.")
        if (out / "last.keras").exists() and not (args.resume or args.overwrite):
            raise BadInput(f"{out} already holds a trained model; go on with --resume, choose another --out, or "
                           "replace it with --overwrite.")

        # Here, not above: TensorFlow takes seconds, and a wrong flag should not wait for it.
        from network import devices, training

        epochs = args.epochs or feed.epochs
        print(f"{feed.training_count} training and {feed.validation_count} validation samples an epoch of "
              f"{feed.title}, {epochs} epochs.", flush=True)
        history = training.fit(feed, epochs, out, resume, args.origins, devices.Devices(worker))
    best = min(history, key=lambda row: row["validation_loss"])
    print(f"{out}: best.keras is epoch {best['epoch']}, {best['validation_within_5_deg_percent']:.1f} % of the "
          f"validation samples within 5 degrees; last.keras is epoch {history[-1]['epoch']}; history.csv, history.png.")


if __name__ == "__main__":
    sys.exit(console.run(main))
