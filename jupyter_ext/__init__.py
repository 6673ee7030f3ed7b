"""The Jupyter server extension of codeintel-nb: search over REST.

All kernels share one index; each has its own scope.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .app import CodeIntelApp

    return [{"module": "jupyter_ext", "app": CodeIntelApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "codeintel-jupyter"}]
