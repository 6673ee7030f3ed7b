"""Kernel gateway behind a Jupyter server: the kernel keeps its own scope, and the page says so."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.full.programs import Cells, ask, free_port, running
from tests.waiting import until

pytestmark = pytest.mark.full
BIN = Path(sys.executable).parent


def surroundings(place: Path) -> dict[str, str]:
    """Return the environment of a separate machine, with its own Jupyter folders."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "CODEINTEL", "KERNEL_", "JPY"))
    }
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
    }
    return {
        **kept,
        "HOME": str(place),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        **{name: str(place / folder) for name, folder in folders.items()},
    }


@pytest.fixture
def front(tmp_path):
    """Yield the URL and token of a server, then those of the gateway running its kernels."""
    far, near, gate, token = free_port(), free_port(), secrets.token_hex(8), secrets.token_hex(8)
    for name in ("far", "near", "root"):
        (tmp_path / name).mkdir()
    gateway = [
        BIN / "jupyter-kernelgateway",
        f"--KernelGatewayApp.port={far}",
        "--KernelGatewayApp.ip=127.0.0.1",
        f"--KernelGatewayApp.auth_token={gate}",
        "--JupyterWebsocketPersonality.list_kernels=True",
        "--KernelGatewayApp.port_retries=0",
    ]
    server = [
        BIN / "jupyter",
        "server",
        "--allow-root",
        "--no-browser",
        f"--gateway-url=http://127.0.0.1:{far}",
        f"--GatewayClient.auth_token={gate}",
        f"--ServerApp.port={near}",
        "--ServerApp.port_retries=0",
        "--ServerApp.ip=127.0.0.1",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={tmp_path / 'root'}",
        "--CodeIntelApp.watch=False",
    ]
    with ExitStack() as stack:
        stack.enter_context(
            running(
                gateway, tmp_path / "gateway.log", surroundings(tmp_path / "far"), tmp_path / "far"
            )
        )
        until(lambda: ask("GET", f"http://127.0.0.1:{far}/api", gate).status == 200)
        stack.enter_context(
            running(
                server, tmp_path / "server.log", surroundings(tmp_path / "near"), tmp_path / "root"
            )
        )
        until(lambda: ask("GET", f"http://127.0.0.1:{near}/api/status", token).status == 200)
        yield f"http://127.0.0.1:{near}/", token, f"http://127.0.0.1:{far}/", gate


def test_panel_cannot_set_a_second_scope_for_a_remote_kernel(front):
    base, token, far, gate = front
    kernel = ask("POST", f"{base}api/kernels", token, {"name": "python3"}).body["id"]
    cells = Cells(base, kernel, token)
    assert "searches run in this process" in cells.run(
        "%load_ext codeintel_nb\n%scope set --lang python"
    )
    place = f"{base}codeintel/v1/sessions/{kernel}"
    for method, body in (
        ("PUT", {"languages": ["sql"]}),
        ("PATCH", {"languages": ["sql"]}),
        ("DELETE", None),
    ):
        refused = ask(method, f"{place}/scope", token, body)
        assert refused.status == 409
        assert "keeps its own scope" in refused.body["detail"]
    shown = ask("POST", f"{place}/panel", token, {"what": "state"})
    assert "keeps its own scope" in shown.body["note"]
    assert "python" in cells.run("%scope")
    cells.close()
    script = ask(
        "PUT", f"{base}codeintel/v1/sessions/a-script/scope", token, {"languages": ["sql"]}
    )
    assert script.status == 200, "the server keeps a script's scope"
    assert ask("DELETE", f"{far}api/kernels/{kernel}", gate).status == 204
    # no remote kernel has this ID now
    until(lambda: ask("PUT", f"{place}/scope", token, {"languages": ["sql"]}).status == 200)
