"""The extension as Jupyter finds, configures and starts it."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import jupyter_ext
from jupyter_ext.app import CodeIntelApp, server_url
from tests.conftest import write_tree


def test_installing_enables_it():
    listed = subprocess.run([sys.executable, "-m", "jupyter", "server", "extension", "list"], capture_output=True, text=True, check=True)
    said = listed.stdout + listed.stderr
    lines = said.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("jupyter_ext"))
    assert "enabled" in lines[at]
    assert "OK" in "".join(lines[at + 1 : at + 3])
    assert jupyter_ext._jupyter_server_extension_points() == [{"module": "jupyter_ext", "app": CodeIntelApp}]


def test_kernels_are_told_where_the_server_is_and_nothing_secret(server, open_notebook):
    said = open_notebook().run("import json, os; print(json.dumps({n: v for n, v in os.environ.items() if n.startswith('CODEINTEL_SERVER')}))")
    assert json.loads(said) == {"CODEINTEL_SERVER_URL": f"http://127.0.0.1:{server.port}{server.base_url}", "CODEINTEL_SERVER_PID": str(server.process.pid)}


@pytest.mark.parametrize(("ip", "host"), [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")])
def test_the_address_is_one_that_kernels_can_reach(ip, host, tmp_path, monkeypatch):
    from jupyter_server.serverapp import ServerApp

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    app = ServerApp(ip=ip, port=8911, base_url="/user/x/")
    assert server_url(app) == f"http://{host}:8911/user/x/"


def test_settings_reach_the_service(make_server, tmp_path):
    elsewhere, home = tmp_path / "allowed", tmp_path / "own-home"
    write_tree(elsewhere, {"a.py": "x = 1\n"})
    made = make_server(f"--CodeIntelApp.home={home}", f"--CodeIntelApp.allowed_roots={elsewhere}", "--CodeIntelApp.registry_size=3")
    made.index(elsewhere, "elsewhere")
    assert list(home.glob("v3/repositories/*/snapshot.json"))
    for i in range(6):
        assert made.ask("PUT", f"sessions/s{i}/scope", {"languages": ["python"]}).status == 200
    assert [state["session_id"] for state in made.ask("GET", "sessions").json["sessions"]] == ["s3", "s4", "s5"]
    kernel = made.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"]
    assert made.signed(kernel, "GET", f"sessions/{kernel}/scope").status == 200


def test_a_registry_that_is_not_there_is_named_at_the_start(tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", "--CodeIntelApp.registry_url=ftp://x", "--ServerApp.port=0",
            "--ServerApp.reraise_server_extension_failures=True", f"--ServerApp.root_dir={tmp_path}",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "registry_url is 'ftp://x'" in done.stderr


def test_alone_it_says_how_it_is_started():
    with pytest.raises(SystemExit, match="jupyter server"):
        CodeIntelApp._server(SimpleNamespace(serverapp=None))
