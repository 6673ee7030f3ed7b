"""Health of a service shared by many clients."""

from __future__ import annotations

import os

from ..errors import CodeIntelError
from ..index.shard.shard import Shard
from ..index.store import StoredRepository, read_snapshot
from ..operations.answers import Health
from ..output.progress import duration
from ..scopes.registry import ScopeRegistry
from ..sources.opening import check_root
from ..version import __version__
from ..workspace import Workspace
from .jobs import Jobs

MAX_SESSIONS = 10_000
STUCK_S = 300.0  # an indexing run without progress for so long is stuck


def health(
    workspace: Workspace,
    sessions: int,
    jobs: Jobs,
    watching: tuple[str, ...] = (),
    stuck_s: float = STUCK_S,
    registry: ScopeRegistry | None = None,
    url: str = "",
) -> Health:
    """Return the service's health, with reasons if it is degraded.

    It is degraded above 10,000 sessions, if the registry is unreachable, if a shard or a folder
    cannot be read, if a folder is not watched, or if an indexing run makes no progress.
    """
    reasons = []
    if registry is not None and registry.is_away():
        reasons.append(
            f"{registry.state().rstrip('.')}. Scopes that this server knows still apply, "
            "but none can be set. Retrying automatically"
        )
    if sessions > MAX_SESSIONS:
        reasons.append(
            f"{sessions:,} sessions have a scope; above {MAX_SESSIONS:,} the oldest are dropped. "
            "To let them expire sooner, lower session_max_age_s"
        )
    stored, store = list[StoredRepository](), workspace.store
    try:
        stored = store.repositories()
        reasons += store.shared_problems().values()
    except CodeIntelError as error:
        reasons.append(str(error))
    reasons += [*_damages(stored), *workspace.problems()]
    for name, message in workspace.failures.items():
        if not any(reason.startswith(f"{name}: ") for reason in reasons):
            reasons.append(f"{name}: {message} Searches skip it. Run: codeintel doctor")
    reasons += [
        f"{name}: some folders are not watched, so each text search scans them: {message}"
        for name, message in workspace.unwatched.items()
    ]
    reasons += [
        f"{name}: its indexing run has made no progress for {duration(stuck_s)}. "
        "Cancel it, then run: codeintel doctor"
        for name in jobs.stuck(stuck_s)
    ]
    return Health(
        "degraded" if reasons else "ok",
        tuple(reasons),
        __version__,
        sessions,
        len(stored),
        tuple(jobs.states()),
        watching,
        registry.state() if registry is not None else "",
        url,
    )


def _damages(repositories: list[StoredRepository]) -> list[str]:
    """Return reasons for repositories with an unreadable folder or shard."""
    reasons = []
    for one in repositories:
        try:
            if not one.shared and os.path.isdir(one.repository.root):
                check_root(one.repository.root)
            for ref in read_snapshot(one.folder).shards:
                Shard(one.shards / ref.id).check_dead(ref.dead)
        except (CodeIntelError, OSError) as error:
            reasons.append(f"{one.repository.name}: {error} Run: codeintel doctor")
    return reasons
