"""The flags of what is mixed become Params, and flags that do nothing are refused."""
import pytest
from helpers import ROOT

from console import BadInput
from params import WORLD, Params, flag_of
from shards import flags


def params_of(*argv, split="TRAIN"):
    return flags.parse_args("", split, argv)[0]


def test_without_flags_params_are_the_defaults_of_the_split():
    assert params_of() == Params()
    assert params_of(split="TEST").snr_db == Params().snr_db_test


def test_the_folders_are_those_of_the_split():
    args = flags.parse_args("", "TEST", [])[1]
    assert (args.speech, args.noise, args.out) == ("SpeechTEST", "NoiseTEST", "BinSL_TEST")


def test_whole_numbers_are_stored_as_they_were_typed():
    snr_db = params_of("--snr-db", "5", "2.5").snr_db
    assert snr_db == (5, 2.5)
    assert [type(value) for value in snr_db] == [int, float]


def test_flags_beside_the_world_change_single_values():
    params = params_of("--world", "--rt60-s", "0.2", "0.4")
    assert params.rt60_s == (0.2, 0.4)
    assert params.drr_db == WORLD["drr_db"]


def test_snr_steps_beside_the_world_replace_its_range():
    params = params_of("--world", "--snr-db", "0")
    assert params.snr_db == (0,)
    assert params.snr_range_db == ()


def test_talkers_are_counted_in_whole_numbers():
    params = params_of("--talkers", "0", "2", "2", "--talker-level-db", "3", "--least-talker-distance-deg", "15")
    assert params.talkers == (0, 2, 2)
    assert (params.talker_level_db, params.least_talker_distance_deg) == (3, 15)
    assert params_of("--talkers", "1") == Params()
    assert params_of("--world", "--talkers", "1").talkers == (1,)


@pytest.mark.parametrize(("argv", "says"), [
    (["--talkers", "5"], "--talkers 5 is not possible"),
    (["--talker-level-db", "3"], "--talker-level-db does nothing without --talkers of 2 or more"),
    (["--talkers", "0", "1", "--least-talker-distance-deg", "5"], "--least-talker-distance-deg does nothing without"),
    (["--talkers", "2", "--noise-field", "talker"], "--noise-field talker adds a talker that --talkers does not count"),
    (["--snr-db", "0", "--snr-range-db", "0", "9"], "--snr-db and --snr-range-db exclude each other"),
    (["--drr-db", "0", "9"], "--drr-db does nothing without --rt60-s"),
    (["--room-share", "0.5"], "--room-share does nothing without --rt60-s"),
    (["--source-level-db", "0", "9"], "--source-level-db does nothing without --sensor-snr-db"),
    (["--head-share", "0.5"], "--head-share does nothing without --head-size or --head-colour-db or --side-level-db"),
    (["--jobs", "0"], "--jobs 0 is not possible"),
    (["--frames", "5"], "--frames 5 is not possible"),
])
def test_flags_that_do_nothing_or_are_impossible_are_refused(argv, says):
    with pytest.raises(BadInput, match=says):
        params_of(*argv)


@pytest.mark.parametrize(("argv", "says"), [
    (["--speech", "x"], "--speech does nothing with --recordings"),
    (["--world"], "--world does nothing with --recordings"),
    (["--talkers", "2"], "--talkers does nothing with --recordings"),
    (["--snr-db", "0"], "--snr-db does nothing with --recordings alone; .* add noise with --noise"),
    (["--noise", "x", "--noise-field", "talker"], "need speech"),
    (["--noise", "x", "--rt60-s", "0.2", "0.4"], "--rt60-s does nothing with --recordings"),
    (["--excerpts", "2"], "--excerpts does nothing with --recordings"),
    (["--listen", "x"], "--listen does nothing with --recordings"),
])
def test_flags_that_do_nothing_for_recordings_are_refused(argv, says):
    with pytest.raises(BadInput, match=says):
        params_of("--recordings", "x", *argv)


def test_noise_flags_are_possible_for_recordings_with_noise():
    params = params_of("--recordings", "x", "--noise", "y", "--snr-db", "3", "--noise-field", "diotic")
    assert params.snr_db == (3,)
    assert params.noise_field == ("diotic",)


def test_the_page_of_scenes_says_what_world_is():
    lines = (ROOT / "docs" / "scenes.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `--")]
    column = {cells[0].strip("`"): cells[3] for cells in rows}
    for name, value in WORLD.items():
        if flag_of(name) in column:   # the numbers of talkers stand in the text
            numbers = value if isinstance(value, tuple) else (value,)
            said = [each if isinstance(each, str) else f"{each:g}" for each in numbers]
            assert column[flag_of(name)].replace(",", "").split() == said
    assert {flag for flag, world in column.items() if world} == {flag_of(name) for name in WORLD} & column.keys()
