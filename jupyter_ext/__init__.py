"""The Jupyter server extension of codeintel-nb: scopes by kernel session, one index for all kernels, search over REST."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .app import CodeIntelApp

    return [{"module": "jupyter_ext", "app": CodeIntelApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "codeintel-jupyter"}]
