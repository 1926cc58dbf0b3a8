"""TensorFlow is started quietly, and what holds its lines meanwhile may be missing."""
import os
import tempfile

import pytest
from helpers import one_sentence

from console import BadInput
from network import backend


def refuse(*_, **__):
    raise FileNotFoundError(2, "No usable temporary directory found")


def start(ending=None):
    with backend.hushed() as screen:
        os.write(2, b"log line\n")
        os.write(screen, b"ours\n")
        if ending:
            raise ending


def test_lines_are_hidden_and_ours_are_not(capfd):
    start()
    assert capfd.readouterr().err == "ours\n"


def test_lines_of_a_failed_start_are_shown(capfd):
    with pytest.raises(ValueError, match="a fault"):
        start(ValueError("a fault"))
    assert capfd.readouterr().err == "ours\nlog line\n"


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(2)])
def test_lines_stay_hidden_where_a_user_ends_the_start(capfd, ending):
    with pytest.raises(type(ending)):
        start(ending)
    assert capfd.readouterr().err == "ours\n"


@pytest.mark.parametrize(("missing", "shown"), [
    (["tempfile.TemporaryFile"], "ours\n"), (["os.memfd_create"], "ours\n"),
    (["os.memfd_create", "tempfile.TemporaryFile"], "log line\nours\n")], ids=["disk", "memory", "both"])
def test_it_starts_without_room_for_the_lines(capfd, monkeypatch, missing, shown):
    for name in missing:
        monkeypatch.setattr(name, refuse, raising=False)
    if "os.memfd_create" not in missing and not hasattr(os, "memfd_create"):
        pytest.skip("files without a name are on the disk here")
    before = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else None
    start()
    assert capfd.readouterr().err == shown
    assert before is None or len(os.listdir("/dev/fd")) == before


def test_a_system_without_temporary_files_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    with pytest.raises(BadInput, match="TensorFlow needs a folder for temporary files, .* or set TMPDIR") as refused:
        backend.require_temporary_folder()
    assert one_sentence(str(refused.value))
