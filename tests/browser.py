"""A headless Chromium as tests drive it: by the DevTools protocol over a pipe, with no library and no port."""
import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import suppress
from itertools import count

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--mute-audio", "--remote-debugging-pipe",
         "--autoplay-policy=no-user-gesture-required")
KEYS = {" ": ("Space", 32), "ArrowLeft": ("ArrowLeft", 37), "ArrowRight": ("ArrowRight", 39), "Home": ("Home", 36),
        "Enter": ("Enter", 13), "Tab": ("Tab", 9)}
SHIFT = 8


class Navigated(Exception):
    """The page went to another one before it could answer."""


class Browser:
    """A page of a Chromium, for a `with`. `faults` lists what it complained of, what its CSP refused included."""

    def __init__(self, profile, width=1280, height=900, is_dark=False, is_phone=False, flags=()):
        # Chromium reads at descriptor 3 and writes at 4; ours stand above, so that neither covers another.
        to_read, self._to = _pipe()
        self._from, to_write = _pipe()
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, pass_fds=(3, 4),
            preexec_fn=lambda: (os.dup2(to_read, 3), os.dup2(to_write, 4)))
        os.close(to_read)
        os.close(to_write)
        self._numbers, self._left, self._session, self.faults = count(1), b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1 + is_phone,
                  mobile=is_phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=is_phone)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def call(self, method, **params):
        """Call a method of the protocol and return its result."""
        message = {"id": next(self._numbers), "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == message["id"]:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise Navigated(answer)
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") == "Runtime.exceptionThrown":
                self.faults.append(answer["params"]["exceptionDetails"]["exception"].get("description", "exception"))
            elif answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] == "error":
                self.faults.append(answer["params"]["entry"]["text"])

    def _message(self, timeout_s=60):
        while b"\0" not in self._left:
            assert select.select([self._from], [], [], timeout_s)[0], "Chromium does not answer"
            more = os.read(self._from, 1 << 20)
            assert more, "Chromium has ended"
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def open(self, address):
        """Open a file, or the address of a page, and wait until it is there."""
        self.call("Page.navigate", url=address if isinstance(address, str) else address.as_uri())
        self.wait_for("document.readyState === 'complete' && location.protocol !== 'about:'")

    def choose(self, selector, *paths):
        """Choose files in a field for them."""
        told = self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self.call("DOM.setFileInputFiles", files=[str(path) for path in paths], objectId=told["result"]["objectId"])

    def drop(self, selector, *paths):
        """Drag files onto an element and drop them."""
        x, y, width, height = self._box(selector)
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x + width / 2, y=y + height / 2,
                      data={"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1})

    def eval(self, code):
        """Evaluate JavaScript and return its value."""
        told = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait_for(self, code, timeout_s=60):
        """Wait until JavaScript gives something true, and return it."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            with suppress(Navigated):
                if value := self.eval(code):
                    return value
            time.sleep(0.05)
        raise AssertionError(f"never true: {code}")

    def click(self, selector, share=0.5):
        """Click on an element, at a share of its width."""
        x, y, width, height = self._box(selector)
        at = {"x": x + share * width, "y": y + height / 2, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **at)

    def _box(self, selector):
        """Scroll an element into view, and return its x, y, width and height."""
        return self.eval(f"(e => {{e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect(); "
                         f"return [b.x, b.y, b.width, b.height]}})(document.querySelector({json.dumps(selector)}))")

    def press(self, key, shift=False):
        """Press a key of KEYS."""
        code, number = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number,
                      modifiers=SHIFT * shift, **({"text": key} if key == " " and kind == "keyDown" else {}))

    def picture(self, path):
        """Write a png of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=False)["data"]
        path.write_bytes(base64.b64decode(data))


def _pipe():
    """Open a pipe whose ends are numbered from 10 up."""
    import fcntl

    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends
