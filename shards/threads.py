"""Threads that end at Ctrl-C: work on many items at once, most of which waits for the disk or computes in NumPy."""
import queue
import threading
from collections import deque


def in_threads(function, items, threads, stop=None):
    """Call `function` on every item, `threads` at a time, and yield what it returns in the order of completion.

    Threads take their items themselves. So however many there are, nothing is queued, and the main thread holds no lock
    when Ctrl-C interrupts it. Close the generator (contextlib.closing) to end the threads early.

    Parameters
    ----------
    function : callable; the first error it raises ends the others and is raised here
    items : iterable
    threads : int
    stop : threading.Event, optional: set when the threads are to end, for a `function` that takes long

    Examples
    --------
    >>> sorted(in_threads(abs, [-3, 1, -2], threads=2))
    [1, 2, 3]

    """
    stop, waiting, done = stop or threading.Event(), deque(items), queue.SimpleQueue()
    count = len(waiting)

    def work():
        while not stop.is_set():
            try:
                item = waiting.popleft()
            except IndexError:
                return
            try:
                done.put((function(item), None))
            except BaseException as problem:  # raised in the main thread
                done.put((None, problem))

    workers = [threading.Thread(target=work) for _ in range(min(threads, count))]
    try:
        for worker in workers:
            worker.start()
        for _ in range(count):
            result, problem = done.get()
            if problem:
                raise problem
            yield result
    finally:
        stop.set()
        for worker in workers:
            if worker.ident:  # it was started
                worker.join()
