"""Hosts of a fleet as an engine asks them: placement of shards, calls, and lost hosts."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...search.query import Bounds
from ..engine import Target
from ..local import LocalEngine
from .fleet import DEADLINE, Fleet, Gathered, placement, replicas
from .host import HostFault, MissingShards, packed, unpacked
from .searches import Searches

ROUNDS = 3  # of asking other hosts for the shards of a lost one
SUSPECT_S = 20.0  # a host that hangs, or just died, is not asked again for so long
GRACE_S = 0.2  # after a search's limit, for what hosts found until then
MISSING_S = 10.0  # before a host is asked again for a shard that it lacked
SHARE = 0.85  # of the time left, for a host
HUNG_S = 0.5  # without an answer; a shorter limit says nothing about a host


class Hosts:
    """Hosts of a fleet, each with its shards; safe to share between threads."""

    def __init__(self, local: LocalEngine, fleet: Fleet, ranks_here: bool) -> None:
        self.local, self.fleet, self.ranks_here = local, fleet, ranks_here
        self._sizes = dict[str, int]()  # chunks of each shard that was placed
        self._places: tuple[tuple[str, ...], dict[str, str]] = ((), {})
        self._second = dict[str, str]()  # the host of each shard if its first is lost
        self._missing = dict[tuple[str, str], float]()  # hosts without a shard, and until when
        self._warm = dict[str, set[str]]()  # shards that each host was told to open
        self._own = Searches(local)
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
        *arguments: Any,
        by_shard: Mapping[str, Any] | None = None,
    ) -> tuple[list[Any], list[Target]]:
        """Search shards by a method of ``Searches``; return the values, and unsearched shards.

        Shards that no host has are searched here. Some stay unsearched if time runs out. ``call``
        names the search, so that hosts can end it. Each host gets the ``by_shard`` entries of its
        shards, as the last argument.

        Raises
        ------
        CodeIntelError : a host failed in its work, as a local search would.
        """

        def arguments_for(shards: Sequence[Target]) -> tuple[Any, ...]:
            if by_shard is None:
                return arguments
            return *arguments, {one.shard: by_shard[one.shard] for one in shards}

        values, waiting, lacking = list[Any](), list(targets), list[Target]()
        failed = set[str]()  # hosts that had a fault
        for turn in range(ROUNDS):
            hosts = [one for one in self.names() if one not in failed]
            if not waiting or not hosts or bounds.reached():
                break
            by_host = self._by_host(waiting, hosts, is_first=not turn)
            own = by_host.pop("", [])
            handles = self._sent(by_host, bounds, call, method, arguments_for)
            if own:  # while the hosts search
                values.append(self._here(own, bounds, call, method, *arguments_for(own)))
            gathered = self._gathered(handles, bounds, call)
            waiting = []
            for host, shards in by_host.items():
                try:
                    values.append(unpacked(gathered.answers[host]))
                except KeyError:
                    waiting += shards
                except MissingShards as error:
                    self._note_missing(host, error)
                    lacking += shards
                except HostFault as error:
                    waiting += shards
                    failed.add(host)
                    self.suspects[host] = time.monotonic() + SUSPECT_S
                    self.faults[host] = str(error)
                else:
                    self.faults.pop(host, None)
        left = lacking + waiting
        if left and not bounds.reached():
            values.append(self._here(left, bounds, call, method, *arguments_for(left)))
            left = []
        return values, left

    def _here(
        self,
        targets: list[Target],
        bounds: Bounds,
        call: str,
        method: str,
        *arguments: Any,
    ) -> Any:
        """Search shards in this process."""
        return getattr(self._own, method)(call, bounds, targets, *arguments)

    def _sent(
        self,
        by_host: Mapping[str, list[Target]],
        bounds: Bounds,
        call: str,
        method: str,
        arguments_for: Callable[[Sequence[Target]], tuple[Any, ...]],
    ) -> dict[str, Any]:
        """Send hosts a search of their shards; return the handles of their answers."""
        left_s = bounds.left_s()
        own_s = None if left_s is None else SHARE * left_s
        return {
            host: self.fleet.call(
                host,
                packed("search", method, call, own_s, tuple(shards), *arguments_for(shards)),
            )
            for host, shards in by_host.items()
        }

    def _gathered(self, handles: Mapping[str, Any], bounds: Bounds, call: str) -> Gathered:
        """Wait for the answers of hosts; end the calls of those that are late."""
        began = time.monotonic()
        gathered = self.fleet.gather(handles, _with_grace(bounds))
        self._suspect(gathered, bounds, began)
        for host in [one for one, why in gathered.lost.items() if why == DEADLINE]:
            self.fleet.cancel(host, call)
        return gathered

    def _note_missing(self, host: str, error: MissingShards) -> None:
        until = time.monotonic() + MISSING_S
        with self._lock:
            self._missing.update({(host, shard): until for shard in error.shards})
        if error.reason:
            self.faults[host] = error.reason

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
                with suppress(HostFault):  # of this host
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

    def _by_host(
        self, targets: Sequence[Target], hosts: list[str], is_first: bool
    ) -> dict[str, list[Target]]:
        """Group the shards by host; those that their host lacks are under the empty name.

        After the first round, shards go to their second hosts.
        """
        with self._lock:
            if is_first:
                self._place(targets, hosts)
            places, now = self._places[1] if is_first else self._second, time.monotonic()
            by_host = dict[str, list[Target]]()
            for target in targets:
                host = places.get(target.shard, "")
                host = host if host in hosts else hosts[0]
                if self._missing.get((host, target.shard), 0.0) > now:
                    host = ""
                by_host.setdefault(host, []).append(target)
        return by_host

    def _place(self, targets: Sequence[Target], hosts: list[str]) -> None:
        """Place the shards on the hosts, if either changed."""
        own = {one.shard for one in targets}
        new = [one for one in targets if one.shard not in self._sizes]
        for target in new:
            self._sizes[target.shard] = self.local.shard_of(target).manifest.chunks
        if new:  # the index changed: other shards may be gone
            self._sizes = {
                one: size
                for one, size in self._sizes.items()
                if one in own or self.local.is_open(one)
            }
            self._missing = {one: at for one, at in self._missing.items() if one[1] in self._sizes}
        if new or self._places[0] != tuple(hosts):
            self._places = tuple(hosts), placement(self._sizes, hosts)
            self._prepare()

    def _prepare(self) -> None:
        """Tell hosts to open their shards, and the replicas of other hosts' shards."""
        hosts, places = self._places
        second = self._second = replicas(places, hosts)
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
