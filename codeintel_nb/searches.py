"""Searches: the Python API of a workspace, scope or kernel."""

from __future__ import annotations

import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, Unpack

import msgspec

from .errors import SearchError, did_you_mean
from .index.update.report import RepositoryStatus
from .scopes.scope import Scope
from .search.facets import Facets
from .search.file_text import FileText
from .search.hit import Hit
from .search.query import (
    DEFAULT_HITS,
    AnyQuery,
    PathOptions,
    PathQuery,
    Query,
    SemanticOptions,
    SemanticQuery,
    SymbolOptions,
    SymbolQuery,
    TextOptions,
    TextQuery,
)
from .search.results import Results
from .search.table import Table

_F = TypeVar("_F", bound=Callable[..., Any])
_ASKED = {"timeout_s", *Scope.__struct_fields__, "offset"}


def _options_of(query: type[Query], **defaults: Any) -> Callable[[_F], _F]:
    """Return a decorator showing a query's fields as keyword arguments."""

    def decorate(method: _F) -> _F:
        signature = inspect.signature(method)
        named = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        names = {parameter.name for parameter in named}
        fields = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(field.name, field.default),
            )
            for field in msgspec.structs.fields(query)
            if field.name not in names and field.name not in _ASKED
        ]
        last = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
            for name in ("timeout_s", "cancel")
        ]
        method.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*named, *fields, *last]
        )
        return method

    return decorate


class Searches(ABC):
    """Searches of a workspace or a session.

    Every search takes ``scope``, ``timeout_s`` (seconds; ``deadline`` is its former name) and
    ``cancel`` (an event). Ended by one of them, it returns the hits so far, with ``truncated`` set.
    """

    @abstractmethod
    def _results(
        self, query: AnyQuery, scope: Scope | None, cancel: threading.Event | None
    ) -> Results: ...

    @abstractmethod
    def sql(
        self,
        statement: str,
        scope: Scope | None = None,
        *,
        timeout_s: float | None = None,
        cancel: threading.Event | None = None,
        hits: Sequence[Hit] = (),
    ) -> Table:
        """Return the rows of one SQL query in a scope.

        The tables are repositories, files, chunks, symbols and cells, limited to the scope; and
        hits, with the rows of ``hits``, such as those of a search.
        """

    @abstractmethod
    def facets(self, scope: Scope | None = None, folders: int = 12) -> Facets:
        """Count the code in scope by language, kind and folder."""

    @abstractmethod
    def open_file(
        self, repo: str, path: str, start_line: int = 1, end_line: int | None = None
    ) -> FileText:
        """Return current lines of a file or of notebook cells."""

    @abstractmethod
    def status(self) -> list[RepositoryStatus]:
        """Return every repository with the state of its index."""

    @_options_of(TextQuery)
    def search_text(
        self, pattern: str, scope: Scope | None = None, **options: Unpack[TextOptions]
    ) -> Results:
        """Return the lines ``rg --no-config`` would match, in path order.

        Searches the current content of the files: those newer than the index, or not in it, are
        read. Only indexed files have kinds: with kinds in scope, changed files are left out and
        counted (``coverage.unindexed``).

        With ``rank``, definitions and files with many matches come first. ``show="files"`` returns
        one hit per file, its first matching line; ``show="counts"`` the same, with the number of
        matching lines as the score. With ``no_ignore``, files left out by ignore rules and files in
        the folders of tools and environments are read too, as by ``rg --no-ignore``.
        """
        return self._search(TextQuery, {"pattern": pattern, **options}, scope)

    @_options_of(SemanticQuery)
    def semantic_search(
        self, query: str, scope: Scope | None = None, **options: Unpack[SemanticOptions]
    ) -> Results:
        """Return chunks of code answering a question, best first."""
        return self._search(SemanticQuery, {"query": query, **options}, scope)

    @_options_of(SymbolQuery, limit=DEFAULT_HITS)
    def search_symbols(
        self,
        name: str,
        scope: Scope | None = None,
        *,
        kind: str | Sequence[str] | None = None,
        **options: Unpack[SymbolOptions],
    ) -> Results:
        """Return definitions by name or glob: ``DataFrame.merge``, ``read_*``.

        The same name comes first, then names beginning with it, then names containing it. If there
        are none, similarly spelled names are returned. ``kind`` replaces the kinds of the scope: it
        is function, class, method, module or text (a key of data), or several of them. Each hit has
        its ``signature`` and ``doc``.
        """
        fields: dict[str, Any] = {"name": name, "limit": DEFAULT_HITS, **options}
        if kind is not None:
            fields["kinds"] = (kind,) if isinstance(kind, str) else tuple(kind)
        return self._search(SymbolQuery, fields, scope)

    def symbols(
        self,
        name: str,
        kind: str | Sequence[str] | None = None,
        scope: Scope | None = None,
        **options: Unpack[SymbolOptions],
    ) -> Results:
        """Return definitions: the former name of ``search_symbols``."""
        return self.search_symbols(name, scope, kind=kind, **options)

    @_options_of(PathQuery)
    def list_paths(self, scope: Scope | None = None, **options: Unpack[PathOptions]) -> Results:
        """Return the files in scope, one hit each."""
        return self._search(PathQuery, {**options}, scope)

    def scoped(self, scope: Scope) -> Scoped:
        """Return these searches with ``scope`` as their default."""
        return Scoped(self, scope)

    def _search(self, kind: type[AnyQuery], fields: dict[str, Any], scope: Scope | None) -> Results:
        cancel = fields.pop("cancel", None)
        if "deadline" in fields:
            fields.setdefault("timeout_s", fields.pop("deadline"))
        if unknown := [name for name in fields if name not in kind.__struct_fields__]:
            near = did_you_mean(min(unknown), {*kind.__struct_fields__, "timeout_s", "cancel"})
            raise TypeError(f"Unknown option {min(unknown)!r} for this search.{near}")
        if scope is not None and not isinstance(scope, Scope):
            raise SearchError(f"The scope must be a Scope, or None for everything, not {scope!r}.")
        return self._results(kind(**fields), scope, cancel)


class Scoped(Searches):
    """Searches of a workspace in one scope."""

    def __init__(self, searches: Searches, scope: Scope) -> None:
        self._searches = searches
        self.scope = scope

    def _results(
        self, query: AnyQuery, scope: Scope | None, cancel: threading.Event | None
    ) -> Results:
        return self._searches._results(query, self.scope if scope is None else scope, cancel)

    def sql(self, statement: str, scope: Scope | None = None, **options: Any) -> Table:
        return self._searches.sql(statement, self.scope if scope is None else scope, **options)

    def facets(self, scope: Scope | None = None, folders: int = 12) -> Facets:
        return self._searches.facets(self.scope if scope is None else scope, folders)

    def open_file(
        self, repo: str, path: str, start_line: int = 1, end_line: int | None = None
    ) -> FileText:
        return self._searches.open_file(repo, path, start_line, end_line)

    def status(self) -> list[RepositoryStatus]:
        return self._searches.status()

    def __repr__(self) -> str:
        return f"{self._searches!r} in {self.scope.describe()}"
