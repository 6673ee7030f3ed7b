"""codeintel serve: REST and MCP without Jupyter."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager

import msgspec
import pytest

from codeintel_nb import Workspace
from codeintel_nb.serve import listening, make_app
from codeintel_nb.server.openapi import description
from codeintel_nb.server.starlette import Options
from jupyter_ext.handlers import ALL
from tests.conftest import FILES, write_tree
from tests.live import sql_children_at_work
from tests.serving import TOKEN
from tests.test_mcp_server import ask
from tests.waiting import HANG_S, until


@contextmanager
def opened(folder):
    workspace = Workspace.open(folder / "home")
    yield workspace
    workspace.close()


def test_routes_match_the_openapi_description():
    described = msgspec.json.decode(description(ALL))["paths"]
    served = {
        (route.path.removeprefix("/codeintel/v1"), method.lower())
        for route in make_app(Options()).routes
        for method in route.methods or ()
        if route.path != "/mcp"
    }
    served = {(path, method) for path, method in served if method != "head"}
    named = {
        (path, method)
        for path, methods in described.items()
        for method in methods
        if method in ("get", "post", "put", "patch", "delete")
    }
    assert served <= named, served - named
    assert {path for path, _ in named - served} == {"/sessions/{session_id}/panel"}, (
        "only Jupyter serves the panel"
    )


def test_typical_session_over_rest(make_serving, tmp_path):
    write_tree(tmp_path / "shop", dict(FILES))
    one = make_serving("--root", str(tmp_path))
    status, _, job = one.ask(
        "POST", "repositories", {"path": str(tmp_path / "shop"), "name": "shop"}
    )
    assert (status, job["repository"]) == (202, "shop")
    request = urllib.request.Request(
        f"{one.url}/codeintel/v1/repositories/shop/events",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=120) as events:
        assert events.headers["Content-Type"].startswith("text/event-stream")
        assert b"event: done" in events.read()
    assert one.ask("GET", "repositories/shop/job")[2]["state"] == "done"
    assert one.ask("PUT", "sessions/s/scope", {"languages": ["py"]})[2]["scope"] == {
        "languages": ["python"]
    }
    assert one.ask("GET", "sessions")[2]["sessions"][0]["session_id"] == "s"
    for place, body in (
        ("search/text", {"pattern": "cart"}),
        ("search/semantic", {"query": "charge a card"}),
        ("search/symbols", {"name": "Cart"}),
        ("paths", {}),
    ):
        _, _, found = one.ask("POST", place, body, {"X-Session-ID": "s"})
        assert found["results"]["hits"]
        assert {hit["language"] for hit in found["results"]["hits"]} == {"python"}
    assert one.ask("POST", "facets", {}, {"X-Session-ID": "s"})[0] == 200
    assert one.ask("POST", "map", {"most": 10}, {"X-Session-ID": "s"})[0] == 200
    table = one.ask(
        "POST", "sql", {"statement": "select count(*) from files"}, {"X-Session-ID": "s"}
    )[2]
    assert table["rows"] == [[4]]
    assert (
        one.ask("GET", "files?repo=shop&path=src/shop/cart.py&start_line=6&end_line=6")[2]["text"]
        == "class Cart:"
    )
    assert one.ask("PUT", "scopes/mine", {"languages": ["go"]})[0] == 200
    assert one.ask("GET", "scopes")[2]["scopes"] == {"mine": {"languages": ["go"]}}
    assert one.ask("DELETE", "scopes/mine")[0] == 204
    assert one.ask("DELETE", "sessions/s/scope")[2]["scope"] == {}
    assert one.ask("POST", "repositories/shop/refresh", {})[0] == 202
    until(lambda: one.ask("GET", "repositories/shop/job")[2]["state"] == "done")
    assert one.ask("GET", "health")[2]["status"] == "ok"
    assert one.ask("DELETE", "repositories/shop")[0] == 204
    assert one.ask("GET", "repositories")[2]["repositories"] == []


@pytest.mark.parametrize(
    ("method", "place", "body", "status", "said"),
    [
        ("POST", "search/text", {}, 400, "missing required field `pattern`"),
        ("POST", "search/text", {"pattern": "(", "regex": True}, 400, "("),
        ("PUT", "sessions/a b/scope", {}, 400, "1 to 128"),
        ("PUT", "sessions/s/scope", {"languages": ["pithon"]}, 400, "Did you mean"),
        ("GET", "scopes/none", None, 404, "none"),
        ("GET", "files?repo=shop&path=nope", None, 404, "nope"),
        ("GET", "files?repo=shop&path=../../etc/passwd", None, 404, "is outside the repository"),
        ("POST", "repositories", {"path": "/etc"}, 403, "codeintel serve --root"),
        ("POST", "repositories", {"path": "relative"}, 400, "relative"),
        ("POST", "repositories", {}, 400, "Nothing to index"),
        ("GET", "repositories/none/job", None, 404, "none"),
        ("DELETE", "repositories/none", None, 404, "none"),
        ("POST", "search/text", {"pattern": "x" * 1_100_000}, 413, "1,000,000"),
        ("GET", "nothing", None, 404, "There is nothing at"),
        ("POST", "health", {}, 405, "Not Allowed"),
    ],
)
def test_errors_are_problem_documents(serving, method, place, body, status, said):
    met, headers, problem = serving.ask(method, place.replace(" ", "%20"), body)
    assert (met, headers["Content-Type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    assert said in problem["detail"]
    assert status != 413 or problem["error"] == "SearchError", (
        "a SearchError, so that a kernel keeps using its server"
    )


def test_search_without_an_index_needs_a_root(make_serving, tmp_path):
    one = make_serving()
    status, _, problem = one.ask("POST", "search/text", {"pattern": "import"})
    assert (status, "Nothing is indexed yet" in problem["detail"]) == (400, True)
    write_tree(tmp_path / "code", {"a.py": "import this\n"})
    other = make_serving("--root", str(tmp_path / "code"))
    assert [
        hit["path"]
        for hit in other.ask("POST", "search/text", {"pattern": "import"})[2]["results"]["hits"]
    ] == ["a.py"]


def test_body_of_another_content_type_is_rejected(serving):
    assert (
        serving.ask("POST", "search/text", {"pattern": "x"}, {"Content-Type": "text/plain"})[0]
        == 415
    )


def test_port_0_picks_a_free_port(tmp_path):
    command = [
        sys.executable,
        "-m",
        "codeintel_nb.cli",
        "serve",
        "--home",
        str(tmp_path),
        "--port",
        "0",
        "--token",
        "t",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        port = int(re.search(r"REST at http://127.0.0.1:(\d+)/", line)[1])
        assert port
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/codeintel/v1/health", headers={"Authorization": "Bearer t"}
        )

        def health():
            with urllib.request.urlopen(request, timeout=HANG_S) as answer:
                return json.load(answer)

        assert until(health)["status"] == "ok"
        process.terminate()


def test_connections_send_without_delay():
    """Without TCP_NODELAY, an answer's second part waits 40 ms for the first's acknowledgement."""

    async def option() -> int:
        connected = asyncio.get_running_loop().create_future()

        class Accepting(asyncio.Protocol):
            def connection_made(self, transport):
                connected.set_result(
                    transport.get_extra_info("socket").getsockopt(
                        socket.IPPROTO_TCP, socket.TCP_NODELAY
                    )
                )
                transport.close()

        listener = listening("127.0.0.1", 0)
        server = await asyncio.get_running_loop().create_server(Accepting, sock=listener)
        async with server:
            _, writer = await asyncio.open_connection(*listener.getsockname())
            try:
                return await connected
            finally:
                writer.close()
                await writer.wait_closed()

    assert asyncio.run(option())


def test_request_in_flight_is_answered_before_the_shutdown(make_serving, tmp_path):
    with opened(tmp_path) as workspace:
        workspace.index(
            write_tree(tmp_path / "big", {f"f{i}.py": "x = 1\n" for i in range(300)}), name="big"
        )
    one = make_serving()
    answers = []

    def search():
        answers.append(
            one.ask(
                "POST",
                "sql",
                {
                    "statement": (  # takes hours
                        "select count(*) from range(100000) a, range(100000) b"
                        " where a.range * b.range = 7"
                    )
                },
            )
        )

    asking = threading.Thread(target=search)
    asking.start()
    until(lambda: sql_children_at_work(one.process.pid))
    assert answers == [], "the query is still running"
    one.process.terminate()
    asking.join(HANG_S)
    status, _, body = answers[0]
    assert status in (200, 400), "an answer, not a broken connection"
    assert body["rows"][0][0] > 0 if status == 200 else "cancelled" in body["detail"]
    one.process.wait(HANG_S)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", one.port), timeout=1).close()


def test_two_servers_share_scopes_through_redis(make_serving, make_redis, tmp_path):
    with opened(tmp_path) as workspace:
        workspace.index(write_tree(tmp_path / "shop", dict(FILES)), name="shop")
    redis = make_redis()
    one, other = (make_serving("--registry-url", redis.url) for _ in range(2))

    async def run():
        async with one.client() as client, other.client() as assistant:
            await ask(client, "set_scope", include_globs=["web/**"], session_id="team")
            found = await ask(assistant, "list_paths", session_id="team")
            assert {hit["path"].split("/")[0] for hit in found["hits"]} == {"web"}
            await ask(assistant, "set_scope", include_globs=["src/**"], session_id="team")
            for _ in range(100):
                found = await ask(client, "list_paths", session_id="team")
                if {hit["path"].split("/")[0] for hit in found["hits"]} == {"src"}:
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError("the other server's scope did not arrive")
            redis.kill()
            refused = await client.call_tool("set_scope", {"session_id": "team"})
            assert refused.is_error
            assert "does not answer" in refused.content[0].text
            assert (await ask(client, "list_paths", session_id="team"))["scope"] == {
                "include_globs": ["src/**"]
            }
        redis.start()

    asyncio.run(run())


@pytest.mark.slow
def test_several_workers_share_scopes_through_redis(make_serving, make_redis, tmp_path):
    with opened(tmp_path) as workspace:
        workspace.index(write_tree(tmp_path / "shop", dict(FILES)), name="shop")
    redis = make_redis()
    one = make_serving("--workers", "2", "--registry-url", redis.url)
    for number in range(20):
        assert (
            one.ask("PUT", f"sessions/s{number}/scope", {"include_globs": [f"{number}/**"]})[0]
            == 200
        )
    for number in range(20):
        assert one.ask("GET", f"sessions/s{number}/scope")[2]["scope"] == {
            "include_globs": [f"{number}/**"]
        }
    assert one.ask("POST", "repositories", {"path": str(tmp_path)})[0] == 409

    async def run():
        async with one.client() as client:
            await ask(client, "set_scope", languages=["python"], session_id="team")
            for _ in range(10):
                assert (await ask(client, "get_scope", session_id="team"))["scope"] == {
                    "languages": ["python"]
                }

    asyncio.run(run())


@pytest.mark.slow
def test_invalid_options_are_explained(tmp_path):
    def run(*options):
        done = subprocess.run(
            [sys.executable, "-m", "codeintel_nb.cli", *options, "--home", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.returncode, done.stderr

    code, said = run("serve", "--workers", "2", "--port", "1")
    assert (code, "--registry-url redis://HOST" in said) == (2, True)
    code, said = run("serve", "--registry-url", "ftp://x")
    assert (code, "ftp://x" in said) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = run("serve", "--port", str(taken.getsockname()[1]))
        assert (code, "--port N" in said, "token" in said) == (2, True, False)
    code, said = run("serve", "--port", "70000")
    assert (code, "--port N" in said) == (2, True)
    code, said = run("mcp", "--session", "a b")
    assert (code, "1 to 128" in said) == (2, True)
    code, said = run("mcp", "--server", "localhost:8888", "--session", "x", "--token", "t")
    assert (code, "is not a URL" in said) == (2, True)
    code, said = run("mcp", "--server", "http://127.0.0.1:1")
    assert (code, "--session KERNEL_ID" in said) == (2, True)


def test_generated_token_and_warnings_are_printed(make_serving, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "codeintel_nb.cli",
        "serve",
        "--home",
        str(tmp_path),
        "--port",
        str(port),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stderr.readline() for _ in range(2)]
        process.terminate()
    assert lines[0].startswith("codeintel: token: ")
    assert len(lines[0].split()[-1]) >= 40
    assert f"MCP at http://127.0.0.1:{port}/mcp" in lines[1]
    with subprocess.Popen(
        [*command, "--host", "0.0.0.0", "--no-token"], stderr=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stderr.readline() for _ in range(3)]
        process.terminate()
    assert "loopback" in lines[1]
    assert "no token" in lines[2]


@pytest.mark.slow
def test_index_home_cannot_be_indexed(make_serving, tmp_path):
    write_tree(tmp_path / "shop", dict(FILES))
    one = make_serving("--root", str(tmp_path))
    assert one.ask("POST", "repositories", {"path": str(tmp_path / "shop")})[0] == 202
    until(lambda: one.ask("GET", "repositories/shop/job")[2]["state"] == "done")
    status, _, problem = one.ask("POST", "repositories", {"path": str(tmp_path / "home")})
    assert (status, "codeintel's own index" in problem["detail"]) == (400, True)
    assert one.ask("POST", "repositories", {"path": str(tmp_path), "name": "all"})[0] == 202, (
        "a folder containing it is indexed without it"
    )
    until(lambda: one.ask("GET", "repositories/all/job")[2]["state"] == "done")
    paths = [
        hit["path"] for hit in one.ask("POST", "paths", {"repos": ["all"]})[2]["results"]["hits"]
    ]
    assert paths
    assert not [path for path in paths if path.startswith("home/")]
