"""Unusual machines.

Output encodings, users without a home, few open files, file systems without locks or execution.
"""

import errno
import json
import os
import resource
import subprocess
import sys

import pytest

from codeintel_nb import Workspace
from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.index.store import Store
from codeintel_nb.index.update.updater import update
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from tests.conftest import write_tree
from tests.sources.test_unreadable import PLAIN

CLI = [sys.executable, "-m", "codeintel_nb.cli"]
# a user ID without a passwd entry
AS_NOBODY = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
IN_A_NAMESPACE = ["unshare", "--map-root-user", "--user", "--mount"]


def run(*command, **options):
    return subprocess.run(
        [*map(str, command)], capture_output=True, timeout=120, check=False, **options
    )


def indexed(home, roots):
    """Index the roots in this process and return the settings."""
    settings = Settings.from_environment(home)
    for root in roots:
        update(
            Store(settings.home).create(worktree(root)),
            settings,
            default_embedder(),
            lambda event: None,
        )
    return settings


@pytest.fixture
def arrows(tmp_path, own_home):
    root = write_tree(
        tmp_path / "repo",
        {
            "a.py": 'def arrow(to="→ é 😀"):\n    """From a to b."""\n    return "x·y"\n',
            "b.md": "arrow — — “quoted”…\n",
        },
    )
    indexed(own_home, [root])
    return root


COMMANDS = [
    ["grep", "arrow"],
    ["search", "arrow"],
    ["symbols", "arrow"],
    ["read", "repo", "a.py"],
    ["sql", "select path, '→' as a from files"],
    ["status"],
    ["status", "--skipped"],
]
ENCODINGS = ["ascii", "cp1252", "cp932", "latin-1", "cp437", "utf-8", "utf-16"]


@pytest.mark.parametrize(
    ("command", "encoding"),
    [
        # two commands in every encoding, every command in one encoding
        *((command, "cp1252") for command in COMMANDS),
        *((COMMANDS[0], name) for name in ENCODINGS if name != "cp1252"),
        *(
            pytest.param(COMMANDS[4], name, marks=pytest.mark.slow)
            for name in ENCODINGS
            if name != "cp1252"
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:20],
)
def test_answers_are_printed_in_any_encoding(arrows, command, encoding):
    done = run(*CLI, *command, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding)
    done = run(*CLI, *command, "--json", env={**os.environ, "PYTHONIOENCODING": encoding})
    assert json.loads(done.stdout.decode(encoding))
    assert command[0] in ("status", "symbols") or "→" in str(
        json.loads(done.stdout.decode(encoding))
    )


def test_ascii_output_has_no_escapes(arrows):
    out = run(
        *CLI, "grep", "arrow", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    ).stdout.decode()
    assert "[2 matches in 2 files - all 2 files" in out
    assert 'b.md:1: arrow - - "quoted"...' in out


@pytest.mark.parametrize(
    ("redirect", "said"),
    [(">&-", "The output is closed"), (">/dev/full", "No space left on device")],
)
@pytest.mark.parametrize("options", ["grep arrow", "grep arrow --json", "status", "paths"])
def test_unwritable_output_is_a_one_line_error(arrows, redirect, said, options):
    done = run("sh", "-c", f"{sys.executable} -m codeintel_nb.cli {options} {redirect}")
    (line,) = done.stderr.decode().splitlines()
    assert said in line
    assert done.returncode == 2


def test_closed_streams_do_not_damage_the_index(arrows, own_home):
    done = run(
        "sh", "-c", f"{sys.executable} -m codeintel_nb.cli index {arrows} --rebuild <&- >&- 2>&-"
    )
    assert done.returncode == 2
    assert run(*CLI, "grep", "arrow").returncode == 0


@pytest.mark.slow
def test_a_user_without_a_home_is_told_what_to_set(arrows, own_home, tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HOME", "CODEINTEL_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "IPYTHONDIR")
    }
    if run(*AS_NOBODY, "true").returncode:
        pytest.skip("this user may not create a namespace")
    done = run(*AS_NOBODY, *CLI, "status", env=environment, cwd=arrows)
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, "CODEINTEL_HOME" in line) == (2, True)
    home = tmp_path / "theirs"
    home.mkdir()
    home.chmod(0o777)
    environment |= {"CODEINTEL_HOME": str(home), "IPYTHONDIR": str(home / "ipython")}
    assert run(*AS_NOBODY, *CLI, "index", ".", env=environment, cwd=arrows).returncode == 0
    assert run(*AS_NOBODY, *CLI, "grep", "arrow", env=environment, cwd=arrows).returncode == 0
    assert b"Traceback" not in run(*AS_NOBODY, *CLI, "doctor", env=environment, cwd=arrows).stderr
    magic = (
        "from IPython.testing.globalipapp import start_ipython; ip = start_ipython(); "
        "ip.run_line_magic('load_ext', 'codeintel_nb'); ip.run_line_magic('codeindex', 'add')"
    )
    done = run(*AS_NOBODY, sys.executable, "-c", magic, env=environment, cwd=arrows)
    assert (done.returncode, b"Error" in done.stderr) == (0, False), done


@pytest.mark.slow
def test_eighty_repositories_are_searched_with_256_open_files(tmp_path):
    roots = [
        write_tree(
            tmp_path / f"repo{number}", {"a.py": f"def name_{number}(): return shared_word\n"}
        )
        for number in range(80)
    ]
    settings = indexed(tmp_path / "home", roots)
    code = (
        "import sys, os; from codeintel_nb import Workspace; ws = Workspace.open(sys.argv[1])\n"
        "print(len(ws.search_text('shared_word', limit=500)), "
        "len(ws.semantic_search('shared word', limit=200)), "
        "len(ws.symbols('name_*', limit=500)), len(os.listdir('/proc/self/fd')))"
    )

    def limited():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    done = run(sys.executable, "-c", code, settings.home, preexec_fn=limited)
    text, meaning, names, handles = map(int, done.stdout.split())
    assert (text, meaning, names) == (80, 80, 80), done.stderr
    assert handles < 60


def test_open_file_limit_is_a_one_line_error(tmp_path, own_home):
    indexed(
        own_home,
        [write_tree(tmp_path / f"repo{number}", {"a.py": "shared_word\n"}) for number in range(3)],
    )
    code = """
import os
from codeintel_nb import Workspace
from codeintel_nb.errors import CodeIntelError
def searched(workspace):
    handles = []
    try:
        while True:
            handles.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    try:
        return len(workspace.search_text("shared_word"))
    except CodeIntelError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for handle in handles:
            os.close(handle)
ready = Workspace.open()
assert len(ready.search_text("shared_word")) == 3
print(searched(Workspace.open()))
print(searched(ready))
print(len(ready.search_text("shared_word")))
"""
    done = run(sys.executable, "-c", code)
    new, ready, after = done.stdout.decode().splitlines()
    assert "reached its limit of open files" in new, done.stderr
    assert ready == "3", "an open index needs no further file descriptor"
    assert after == "3"


@pytest.mark.slow
@pytest.mark.parametrize("refusal", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_home_on_a_file_system_without_locks(tmp_path, own_home, refusal):
    site = write_tree(
        tmp_path / "site",
        {
            "sitecustomize.py": (
                "import fcntl, os\n"
                f"def refuse(*_): raise OSError({refusal}, os.strerror({refusal}))\n"
                "fcntl.flock = fcntl.lockf = refuse\n"
            )
        },
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    root = write_tree(tmp_path / "repo", {"a.py": "def alpha(): pass\n"})
    assert run(*CLI, "index", root, env=environment).returncode == 0
    assert run(*CLI, "symbols", "alpha", env=environment).returncode == 0
    assert b"being indexed" not in run(*CLI, "status", env=environment).stdout
    held = (
        "import sys, time; from pathlib import Path; "
        "from codeintel_nb.index.locking import acquire_lock; "
        "lock = acquire_lock(Path(sys.argv[1]), 1); print(1, flush=True); time.sleep(60)"
    )
    (folder,) = own_home.glob("v*/repositories/*")
    holder = subprocess.Popen(
        [sys.executable, "-c", held, folder / "writer.lock"],
        env=environment,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline()
        done = run(*CLI, "index", root, "--rebuild", env=environment)
        assert (done.returncode, b"is being indexed already" in done.stderr) == (2, True)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert run(*CLI, "index", root, "--rebuild", env=environment).returncode == 0, (
        "the stale lock of a dead process is taken over"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("own_grammars")
def test_grammars_load_with_a_home_mounted_noexec(tmp_path, tree):
    if run(*IN_A_NAMESPACE, "true").returncode:
        pytest.skip("this user may not create a namespace")
    home = tmp_path / "noexec"
    home.mkdir()
    script = (
        f"mount -t tmpfs -o noexec none {home} && export CODEINTEL_HOME={home} && "
        f"{' '.join(CLI)} index {tree} && {' '.join(CLI)} symbols Cart && {' '.join(CLI)} doctor"
    )
    done = run(*IN_A_NAMESPACE, "sh", "-c", script)
    out = done.stdout.decode()
    assert "class Cart" in out, out + done.stderr.decode()
    assert "grammar of" not in out
    assert f"load from {home}" not in out


@pytest.mark.slow
@pytest.mark.usefixtures("own_grammars")
def test_doctor_reports_when_no_grammar_can_be_loaded(tmp_path, tree, own_home):
    unpacked = write_tree(
        tmp_path / "site",
        {
            "sitecustomize.py": (
                "import ctypes\n"
                "load = ctypes.CDLL\n"
                "def refuse(name=None, *others, **more):\n"
                "    if name and 'grammars' in str(name): raise OSError('failed to map segment')\n"
                "    return load(name, *others, **more)\n"
                "ctypes.CDLL = refuse\n"
            )
        },
    )
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = run(*CLI, "index", tree, env=environment)
    assert b"read by lines, as the grammar of python cannot be loaded" in done.stdout, done
    said = run(*CLI, "doctor", env=environment).stdout.decode()
    assert "No grammar can be loaded" in said
    assert (
        "as the grammar of python cannot be loaded. Once grammars load again, run: codeintel index"
        in said
    )
    assert run(*CLI, "index", tree).returncode == 0
    assert b"class Cart" in run(*CLI, "symbols", "Cart").stdout, (
        "files are parsed again once grammars load"
    )


@pytest.fixture
def closed_home(tmp_path, tree):
    """Yield the home of another user, with a folder indexed."""
    home = tmp_path / "home"
    indexed(home, [tree])
    yield home
    (folder,) = home.glob("v*/repositories/*")
    folder.chmod(0o700)


@pytest.mark.slow
def test_unreadable_index_is_an_error(closed_home, tree, tmp_path):
    (folder,) = closed_home.glob("v*/repositories/*")
    folder.chmod(0)
    (tmp_path / "elsewhere").mkdir()
    for command in (["status"], ["grep", "charge_card"], ["symbols", "Cart"], ["doctor"]):
        done = run(*PLAIN, *CLI, *command, "--home", closed_home, cwd=tmp_path / "elsewhere")
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 2
        assert "cannot be read (Permission denied)" in said
        assert "Nothing is indexed" not in said


@pytest.mark.slow
@pytest.mark.skipif(not PLAIN, reason="only root can create another user's home")
def test_read_only_shared_home_is_not_a_broken_installation(closed_home, tree, tmp_path):
    for path in (closed_home, *closed_home.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert run(*PLAIN, *CLI, "grep", "charge_card", "--home", closed_home).returncode == 0
    said = run(*PLAIN, *CLI, "doctor", "--home", closed_home).stdout.decode()
    for path in (closed_home, *closed_home.rglob("*")):
        path.chmod(0o755)
    assert "is read-only: searches work" in said
    assert "home:" in said.partition("is read-only")[0].splitlines()[-1]
    assert "pip install --force-reinstall" not in said


def test_index_homes_below_a_root_are_not_indexed(tmp_path):
    """Any index home below a root is skipped, not only the workspace's own."""
    root = write_tree(tmp_path / "root", {"a.py": "alpha_word = 1\n"})
    indexed(root / ".other/codeintel", [write_tree(tmp_path / "b", {"b.py": "alpha_word = 2\n"})])
    settings = indexed(root / ".local/share/codeintel", [root])
    workspace = Workspace(settings)
    assert [hit.path for hit in workspace.search_text("alpha_word")] == ["a.py"]
    assert workspace.status()[0].skipped == {"index of codeintel": 2}
    workspace.close()
