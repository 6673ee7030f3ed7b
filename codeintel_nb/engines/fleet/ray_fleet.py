"""Fleet of a Ray cluster: an actor on each node.

KubeRay, ``ray up`` or ``ray start`` make the cluster. The server is a driver inside it: its machine
is a node, too. Nodes without CPUs, as many head nodes are declared, have no host. All need this
package in the same version, and the index at one path.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import EngineError
from ...settings import Settings
from .actors import CALLS, ActorFleet, Future, check_address, shortened
from .host import ShardHost

AUTO = "auto"  # in place of an address: the cluster of this machine
RECONNECT_S = 30 * 86_400  # without the head of the cluster: a month
_CONTROL = "control"  # threads of a host for cancellations


class RayHost:
    """Host as an actor; Ray calls it on several threads."""

    def __init__(self, settings: Settings, root: str) -> None:
        self._host = ShardHost(settings, root)

    def do(self, call: bytes) -> bytes:
        return self._host.do(call)

    def cancel(self, call: str) -> None:
        self._host.cancel(call)


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's handler of SIGTERM; Ray's would end a server amid its requests."""
    if os.name == "nt":
        yield
        return
    libc = ctypes.CDLL(None)
    before = ctypes.create_string_buffer(1024)  # more than the system's struct
    libc.sigaction(int(signal.SIGTERM), None, before)
    try:
        yield
    finally:  # Python's own function works in the main thread only
        libc.sigaction(int(signal.SIGTERM), before, None)


class RayFleet(ActorFleet):
    """Hosts on the nodes of a Ray cluster."""

    def __init__(self, address: str, settings: Settings, root: str) -> None:
        """Join a cluster by the address of its head, such as ``10.0.0.1:6379``, or ``auto``.

        Raises
        ------
        EngineError : no cluster answers, or this machine is no node of it.
        """
        super().__init__(settings, root)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
        # by default, Ray ends this process after a minute without the cluster's head
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(RECONNECT_S))
        import ray

        self._ray: Any = ray
        try:
            if address != AUTO:
                check_address(address)
            with _own_sigterm():
                self._ray.init(
                    address=address, log_to_driver=False, logging_level="ERROR",
                    ignore_reinit_error=True,
                )  # fmt: skip
        except Exception as error:  # also RuntimeError, and those of its transport
            reason = shortened(str(error))
            raise EngineError(
                f"The Ray cluster at {address} cannot be joined ({reason}). Check the address, and "
                "that this machine is a node of it: ray start --address=HEAD:6379. Or leave the "
                "engine setting empty."
            ) from None
        # searches share the CPUs with other work, as those on this machine do
        self._host_class: Any = self._ray.remote(
            num_cpus=0, max_concurrency=CALLS, concurrency_groups={_CONTROL: 1}
        )(RayHost)
        self._begin()

    def _workers(self) -> set[str]:
        return {
            node["NodeID"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU")
        }

    def _start(self, worker: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        affinity: Any = NodeAffinitySchedulingStrategy
        place = affinity(worker, soft=False)
        actor = self._host_class.options(scheduling_strategy=place).remote(*self.arguments)
        return actor

    def _send(self, actor: Any, call: bytes) -> Future:
        future: Future = actor.do.remote(call).future()
        return future

    def _cancel(self, actor: Any, call: str) -> None:
        actor.cancel.options(concurrency_group=_CONTROL).remote(call)

    def _leave(self) -> None:
        self._ray.shutdown()
