"""Trains the model that ships: nine runs of TrainingCNN.py, one after the other; about 8 hours on 2 cores.

    python tools/make_shipped_model.py --people DIR --dry-run    # print the commands
    python tools/make_shipped_model.py --people DIR              # SpeechTRAIN x NoiseTRAIN, the heads of DIR
                                                                 # -> checkpoints_shipped/9/best.keras

DIR holds people's heads as SOFA files: cipic_*.sofa and sadie1_*.sofa. pretrained/MODEL_CARD.md says which, which
audio, and how the runs that made the shipped file differed. A run that was
interrupted goes on where it stopped. pretrained/ is left as it is: copy the last best.keras there yourself.
"""
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
from console import BadInput

EVERY_RUN = ("--from-wavs --world --azimuth-deg " + " ".join(f"{2.5 * step:g}" for step in range(-36, 37))).split()
ONE_HEAD = ("--rt60-s 0.1 1.0 --drr-db -3 15 --mic-level-db 1 --mic-colour-db 0.5 --band-limit-share 0 "
            "--other-sounds-share 0")
PEOPLE = ("--hrir-weights 3 4 3 --own-head-share 0.5 --head-size 0.93 1.07 --head-colour-db 2 --side-level-db -12 1 "
          "--head-share 0.6 --room-share 0.6 --noise-field diffuse mixed talker diotic --snr-range-db -12 30")
UNEVEN_HEADS = "--side-level-db -12 1 --head-share 0.9 --room-share 0.7 --noise-field diffuse mixed talker diotic"
RUNS = [f"{ONE_HEAD} {flags}".split() for flags in (  # each begins with the best weights of the one before
    "--side-level-db 0 0 --snr-range-db -12 25 --samples 1700000",
    "--side-level-db -12 2 --head-share 0.8 --noise-field diffuse mixed talker diotic --snr-range-db -12 25 "
    "--samples 1300000 --learning-rate 8e-4",
    "--side-level-db -12 0 --head-share 0.9 --room-share 0.7 --noise-field diffuse mixed --snr-range-db -12 20 "
    "--samples 1700000 --learning-rate 8e-4",
    f"{UNEVEN_HEADS} --snr-range-db -12 25 --samples 1200000 --learning-rate 8e-4 --seed 3",
    f"{UNEVEN_HEADS} --snr-range-db -12 25 --samples 1100000 --learning-rate 8e-4 --seed 4",
    f"{UNEVEN_HEADS} --snr-range-db -12 25 --samples 222000 --learning-rate 6e-4 --seed 5",
    f"{UNEVEN_HEADS} --snr-range-db -12 25 --samples 16384 --learning-rate 1e-5 --seed 6",
)]
RUNS_WITH_PEOPLE = [f"{PEOPLE} {flags}".split() for flags in (
    "--samples 1000000 --learning-rate 6e-4",
    "--samples 16384 --learning-rate 1e-6 --seed 1",  # measures the uncertainty, and when there is no source
)]


def parse_args(argv=None):
    """Flags of this script."""
    parser = console.Parser(__doc__)
    parser.add_argument("--out", metavar="DIR", default="checkpoints_shipped", help="(default: %(default)s)")
    parser.add_argument("--people", metavar="DIR", type=Path, required=True,
                        help="heads of people: SOFA files named cipic_*.sofa and sadie1_*.sofa")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and run nothing")
    return parser.parse_args(argv)


def main(argv=None):
    """Run TrainingCNN.py for each of RUNS, or print the commands."""
    args = parse_args(argv)
    for flags in training_flags(Path(args.out), args.people):
        command = [sys.executable, str(ROOT / "TrainingCNN.py"), *flags]
        if args.dry_run:
            print(shlex.join(["python", "TrainingCNN.py", *flags]))
        elif subprocess.run([*command, "--resume"]).returncode:
            raise BadInput("TrainingCNN.py ended early; run the same command again to go on.")


def training_flags(out, people):
    """List the flags of each run, whose models lie in the folders 1, 2, ... of `out`."""
    heads = ["--hrir", "mit_kemar", str(people / "cipic_*.sofa"), str(people / "sadie1_*.sofa")]
    runs = RUNS + [[*heads, *flags] for flags in RUNS_WITH_PEOPLE]
    return [[*EVERY_RUN, *flags, *(["--from", str(out / str(number - 1) / "best.keras")] if number > 1 else []),
             "--out", str(out / str(number))] for number, flags in enumerate(runs, 1)]


if __name__ == "__main__":
    sys.exit(console.run(main))
