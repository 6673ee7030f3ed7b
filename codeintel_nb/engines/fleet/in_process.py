"""Fleet of hosts in this process, on threads; calls are packed as between machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from ...search.query import Bounds
from ...settings import Settings
from .fleet import DEADLINE, Gathered
from .host import ShardHost

LOOK_S = 0.02  # between two looks at a cancellation


class InProcessFleet:
    """Hosts on threads of this process: a fleet without a cluster."""

    def __init__(self, settings: Settings, root: str, count: int = 2) -> None:
        self._hosts = {f"thread-{number}": ShardHost(settings, root) for number in range(count)}
        self._pool = ThreadPoolExecutor(4 * count, thread_name_prefix="codeintel-host")

    def hosts(self) -> Sequence[str]:
        return list(self._hosts)

    def call(self, host: str, call: bytes) -> Any:
        return self._pool.submit(self._hosts[host].do, call)

    def gather(self, handles: Mapping[str, Any], bounds: Bounds) -> Gathered:
        waiting = set(handles.values())
        while waiting and not bounds.reached():
            left_s = bounds.left_s()
            waiting = wait(waiting, LOOK_S if left_s is None else min(LOOK_S, left_s)).not_done
        gathered = Gathered({}, {})
        for host, handle in handles.items():
            if handle.done():
                gathered.answers[host] = handle.result()
            else:
                handle.cancel()
                gathered.lost[host] = DEADLINE
        return gathered

    def cancel(self, host: str, call: str) -> None:
        self._hosts[host].cancel(call)

    def states(self) -> dict[str, str]:
        return dict.fromkeys(self._hosts, "")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
