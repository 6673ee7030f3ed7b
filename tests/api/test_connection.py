"""The magics' connection to a real server, with a real kernel's key, behind a gate that closes."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.client.connection import RETRY_S, Connection
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.client.http import ServerClient
from codeintel_nb.client.kernel import Kernel, NoServer
from codeintel_nb.client.transport import check_version
from codeintel_nb.errors import EngineError, ScopeError, SearchError, SourceError
from codeintel_nb.operations.requests import (
    FileRequest,
    GetSavedScope,
    IndexRequest,
    ListSavedScopes,
    RefreshRequest,
    RemoveRequest,
    SaveScope,
    SqlRequest,
    StatusRequest,
)
from codeintel_nb.search.query import PathQuery, SemanticQuery, TextQuery
from tests.conftest import write_tree

pytestmark = pytest.mark.usefixtures("no_project")

PYTHON, SCRIPT = Scope(languages=("python",)), Scope(languages=("javascript",))


class Gate:
    """Proxy to a server; while closed, its port refuses connections."""

    def __init__(self, port):
        self.target = port
        self.listener = None
        self.port = 0
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        with source, suppress(OSError):  # one side closed
            while said := source.recv(65536):
                sink.sendall(said)
            sink.shutdown(socket.SHUT_WR)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def kernel(server):
    made = server.ask("POST", "kernels", {"name": "python3"}, api=True).json["id"]
    yield made
    server.ask("DELETE", f"kernels/{made}", api=True)


@pytest.fixture
def gate(server):
    made = Gate(server.port)
    yield made
    try:
        made.close()
    except OSError:
        pass


@pytest.fixture
def said():
    return []


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def connection(server, kernel, gate, said, clock):
    found = Kernel(f"http://127.0.0.1:{gate.port}{server.base_url}", kernel, server.key(kernel))
    return Connection(
        said.append, lambda: found, lambda: EmbeddedClient(Workspace.open(server.home)), clock
    )


def on_server(server, kernel):
    return {
        state["session_id"]: state["scope"]
        for state in server.ask("GET", "sessions").json["sessions"]
    }.get(kernel)


def languages(connection):
    return {hit.language for hit in connection.ask(TextQuery(pattern="cart")).results}


def test_server_and_embedded_engine_give_the_same_answers(server, connection, said):
    here = EmbeddedClient(Workspace.open(server.home))
    for client in (connection, here):
        assert client.set_scope(PYTHON).coverage.files_in_scope == 4
        client.ask(SaveScope(name="kept", scope=PYTHON))
        assert client.ask(GetSavedScope(name="kept")) == PYTHON
        assert "kept" in client.ask(ListSavedScopes()).scopes
    for ask in (
        lambda c: c.ask(TextQuery(pattern=r"def \w+", regex=True, context=1)).results.hits,
        lambda c: c.ask(SemanticQuery(query="charge a card")).results.hits,
        lambda c: c.ask(PathQuery(languages=("markdown",))).results.hits,
        lambda c: c.ask(TextQuery(pattern="cart")).results.query,
        lambda c: c.ask(
            SqlRequest(
                statement=(
                    "select path, modified, [lines] as l, 0.5::double / 0 as inf "
                    "from files order by 1"
                )
            )
        ).rows(),
        lambda c: c.ask(
            FileRequest(repo="shop", path="src/shop/cart.py", start_line=3, end_line=9)
        ),
        lambda c: [(one.name, one.files, one.root) for one in c.ask(StatusRequest()).repositories],
    ):
        assert ask(connection) == ask(here)
    assert connection.where == "kept by the Jupyter server"
    assert said == []


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda c: c.ask(TextQuery(pattern="(", regex=True)), SearchError),
        (lambda c: c.ask(TextQuery(pattern="")), SearchError),
        (lambda c: c.set_scope(Scope(repos=("shp",))), ScopeError),
        (lambda c: c.ask(GetSavedScope(name="nothing")), ScopeError),
        (lambda c: c.ask(FileRequest(repo="shop", path="../x")), SourceError),
        (lambda c: c.ask(SqlRequest(statement="selec 1")), SearchError),
        (lambda c: c.ask(IndexRequest(path="/nowhere/at/all")), SourceError),
        (lambda c: c.ask(RefreshRequest(name="shp")), ScopeError),
        (lambda c: c.ask(RemoveRequest(name="shp")), ScopeError),
    ],
)
def test_server_and_embedded_engine_raise_the_same_errors(server, connection, said, ask, kind):
    messages = []
    for client in (connection, EmbeddedClient(Workspace.open(server.home))):
        with pytest.raises(kind) as error:
            ask(client)
        assert type(error.value) is kind
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert said == []


def test_embedded_engine_replaces_a_lost_server_until_it_returns(
    server, kernel, gate, connection, said, clock
):
    connection.set_scope(PYTHON)
    gate.close()
    assert languages(connection) == {"python"}, "the last known scope still applies"
    assert languages(connection) == {"python"}
    assert len(said) == 1
    assert "continuing in this process with the same scope: " in said[0]
    assert "--lang python" in said[0]
    connection.set_scope(SCRIPT)
    assert languages(connection) == {"javascript"}
    assert on_server(server, kernel) == {"languages": ["python"]}
    gate.open()
    assert languages(connection) == {"javascript"}
    assert on_server(server, kernel) == {"languages": ["python"]}, (
        "the server is not retried immediately"
    )
    clock.now += RETRY_S
    assert languages(connection) == {"javascript"}
    assert on_server(server, kernel) == {"languages": ["javascript"]}, (
        "the scope set during the outage is sent to the server"
    )
    assert len(said) == 2
    assert "reconnected to the Jupyter server" in said[1]


def test_scope_changed_by_the_panel_during_an_outage_wins(server, kernel, gate, connection, clock):
    connection.set_scope(PYTHON)
    gate.close()
    assert languages(connection) == {"python"}
    server.ask("PUT", f"sessions/{kernel}/scope", {"languages": ["javascript"]})
    gate.open()
    clock.now += RETRY_S
    assert languages(connection) == {"javascript"}


def test_scope_cleared_during_an_outage_stays_cleared(server, kernel, gate, connection, clock):
    connection.set_scope(PYTHON)
    gate.close()
    connection.clear_scope()
    gate.open()
    clock.now += RETRY_S
    assert len(languages(connection)) > 1
    assert on_server(server, kernel) is None


def test_scope_is_restored_on_a_server_that_lost_it(server, kernel, gate, connection, clock):
    connection.set_scope(PYTHON)
    gate.close()
    languages(connection)
    server.ask("DELETE", f"sessions/{kernel}/scope")
    gate.open()
    clock.now += RETRY_S
    assert languages(connection) == {"python"}
    assert on_server(server, kernel) == {"languages": ["python"]}


def test_search_uses_the_scope_set_by_the_panel(server, kernel, gate, connection):
    connection.set_scope(PYTHON)
    server.ask("PUT", f"sessions/{kernel}/scope", {"languages": ["javascript"]})
    assert languages(connection) == {"javascript"}
    gate.close()
    assert languages(connection) == {"javascript"}


def test_scope_unknown_to_the_local_index_never_widens(server, gate, connection, said, tmp_path):
    connection.set_scope(Scope(repos=("shop",)))
    empty = Workspace.open(tmp_path / "another-home")
    write_tree(tmp_path / "t", {"a.py": "cart = 1\n"})
    empty.index(tmp_path / "t", name="other")
    connection._make_embedded = lambda: EmbeddedClient(empty)
    gate.close()
    with pytest.raises(ScopeError, match="No repository 'shop'"):
        languages(connection)


def test_refused_kernel_falls_back_to_the_embedded_engine(server, gate, said):
    found = Kernel(
        f"http://127.0.0.1:{gate.port}{server.base_url}", "0" * 8, b"no key of this server"
    )
    connection = Connection(
        said.append, lambda: found, lambda: EmbeddedClient(Workspace.open(server.home))
    )
    assert len(languages(connection)) > 1
    assert len(said) == 1
    assert "refused the request (403)" in said[0]


def test_server_without_the_extension_falls_back_to_the_embedded_engine(server, said):
    found = Kernel(
        f"http://127.0.0.1:{server.port}{server.base_url}no-such-thing/", "0" * 8, b"key"
    )
    connection = Connection(
        said.append, lambda: found, lambda: EmbeddedClient(Workspace.open(server.home))
    )
    assert len(languages(connection)) > 1
    assert "perhaps because codeintel-nb is not enabled there" in said[0]


def test_error_without_an_engine_says_what_to_install(gate, server, kernel, said):
    def missing():
        raise EngineError(
            "The engine is not installed in this environment (no module 'duckdb'). "
            "Run: %pip install codeintel-nb"
        )

    found = Kernel(f"http://127.0.0.1:{gate.port}{server.base_url}", kernel, server.key(kernel))
    connection = Connection(said.append, lambda: found, missing)
    gate.close()
    with pytest.raises(
        EngineError,
        match=(
            r"pip install codeintel-nb.*Until then, searches need the Jupyter server: "
            r"the Jupyter server does not answer"
        ),
    ):
        languages(connection)
    gate.open()
    assert len(languages(connection)) > 1, "without a fallback, the server is retried at once"


@pytest.mark.parametrize("theirs", ["", "0.2.0", "1.1.0", "nonsense"])
def test_version_mismatch_says_what_to_install(theirs):
    with pytest.raises(NoServer, match="%pip install"):
        check_version(theirs)


def test_cancelled_query_raises_search_error(server, kernel):
    client = ServerClient(
        Kernel(f"http://127.0.0.1:{server.port}{server.base_url}", kernel, server.key(kernel))
    )
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(SearchError, match="cancelled"):
        client.ask(
            SqlRequest(
                statement=(
                    "select count(*) from range(100000) a, range(100000) b "
                    "where a.range * b.range = 7"
                )
            ),
            cancel=cancel,
        )


def reason(
    environment,
    code=(
        "from codeintel_nb.client.kernel import this_kernel, NoServer\n"
        "try:\n    this_kernel()\nexcept NoServer as error:\n    print(error)"
    ),
):
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_process_without_a_server_gets_the_reason():
    import os

    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CODEINTEL_SERVER", "JPY"))
    }
    assert "was not started by a Jupyter server" in reason(plain)
    url = {**plain, "CODEINTEL_SERVER_URL": "http://127.0.0.1:1/", "CODEINTEL_SERVER_PID": "1"}
    assert "is not a Jupyter kernel" in reason(url)
    assert "inherited a Jupyter server's address" in reason({**url, "JPY_PARENT_PID": "2"})
    shell = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance()\nimport ipykernel\n"
    )
    assert "is not a Jupyter kernel" in reason(
        url,
        shell
        + "from codeintel_nb.client.kernel import *\n"
        + "try:\n    this_kernel()\nexcept NoServer as error:\n    print(error)",
    )
