"""MCP settings for an assistant to search under this notebook's scope."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from html import escape
from typing import Any

from ..client.http import ServerClient
from ..client.kernel import Kernel, NoServer, this_kernel
from ..errors import CodeIntelError


def is_hub() -> bool:
    """Whether this kernel's server runs under a JupyterHub."""
    return bool(os.environ.get("JUPYTERHUB_SERVICE_PREFIX"))


def public_url(kernel: Kernel) -> str:
    """Return the server's address, or its hub's, for other machines."""
    if not is_hub():
        return kernel.url
    url = os.environ.get("JUPYTERHUB_PUBLIC_URL", "")
    with suppress(NoServer, CodeIntelError):
        url = url or ServerClient(kernel).public_url()
    return f"{url.rstrip('/')}/" if url else kernel.url


class AssistantSettings:
    """MCP client settings, to paste into an assistant's configuration."""

    def __init__(self, home: str | None = None) -> None:
        try:
            kernel = this_kernel()
            arguments = ["--server", public_url(kernel), "--session", kernel.id]
            self.note = (
                "The assistant follows the scope of this notebook until the kernel shuts down."
            )
            if is_hub():
                self.note += (
                    " On another machine, set CODEINTEL_SERVER_TOKEN to a hub token; "
                    "the hub's Token page creates one."
                )
        except NoServer:
            home = home or os.environ.get("CODEINTEL_HOME")
            arguments = ["--home", home] if home else []
            self.note = (
                "This process does not share its scope: the assistant searches the same index "
                "under its own scope."
            )
        self.settings: dict[str, Any] = {
            "mcpServers": {
                "codeintel": {
                    "command": sys.executable,
                    "args": ["-m", "codeintel_nb.cli", "mcp", *arguments],
                }
            }
        }

    def __repr__(self) -> str:
        return (
            f"{json.dumps(self.settings, indent=2)}\n{self.note} "
            "It requires: pip install 'codeintel-nb[mcp]'"
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        settings, _, note = repr(self).rpartition("\n")
        return {
            "text/plain": repr(self),
            "text/html": f"<pre>{escape(settings)}</pre><p>{escape(note)}</p>",
        }
