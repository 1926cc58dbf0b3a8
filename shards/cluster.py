"""Shards made by the workers of a Dask cluster, which share the folders of audio and of shards (docs/cluster.md).

What all units of work need (the plans, the heads) goes to each worker once, as a plugin, which workers that come later
get too. A unit is the number of a plan. A worker that ends loses its unit to another.
"""
import asyncio
import hashlib
import itertools
import json
import logging
import os
import secrets
import threading
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import console
from console import BadInput, warn
from params import differences
from sound.mixing import Mixer

try:
    import distributed
except ImportError:  # `connected` says what to install
    distributed = None

ROOT = Path(__file__).resolve().parents[1]
CODE = ("console.py", "params.py", "features.py", "hrir.py", "hrtf/*.py", "sound/*.py", "shards/*.py")
PACKAGES = ("numpy", "scipy", "soundfile", "soxr")  # whose versions the bytes of a shard may depend on
CONNECT_S = 30.0
AT_ONCE = 2000   # units that the scheduler knows of at a time: it needs 3 kB for each
WAIT_S = 60.0    # for workers to drop what they have begun


def make_shards(address, job, sources, title):
    """Make a shard of each plan of a job on a cluster, and wait for all.

    Parameters
    ----------
    address : str, of a Dask scheduler, "tcp://host:8786", or the path of its scheduler file, which ends in .json
    job : Job
    sources : list of path: one file of each folder that is read, to tell whether workers see the same
    title : str, of the progress bar

    Raises
    ------
    BadInput : no Dask, no scheduler, a worker that does not see the folders or has another version of what makes
        samples, or what one of the shards raises

    """
    with connected(address) as client, _marked(job.folder) as marker:
        job.expected = [(os.fspath(path), os.stat(path).st_size) for path in (marker, *sources)]
        name = f"{title} {job.folder}"
        try:
            _send(client, job, name, address)
            workers = client.nthreads()
            if not workers:
                warn(f"--dask {address} has no worker yet; waiting for one.")
            for problem in client.run(_problem, name, on_error="ignore").values():
                if problem:
                    raise BadInput(problem)
            _follow(client, name, job.plans, title)
        except (distributed.CancelledError, distributed.comm.CommClosedError) as problem:
            raise BadInput(f"--dask {address}: the scheduler or its network went away; start it again and run the same "
                           "command, which goes on where this one stopped.") from problem
        finally:
            if client.status == "running":
                with suppress(Exception):  # a worker that has gone holds nothing, and no other error may be hidden
                    client.unregister_worker_plugin(name)


def _send(client, job, name, address):
    """Send a job to every worker, those that come later too."""
    try:
        client.register_plugin(job, name)
    except Exception as problem:  # of a worker that cannot read it; Dask puts the type into the text
        if "ModuleNotFoundError" not in repr(problem):
            raise
        raise BadInput(f"a worker of --dask {address} does not find this project or what it needs ({problem}); start "
                       "workers in its folder and with its environment (docs/cluster.md).") from problem


@contextmanager
def connected(address):
    """Connect to a scheduler: a distributed.Client; BadInput where that cannot be."""
    if distributed is None:
        raise BadInput("--dask needs the package distributed; install it with: pip install -r requirements-cluster.txt")
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would tell becomes one sentence here
    try:
        where = _address_in(address) if address.endswith(".json") else address
        asyncio.run(asyncio.wait_for(_ask(where), 2 * CONNECT_S))  # a Client that fails halfway waits again at exit
        client = distributed.Client(where, timeout=CONNECT_S, set_as_default=False)
    except Exception as problem:  # Dask raises whatever another kind of server makes of its protocol
        raise BadInput(f"--dask {address}: no Dask scheduler answers there ({console.short(problem) or 'no answer'}); "
                       "start one with `python -m dask scheduler` and give the address it prints, as "
                       "tcp://host:8786.") from problem
    with client:
        yield client


def _address_in(path):
    """Read the address that a scheduler wrote to its file; OSError or ValueError where there is none."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("address"), str):
        raise ValueError("it is no file of a scheduler")
    return content["address"]


async def _ask(address):
    """Connect to a scheduler and hang up; an exception of any kind where none answers."""
    comm = await distributed.comm.connect(address, timeout=CONNECT_S,
                                          **distributed.Security().get_connection_args("client"))
    await comm.close()


@contextmanager
def _marked(folder):
    """Lay a file into a folder whose name no other folder of the same path holds; remove it in the end."""
    for left in folder.glob(".dask-*"):
        left.unlink()
    marker = folder / f".dask-{secrets.token_hex(8)}"
    with console.atomic_write(marker) as partial:
        partial.write_text("Workers that see this file share the folder.\n", encoding="utf-8")
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)


def _follow(client, name, plans, title):
    """Give out the units, and wait for all; the first error ends it."""
    run, numbers = secrets.token_hex(4), iter(range(len(plans)))

    def give_out(count):
        """Submit the next `count` units."""
        chosen = list(itertools.islice(numbers, count))
        futures = client.map(_make, chosen, name=name, key=[f"{title}-{run}-{n}" for n in chosen], pure=False)
        number_of.update(zip(futures, chosen))
        return futures

    number_of = {}
    done = distributed.as_completed(give_out(AT_ONCE), loop=client.loop)
    try:
        with console.progress(total=len(plans), unit=" shards", desc=title) as bar:
            for future in done:
                number = number_of.pop(future)
                try:
                    future.result()
                except distributed.KilledWorker as problem:
                    raise BadInput(f"{plans[number].path.name}: several Dask workers died while they made it, perhaps "
                                   "for want of memory; give each more memory or fewer threads, and run the same "
                                   "command again.") from problem
                bar.update()
                done.update(give_out(1))
    finally:
        if client.status == "running":
            client.cancel(list(number_of))


def _make(number, name):
    """Make a unit, on a worker."""
    job = distributed.get_worker().plugins.get(name)
    if job is None:  # the run has ended
        raise InterruptedError
    job.make(number)


def _problem(name, dask_worker):
    """Tell why a worker cannot make units: a sentence, or None."""
    return dask_worker.plugins[name].problem


@lru_cache
def code():
    """Describe what the bytes of a shard depend on besides its plan: a digest of the project, versions of packages.

    A process knows the code that it began with, even if its files change.
    """
    digest = hashlib.sha256()
    for path in sorted(path for pattern in CODE for path in ROOT.glob(pattern)):
        digest.update(path.read_bytes())
    return {"project": digest.hexdigest()[:8]} | {package: version(package) for package in PACKAGES}


class Job(distributed.WorkerPlugin if distributed else object):
    """Hold what every unit needs, once on each worker: plans, and what their shards are made with.

    `make_shard(plan, mixer, audio, made_with, stop)` makes one; `audio_cache` is the class that reads the files.
    """

    def __init__(self, make_shard, plans, params, heads, audio_cache, made_with):
        self._make_shard, self.plans, self._params, self._heads = make_shard, plans, params, heads
        self._audio_cache, self._made_with, self._code = audio_cache, made_with, dict(code())
        self.folder, self.expected = plans[0].path.parent, []

    def setup(self, worker):
        """Check that the worker can make the shards as the sender would; called by Dask on every worker."""
        self._stop, self._lock, self._running, self._tools = threading.Event(), threading.Lock(), 0, None
        self.problem = self._problem_of(worker.address)

    async def teardown(self, worker):
        """Let what runs drop its shard: the run has ended, or the worker is told to end; called by Dask."""
        self._stop.set()
        for _ in range(round(10 * WAIT_S)):
            if not self._running:
                return
            await asyncio.sleep(0.1)

    def make(self, number):
        """Make the shard of plan `number`."""
        if self.problem:
            raise BadInput(self.problem)
        with self._lock:
            self._running += 1
            self._tools = self._tools or (Mixer(self._params, self._heads), self._audio_cache(self._params))
        try:
            self._make_shard(self.plans[number], *self._tools, self._made_with, self._stop)
        finally:
            with self._lock:
                self._running -= 1

    def _problem_of(self, address):
        for path, size in self.expected:
            try:
                is_seen = os.stat(path).st_size == size
            except OSError:
                is_seen = False
            if not is_seen:
                return (f"the Dask worker {address} does not see {Path(path).parent} as this machine does; mount the "
                        "same folder there under the same name, or name folders that all machines share.")
        if not os.access(self.folder, os.W_OK):
            return f"the Dask worker {address} may not write to {self.folder}; let its user write there."
        if differ := differences(code(), self._code):
            return (f"the Dask worker {address} has other code or packages ({differ}); start it again with the same "
                    "files and requirements as here.")
        return None
