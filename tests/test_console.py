"""How scripts end, and how files are written."""
import ast
import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, one_sentence

import console
from console import BadInput

SCRIPTS = ["Localise.py", "SpatialiseTEST.py", "SpatialiseTRAIN.py", "Testing.py", "TrainingCNN.py"]


def test_a_log_gets_a_line_when_it_is_time_and_nothing_of_what_is_short(monkeypatch, capsys):
    for _ in console.progress(range(3), desc="short"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(console, "FIRST_LINE_S", 0.0)
    with console.progress(total=400, desc="epoch 1/2") as bar:
        for elapsed_s, done in ((100, 4), (130, 64), (150, 100), (700, 202)):  # the start-up took 100 s
            monkeypatch.setattr(type(bar), "format_dict", {"elapsed": elapsed_s})
            bar.n = done
            bar.refresh()
    assert capsys.readouterr().err == ("epoch 1/2: 16 % done, about 3 min left.\n"  # the next is due a minute later
                                       "epoch 1/2: 50 % done, about 10 min left.\n")


def test_a_terminal_gets_a_bar_in_words(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.progress(total=40, unit=" shards", desc="SpatialiseTRAIN") as bar:
        bar.update(10)
        bar.refresh()
    assert "25 % |" in terminal.getvalue()
    assert "10 of 40 shards, 00:00 so far, 00:0" in terminal.getvalue()
    assert " left" in terminal.getvalue()


@pytest.mark.parametrize(("ending", "status"), [(None, 0), (BadInput("silent"), 2), (KeyboardInterrupt(), 130)])
def test_the_exit_status_tells_how_a_script_ended(ctrl_c, ending, status):
    def main():
        if ending:
            raise ending

    assert console.run(main) == status


def test_bad_input_is_one_line_without_a_traceback(ctrl_c, capsys):
    def main():
        raise BadInput("x.wav is silent.")

    console.run(main)
    assert capsys.readouterr().err.endswith(": x.wav is silent.\n")


def test_ctrl_c_that_other_code_turns_into_its_own_error_is_still_ctrl_c(ctrl_c, capsys):
    def main():
        try:
            ctrl_c()
        except KeyboardInterrupt:
            raise ValueError("Attempt to convert a value with an unsupported type") from None

    assert console.run(main) == 130
    assert "interrupted" in capsys.readouterr().err


def test_ctrl_c_while_a_script_is_imported_ends_it_with_one_line():
    code = "import console, time; console.end_at_ctrl_c(); print('imports', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c) as running:
        assert running.stdout.readline() == "imports\n"
        running.send_signal(signal.SIGINT)
        assert running.stderr.read() == "-c: interrupted.\n"
    assert running.returncode == 130


def hear_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_pressed_again_after_a_script_has_cleaned_up_ends_it(ctrl_c):
    console.end_at_ctrl_c()
    imports = signal.getsignal(signal.SIGINT)
    assert console.run(ctrl_c) == 130
    assert signal.getsignal(signal.SIGINT) is imports


def test_who_ignores_ctrl_c_goes_on_ignoring_it(ctrl_c):
    """As a shell lets what runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    console.end_at_ctrl_c()
    assert console.run(ctrl_c) == 0


@pytest.mark.parametrize("script", [*SCRIPTS, "tour.py", "tools/make_demo_audio.py", "tools/make_gallery.py",
                                    "tools/export.py"])
def test_scripts_import_the_console_before_all_that_takes_time(script):
    code = ast.parse((ROOT / script).read_text(encoding="utf-8")).body
    called, = (number for number, node in enumerate(code)
               if "end_at_ctrl_c" in ast.dump(node) or "begin_without_flags" in ast.dump(node))
    before = {name.name for node in code[:called] if isinstance(node, ast.Import) for name in node.names}
    assert before <= {"console", "sys"}
    assert {node.module for node in code[:called] if isinstance(node, ast.ImportFrom)} <= {"pathlib"}


def test_a_fault_of_the_program_keeps_its_traceback(ctrl_c):
    def main():
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        console.run(main)


class Full(io.StringIO):
    """A standard output on a disk without space."""

    def write(self, text):
        """Refuse."""
        raise OSError(errno.ENOSPC, "No space left on device")

    def fileno(self):
        """Give a file that may be closed."""
        return os.open(os.devnull, os.O_WRONLY)


def test_what_is_printed_to_a_full_disk_is_told_without_a_traceback(ctrl_c, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout", Full())
    assert console.run(lambda: print("a table")) == 2
    assert "what it prints cannot be written because the disk is full" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
def test_a_script_whose_output_is_full_ends_with_one_sentence():
    code = "import sys, console; sys.exit(console.run(lambda: print('a table')))"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert one_sentence(done.stderr)


def test_a_path_one_may_not_read_is_told_without_a_traceback(ctrl_c, capsys):
    def main():
        raise PermissionError(errno.EACCES, "Permission denied", "closed/talk.wav")

    assert console.run(main) == 2
    assert "closed/talk.wav cannot be opened (Permission denied)" in capsys.readouterr().err


def test_other_errors_of_the_system_keep_their_traceback(ctrl_c):
    def main():
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        console.run(main)


def test_a_name_that_looks_like_a_flag_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.wav").touch()
    with pytest.raises(BadInput, match=r"-dash\.wav looks like a flag; write \./-dash\.wav"):
        console.Parser("doc").parse_args(["-dash.wav"])
    with pytest.raises(BadInput, match="unrecognized arguments: -other.wav; --help lists the flags"):
        console.Parser("doc").parse_args(["-other.wav"])


def test_an_empty_argument_is_bad_input():
    parser = console.Parser("")
    parser.add_argument("path")
    with pytest.raises(BadInput, match="an argument is empty"):
        parser.parse_args([""])


def test_a_wrong_flag_is_bad_input_that_names_help():
    with pytest.raises(BadInput, match="--nonsense; --help lists the flags"):
        console.Parser("").parse_args(["--nonsense"])


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    with console.atomic_write(tmp_path / "a.txt") as partial:
        partial.write_text("all of it")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def _fail_halfway(path, problem):
    with console.atomic_write(path) as partial:
        partial.write_text("half")
        raise problem


def test_a_file_that_fails_halfway_leaves_the_one_before(tmp_path):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(ValueError, match="a fault"):
        _fail_halfway(tmp_path / "a.txt", ValueError("a fault"))
    assert (tmp_path / "a.txt").read_text() == "before"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_work_that_was_stopped_is_not_blamed_on_the_disk(tmp_path):
    with pytest.raises(InterruptedError):
        _fail_halfway(tmp_path / "a.txt", InterruptedError())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "words"), [
    (errno.ENOSPC, "because the disk is full; free some space and run the same command again"),
    (errno.EDQUOT, "because the quota of disk space is used up; free some space"),
    (errno.EFBIG, r"because the file is larger than is allowed here; raise the limit \(ulimit -f\)"),
    (errno.EROFS, r"\(Read-only file system\); choose a folder you may write to")])
def test_a_disk_that_refuses_is_told_and_leaves_the_file_before(tmp_path, number, words):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(console.CannotWrite, match=rf"a\.txt cannot be written {words}"):
        _fail_halfway(tmp_path / "a.txt", OSError(number, os.strerror(number)))
    assert (tmp_path / "a.txt").read_text() == "before"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_two_writers_of_one_file_do_not_write_into_each_other(tmp_path):
    with console.atomic_write(tmp_path / "a.txt") as first:
        first.write_text("first")
        with console.atomic_write(tmp_path / "a.txt") as second:
            second.write_text("second")
        assert (tmp_path / "a.txt").read_text() == "second"
    assert (tmp_path / "a.txt").read_text() == "first"


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"file/x cannot be written .*; choose a folder"):
        console.folder_for_output(tmp_path / "file" / "x")


def test_a_folder_whose_name_is_too_long_is_told(tmp_path):
    with pytest.raises(BadInput, match="name is too long; choose a shorter one") as refused:
        console.folder_for_output(tmp_path / ("a" * 300))
    assert one_sentence(str(refused.value))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such limits")
def test_processors_are_counted_without_a_word_where_no_file_may_be_written():
    code = "import resource, console; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); console.processors()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_a_folder_has_is_told(tmp_path):
    (tmp_path / "talk.csv").mkdir()
    with pytest.raises(BadInput, match="because a folder has its name; rename that"), \
            console.atomic_write(tmp_path / "talk.csv") as partial:
        partial.write_text("all of it")


def test_warnings_are_kept_and_printed(capsys):
    console.warn("before")
    with console.kept_warnings() as outer, console.kept_warnings() as inner:
        console.warn("one")
    console.warn("after")
    assert outer == inner == ["one"]
    assert capsys.readouterr().err.split() == ["before", "one", "after"]
