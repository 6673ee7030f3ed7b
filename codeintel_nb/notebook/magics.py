"""Magics: parse a line, call one operation, show the answer."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.magic import line_cell_magic, line_magic, magics_class, no_var_expand
from traitlets import Float, Int, observe

from ..client.connection import Connection
from ..client.contract import Client
from ..errors import CodeIntelError, ScopeError, SearchError
from ..index.update.report import IndexReport, OnProgress, RepositoryStatus
from ..operations.options import describe, parse_line
from ..operations.requests import (
    GetSavedScope,
    IndexRequest,
    ListSavedScopes,
    RefreshRequest,
    RemoveRequest,
    SaveScope,
    SqlRequest,
    StatusRequest,
)
from ..operations.table import Operation
from ..output.terminal import print_anything
from ..scopes.scope import Scope, short_name
from ..search.query import DEFAULT_HITS, SemanticQuery
from ..search.results import Results
from ..search.table import Table
from .commands import (
    ADD_OPTIONS,
    INDEX_COMMANDS,
    MAGICS,
    OPTIONS,
    REFRESH_OPTIONS,
    SCOPE_COMMANDS,
    SCOPE_SET_OPTIONS,
    STATUS_OPTIONS,
    changed,
    command_of,
    each_summary,
    help_of,
    hits_for_sql,
    index_request,
    kernel_requests,
    scope_command,
    with_imports,
    with_options,
    without_imports,
)
from .completion import Completer
from .mcp_settings import AssistantSettings
from .questions import search_for_questions
from .runner import BaseMagics
from .views import IndexView, ScopeView

if TYPE_CHECKING:
    from .codemap import CodeMap
    from .panel import Panel

MAPPED_HITS = 20  # highlighted on a map
DRAWING = "drawing the map"


# the setting with the default limit of an operation
_LIMITS = {"search_text": "text_limit", "search_symbols": "text_limit", "semantic_search": "top_k"}
_C = TypeVar("_C", bound=type[BaseMagics])


def with_operations(cls: _C) -> _C:
    """Add the magics of the table of operations to a class."""

    def magic_of(operation: Operation) -> Any:
        def magic(self: BaseMagics, line: str, cell: str | None = None) -> Any:
            return self._run_operation(operation, line, cell)

        magic.__name__, magic.__doc__ = operation.magic, help_of(operation)
        return no_var_expand(line_cell_magic(magic))

    for operation in MAGICS.values():
        setattr(cls, operation.magic, magic_of(operation))
    for name in ("scope", "codeindex", "codemap"):
        method = getattr(cls, name)
        method.__doc__ = with_options(method.__doc__, name)
    return cls


@magics_class
@with_operations
class CodeintelMagics(BaseMagics):
    """Code search under one scope.

    %scope, %textsearch, %semsearch, %symbol, %paths, %codesql, %codemap, %codeindex.
    """

    text_limit = Int(
        DEFAULT_HITS,
        help="Maximum lines kept by %textsearch and definitions kept by %symbol; 0 for all.",
    ).tag(config=True)
    top_k = Int(10, help="Maximum chunks found by %semsearch.").tag(config=True)
    timeout_s = Float(
        60.0, help="Seconds after which a search stops and returns what was found."
    ).tag(config=True)
    deadline_s = Float(60.0, help="Former name of timeout_s.").tag(config=True)

    @observe("deadline_s")
    def _on_deadline(self, change: Any) -> None:
        self.timeout_s = change["new"]

    def __init__(self, shell: Any, client: Client | None = None) -> None:
        super().__init__(shell, client or Connection())
        self._panel: Panel | None = None

    @no_var_expand
    @line_magic
    def scope(self, line: str) -> ScopeView | Panel | AssistantSettings | None:
        """Show or change the scope of this notebook's searches.

            %scope [show]                     show the scope; a notebook starts in its project
            %scope set OPTIONS                replace the scope; without --repo, keep its
                                              repositories
            %scope set --repo '*'             everything indexed
            %scope add OPTIONS                add to the scope; --kernel adds this kernel's
                                              imported packages
            %scope drop OPTIONS               remove from the scope
            %scope clear                      go back to the project
            %scope save NAME | use NAME | list    saved scopes, shared by all notebooks
            %scope restore                    after Change Kernel, restore the old kernel's scope
            %scope panel                      a widget to edit it and to search as you type
            %scope mcp                        settings to paste into an assistant, so that it
                                              searches under this scope

        Each option may be given several times. Globs are those of a .gitignore, plus {a,b}.
        """
        return self._unless_silenced(line, self._scope)

    def _scope(self, line: str) -> ScopeView | Panel | AssistantSettings | None:
        command, rest = scope_command(line)
        client = self.client
        if command == "panel":
            from .panel import panel_for

            # one for all its views, as each panel checks the scope after every cell
            if self._panel is None or self._panel.comm is None:
                self._panel = panel_for(client, self.shell)
            return self._panel
        if command == "mcp":
            return AssistantSettings()
        return self._work(lambda progress, cancel: self._changed_scope(command, rest))

    def _changed_scope(self, command: str, rest: str) -> ScopeView:
        client = self.client
        now = client.get_scope()
        if command in ("set", "add", "drop"):
            values, more = parse_line(rest, SCOPE_SET_OPTIONS)
            has_imports = "kernel" in values
            joins = command == "add" and ("repos" in values or has_imports)
            if joins and now.scope.include_globs and not now.is_default:
                print("Only files that match --include are searched, in added repositories too.")
            if more or not values:
                what = f"does not understand {more!r}" if more else "needs at least one limit"
                raise ScopeError(
                    f"%scope {command} {what}. Its options are:\n{describe(SCOPE_SET_OPTIONS)}"
                )
            scope = changed(
                # globs of the project would apply to the repositories that are added
                now.scope.merged(include_globs=()) if joins and now.is_default else now.scope,
                command,
                {field: items for field, items in values.items() if field != "kernel"},
            )
            if has_imports and command == "drop":
                scope = without_imports(scope, client, self.shell.user_ns)
            elif has_imports:
                scope, missing = with_imports(scope, client, self.shell.user_ns)
                if missing:
                    print(
                        f"Not indexed yet: {', '.join(missing)}. "
                        "To index all imported packages: %codeindex add --kernel"
                    )
            now = client.set_scope(scope)
        elif command == "clear":
            now = client.clear_scope()
        elif command == "save":
            client.ask(SaveScope(name=rest, scope=now.scope))
        elif command == "use":
            now = client.set_scope(client.ask(GetSavedScope(name=rest)))
        elif command == "restore":
            if now.offered is None:
                raise ScopeError(
                    "There is nothing to restore. After Change Kernel, the old scope is kept until "
                    "you set a new one."
                )
            now = client.set_scope(now.offered)
        saved = client.ask(ListSavedScopes()).scopes if command == "list" else None
        return ScopeView(now, client.where, saved)

    def _defaults(self, operation: Operation, query: str) -> dict[str, Any]:
        defaults: dict[str, Any] = {}
        if limit := _LIMITS.get(operation.name):
            defaults["limit"] = getattr(self, limit)
        if operation.kind == "search":
            defaults["timeout_s"] = self.timeout_s
        elif operation.request is SqlRequest and re.search(r"\bhits\b", query, re.I):
            defaults["hits"] = hits_for_sql(self._last, query)
        return defaults

    @no_var_expand
    @line_magic
    def codeindex(self, line: str) -> IndexView | None:
        """List the indexed repositories, or index more.

        %codeindex [status] [--skipped]
        %codeindex add [PATH] [--name NAME] [--outputs] [--rebuild]
                                                   a folder; the notebook's own project by default
        %codeindex add --package NAME              an installed package, named
                                                   pkg:scikit-learn==1.7.2 and so on
        %codeindex add --kernel                    the packages that this kernel has imported
        %codeindex refresh [NAME] [--rebuild]      index the changes; all repositories by default
        %codeindex drop NAME                       remove it from the index; its files are not
                                                   touched
        %codeindex watch                           watch files for changes from now on, as a server
                                                   does automatically
        """
        return self._unless_silenced(line, self._codeindex)

    def _codeindex(self, line: str) -> IndexView:
        command, rest = command_of(line, INDEX_COMMANDS, "codeindex", "status")
        options = {
            "add": ADD_OPTIONS,
            "refresh": REFRESH_OPTIONS,
            "status": STATUS_OPTIONS,
            "drop": (),
            "watch": (),
        }[command]
        values, place = parse_line(rest, options, raw=True)
        place = "" if place.startswith("#") else place
        if place and command in ("status", "watch"):
            raise SearchError(f"%codeindex {command} takes no name, but got {place!r}.")
        return self._work(
            lambda progress, cancel: self._indexed(command, values, place, progress, cancel)
        )

    def _indexed(
        self,
        command: str,
        values: dict[str, Any],
        place: str,
        progress: OnProgress,
        cancel: threading.Event,
    ) -> IndexView:
        client, notes = self.client, list[str]()

        def run(request: IndexRequest | RefreshRequest) -> IndexReport:
            return client.ask(request, progress=progress, cancel=cancel)

        if command == "add":
            several = "kernel" in values
            requests = (
                kernel_requests(self.shell.user_ns, place, values)
                if several
                else [index_request(place, values)]
            )
            notes += each_summary(
                [
                    (request.package or request.path or "", partial(run, request))
                    for request in requests
                ]
            )
        elif command == "refresh":
            names = [place] if place else [status.name for status in _status(client)]
            refreshes = [RefreshRequest(name=name, rebuild="rebuild" in values) for name in names]
            notes += each_summary([(request.name, partial(run, request)) for request in refreshes])
        elif command == "drop":
            if not place:
                raise SearchError(
                    "%codeindex drop needs the name of a repository. %codeindex status lists them."
                )
            names = [status.name for status in _status(client)]
            client.ask(
                RemoveRequest(name=place)
            )  # by its name, or by its short name if that is unambiguous
            removed = (
                place
                if place in names
                else next((name for name in names if short_name(name) == place), place)
            )
            notes.append(f"{removed}: removed from the index")
        elif command == "watch":
            notes.append(f"watching for changes in {', '.join(client.watch()) or 'nothing'}")
        return IndexView(_status(client), notes, "skipped" in values)

    @no_var_expand
    @line_magic
    def codemap(self, line: str) -> CodeMap | None:
        """Draw the code map of the scope: chunks with similar meaning are close together.

            %codemap                          the scope
            %codemap where are time zones converted       and highlight the results
            %codemap --by language|kind|folder            colour by language, kind or folder

        Hover over a point to see its code, click it to open its file or cell, drag to move, Ctrl
        and the wheel to zoom, Shift and drag to select points. Requires codeintel-nb[map].
        """

        def run() -> CodeMap:
            _, values, query = self._request("codemap", line, None)
            colour = values.pop("by", "folder")
            limits = {
                field: value for field, value in values.items() if field in Scope.__struct_fields__
            }
            results = None
            if query:
                question = SemanticQuery(
                    query=query, limit=MAPPED_HITS, timeout_s=self.timeout_s, **limits
                )
                results = self._work(
                    lambda progress, cancel: self.client.ask(
                        question, progress=progress, cancel=cancel
                    ),
                    "searching",
                ).results
            scope = self._work(lambda progress, cancel: self.client.get_scope()).scope
            return self.draw(scope.merged(**limits), results, colour)

        return self._run(run)

    def draw(self, scope: Scope, results: Results | None, colour: Any) -> CodeMap:
        """Return a scope's map; the first takes some seconds."""

        def make(progress: OnProgress, cancel: threading.Event) -> CodeMap:
            from .codemap import CodeMap, points_in

            return CodeMap(
                self.client,
                points_in(self.client, scope, colour, results, progress, cancel),
                results,
                colour,
                scope,
            )

        return self._work(make, DRAWING)


def _status(client: Client) -> list[RepositoryStatus]:
    return list(client.ask(StatusRequest()).repositories)


def load(shell: Any) -> CodeintelMagics:
    """Register the magics and their completion with a shell."""
    from ..search.results import Results as Shown
    from . import display

    Shown.presenter = staticmethod(display.present)
    # a terminal's encoding may lack characters of the results
    if not hasattr(shell, "kernel"):
        print_anything(sys.stdout)
    magics = CodeintelMagics(shell)

    def linker() -> Callable[[dict[str, Any]], str | None]:
        roots = dict[str, str]()
        with suppress(CodeIntelError):  # the server is away: the table has no links
            roots = {status.name: status.root for status in _status(magics.client)}
        return partial(display.row_target, roots)

    Table.linker = staticmethod(linker)
    Shown.mapper = staticmethod(lambda results, colour: magics.draw(results.scope, results, colour))
    shell.register_magics(magics)
    search_for_questions(shell)
    shell.configurables.append(magics)
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers.append(
            Completer(
                magics.client,
                OPTIONS,
                {"scope": SCOPE_COMMANDS, "codeindex": INDEX_COMMANDS},
            ).match
        )
    return magics
