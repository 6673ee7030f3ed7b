"""Build of a repository's shards on the hosts of a fleet.

Each host builds ranges of neighbouring files, as worker processes of one machine do, and writes
their shards where all see them. The driver asks for their states, gives the ranges of a lost host
to another one, and publishes the snapshot.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...errors import CodeIntelError, EngineError
from ...index.update import build
from ...index.update.ranges import VANISHED, Range, RangeProgress, RangeResult
from ...index.update.work import Work
from ...index.update.workers import build_in_workers
from ...search.query import Bounds
from ..choice import fleet_of
from .fleet import DEADLINE, Fleet
from .host import HostFault, packed, unpacked
from .host_builds import BuildState, Sample, Slots, workers

LOOK_S = 0.25  # between two polls of the hosts
ANSWER_S = 5.0  # for a host's state
SILENT_S = 30.0  # before a host that does not answer, or a cluster without hosts, is given up
SAMPLED = 50  # files that must be the same on a host
MAX_FAULTS = 2  # hosts that fail at one range before the build ends

OnProgress = Callable[[RangeProgress], None]
Results = Iterator[tuple[int, RangeResult]]


class Cluster:
    """Builder of ranges on the cluster of the settings, or in this process's workers."""

    def __init__(self) -> None:
        self.problem, self.is_connected = "", False

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
            self.problem = f"{error} This machine built the index instead."
            yield from build_in_workers(work, ranges, workers(work), progress, stopped)
            return
        self.is_connected = True
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
        self._failed = dict[str, str]()  # hosts that are not asked again, and why
        self._faults = Counter[int]()  # of each range
        self._silent_since = dict[str, float]()
        self._events = dict[int, RangeProgress]()
        self._is_stopped = False
        self.problem = ""

    def results(self) -> Results:
        """Yield the numbers and results of all ranges; after a stop, of the files read so far."""
        usable_at = time.monotonic()
        while self._waiting or any(self._running.values()):
            if not self._is_stopped and self._stopped():
                self._is_stopped = True
                self._waiting.clear()
                self.stop()
            self._meet()
            self._assign()
            if any(self._running.values()):
                usable_at = time.monotonic()
            elif self._waiting and (
                self._are_all_unfit() or time.monotonic() - usable_at > SILENT_S
            ):
                break
            time.sleep(LOOK_S)
            yield from self._look()
        if self._waiting:
            self.problem = (
                f"The cluster cannot build{self._reasons()}. This machine built the rest instead."
            )
            yield from self._here()

    def stop(self) -> None:
        """Tell all hosts to end their builds early."""
        for host, builds in self._running.items():
            if builds:
                self._fleet.call(host, packed("stop_builds", [*builds]))

    def _are_all_unfit(self) -> bool:
        """Whether there are hosts, and none of them will ever build."""
        hosts = self._fleet.hosts()
        return bool(hosts) and all(
            host in self._failed or (host in self._slots and not self._slots[host].builds)
            for host in hosts
        )

    def _reasons(self) -> str:
        """Return why hosts do not build, in brackets; empty if none says so."""
        reasons = {host: state for host, state in self._fleet.states().items() if state}
        reasons |= {host: one.reason for host, one in self._slots.items() if one.reason}
        reasons |= self._failed
        every = "; ".join(f"{host}: {why}" for host, why in reasons.items())
        return f" ({every})" if every else ""

    def _meet(self) -> None:
        """Ask new hosts what they can do."""
        others = {*self._slots, *self._failed}
        new = [one for one in self._fleet.hosts() if one not in others]
        if not new:
            return
        call = packed("build_slots", self._work, self._sample())
        for host, slots in self._ask(dict.fromkeys(new, call)).items():
            self._slots[host] = slots
            self._running.setdefault(host, {})

    def _sample(self) -> list[Sample]:
        """Return a sample of the files, with their states on this machine."""
        paths = [file.path for pieces in self._ranges for piece in pieces for file in piece]
        sample = list[Sample]()
        for path in paths[:: max(1, len(paths) // SAMPLED)]:
            with suppress(OSError):
                state = Path(self._work.repository.root, path).stat()
                sample.append(Sample(path, state.st_size, int(state.st_mtime)))
        return sample

    def _assign(self) -> None:
        """Give ranges to the least busy hosts, within the limits of their machines."""
        while self._waiting:
            loads, limits = Counter[str](), dict[str, int]()
            hosts = [
                one for one in self._fleet.hosts() if one in self._slots and one not in self._failed
            ]
            for host in hosts:
                slots = self._slots[host]
                loads[slots.machine] += len(self._running[host])
                limits[slots.machine] = min(slots.builds, limits.get(slots.machine, slots.builds))
            free = [
                host
                for host in hosts
                if loads[self._slots[host].machine] < limits[self._slots[host].machine]
            ]
            if not free:
                return
            host = min(free, key=lambda one: len(self._running[one]))
            number, name = self._waiting.popleft(), uuid4().hex
            self._running[host][name] = number
            self._ask({host: packed("start_build", name, self._work, self._ranges[number])})

    def _look(self) -> Results:
        """Ask hosts for the states of their builds; yield the results of finished ones."""
        calls = {
            host: packed("build_states", [*builds])
            for host, builds in self._running.items()
            if builds
        }
        states: Mapping[str, dict[str, BuildState]] = self._ask(calls)
        for host, own in states.items():
            for name, number in list(self._running[host].items()):
                if name not in self._running[host]:
                    break  # the host was given up for another of its builds
                state = own.get(name)
                if state is None:  # a new host under the name of an old one
                    self._again(host, name)
                elif state.error is not None:
                    raise state.error
                elif state.fault:
                    self._blame(host, name, state.fault)
                elif state.result is not None:
                    if state.result.files < sum(map(len, self._ranges[number])):
                        if not self._is_stopped:  # its lease ended
                            self._again(host, name)
                            continue
                    elif self._lacks_files(state.result):
                        self._blame(host, name, "files are missing there")
                        continue
                    del self._running[host][name]
                    event = RangeProgress("writing", state.result.files, state.result.size)
                    self._report(number, event)
                    yield number, state.result
                elif state.progress is not None:
                    self._report(number, state.progress)
        self._forget_lost()

    def _lacks_files(self, result: RangeResult) -> bool:
        """Whether files that exist here are missing on the host."""
        return any(
            reason == VANISHED and Path(self._work.repository.root, path).exists()
            for reason, path in result.left_out
        )

    def _blame(self, host: str, name: str, reason: str) -> None:
        """Give up a host that failed at a range; raise EngineError if others failed, too."""
        number = self._running[host][name]
        self._faults[number] += 1
        if self._faults[number] >= MAX_FAULTS:
            raise EngineError(
                f"{MAX_FAULTS} hosts of the cluster failed to build a part of "
                f"{self._work.repository.name!r}, most recently {host} ({reason}). "
                "Files indexed earlier remain searchable. "
                "To build on this machine, unset CODEINTEL_ENGINE."
            )
        self._give_up(host, reason)

    def _ask(self, calls: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the values of calls; a host that fails is not asked again."""
        handles = {host: self._fleet.call(host, call) for host, call in calls.items()}
        gathered = self._fleet.gather(handles, Bounds.within(ANSWER_S, None))
        values, now = dict[str, Any](), time.monotonic()
        for host, answer in gathered.answers.items():
            self._silent_since.pop(host, None)
            try:
                values[host] = unpacked(answer)
            except HostFault as error:
                self._give_up(host, str(error))
        for host, reason in gathered.lost.items():
            if reason != DEADLINE:
                self._give_up(host, reason)
            elif now - self._silent_since.setdefault(host, now - ANSWER_S) > SILENT_S:
                self._give_up(host, "it does not answer")
        return values

    def _give_up(self, host: str, reason: str) -> None:
        self.problem = f"The host {host} failed ({reason}). Others built its share."
        self._failed[host] = reason
        for name in list(self._running.get(host, ())):
            self._again(host, name)
        self._slots.pop(host, None)

    def _again(self, host: str, name: str) -> None:
        """Put back a range that a host does not finish, unless the build was stopped."""
        number = self._running[host].pop(name)
        if not self._is_stopped:
            self._waiting.appendleft(number)

    def _forget_lost(self) -> None:
        """Put back the ranges of hosts that left; one that comes back may build again."""
        for host in set(self._running) - set(self._fleet.hosts()):
            if self._running[host]:
                self.problem = f"The host {host} was lost. Others built its share."
            for name in list(self._running[host]):
                self._again(host, name)
            self._slots.pop(host, None)
            self._failed.pop(host, None)
            self._silent_since.pop(host, None)

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
        for at, result in build_in_workers(work, rest, workers(work), report, self._stopped):
            yield numbers[at], result


if __name__ == "__main__":
    build.main(Cluster)
