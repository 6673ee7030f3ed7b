"""Checks of Jupyter's server extension, running servers and kernels' environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from ..client.transport import BASE, VERSION_HEADER
from ..operations.answers import Finding, Health
from ..output.progress import plural
from ..version import __version__

EXTENSION = "jupyter_ext"
ANSWER_S = 5.0
LOOK = """
import importlib.metadata, importlib.util, json
def has(name): return importlib.util.find_spec(name) is not None
try: version = importlib.metadata.version("codeintel-nb")
except importlib.metadata.PackageNotFoundError: version = ""
engine = ("duckdb", "faiss", "numpy", "re2", "tokenizers", "tree_sitter", "semble_grammars", \
"filelock", "platformdirs")
print(json.dumps({"version": version, "ipykernel": has("ipykernel"), \
"missing": [name for name in engine if not has(name)]}))
"""  # runs in a kernel's environment, where codeintel-nb may be missing


def examine_jupyter() -> list[Finding]:
    """Return findings on the extension, running servers and Python kernels."""
    try:
        import jupyter_server
    except ImportError:
        return [
            Finding(
                "warning",
                "jupyter",
                "jupyter-server is not installed in this environment, so no server runs the "
                f"extension. Run: {sys.executable} -m pip install codeintel-nb",
            )
        ]
    return [extension_finding(_switch(), str(jupyter_server.__version__)), *_servers(), *_kernels()]


def _switch() -> tuple[bool, Path] | None:
    """Return whether Jupyter's configuration enables the extension, and the deciding place.

    The place is a file or a folder. Return None if nothing mentions the extension.
    """
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.config_manager import BaseJSONConfigManager

    # the first that mentions it decides, and a folder's own file before its .d
    for folder in jupyter_config_path():
        for directory, place in (
            (False, Path(folder, "jupyter_server_config.json")),
            (True, Path(folder)),
        ):
            config: dict[str, Any] = BaseJSONConfigManager(
                config_dir=folder, read_directory=directory
            ).get("jupyter_server_config")
            enabled = config.get("ServerApp", {}).get("jpserver_extensions", {}).get(EXTENSION)
            if enabled is not None:
                return bool(enabled), place
    return None


def extension_finding(switch: tuple[bool, Path] | None, server_version: str) -> Finding:
    from jupyter_core.paths import SYSTEM_CONFIG_PATH, jupyter_config_dir

    subject, enable = "jupyter extension", f"jupyter server extension enable {EXTENSION}"
    if switch is None:
        why = (
            "is installed but not enabled: its configuration file is not where this Jupyter looks. "
            f"Run: {enable} --sys-prefix"
        )
    elif switch[0]:
        return Finding("ok", subject, f"enabled for jupyter-server {server_version}")
    elif switch[1].suffix == ".json":
        why = (
            f"is disabled by {switch[1]}, which overrides every command. "
            f"Remove {EXTENSION} from that file"
        )
    else:
        level = (
            "--user"
            if str(switch[1]) == jupyter_config_dir()
            else "--system"
            if str(switch[1]) in SYSTEM_CONFIG_PATH
            else "--sys-prefix"
        )
        why = f"is disabled in {switch[1]}. Run: {enable} {level}"
    return Finding("error", subject, f"{why} and restart the server")


def _servers() -> list[Finding]:
    from jupyter_server.serverapp import list_running_servers

    return [
        _server(server["url"], str(server.get("token", "")))
        for server in list_running_servers()
        if server["url"].startswith("http://")
    ]


def _server(url: str, token: str) -> Finding:
    """Return a finding on a server's extension, version and health."""
    subject = f"server {url}"
    request = urllib.request.Request(
        url.rstrip("/") + "/" + BASE + "health", headers={"Authorization": f"token {token}"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    try:
        with opener.open(request, timeout=ANSWER_S) as response:
            health = msgspec.json.decode(response.read(), type=Health)
    except urllib.error.HTTPError as error:
        with error:
            ours = VERSION_HEADER in error.headers
        if error.code == 403 or ours:
            return Finding(
                "warning",
                subject,
                f"denies access to this program ({error.code}); "
                f"open {url}{BASE}health in a browser that is logged in",
            )
        return Finding(
            "error",
            subject,
            "runs without the extension: it was started before codeintel-nb was installed, "
            "from another environment, or with it disabled. Restart the server",
        )
    except (OSError, msgspec.DecodeError) as error:
        return Finding("warning", subject, f"is listed but does not answer ({error})")
    if health.version != __version__:
        return Finding(
            "error",
            subject,
            f"runs codeintel-nb {health.version}, but {__version__} is installed. "
            "Restart the server",
        )
    if health.reasons:
        return Finding("warning", subject, f"is degraded: {'; '.join(health.reasons)}")
    return Finding(
        "ok",
        subject,
        f"runs codeintel-nb {health.version}, {plural(health.sessions, 'session')} with a scope",
    )


def _kernels() -> list[Finding]:
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        specs = KernelSpecManager().get_all_specs()
    except (ImportError, OSError) as error:
        return [Finding("warning", "kernels", f"cannot be listed ({error})")]
    pythons = [
        (name, spec["spec"]["argv"][0])
        for name, spec in sorted(specs.items())
        if spec["spec"].get("language") == "python" and spec["spec"].get("argv")
    ]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda kernel: _kernel(*kernel), pythons))


def _kernel(name: str, python: str) -> Finding:
    """Return the finding on codeintel-nb in a Python kernel's environment."""
    subject = f"kernel {name}"
    home = os.path.expanduser("~")
    # as jupyter_client replaces these two
    command = sys.executable if python in ("python", "python3") else python
    try:
        process = subprocess.run(
            [command, "-c", LOOK],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            cwd=home if os.path.isdir(home) else os.sep,
        )
        packages = json.loads(process.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return Finding(
            "warning",
            subject,
            f"its interpreter {command} cannot be run ({type(error).__name__}). "
            f"If it no longer exists, run: jupyter kernelspec remove {name}",
        )
    return kernel_finding(
        subject, command, packages["version"], packages["missing"], packages["ipykernel"]
    )


def kernel_finding(
    subject: str, python: str, version: str, missing: list[str], ipykernel: bool
) -> Finding:
    install = f"{python} -m pip install"
    if not ipykernel:
        return Finding(
            "error",
            subject,
            f"cannot start: its environment has no ipykernel. Run: {install} ipykernel",
        )
    if not version:
        return Finding(
            "warning",
            subject,
            "has no codeintel-nb, so %load_ext codeintel_nb fails there. "
            f"Run: {install} codeintel-nb",
        )
    if version != __version__:
        return Finding(
            "warning",
            subject,
            f"has codeintel-nb {version}, but the server's environment has {__version__}. "
            f"Run: {install} codeintel-nb=={__version__} and restart the kernel",
        )
    if missing:
        return Finding(
            "warning",
            subject,
            "can search only through the Jupyter server, "
            f"as its environment lacks {', '.join(missing)}. "
            f"To search without a server, run: {install} codeintel-nb",
        )
    return Finding("ok", subject, f"has codeintel-nb {version}")
