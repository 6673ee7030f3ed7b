"""Real repositories, real indexes, real shells."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from codeintel_nb import Workspace
from codeintel_nb.sources.languages.grammar_folder import VARIABLE as GRAMMAR_FOLDER
from tests.browser import chromium, lab, open_lab, page  # noqa: F401 (fixtures of every test)
from tests.live import make_server, open_notebook, server  # noqa: F401
from tests.redis_server import make_redis, one_redis, redis  # noqa: F401
from tests.serving import make_serving, served_home, serving  # noqa: F401

settings.register_profile(
    "codeintel",
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("codeintel")

# a shell starts background commands with SIGINT ignored, and the children of tests inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Unpack each grammar once per run; doing so in each test's home takes 0.15 s of CPU."""
    if not hasattr(config, "workerinput"):  # workers inherit the variable
        folder = tempfile.mkdtemp(prefix="codeintel-test-grammars-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ[GRAMMAR_FOLDER] = folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores, as tests wait a fifth of the time."""
    return (os.cpu_count() or 1) + 1


FILES = {
    "src/shop/cart.py": '''"""The shopping cart."""

import json


class Cart:
    """Holds what a customer is about to buy."""

    def __init__(self):
        self.lines = []

    def add_line(self, product, count=1):
        """Put a product into the cart."""
        self.lines.append((product, count))

    def total_price(self):
        # prices are in cents
        return sum(product.price * count for product, count in self.lines)


def load_cart(path):
    """Read a cart from a JSON file."""
    with open(path) as file:
        return json.load(file)
''',
    "src/shop/payment.py": '''"""Payments by card."""


class PaymentError(Exception):
    pass


def charge_card(card, cents):
    """Charge a credit card and retry when the network fails."""
    for attempt in range(3):
        if card.send(cents):
            return attempt
    raise PaymentError("no answer")
''',
    "tests/test_cart.py": (
        "from shop.cart import Cart\n\n\n"
        "def test_total_price_of_empty_cart():\n    assert Cart().total_price() == 0\n"
    ),
    "web/app.js": (
        "export function renderCart(cart) {\n"
        "  return cart.lines.map((line) => `<li>${line.product}</li>`).join('');\n"
        "}\n\n"
        "const formatPrice = (cents) => (cents / 100).toFixed(2);\n"
    ),
    "web/style.css": ".cart { color: red; }\n",
    "README.md": "# Shop\n\nSells things.\n\n## Payment\n\nCards are charged by `charge_card`.\n",
    "data/unicode.txt": (
        "na\u00efve caf\u00e9\nStra\u00dfe\n\u212aelvin and \u017fharp\nplain ascii line\n"
    ),
    "data/crlf.txt": "first line\r\nsecond Cart line\r\nlast without newline",
    "empty.py": "",
}


def write_tree(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Isolate each test from the user's home, git configuration and settings."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("CODEINTEL_HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    return home


@pytest.fixture
def own_grammars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack grammars where they are unpacked for users."""
    monkeypatch.delenv(GRAMMAR_FOLDER)


@pytest.fixture
def no_project(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to the user's home, where a session starts with everything."""
    monkeypatch.chdir(own_home)
    return own_home


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write a small shop in several languages."""
    return write_tree(tmp_path / "shop", dict(FILES))


@pytest.fixture
def make_workspace(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    made: list[Workspace] = []

    def make(home: Path | None = None) -> Workspace:
        made.append(Workspace.open(home or tmp_path / "home"))
        return made[-1]

    yield make
    for workspace in made:
        workspace.close()


@pytest.fixture(scope="session")
def indexed_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index the shop once per run and return its folder and home; tests use copies."""
    folder = tmp_path_factory.mktemp("indexed")
    workspace = Workspace.open(folder / "home")
    workspace.index(write_tree(folder / "shop", dict(FILES)), name="shop")
    workspace.close()
    return folder


@pytest.fixture
def copy_home(tree: Path, indexed_shop: Path) -> Callable[[Path], None]:
    """Return a function that copies the shop's index into a home, as the index of ``tree``."""

    def copy(home: Path) -> None:
        for path in FILES:
            shutil.copystat(indexed_shop / "shop" / path, tree / path)
        shutil.copytree(indexed_shop / "home", home, dirs_exist_ok=True)
        (description,) = home.glob("v*/repositories/*/repository.json")
        text = description.read_text()
        description.write_text(text.replace(str(indexed_shop / "shop"), str(tree)))

    return copy


@pytest.fixture
def shop(
    tree: Path, copy_home: Callable[[Path], None], make_workspace: Callable[..., Workspace],
    tmp_path: Path,
) -> Workspace:  # fmt: skip
    """Return a workspace with the shop indexed."""
    copy_home(tmp_path / "home")
    workspace = make_workspace()
    assert workspace.repository("shop").root == str(tree)
    return workspace


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    def run(*arguments: str, cwd: Path) -> str:
        command = [
            "git",
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "init.defaultBranch=main",
            *arguments,
        ]
        return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout

    return run


# fixtures that start something: tests with one of these get its marker
STARTERS = {
    "browser": {"chromium", "lab", "page", "open_lab"},
    "server": {
        "server", "make_server", "open_notebook", "serving", "make_serving", "served_home",
        "lasting", "stopping", "large", "work", "fake_server",
    },
    "redis": {"redis", "make_redis", "one_redis"},
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they start; the many short ones come last, and fill both workers."""
    items.sort(key=lambda item: bool({"scopes", "sources"} & set(item.path.parts)))
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for name, starters in STARTERS.items():
            if fixtures & starters:
                item.add_marker(name)
        if "jupyter_ext" in item.path.parts:
            item.add_marker("server")
