"""Answers of a live server: searches under a session's scope, and bad input of every kind."""

import http.client
import json
import random
import time
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from jupyter_ext.service import Service
from tests.conftest import write_tree
from tests.jupyter_ext.test_credentials import problem
from tests.live import TOKEN, sql_children_at_work
from tests.waiting import until

SLOW = "a.{60}b.{3}zz"  # re2 abandons its automaton here and reads about 2 MB/s
LONG_SQL = "select count(*) from range(100000) a, range(100000) b where a.range * b.range = 7"


def test_search_uses_the_session_scope_unless_overridden(server):
    mine = {"X-Session-ID": "mine"}
    assert server.ask("PUT", "sessions/mine/scope", {"languages": ["py"], "repos": ["shop"]}).json[
        "scope"
    ] == {"languages": ["python"], "repos": ["shop"]}
    found = server.ask("POST", "search/text", {"pattern": "cart"}, mine).json
    assert {hit["language"] for hit in found["results"]["hits"]} == {"python"}
    assert found["results"]["scope"] == {"languages": ["python"], "repos": ["shop"]}
    other = server.ask(
        "POST", "search/text", {"pattern": "cart", "languages": ["javascript"]}, mine
    ).json
    assert {hit["language"] for hit in other["results"]["hits"]} == {"javascript"}
    assert {
        hit["language"]
        for hit in server.ask("POST", "search/semantic", {"query": "cart"}, mine).json["results"][
            "hits"
        ]
    } == {"python"}
    assert server.ask(
        "POST", "sql", {"statement": "select distinct language from files"}, mine
    ).json["rows"] == [["python"]]
    assert len(server.ask("POST", "paths", {}, mine).json["results"]["hits"]) == 4
    assert server.ask("PATCH", "sessions/mine/scope", {"languages": None, "branches": []}).json[
        "scope"
    ] == {"repos": ["shop"]}
    assert len(server.ask("POST", "paths", {}, mine).json["results"]["hits"]) == 9
    assert server.ask("DELETE", "sessions/mine/scope").json["scope"] == {}


def test_request_without_a_session_creates_one(server):
    answer = server.ask("POST", "paths", {})
    made = answer.headers["x-session-id"]
    assert answer.json["session_id"] == made
    assert len(made) == 36
    assert server.ask("POST", "paths", {}).headers["x-session-id"] != made
    assert "1 to 128" in problem(server.ask("POST", "paths", {}, {"X-Session-ID": "a b"}), 400)
    problem(server.ask("POST", "paths", {}, {"X-Session-ID": "x" * 129}), 400)


def test_saved_scopes(server):
    assert server.ask("PUT", "scopes/tests", {"include_globs": ["tests/**"]}).status == 200
    assert server.ask("GET", "scopes/tests").json == {"include_globs": ["tests/**"]}
    assert server.ask("GET", "scopes").json["scopes"]["tests"] == {"include_globs": ["tests/**"]}
    assert server.ask("DELETE", "scopes/tests").status == 204
    assert "No scope is saved as 'tests'" in problem(server.ask("GET", "scopes/tests"), 404)
    problem(server.ask("PUT", "scopes/" + quote("../x", safe=""), {}), 400)


def test_read_lines_of_a_file(server):
    read = server.ask("GET", "files?repo=shop&path=src/shop/cart.py&start_line=6&end_line=7").json
    assert read["text"] == 'class Cart:\n    """Holds what a customer is about to buy."""'
    for path in ("../../../etc/passwd", "/etc/passwd", "src/../../x", "..\\x", "%2e%2e/x", "a%00b"):
        problem(
            server.ask("GET", f"files?repo=shop&path={quote(path) if '%' not in path else path}"),
            404,
        )
    problem(server.ask("GET", "files?repo=shop"), 400)
    problem(server.ask("GET", "files?repo=shop&path=README.md&start_line=x"), 400)
    problem(server.ask("GET", "files?repo=shop&path=README.md&start_line=0"), 404)


def test_folders_outside_the_root_are_not_indexed(server, tmp_path):
    (server.root / "way-out").symlink_to("/etc")
    (tmp_path / "elsewhere").mkdir()
    for path in (
        "/etc",
        str(tmp_path / "elsewhere"),
        "..",
        "../..",
        "~",
        "way-out",
        str(server.root / "way-out"),
    ):
        detail = problem(server.ask("POST", "repositories", {"path": path, "name": "out"}), 403)
        assert "is outside this server's folder" in detail
        assert "in a terminal: codeintel index" in detail
    problem(
        server.ask("POST", "repositories", {"path": str(tmp_path), "package": tmp_path.name}), 403
    )
    problem(server.ask("POST", "repositories", {"path": "nowhere"}), 400)
    problem(server.ask("POST", "repositories", {}), 400)
    problem(server.ask("POST", "repositories", {"path": "shop", "name": "a/b"}), 400)
    assert "out" not in {
        one["name"] for one in server.ask("GET", "repositories").json["repositories"]
    }


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "copy files to '/tmp/x.csv'",
        "attach '/tmp/x.db'",
        "select * from glob('/*')",
        "select * from read_text('/etc/hostname')",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "pragma database_list",
        "select 1; select 2",
    ],
)
def test_sql_cannot_reach_outside_its_tables(server, statement):
    problem(server.ask("POST", "sql", {"statement": statement}), 400)


@pytest.mark.slow
def test_sql_is_bounded_in_time_memory_and_rows(make_server):
    small = make_server(
        "--CodeIntelApp.sql_memory_bytes=300000000",
        "--CodeIntelApp.most_rows=10",
        "--CodeIntelApp.sql_deadline_s=1",
        "--CodeIntelApp.most_hits=5",
    )
    write_tree(small.root / "t", {f"{i}.py": f"x{i} = 1\n" for i in range(12)})
    small.index(small.root / "t", "t")
    cut = small.ask("POST", "sql", {"statement": "select * from range(1000)"}).json
    assert (len(cut["rows"]), cut["truncated"]) == (10, True)
    # without the server's limit it would take hours
    assert "timed out" in problem(
        small.ask("POST", "sql", {"statement": LONG_SQL, "deadline": 100}), 400
    )
    assert "emory" in problem(
        small.ask("POST", "sql", {"statement": "select list(range) from range(300000000)"}), 400
    )
    found = small.ask("POST", "search/text", {"pattern": "x", "limit": 6}).json["results"]
    assert (len(found["hits"]), found["truncated"]) == (5, True)
    assert len(small.ask("POST", "paths", {}).json["results"]["hits"]) == 5
    assert small.ask("GET", "health").json["status"] == "ok"


def nested(depth):
    return b"[" * depth + b"]" * depth


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "body", "headers", "status"),
    [
        ("search/text", b'{"pattern": "' + b"x" * 100_000 + b'"}', {}, 400),
        ("search/text", b'{"pattern": "(' + b"a|" * 40_000 + b')", "regex": true}', {}, 400),
        ("search/text", b'{"pattern": "x", "junk": "' + b"x" * 10_000_000 + b'"}', {}, 413),
        ("search/semantic", b'{"query": "' + b"x" * 100_000 + b'"}', {}, 400),
        ("search/text", b'{"pattern": "a", "repos": ' + nested(50_000) + b"}", {}, 400),
        ("search/text", nested(100_000), {}, 400),
        ("search/text", b'{"pattern": "a"}', {"Content-Type": "text/plain"}, 415),
        ("search/text", b"pattern=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("search/text", b"", {}, 400),
        ("search/text", b"\xff\xfe", {}, 400),
        ("search/text", b'{"pattern": "\xff"}', {}, 400),
        ("search/text", b'{"pattern": "a", "deadline": NaN}', {}, 400),
        ("search/text", b'{"pattern": "a", "deadline": 1e999}', {}, 400),
        ("search/text", b'{"pattern": "a", "deadline": -1}', {}, 400),
        ("search/text", b'{"pattern": "a", "limit": -1}', {}, 400),
        ("search/text", b'{"pattern": "a", "limit": 1.5}', {}, 400),
        ("search/text", b'{"pattern": "a", "languges": ["python"]}', {}, 400),
        ("search/text", b'{"pattern": "a", "languages": "python"}', {}, 400),
        ("search/text", b'{"pattern": "(", "regex": true}', {}, 400),
        ("search/text", b'{"pattern": ""}', {}, 400),
        ("search/text", b"[1]", {}, 400),
        ("sql", b'{"statement": ""}', {}, 400),
        ("sql", b'{"statement": "select ' + b"(" * 20_000 + b'"}', {}, 400),
        (
            "paths",
            b'{"include_globs": ["{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"]}',
            {},
            400,
        ),
        ("repositories", b'{"path": "a\\u0000b"}', {}, 400),
        ("repositories", b'{"path": "' + b"x" * 5_000 + b'"}', {}, 400),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, bytes) else None,
)
def test_bad_input_gets_a_problem_response_and_one_log_line(server, place, body, headers, status):
    before = server.log.stat().st_size
    problem(server.ask("POST", place, body, headers), status)

    def logged():
        with server.log.open() as log:
            log.seek(before)
            return [line for line in log.read().splitlines() if "Kernel" not in line]

    until(logged)
    said = logged()
    assert len(said) == 1, said
    assert f"{status} POST" in said[0]


@pytest.mark.parametrize(
    "scope",
    [
        b'{"languages": ["pyhton"]}',
        b'{"kinds": 3}',
        b"[]",
        b"3",
        b'{"colour": ["red"]}',
        b'{"include_globs": ["["]}',
        b"null",
        nested(80_000),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_invalid_scope_gets_a_problem_response(server, method, scope):
    problem(server.ask(method, "sessions/bad/scope", scope), 400)
    assert server.ask("GET", "sessions/bad/scope").json["scope"] == {}


def test_unknown_paths_and_methods_are_rejected(server):
    for place in ("nothing", "search", "sessions/a/b/c", "repositories/x/y", ""):
        problem(server.ask("GET", place), 404)
    problem(server.ask("PUT", "search/text", {"pattern": "x"}), 405)
    problem(server.ask("GET", "repositories/none/job"), 404)
    problem(server.ask("DELETE", "repositories/none"), 404)
    problem(server.ask("POST", "repositories/none/refresh", {}), 404)


def test_search_past_its_deadline_returns_partial_results(large):
    found = large.ask(
        "POST", "search/text", {"pattern": SLOW, "regex": True, "repos": ["large"], "deadline": 0.5}
    ).json
    assert (found["results"]["truncated"], found["results"]["reason"]) == (True, "time")


def counted(server, kind, outcome):
    wanted = f'codeintel_searches_total{{kind="{kind}",outcome="{outcome}"}} '
    lines = metrics(server).splitlines()
    return next(
        (float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0
    )


def metrics(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request(
        "GET", f"{server.base_url}metrics", headers={"Authorization": f"token {TOKEN}"}
    )
    said = connection.getresponse().read().decode()
    connection.close()
    return said


def begun(server, place, payload, **headers):
    """Return a connection with a search in flight."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    sent = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json", **headers}
    connection.request("POST", server.uri(place), json.dumps(payload), sent)
    time.sleep(0.7)
    return connection


@pytest.fixture(scope="module")
def uncut_s(server):
    """Yield the full duration of the slow search under the machine's current load."""
    letters = random.Random(7)
    lines = "\n".join("".join(letters.choices("ab ", k=100)) for _ in range(18_000))
    write_tree(server.root / "uncut", {f"{i}.txt": f"{i}\n{lines}" for i in range(8)})
    server.index(server.root / "uncut", "uncut")
    began = time.monotonic()
    assert (
        server.ask(
            "POST", "search/text", {"pattern": SLOW, "regex": True, "repos": ["uncut"]}
        ).status
        == 200
    )
    yield time.monotonic() - began
    assert server.ask("DELETE", "repositories/uncut").status == 204


def is_cut(uncut_s, attempt):
    """Whether one of three attempts ends within a third of the full search's time."""

    def took():
        began = attempt()
        return time.monotonic() - began

    return any(took() < uncut_s / 3 for _ in range(3))


def test_search_stops_when_its_client_disconnects(large, uncut_s):
    def attempt():
        before = counted(large, "text", "cancelled")
        connection = begun(
            large, "search/text", {"pattern": SLOW, "regex": True, "repos": ["large"]}
        )
        assert counted(large, "text", "cancelled") == before
        connection.close()
        gone = time.monotonic()
        until(lambda: counted(large, "text", "cancelled") == before + 1)
        return gone

    assert is_cut(uncut_s, attempt)


def test_sql_stops_when_its_client_disconnects(server):
    """Disconnect from a query that would take hours."""
    connection = begun(server, "sql", {"statement": LONG_SQL})
    (child,) = until(lambda: sql_children_at_work(server.process.pid))
    connection.close()
    until(lambda: not child.is_running())


def test_search_cancelled_by_id_returns_partial_results(large, uncut_s):
    def attempt():
        connection = begun(
            large,
            "search/text",
            {"pattern": SLOW, "regex": True, "repos": ["large"]},
            **{"X-Request-ID": "slow-one", "X-Session-ID": "me"},
        )
        assert (
            large.ask(
                "DELETE", "searches/slow-one", headers={"X-Session-ID": "somebody-else"}
            ).status
            == 204
        )
        assert (
            large.ask("DELETE", "searches/slow-one", headers={"X-Session-ID": "me"}).status == 204
        )
        ended = time.monotonic()
        assert json.loads(connection.getresponse().read())["results"]["reason"] == "cancelled"
        connection.close()
        return ended

    assert is_cut(uncut_s, attempt)


def test_metrics_count_searches_and_sessions(server):
    before = counted(server, "semantic", "found")
    server.ask("POST", "search/semantic", {"query": "charge a card"})
    server.ask("POST", "search/text", {"pattern": "nowhere to be found"})
    server.ask("POST", "search/text", {"pattern": ""})
    assert counted(server, "semantic", "found") == before + 1
    assert counted(server, "text", "none") >= 1
    assert counted(server, "text", "error") >= 1
    said = metrics(server)
    for name in (
        "codeintel_search_seconds_bucket",
        "codeintel_scope_hits_total",
        "codeintel_scope_misses_total",
        "codeintel_scope_evictions_total",
        "codeintel_scope_expiries_total",
        "codeintel_sessions",
    ):
        assert name in said


@pytest.mark.slow
def test_health_names_a_damaged_shard(make_server):
    ill = make_server()
    write_tree(ill.root / "t", {"a.py": "x = 1\n"})
    ill.index(ill.root / "t", "t")
    assert ill.ask("GET", "health").json == {
        "status": "ok",
        "reasons": [],
        "version": ill.ask("GET", "health").headers["x-codeintel-version"],
        "sessions": 0,
        "repositories": 1,
        "jobs": [ill.ask("GET", "repositories/t/job").json],
        "watching": [],
        "registry": "this process's memory",
        "url": "",
    }
    (manifest,) = ill.home.glob("v8/repositories/*/shards/*/manifest.json")
    manifest.write_text("{")
    said = ill.ask("GET", "health").json
    assert said["status"] == "degraded"
    assert "codeintel doctor" in said["reasons"][0]


@pytest.mark.slow
def test_public_url_comes_from_an_authorized_proxied_request(make_server):
    """Learn the public URL only from authorized requests through a proxy."""
    server = make_server("--ServerApp.allow_remote_access=True")
    url = lambda: server.ask("GET", "health").json["url"]  # noqa: E731
    by_proxy = {
        "Host": "hub.example.org",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
    }
    assert server.raw("GET", "health", headers=by_proxy).status == 403
    assert (
        server.raw("GET", "health", headers={**by_proxy, "Authorization": "token wrong"}).status
        == 403
    )
    assert server.ask("GET", "health", headers={"Host": "elsewhere.example.org"}).status == 200
    assert url() == "", "not learned from rejected or direct requests"
    assert server.ask("GET", "health", headers=by_proxy).status == 200
    assert url().endswith(f"://hub.example.org{server.base_url}")


@pytest.mark.slow
def test_public_url_under_jupyterhub_ignores_a_forged_host(make_server, monkeypatch):
    """Distrust the Host header: a guest's script may send any."""
    monkeypatch.setenv("JUPYTERHUB_USER", "alice")
    server = make_server("--ServerApp.allow_remote_access=True")
    by_proxy = {"Host": "evil.example.org", "X-Forwarded-For": "203.0.113.7"}
    assert server.ask("GET", "health", headers=by_proxy).status == 200
    assert "evil" not in server.ask("GET", "health").json["url"]
    owned = SimpleNamespace(base_url=server.base_url, public_url="")
    Service.note_address(owned, "alice", "https", "hub.example.org")
    assert owned.public_url == f"https://hub.example.org{server.base_url}"


def test_unindexable_folder_is_refused_without_a_question(server):
    by_page = {"Sec-Fetch-Site": "same-origin"}
    for path in (str(server.home), "/proc/self"):
        refused = server.ask("POST", "repositories", {"path": path}, by_page)
        assert (refused.status, refused.json.get("question", "")) == (400, "")


@pytest.mark.slow
def test_indexing_cannot_be_confirmed_through_a_proxy(make_server, tmp_path):
    server = make_server()
    outside = write_tree(tmp_path / "outside", {"a.py": "import this\n"})
    by_proxy = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-For": "203.0.113.7"}
    refused = server.ask("POST", "repositories", {"path": str(outside), "allow": True}, by_proxy)
    assert (refused.status, refused.json.get("question", "")) == (403, "")


def test_session_path_cannot_leave_the_root(server, open_notebook):
    """Distrust a session's path: clients choose it."""
    notebook = open_notebook()
    (session,) = [
        one
        for one in server.ask("GET", "sessions", api=True).json
        if one["kernel"]["id"] == notebook.kernel_id
    ]
    moved = {"path": "../../elsewhere/x.ipynb", "type": "notebook"}
    assert server.ask("PATCH", f"sessions/{session['id']}", moved, api=True).status == 200
    assert (
        server.signed(notebook.kernel_id, "GET", f"sessions/{notebook.kernel_id}/scope").json[
            "scope"
        ]
        == {}
    )


def test_outside_folder_is_indexed_only_after_user_confirmation(
    make_server, open_notebook, tmp_path
):
    server = make_server()
    outside = write_tree(tmp_path / "outside", {"a.py": "import this\n"})
    request = {"path": str(outside), "name": "outside"}
    by_page = {"Sec-Fetch-Site": "same-origin"}  # sent by browsers
    refused = server.ask("POST", "repositories", request, by_page)
    assert refused.status == 403
    assert (
        refused.json["question"] == f"{outside} is outside this server's folder. Index it anyway?"
    )
    notebook = open_notebook(on=server)
    for body in (request, {**request, "allow": True}):  # a kernel cannot confirm for the user
        by_kernel = server.signed(
            notebook.kernel_id, "POST", "repositories", body, **{"Content-Type": "application/json"}
        )
        assert (by_kernel.status, by_kernel.json.get("question", "")) == (403, "")
        # nor can an assistant with the server's token
        by_script = server.ask("POST", "repositories", body)
        assert (by_script.status, by_script.json.get("question", "")) == (403, "")
    assert (
        "index it in the side bar's panel and confirm, or run in a terminal: codeintel index "
        in notebook.run(f"%load_ext codeintel_nb\n%codeindex add {outside}")
    )
    assert server.ask("POST", "repositories", {**request, "allow": True}, by_page).status == 202
    until(lambda: server.ask("GET", "repositories/outside/job").json["state"] == "done")
    assert "up to date" in notebook.run(f"%codeindex add {outside} --name outside"), (
        "the folder is allowed now"
    )
    assert server.ask("POST", "repositories", {"path": str(tmp_path), "allow": False}).status == 403


@pytest.mark.parametrize(
    ("ip", "environment", "personal"),
    [
        ("localhost", {}, True),
        ("127.0.0.1", {}, True),
        ("0.0.0.0", {}, False),
        ("", {}, False),
        ("10.0.0.1", {}, False),
        ("127.0.0.1", {"JUPYTERHUB_USER": "alice"}, False),
    ],
)
def test_is_personal(ip, environment, personal):
    from jupyter_ext.app import is_personal

    assert is_personal(ip, environment) == personal
