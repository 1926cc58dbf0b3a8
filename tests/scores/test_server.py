"""The server of --serve: closed to all but its own page, one recording at a time, and nothing of it stays."""
import http.client
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from console import BadInput, warn
from scores import server
from scores.server import Server

SOUND = bytes(range(256)) * 5000  # 1.3 MB: more than one piece


@pytest.fixture
def serving(tmp_path):
    """Function: a Server in a thread, whose recordings lie in tmp_path."""
    started = []

    def start(answer=lambda path, watch: lambda links=(): "page"):
        started.append(Server(answer, tmp_path))
        threading.Thread(target=started[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return started[-1]
    yield start
    for each in started:
        each.end()
        each.shutdown()
        each.server_close()


def ask(served, address="", method="GET", body=None, host=None, origin=None, headers=None):
    """Send a request to an address after the token, and return its status, headers and text."""
    connection = http.client.HTTPConnection(served.host, timeout=20)
    connection.putrequest(method, address if address.startswith("/") else f"/{served.token}/{address}", skip_host=True)
    lines = {"Host": host or served.host} | ({"Origin": origin} if origin else {}) | (headers or {})
    for name, value in (lines | ({} if body is None else {"Content-Length": len(body)})).items():
        connection.putheader(name, str(value))
    connection.endheaders(body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def send(served, name="talk.wav", body=SOUND):
    """Send a recording, and return the lines of the answer."""
    status, _, text = ask(served, f"localise?name={name}", "POST", body, origin=f"http://{served.host}")
    assert status == 200
    return [json.loads(line) for line in text.splitlines()]


def wait_until(is_true):
    until = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.01)


# ------------------------------------------------------------------------------------------------------- who may come

def test_only_the_printed_address_is_open(serving):
    served = serving()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", served.address)
    assert ask(served)[0] == 200
    for address in ("/", "/favicon.ico", f"/{'x' * 32}/", f"/{served.token[:-1]}/", "//[", f"/x/{served.token}/"):
        status, _, text = ask(served, address)
        assert (status, "closed" in text) == (403, True)
        assert served.token not in text


def test_an_address_without_its_last_slash_leads_to_the_page(serving):
    served = serving()
    page = send(served)[-1]["page"]
    for address in (f"/{served.token}", f"/{served.token}/{page.rstrip('/')}"):
        status, headers, _ = ask(served, address)
        assert (status, headers["Location"]) == (308, f"{address}/")
    assert ask(served, f"/{'x' * 32}")[0] == 403


def test_a_head_is_that_of_the_page_without_it(serving):
    served = serving()
    for address, status in (("", 200), ("no/such", 404), (f"/{'x' * 32}/", 403)):
        answer, page = (ask(served, address, method) for method in ("HEAD", "GET"))
        assert (answer[0], page[0], answer[2]) == (status, status, "")
        assert answer[1]["Content-Length"] == page[1]["Content-Length"] != "0"


def test_every_run_has_another_token(serving):
    assert serving().token != serving().token


def test_it_listens_on_this_computer_alone(serving):
    served = serving()
    assert served.socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(OSError, match=r"refused|unreachable"), \
            socket.create_connection(("127.0.0.2", served.server_address[1]), timeout=5):
        pass


@pytest.mark.parametrize("host", ["localhost:{}", "evil.example:{}", "127.0.0.1", "127.0.0.1:{}.evil.example"])
def test_a_name_that_leads_here_is_refused(serving, host):
    served = serving()
    assert ask(served, host=host.format(served.server_address[1]))[0] == 403
    assert ask(served, headers={"HOST": "evil.example"}, host="evil.example")[0] == 403


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://{}", "http://localhost"])
def test_pages_of_others_cannot_send(serving, tmp_path, origin):
    heard = []
    served = serving(lambda path, watch: heard.append(path))
    origin = origin and origin.format(served.host)
    assert ask(served, "localise?name=a.wav", "POST", b"sound", origin=origin)[0] == 403
    assert ask(served, f"/{'x' * 32}/localise", "POST", b"sound", origin=f"http://{served.host}")[0] == 403
    assert origin is None or ask(served, origin=origin)[0] == 403
    assert not heard


def test_answers_stay_out_of_frames_caches_and_other_sites(serving):
    for address in ("", "worklet.js", "no/such"):
        _, headers, _ = ask(serving(), address)
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize(("length", "status", "word"), [
    (None, 411, "no length"), ("many", 411, "no length"), ("-1", 411, "no length"),
    (str((256 << 20) + 1), 413, "more than 256 MB")])
def test_a_recording_without_a_length_or_too_large_is_refused(serving, length, status, word):
    served = serving()
    answer = ask(served, "localise?name=a.wav", "POST", origin=f"http://{served.host}",
                 headers={} if length is None else {"Content-Length": length})
    assert answer[0] == status
    assert word in json.loads(answer[2])["problem"]


# -------------------------------------------------------------------------------------------------------- a recording

def test_a_recording_arrives_whole_under_its_name_and_goes_away(serving, tmp_path):
    got = []

    def answer(path, watch):
        got.append((path.name, path.read_bytes()))
        return lambda links=(): f"page with {len(links)} links"
    served = serving(answer)
    told = send(served, "Gespr%C3%A4ch%201.wav")
    assert got == [("Gespräch 1.wav", SOUND)]
    assert list(tmp_path.iterdir()) == []
    assert ask(served, told[-1]["page"])[2] == "page with 2 links"
    _, headers, text = ask(served, f"{told[-1]['page']}save")
    assert text == "page with 0 links"                                # which lead nowhere once it is a file
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''Gespr%C3%A4ch%201.html"


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "..", "%00", "C:%5Cx.wav", "x" * 300 + ".wav",
                                  "%ED%A0%80", "", "CON.wav", "nul", "Aux%20.x.wav", "com1.tar.wav"])
def test_no_name_leads_out_of_the_folder(serving, tmp_path, name):
    got = []

    def answer(path, watch):
        got.append(path)
        return lambda links=(): ""
    send(serving(answer), name)
    assert got[0].parent.parent == tmp_path
    assert len(got[0].name) < 100
    assert got[0].name.split(".")[0].strip().casefold() not in {"con", "nul", "aux", "com1"}


def test_only_the_last_page_is_kept(serving):
    served = serving()
    first, second = (send(served)[-1]["page"] for _ in range(2))
    assert first != second
    assert ask(served, second)[0] == 200
    status, _, text = ask(served, first)
    assert (status, text) == (404, "This page is no longer kept; localise the recording again.")


def test_what_is_refused_is_told_in_the_same_sentence_without_the_folder(serving, tmp_path):
    def answer(path, watch):
        raise BadInput(f"{path} has one channel; record two.")
    assert send(serving(answer)) == [{"problem": "talk.wav has one channel; record two."}]
    assert list(tmp_path.iterdir()) == []


def test_what_the_terminal_tells_names_no_folder_of_ours_either(serving, capsys):
    def answer(path, watch):
        warn(f"{path} is cut short.")
        return lambda links=(): ""
    send(serving(answer))
    assert capsys.readouterr().err == "talk.wav is cut short.\n"


def test_a_fault_is_told_and_the_server_goes_on(serving, tmp_path, capsys):
    faults = [ZeroDivisionError("a fault")]

    def answer(path, watch):
        if faults:
            raise faults.pop()
        return lambda links=(): ""
    served = serving(answer)
    assert "fault of its own" in send(served)[-1]["problem"]
    assert "ZeroDivisionError: a fault" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert "page" in send(served)[-1]


def test_it_tells_how_far_it_is(serving, monkeypatch):
    monkeypatch.setattr(server, "TELL_S", 0.0)

    def answer(path, watch):
        assert len(list(watch(iter([np.zeros((8_000, 2))] * 3), "localising", 16_000))) == 3
        return lambda links=(): ""
    assert send(serving(answer))[:-1] == [{"doing": "localising", "seconds": each} for each in (0.5, 1.0, 1.5)]


def test_what_lasts_too_long_is_refused_while_it_is_read(serving, monkeypatch):
    monkeypatch.setattr(server, "MOST_SECONDS", 120.0)
    read = []

    def answer(path, watch):
        read.extend(watch((np.zeros((16_000 * 50, 2)) for _ in range(9)), "reading", 16_000))
    problem = send(serving(answer))[-1]["problem"]
    assert problem.startswith("talk.wav lasts more than 2 minutes")
    assert len(read) == 3


def test_a_full_disk_is_told_after_all_was_sent(serving, tmp_path, monkeypatch):
    class Full:
        def write(self, piece):
            raise OSError(28, "No space left on device")

    @contextmanager
    def opened(path, mode):
        yield Full()
    monkeypatch.setattr(server, "open", opened, raising=False)
    assert "has no space for this recording (No space left" in send(serving())[-1]["problem"]


# --------------------------------------------------------------------------------------- one at a time, and the end

class Held:
    """An answer that stays at work until `go`, block after block."""

    def __init__(self):
        self.go, self.began, self.ended = threading.Event(), [], []

    def __call__(self, path, watch):
        """Localise, as the server asks."""
        self.began.append(path.name)
        try:
            for _ in watch(repeat(np.zeros((160, 2))), "localising", 16_000):
                if self.go.wait(0.01):
                    return lambda links=(): path.name
        finally:
            self.ended.append(path.name)


def start(served, name):
    """Send a recording in a thread, and return the list that its answer comes to."""
    told = []
    threading.Thread(target=lambda: told.extend(send(served, name)), daemon=True).start()
    return told


def test_a_second_recording_waits_for_the_first(serving, monkeypatch):
    monkeypatch.setattr(server, "WAIT_S", 0.02)
    held = Held()
    served = serving(held)
    first = start(served, "first.wav")
    wait_until(lambda: held.began)
    second = start(served, "second.wav")
    wait_until(lambda: len(served.at_work) == 2)
    assert ask(served)[0] == 200                                      # the page itself need not wait
    time.sleep(0.1)
    assert held.began == ["first.wav"]
    held.go.set()
    wait_until(lambda: first and second)
    assert second[0] == {"doing": "waiting for another recording"}
    assert held.began == ["first.wav", "second.wav"]
    assert ask(served, second[-1]["page"])[2] == "second.wav"


def sending(served, length):
    """A browser that has sent the first byte of a recording, for a `with`: it goes at the end."""
    browser = socket.create_connection(served.server_address)
    browser.sendall(f"POST /{served.token}/localise?name=a.wav HTTP/1.1\r\nHost: {served.host}\r\nOrigin: "
                    f"http://{served.host}\r\nContent-Length: {length}\r\n\r\nx".encode())
    return browser


def test_work_stops_when_the_browser_goes(serving, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "TELL_S", 0.0)
    held = Held()
    served = serving(held)
    with sending(served, length=1):
        wait_until(lambda: held.began)
    wait_until(lambda: held.ended)
    wait_until(lambda: not list(tmp_path.iterdir()))
    held.go.set()
    assert "page" in send(served)[-1]


def test_what_is_half_sent_goes_with_its_browser(serving, tmp_path):
    served = serving()
    with sending(served, length=1000):
        wait_until(lambda: list(tmp_path.iterdir()))
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_the_end_stops_work_and_takes_its_files(serving, tmp_path):
    held = Held()
    served = serving(held)
    with sending(served, length=1):
        wait_until(lambda: held.began)
        served.end()
        assert held.ended
        assert list(tmp_path.iterdir()) == []


def test_the_end_waits_for_no_browser_that_stalls(serving, tmp_path):
    served = serving()
    with sending(served, length=1000):
        wait_until(lambda: list(tmp_path.glob("*/a.wav")))
        served.end()                                                  # which else gives up after END_S
        assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadInput, match=rf"--serve cannot use port {port} \(.*\); name another one"):
            server.serve(None, port)


def test_the_folder_of_temporary_files_is_closed_to_others_and_goes(monkeypatch, tmp_path):
    seen = []

    def run(served):
        seen.append((Path(served.folder), Path(served.folder).stat().st_mode & 0o777))
        raise KeyboardInterrupt
    monkeypatch.setattr(Server, "serve_forever", run)
    server.serve(None)
    (folder, mode), = seen
    assert mode == 0o700
    assert not folder.exists()
