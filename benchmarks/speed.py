"""Speed and memory of everything, as ratios side by side: `make bench` writes benchmarks/RESULTS.md.

    python benchmarks/speed.py                        # about half an hour on 2 cores that do nothing else
    python benchmarks/speed.py --only feed network    # parts alone, printed
"""
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import console
from benchmarks import feed, network, ratios, reading, scripts, spatialise

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
PARTS = {"spatialise": ("SpatialiseTRAIN.py", spatialise), "reading": ("Reading shards, and the cues", reading),
         "feed": ("The feed beside the network", feed), "network": ("The network, and Localise.py", network),
         "scripts": ("Start-up and memory", scripts)}


def parse_args(argv=None):
    """Flags of this script."""
    parser = ratios.parser(__doc__)
    parser.add_argument("--only", metavar="PART", nargs="+", choices=PARTS,
                        help=f"print these of {', '.join(PARTS)}, and leave the file as it is")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure each part, and write the page."""
    args = parse_args(argv)
    pages = [f"# Speed and memory\n\nMade by `make bench` on {date.today()}; nothing here is written by hand. "
             f"{ratios.machine_in_words()} Medians of {args.repetitions} repetitions, in brackets the least and the "
             "greatest. Every repetition measures each row once, one after the other."]
    for name in args.only or PARTS:
        title, part = PARTS[name]
        pages.append(f"## {title}\n\n`python benchmarks/{name}.py`\n\n{part.measure(args.repetitions, args.disk)}")
        print(pages[-1], flush=True)
    if not args.only:
        with console.atomic_write(RESULTS) as partial:
            partial.write_text("\n\n".join(pages) + "\n", encoding="utf-8")
        print(RESULTS)


if __name__ == "__main__":
    sys.exit(console.run(main))
