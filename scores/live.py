"""Show answers as they come: a bar in the terminal, a line of JSON each, OSC messages for audio software.

    outputs = [JsonLines(sys.stdout), Osc("localhost:9000")]
    for answer in answers:                         # Answered
        for output in outputs:
            output.show(answer)
"""
import json
import socket
from typing import Any, NamedTuple

import numpy as np

from console import BadInput, WarnOnce
from scores.exports import rows_of
from scores.labels import plus_minus, side_of

NAME_WIDTH = 30     # of what is said of a source beside the bar
LATENCIES_MS = 5000  # that are told apart; longer ones count as that


class Answered(NamedTuple):
    """What is heard at a time: `track` is a tracks.Track of one row.

    `heard` lists the sources.Heard in it, None where one source is told. `latency_s` is from the last sample of its
    window to now, `overruns` how often the card lost something so far.
    """

    track: Any
    heard: list | None
    latency_s: float
    overruns: int


class Bar:
    """Show the azimuth as a moving bar in one line of a terminal; of several sources, each by its number."""

    def __init__(self, file, most_sources=1):
        self._file, self._width = file, NAME_WIDTH * most_sources

    def show(self, answered):
        """Draw over the line before."""
        azimuth_deg, half_width_deg, level_db = (float(each[0]) for each in answered.track[1:4])
        if answered.heard is None:
            bar = bar_of(azimuth_deg)
            where = "" if np.isnan(azimuth_deg) else side_of(azimuth_deg) + plus_minus(half_width_deg)
        else:
            bar = bar_of([each.azimuth_deg for each in answered.heard],
                         "".join(str(each.number % 10) for each in answered.heard))
            where = ", ".join(f"{each.number}: {side_of(each.azimuth_deg)}" for each in answered.heard)
        self._file.write(f"\r{bar} {level_db:4.0f} dB  {where or 'no source':<{self._width}}")
        self._file.flush()

    def close(self):
        """Go to the next line."""
        self._file.write("\n")


def bar_of(azimuth_deg, marks="#", width=61):
    """Draw left to right in characters, each azimuth with its mark.

    >>> bar_of(90, width=9), bar_of([-90, 0], marks="12", width=9), bar_of(float("nan"), width=9)
    ('left [....|...#] right', 'left [1...2....] right', 'left [....|....] right')
    """
    cells = ["."] * width
    cells[width // 2] = "|"
    for each, mark in zip(np.atleast_1d(azimuth_deg), marks):
        if np.isfinite(each):
            cells[round((each + 90) / 180 * (width - 1))] = mark
    return f"left [{''.join(cells)}] right"


class JsonLines:
    """Write a line of JSON for each answer, at once; docs/recordings.md lists the keys."""

    def __init__(self, file):
        self._file = file

    def show(self, answered):
        """Write the line of an answer."""
        self._file.write(json.dumps(row_of(answered)) + "\n")
        self._file.flush()

    def close(self):
        """Leave the file to its owner."""


def row_of(answered):
    """Round an answer to what is meaningful, as a dict: keys as in the files of recordings; None is no source."""
    row = next(rows_of(answered.track))
    if answered.heard is not None:
        row["sources"] = [{"source": each.number, "azimuth_deg": round(each.azimuth_deg, 1),
                           "spread_deg": round(each.half_width_deg, 1), "confidence": round(each.confidence, 2)}
                          for each in answered.heard]
    return row | {"latency_s": round(answered.latency_s, 3), "overruns": answered.overruns}


class Osc:
    """Send each answer as OSC 1.0 messages over UDP, which nobody needs to receive; docs/recordings.md lists them."""

    def __init__(self, where):
        """Open a socket to "HOST:PORT"; BadInput for what is no such address, and without the package python-osc."""
        try:
            from pythonosc.udp_client import SimpleUDPClient
        except ImportError as problem:
            raise BadInput(f"--osc needs the package python-osc ({problem}); install it with pip install -r "
                           "requirements-live.txt.") from problem
        host, _, port = where.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2 ** 16:
            raise BadInput(f"--osc {where} is no address; write a host and a port, as in localhost:9000.")
        try:  # once, here: the package would ask for a host's number with every message
            number = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0][4][0]
        except OSError as problem:
            raise BadInput(f"--osc {where}: the host is not known ({problem}); write its name or number.") from problem
        self._where, self._client, self._tell = where, SimpleUDPClient(number, int(port)), WarnOnce()

    def show(self, answered):
        """Send the messages of an answer; what cannot be sent is told once."""
        try:
            for address, values in messages_of(answered):
                self._client.send_message(address, values)
        except OSError as problem:
            self._tell(f"--osc {self._where}: a message could not be sent ({problem}); the next ones are tried.")

    def close(self):
        """Close the socket."""
        self._client.close()


def messages_of(answered):
    """List the OSC messages of an answer: (address, values) each.

    An azimuth comes only with a source; `/binsl/sources` tells every time how many there are.
    """
    row = row_of(answered)
    messages = [("/binsl/level", [row["level_db"]])]
    heard = row.get("sources", [])
    for each in heard:
        messages.append(("/binsl/source", [each["source"], each["azimuth_deg"], each["spread_deg"]]))
    is_source = row["azimuth_deg"] is not None
    if is_source:
        messages.append(("/binsl/azimuth", [row["azimuth_deg"]]))
    if row["spread_deg"] is not None:              # a network of squared error states none
        messages.append(("/binsl/spread", [row["spread_deg"]]))
    return [*messages, ("/binsl/sources", [len(heard) if "sources" in row else int(is_source)])]


class Latencies:
    """Count how long answers took, in memory that does not grow; in steps of 1 ms.

    >>> latencies = Latencies()
    >>> for latency_s in (0.01, 0.02, 0.09):
    ...     latencies.add(latency_s)
    >>> latencies.count, latencies.quantile(0.5), latencies.quantile(0.95)
    (3, 0.02, 0.09)
    """

    def __init__(self):
        self._counts = np.zeros(LATENCIES_MS + 1, int)

    def add(self, latency_s):
        """Count one."""
        self._counts[min(max(0, round(1000 * latency_s)), LATENCIES_MS)] += 1

    @property
    def count(self):
        """Tell how many there were."""
        return int(self._counts.sum())

    def quantile(self, share):
        """Give the latency in seconds that a share of them does not exceed; 0 of none."""
        return float(np.searchsorted(np.cumsum(self._counts), max(1, share * self.count))) / 1000 if self.count else 0.0
