"""Answers for a panel: scope, choices, and hits as text."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from ..errors import CodeIntelError, ScopeError
from ..index.update.report import NOTHING, RepositoryStatus
from ..operations.answers import ScopeAnswer
from ..operations.requests import FacetsRequest, ListSavedScopes, StatusRequest
from ..scopes.globs import plain_glob
from ..scopes.scope import Scope, covered
from ..search.hit import Hit, Results
from ..search.query import Case, PathQuery, SemanticQuery, TextQuery
from .highlight import MAX_LINES, segments, shown_language, spans_in, without_margin
from .plain_text import MAX_LINE_CHARACTERS, caption, clean
from .wording import in_panel

SHOWN = 60  # hits of a search in a panel
MAX_LANGUAGES = 12
MAX_FOLDERS = 8
MEANT = 20  # hits of a search by meaning


class PanelState(msgspec.Struct, tag="state", tag_field="what", forbid_unknown_fields=True):
    """Request for the scope, its size and the choices for it."""


class PanelCount(msgspec.Struct, tag="count", tag_field="what", forbid_unknown_fields=True):
    """Request for the size of a scope, while the user types it."""

    scope: Scope


class PanelSearch(msgspec.Struct, tag="search", tag_field="what", forbid_unknown_fields=True):
    query: str
    meaning: bool = False  # else a text
    regex: bool = False
    word: bool = False
    case: Case = "smart"
    limit: int = SHOWN


class PanelFolder(msgspec.Struct, tag="folder", tag_field="what", forbid_unknown_fields=True):
    """Request to narrow the session's scope to a folder of the server, or to exclude it."""

    path: str
    exclude: bool = False


PanelRequest = PanelState | PanelCount | PanelSearch | PanelFolder


class PanelClient(Protocol):
    """Part of Client (client/contract.py) used by a panel."""

    @property
    def where(self) -> str: ...
    def get_scope(self) -> ScopeAnswer: ...
    def ask(self, request: Any) -> Any: ...


def answer_panel(client: PanelClient, request: PanelRequest, shown_root: str) -> Any:
    """Return the answer as JSON values.

    ``shown_root`` is the folder shown by the Jupyter server; empty if there is none.
    """
    if isinstance(request, PanelSearch):
        return _found(client, request, shown_root)
    if isinstance(request, PanelCount):
        c = client.ask(PathQuery(limit=1, **_limits(request.scope))).results.coverage
        return [c.files_in_scope, c.files, c.chunks_in_scope, c.chunks]
    if isinstance(request, PanelFolder):
        return msgspec.to_builtins(_with_folder(client, request, shown_root))
    return state_of(client)


def state_of(client: PanelClient) -> dict[str, Any]:
    now = client.get_scope()
    repositories = client.ask(StatusRequest()).repositories
    state: dict[str, Any] = {
        "scope": msgspec.to_builtins(now.scope), "session": now.session_id, "where": client.where,
        "expired": now.scope_expired, "default": now.is_default and bool(now.scope),
        "note": _note(now, repositories),
        "repositories": [[status.name, status.files] for status in repositories],
        "languages": [], "kinds": [], "folders": [], "base": "", "more_folders": 0,
        "saved": sorted(client.ask(ListSavedScopes()).scopes),
        "offered": (
            None if now.offered is None
            else [clean(now.offered.describe()), msgspec.to_builtins(now.offered)]
        ),
    }  # fmt: skip
    if now.coverage is not None and (now.coverage.files or not now.coverage.building):
        c = now.coverage
        state["counts"] = [c.files_in_scope, c.files, c.chunks_in_scope, c.chunks]
        try:
            facets = client.ask(FacetsRequest(folders=MAX_FOLDERS))
        except CodeIntelError:  # its repository was removed between the two calls
            return state
        state["languages"] = [
            entry
            for i, entry in enumerate(facets.languages.items())
            if i < MAX_LANGUAGES or entry[0] in now.scope.languages
        ]
        state["kinds"] = list(facets.kinds.items())
        state["folders"] = [
            {
                "repo": f.repo, "path": clean(f.path), "files": f.files, "chunks": f.chunks,
                "languages": list(f.languages.items()), "glob": f.glob,
            }
            for f in facets.folders
        ]  # fmt: skip
        state["base"], state["more_folders"] = clean(facets.base), facets.more_folders
    return state


def _note(now: ScopeAnswer, repositories: tuple[RepositoryStatus, ...]) -> str:
    """Return the note shown while nothing in scope is indexed."""
    if now.coverage is not None and now.coverage.building and not now.coverage.files:
        names = ", ".join(map(clean, now.coverage.building))
        if len(now.coverage.building) == 1:
            return (
                f"{names} is not indexed yet: text search reads its files directly. "
                "Index it below to search by meaning."
            )
        return (
            f"{names} are not indexed yet: text search reads their files directly. "
            "Index them below to search by meaning."
        )
    return "" if repositories else in_panel(NOTHING)


def _found(client: PanelClient, request: PanelSearch, shown_root: str) -> dict[str, Any]:
    if request.meaning:
        answer = client.ask(SemanticQuery(query=request.query, limit=min(request.limit, MEANT)))
    else:
        answer = client.ask(
            TextQuery(
                pattern=request.query,
                regex=request.regex,
                word=request.word,
                case=request.case,
                limit=request.limit,
            )
        )
    results = answer.results
    files: dict[tuple[str, str], dict[str, Any]] = {}
    for hit in results:
        file = files.setdefault(
            (hit.repo, hit.path), {"repo": clean(hit.repo), "path": clean(hit.path), "hits": []}
        )
        file["hits"].append(_hit(results, hit, shown_root))
    return {
        "caption": caption(results, len(results.hits)),
        "files": list(files.values()),
        "several": len(results.coverage.repositories) > 1,
    }


def _hit(results: Results, hit: Hit, shown_root: str) -> dict[str, Any]:
    lines = hit.snippet.split("\n")[:MAX_LINES]
    text = "\n".join(clean(line)[:MAX_LINE_CHARACTERS] for line in lines)
    text, spans = without_margin(text, spans_in(results, text))  # a side bar is narrow
    return {
        "line": hit.start_line, "cell": hit.cell, "column": hit.column,
        "symbol": clean(hit.symbol), "kind": hit.kind, "first_line": hit.snippet_line,
        "segments": segments(text, shown_language(hit), spans),
        "place": place(shown_root, results.roots.get(hit.repo, ""), hit.path),
    }  # fmt: skip


def place(shown_root: str, root: str, path: str) -> str | None:
    """Return the file's path below the server's folder, else None."""
    if not shown_root or not root:
        return None
    above = _real(shown_root)
    folder, name = os.path.split(os.path.join(root, *path.split("/")))
    full = os.path.join(_real(folder), name)
    try:
        if os.path.commonpath([above, full]) != above:
            return None
    except ValueError:  # another drive
        return None
    return os.path.relpath(full, above).replace(os.sep, "/")


@lru_cache(1024)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _with_folder(client: PanelClient, request: PanelFolder, shown_root: str) -> Scope:
    """Return the scope narrowed to a folder, or without it.

    The folder may be within a repository, or contain several.
    """
    folder = os.path.realpath(os.path.join(shown_root or os.getcwd(), request.path.strip("/")))
    scope = client.get_scope().scope
    repositories = client.ask(StatusRequest()).repositories
    roots = [(status.name, os.path.realpath(status.root)) for status in repositories]
    around = [
        (name, root)
        for name, root in roots
        if folder == root or folder.startswith(root.rstrip(os.sep) + os.sep)
    ]
    if around:
        name, root = max(around, key=lambda one: len(one[1]))
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        glob = "" if inside == "." else f"{plain_glob(inside)}/**"
        if not request.exclude:
            return scope.merged(repos=(name,), include_globs=(glob,) if glob else ())
        if glob:
            others = [other for other in _in_scope(scope, roots) if other != name]
            if others:
                raise ScopeError(
                    f"A scope's globs apply to every repository in it, so {glob!r} would also be "
                    f"excluded from {', '.join(others)}. Limit the scope to {name} first, "
                    f"or exclude it everywhere: %scope add --exclude {glob!r}"
                )
            return scope.merged(
                exclude_globs=(*scope.exclude_globs, *({glob} - {*scope.exclude_globs}))
            )
        left = tuple(other for other in _in_scope(scope, roots) if other != name)
    else:
        within = {name for name, root in roots if root.startswith(folder.rstrip(os.sep) + os.sep)}
        if not within:
            raise ScopeError(
                f"{request.path or 'The root folder'} is not indexed. "
                "Index it in the panel, or with %codeindex add."
            )
        now = set(_in_scope(scope, roots))
        left = tuple(
            name
            for name, _ in roots
            if (name in within) != request.exclude and (name in now or not request.exclude)
        )
    if not left:
        raise ScopeError(
            f"Excluding {request.path or 'the root folder'} would leave nothing to search."
        )
    return (
        scope.merged(repos=left) if request.exclude else scope.merged(repos=left, include_globs=())
    )


def _in_scope(scope: Scope, roots: list[tuple[str, str]]) -> list[str]:
    """Return the indexed repositories in scope, leaving out unindexed names."""
    names = [name for name, _ in roots]
    in_scope = set(names) if scope.is_everywhere else covered(scope, names)
    return [name for name in names if name in in_scope]


def _limits(scope: Scope) -> dict[str, Any]:
    return {field: getattr(scope, field) for field in Scope.__struct_fields__}
