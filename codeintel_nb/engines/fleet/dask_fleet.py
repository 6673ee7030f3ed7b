"""Fleet of a Dask cluster: an actor on each worker.

The cluster comes from its own tools: dask-jobqueue and dask-kubernetes give the address of a
scheduler, Dask Gateway a cluster's name. Workers need this package in the same version, and the
index at one path.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...errors import EngineError, MissingExtra
from ...settings import Settings
from .actors import CALLS, PING_S, ActorFleet, Future, check_address
from .host import ShardHost

LOCAL = "local"  # in place of an address: a cluster of this machine
CONNECT_S = 20  # to a scheduler that listens


class DaskHost:
    """Host as an actor; asynchronous, as Dask runs the calls of any other one at a time."""

    def __init__(self, settings: Settings, root: str) -> None:
        self._host = ShardHost(settings, root)
        self._pool = ThreadPoolExecutor(CALLS, thread_name_prefix="codeintel-host")

    async def do(self, call: bytes) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._host.do, call)

    async def cancel(self, call: str) -> None:
        self._host.cancel(call)  # here: all threads may be busy


class DaskFleet(ActorFleet):
    """Hosts on the workers of a Dask cluster."""

    def __init__(self, address: str, settings: Settings, root: str, workers: int = 2) -> None:
        """Connect to a scheduler, such as ``10.0.0.1:8786``; ``local`` starts a cluster.

        Raises
        ------
        MissingExtra : Dask is not installed.
        EngineError : the scheduler does not answer.
        """
        super().__init__(settings, root)
        try:
            import distributed
        except ImportError:
            raise MissingExtra("dask", needed_by=f"The engine {settings.engine}") from None
        self._dask: Any = distributed
        self._count = workers
        self._cluster: Any = None
        try:
            self._client: Any = self._connected(address)
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            self._close_cluster()
            raise EngineError(
                f"The Dask scheduler at {address} does not answer ({error}). Check the address "
                "and that the cluster runs, or leave the engine setting empty."
            ) from None
        self._begin()

    def _connected(self, address: str) -> Any:
        """Return a client of a scheduler."""
        if address == LOCAL:
            self._cluster = self._dask.LocalCluster(
                n_workers=self._count, threads_per_worker=2, dashboard_address="127.0.0.1:0",
                silence_logs=logging.ERROR,
            )  # fmt: skip
        else:
            check_address(address)
        place = self._cluster or f"tcp://{address}"
        return self._dask.Client(
            place, timeout=CONNECT_S, set_as_default=False, direct_to_workers=True
        )

    def _workers(self) -> set[str]:
        if self._cluster is not None and len(self._cluster.workers) < self._count:
            # Dask gives up a worker that is restarting 15 s after an earlier death
            self._cluster.scale(self._count)
        return set(self._client.scheduler_info(n_workers=-1)["workers"])

    def _start(self, worker: str) -> Any:
        made = self._client.submit(
            DaskHost, *self.arguments, actor=True, workers=[worker], allow_other_workers=False,
            pure=False,
        )  # fmt: skip
        with self._client.as_current():  # an actor belongs to the current client
            return made.result(timeout=PING_S)

    def _send(self, actor: Any, call: bytes) -> Future:
        future: Future = actor.do(call)
        return future

    def _cancel(self, actor: Any, call: str) -> None:
        actor.cancel(call)

    def _leave(self) -> None:
        self._client.close()
        self._close_cluster()

    def _close_cluster(self) -> None:
        """Close the cluster of this machine, if it was started here."""
        if self._cluster is not None:
            self._cluster.close()


class GatewayFleet(DaskFleet):
    """Hosts on the workers of a cluster behind Dask Gateway, by its name.

    The address of the gateway and the credentials are those of Dask's configuration.
    """

    def _connected(self, address: str) -> Any:
        try:
            import dask_gateway
        except ImportError:
            raise EngineError(
                f"The engine {self.arguments[0].engine} needs Dask Gateway's client. "
                "Run: pip install dask-gateway"
            ) from None
        gateway: Any = dask_gateway
        try:  # it closes itself, and must not be closed before
            own = gateway.Gateway()
            states = {one.name: one.status.name for one in own.list_clusters()}
            if states.get(address) != "RUNNING":  # its client would wait for it without end
                state = states.get(address, "not found").lower()
                raise ValueError(f"Cluster {address} {state}")
            self._cluster = own.connect(address, shutdown_on_close=False)
            return self._cluster.get_client(set_as_default=False)
        except Exception as error:  # also those of its HTTP client
            raise ValueError(error) from None

    def _workers(self) -> set[str]:
        return set(self._client.scheduler_info(n_workers=-1)["workers"])
