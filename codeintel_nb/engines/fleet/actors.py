"""Fleet of actors: a host on each worker of a cluster, renewed as workers come and go."""

from __future__ import annotations

import re
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ...search.query import Bounds
from ...settings import Settings
from .fleet import DEADLINE, Gathered
from .host import Identity, packed, unpacked

RENEW_S = 1.0  # between two checks of the cluster's workers
PING_S = 15.0  # for a new worker's imports
LOST_S = 8.0  # before a worker that broke a call is tried again
LOOK_S = 0.1  # between two checks of the other hosts
CALLS = 4  # of a host at once
CHECK_S = 5  # for a connection to an address
MAX_PAUSE_S = 60.0  # before retrying a host that failed to start
_NO_PACKAGE = re.compile("No module named '?codeintel_nb")


class Future(Protocol):
    """Pending answer of an actor, as both clusters return it."""

    def done(self) -> bool: ...

    def result(self, timeout: float | None = None) -> Any: ...


def shortened(text: str) -> str:
    """Return an error in one line of at most 200 characters, without its full stop."""
    return " ".join(text.split())[:200].rstrip(".")


def _last_line(text: str) -> str:
    """Return the last line of an error; those above are the cluster's traceback."""
    lines = text.strip().splitlines()
    return shortened(lines[-1]) if lines else ""


def check_address(address: str) -> None:
    """Check that something listens at ``HOST:PORT``; the clusters' own clients wait much longer.

    Raises
    ------
    OSError : nothing listens there.
    ValueError : the address is not of that form.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), CHECK_S).close()


class Failure(NamedTuple):
    """Failed start of a host."""

    reason: str
    pause_s: float
    again_at: float


class ActorFleet(ABC):
    """Hosts as actors; a subclass knows the cluster."""

    def __init__(self, settings: Settings, root: str) -> None:
        self.arguments = settings, root  # of a host
        self._hosts: dict[str, Any] = {}  # actors by worker
        self._unfit: dict[str, str] = {}  # workers that cannot search, and why
        self._lost: dict[str, float] = {}  # workers that broke a call, and when
        self._failures: dict[str, Failure] = {}  # workers whose host does not start
        self._closed = threading.Event()
        self._renewal = threading.Lock()

    @abstractmethod
    def _workers(self) -> set[str]:
        """Return the workers that are alive."""

    @abstractmethod
    def _start(self, worker: str) -> Any:
        """Start an actor on a worker; raise if that fails."""

    @abstractmethod
    def _send(self, actor: Any, call: bytes) -> Future:
        """Send a packed call to an actor."""

    @abstractmethod
    def _cancel(self, actor: Any, call: str) -> None:
        """Tell an actor to end a call, without waiting for it."""

    @abstractmethod
    def _leave(self) -> None:
        """Disconnect from the cluster."""

    def _begin(self) -> None:
        """Start the first hosts, and follow the cluster from now on."""
        self.renew()
        threading.Thread(target=self._watch, name="codeintel-fleet", daemon=True).start()

    def hosts(self) -> Sequence[str]:
        return list(self._hosts)

    def call(self, host: str, call: bytes) -> Any:
        actor = self._hosts.get(host)
        try:
            return None if actor is None else (actor, self._send(actor, call))
        except Exception:  # the worker is gone
            return None

    def cancel(self, host: str, call: str) -> None:
        if (actor := self._hosts.get(host)) is not None:
            with suppress(Exception):  # the worker is gone
                self._cancel(actor, call)

    def gather(self, handles: Mapping[str, Any], bounds: Bounds) -> Gathered:
        gathered, waiting = Gathered({}, {}), dict(handles)
        while waiting:
            is_over = bounds.reached()
            for host, handle in list(waiting.items()):
                if handle is None or self._hosts.get(host) is not handle[0]:
                    gathered.lost[host] = "unreachable"
                elif handle[1].done():
                    self._take(gathered, host, handle[1], 1.0)
                elif is_over:
                    gathered.lost[host] = DEADLINE
                else:
                    continue
                del waiting[host]
            if waiting:  # wait for one of them, and look at the others in between
                host, (_, future) = next(iter(waiting.items()))
                left_s = bounds.left_s()
                self._take(
                    gathered, host, future, LOOK_S if left_s is None else min(LOOK_S, left_s)
                )
                if host in gathered.answers or host in gathered.lost:
                    del waiting[host]
        return gathered

    def _take(self, gathered: Gathered, host: str, future: Future, wait_s: float) -> None:
        """Add a host's answer, if it comes in time, or why there will be none."""
        try:
            gathered.answers[host] = future.result(timeout=wait_s)
        except TimeoutError:
            return
        except Exception as error:  # whatever the transport raises: the host has not answered
            gathered.lost[host] = str(error) or type(error).__name__
            self._lost[host] = time.monotonic()
            self._hosts.pop(host, None)

    def states(self) -> dict[str, str]:
        failures = {one: failure.reason for one, failure in self._failures.items()}
        return {**dict.fromkeys(self._hosts, ""), **failures, **self._unfit}

    def renew(self) -> None:
        """Make a host on each new worker; forget those of workers that left."""
        with self._renewal:
            try:
                workers = self._workers()
            except Exception:  # the cluster is down: its client reconnects by itself
                workers = set()
            for gone in set(self._hosts) - workers:  # a copy, as searches change the original
                self._hosts.pop(gone, None)
            self._unfit = {one: why for one, why in self._unfit.items() if one in workers}
            # the cluster may still name a worker that has just died
            since = time.monotonic() - LOST_S
            self._lost = {one: at for one, at in dict(self._lost).items() if at > since}
            self._failures = {
                one: failure for one, failure in self._failures.items() if one in workers
            }
            now = time.monotonic()
            waiting = {one for one, failure in self._failures.items() if failure.again_at > now}
            for worker in workers - {*self._hosts, *self._unfit, *self._lost, *waiting}:
                try:
                    self._add(worker)
                except Exception as error:  # it left meanwhile, or its host does not start
                    self._note(worker, error)
                else:
                    self._failures.pop(worker, None)

    def _note(self, worker: str, error: Exception) -> None:
        """Record why a worker's host did not start. The pause before each retry doubles."""
        text = str(error)
        reason = (
            "codeintel-nb is not installed there" if _NO_PACKAGE.search(text) else _last_line(text)
        )
        former = self._failures.get(worker)
        pause_s = RENEW_S if former is None else min(2 * former.pause_s, MAX_PAUSE_S)
        again_at = time.monotonic() + pause_s
        self._failures[worker] = Failure(reason or type(error).__name__, pause_s, again_at)

    def _add(self, worker: str) -> None:
        actor = self._start(worker)
        identity = unpacked(self._send(actor, packed("ping")).result(timeout=PING_S))
        own = Identity.own(Path(self.arguments[1]))
        if self.arguments[0].buckets:  # a host copies its shards from there
            own = own._replace(root=identity.root)
        if reason := own.differs(identity):
            self._unfit[worker] = reason
            return
        self._hosts[worker] = actor

    def _watch(self) -> None:
        while not self._closed.wait(RENEW_S):
            with suppress(Exception):  # tried again; without this thread no host would come back
                self.renew()

    def close(self) -> None:
        self._closed.set()
        with suppress(Exception):  # the cluster may be gone
            self._hosts.clear()
            self._leave()
