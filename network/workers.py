"""Read from the environment which of several machines this process is: docs/cluster.md, "Train on many machines"."""
import json
import os
import socket
import time
from contextlib import ExitStack
from typing import NamedTuple

from console import BadInput, short

VARIABLE = "TF_CONFIG"
TASKS = ("chief", "worker")  # in the order of their numbers
GREATEST_PORT = 65535
WAIT_S = 600.0               # for all workers to come
ANSWER_S = 5.0               # for one that has come to answer


class Worker(NamedTuple):
    """Name one of the processes that train together: number `index`, from 0, of those at `addresses`.

    Number 0 is the chief, which writes the models.
    """

    index: int = 0
    addresses: tuple = ("",)

    @property
    def count(self):
        """Count the workers."""
        return len(self.addresses)

    @property
    def is_chief(self):
        """Tell whether this process writes the models."""
        return self.index == 0

    def name_of(self, index):
        """Name a worker in messages."""
        return f"worker {index} ({self.addresses[index]})"


def this_worker(environment=os.environ):
    """Read TF_CONFIG, TensorFlow's description of a cluster; without it there is one worker.

    Parameters
    ----------
    environment : dict of str

    Returns
    -------
    Worker

    Raises
    ------
    BadInput : TF_CONFIG is no JSON, has other tasks than chief and workers, or does not say which one this is

    Examples
    --------
    >>> config = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 1}}'
    >>> this_worker({"TF_CONFIG": config})
    Worker(index=1, addresses=('a:2222', 'b:2222'))
    >>> this_worker({}).count
    1

    """
    text = environment.get(VARIABLE, "")
    if not text.strip():
        return Worker()
    try:
        config = json.loads(text)
        parts = [config, *(config.get(key) or {} for key in ("cluster", "task") if isinstance(config, dict))]
        if not all(isinstance(part, dict) for part in parts):
            raise ValueError("it is no object of the objects cluster and task")
        cluster, task = config.get("cluster") or {}, config.get("task") or {}
        if not cluster:
            return Worker()
        if others := sorted(set(cluster) - set(TASKS)):
            raise ValueError(f"it has the task {others[0]}")
        addresses = {name: [str(address) for address in cluster.get(name, ())] for name in TASKS}
        kind, number = task["type"], int(task["index"])
        if not 0 <= number < len(addresses[kind]):
            raise ValueError(f"it has no {kind} {number}")
        index = number + (len(addresses["chief"]) if kind == "worker" else 0)
        worker = Worker(index, (*addresses["chief"], *addresses["worker"]))
        if bad := [each for each in worker.addresses if not _is_address(each)]:
            raise ValueError(f"{short(bad[0], 60)} is no HOST:PORT with a port of 1 to {GREATEST_PORT}")
        if len(set(worker.addresses)) < worker.count:
            raise ValueError("two workers have one address")
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        reason = f"{problem} is missing" if isinstance(problem, KeyError) else short(problem)
        raise BadInput(f"{VARIABLE} cannot be used ({reason}); write it as docs/cluster.md shows, or unset it.") \
            from problem
    return worker


def _is_address(text):
    """Tell whether a text is HOST:PORT."""
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdecimal() and len(port) < 6 and 1 <= int(port) <= GREATEST_PORT


def meet(worker):
    """Wait until all workers are there, at the chief's address; BadInput after WAIT_S.

    TensorFlow would wait in a call that neither Ctrl-C nor the scheduler's signal ends, for an hour.
    """
    deadline = time.monotonic() + WAIT_S
    with _listening(worker) as door:  # the others see that their ports are free
        if worker.is_chief:
            _receive(worker, door, deadline)
            return
    host, _, port = worker.addresses[0].rpartition(":")
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S) as chief:
                chief.sendall(b"%d\n" % worker.index)
                chief.settimeout(max(ANSWER_S, deadline - time.monotonic()))
                lines = chief.makefile("rb")
                while (said := lines.readline()) == b"there?\n":
                    chief.sendall(b"yes\n")
                if said == b"begin\n":
                    return
        except OSError:  # the chief has not come yet, or went away
            pass
        time.sleep(0.5)
    raise BadInput(f"{VARIABLE}: {worker.name_of(0)} did not answer within {WAIT_S / 60:g} minutes; start all workers, "
                   "with the same addresses, where they reach each other.")


def _listening(worker):
    """Open this worker's port; BadInput where another program has it."""
    try:
        return socket.create_server(("", int(worker.addresses[worker.index].rpartition(":")[2])))
    except OSError as problem:
        raise BadInput(f"{VARIABLE}: {worker.name_of(worker.index)} cannot listen at its port "
                       f"({os.strerror(problem.errno)}); end what uses it, or name another.") from problem


def _receive(worker, door, deadline):
    """Wait as the chief for the others, ask each whether it is still there, and let all begin."""
    guests = {}
    with ExitStack() as connections:
        while missing := [index for index in range(1, worker.count) if index not in guests]:
            door.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                guest = connections.enter_context(door.accept()[0])
            except TimeoutError as problem:
                names = ", ".join(map(worker.name_of, missing))
                raise BadInput(f"{VARIABLE}: {names} did not come within {WAIT_S / 60:g} minutes; start all workers, "
                               "with the same addresses, where they reach each other.") from problem
            guest.settimeout(ANSWER_S)
            said = _ask(guest, b"")
            if said in map(str, range(1, worker.count)):  # one that was started again comes twice
                guests[int(said)] = guest
            if len(guests) == worker.count - 1:
                guests = {index: guest for index, guest in guests.items() if _ask(guest, b"there?\n") == "yes"}
        for guest in guests.values():
            guest.sendall(b"begin\n")


def _ask(guest, question):
    """Send a question, and give the line that comes back; of one that went away "" or what it sent."""
    try:
        guest.sendall(question)
        return guest.makefile("rb", buffering=0).readline().decode("ascii", "replace").strip()
    except OSError:
        return ""
