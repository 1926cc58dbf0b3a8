"""What Localise.py made is told from what the user made: the one may be replaced, the other is never overwritten."""
import re

import numpy as np
import pytest
import soundfile as sf
from helpers import HOSTILE_NAME, localised_by_hand, one_sentence

from console import BadInput
from scores import page, plots
from scores.exports import FORMATS
from shards.own_files import check_targets, is_ours
from shards.recording_files import find_recordings

USERS = {"notes.csv": "speaker,age\n", "notes.json": '{"name": "me"}', "talk.txt": "1.0\t2.0\tlaughter\n",
         "talk.vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nHello!\n", "talk.html": "<title>My talk</title>",
         "talk.textgrid": 'File type = "ooTextFile"\nObject class = "TextGrid"\nname = "words"\n', "talk.png": "PNG?",
         "talk.mp4": "film", "talk.xyz": "?", "talk.ears.flac": "fLaC"}


def write_page_beside(folder, name="talk", seconds=3.0, sound=None):
    """Write a page whose sound lies beside it, and that sound."""
    text = page.html(localised_by_hand(), "audio/flac", sound or f"{name}.ears.flac")
    (folder / f"{name}.html").write_text(text, encoding="utf-8")
    sf.write(folder / f"{name}.ears.flac", np.zeros((int(16_000 * seconds), 2)), 16_000)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("localised", [localised_by_hand(), localised_by_hand(several=False),
                                       localised_by_hand(sources=[])], ids=["several", "one", "none"])
def test_every_format_is_known_again(tmp_path, name, localised):
    ending, text_of = FORMATS[name]
    (tmp_path / f"a{ending}").write_bytes(text_of(localised).encode())
    assert is_ours(tmp_path / f"a{ending}")


def test_pages_and_pictures_are_known_again(tmp_path):
    localised = localised_by_hand(name="</title>" * 30 + HOSTILE_NAME)
    (tmp_path / "a.html").write_text(page.html(localised, "audio/flac", b"sound"), encoding="utf-8")
    (tmp_path / "all_recordings.html").write_text(page.index([page.row(localised, "a.html")]), encoding="utf-8")
    (tmp_path / "all_recordings.json").write_text('[\n {\n  "recording": "a"\n }\n]')
    plots.track(localised.track, localised.spectrogram, 16_000, "title", tmp_path / "a.png")
    assert all(map(is_ours, tmp_path.iterdir()))


@pytest.mark.parametrize("name", USERS)
def test_files_of_the_user_are_not_ours(tmp_path, name):
    (tmp_path / name).write_text(USERS[name])
    assert not is_ours(tmp_path / name)


def test_the_sound_beside_a_page_is_ours_only_where_the_page_names_it(tmp_path):
    write_page_beside(tmp_path)
    write_page_beside(tmp_path, "other", sound=b"inside")
    assert is_ours(tmp_path / "talk.ears.flac")
    assert not is_ours(tmp_path / "other.ears.flac")


@pytest.mark.parametrize(("of_user", "endings"), [
    ("talk.vtt", [".vtt", ".png"]), ("talk.html", [".html"]), ("talk.csv", [".csv"]),
    ("talk.ears.flac", [".html"]), ("all_recordings.json", [".csv"])])
def test_a_file_of_the_user_stops_the_run_before_any_work(tmp_path, of_user, endings):
    names = {tmp_path / f"{name}.wav": name for name in ("a", "talk")}
    for path in names:
        path.touch()
    check_targets(names, tmp_path, endings)
    (tmp_path / of_user).write_text("by hand")
    with pytest.raises(BadInput, match=f"{re.escape(of_user)} exists and was not made by this script") as told:
        check_targets(names, tmp_path, endings)
    assert one_sentence(str(told.value))
    assert "choose another --out" in str(told.value)


def test_no_recording_is_replaced_by_the_sound_of_another_ones_page(tmp_path):
    names = {tmp_path / "talk.wav": "talk", tmp_path / "talk.ears.flac": "talk.ears"}
    for path in names:
        path.touch()
    check_targets(names, tmp_path, [".csv", ".png"])
    with pytest.raises(BadInput, match=r"talk\.ears\.flac is to be read, and a result would have its name"):
        check_targets(names, tmp_path, [".html"])


def test_a_folder_is_read_without_what_earlier_runs_made_there(tmp_path, capsys):
    for name in ("talk.wav", "mine.ears.wav"):
        sf.write(tmp_path / name, np.zeros((100, 2)), 16_000)
    (tmp_path / "localised").mkdir()
    write_page_beside(tmp_path / "localised")
    write_page_beside(tmp_path)
    assert [path.name for _, path in find_recordings([tmp_path])] == ["mine.ears.wav", "talk.wav"]
    told = capsys.readouterr().err
    assert one_sentence(told)
    assert "left out 2 result(s) of earlier runs, such as " in told
    named = find_recordings([tmp_path / "talk.ears.flac"])          # whoever names it means it
    assert [path.name for _, path in named] == ["talk.ears.flac"]


def test_a_folder_of_results_alone_is_refused(tmp_path):
    write_page_beside(tmp_path)
    with pytest.raises(BadInput, match="holds no audio file but results"):
        find_recordings([tmp_path])
