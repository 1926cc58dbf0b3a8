"""Shards made on a Dask cluster: a real scheduler and worker processes on the loopback address."""
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import ROOT, digests, head, one_sentence, start_process

from console import BadInput
from params import Params
from shards import cluster, spatialise
from shards.audio import AudioCache

distributed = pytest.importorskip("distributed", reason="requirements-cluster.txt is not installed")
pytestmark = pytest.mark.slow

PARAMS = replace(Params(), frames=10)
CONFIGURED = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error", "OMP_NUM_THREADS": "1",
              "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"}
BLIND = """import os
def without(path, *args, stat=os.stat, **options):
    if "hidden" in str(path):
        raise FileNotFoundError(path)
    return stat(path, *args, **options)
os.stat = without
"""


class Cluster:
    """A scheduler and the workers that were started: processes of their own, without nannies."""

    def __init__(self, folder):
        self.folder, self.file, self.workers = folder, folder / "scheduler.json", []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", self.file)
        for _ in range(2):
            self.add()

    def _start(self, role, *args, cwd=ROOT):
        with open(self.folder / f"{role}.log", "a") as log:
            return subprocess.Popen([sys.executable, "-m", "dask", role, *map(str, args), "--no-dashboard"], cwd=cwd,
                                    env=os.environ | CONFIGURED, stdout=subprocess.DEVNULL, stderr=log)

    def add(self, *args, cwd=ROOT):
        """Start another worker."""
        self.workers.append(self._start("worker", "--scheduler-file", self.file, "--no-nanny", "--nthreads", 1,
                                        "--local-directory", self.folder, *args, cwd=cwd))
        return self.workers[-1]

    def wait(self):
        """Wait until the scheduler knows exactly the workers that live; gives its address."""
        while not self.file.exists():
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        with distributed.Client(scheduler_file=str(self.file), set_as_default=False) as client:
            deadline = time.monotonic() + 60
            while len(client.nthreads()) != self.alive():
                assert time.monotonic() < deadline, (self.folder / "worker.log").read_text()[-2000:]
                time.sleep(0.1)
            return client.scheduler.address

    def alive(self):
        """Count the workers that live."""
        return sum(worker.poll() is None for worker in self.workers)

    def end(self, process):
        """End a process that was started here."""
        process.kill()
        process.wait()

    def close(self):
        """End all."""
        for process in (*self.workers, self.scheduler):
            self.end(process)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The scheduler of all tests."""
    with closing(Cluster(tmp_path_factory.mktemp("dask"))) as running:
        yield running


@pytest.fixture
def two_workers(started):
    """The cluster, with two workers that are whole."""
    while started.alive() < 2:
        started.add()
    started.wait()
    return started


@pytest.fixture(scope="module")
def flags(noise_files):
    """Flags for 6 shards that take no time."""
    folders = {name: noise_files(name, count, seconds, PARAMS)[0] for name, count, seconds in
               (("speech", 3, 0.5), ("noise", 2, 0.3))}
    return ["--speech", folders["speech"], "--noise", folders["noise"], "--frames", 10, "--azimuth-deg", -30, 20]


@pytest.fixture
def run(flags, two_workers):
    """Function: run SpatialiseTRAIN's main on the cluster, or locally with --jobs."""
    def run(out, *more):
        where = [] if "--jobs" in more else ["--dask", two_workers.wait()]
        spatialise.main("", "TRAIN", list(map(str, [*flags, "--out", out, *where, *more])))
        return digests(out)
    return run


def long_run(two_workers, flags, out):
    """Start the script on units that take a while; it has begun at both workers."""
    running = start_process("SpatialiseTRAIN.py", *flags, "--excerpts", 120, "--dask", two_workers.wait(), "--out", out)
    while len(list(out.glob("*.partial"))) < 2:
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)
    return running


@pytest.mark.parametrize("scenes", [[], ["--talkers", 0, 1, 2, "--world"]], ids=["one talker", "talkers of the world"])
def test_the_same_bytes_from_one_job_eight_jobs_and_two_workers(run, tmp_path, capsys, scenes):
    on_cluster = run(tmp_path / "dask", *scenes)
    assert "made 6 shards; 6 shards (3 speech x 2 noise files)" in capsys.readouterr().out
    assert on_cluster == run(tmp_path / "one", *scenes, "--jobs", 1) == run(tmp_path / "eight", *scenes, "--jobs", 8)
    assert {path.suffix for path in (tmp_path / "dask").iterdir()} == {".npz", ".index"}


def test_both_workers_work(run, tmp_path, two_workers):
    run(tmp_path)
    with distributed.Client(two_workers.wait(), set_as_default=False) as client:
        made = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(made) == 2
    assert min(made.values()) > 0


def test_units_beyond_those_that_the_scheduler_knows_of_are_made(run, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "AT_ONCE", 2)
    assert len(run(tmp_path)) == 6


def test_relative_folders_and_a_scheduler_file(flags, two_workers, tmp_path, monkeypatch):
    """The workers' own working folder is another one."""
    monkeypatch.chdir(Path(flags[1]).parent)
    given = [*flags, "--out", "out", "--dask", two_workers.file]
    given[1], given[3] = (Path(given[at]).relative_to(Path.cwd()) for at in (1, 3))
    spatialise.main("", "TRAIN", list(map(str, given)))
    assert len(digests(Path("out"))) == 6


def test_what_is_made_is_not_made_again(run, tmp_path, capsys):
    before = run(tmp_path)
    sorted(tmp_path.glob("*.npz"))[0].unlink()
    assert run(tmp_path) == before
    assert "made 1 shards" in capsys.readouterr().out


def test_the_units_of_a_killed_worker_are_made_by_the_others(two_workers, flags, tmp_path):
    running = long_run(two_workers, flags, tmp_path / "cut")
    two_workers.workers[-1].send_signal(signal.SIGKILL)
    printed, complaints = running.communicate(timeout=200)
    assert running.returncode == 0, complaints
    assert "made 6 shards" in printed
    assert not list((tmp_path / "cut").glob("*.partial"))
    spatialise.main("", "TRAIN", list(map(str, [*flags, "--excerpts", 120, "--out", tmp_path / "whole"])))
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_the_units_of_a_worker_that_is_told_to_end_are_made_by_the_others(two_workers, flags, tmp_path):
    """As a batch system does when the time of a job is over."""
    running = long_run(two_workers, flags, tmp_path)
    two_workers.workers[-1].send_signal(signal.SIGTERM)
    printed, complaints = running.communicate(timeout=200)
    assert running.returncode == 0, complaints
    assert "made 6 shards" in printed
    assert not list(tmp_path.glob("*.partial"))


def test_ctrl_c_ends_with_one_line_and_leaves_the_workers_free(two_workers, flags, run, tmp_path):
    running = long_run(two_workers, flags, tmp_path)
    running.send_signal(signal.SIGINT)
    _, complaints = running.communicate(timeout=100)
    assert running.returncode == 130
    assert complaints == "SpatialiseTRAIN.py: interrupted; what was finished is kept and nothing is half written.\n"
    assert not digests(tmp_path)  # the units that ran were dropped
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob(".dask-*"))
    assert len(run(tmp_path, "--excerpts", 120)) == 6


def test_a_killed_run_goes_on_with_the_same_command(two_workers, flags, run, tmp_path):
    with long_run(two_workers, flags, tmp_path / "cut") as killed:
        killed.kill()
    assert run(tmp_path / "cut", "--excerpts", 120) == run(tmp_path / "whole", "--excerpts", 120)
    assert not list((tmp_path / "cut").glob("*.partial"))
    assert not list((tmp_path / "cut").glob(".dask-*"))


def test_an_error_of_a_unit_ends_the_run_with_its_sentence(run, tmp_path, capsys):
    name = sorted(run(tmp_path))[0]
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(BadInput, match="cannot be written because a folder has its name"):
        run(tmp_path)
    assert "Making again" in capsys.readouterr().err


def test_a_unit_that_workers_die_of_is_named(two_workers, tmp_path):
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    deadly = cluster.Job(die, [SimpleNamespace(path=tmp_path / "deadly.npz")], PARAMS, [head()], AudioCache, {})
    with pytest.raises(BadInput, match=r"deadly\.npz: several Dask workers died while they made it"):
        cluster.make_shards(two_workers.wait(), deadly, [], "deadly")


def test_a_scheduler_that_goes_away_ends_the_run_with_one_sentence(flags, tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "3s")
    with closing(Cluster(tmp_path)) as own:
        running = long_run(own, flags, tmp_path / "out")
        own.end(own.scheduler)
        _, complaints = running.communicate(timeout=100)
    assert running.returncode == 2, complaints
    assert "the scheduler or its network went away" in complaints
    assert one_sentence(complaints)


# ---------------------------------------------------------------------------------------------- what does not fit

def test_a_worker_that_does_not_see_the_folder_is_told(two_workers, run, tmp_path):
    (tmp_path / "blind.py").write_text(BLIND)
    blind = two_workers.add("--preload", tmp_path / "blind.py")
    two_workers.wait()
    assert two_workers.alive() == 3
    with pytest.raises(BadInput, match="worker tcp://127.0.0.1:[0-9]+ does not see .*hidden as this") as refused:
        run(tmp_path / "hidden")
    assert one_sentence(str(refused.value))
    assert not digests(tmp_path / "hidden")
    two_workers.end(blind)
    assert len(run(tmp_path / "hidden")) == 6


def test_a_worker_without_the_project_is_told(two_workers, run, tmp_path):
    lost = two_workers.add(cwd=tmp_path)
    with pytest.raises(BadInput, match=r"does not find this project .*; start workers in its folder"):
        run(tmp_path / "out")
    two_workers.end(lost)


def job(folder):
    """A job of nothing."""
    return cluster.Job(None, [SimpleNamespace(path=folder / "a.npz")], PARAMS, [], None, {})


def problem(job):
    job.setup(SimpleNamespace(address="tcp://here:1"))
    return job.problem


def test_a_worker_that_fits_has_no_problem(tmp_path):
    assert problem(job(tmp_path)) is None


def test_a_worker_of_other_code_or_packages_is_told(tmp_path, monkeypatch):
    sent = job(tmp_path)
    sent._code |= {"numpy": "1.0"}
    assert "worker tcp://here:1 has other code or packages (numpy" in problem(sent)


def test_a_worker_with_another_folder_of_that_name_is_told(tmp_path):
    sent = job(tmp_path)
    sent.expected = [(tmp_path / ".dask-1", 5)]
    assert "does not see" in problem(sent)
    (tmp_path / ".dask-1").write_text("other content")
    assert "does not see" in problem(sent)
    (tmp_path / ".dask-1").write_text("12345")
    assert problem(sent) is None


def test_a_cluster_without_dask_names_what_to_install(monkeypatch):
    monkeypatch.setattr(cluster, "distributed", None)
    with pytest.raises(BadInput, match="pip install -r requirements-cluster.txt"), cluster.connected("tcp://here:1"):
        pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1", "missing.json", "http://x:1",
                                     "tls://127.0.0.1:1", "tcp://127.0.0.1:99999", "foo", "tcp://127.0.0.1:x"])
def test_a_scheduler_that_does_not_answer_is_told_and_nothing_is_left_to_close(monkeypatch, address):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    before = set(distributed.Client._instances)
    with pytest.raises(BadInput, match=f"--dask {address}: no Dask scheduler answers there") as refused, \
            cluster.connected(address):
        pass
    assert one_sentence(str(refused.value))
    assert set(distributed.Client._instances) <= before  # one that is half built waits for a minute at exit


@pytest.mark.parametrize("content", ['{"address": 3', '{"address": 3}', "[]", "", '{"address": "foo"}', "\udcff"])
def test_a_broken_scheduler_file_is_told(tmp_path, content):
    path = tmp_path / "scheduler.json"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(BadInput, match=r"--dask .*scheduler\.json: no Dask scheduler answers there") as refused, \
            cluster.connected(str(path)):
        pass
    assert one_sentence(str(refused.value))


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["a web server", "silence"])
def test_a_server_of_another_kind_is_told(monkeypatch, greeting):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        def greet():
            with server.accept()[0] as guest:
                guest.sendall(greeting)
                ended.wait(20)

        ended = threading.Event()
        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(BadInput, match="no Dask scheduler answers there") as refused, \
                cluster.connected(f"tcp://127.0.0.1:{server.getsockname()[1]}"):
            pass
        ended.set()
        thread.join(20)
    assert one_sentence(str(refused.value))
