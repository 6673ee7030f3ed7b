"""Hosts of a fleet as an engine asks them: placement of shards, calls, and lost hosts."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ...search.query import Bounds
from ..engine import Target
from ..local import LocalEngine
from .fleet import DEADLINE, Fleet, Gathered, placement, replicas
from .host import HostFault, packed, unpacked

ROUNDS = 3  # of asking other hosts for the shards of a lost one
SUSPECT_S = 20.0  # a host that hangs, or just died, is not asked again for so long
GRACE_S = 0.2  # after a search's limit, for what hosts found until then
SHARE = 0.85  # of the time left, for a host
HUNG_S = 0.5  # without an answer; a shorter limit says nothing about a host


class Reply(NamedTuple):
    """Answer of a host about some shards."""

    targets: list[Target]
    value: Any


class Hosts:
    """Hosts of a fleet, each with its shards; safe to share between threads."""

    def __init__(self, local: LocalEngine, fleet: Fleet, ranks_here: bool) -> None:
        self.local, self.fleet, self.ranks_here = local, fleet, ranks_here
        self._sizes = dict[str, int]()  # chunks of each shard that was placed
        self._places: tuple[tuple[str, ...], dict[str, str]] = ((), {})
        self._warm = dict[str, set[str]]()  # shards that each host was told to open
        self.suspects = dict[str, float]()  # hosts that were late, and until when
        self.faults = dict[str, str]()  # the last fault of each host
        self._turn = itertools.count()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the hosts to ask."""
        now = time.monotonic()
        return [one for one in self.fleet.hosts() if self.suspects.get(one, 0.0) <= now]

    def ask(
        self,
        targets: Sequence[Target],
        bounds: Bounds,
        call: str,
        method: str,
        arguments: Callable[[list[Target]], tuple[Any, ...]],
    ) -> tuple[list[Reply], list[Target]]:
        """Ask the hosts of shards; return their replies, and the shards that none answered.

        ``arguments`` gives those of a call about some shards, after the name ``call``, by which
        hosts end it. Each call's last argument is the seconds left.

        Raises
        ------
        CodeIntelError : a host failed in its work, as a local search would.
        """
        replies, waiting = list[Reply](), list(targets)
        failed = set[str]()  # hosts that lack a shard, or had a fault
        for _ in range(ROUNDS):
            hosts = [one for one in self.names() if one not in failed]
            if not waiting or not hosts or bounds.reached():
                break
            by_host = self._by_host(waiting, hosts)
            left_s = bounds.left_s()
            own_s = None if left_s is None else SHARE * left_s
            handles = {
                host: self.fleet.call(host, packed(method, call, *arguments(own), own_s))
                for host, own in by_host.items()
            }
            began = time.monotonic()
            gathered = self.fleet.gather(handles, _with_grace(bounds))
            self._suspect(gathered, bounds, began)
            for host in [one for one, why in gathered.lost.items() if why == DEADLINE]:
                self.fleet.cancel(host, call)
            waiting = []
            for host, own in by_host.items():
                if host in gathered.answers:
                    try:
                        replies.append(Reply(own, unpacked(gathered.answers[host])))
                    except (FileNotFoundError, HostFault) as error:  # of this host, perhaps
                        waiting += own
                        failed.add(host)
                        if isinstance(error, HostFault):
                            self.suspects[host] = time.monotonic() + SUSPECT_S
                            self.faults[host] = str(error)
                    else:
                        self.faults.pop(host, None)
                else:
                    waiting += own
        return replies, waiting

    def ask_one(self, bounds: Bounds, method: str, *arguments: Any) -> Any:
        """Ask any host, in turn; None if none answered."""
        sent = packed(method, *arguments)
        for _ in range(ROUNDS):
            hosts = self.names()
            if not hosts or (bounds.cancel is not None and bounds.cancel.is_set()):
                return None
            host, began = hosts[next(self._turn) % len(hosts)], time.monotonic()
            gathered = self.fleet.gather({host: self.fleet.call(host, sent)}, _with_grace(bounds))
            if host in gathered.answers:
                with suppress(FileNotFoundError, HostFault):  # of this host
                    return unpacked(gathered.answers[host])
            self._suspect(gathered, bounds, began)
        return None

    def _suspect(self, gathered: Gathered, bounds: Bounds, began: float) -> None:
        """Do without the lost hosts for a while, unless the time was too short for them."""
        now = time.monotonic()
        if bounds.cancel is not None and bounds.cancel.is_set():
            return
        for host, reason in gathered.lost.items():
            if reason != DEADLINE or now - began > HUNG_S:
                self.suspects[host] = now + SUSPECT_S

    def _by_host(self, targets: Sequence[Target], hosts: list[str]) -> dict[str, list[Target]]:
        """Return the shards of each host, in order."""
        with self._lock:
            own = {one.shard for one in targets}
            new = [one.shard for one in targets if one.shard not in self._sizes]
            for shard, target in zip(new, (t for t in targets if t.shard in new), strict=True):
                self._sizes[shard] = self.local.shard_of(target).manifest.chunks
            if new:  # the index changed: other shards may be gone
                self._sizes = {
                    one: size
                    for one, size in self._sizes.items()
                    if one in own or self.local.is_open(one)
                }
            if new or self._places[0] != tuple(hosts):
                self._places = tuple(hosts), placement(self._sizes, hosts)
                self._prepare()
            places = self._places[1]
        by_host = dict[str, list[Target]]()
        for target in targets:
            by_host.setdefault(places[target.shard], []).append(target)
        return by_host

    def _prepare(self) -> None:
        """Tell hosts to open their shards, and those that they take if another host is lost."""
        hosts, places = self._places
        second = replicas(places, hosts)
        self._warm = {host: self._warm.get(host, set()) & places.keys() for host in hosts}
        for host in hosts:
            own = {shard for shard in places if host in (places[shard], second[shard])}
            if new := own - self._warm[host]:
                self.fleet.call(host, packed("warm", sorted(new)))
                self._warm[host] |= new

    def in_scope(self, targets: Sequence[Target]) -> list[Target]:
        """Return the shards with a file in scope; the others are not asked."""
        return [one for one in targets if self.local.mask(one).files_in_scope]


def _with_grace(bounds: Bounds) -> Bounds:
    """Return bounds that end a little later, or soon if they are reached."""
    if bounds.ends_at is None:
        return bounds
    return bounds._replace(ends_at=max(bounds.ends_at, time.monotonic()) + GRACE_S)
