"""State of a panel: the session's scope, its size and the choices for it."""

from __future__ import annotations

from ...errors import CodeIntelError
from ...index.update.report import NOTHING, RepositoryStatus
from ...operations.answers import ScopeAnswer
from ...operations.requests import FacetsRequest, ListSavedScopes, StatusRequest
from ...scopes.globs import empty_hint
from ...scopes.scope import Scope
from ...search.query import PathQuery
from ...search.results import Coverage
from ..plain_text import clean
from ..wording import in_panel
from .client import PanelClient
from .messages import Counts, State

MAX_LANGUAGES = 40


def state_of(client: PanelClient) -> State:
    """Return what a panel shows of its session."""
    now = client.get_scope()
    repositories = client.ask(StatusRequest()).repositories
    coverage = now.coverage
    languages, kinds = dict[str, int](), dict[str, int]()
    if coverage is not None and coverage.files:
        try:
            facets = client.ask(FacetsRequest(folders=1))
        except CodeIntelError:  # its repository was removed between the two calls
            pass
        else:
            languages, kinds = facets.languages, facets.kinds
    project = "" if coverage is None or coverage.files else ", ".join(coverage.building)
    return State(
        scope=now.scope, session=now.session_id, where=client.where,
        expired=now.scope_expired, is_default=now.is_default and bool(now.scope),
        note=_note(now, repositories),
        repositories=tuple((status.name, status.files) for status in repositories),
        languages=tuple(
            entry
            for number, entry in enumerate(languages.items())
            if number < MAX_LANGUAGES or entry[0] in now.scope.languages
        ),
        kinds=tuple(kinds.items()),
        saved=tuple(sorted(client.ask(ListSavedScopes()).scopes)),
        offered=None if now.offered is None else (clean(now.offered.describe()), now.offered),
        counts=None if coverage is None or not coverage.files else _counts(coverage),
        project=clean(project),
    )  # fmt: skip


def count(client: PanelClient, scope: Scope) -> Counts:
    """Return the size of a scope that is being typed."""
    limits = {field: getattr(scope, field) for field in Scope.__struct_fields__}
    return _counts(client.ask(PathQuery(limit=1, **limits)).results.coverage)


def _counts(coverage: Coverage) -> Counts:
    return coverage.files_in_scope, coverage.files


def _note(now: ScopeAnswer, repositories: tuple[RepositoryStatus, ...]) -> str:
    """Return a note on an empty scope, or on a missing index."""
    coverage = now.coverage
    if coverage is not None and coverage.files and not coverage.files_in_scope:
        return f"No file is in scope. {in_panel(empty_hint(now.scope.include_globs))}".rstrip()
    if coverage is not None and coverage.building and not coverage.files:
        names = ", ".join(map(clean, coverage.building))
        is_one = len(coverage.building) == 1
        return (
            f"{names} {'is' if is_one else 'are'} not indexed yet: text search reads "
            f"{'its' if is_one else 'their'} files directly."
        )
    return "" if repositories else in_panel(NOTHING)
