"""Panel: a widget for this notebook's scope and searches.

Every control has an equivalent magic.
"""

from __future__ import annotations

import html
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anywidget
import msgspec
import traitlets

from ..client.contract import Client
from ..client.kernel_workspace import kernel_client
from ..errors import CodeIntelError, EngineError, ScopeError
from ..index.update.report import Progress
from ..operations.requests import GetSavedScope, IndexRequest, SaveScope
from ..output.panel.answers import PanelAnswers
from ..output.panel.messages import PanelRequest, PanelState
from ..output.panel.state import state_of
from ..output.plain_text import clean
from ..output.progress import Estimate, summary
from ..output.wording import in_panel
from ..scopes.scope import ALL, Scope
from .commands import index_request, with_imports
from .views import ScopeView

HERE = Path(__file__).parent
TOLD_S = 0.2  # between two progress updates of an indexing run


class SetScope(msgspec.Struct, tag="scope", tag_field="what", forbid_unknown_fields=True):
    scope: Scope


class ClearScope(msgspec.Struct, tag="clear", tag_field="what", forbid_unknown_fields=True):
    """Request to return to the notebook's project."""


class AddImports(msgspec.Struct, tag="imports", tag_field="what", forbid_unknown_fields=True):
    """Request to add the indexed packages imported by this kernel."""


class Save(msgspec.Struct, tag="save", tag_field="what", forbid_unknown_fields=True):
    name: str


class Use(msgspec.Struct, tag="use", tag_field="what", forbid_unknown_fields=True):
    name: str


class Index(msgspec.Struct, tag="index", tag_field="what", forbid_unknown_fields=True):
    path: str  # empty: the notebook's folder


class Cancel(msgspec.Struct, tag="cancel", tag_field="what", forbid_unknown_fields=True):
    """Request to cancel the indexing run of this panel."""


PanelMessage = PanelRequest | SetScope | ClearScope | AddImports | Save | Use | Index | Cancel


class Panel(anywidget.AnyWidget):
    """Widget for editing the scope and searching as you type.

    ``%scope panel`` or ``Panel()`` shows it. The widget sends numbered messages; the reply has the
    same number and either ``answer``, or ``error`` with advice. All values are plain text, never
    HTML.
    """

    _esm = HERE / "panel.js"
    _css = HERE / "panel.css"
    state = traitlets.Dict(help="The scope, its size, and the choices for it.").tag(sync=True)
    job = traitlets.Dict(
        help="The panel's indexing run: its state, a line on its progress, and the share done."
    ).tag(sync=True)

    def __init__(self, client: Client | None = None, shell: Any = None) -> None:
        super().__init__()
        if client is None:
            client, shell = kernel_client()
        self._client = client
        self._shell = shell
        self._answers = PanelAnswers()
        self._indexing: threading.Thread | None = None
        self._cancel = threading.Event()
        self._show_state()
        self.on_msg(self._on_message)
        if shell is not None:
            shell.events.register("post_run_cell", self._after_cell)

    def _show_state(self) -> None:
        self.state = msgspec.to_builtins(state_of(self._client))

    def close(self) -> None:
        self._cancel.set()
        if self._shell is not None:
            self._shell.events.unregister("post_run_cell", self._after_cell)
            self._shell = None
        super().close()

    def _after_cell(self, result: object) -> None:
        """Update the state, as a magic may have changed the scope."""
        try:
            if self._client.get_scope().scope != msgspec.convert(
                self.state.get("scope", {}), Scope
            ):
                self._show_state()
        except CodeIntelError:
            pass  # the magic has reported it

    def _on_message(self, _: object, content: Any, __: object) -> None:
        number = content.get("number") if isinstance(content, dict) else None
        try:
            request = msgspec.convert(
                {name: value for name, value in content.items() if name != "number"}, PanelMessage
            )
            self.send({"number": number, "answer": self._answer(request)})
        except (CodeIntelError, msgspec.ValidationError) as error:
            self.send({"number": number, "error": in_panel(str(error))})

    def _answer(self, request: PanelMessage) -> Any:
        if isinstance(request, PanelState):  # another client changed the scope
            self._show_state()
            return None
        if isinstance(request, PanelRequest):
            return self._answers.answer(
                self._client, request, os.environ.get("JUPYTER_SERVER_ROOT", "")
            )
        if isinstance(request, Index):
            return self._begin(request.path)
        if isinstance(request, Cancel):
            return self._cancel.set()
        if isinstance(request, SetScope):
            self._client.set_scope(request.scope or Scope(repos=ALL))  # the last limit was removed
        elif isinstance(request, ClearScope):
            self._client.clear_scope()
        elif isinstance(request, AddImports):
            namespace = self._shell.user_ns if self._shell is not None else {}
            scope, _ = with_imports(self._client.get_scope().scope, self._client, namespace)
            self._client.set_scope(scope)
        elif isinstance(request, Save):
            self._client.ask(SaveScope(name=request.name, scope=self._client.get_scope().scope))
        else:
            self._client.set_scope(self._client.ask(GetSavedScope(name=request.name)))
        self._show_state()
        return self.state

    # indexing, while cells run

    def _begin(self, path: str) -> None:
        is_at_work = self.job.get("state") in ("waiting", "running")
        # the thread may outlive the outcome it has shown
        if is_at_work and self._indexing is not None and self._indexing.is_alive():
            raise EngineError(
                "This panel is already indexing. Wait for it to finish, or press Cancel."
            )
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
        estimate, reported_at = Estimate(), 0.0

        def moved(progress: Progress) -> None:
            nonlocal reported_at
            if time.monotonic() - reported_at >= TOLD_S:
                reported_at = time.monotonic()
                self.job = {
                    "state": "running",
                    "line": estimate.line(progress),
                    "share": estimate.share(progress),
                }

        try:
            outcome = summary(self._client.ask(request, progress=moved, cancel=cancel))
            self.job = {"state": "done", "line": outcome, "share": 1.0}
        except Exception as error:  # otherwise the panel would show a run forever
            self.job = {
                "state": "cancelled" if cancel.is_set() else "failed",
                "line": in_panel(str(error)),
                "share": 0.0,
            }
        with suppress(CodeIntelError):
            self._show_state()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and a static view as its fallback."""
        bundle = super()._repr_mimebundle_(**options)
        formats = bundle[0] if isinstance(bundle, tuple) else bundle
        if formats is not None:
            view = ScopeView(self._client.get_scope(), self._client.where, None)
            formats["text/plain"] = repr(view)
            formats["text/html"] = (
                f"{view._repr_html_()}"
                f"<p><small>{html.escape('To change it in a panel: %scope panel')}</small></p>"
            )
        return bundle


def panel_for(client: Client, shell: Any) -> Panel:
    """Return a panel for a notebook.

    Raises
    ------
    ScopeError : the shell shows no widgets.
    """
    if not hasattr(shell, "kernel"):
        raise ScopeError(
            "%scope panel shows a widget and needs a notebook. "
            "Here, %scope shows the scope and %scope set changes it."
        )
    return Panel(client, shell)
