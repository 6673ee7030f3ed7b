"""Fleet of a Dask cluster: an actor on each worker.

The cluster comes from its own tools: dask-jobqueue, dask-kubernetes and dask-gateway give the
address of a scheduler. Workers need this package in the same version, and the index at one path.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import EngineError, MissingExtra
from ...search.query import Bounds
from ...settings import Settings
from .fleet import DEADLINE, Gathered
from .host import Identity, ShardHost, packed, unpacked

LOCAL = "local"  # in place of an address: a cluster of this machine
RENEW_S = 1.0  # between two looks at the cluster's workers
CONNECT_S = 20
PING_S = 15.0  # for a new worker's imports
LOST_S = 8.0  # before a worker that broke a call is tried again
LOOK_S = 0.02
CALLS = 4  # of a host at once


class DaskHost:
    """Host as an actor; asynchronous, as Dask runs the calls of any other one at a time."""

    def __init__(self, settings: Settings, root: str) -> None:
        self._host = ShardHost(settings, root)
        self._pool = ThreadPoolExecutor(CALLS, thread_name_prefix="codeintel-host")

    async def do(self, call: bytes) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._host.do, call)


class DaskFleet:
    """Hosts on the workers of a Dask cluster, renewed as workers come and go."""

    def __init__(self, address: str, settings: Settings, root: str, workers: int = 2) -> None:
        """Connect to a scheduler, such as ``10.0.0.1:8786``; ``local`` starts a cluster.

        Raises
        ------
        MissingExtra : Dask is not installed.
        EngineError : the scheduler does not answer.
        """
        try:
            import distributed
        except ImportError:
            raise MissingExtra("dask", needed_by=f"The engine dask://{address}") from None
        dask: Any = distributed
        self._arguments, self._count = (settings, root), workers
        self._cluster: Any = None
        try:
            if address == LOCAL:
                self._cluster = dask.LocalCluster(
                    n_workers=workers, threads_per_worker=2, dashboard_address="127.0.0.1:0",
                    silence_logs=logging.ERROR,
                )  # fmt: skip
            place = self._cluster or f"tcp://{address}"
            self._client: Any = dask.Client(
                place, timeout=CONNECT_S, set_as_default=False, direct_to_workers=True
            )
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            if self._cluster is not None:
                self._cluster.close()
            raise EngineError(
                f"The Dask scheduler at {address} does not answer ({error}). Check the address "
                "and that the cluster runs, or leave the engine setting empty."
            ) from None
        self._hosts: dict[str, Any] = {}  # actors by worker
        self._unfit: dict[str, str] = {}  # workers that cannot search, and why
        self._lost: dict[str, float] = {}  # workers that broke a call, and when
        self._closed = threading.Event()
        self._renewal = threading.Lock()
        self.renew()
        self._thread = threading.Thread(target=self._watch, name="codeintel-dask", daemon=True)
        self._thread.start()

    def hosts(self) -> Sequence[str]:
        return list(self._hosts)

    def call(self, host: str, call: bytes) -> Any:
        actor = self._hosts.get(host)
        try:
            return None if actor is None else (actor, actor.do(call))
        except Exception:  # the worker is gone
            return None

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

    def _take(self, gathered: Gathered, host: str, future: Any, wait_s: float) -> None:
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
        return {**dict.fromkeys(self._hosts, ""), **self._unfit}

    def renew(self) -> None:
        """Make a host on each new worker; forget those of workers that left."""
        with self._renewal:
            if self._cluster is not None and len(self._cluster.workers) < self._count:
                # Dask gives up a worker that is restarting 15 s after an earlier death
                self._cluster.scale(self._count)
            try:
                workers = set(self._client.scheduler_info(n_workers=-1)["workers"])
            except Exception:  # the scheduler is away: the client connects again by itself
                workers = set()
            for gone in set(self._hosts) - workers:  # a copy: searches change it meanwhile
                self._hosts.pop(gone, None)
            self._unfit = {one: why for one, why in self._unfit.items() if one in workers}
            # the scheduler may still name a worker that has just died
            since = time.monotonic() - LOST_S
            self._lost = {one: at for one, at in dict(self._lost).items() if at > since}
            for worker in workers - {*self._hosts, *self._unfit, *self._lost}:
                with suppress(Exception):  # it left meanwhile, or its actor died: tried again
                    self._add(worker)

    def _add(self, worker: str) -> None:
        made = self._client.submit(
            DaskHost, *self._arguments, actor=True, workers=[worker], allow_other_workers=False,
            pure=False,
        )  # fmt: skip
        try:
            with self._client.as_current():  # an actor belongs to the current client
                actor = made.result(timeout=PING_S)
            identity = unpacked(actor.do(packed("ping")).result(timeout=PING_S))
        except ImportError:
            self._unfit[worker] = "it has no codeintel-nb"
            return
        if reason := Identity.own(Path(self._arguments[1])).differs(identity):
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
            self._client.close()
            if self._cluster is not None:
                self._cluster.close()
