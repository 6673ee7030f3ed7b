"""The kernel of this process, and its Jupyter server."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any, NamedTuple

URL = "CODEINTEL_SERVER_URL"  # set by the server extension for the kernels that it starts
PID = "CODEINTEL_SERVER_PID"
_CONNECTION_FILE = re.compile(r"kernel-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json$")


class NoServer(Exception):
    """Lack of a server with codeintel-nb; the message says why."""


class Kernel(NamedTuple):
    """A kernel of a Jupyter server that runs the extension."""

    url: str  # of the server, with its base
    id: str
    key: bytes  # of the connection file
    token: str = ""  # of the server, in place of the key: for clients on other machines


def kernel_by_id(url: str, kernel_id: str, token: str = "") -> Kernel:
    """Return a server's kernel, for another process of its user.

    With the server's token, the process may be any user's.

    Raises
    ------
    NoServer : its connection file is not here, and no token was given.
    """
    if token:
        return Kernel(url, kernel_id, b"", token)
    from jupyter_core.paths import jupyter_runtime_dir

    path = os.path.join(jupyter_runtime_dir(), f"kernel-{os.path.basename(kernel_id)}.json")
    try:
        with open(path, encoding="utf-8") as file:
            key = json.load(file)["key"]
    except (OSError, ValueError, KeyError):
        raise NoServer(
            f"kernel {kernel_id!r} does not exist on this machine (no {path}). "
            "%scope mcp in the notebook prints its id; "
            "on another machine, set CODEINTEL_SERVER_TOKEN to the server's token"
        ) from None
    return Kernel(url, kernel_id, str(key).encode())


def this_kernel() -> Kernel:
    """Return the kernel of this process.

    Raises
    ------
    NoServer : it is no kernel, or its server does not run the extension.
    """
    url = os.environ.get(URL)
    if not url:
        raise NoServer("this process was not started by a Jupyter server with codeintel-nb")
    parent, server = os.environ.get("JPY_PARENT_PID"), os.environ.get(PID)
    if os.name == "posix" and parent and server and parent != server:
        raise NoServer("this process inherited a Jupyter server's address, but is not its kernel")
    if "ipykernel" not in sys.modules:
        raise NoServer("this process is not a Jupyter kernel")
    try:
        from ipykernel.connect import get_connection_file, get_connection_info

        path = str(get_connection_file())
        connection: Any = get_connection_info(unpack=True)
        key = connection["key"]
    # a RuntimeError in python, a MultipleInstanceError in terminal IPython
    except Exception as error:
        raise NoServer(f"this process is not a Jupyter kernel ({type(error).__name__})") from None
    match = _CONNECTION_FILE.search(os.path.basename(path))
    if match is None:
        raise NoServer("this kernel was not started by a Jupyter server")
    if not key:
        raise NoServer(
            "this kernel does not sign its messages, so the server cannot authenticate it"
        )
    return Kernel(url, match[1], key if isinstance(key, bytes) else str(key).encode())
