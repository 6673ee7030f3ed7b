"""Panel: the scope and the search of this notebook in a widget; whatever it does, a magic does too."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any

import anywidget
import msgspec
import traitlets

from ..api.contract import Client
from ..api.text import MOST_LINE_CHARACTERS, caption, clean
from ..api.wire import PathsRequest, SearchAnswer, SemanticRequest, SqlRequest, TextRequest
from ..errors import CodeIntelError, ScopeError
from ..index.report import NOTHING
from ..scopes.scope import Scope
from ..search.hit import Hit, Results
from ..search.query import Case
from .display import MOST_LINES, relative_target, segments, spans_in
from .views import ScopeView

HERE = Path(__file__).parent
SHOWN = 100  # hits a search brings into the panel
MOST_LANGUAGES = 12
_COUNT_LANGUAGES = "select language, count(*) from files group by all order by 2 desc, 1"
_COUNT_KINDS = "select kind, count(*) from chunks group by all order by 2 desc, 1"


class SetScope(msgspec.Struct, tag="scope", tag_field="what", forbid_unknown_fields=True):
    scope: Scope


class Count(msgspec.Struct, tag="count", tag_field="what", forbid_unknown_fields=True):
    """How much a scope would hold, while it is being typed."""

    scope: Scope


class Search(msgspec.Struct, tag="search", tag_field="what", forbid_unknown_fields=True):
    query: str
    meaning: bool = False  # else a text
    regex: bool = False
    word: bool = False
    case: Case = "smart"


class Save(msgspec.Struct, tag="save", tag_field="what", forbid_unknown_fields=True):
    name: str


class Use(msgspec.Struct, tag="use", tag_field="what", forbid_unknown_fields=True):
    name: str


Asked = SetScope | Count | Search | Save | Use


class Panel(anywidget.AnyWidget):
    """Edit the scope with live counts and search as you type: ``%scope panel``, or ``Panel()``.

    The widget asks by messages with a number, and each is answered by one with the same number: ``answer``, or ``error``
    with what to do. Nothing that it shows is HTML: texts cross as texts.
    """

    _esm = HERE / "panel.js"
    _css = HERE / "panel.css"
    state = traitlets.Dict(help="The scope, how much is in it, and what there is to choose from.").tag(sync=True)

    def __init__(self, client: Client | None = None, shell: Any = None) -> None:
        super().__init__()
        if client is None:
            client, shell = _running()
        self._client = client
        self._shell = shell
        self.state = self._state()
        self.on_msg(self._asked)
        if shell is not None:
            shell.events.register("post_run_cell", self._after_cell)

    def close(self) -> None:
        if self._shell is not None:
            self._shell.events.unregister("post_run_cell", self._after_cell)
            self._shell = None
        super().close()

    def _after_cell(self, result: object) -> None:
        """A magic may have changed the scope."""
        try:
            if self._client.get_scope().scope != msgspec.convert(self.state.get("scope", {}), Scope):
                self.state = self._state()
        except CodeIntelError:
            pass  # the magic has said it

    def _asked(self, _: object, content: Any, __: object) -> None:
        number = content.get("number") if isinstance(content, dict) else None
        try:
            asked = msgspec.convert({name: value for name, value in content.items() if name != "number"}, Asked)
            self.send({"number": number, "answer": self._answer(asked)})
        except (CodeIntelError, msgspec.ValidationError) as error:
            self.send({"number": number, "error": str(error)})

    def _answer(self, asked: Asked) -> Any:
        if isinstance(asked, Search):
            return self._found(asked)
        if isinstance(asked, Count):
            return _counted(self._client.list_paths(PathsRequest(limit=1, **_limits(asked.scope))))
        if isinstance(asked, SetScope):
            self._client.set_scope(asked.scope)
        elif isinstance(asked, Save):
            self._client.save_scope(asked.name, self._client.get_scope().scope)
        else:
            self._client.set_scope(self._client.load_scope(asked.name))
        self.state = self._state()
        return self.state

    def _state(self) -> dict[str, Any]:
        now = self._client.get_scope()
        repositories = self._client.status()
        state: dict[str, Any] = {
            "scope": msgspec.to_builtins(now.scope), "where": self._client.where, "expired": now.scope_expired, "note": "" if repositories else NOTHING,
            "repositories": [[status.name, status.files] for status in repositories], "languages": [], "kinds": [], "saved": sorted(self._client.saved_scopes()),
        }  # fmt: skip
        if now.coverage is not None:
            c = now.coverage
            state["counts"] = [c.files_in_scope, c.files, c.chunks_in_scope, c.chunks]
            # counted in the scope without the limit itself: what a click would bring in
            state["languages"] = self._client.sql(SqlRequest(statement=_COUNT_LANGUAGES, languages=())).rows()[:MOST_LANGUAGES]
            state["kinds"] = self._client.sql(SqlRequest(statement=_COUNT_KINDS, kinds=())).rows()
        return state

    def _found(self, asked: Search) -> dict[str, Any]:
        answer: SearchAnswer
        if asked.meaning:
            answer = self._client.semantic_search(SemanticRequest(query=asked.query, limit=20))
        else:
            answer = self._client.search_text(TextRequest(pattern=asked.query, regex=asked.regex, word=asked.word, case=asked.case, limit=SHOWN))
        results = answer.results
        files: dict[tuple[str, str], dict[str, Any]] = {}
        for hit in results:
            file = files.setdefault((hit.repo, hit.path), {"repo": clean(hit.repo), "path": clean(hit.path), "hits": []})
            file["hits"].append(_hit(results, hit))
        return {"caption": caption(results, len(results)), "files": list(files.values()), "several": len(results.coverage.repositories) > 1}

    def _repr_mimebundle_(self, **given: Any) -> Any:
        """The widget, and what stays of it in a saved or untrusted notebook."""
        bundle = super()._repr_mimebundle_(**given)
        held = bundle[0] if isinstance(bundle, tuple) else bundle
        if held is not None:
            view = ScopeView(self._client.get_scope(), self._client.where, None)
            held["text/plain"] = repr(view)
            held["text/html"] = f"{view._repr_html_()}<p><small>{html.escape('A panel to change it: %scope panel')}</small></p>"
        return bundle


def _hit(results: Results, hit: Hit) -> dict[str, Any]:
    lines = hit.snippet.split("\n")[:MOST_LINES]
    text = "\n".join(clean(line)[:MOST_LINE_CHARACTERS] for line in lines)
    root = results.roots.get(hit.repo, "")
    return {
        "line": hit.start_line, "cell": hit.cell, "symbol": clean(hit.symbol), "kind": hit.kind, "first_line": hit.snippet_line,
        "segments": segments(text, hit.language, spans_in(results, text)), "target": relative_target(root, hit.path), "place": _place(root, hit.path),
    }  # fmt: skip


def _place(root: str, path: str) -> str | None:
    """The file's path from the server's root folder, if the server shows it."""
    shown = os.environ.get("JUPYTER_SERVER_ROOT")
    if not shown or relative_target(root, path) is None:
        return None
    return os.path.relpath(os.path.join(root, *path.split("/")), shown).replace(os.sep, "/")


def _counted(answer: SearchAnswer) -> list[int]:
    c = answer.results.coverage
    return [c.files_in_scope, c.files, c.chunks_in_scope, c.chunks]


def _limits(scope: Scope) -> dict[str, Any]:
    return {field: getattr(scope, field) for field in Scope.__struct_fields__}


def _running() -> tuple[Client, Any]:
    """The client of this notebook's magics, as it may hold the scope itself, and the shell; a client of its own without them."""
    from IPython.core.getipython import get_ipython

    from ..api.connection import Connection

    shell = get_ipython()
    magics = None if shell is None else shell.magics_manager.registry.get("CodeintelMagics")
    return (Connection(), None) if magics is None else (magics.client, shell)


def panel_for(client: Client, shell: Any) -> Panel:
    """The panel of a notebook; ScopeError where there is nobody to show it to."""
    if not hasattr(shell, "kernel"):
        raise ScopeError("%scope panel shows a widget, which needs a notebook. Here %scope shows the same, and %scope set changes it.")
    return Panel(client, shell)


