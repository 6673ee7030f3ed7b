"""Discovery, configuration and startup of the extension by Jupyter."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import jupyter_ext
from jupyter_ext.app import CodeIntelApp, server_url
from tests.conftest import write_tree
from tests.waiting import until


@pytest.mark.slow
def test_installation_enables_the_extension():
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "extension", "list"],
        capture_output=True,
        text=True,
        check=True,
    )
    said = listed.stdout + listed.stderr
    lines = said.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("jupyter_ext"))
    assert "enabled" in lines[at]
    assert "OK" in "".join(lines[at + 1 : at + 3])
    assert jupyter_ext._jupyter_server_extension_points() == [
        {"module": "jupyter_ext", "app": CodeIntelApp}
    ]


def test_kernel_environment_has_server_address_and_no_secret(server, open_notebook):
    said = open_notebook().run(
        "import json, os; print(json.dumps({n: v for n, v in os.environ.items()"
        " if n.startswith('CODEINTEL_SERVER')}))"
    )
    assert json.loads(said) == {
        "CODEINTEL_SERVER_URL": f"http://127.0.0.1:{server.port}{server.base_url}",
        "CODEINTEL_SERVER_PID": str(server.process.pid),
    }


@pytest.mark.parametrize(
    ("ip", "host"),
    [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")],
)
def test_server_url_is_reachable_from_kernels(ip, host, tmp_path, monkeypatch):
    from jupyter_server.serverapp import ServerApp

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    app = ServerApp(ip=ip, port=8911, base_url="/user/x/")
    assert server_url(app) == f"http://{host}:8911/user/x/"


@pytest.mark.slow
def test_settings_reach_the_service(make_server, tmp_path):
    elsewhere, home = tmp_path / "allowed", tmp_path / "own-home"
    write_tree(elsewhere, {"a.py": "x = 1\n"})
    made = make_server(
        f"--CodeIntelApp.home={home}",
        f"--CodeIntelApp.allowed_roots={elsewhere}",
        "--CodeIntelApp.registry_size=3",
    )
    made.index(elsewhere, "elsewhere")
    assert list(home.glob("v8/repositories/*/snapshot.json"))
    for i in range(6):
        assert made.ask("PUT", f"sessions/s{i}/scope", {"languages": ["python"]}).status == 200
    assert [state["session_id"] for state in made.ask("GET", "sessions").json["sessions"]] == [
        "s3",
        "s4",
        "s5",
    ]
    kernel = made.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"]
    assert made.signed(kernel, "GET", f"sessions/{kernel}/scope").status == 200


@pytest.mark.slow
def test_invalid_registry_url_is_reported_at_startup(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "jupyter_server",
            "--allow-root",
            "--no-browser",
            "--CodeIntelApp.registry_url=ftp://x",
            "--ServerApp.port=0",
            "--ServerApp.reraise_server_extension_failures=True",
            f"--ServerApp.root_dir={tmp_path}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "registry_url is 'ftp://x'" in done.stderr


def test_app_without_a_server_says_how_to_start_it():
    with pytest.raises(SystemExit, match="jupyter server"):
        CodeIntelApp._server(SimpleNamespace(serverapp=None))


def redis_of(server):
    return server.ask("GET", "health").json


@pytest.mark.slow
def test_two_servers_share_scopes_through_redis(make_server, make_redis):
    redis = make_redis()
    one, other = (make_server(f"--CodeIntelApp.registry_url={redis.url}") for _ in range(2))
    scope = {"languages": ["python"]}
    assert one.ask("PUT", "sessions/team/scope", scope).status == 200
    assert other.ask("GET", "sessions/team/scope").json["scope"]["languages"] == ["python"]
    assert other.ask("PATCH", "sessions/team/scope", {"include_globs": ["src/**"]}).status == 200
    until(
        lambda: (
            one.ask("GET", "sessions/team/scope").json["scope"].get("include_globs") == ["src/**"]
        )
    )
    assert "is reachable" in redis_of(one)["registry"]
    assert redis_of(one)["status"] == "ok"

    redis.kill()
    assert one.ask("GET", "sessions/team/scope").json["scope"]["languages"] == ["python"], (
        "served from memory"
    )
    refused = one.ask("PUT", "sessions/team/scope", {})
    assert (refused.status, refused.json["error"]) == (503, "EngineError")
    assert "was not set" in refused.json["detail"]
    until(lambda: redis_of(one)["status"] == "degraded")
    assert "is unreachable" in redis_of(one)["reasons"][0]

    redis.start()
    until(lambda: one.ask("PUT", "sessions/team/scope", {"languages": ["go"]}).status == 200)
    until(lambda: other.ask("GET", "sessions/team/scope").json["scope"].get("languages") == ["go"])
    assert redis_of(one)["status"] == "ok"


@pytest.mark.slow
def test_kernel_scope_stays_in_redis_until_the_kernel_ends(make_server, make_redis, open_notebook):
    redis = make_redis()
    server = make_server(
        f"--CodeIntelApp.registry_url={redis.url}", "--CodeIntelApp.session_max_age_s=1"
    )
    notebook = open_notebook("a.ipynb", server)
    assert (
        server.ask("PUT", f"sessions/{notebook.kernel_id}/scope", {"languages": ["python"]}).status
        == 200
    )
    time.sleep(2.5)
    assert "python" in notebook.run("%load_ext codeintel_nb\n%scope")
    assert server.ask("DELETE", f"kernels/{notebook.kernel_id}", api=True).status == 204
    until(lambda: redis.ask("KEYS", "codeintel:scope:*") == "")
