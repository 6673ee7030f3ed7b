"""Operation of the side bar's panel, only on this server."""

from __future__ import annotations

from typing import Annotated, Any

from codeintel_nb.operations.table import Operation
from codeintel_nb.output.panel.messages import PanelRequest
from codeintel_nb.search.request import Request, described


class LookInPanel(Request[Any], frozen=True):
    """Panel's view of its session: state, scope size or hits."""

    what: Annotated[PanelRequest, described("what the panel shows")]


PANEL = Operation(
    "look_in_panel",
    LookInPanel,
    Any,
    "Show the panel",
    "show a panel's state or hits, as plain text; for this version of the server only",
    "POST",
    "sessions/{session_id}/panel",
    kernels="own",
    body="what",
)
