"""Threads that work on many items, and that Ctrl-C ends."""
import signal
import threading
import time
from contextlib import closing

import pytest

from shards.threads import in_threads


def test_every_item_is_worked_on_once():
    assert sorted(in_threads(lambda number: number + 1, range(500), 4)) == list(range(1, 501))
    assert list(in_threads(abs, [], 4)) == []


def test_the_first_error_ends_the_others_and_is_raised():
    worked_on, before = [], threading.active_count()

    def work(number):
        worked_on.append(number)
        if number == 3:
            raise ValueError("the fourth")
        time.sleep(0.001)

    with pytest.raises(ValueError, match="the fourth"):
        list(in_threads(work, range(100_000), 2))
    assert len(worked_on) < 1000
    assert threading.active_count() == before


def test_closing_ends_the_threads():
    worked_on, before = [], threading.active_count()

    def work(number):
        worked_on.append(number)
        time.sleep(0.001)

    with closing(in_threads(work, range(100_000), 2)) as done:
        next(done)
    assert len(worked_on) < 1000
    assert threading.active_count() == before


def test_ctrl_c_ends_the_threads_whatever_waits(ctrl_c):
    """Nothing is queued that would have to be done or taken back first."""
    stop, worked_on, before = threading.Event(), [], threading.active_count()

    def work(number):
        worked_on.append(number)
        if number == 5:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        stop.wait(0.01)

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(work, range(100_000), 2, stop))
    assert stop.is_set()
    assert len(worked_on) < 1000
    assert threading.active_count() == before
