"""Check of the engine that the settings name: its hosts, and those that cannot search."""

from __future__ import annotations

from ..engines.choice import LOCAL, fleet_of
from ..errors import CodeIntelError
from ..operations.answers import Finding
from ..settings import Settings


def engine_findings(settings: Settings) -> list[Finding]:
    """Return the state of each host; empty for the local engine."""
    name = settings.engine
    if name in LOCAL:
        return []
    try:
        fleet = fleet_of(settings)()
    except CodeIntelError as error:
        return [Finding("error", name, str(error))]
    states = fleet.states()
    fleet.close()
    if not states:
        return [Finding("error", name, "The cluster has no worker. Start one, or more.")]
    return [
        Finding("error", f"{name} {host}", f"Does not search: {state}.")
        if state
        else Finding("ok", f"{name} {host}", "searches")
        for host, state in states.items()
    ]
