"""Answers to a panel's requests, as JSON values."""

from __future__ import annotations

from typing import Any

import msgspec

from .client import PanelClient
from .folder import with_folder
from .messages import (
    PanelCount,
    PanelFolder,
    PanelPreview,
    PanelRequest,
    PanelSearch,
    PanelText,
)
from .preview import preview_of, text_of
from .search import PanelSearches
from .state import count, state_of


class PanelAnswers:
    """Answers for the panels of one process."""

    def __init__(self) -> None:
        self._searches = PanelSearches()

    def answer(
        self, client: PanelClient, request: PanelRequest, shown_root: str, session: str = ""
    ) -> Any:
        """Return the answer as JSON values.

        ``shown_root`` is the folder shown by the Jupyter server; empty if there is none.
        """
        return msgspec.to_builtins(self._answer(client, request, shown_root, session))

    def _answer(
        self, client: PanelClient, request: PanelRequest, shown_root: str, session: str
    ) -> Any:
        match request:
            case PanelSearch():
                return self._searches.found(client, request, shown_root, session)
            case PanelPreview():
                results = self._searches.results(client, request.search, session)
                return preview_of(client, request, results)
            case PanelText():
                return text_of(client, request)
            case PanelCount():
                return count(client, request.scope)
            case PanelFolder():
                return with_folder(client, request, shown_root)
        return state_of(client)
