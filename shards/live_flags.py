"""The flags of Localise.py --live, in a group of their own."""
from console import BadInput
from params import flag_of

OF_LIVE = ("device", "window_s", "record", "json", "osc")
OF_RECORDINGS = ("out", "format", "html")   # what is written of files


def add_live_flags(parser, params):
    """Add the flags to an argument parser; defaults are those of Params."""
    group = parser.add_argument_group("listening to a sound card (pip install -r requirements-live.txt)")
    group.add_argument("--live", action="store_true", help="listen to a two-channel input instead of files")
    group.add_argument("--list-devices", action="store_true", help="list the inputs of this computer, and end")
    group.add_argument("--device", metavar="NAME_OR_NUMBER",
                       help="the input of --live: its number, or a part of its name (default: the system's)")
    group.add_argument("--window-s", metavar="S", type=float,
                       help=f"seconds of sound for each answer: less answers sooner, more is surer (default: "
                            f"{params.live_window_s:g})")
    group.add_argument("--record", metavar="FILE", help="keep what is heard, in a .flac or a .wav")
    group.add_argument("--json", action="store_true", help="write a line of JSON for each answer in place of the bar")
    group.add_argument("--osc", metavar="HOST:PORT", help="also send each answer as OSC messages, to audio software")


def check_live_flags(parser, args):
    """Raise BadInput for flags that do nothing without --live, or with it, or with --list-devices."""
    for name in vars(args).keys() - {"list_devices", "recordings"} if args.list_devices else ():
        if getattr(args, name) != parser.get_default(name):
            raise BadInput(f"{flag_of(name)} does nothing with --list-devices; leave it out.")
    for name, needs_live in (*((each, True) for each in OF_LIVE), *((each, False) for each in OF_RECORDINGS)):
        if getattr(args, name) != parser.get_default(name) and args.live != needs_live:
            instead = "use --format json" if name == "json" and args.recordings else "leave it out"
            raise BadInput(f"{flag_of(name)} does nothing {'without' if needs_live else 'with'} --live; {instead}.")
