"""Code search in notebooks: one scope for all searches."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .errors import CodeIntelError
    from .notebook.panel import Panel
    from .scopes.scope import Scope
    from .search.hit import Hit
    from .search.results import Results
    from .workspace import Workspace

__all__ = [
    "CodeIntelError",
    "Hit",
    "Panel",
    "Results",
    "Scope",
    "Workspace",
    "load_ipython_extension",
]

_HOMES = {
    "Workspace": ".workspace",
    "Scope": ".scopes.scope",
    "Results": ".search.results",
    "Hit": ".search.hit",
    "Panel": ".notebook.panel",
    "CodeIntelError": ".errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    if name in ("Workspace", "Results"):
        results = importlib.import_module(".search.results", __name__)
        results.Results.presenter = staticmethod(
            lambda *shown: importlib.import_module(".notebook.display", __name__).present(*shown)
        )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Register the magics, for ``%load_ext codeintel_nb``."""
    importlib.import_module(".notebook.magics", __name__).load(shell)
