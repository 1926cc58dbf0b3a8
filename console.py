"""Messages, exit status and output files of every script: one clear sentence, and files whole or not at all.

A script ends with `sys.exit(console.run(main))`. Anything wrong with what the user gave raises `BadInput`,
whose text is one sentence that names the file or flag and the remedy; it is printed without a traceback.
"""
import argparse
import errno
import hashlib
import io
import os
import re
import secrets
import signal
import sys
import warnings
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

EXIT_BAD_INPUT = 2     # what argparse uses for a wrong flag
DISK_FULL = {errno.ENOSPC: "the disk is full; free some space and run the same command again.",
             errno.EDQUOT: "the quota of disk space is used up; free some space and run the same command again.",
             errno.EFBIG: "the file is larger than is allowed here; raise the limit (ulimit -f), or choose another "
                          "disk."}
LONGEST_NAME_BYTES = 255  # of a file on common file systems
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for Ctrl-C
BAR = ("{desc}: {percentage:3.0f} % |{bar}| {n_fmt} of {total_fmt}{unit}, {elapsed} so far, {remaining} left, "
       "{rate_fmt}{postfix}")
FIRST_LINE_S, LINES_S = 20.0, 60.0  # of progress in a log
OF_THE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.EINVAL, errno.EILSEQ)
_KEPT, _CALLED = [], []  # lists of kept_warnings; paths and names of called_by_name


class BadInput(ValueError):
    """Something the user gave cannot be used; the text names it and says what to do."""


class CannotWrite(BadInput):
    """The disk refuses, and would refuse any other file: full, over a quota, read-only, closed to this user."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence; shows the script's docstring as its help."""

    def __init__(self, doc):
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def parse_args(self, args=None, namespace=None):
        """Refuse empty arguments, which a shell makes of variables without a value: as a path it is the folder here."""
        if "" in (sys.argv[1:] if args is None else args):
            raise BadInput("an argument is empty; write what it should name, or leave it out")
        return super().parse_args(args, namespace)

    def error(self, message):
        """Raise BadInput in place of argparse's usage text and exit."""
        unknown = message.removeprefix("unrecognized arguments: ")
        for name in (unknown, *unknown.split()) if unknown != message else ():
            if Path(name).exists():
                raise BadInput(f"{name} looks like a flag; write ./{name}")
        raise BadInput(f"{message}; --help lists the flags")


def warn(text):
    """Print one line to standard error without tearing a progress bar."""
    from tqdm import tqdm  # here, not above: Ctrl-C is answered once this file is imported

    for kept in _KEPT:
        kept.append(text)
    for path, name in _CALLED:
        text = text.replace(path, name)
    tqdm.write(text, file=sys.stderr)


def short(text, most=120):
    r"""Cut what a sentence quotes of a file or a library to `most` characters, in one line of what can be printed.

    >>> short("one\ntwo " * 9, most=20)
    'one two one two o...'
    """
    text = " ".join("".join(each if each.isprintable() else " " for each in str(text)[:10 * most]).split())
    return text if len(text) <= most else text[:most - 3] + "..."


class WarnOnce:
    """Warn of each fault once, whatever the figures in its sentence: for what may come again every second."""

    def __init__(self):
        self._told = set()

    def __call__(self, text):
        """Print one line as `warn` does, unless one like it was printed."""
        kind = re.sub(r"[-+\d.]+", "", text)
        if kind not in self._told:
            self._told.add(kind)
            warn(text)


@contextmanager
def kept_warnings():
    """Give a list to which `warn` adds every line that it prints meanwhile."""
    kept = []
    _KEPT.append(kept)
    try:
        yield kept
    finally:
        del _KEPT[-1]


@contextmanager
def called_by_name(path):
    """Let `warn` write the name alone of a file in a folder of ours that no user knows."""
    _CALLED.append((str(path), path.name))
    try:
        yield
    finally:
        del _CALLED[-1]


def progress(iterable=None, **options):
    """Show how far a loop is and how long it still takes, on standard error; `options` go to tqdm unchanged.

    A terminal gets a bar, all else (a log, a pipe) a line after FIRST_LINE_S and one every LINES_S.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm  # here, not above: end_at_ctrl_c must come at once

        has_total = options.get("total") or hasattr(iterable, "__len__")
        return tqdm(iterable, file=sys.stderr, leave=False, dynamic_ncols=True, bar_format=BAR if has_total else None,
                    **{"unit": ""} | options)
    return _lines()(iterable, **options)


@cache
def _lines():
    """Give the class of progress in lines; tqdm is imported with it."""
    from tqdm import tqdm

    class Lines(tqdm):
        """Progress in lines, for what does not move a cursor; silent where the total is not known."""

        def __init__(self, iterable=None, **options):
            self.next_s, self.first = FIRST_LINE_S, None
            super().__init__(iterable, file=io.StringIO(), mininterval=1.0, **options)

        def display(self, msg=None, pos=None):
            """Print a line when it is time: tqdm calls this once in `mininterval` at most."""
            elapsed_s = self.format_dict["elapsed"]
            if msg is not None or not self.total or not 0 < self.n < self.total:
                return
            self.first = self.first or (self.n, elapsed_s)  # what lies before is start-up
            done, in_s = self.n - self.first[0], elapsed_s - self.first[1]
            if done and elapsed_s >= self.next_s:
                self.next_s = elapsed_s + LINES_S
                left_s = in_s * (self.total - self.n) / done
                left = f"{left_s:.0f} s" if left_s < 100 else f"{left_s / 60:.0f} min"
                with suppress(OSError):  # a full disk or a reader that has gone: no reason to stop the work
                    print(f"{self.desc}: {100 * self.n / self.total:.0f} % done, about {left} left.", file=sys.stderr,
                          flush=True)

    return Lines


def end_at_ctrl_c():
    """Let Ctrl-C end the process at once, with one line: for the imports of a script, before there is work to undo."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the parent process had it ignored
        signal.signal(signal.SIGINT, _end)


def begin_without_flags(doc):
    """Begin a script that has no `main`: Ctrl-C ends it with one line, --help prints `doc`, other flags are refused."""
    end_at_ctrl_c()
    argparse.ArgumentParser(description=doc).parse_args()


def _end(*_):
    with suppress(OSError):
        os.write(2, f"{_script()}: interrupted.\n".encode(errors="replace"))
    os._exit(EXIT_INTERRUPTED)


def _script():
    return Path(sys.argv[0]).name


@contextmanager
def ended_in_order():
    """Let SIGTERM, and the end of the terminal, raise SystemExit: files are closed, temporary ones go."""
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {each: signal.getsignal(each) for each in signals if signal.getsignal(each) is signal.SIG_DFL}

    def end(number, _):
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # some send it twice: the second would break off the end
        sys.exit(128 + number)

    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def run(main):
    """Call `main()` and return the exit status: 0, 2 for bad input, 130 for Ctrl-C.

    Other exceptions are faults of the program and keep their traceback, unless they follow Ctrl-C: code of others that
    it interrupts may turn it into an error of their own.
    """
    pressed = []

    def on_ctrl_c(*received):
        pressed.append(True)
        signal.default_int_handler(*received)

    before = signal.getsignal(signal.SIGINT)
    is_heard = before in (signal.default_int_handler, _end)
    if is_heard:
        signal.signal(signal.SIGINT, on_ctrl_c)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, or a program without a console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - it lasts as long as the process
        elif hasattr(getattr(sys, name), "reconfigure"):  # not a notebook's; an emoji in a name must not fail
            getattr(sys, name).reconfigure(errors="replace")
    name = _script()
    try:
        main()
        sys.stdout.flush()  # here, where a full disk is told, not at exit
    except BadInput as problem:
        warn(f"{name}: {problem}")
        return EXIT_BAD_INPUT
    except BaseException as problem:
        if pressed or isinstance(problem, KeyboardInterrupt):
            warn(f"{name}: interrupted; what was finished is kept and nothing is half written.")
            return EXIT_INTERRUPTED
        if not isinstance(problem, OSError) or not _is_of_the_system(problem, name):
            raise
        return EXIT_BAD_INPUT
    finally:
        if is_heard:
            signal.signal(signal.SIGINT, before)  # a script has nothing left to undo, and ends at once
    return 0


def _is_of_the_system(problem, script):
    """Tell whether an OSError is no fault of the program: a closed pipe, a full disk, a forbidden path; warn of it.

    `atomic_write` tells of files that cannot be written, so a full disk is that of standard output.
    """
    if isinstance(problem, PermissionError) and problem.filename is not None:
        warn(f"{script}: {problem.filename} cannot be opened ({problem.strerror}); name one you may read.")
        return True
    is_full = problem.errno in DISK_FULL and problem.filename is None
    if not is_full and not isinstance(problem, BrokenPipeError):  # the reader of `Testing.py | head` has gone
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain again at exit
    if is_full:
        with suppress(OSError):  # the same disk may hold standard error
            warn(f"{script}: what it prints cannot be written because the disk is full; the files it wrote are whole.")
    return True


def sha256_of(path):
    """Compute the digest of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def processors():
    """Count the processors that this process may use: what affinity, a container or a batch job grants, not all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of joblib's own processes, which a limit may forbid and nobody asks for
        from joblib import cpu_count  # here, not above: it takes a tenth of a second

    return cpu_count()


def folder_for_output(path):
    """Make the folder `path` if need be and return it as a Path; BadInput where that cannot be."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        if problem.errno == errno.ENAMETOOLONG:
            raise BadInput(f"{short(path)} cannot be made because its name is too long; choose a shorter one.") \
                from problem
        raise _refusal(path, problem) from problem
    return path


@contextmanager
def atomic_write(path):
    """Give a temporary path beside `path`; on success it is flushed to disk and renamed to `path`, else removed.

    Two processes may write the same file: each has a temporary path of its own, and the last one's file stays. What a
    killed process leaves of it is removed by shards/folder.py.

    Raises CannotWrite when the disk is full, read-only or closed to this user, BadInput when the name is not possible.
    """
    path = Path(path)
    partial = path.with_name(_partial_name(path.name, f".{secrets.token_hex(4)}.partial"))
    try:
        yield partial
        with open(partial, "rb+") as file:  # the rename must not reach the disk before the data
            with suppress(OSError):  # some network file systems cannot
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as problem:
        if problem.errno is None:  # not the disk, but work that was stopped
            raise
        raise _refusal(path, problem) from problem
    finally:
        if partial.exists():
            partial.unlink()


def _partial_name(name, ending):
    """Name the file that is written before it gets its name; a long name is cut to what file systems take."""
    if len(os.fsencode(name)) <= LONGEST_NAME_BYTES - len(ending):
        return name + ending
    return f"{name[:40]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}{ending}"


def _refusal(path, problem):
    """Make the exception that tells why a path cannot be written: BadInput for its name, CannotWrite for the disk."""
    if problem.errno == errno.ENAMETOOLONG:
        why = "because its name is too long; rename the file that it is made of."
    elif problem.errno == errno.EISDIR:
        why = "because a folder has its name; rename that or choose another --out."
    elif problem.errno in DISK_FULL:
        why = f"because {DISK_FULL[problem.errno]}"
    else:
        why = f"({problem.strerror}); choose a folder you may write to with --out."
    return (BadInput if problem.errno in OF_THE_NAME else CannotWrite)(f"{path} cannot be written {why}")
