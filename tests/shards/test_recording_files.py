"""Which recordings a folder holds: not what Localise.py wrote there, and none that its results would replace."""
import pytest

from console import BadInput
from shards import recording_files, video


def files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def found(folder, out):
    return [path.relative_to(folder).as_posix() for _, path in recording_files.find_recordings([folder], out)]


def test_what_was_written_within_the_folder_is_no_recording(tmp_path, capsys):
    folder = files(tmp_path, "talk.wav", "localised/talk.mp4", "localised/deep/talk.ears.flac")
    assert found(folder, tmp_path / "localised") == ["talk.wav"]
    assert "left out 2 result(s) of earlier runs" in capsys.readouterr().err
    assert found(tmp_path / "localised", tmp_path / "localised") == ["deep/talk.ears.flac", "talk.mp4"]


def test_results_beside_the_recordings_are_none(tmp_path, monkeypatch):
    folder = files(tmp_path, "talk.wav", "talk.html", "talk.ears.flac", "other.ears.flac", "ours.mp4", "theirs.mp4")
    monkeypatch.setattr(video, "is_ours", lambda path: path.stem == "ours")
    assert found(folder, tmp_path) == ["other.ears.flac", "talk.wav", "theirs.mp4"]


def test_a_folder_of_results_alone_holds_no_recording(tmp_path):
    files(tmp_path, "localised/talk.ears.flac")
    with pytest.raises(BadInput, match="holds no audio file"):
        found(tmp_path, tmp_path / "localised")


@pytest.mark.parametrize(("out", "is_refused"), [(".", True), ("localised", False)])
def test_the_sound_of_a_page_replaces_no_recording(tmp_path, out, is_refused):
    folder = files(tmp_path, "talk.wav", "talk.ears.flac")
    names = recording_files.output_names(recording_files.find_recordings([folder], tmp_path / out))
    if not is_refused:
        recording_files.check_sound_of_pages(names, tmp_path / out)
        return
    with pytest.raises(BadInput, match=r"talk\.ears\.flac is a recording, and the sound of a page would have its name"):
        recording_files.check_sound_of_pages(names, tmp_path / out)
