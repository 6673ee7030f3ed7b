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

from ...errors import EngineError
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
        self._host.cancel(call)  # in the event loop: all threads may be busy


class DaskFleet(ActorFleet):
    """Hosts on the workers of a Dask cluster."""

    kind = "Dask scheduler at"

    def __init__(self, address: str, settings: Settings, root: str, workers: int = 2) -> None:
        """Connect to a scheduler, such as ``10.0.0.1:8786``; ``local`` starts a cluster.

        Raises
        ------
        EngineError : the scheduler does not answer.
        """
        super().__init__(settings, root)
        import distributed

        self._dask: Any = distributed
        self._size = workers if address == LOCAL else 0  # of a cluster of this machine
        self._cluster: Any = None
        try:
            self._client: Any = self._connected(address)
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            self._close_cluster()
            raise EngineError(
                f"The {self.kind} {address} does not answer ({error}). Check the address "
                "and that the cluster runs, or leave the engine setting empty."
            ) from None
        self._begin()

    def _connected(self, address: str) -> Any:
        """Return a client of a scheduler."""
        if self._size:
            self._cluster = self._dask.LocalCluster(
                n_workers=self._size, threads_per_worker=2, dashboard_address="127.0.0.1:0",
                silence_logs=logging.ERROR,
            )  # fmt: skip
        else:
            check_address(address)
        place = self._cluster or f"tcp://{address}"
        return self._dask.Client(
            place, timeout=CONNECT_S, set_as_default=False, direct_to_workers=True
        )

    def _workers(self) -> set[str]:
        if self._size and len(self._cluster.workers) < self._size:
            # Dask gives up a worker that is restarting 15 s after an earlier death
            self._cluster.scale(self._size)
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
        """Close the cluster of this machine, or the connection to a gateway's."""
        if self._cluster is not None:
            self._cluster.close()


class GatewayFleet(DaskFleet):
    """Hosts on the workers of a cluster behind Dask Gateway, by its name.

    The address of the gateway and the credentials are those of Dask's configuration.
    """

    kind = "Dask Gateway cluster"

    def _connected(self, address: str) -> Any:
        import dask_gateway

        gateway: Any = dask_gateway
        try:  # not closed here: its destructor closes it, and a second close fails
            own = gateway.Gateway()
            states = {one.name: one.status.name for one in own.list_clusters()}
            if states.get(address) != "RUNNING":  # the client would wait for it forever
                state = states.get(address, "not found").lower()
                raise ValueError(f"Cluster {address} {state}")
            self._cluster = own.connect(address, shutdown_on_close=False)
            return self._cluster.get_client(set_as_default=False)
        except Exception as error:  # also those of its HTTP client
            raise ValueError(error) from None
