"""Engine of a server, by its setting."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from ..errors import CodeIntelError, MissingExtra
from ..index.store import Store
from ..settings import Settings
from .engine import Engine
from .process_engine import in_processes, process_count

if TYPE_CHECKING:
    from .fleet.fleet import Fleet
    from .local import LocalEngine

LOCAL = ("", "local")
_LIBRARIES = {"dask": "distributed", "dask-gateway": "dask_gateway", "ray": "ray"}


def server_engine(settings: Settings) -> Callable[[Engine], Engine]:
    """Return the engine of a server, for a ``Workspace``: processes beside it, or a fleet.

    Raises
    ------
    CodeIntelError : the setting names no engine.
    """
    if settings.engine in LOCAL:
        return in_processes(settings)
    connect = fleet_of(settings)
    from .fleet.connecting import Connecting
    from .fleet.fleet_engine import FleetEngine

    return lambda local: FleetEngine(
        # from a bucket, a host copies only its own shards
        cast("LocalEngine", local),
        Connecting(settings.engine, connect),
        bool(settings.buckets),
    )


def has_processes(settings: Settings) -> bool:
    """Whether searches run beside the server, so that several may run at once."""
    return settings.engine not in LOCAL or process_count(settings) > 1


def fleet_of(settings: Settings) -> Callable[[], Fleet]:
    """Return the function that connects to the fleet of the setting.

    Raises
    ------
    CodeIntelError : the setting names no engine, or the engine's library is not installed.
    """
    scheme, _, address = settings.engine.partition("://")
    root = str(Store(settings.home).root)
    if scheme not in _LIBRARIES or not address:
        raise CodeIntelError(
            f"There is no engine {settings.engine!r}. Use dask://HOST:8786, dask://local, "
            "dask-gateway://CLUSTER, ray://HOST:6379, ray://auto or local."
        )
    _check_library(scheme, settings.engine)
    if scheme == "ray":
        from .fleet.ray_fleet import RayFleet

        return lambda: RayFleet(address, settings, root)
    from .fleet.dask_fleet import DaskFleet, GatewayFleet

    kind = DaskFleet if scheme == "dask" else GatewayFleet
    return lambda: kind(address, settings, root)


def _check_library(scheme: str, engine: str) -> None:
    """Check that an engine's library is installed.

    Raises
    ------
    CodeIntelError : it is not.
    """
    if find_spec(_LIBRARIES[scheme]) is not None:
        return
    if scheme == "dask-gateway":
        raise CodeIntelError(
            f"The engine {engine} needs Dask Gateway's client. Run: pip install dask-gateway"
        )
    raise MissingExtra(scheme, needed_by=f"The engine {engine}")
