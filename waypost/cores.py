"""Which CPUs the processes of each worker run on, and how many threads they compute with.

Workers that say `cpus` have theirs for themselves: first those that list them, then, in the order of the file, those
that say how many.  All others run on what is left, or on all where nothing is, and divide it by the processes that run.
A process gets its share when it starts and keeps it: one that starts when others already run gets less, and they are
not told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from waypost import cpus
from waypost._config_problems import ConfigError, Problem
from waypost.config import Config, Worker


class Cores:
    """The CPUs of a machine, given to the workers of a file; `count` is how many of them may be used at once."""

    def __init__(self, config: Config, own: Sequence[int] | None = None, count: int | None = None) -> None:
        self._workers = config.workers
        self._own = tuple(cpus.mine() if own is None else own)
        self._count = cpus.available() if count is None else count
        self._pinned = self._given()

    def problems(self) -> list[Problem]:
        """What workers ask for and this machine does not have."""
        return [problem for place, worker in enumerate(self._workers) for problem in self._missing(place, worker)]

    def require(self, worker: Worker | None = None) -> None:
        """Sees that all workers, or one, have what they ask for.

        Raises:
            ConfigError: they have not.
        """
        places = [place for place, each in enumerate(self._workers) if worker in (None, each)]
        if found := [problem for place in places for problem in self._missing(place, self._workers[place])]:
            raise ConfigError("this machine", found)

    def of(self, worker: Worker, replica: int = 0) -> tuple[int, ...]:
        """What one of the processes runs on: its part, or all of the worker's where there are fewer than processes."""
        if worker.cpus is None:
            return self._left() or self._own
        given, parts = self._pinned[worker.name], worker.replicas
        part = given[replica * len(given) // parts : (replica + 1) * len(given) // parts]
        return part if len(given) >= parts else given

    def threads(self, worker: Worker, replica: int = 0, beside: int | None = None) -> int:
        """Threads that a process computes with.

        Args:
            beside: processes that run then and have no CPUs for themselves; absent: all that the file has at most.
        """
        if worker.sessions:
            return worker.sessions
        if worker.cpus is not None:
            return min(self._count, max(1, len(self._pinned[worker.name]) // worker.replicas))
        pinned = sum(map(len, self._pinned.values())) if self._left() else 0
        return max(1, (self._count - pinned) // (beside or sum(each.replicas for each in self._free())))

    def least_beside(self) -> int:
        """Processes that divide what nobody has for himself, at least: those that always run, and one on demand."""
        free = list(self._free())
        return sum(worker.always for worker in free) + any(worker.always < worker.replicas for worker in free)

    def _free(self) -> Iterator[Worker]:
        return (worker for worker in self._workers if worker.cpus is None)

    def _left(self) -> tuple[int, ...]:
        taken = {cpu for given in self._pinned.values() for cpu in given}
        return tuple(cpu for cpu in self._own if cpu not in taken)

    def _given(self) -> dict[str, tuple[int, ...]]:
        listed = {each.name: cpus.parsed(each.cpus) for each in self._workers if isinstance(each.cpus, str)}
        given = {name: tuple(cpu for cpu in wanted if cpu in self._own) for name, wanted in listed.items()}
        free = [cpu for cpu in self._own if not any(cpu in each for each in given.values())]
        for worker in self._workers:
            if isinstance(worker.cpus, int):
                given[worker.name], free = tuple(free[: worker.cpus]), free[worker.cpus :]
        return given

    def _missing(self, place: int, worker: Worker) -> Iterator[Problem]:
        given, key = len(self._pinned.get(worker.name, ())), f"workers[{place}].cpus"
        if isinstance(worker.cpus, str) and given < len(cpus.parsed(worker.cpus)):
            wrong = f"not all on this machine, which has {cpus.shown(self._own)} for us"
            yield Problem(key, worker.cpus, wrong, "list those that are there, or leave it out")
        if isinstance(worker.cpus, int) and given < worker.cpus:
            wrong = f"more than the {given} that are left of {len(self._own)}"
            yield Problem(key, worker.cpus, wrong, "use fewer, or leave it out")
