"""Build of a repository's shards on the hosts of a fleet.

Each host builds ranges of neighbouring files, as worker processes of one machine do, and writes
their shards where all see them. The driver asks for their states, gives the ranges of a lost host
to another one, and publishes the snapshot.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from ...errors import CodeIntelError
from ...index.update import build
from ...index.update.machine import fitting_workers
from ...index.update.ranges import Range, RangeProgress, RangeResult
from ...index.update.work import Work
from ...index.update.workers import build_in_workers
from ...search.query import Bounds
from ..choice import fleet_of
from .fleet import DEADLINE, Fleet
from .host import HostFault, packed, unpacked
from .host_builds import BuildState, Slots

LOOK_S = 0.25  # between two looks at the hosts
ANSWER_S = 5.0  # for a host's state
SILENT_S = 30.0  # before a host that does not answer is given up

OnProgress = Callable[[RangeProgress], None]
Results = Iterator[tuple[int, RangeResult]]


class Cluster:
    """Builder of ranges on the cluster of the settings, or in this process's workers."""

    def __init__(self) -> None:
        self.problem = ""

    def build(
        self,
        work: Work,
        ranges: Sequence[Range],
        progress: OnProgress,
        stopped: Callable[[], bool],
    ) -> Results:
        """Build ranges; yield their numbers and results as they finish.

        Without a cluster this machine builds them, and ``problem`` says why.

        Raises
        ------
        CodeIntelError : a range cannot be built.
        """
        progress(RangeProgress("connecting", 0, 0))
        try:
            fleet = fleet_of(work.settings)()
        except CodeIntelError as error:
            self.problem = f"{error} Until then, this machine builds."
            yield from build_in_workers(work, ranges, _workers(work), progress, stopped)
            return
        run = FleetBuild(fleet, work, ranges, progress, stopped)
        try:
            yield from run.results()
        finally:
            run.stop()
            self.problem = run.problem
            fleet.close()


class FleetBuild:
    """Build of ranges on a fleet."""

    def __init__(
        self,
        fleet: Fleet,
        work: Work,
        ranges: Sequence[Range],
        progress: OnProgress,
        stopped: Callable[[], bool],
    ) -> None:
        self._fleet, self._work, self._ranges = fleet, work, ranges
        self._progress, self._stopped = progress, stopped
        self._waiting = deque(range(len(ranges)))
        self._running = dict[str, dict[str, int]]()  # range by the name of its build, by host
        self._slots = dict[str, Slots]()
        self._failed = set[str]()  # hosts that are not asked again
        self._answered_at = dict[str, float]()
        self._events = dict[int, RangeProgress]()
        self.problem = ""

    def results(self) -> Results:
        """Yield the numbers and results of all ranges; after a stop, of the files read so far."""
        is_stopped = False
        while self._waiting or any(self._running.values()):
            if not is_stopped and self._stopped():
                is_stopped = True
                self._waiting.clear()
                self.stop()
            self._meet()
            self._assign()
            if self._waiting and not any(self._running.values()):
                self.problem = "No host of the cluster can build, so this machine did."
                break
            time.sleep(LOOK_S)
            yield from self._look()
        if self._waiting:
            yield from self._here()

    def stop(self) -> None:
        """Tell all hosts to end their builds early."""
        for host, builds in self._running.items():
            if builds:
                self._fleet.call(host, packed("stop_builds", [*builds]))

    def _meet(self) -> None:
        """Ask new hosts what they can do."""
        others = {*self._slots, *self._failed}
        new = [one for one in self._fleet.hosts() if one not in others]
        for host, slots in self._ask(dict.fromkeys(new, packed("build_slots", self._work))).items():
            self._slots[host] = slots
            self._running.setdefault(host, {})

    def _assign(self) -> None:
        """Give ranges to hosts with a free slot, evenly."""
        hosts = [
            one for one in self._fleet.hosts() if one in self._slots and one not in self._failed
        ]
        on_machine = Counter(self._slots[host].machine for host in hosts)
        for turn in range(max((self._slots[host].builds for host in hosts), default=0)):
            for host in [one for one in hosts if one in self._slots]:  # it may fail in between
                slots, builds = self._slots[host], self._running[host]
                room = max(1, slots.builds // on_machine[slots.machine]) if slots.builds else 0
                if self._waiting and len(builds) == turn < room:
                    number, name = self._waiting.popleft(), uuid4().hex
                    builds[name] = number
                    call = packed("start_build", name, self._work, self._ranges[number])
                    self._ask({host: call})

    def _look(self) -> Results:
        """Ask hosts for the states of their builds; yield the results of finished ones."""
        calls = {
            host: packed("build_states", [*builds])
            for host, builds in self._running.items()
            if builds
        }
        states: Mapping[str, dict[str, BuildState]] = self._ask(calls)
        for host, own in states.items():
            builds = self._running[host]
            for name, number in list(builds.items()):
                state = own.get(name)
                if state is None:  # a new host under the name of an old one
                    self._again(host, name)
                elif state.error is not None:
                    raise state.error
                elif state.result is not None:
                    del builds[name]
                    event = RangeProgress("writing", state.result.files, state.result.size)
                    self._report(number, event)
                    yield number, state.result
                elif state.progress is not None:
                    self._report(number, state.progress)
        self._forget_lost()

    def _ask(self, calls: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the values of calls; a host that fails is not asked again."""
        handles = {host: self._fleet.call(host, call) for host, call in calls.items()}
        gathered = self._fleet.gather(handles, Bounds.within(ANSWER_S, None))
        values, now = dict[str, Any](), time.monotonic()
        for host, answer in gathered.answers.items():
            self._answered_at[host] = now
            try:
                values[host] = unpacked(answer)
            except (HostFault, FileNotFoundError) as error:
                self._give_up(host, str(error))
        for host, reason in gathered.lost.items():
            if reason != DEADLINE or now - self._answered_at.setdefault(host, now) > SILENT_S:
                self._give_up(host, reason)
        return values

    def _give_up(self, host: str, reason: str) -> None:
        self.problem = f"The host {host} failed during the build ({reason}); others took its part."
        self._failed.add(host)
        for name in list(self._running.get(host, ())):
            self._again(host, name)
        self._slots.pop(host, None)

    def _again(self, host: str, name: str) -> None:
        """Put a range back that a host does not finish."""
        self._waiting.appendleft(self._running[host].pop(name))

    def _forget_lost(self) -> None:
        """Put back the ranges of hosts that left; one that comes back may build again."""
        for host in set(self._running) - set(self._fleet.hosts()):
            for name in list(self._running[host]):
                self._again(host, name)
            self._slots.pop(host, None)
            self._failed.discard(host)

    def _report(self, number: int, event: RangeProgress) -> None:
        last = self._events.get(number)
        if last is None or last.files < event.files:  # a range that was put back begins again
            self._events[number] = event
        events = self._events.values()
        stage = "writing" if all(one.stage == "writing" for one in events) else "indexing"
        self._progress(
            RangeProgress(stage, sum(one.files for one in events), sum(one.bytes for one in events))
        )

    def _here(self) -> Results:
        """Build what is left in processes of this machine."""
        numbers = sorted(self._waiting)
        rest = [self._ranges[number] for number in numbers]
        for number in numbers:
            self._events.pop(number, None)
        files = sum(one.files for one in self._events.values())
        size = sum(one.bytes for one in self._events.values())

        def report(event: RangeProgress) -> None:
            self._progress(RangeProgress(event.stage, files + event.files, size + event.bytes))

        work = self._work
        for at, result in build_in_workers(work, rest, _workers(work), report, self._stopped):
            yield numbers[at], result


def _workers(work: Work) -> int:
    return work.settings.build_workers or fitting_workers()


if __name__ == "__main__":
    build.main(Cluster())
