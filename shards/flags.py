"""The flags of what is mixed, for both Spatialise scripts and for training on the fly: flags -> Params."""
from dataclasses import replace

import console
import hrir
from console import BadInput
from params import MOST_TALKERS, RANGES, TALKERS, WORLD, Params, flag_of


def parse_args(doc, split, argv=None):
    """Parse the flags of the Spatialise script of one split, "TRAIN" or "TEST": (Params, the other arguments)."""
    default = Params()
    parser = console.Parser(doc)
    parser.add_argument("--out", metavar="DIR", default=f"BinSL_{split}", help="npz shards (default: %(default)s)")
    parser.add_argument("--excerpts", metavar="N", type=int,
                        help=f"mixtures for each pair of files (default: {default.excerpts}; "
                             f"{default.excerpts_of_lone_speech} when there is one speech file)")
    parser.add_argument("--seed", metavar="N", type=int, default=default.seed, help="(default: %(default)s)")
    parser.add_argument("--jobs", metavar="N", type=int, default=None,
                        help="shards made at the same time (default: one for each processor)")
    parser.add_argument("--dask", metavar="ADDRESS",
                        help="make the shards on a Dask cluster: tcp://host:8786 or a scheduler file "
                             "(docs/cluster.md); needs requirements-cluster.txt")
    parser.add_argument("--listen", metavar="DIR", help="also write the first mixture, one wav for each azimuth")
    parser.add_argument("--overwrite", action="store_true",
                        help="remove the shards of --out that other parameters or files made")
    parser.add_argument("--recordings", metavar="DIR",
                        help="a folder of labelled two-channel recordings in place of speech (docs/recordings.md); "
                             "--noise adds noise to them")
    parser.add_argument("--channels", metavar=("LEFT", "RIGHT"), nargs=2, type=int, default=(),
                        help="which channels of --recordings with more than two are the ears, counted from 1")
    scene_flags = add_scene_flags(parser, split)
    args = parser.parse_args(argv)
    if args.dask and args.jobs is not None:
        raise BadInput("--jobs does nothing with --dask, whose workers have threads of their own; leave it out.")
    args.jobs = console.processors() if args.jobs is None else args.jobs
    if args.jobs < 1:
        raise BadInput(f"--jobs {args.jobs} is not possible: it takes 1 or more.")
    if args.recordings:
        _refuse_for_recordings(args, scene_flags)
    params = scene_params(args, split)
    if args.channels and not args.recordings:
        raise BadInput("--channels does nothing without --recordings; leave it out.")
    excerpts = default.excerpts if args.excerpts is None else args.excerpts
    return replace(params, channels=tuple(args.channels), seed=args.seed, excerpts=excerpts), args


def _refuse_for_recordings(args, scene_flags):
    """Raise BadInput for flags that do nothing for recordings, which bring their own head, room and azimuths."""
    of_noise = ("snr_db", "noise_field", "hrir", "hrir_weights", "left_right", "receivers")
    useful = ("frames", "noise", *(of_noise if args.noise else ()))
    for name in (*scene_flags, "excerpts", "listen"):
        if getattr(args, name) is not None and name not in useful:
            raise BadInput(f"{flag_of(name)} does nothing with --recordings{'' if args.noise else ' alone'}; leave it "
                           f"out{'' if args.noise or name not in of_noise else ', or add noise with --noise'}.")
    if {"talker", "mixed"} & set(args.noise_field or ()):
        raise BadInput("--noise-field talker and mixed need speech, which --recordings does not take; choose others.")


def add_scene_flags(parser, split):
    """Add the flags of what is mixed, which training on the fly takes too; None where they are not given.

    Returns their names as in the parsed arguments.
    """
    default = Params()

    def numbers(values):
        return " ".join(f"{value:g}" for value in values)

    group = parser.add_argument_group("what is mixed (docs/scenes.md shows what each does)")
    flags = [
        group.add_argument("--speech", metavar="DIR", help=f"speech files (default: Speech{split})"),
        group.add_argument("--noise", metavar="DIR", help=f"noise files (default: Noise{split})"),
        group.add_argument("--snr-db", metavar="SNR", nargs="+", type=float,
                           help=f"SNRs in dB (default: {numbers(_usual_snr_db(split))})"),
        group.add_argument("--noise-field", metavar="FIELD", nargs="+",
                           help="diffuse (from all around), diotic (the same at both ears), directional (a point "
                                "source), talker (a competing talker), mixed (diffuse and another); of several one is "
                                "drawn for each mixture (default: diffuse)"),
        group.add_argument("--frames", metavar="N", type=int,
                           help=f"duration of a sample, 10 to 200 frames of 20 ms (default: {default.frames})"),
        group.add_argument("--azimuth-deg", metavar="AZ", nargs="+", type=float,
                           help="where the speech comes from (default: -90 to 90 in steps of 5)"),
        group.add_argument("--hrir", metavar="SET", nargs="+",
                           help="heads, drawn for each mixture: mit_kemar or SOFA files, also of rooms, folders of "
                                "them or patterns like 'people/*.sofa' (default: mit_kemar)"),
        group.add_argument("--hrir-weights", metavar="W", nargs="+", type=float,
                           help="relative frequency of each entry of --hrir (default: every head alike)"),
        group.add_argument("--receivers", metavar=("LEFT", "RIGHT"), nargs=2, type=int,
                           help="which receivers of a SOFA file with more than two are the ears, counted from 1"),
        group.add_argument("--talkers", metavar="N", nargs="+", type=int,
                           help=f"talkers at a time, 0 to {MOST_TALKERS}; of several numbers one is drawn for each "
                                f"sample, 0 is noise alone (default: {numbers(default.talkers)})"),
        group.add_argument("--talker-level-db", metavar="DB", type=float,
                           help="how much weaker than the loudest talker the others are, at most (default: "
                                f"{default.talker_level_db:g})"),
        group.add_argument("--least-talker-distance-deg", metavar="DEG", type=float,
                           help=f"least between any two talkers (default: {default.least_talker_distance_deg:g})"),
        group.add_argument("--left-right", choices=hrir.LEFT_RIGHT,
                           help="sides of SOFA files: check against the data, keep, or mirror (default: check)"),
    ]
    for name, (_, _, what) in RANGES.items():
        value = getattr(default, name)
        is_range = isinstance(value, tuple)
        usual = f" (default: {numbers(value if is_range else [value])})" if value else " (default: off)"
        metavar = ("LOW", "HIGH") if is_range else "DB" if name.endswith("_db") else "SHARE"
        flags.append(group.add_argument(flag_of(name), type=float, nargs=2 if is_range else None, metavar=metavar,
                                        help=what + usual))
    flags.append(group.add_argument("--world", action="store_true", default=None,
                                    help="turn all of these on; other flags change single values"))
    return [flag.dest for flag in flags]


def scene_params(args, split):
    """Make Params of the flags of `add_scene_flags`, and fill in the folders; BadInput for flags that do nothing."""
    if not getattr(args, "recordings", None):
        args.speech, args.noise = args.speech or f"Speech{split}", args.noise or f"Noise{split}"
    given = {name: _plain(getattr(args, name)) for name in ("snr_db", "noise_field", "frames", "azimuth_deg",
                                                            "left_right", "receivers", *TALKERS, *RANGES)
             if getattr(args, name) is not None}
    if args.hrir:
        given["hrir_set"] = tuple(args.hrir)
    if args.hrir_weights:
        given["hrir_weights"] = _plain(args.hrir_weights)
    if "snr_db" in given and "snr_range_db" in given:
        raise BadInput("--snr-db and --snr-range-db exclude each other; give steps or a range.")
    values = {"snr_db": _usual_snr_db(split)}
    if args.world:
        values |= WORLD
    if "snr_db" in given:
        values["snr_range_db"] = ()
    values |= given
    for flag, *needs in (("drr_db", "rt60_s"), ("room_share", "rt60_s"), ("source_level_db", "sensor_snr_db"),
                         ("head_share", "head_size", "head_colour_db", "side_level_db")):
        if flag in given and not any(values.get(name) for name in needs):
            raise BadInput(f"{flag_of(flag)} does nothing without {' or '.join(map(flag_of, needs))}; "
                           f"{'give both' if len(needs) == 1 else 'add one of them'}.")
    for flag in ("talker_level_db", "least_talker_distance_deg"):
        if flag in given and max(values.get("talkers", Params().talkers)) < 2:
            raise BadInput(f"{flag_of(flag)} does nothing without --talkers of 2 or more; give both.")
    return replace(Params(), **values)


def _usual_snr_db(split):
    return Params().snr_db if split == "TRAIN" else Params().snr_db_test


def _plain(value):
    """Turn lists into tuples and whole floats into integers, so that numbers are stored as they were typed."""
    if isinstance(value, list):
        return tuple(_plain(v) for v in value)
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else value
