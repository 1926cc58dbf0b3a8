"""Read from the environment which of several machines this process is: docs/cluster.md, "Train on many machines"."""
import json
import os
from typing import NamedTuple

from console import BadInput

VARIABLE = "TF_CONFIG"
TASKS = ("chief", "worker")  # in the order of their numbers


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
        if bad := [each for each in worker.addresses if not each.rpartition(":")[2].isdecimal() or each.count(":") < 1]:
            raise ValueError(f"{bad[0]} is no HOST:PORT")
        if len(set(worker.addresses)) < worker.count:
            raise ValueError("two workers have one address")
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        reason = f"{problem} is missing" if isinstance(problem, KeyError) else problem
        raise BadInput(f"{VARIABLE} cannot be used ({reason}); write it as docs/cluster.md shows, or unset it.") \
            from problem
    return worker
