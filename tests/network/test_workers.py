"""TF_CONFIG: who trains together, and how they wait for each other."""
import json
import socket
import threading
import time

import pytest
from helpers import free_ports

from console import BadInput
from network import workers
from network.workers import Worker, meet, this_worker

TWO = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}


def read(config):
    """Read a TF_CONFIG, which is text or what becomes JSON."""
    return this_worker({"TF_CONFIG": config if isinstance(config, str) else json.dumps(config)})


def test_the_chief_comes_before_the_workers():
    cluster = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    assert read({"cluster": cluster, "task": {"type": "worker", "index": 1}}) == Worker(2, ("a:1", "b:2", "c:3"))
    assert read({"cluster": cluster, "task": {"type": "chief", "index": 0}}).is_chief
    assert not read(TWO).is_chief


@pytest.mark.parametrize("config", ["", " ", {}, {"environment": "cloud"}, {"cluster": {}},
                                    {"cluster": None, "task": {"type": "worker"}}])
def test_without_a_cluster_there_is_one_worker(config):
    assert read(config) == Worker()


@pytest.mark.parametrize(("config", "reason"), [
    ("{", "Expecting"),
    ("[1]", "it is no object"),
    ("[]", "it is no object"),
    ("3", "it is no object"),
    (TWO | {"cluster": ["a:1", "b:2"]}, "it is no object"),
    (TWO | {"task": [1]}, "it is no object"),
    (TWO | {"cluster": {"worker": ["a:1", "b:65536"]}}, "b:65536 is no HOST:PORT with a port of 1 to 65535"),
    (TWO | {"cluster": {"worker": ["a:1", "b:0"]}}, "b:0 is no HOST:PORT"),
    (TWO | {"cluster": {"worker": ["a:1", ":2"]}}, ":2 is no HOST:PORT"),
    (TWO | {"cluster": {"worker": ["a:1", "b:" + "9" * 5000]}}, r"99\.\.\. is no HOST:PORT"),
    (TWO | {"task": {}}, "'type' is missing"),
    (TWO | {"task": {"type": "worker", "index": 2}}, "it has no worker 2"),
    (TWO | {"task": {"type": "chief", "index": 0}}, "it has no chief 0"),
    (TWO | {"cluster": {"worker": ["a:1", "b:2"], "ps": ["c:3"]}}, "it has the task ps"),
    (TWO | {"cluster": {"worker": ["a:1", "b"]}}, "b is no HOST:PORT"),
    (TWO | {"cluster": {"worker": ["a:1", "a:1"]}}, "two workers have one address"),
])
def test_what_cannot_be_used_is_told_in_one_sentence(config, reason):
    with pytest.raises(BadInput, match=f"TF_CONFIG cannot be used .*{reason}.*; write it as docs/cluster.md shows"):
        read(config)


def meeting(addresses, index, ended):
    """Start to meet as a worker in a thread; `ended` gets what it ends with by index."""
    def run():
        try:
            ended[index] = meet(Worker(index, addresses))
        except BadInput as problem:
            ended[index] = str(problem)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_all_begin_when_the_last_has_come_in_whatever_order():
    addresses, ended = tuple(f"127.0.0.1:{port}" for port in free_ports(3)), {}
    threads = [meeting(addresses, index, ended) for index in (2, 0)]
    time.sleep(0.7)
    assert not ended
    for thread in (*threads, meeting(addresses, 1, ended)):
        thread.join(20)
    assert ended == {0: None, 1: None, 2: None}


def test_one_that_went_away_while_it_waited_is_waited_for_again(monkeypatch):
    monkeypatch.setattr(workers, "ANSWER_S", 0.5)
    addresses, ended = tuple(f"127.0.0.1:{port}" for port in free_ports(3)), {}
    chief = meeting(addresses, 0, ended)
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", int(addresses[0].split(":")[1]))) as short_lived:
        short_lived.sendall(b"1\n")
        time.sleep(0.3)
    other = meeting(addresses, 2, ended)
    time.sleep(1.5)
    assert not ended
    for thread in (chief, other, meeting(addresses, 1, ended)):
        thread.join(20)
    assert ended == {0: None, 1: None, 2: None}


@pytest.mark.parametrize(("index", "told"), [(0, r"worker 1 .* did not come"), (1, r"worker 0 .* did not answer")])
def test_waiting_has_an_end(monkeypatch, index, told):
    monkeypatch.setattr(workers, "WAIT_S", 0.6)
    with pytest.raises(BadInput, match=f"TF_CONFIG: {told} within 0.01 minutes; start all workers"):
        meet(Worker(index, tuple(f"127.0.0.1:{port}" for port in free_ports(2))))


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_in_use_is_named(index):
    with socket.create_server(("", 0)) as taken:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        addresses[index] = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadInput, match=f"worker {index} .* cannot listen at its port .*in use"):
            meet(Worker(index, tuple(addresses)))
