"""What Windows and macOS ask of the sources: encodings, modules, names and line ends, read from the files."""
import ast
import re
import shutil
import subprocess

import pytest
from helpers import ROOT
from test_arrows import TREES

OPENERS = {"open", "read_text", "write_text", "fdopen", "NamedTemporaryFile"}
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
POSIX_NAMES = {"fork", "getuid", "geteuid", "kill", "killpg", "mkfifo", "nice", "sched_getaffinity", "setsid", "SIGHUP",
               "SIGKILL", "SIGALRM", "SIGUSR1"}
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def tracked():
    """Paths of the repository's files, relative to its root; skips outside of a checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no git checkout")
    return subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.decode() \
        .strip("\0").split("\0")


def lacks_encoding(call):
    """Whether a call opens a file as text without an encoding: other than UTF-8 on Windows before Python 3.15."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in OPENERS or any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if name in ("read_text", "write_text"):
        return isinstance(call.func, ast.Attribute)
    if isinstance(call.func, ast.Attribute) and name == "open" and getattr(call.func.value, "id", "") != "io":
        return False  # of an archive, a picture, a descriptor
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)


@pytest.mark.parametrize(("source", "lacks"), [
    ("open(path)", True), ("open(path, 'w', newline='')", True), ("path.read_text()", True),
    ("open(path, 'rb')", False), ("open(path, mode='wb')", False), ("open(path, encoding='utf-8')", False),
    ("archive.open(name)", False),
])
def test_the_rule_of_encodings(source, lacks):
    assert lacks_encoding(ast.parse(source).body[0].value) == lacks


@pytest.mark.parametrize("name", sorted(TREES))
def test_text_is_opened_with_an_encoding(name):
    assert [node.lineno for node in ast.walk(TREES[name]) if isinstance(node, ast.Call) and lacks_encoding(node)] == []


def guarded(tree):
    """Nodes that run only where something was asked before: in a `try`, an `if` or a conditional expression."""
    return {id(inner) for outer in ast.walk(tree) if isinstance(outer, ast.Try | ast.If | ast.IfExp)
            for inner in ast.walk(outer)}


@pytest.mark.parametrize("name", sorted(name for name in TREES if not name.startswith("benchmarks")))
def test_nothing_needs_what_windows_lacks(name):
    tree = TREES[name]
    asked = guarded(tree)
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) and id(node) not in asked
               for alias in node.names}
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and id(node) not in asked and
             getattr(node.value, "id", "") in ("os", "signal")}
    assert not modules & POSIX_MODULES
    assert not names & POSIX_NAMES


def test_the_tests_can_be_collected_on_windows():
    for path in (ROOT / "tests").rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert not {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names} & POSIX_MODULES


def test_every_name_is_possible_on_windows_and_macos():
    names = tracked()
    for part in {part for name in names for part in name.split("/")}:
        assert not RESERVED.fullmatch(part)
        assert not re.search(r'[<>:"|?*\\]|[. ]$', part)
    assert len({name.casefold() for name in names}) == len(names)
    assert max(map(len, names)) < 120  # Windows takes 260 characters, the user's folders included


def test_a_checkout_has_the_same_bytes_on_every_system():
    binary = [name for name in tracked() if b"\0" in (ROOT / name).read_bytes()]
    assert len(binary) > 20
    told = subprocess.run(["git", "check-attr", "text", *binary], cwd=ROOT, check=True, text=True, encoding="utf-8",
                          stdout=subprocess.PIPE).stdout
    assert {line.rsplit(": ", 1)[1] for line in told.splitlines()} == {"unset"}
    told = subprocess.run(["git", "ls-files", "--eol"], cwd=ROOT, check=True, text=True, encoding="utf-8",
                          stdout=subprocess.PIPE).stdout
    kinds = {line.split("\t")[1]: line.split("\t")[0].split() for line in told.splitlines()}
    assert {index for index, _, *attributes in kinds.values() if "attr/text=auto" in attributes} == {"i/lf"}
    assert kinds[".ci/run"][2:] == ["attr/text=auto", "eol=lf"]
