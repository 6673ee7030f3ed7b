"""Panel: the scope and the search of this notebook in a widget; whatever it does, a magic does too."""

from __future__ import annotations

import html
import os
import threading
import time
from pathlib import Path
from typing import Any

import anywidget
import msgspec
import traitlets

from ..api.contract import Client
from ..api.panel import Looked, PanelState, look, state_of
from ..api.progress import Estimate, summary
from ..api.text import clean
from ..api.wire import IndexRequest
from ..api.wording import in_panel
from ..errors import CodeIntelError, EngineError, ScopeError
from ..index.report import Progress
from ..scopes.scope import ALL, Scope
from .commands import index_request, with_imports
from .views import ScopeView

HERE = Path(__file__).parent
TOLD_S = 0.2  # between two words on how far an indexing run is


class SetScope(msgspec.Struct, tag="scope", tag_field="what", forbid_unknown_fields=True):
    scope: Scope


class ClearScope(msgspec.Struct, tag="clear", tag_field="what", forbid_unknown_fields=True):
    """Go back to the notebook's project."""


class AddImports(msgspec.Struct, tag="imports", tag_field="what", forbid_unknown_fields=True):
    """Add the indexed packages that this kernel has imported."""


class Save(msgspec.Struct, tag="save", tag_field="what", forbid_unknown_fields=True):
    name: str


class Use(msgspec.Struct, tag="use", tag_field="what", forbid_unknown_fields=True):
    name: str


class Index(msgspec.Struct, tag="index", tag_field="what", forbid_unknown_fields=True):
    path: str  # empty: the notebook's folder


class Cancel(msgspec.Struct, tag="cancel", tag_field="what", forbid_unknown_fields=True):
    """End the indexing run that this panel began."""


Asked = Looked | SetScope | ClearScope | AddImports | Save | Use | Index | Cancel


class Panel(anywidget.AnyWidget):
    """Edit the scope with live counts and search as you type: ``%scope panel``, or ``Panel()``.

    The widget asks by messages with a number, and each is answered by one with the same number: ``answer``, or ``error``
    with what to do. Nothing that it shows is HTML: texts cross as texts.
    """

    _esm = HERE / "panel.js"
    _css = HERE / "panel.css"
    state = traitlets.Dict(
        help="The scope, how much is in it, and what there is to choose from."
    ).tag(sync=True)
    job = traitlets.Dict(
        help="The indexing run that the panel began: its state, a line about it, the share that is done."
    ).tag(sync=True)

    def __init__(self, client: Client | None = None, shell: Any = None) -> None:
        super().__init__()
        if client is None:
            client, shell = _running()
        self._client = client
        self._shell = shell
        self._indexing: threading.Thread | None = None
        self._cancel = threading.Event()
        self.state = state_of(self._client)
        self.on_msg(self._asked)
        if shell is not None:
            shell.events.register("post_run_cell", self._after_cell)

    def close(self) -> None:
        self._cancel.set()
        if self._shell is not None:
            self._shell.events.unregister("post_run_cell", self._after_cell)
            self._shell = None
        super().close()

    def _after_cell(self, result: object) -> None:
        """A magic may have changed the scope."""
        try:
            if self._client.get_scope().scope != msgspec.convert(
                self.state.get("scope", {}), Scope
            ):
                self.state = state_of(self._client)
        except CodeIntelError:
            pass  # the magic has said it

    def _asked(self, _: object, content: Any, __: object) -> None:
        number = content.get("number") if isinstance(content, dict) else None
        try:
            asked = msgspec.convert(
                {name: value for name, value in content.items() if name != "number"}, Asked
            )
            self.send({"number": number, "answer": self._answer(asked)})
        except (CodeIntelError, msgspec.ValidationError) as error:
            self.send({"number": number, "error": in_panel(str(error))})

    def _answer(self, asked: Asked) -> Any:
        if isinstance(asked, PanelState):  # somebody else changed the scope
            self.state = state_of(self._client)
            return None
        if isinstance(asked, Looked):
            return look(self._client, asked, os.environ.get("JUPYTER_SERVER_ROOT", ""))
        if isinstance(asked, Index):
            return self._begin(asked.path)
        if isinstance(asked, Cancel):
            return self._cancel.set()
        if isinstance(asked, SetScope):
            self._client.set_scope(asked.scope or Scope(repos=ALL))  # the last limit was removed
        elif isinstance(asked, ClearScope):
            self._client.clear_scope()
        elif isinstance(asked, AddImports):
            namespace = self._shell.user_ns if self._shell is not None else {}
            scope, _ = with_imports(self._client.get_scope().scope, self._client, namespace)
            self._client.set_scope(scope)
        elif isinstance(asked, Save):
            self._client.save_scope(asked.name, self._client.get_scope().scope)
        else:
            self._client.set_scope(self._client.load_scope(asked.name))
        self.state = state_of(self._client)
        return self.state

    # indexing, beside the cells that run meanwhile

    def _begin(self, path: str) -> None:
        if self._indexing is not None and self._indexing.is_alive():
            raise EngineError("This panel is indexing already. Wait for it, or cancel it.")
        request = index_request(path, {})
        self._cancel = threading.Event()
        self._indexing = threading.Thread(
            target=self._index,
            args=(request, self._cancel),
            name="codeintel-panel-index",
            daemon=True,
        )
        self.job = {
            "state": "waiting",
            "line": f"indexing {clean(request.path or '')} ...",
            "share": 0.0,
        }
        self._indexing.start()

    def _index(self, request: IndexRequest, cancel: threading.Event) -> None:
        estimate, told = Estimate(), 0.0

        def moved(progress: Progress) -> None:
            nonlocal told
            if time.monotonic() - told >= TOLD_S:
                told = time.monotonic()
                self.job = {
                    "state": "running",
                    "line": estimate.line(progress),
                    "share": estimate.share(progress),
                }

        try:
            done = summary(self._client.index(request, moved, cancel))
            self.job = {"state": "done", "line": done, "share": 1.0}
            self.state = state_of(self._client)
        except CodeIntelError as error:
            self.job = {
                "state": "cancelled" if cancel.is_set() else "failed",
                "line": in_panel(str(error)),
                "share": 0.0,
            }

    def _repr_mimebundle_(self, **given: Any) -> Any:
        """The widget, and what stays of it in a saved or untrusted notebook."""
        bundle = super()._repr_mimebundle_(**given)
        held = bundle[0] if isinstance(bundle, tuple) else bundle
        if held is not None:
            view = ScopeView(self._client.get_scope(), self._client.where, None)
            held["text/plain"] = repr(view)
            held["text/html"] = (
                f"{view._repr_html_()}<p><small>{html.escape('A panel to change it: %scope panel')}</small></p>"
            )
        return bundle


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
        raise ScopeError(
            "%scope panel shows a widget, which needs a notebook. Here %scope shows the same, and %scope set changes it."
        )
    return Panel(client, shell)
