"""make.py on any system: the environment, what goes wrong with it, the demo's steps, and the files that call it."""
import ast
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
from helpers import ROOT, one_sentence, posix_only

import make

SUITABLE = "3,12,linux-x86_64,x86_64"
FAKE = """#!/bin/sh
# A Python that writes down what it is asked: it tells its version, makes an environment of itself, and runs the rest.
echo "$@" >> "{log}"
case "$*" in
    -c*) echo "{told}";;
    "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg";;
esac
case "$*" in *"{fails}"*) echo "{says}" >&2; exit {status};; esac
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with an awkward name and the files of requirements, in which make.py runs a Python that only writes."""
    folder = tmp_path / "Zoë's binsl"
    folder.mkdir()
    for path in ROOT.glob("requirements*.txt"):
        shutil.copy(path, folder)
    monkeypatch.setattr(make, "ROOT", folder)

    def python(told=SUITABLE, fails="nothing", says="", status=1):
        path = folder.parent / "python"
        path.write_text(FAKE.format(log=folder.parent / "log", told=told, fails=fails, says=says, status=status),
                        encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        if (folder / ".venv").exists():
            shutil.copy(path, folder / ".venv" / "bin" / "python")
        return folder
    return python


def asked(folder):
    """What the fake Python was asked since the last call, but for its version."""
    log = folder.parent / "log"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if not line.startswith("-c ")]


# ----------------------------------------------------------------------------------------------- any Python, any system

def test_an_old_python_reads_the_file_and_finds_all_that_it_imports():
    tree = ast.parse((ROOT / "make.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names} | {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names - {"tomllib", "graphlib", "zoneinfo"}  # those are of later Pythons


@pytest.mark.parametrize(("told", "says"), [
    ("3,8,linux-x86_64,x86_64", "Python 3.8 is too old"),
    ("3,14,linux-x86_64,x86_64", "Python 3.14 is too new, TensorFlow"),
    ("3,12,win32,AMD64", "32 bits"),
    ("3,12,linux-i686,i686", "32 bits"),
    ("3,12,win-arm64,ARM64", "Windows on ARM"),
    ("3,12,macosx-10.13-universal2,x86_64", "Intel processors, where the Dockerfile"),
])
@posix_only
def test_a_python_that_cannot_serve_is_told_before_anything_is_made(project, capsys, told, says):
    folder = project(told)
    assert make.main(["demo"]) == 2
    complaint = capsys.readouterr().err
    assert says in complaint
    assert re.search(r"run make\.py with python3\.1[0-3]|take Python 3\.10 to 3\.13, 64 bits, from https:", complaint)
    assert one_sentence(complaint)
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize("told", [SUITABLE, "3,10,macosx-11.0-arm64,arm64", "3,13,win-amd64,AMD64",
                                  "3,12,win-amd64,ARM64", "3,13,macosx-10.13-universal2,arm64",
                                  "3,11,linux-aarch64,aarch64"])
def test_pythons_that_can_serve(told):
    major, minor, platform, machine = told.split(",")
    assert make.why_unsuitable((int(major), int(minor)), platform, machine) == ""


def test_the_python_to_take_is_one_that_is_here_or_a_place_to_find_one():
    assert "with python3.11" in make.which_python({"python3.11": "x", "python3.10": "x", "python3.9": "x"}.get)
    assert make.DOWNLOADS in make.which_python({"python3.9": "x", "python3.14": "x"}.get)


@posix_only
def test_a_python_that_is_only_a_name_or_cannot_serve_is_not_recommended(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    for name, code in (("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127"),
                       ("python3.12", "echo 3,12,linux-i686,i686"), ("python3.11", f"echo {SUITABLE}")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{code}\n", encoding="ascii")
        (tmp_path / name).chmod(0o755)
    assert "with python3.11, " in make.which_python()
    assert "pyenv" not in capfd.readouterr().err


# ------------------------------------------------------------------------------------------------------ the environment

@posix_only
def test_the_environment_is_made_once_and_follows_the_requirements(project):
    folder = project()
    assert make.main(["setup"]) == 0
    first = asked(folder)
    assert first[0] == f"-m venv {folder / '.venv'}"
    assert re.fullmatch(r"-m pip install .*-r requirements\.txt", first[1])
    assert make.main(["setup"]) == 0
    assert asked(folder) == []
    with open(folder / "requirements-localise.txt", "a", encoding="utf-8") as file:  # requirements.txt includes it
        file.write("another\n")
    assert make.main(["setup"]) == 0
    assert len(asked(folder)) == 1


@posix_only
def test_an_environment_elsewhere_is_used_where_it_is(project, tmp_path):
    folder = project()
    assert make.main(["test", "--venv", "../my env", "-k", "a name", "tests/test_make.py"]) == 0
    assert asked(folder)[0] == f"-m venv {tmp_path / 'my env'}"
    project()
    assert make.main(["test", "--venv", str(tmp_path / "my env"), "-k", "a name", "tests/test_make.py"]) == 0
    assert asked(folder) == ["-m pytest -k a name tests/test_make.py"]


@posix_only
def test_half_an_environment_is_removed(project, capsys):
    folder = project(fails="-m venv", says="ensurepip is not available")
    assert make.main(["setup"]) == 2
    assert "apt install python3-venv" in capsys.readouterr().err
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize("told", ["", "3,14,linux-x86_64,x86_64"])
@posix_only
def test_an_environment_that_does_not_run_or_is_of_another_python_is_named(project, capsys, told):
    folder = project()
    make.main(["setup"])
    project(told or SUITABLE)
    if not told:
        (folder / ".venv" / "bin" / "python").unlink()
    capsys.readouterr()
    assert make.main(["setup"]) == 2
    complaint = capsys.readouterr().err
    remedy = "take Python|run make" if told else "run the same command again"  # which has a Python that serves
    assert re.search(rf"; remove the folder {re.escape(str(folder / '.venv'))}, and ({remedy})", complaint)
    assert one_sentence(complaint)


@pytest.mark.parametrize(("venv", "told"), [
    (".", " holds files and is no environment of Python; name another folder with --venv."),
    ("requirements.txt", " is a file, where --venv needs a folder; name another one with --venv."),
    ("requirements.txt/env", " is a file, where --venv needs a folder; name another one with --venv."),
])
@posix_only
def test_what_is_no_environment_is_left_alone(project, capsys, venv, told):
    folder = project()
    before = sorted(folder.rglob("*"))
    assert make.main(["setup", "--venv", venv]) == 2
    assert capsys.readouterr().err == f"make.py: {folder / venv.removesuffix('/env')}{told}\n"
    assert sorted(folder.rglob("*")) == before
    assert asked(folder) == []


@pytest.mark.parametrize(("says", "remedy"), [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "free 3 GB"),
    ("Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\nERROR: No matching distribution found",
     "connect to the internet"),
    ("ERROR: No matching distribution found for tensorflow<3,>=2.18", "use the Dockerfile"),
    ("HINT: This error might have occurred since this system does not have Windows Long Path support", "C:\\binsl"),
    ("something else", "remove the folder"),
])
@posix_only
def test_pip_that_fails_shows_its_lines_and_one_sentence(project, capsys, says, remedy):
    folder = project(fails="-m pip", says=says)
    assert make.main(["setup"]) == 2
    complaint = capsys.readouterr().err
    assert says in complaint
    assert complaint.splitlines()[-1].startswith("make.py: pip could not install requirements.txt: ")
    assert remedy in complaint.splitlines()[-1]
    asked(folder)
    project()
    assert make.main(["setup"]) == 0  # it is tried again
    assert len(asked(folder)) == 1


# ------------------------------------------------------------------------------------------------------------- the demo

@posix_only
def test_the_demo_tells_each_step_and_ends_with_the_page_to_open(project, capsys):
    folder = project()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.keras").touch()  # of a run that was interrupted
    flags = ["--excerpts", "2", "--excerpts-test", "1", "--epochs", "3", "--snr-range-db", "-10", "6.5"]
    assert make.main(["demo", *flags]) == 0
    assert asked(folder)[2:] == [
        "tools/make_demo_audio.py", "SpatialiseTRAIN.py --excerpts 2 --snr-range-db -10 6.5",
        "SpatialiseTEST.py --excerpts 1", "TrainingCNN.py --epochs 3 --batch-size 32 --resume", "Testing.py"]
    told = capsys.readouterr().out
    assert re.findall(r"^Step (\d) of 5\. [A-Z].+\.$", told, re.MULTILINE) == list("12345")
    assert len(re.findall(r"^Took 1 second; roughly .+ to go\.$", told, re.MULTILINE)) == 4
    page, = re.findall(r"^    (file:///\S+)$", told.rstrip().splitlines()[-1])
    assert page.endswith("/Zo%C3%AB%27s%20binsl/results/report.html")


@posix_only
def test_a_log_that_lacks_letters_of_the_folder_does_not_stop_it(project, monkeypatch):
    folder = project()
    log = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", log)
    assert make.main(["setup"]) == 0
    log.flush()
    assert f"Zo?'s binsl{os.sep}.venv" in log.buffer.getvalue().decode()
    assert folder.name.startswith("Zoë")


@posix_only
@pytest.mark.parametrize(("status", "remedy"), [
    (3, "what was finished is kept, and the same command goes on from there"),
    (2, "see above")])  # where the same command would be refused again
def test_a_step_that_fails_ends_the_demo_with_its_status(project, capsys, status, remedy):
    folder = project(fails="TrainingCNN.py", status=status)
    assert make.main(["demo"]) == status
    assert "--resume" not in (folder.parent / "log").read_text(encoding="utf-8")
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"make.py: step 4 of 5 (TrainingCNN.py) ended with exit status {status}; {remedy}.")
    assert not any("Testing.py" in line for line in asked(folder))


@posix_only
def test_ctrl_c_is_the_running_programs_to_answer(tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text("import signal, time\nsignal.signal(signal.SIGINT, lambda *_: exit(print('saved')))\n"
                    "print('runs', flush=True)\ntime.sleep(30)", encoding="utf-8")
    code = ("import make, sys; make.TARGETS['check'] = lambda args: make.run(sys.executable, sys.argv[1]); "
            "sys.exit(make.main(['check']))")
    with subprocess.Popen([sys.executable, "-c", code, slow], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout.readline() == "runs\n"
        os.killpg(running.pid, signal.SIGINT)
        printed, complaints = running.communicate(timeout=20)
    assert (printed, complaints, running.returncode) == ("saved\n", "", make.EXIT_INTERRUPTED)


@posix_only
def test_sigterm_goes_on_to_the_running_program(tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text("import os, signal, time\n"
                    "signal.signal(signal.SIGTERM, lambda *_: exit(print('told', flush=True)))\n"
                    "print(os.getpid(), flush=True)\ntime.sleep(30)", encoding="utf-8")
    code = ("import make, sys; make.TARGETS['check'] = lambda args: make.run(sys.executable, sys.argv[1]); "
            "sys.exit(make.main(['check']))")
    with subprocess.Popen([sys.executable, "-c", code, slow], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as running:
        program = int(running.stdout.readline())
        running.send_signal(signal.SIGTERM)
        running.wait(20)
        try:
            os.kill(program, signal.SIGKILL)
        except ProcessLookupError:
            outlived = False
        else:
            outlived = True
        printed, complaints = running.communicate()
    assert (outlived, printed, complaints, running.returncode) == (False, "told\n", "", make.EXIT_TERMINATED)


def test_steps_that_were_already_done_tell_nothing_of_the_machine():
    assert make.seconds_left([0.5, 0.5], [10, 10, 100]) == 100  # by what is typical
    assert make.seconds_left([20, 0.5], [10, 30, 100]) == 200


# ----------------------------------------------------------------------------------------------- the files that call it

@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize(("command", "words"), [
    ([], ["demo"]),
    (["demo"], ["demo"]),
    (["demo", "VENV=/my env", "EXCERPTS=2", "EXCERPTS_TEST=1", "EPOCHS=2", "SNR_TRAIN=-10 30"],
     ["demo", "--venv", "/my env", "--excerpts", "2", "--excerpts-test", "1", "--epochs", "2", "--snr-range-db", "-10",
      "30"]),
    (["test", "VENV=env"], ["test", "--venv", "env"]),
    (["model", "SPEECH=my speech", "NOISE=n", "PEOPLE=p/*.sofa"],
     ["model", "--speech", "my speech", "--noise", "n", "--people", "p/*.sofa"]),
])
def test_makes_variables_become_flags(command, words):
    printed = subprocess.run(["make", "--dry-run", "--no-print-directory", "PYTHON=py", *command], cwd=ROOT, text=True,
                             check=True, stdout=subprocess.PIPE).stdout
    assert shlex.split(printed.replace("\\\n", " ")) == ["py", "make.py", *words]
    make.parse_args(words)


def test_make_has_the_targets_of_the_file():
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert set(phony.split()) == set(make.TARGETS)


def test_a_wrong_word_is_one_sentence_before_anything_is_made(capsys, monkeypatch):
    monkeypatch.setattr(make, "prepare", None)
    for words in (["tset"], ["check", "--fast"], ["demo", "--excerpts", "many"], ["demo", "--excerpts", "-3"],
                  ["demo", "--excerpts-test", "0"], ["demo", "--epochs", "0"],
                  ["demo", "--snr-range-db", "6", "-10"], ["demo", "--snr-range-db", "0", "nan"]):
        assert make.main(words) == 2
        assert one_sentence(capsys.readouterr().err)


@posix_only
def test_the_image_sets_up_with_the_files_that_it_copies_first(project):
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
             if line and not line.startswith("#")]
    assert [line[0] for line in lines] == ["FROM", "WORKDIR", "COPY", "RUN", "COPY", "CMD"]
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)-slim", lines[0][1]).groups()))
    assert make.OLDEST <= version <= make.NEWEST
    folder, copied = project(), lines[2][1:-1]
    for path in folder.glob("*.txt"):
        if path.name not in copied:
            path.unlink()
    assert set(copied) == {"make.py", *(path.name for path in folder.glob("*.txt"))}
    assert lines[3][1:3] == ["python", "make.py"]
    assert make.main(lines[3][3:]) == 0
    assert lines[5][1:] == ['["python",', '"make.py",', '"demo"]']


def test_the_image_leaves_out_what_git_ignores():
    ignored, left_out = ({line.strip("/*") for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
                          if line and not line.startswith("#")} for name in (".gitignore", ".dockerignore"))
    assert ignored <= left_out


def test_every_file_names_the_same_pythons():
    oldest, newest = (".".join(map(str, version)) for version in (make.OLDEST, make.NEWEST))
    readme, workflow = ((ROOT / name).read_text(encoding="utf-8")
                        for name in ("README.md", ".github/workflows/test.yml"))
    assert f"Python {oldest} to {newest}" in " ".join(readme.split())
    assert f'python: ["{oldest}", "{newest}"]' in workflow
