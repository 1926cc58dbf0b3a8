"""Serve a page to the browsers of this computer: it takes a recording and answers with the page of that recording.

    serve(answer)                      # until Ctrl-C; answer(path, watch) gives a function of links that makes a page

    GET  /TOKEN/                       the page to drop a file on, or to record two channels: recorder.py
    POST /TOKEN/localise?name=a.wav    the recording; lines of JSON tell how far it is, the last one {"page": "ID/"}
    GET  /TOKEN/ID/                    the page of the recording, and with save after it the same as a file to keep

Nobody else may come near: it listens on 127.0.0.1 alone, and an address needs the token of this run. Pages of other
sites cannot use it either: Host and Origin must be this server's own. One recording at a time is localised; the next
one waits. It lies in a temporary folder until then. The last page stays in memory until the next one.
"""
import json
import os
import re
import secrets
import socket
import socketserver
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from console import BadInput, called_by_name, ended_in_order
from scores import page, recorder

HOST = "127.0.0.1"
ANY_PORT = "0"
LEAST_PORT, GREATEST_PORT = 1024, 65535  # lower ones are the system's
MOST_BYTES = 256 << 20                   # of a recording: 10 minutes of two channels of 32 bits at 48 kHz have 230 MB
MOST_SECONDS = page.LONGEST_INSIDE_S     # so that its page holds its sound
PIECE_BYTES = 1 << 20                    # read at once
TELL_S, WAIT_S = 0.2, 0.5                # from word to word of what is done, and of waiting
SILENT_S = 60                            # of a browser, after which it counts as gone
END_S = 20                               # for the recording in work to notice that all ends
LONGEST_NAME = 60                        # characters of a recording's name, of up to 4 bytes each
OF_WINDOWS = "con|prn|aux|nul|conin[$]|conout[$]|(com|lpt)[1-9\u00b9\u00b2\u00b3]"  # devices, whatever their ending
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
           "Content-Security-Policy": "frame-ancestors 'none'", "Cross-Origin-Resource-Policy": "same-origin",
           "Cross-Origin-Opener-Policy": "same-origin"}
HTML, JSON_LINES = "text/html; charset=utf-8", "application/x-ndjson"


def serve(answer, port=0):
    """Serve until Ctrl-C and print the address.

    Parameters
    ----------
    answer : callable (path, watch) -> callable (links) -> str
        Localises a recording and gives what makes its page, of links as of page.html; BadInput for one that it
        refuses. It passes its blocks through watch(blocks, doing, sample_rate_hz), where `doing` is a word for it.
    port : int, 0 for any that is free

    Raises
    ------
    BadInput : the port is taken

    """
    with tempfile.TemporaryDirectory(prefix="localise-", ignore_cleanup_errors=True) as folder, ended_in_order():
        try:
            server = Server(answer, folder, port)
        except OSError as problem:
            raise BadInput(f"--serve cannot use port {port} ({problem.strerror}); name another one, or none for any "
                           "that is free.") from problem
        with server:
            print(f"Open {server.address} in a browser on this computer. Ctrl-C ends it.", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("Ended; nothing is kept.")
            finally:
                server.end()


def port_of(text, recordings=()):
    """Read the port that --serve is given; BadInput for another text, and beside recordings.

    Examples
    --------
    >>> port_of("8000"), port_of(ANY_PORT)
    (8000, 0)

    """
    recordings = [*recordings, *([] if text.lstrip("-").isdecimal() else [text])]
    if recordings:
        raise BadInput(f"--serve takes no recording; leave out {recordings[0]} and drop it on the page.")
    if text != ANY_PORT and not LEAST_PORT <= int(text) <= GREATEST_PORT:
        raise BadInput(f"--serve {text} is not possible; name a port from {LEAST_PORT} to {GREATEST_PORT}, or none.")
    return int(text)


class Gone(Exception):
    """Nobody waits for this answer any more: the browser has gone, or the server ends."""


class Server(socketserver.ThreadingTCPServer):
    """A server of this computer alone, a thread for each request; `address` has its token."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere this would let another program take the port

    def __init__(self, answer, folder, port=0):
        """Listen; `folder` is for recordings while they are localised, the rest as of `serve`."""
        super().__init__((HOST, port), Handler)
        self.answer, self.folder = answer, folder
        self.token = secrets.token_urlsafe(24)
        self.host = f"{HOST}:{self.server_address[1]}"
        self.address = f"http://{self.host}/{self.token}/"
        self.turn, self.ending = threading.Lock(), threading.Event()
        self.at_work = {}      # threads that hold a recording: the socket of each
        self.latest = None     # (id, name of the recording, function that makes its page)

    def end(self):
        """Stop what is in work and wait until it has let go of its files."""
        self.ending.set()
        at_work = list(self.at_work.items())
        for _, connection in at_work:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)  # a browser that stalls in what it sends is not waited for
        for thread, _ in at_work:
            thread.join(END_S)

    def handle_error(self, request, client_address):
        """Say nothing of a browser that went away; anything else is a fault and shows its traceback."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """One request; see the top of this file."""

    timeout = SILENT_S

    def log_message(self, *_):
        """Print nothing: an address holds the token."""

    def do_GET(self):
        """Give a page."""
        names = self._names()
        latest = self.server.latest or (None, None, None)
        if names is None:
            self._refuse()
        elif names == [""]:
            self._send(200, recorder.html(MOST_BYTES, MOST_SECONDS))
        elif names in ([], [latest[0]]):  # a browser would look beside it for what belongs to the page
            self._send(308, "", more={"Location": f"{urlsplit(self.path).path}/"})
        elif names == [recorder.WORKLET_NAME]:
            self._send(200, recorder.WORKLET, "text/javascript; charset=utf-8")
        elif names == [latest[0], ""]:
            self._send(200, latest[2]([("← Another recording", "../"), ("Save this page", "save")]))
        elif names == [latest[0], "save"]:
            name = quote(Path(latest[1]).with_suffix(".html").name)
            self._send(200, latest[2](), more={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})
        else:
            self._send(404, "This page is no longer kept; localise the recording again.", "text/plain; charset=utf-8")

    def do_HEAD(self):
        """Give the head of the answer to GET."""
        self.do_GET()

    def do_POST(self):
        """Take a recording and answer in lines of JSON."""
        length = self.headers.get("Content-Length", "")
        if self._names() != ["localise"] or self.headers.get("Origin") != f"http://{self.server.host}":
            self._refuse()
        elif not re.fullmatch("[0-9]{1,18}", length):
            self._send(411, json.dumps({"problem": "the recording has no length; send it whole."}), JSON_LINES)
        elif int(length) > MOST_BYTES:
            self._send(413, json.dumps({"problem": recorder.too_large(MOST_BYTES)}), JSON_LINES)
        else:
            self.server.at_work[threading.current_thread()] = self.connection
            try:
                self._localise(int(length), parse_qs(urlsplit(self.path).query).get("name", [""])[0])
            except Gone:
                pass
            finally:
                del self.server.at_work[threading.current_thread()]

    # -------------------------------------------------------------------------------------------------- who may come

    def _names(self):
        """List the names after the token in the address; None for whoever may not come."""
        with suppress(ValueError):  # no address at all
            _, token, *names = urlsplit(self.path).path.split("/")
            is_ours = (self.headers.get_all("Host") == [self.server.host]
                       and self.headers.get("Origin") in (None, f"http://{self.server.host}")
                       and secrets.compare_digest(token.encode(), self.server.token.encode()))
            return names if is_ours else None
        return None

    def _refuse(self):
        self._send(403, "This address is closed; open the one that Localise.py printed.", "text/plain; charset=utf-8")

    def _send(self, status, text, media_type=HTML, more=None):
        data = text.encode("utf-8", errors="replace")
        self._send_head(status, media_type, {"Content-Length": len(data)} | (more or {}))
        if self.command != "HEAD":
            self.wfile.write(data)

    def _send_head(self, status, media_type, more=None):
        self.send_response(status)
        for name, value in (HEADERS | {"Content-Type": media_type} | (more or {})).items():
            self.send_header(name, str(value))
        self.end_headers()

    # ----------------------------------------------------------------------------------------------------- a recording

    def _localise(self, length, name):
        """Receive a recording, localise it when its turn comes, and tell of both."""
        self._told_at = None
        with tempfile.TemporaryDirectory(dir=self.server.folder, ignore_cleanup_errors=True) as folder:
            path = Path(folder) / file_name(name)
            try:
                self._receive(path, length)
                with self._turn(), called_by_name(path):
                    make_page = self.server.answer(path, partial(self._watch, path.name))
                    number = secrets.token_urlsafe(9)
                    self.server.latest = number, path.name, make_page  # in turn: else an earlier answer may come later
                told = {"page": f"{number}/"}
            except BadInput as problem:
                told = {"problem": str(problem).replace(str(path), path.name)}
            except Gone:
                raise
            except Exception:
                traceback.print_exc()
                told = {"problem": "Localise.py met a fault of its own; its terminal shows the traceback."}
        self._tell(told)

    def _receive(self, path, length):
        """Write what the browser sends to a path; BadInput where the disk is full."""
        full = None
        with open(path, "wb") as file:
            while length:
                if self.server.ending.is_set():
                    raise Gone
                try:
                    piece = self.rfile.read(min(length, PIECE_BYTES))
                except OSError as problem:
                    raise Gone from problem
                if not piece:
                    raise Gone
                length -= len(piece)
                try:
                    file.write(piece)
                    file.flush()
                except OSError as problem:  # a browser hears no answer before it has sent all
                    full = problem
        if full:
            raise BadInput(f"the folder for temporary files {tempfile.gettempdir()} has no space for this recording "
                           f"({full.strerror}); free some space or set TMPDIR.") from full

    @contextmanager
    def _turn(self):
        """Wait until no other recording is localised."""
        while not self.server.turn.acquire(timeout=WAIT_S):
            self._tell({"doing": "waiting for another recording"})
        try:
            yield
        finally:
            self.server.turn.release()

    def _watch(self, name, blocks, doing, sample_rate_hz):
        """Yield blocks and tell of each; BadInput from MOST_SECONDS on."""
        seconds = 0.0
        for block in blocks:
            yield block
            seconds += len(block) / sample_rate_hz
            if seconds > MOST_SECONDS:
                raise BadInput(recorder.too_long(name, MOST_SECONDS))
            if self._told_at is None or time.monotonic() - self._told_at >= TELL_S:
                self._tell({"doing": doing, "seconds": round(seconds, 1)})

    def _tell(self, told):
        """Send a line, the first one with the head of the answer; Gone where nobody reads it any more."""
        if self.server.ending.is_set():
            raise Gone
        try:
            if self._told_at is None:
                self._send_head(200, JSON_LINES)
            self.wfile.write(json.dumps(told).encode() + b"\n")
        except OSError as problem:
            raise Gone from problem
        self._told_at = time.monotonic()


def file_name(name):
    """Make a name that any file system takes, of one that a browser gives.

    Examples
    --------
    >>> file_name("../a: talk?.WAV"), file_name(""), file_name(".wav"), file_name("CON.wav")
    ('a_ talk_.WAV', 'recording', 'recording.wav', '_CON.wav')

    """
    name = name.encode(sys.getfilesystemencoding(), "replace").decode(sys.getfilesystemencoding())
    name = re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", re.split(r"[/\\]", name)[-1]).rstrip(". ")
    if re.fullmatch(OF_WINDOWS, name.partition(".")[0].rstrip(" "), re.IGNORECASE):
        name = f"_{name}"
    stem, dot, ending = name.rpartition(".") if "." in name else (name, "", "")
    return f"{stem.lstrip('.')[:LONGEST_NAME] or 'recording'}{dot}{ending[:8]}"
