"""Contract of a fleet: hosts that search shards, and calls to them.

A cluster such as Dask's implements it with a few lines; ``FleetEngine`` does all the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ...search.query import Bounds

DEADLINE = "deadline"  # why a host was lost: its search had no time left


class Gathered(NamedTuple):
    """Packed answers of hosts, and why others gave none."""

    answers: dict[str, bytes]
    lost: dict[str, str]


class Fleet(Protocol):
    """Hosts of a cluster, each with a ``ShardHost``.

    Hosts have names that stay the same while they live. A host that comes back may have a new one.
    """

    def hosts(self) -> Sequence[str]:
        """Return the hosts that can be called now, without waiting."""
        ...

    def call(self, host: str, call: bytes) -> Any:
        """Send a packed call to a host; return a handle at once, even if the host is gone."""
        ...

    def gather(self, handles: Mapping[str, Any], bounds: Bounds) -> Gathered:
        """Wait for the answers to calls by host."""
        ...

    def cancel(self, host: str, call: str) -> None:
        """Tell a host to drop a call; return at once."""
        ...

    def states(self) -> dict[str, str]:
        """Return each host with its state in words; empty for one that works."""
        ...

    def close(self) -> None: ...


def ranking(shard: str, hosts: Sequence[str]) -> list[str]:
    """Return the hosts in the order in which they take a shard, by rendezvous hashing.

    A host that leaves moves only its own shards.
    """

    def weight(host: str) -> bytes:
        return hashlib.blake2b(f"{host}/{shard}".encode(), digest_size=8).digest()

    return sorted(hosts, key=weight, reverse=True)


def placement(sizes: Mapping[str, int], hosts: Sequence[str]) -> dict[str, str]:
    """Return the host of each shard, given the shards' sizes.

    Each shard goes to the first host of its ranking with room: hosts get at most a tenth more than
    their equal share, or one shard (consistent hashing with bounded loads, Mirrokni et al., 2018).
    """
    room = max(1.1 * sum(sizes.values()) / len(hosts), max(sizes.values(), default=0))
    loads, places = dict.fromkeys(hosts, 0), dict[str, str]()
    for shard in sorted(sizes, key=lambda shard: (-sizes[shard], shard)):
        order = ranking(shard, hosts)
        host = next((one for one in order if loads[one] + sizes[shard] <= room), "")
        host = host or min(order, key=loads.__getitem__)
        loads[host] += sizes[shard]
        places[shard] = host
    return places


def replicas(places: Mapping[str, str], hosts: Sequence[str]) -> dict[str, str]:
    """Return the host that takes each shard if its own is lost: the next of the ranking.

    The bound of the loads gives 12 to 35 % of the shards to another one (3 to 20 hosts, measured).
    """
    second = dict[str, str]()
    for shard, host in places.items():
        order = ranking(shard, hosts)
        second[shard] = order[(order.index(host) + 1) % len(order)]
    return second
