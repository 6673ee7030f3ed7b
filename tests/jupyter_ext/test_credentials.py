"""Authentication and authorization of users and kernels on a live server."""

import http.client
import json
import time
from pathlib import Path

import pytest

from codeintel_nb.client.signature import sign
from codeintel_nb.operations.limits import Limits
from tests.live import TOKEN

SCOPE = {"languages": ["python"]}


@pytest.fixture
def kernels(server):
    made = [
        server.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"] for _ in range(2)
    ]
    yield made
    for kernel_id in made:
        server.ask("DELETE", f"kernels/{kernel_id}", api=True)


def place(kernel_id):
    return f"sessions/{kernel_id}/scope"


def problem(answer, status):
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert answer.json["detail"]
    return answer.json["detail"]


def put(server, kernel_id, target, at=None, nonce="n1", key=None, signed=SCOPE, sent=SCOPE):
    body = json.dumps(signed).encode()
    at = int(time.time()) if at is None else at
    mac = sign(
        server.key(kernel_id) if key is None else key,
        kernel_id,
        "PUT",
        server.uri(place(target)),
        body,
        at,
        nonce,
    )
    return server.raw(
        "PUT", place(target), sent, {"Authorization": f"CodeIntel {kernel_id}:{at}:{nonce}:{mac}"}
    )


def test_kernel_can_use_only_its_own_scope(server, kernels):
    own, other = kernels
    assert server.signed(own, "PUT", place(own), SCOPE).json["scope"] == SCOPE
    assert server.signed(own, "GET", place(own)).json["scope"] == SCOPE
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert "own scope only" in problem(
            server.signed(own, method, place(other), SCOPE if method[0] == "P" else None), 403
        )
    assert "own session only" in problem(
        server.signed(own, "POST", "paths", {}, **{"X-Session-ID": other}), 403
    )
    problem(server.signed(own, "GET", "sessions"), 403)
    assert server.signed(own, "POST", "paths", {}).json["session_id"] == own


def test_signature_is_valid_once_for_a_minute_and_for_its_own_request(server, kernels):
    own, other = kernels
    now = int(time.time())
    assert put(server, own, own, now, "once").status == 200
    for refused in (
        put(server, own, own, now, "once"),  # replayed
        put(server, own, own, now - 300, "stale"),
        put(server, own, own, now + 300, "early"),
        put(server, own, own, nonce="forged", key=b"guess"),
        put(server, own, own, nonce="empty", key=b""),
        put(server, own, own, nonce="swapped", sent={}),
        put(server, own, own, nonce="theirs", key=server.key(other)),
        server.raw("PUT", place(own), SCOPE, {"Authorization": "CodeIntel nonsense"}),
        server.raw("PUT", place(own), SCOPE, {"Authorization": "CodeIntel a:b:c:d"}),
        server.raw(
            "PUT",
            place(own),
            SCOPE,
            {"Authorization": f"CodeIntel {'0' * 8}-0000-0000-0000-{'0' * 12}:{now}:x:y"},
        ),
    ):
        assert "signature" in problem(refused, 403)


def test_signature_is_rejected_by_jupyters_own_routes(server, kernels):
    own = kernels[0]
    uri = server.uri("kernels", api=True)
    at = int(time.time())
    header = {
        "Authorization": f"CodeIntel {own}:{at}:core:"
        f"{sign(server.key(own), own, 'GET', uri, b'', at, 'core')}"
    }
    assert server.raw("GET", "kernels", headers=header, api=True).status == 403


def test_kernel_is_rejected_after_shutdown(server):
    made = server.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"]
    key = server.key(made)
    server.ask("DELETE", f"kernels/{made}", api=True)
    problem(server.signed(made, "GET", place(made), key=key), 403)


def test_every_route_rejects_anonymous_requests(server):
    from jupyter_ext.handlers import ROUTES

    for path, handler in ROUTES.items():
        for method in ("get", "put", "post", "patch", "delete"):
            if method in vars(handler):
                filled = (
                    path.replace("{session_id}", "x")
                    .replace("{name}", "x")
                    .replace("{request_id}", "x")
                )
                problem(server.raw(method.upper(), filled, {} if method[0] == "p" else None), 403)
    problem(server.raw("GET", "nothing/here"), 403)


def test_user_authenticates_by_token_or_by_cookie_with_xsrf_token(server):
    assert server.ask("PUT", place("person"), SCOPE).status == 200
    jar, xsrf = logged_in(server)
    cookie = {"Cookie": jar}
    assert (
        server.raw(
            "GET",
            place("person"),
            headers={**cookie, "Referer": f"http://127.0.0.1:{server.port}{server.base_url}lab"},
        ).json["scope"]
        == SCOPE
    )
    assert "_xsrf" in problem(server.raw("PUT", place("person"), SCOPE, cookie), 403)
    assert server.raw("PUT", place("person"), SCOPE, {**cookie, "X-XSRFToken": xsrf}).status == 200
    problem(server.raw("PUT", place("person"), SCOPE, {**cookie, "X-XSRFToken": "2|0|0|0"}), 403)


def logged_in(server):
    """Return the cookies of a browser logged in by token, and their XSRF token."""
    found = {}
    for path in (f"{server.base_url}login", f"{server.base_url}api/me?token={TOKEN}"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request(
            "GET",
            path,
            headers={"Cookie": "; ".join(f"{name}={value}" for name, value in found.items())},
        )
        response = connection.getresponse()
        response.read()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                found[key] = rest.partition(";")[0]
        connection.close()
    return "; ".join(f"{name}={value}" for name, value in found.items()), found["_xsrf"]


@pytest.mark.slow
def test_authorizer_denies_user_writes_but_not_a_kernels_own_scope(make_server):
    here = str(Path(__file__).parents[2])
    strict = make_server(
        "--ServerApp.authorizer_class=tests.jupyter_ext.authorizers.ReadOnly",
        environment={"PYTHONPATH": here},
    )
    assert strict.ask("GET", place("person")).status == 200
    for method, target, body in (
        ("PUT", place("person"), SCOPE),
        ("PATCH", place("person"), SCOPE),
        ("DELETE", place("person"), None),
        ("PUT", "scopes/mine", SCOPE),
        ("DELETE", "scopes/mine", None),
        ("POST", "repositories", {"path": "x"}),
        ("DELETE", "repositories/x", None),
        ("DELETE", "repositories/x/job", None),
    ):
        assert "not allowed to write 'codeintel'" in problem(strict.ask(method, target, body), 403)
    kernel_id = strict.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"]
    assert strict.signed(kernel_id, "PUT", place(kernel_id), SCOPE).status == 200, (
        "a kernel may write its own scope"
    )


def test_every_handler_declares_authentication(tmp_path, monkeypatch):
    """Run the extension template's check: Jupyter warns of no unauthenticated handler."""
    import warnings

    from jupyter_server.serverapp import JupyterServerAuthWarning, ServerApp

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    app = ServerApp(
        allow_unauthenticated_access=False,
        jpserver_extensions={"jupyter_ext": True},
        reraise_server_extension_failures=True,
        allow_root=True,
        port=0,
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        app.initialize(argv=[], find_extensions=False)
    try:
        assert [
            str(one.message) for one in said if issubclass(one.category, JupyterServerAuthWarning)
        ] == []
        (extension,) = app.extension_manager.extension_apps["jupyter_ext"]
        assert extension.service.calls.limits == Limits(
            30.0, hits=1_000_000, rows=100_000, sql_timeout_s=600.0, sql_memory_bytes=1_500_000_000
        )
    finally:
        app.extension_manager.extension_apps["jupyter_ext"].pop().service.close()
        app.clear_instance()
