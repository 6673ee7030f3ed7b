"""Odd input, damaged files and a hostile environment.

Each gives one clear error, never a crash mistaken for "nothing found".
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.diagnostics.doctor import diagnose, network_file_system
from codeintel_nb.errors import CodeIntelError, EngineError, SearchError, ShardError, SourceError
from codeintel_nb.index.shard.cache import CHECK_S
from codeintel_nb.search.query import Bounds, TextQuery
from codeintel_nb.search.text import rg_process
from codeintel_nb.search.text.pattern import compile_pattern
from codeintel_nb.search.text.rg_process import rg_path
from codeintel_nb.search.text.ripgrep import count_in_shards
from codeintel_nb.settings import Settings
from codeintel_nb.sources.mounts import virtual_folders
from codeintel_nb.sources.repository import worktree
from codeintel_nb.sources.walk import Walk
from tests.conftest import write_tree
from tests.waiting import HANG_S

ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[1])}


def run_cli(home, name, *arguments, environment=None):
    """Run the command line as a process; arguments may be bytes."""
    command = [
        os.fsencode(word) if isinstance(word, str) else word
        for word in (
            sys.executable,
            "-m",
            "codeintel_nb.cli",
            name,
            "--home",
            str(home),
            *arguments,
        )
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        env={**os.environ, **ENVIRONMENT, **(environment or {})},
        check=False,
        timeout=120,
    )
    return (
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )


# the command line


@pytest.mark.parametrize(
    "arguments",
    [
        ("grep", b"\xff"),
        ("symbols", b"\xff"),
        ("search", b"\xffa"),
        ("grep", "--include", b"\xff*", "x"),
        ("grep", "--repo", b"\xff", "x"),
        ("index", ".", "--name", b"\xff"),
        ("index", b"\xffolder"),
    ],
    ids=str,
)
def test_arguments_that_are_not_utf8_are_rejected(shop, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    os.mkdir(os.path.join(os.fsencode(tmp_path), b"\xffolder"))
    code, _, error = run_cli(shop.settings.home, *arguments)
    assert (code, error.count("\n")) == (2, 1), error
    assert "UTF-8" in error or "does not exist" in error or "No repository" in error
    assert [repository.name for repository in shop.repositories()] == ["shop"]


def test_arguments_are_utf8_in_any_locale(shop, tree):
    (tree / "note.txt").write_text("un café noir\n")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, _ = run_cli(shop.settings.home, "grep", "café noir", environment=environment)
    assert (code, "note.txt:1" in out) == (0, True)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "0.5", "0", "-1", "many"])
@pytest.mark.parametrize(
    "name",
    [
        "CODEINTEL_MAX_FILE_BYTES",
        "CODEINTEL_MAX_NOTEBOOK_BYTES",
        "CODEINTEL_COUNT_BYTES",
        "CODEINTEL_FULL_SCAN_CHUNKS",
        "SESSION_MAX_AGE_SECONDS",
    ],
)
def test_invalid_numbers_in_settings_are_rejected(tmp_path, name, value):
    if (name, value) == ("SESSION_MAX_AGE_SECONDS", "0.5"):
        return  # half a second is a valid age
    with pytest.raises(CodeIntelError, match=name):
        Settings.from_environment(tmp_path, {name: value})


def test_internal_error_is_reported_as_a_bug(monkeypatch, capsys, tmp_path):
    from codeintel_nb.cli import commands, main

    def status(*_):
        raise RuntimeError("something broke")

    monkeypatch.setattr(commands, "status", status)
    assert main(["status", "--home", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("codeintel: RuntimeError: something broke. This is a bug in codeintel.")
    monkeypatch.setenv("CODEINTEL_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main(["status", "--home", str(tmp_path)])


# damaged indexes


@pytest.fixture
def two(make_workspace, tmp_path):
    """Index two repositories; tests damage the first."""
    workspace = make_workspace()
    workspace.index(
        write_tree(
            tmp_path / "bad", {"a.py": "alpha = 1\n", "b.py": "def beta():\n    return alpha\n"}
        ),
        name="bad",
    )
    workspace.index(write_tree(tmp_path / "good", {"c.py": "alpha = 2\n"}), name="good")
    return workspace


def shard_of(workspace, name):
    (target,) = workspace._repositories.view(Scope(repos=(name,))).targets
    return workspace._shards.root / target.shard


def reopened(workspace):
    return Workspace(workspace.settings, here=None)


@pytest.mark.parametrize(
    "part",
    [
        "",
        "columns.bin",
        pytest.param("content.bin", marks=pytest.mark.slow),
        pytest.param("postings.bin", marks=pytest.mark.slow),
        pytest.param("lexicon.bin", marks=pytest.mark.slow),
        "manifest.json",
    ],
)
def test_missing_shard_part_does_not_affect_other_repositories(two, part):
    place = shard_of(two, "bad") / part
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    workspace = reopened(two)
    for search in (workspace.search_text, workspace.semantic_search, workspace.symbols):
        results = search("alpha")
        assert {hit.repo for hit in results.hits} <= {"good"}
        assert "is missing" in results.coverage.failed["bad"]
    with pytest.raises(ShardError, match=r"missing.*--rebuild"):
        workspace.search_text("alpha", Scope(repos=("bad",)))
    with pytest.raises(ShardError, match=r"missing.*--rebuild"):
        workspace.refresh("bad")
    assert workspace.refresh("bad", rebuild=True).files == 2
    assert {hit.repo for hit in workspace.search_text("alpha").hits} == {"bad", "good"}
    workspace.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not truncate mapped files")
@pytest.mark.parametrize(
    "part", ["content.bin", "columns.bin", "postings.bin", "lexicon.bin", "vectors.faiss"]
)
@pytest.mark.parametrize("is_server", [True, False])
def test_truncated_mapped_file_does_not_kill_the_process(two, tmp_path, part, is_server):
    engine = (lambda local: local) if is_server else None
    with Workspace(two.settings, here=None, engine=engine) as workspace:
        searches = (workspace.search_text, workspace.semantic_search, workspace.symbols)
        for search in searches:
            search("alpha")  # now the files are mapped
        os.truncate(shard_of(two, "bad") / part, 0)
        time.sleep(0 if is_server else 2 * CHECK_S)
        for search in searches:
            results = search("alpha")
            assert {hit.repo for hit in results.hits} <= {"good"}
            assert f"{part} has 0 bytes" in results.coverage.failed["bad"]
        root = tmp_path / "bad"
        command = rf"To rebuild 'bad', run: codeintel index {root} --name bad --rebuild"
        with pytest.raises(ShardError, match=f"{part} has 0 bytes.*{command}"):
            workspace.search_text("alpha", Scope(repos=("bad",)))
        with pytest.raises(ShardError, match=r"has 0 bytes.*--rebuild"):
            workspace.refresh("bad")
        assert workspace.refresh("bad", rebuild=True).files == 2
        assert {hit.repo for hit in workspace.search_text("alpha").hits} == {"bad", "good"}
        assert workspace.semantic_search("alpha").hits


def test_file_that_is_whole_again_is_searched_again(two, monkeypatch):
    place = shard_of(two, "bad") / "content.bin"
    content, away = place.read_bytes(), place.with_name("away")
    with Workspace(two.settings, here=None, engine=lambda local: local) as workspace:
        only_bad = Scope(repos=("bad",))
        assert workspace.search_text("alpha", only_bad)
        os.truncate(place, 0)
        with pytest.raises(ShardError, match="has 0 bytes"):
            workspace.search_text("alpha", only_bad)
        with place.open("r+b") as file:
            file.write(content)
        assert len(workspace.search_text("alpha", only_bad)) == 2
        place.rename(away)
        with pytest.raises(ShardError, match="missing"):
            workspace.search_text("alpha", only_bad)
        away.rename(place)
        monkeypatch.setattr("codeintel_nb.repositories.DAMAGED_S", 0.0)
        assert len(workspace.search_text("alpha", only_bad)) == 2


def test_search_ends_with_many_damaged_repositories(make_workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("codeintel_nb.repositories.DAMAGED_S", 0.0)
    workspace = make_workspace()
    for number in range(5):
        tree = write_tree(tmp_path / f"tree {number}", {"a.py": f"alpha = {number}\n"})
        workspace.index(tree, name=f"r{number}")
        if number:
            (shard_of(workspace, f"r{number}") / "lexicon.bin").unlink()
    with reopened(workspace) as other:
        results = other.semantic_search("alpha")
        assert {hit.repo for hit in results.hits} == {"r0"}
        assert sorted(results.coverage.failed) == ["r1", "r2", "r3", "r4"]


def test_damage_found_by_another_thread_is_not_an_error(two, monkeypatch):
    monkeypatch.setattr("codeintel_nb.repositories.DAMAGED_S", 0.05)
    (shard_of(two, "bad") / "content.bin").unlink()
    ends = time.monotonic() + 2
    with reopened(two) as workspace, ThreadPoolExecutor(4) as pool:

        def search(_):
            while time.monotonic() < ends:
                assert {hit.repo for hit in workspace.search_text("alpha").hits} == {"good"}

        assert list(pool.map(search, range(4))) == [None] * 4


@pytest.mark.slow
@pytest.mark.parametrize("dead", [[100_000], [-100_000], [-1], [0, 2]])
def test_tombstones_of_unknown_files_are_an_error(two, dead):
    snapshot = two.store.folder_of("bad") / "snapshot.json"
    value = json.loads(snapshot.read_bytes())
    value["shards"][0]["dead"] = dead
    snapshot.write_bytes(json.dumps(value).encode())
    workspace = reopened(two)
    assert [hit.repo for hit in workspace.search_text("alpha").hits] == ["good"]
    assert (
        "refers to files that it does not contain"
        in workspace.search_text("alpha").coverage.failed["bad"]
    )
    assert any(
        finding.level == "error" and "refers to files that it does not contain" in finding.said
        for finding in diagnose(workspace.settings)
    )
    with pytest.raises(ShardError):
        workspace.refresh("bad")
    workspace.refresh("bad", rebuild=True)
    assert len(workspace.search_text("alpha").hits) == 3
    workspace.close()


def test_file_rejected_by_faiss_is_a_shard_error(two, monkeypatch):
    from codeintel_nb.index.shard import vectors

    monkeypatch.setattr(vectors, "FEW", 0)
    monkeypatch.setattr(vectors, "MARGIN", 0)
    folder = shard_of(two, "bad")
    data = bytearray((folder / "vectors.faiss").read_bytes())
    data[8:16] = (1 << 40).to_bytes(8, "little")
    (folder / "vectors.faiss").write_bytes(data)
    workspace = reopened(two)
    shard = workspace._shards.open(folder.relative_to(workspace._shards.root).as_posix())
    with pytest.raises(ShardError, match="vectors"):
        shard.vectors._faiss_index()
    workspace.close()


@pytest.mark.skipif(os.name == "nt", reason="no POSIX permissions")
def test_unreadable_repository_is_reported(two, monkeypatch):
    """Root may read everything, so the permission error is simulated."""
    real = Path.read_bytes

    def read_bytes(path):
        if path.name == "snapshot.json" and path.parent == two.store.folder_of("bad"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    workspace = reopened(two)
    results = workspace.search_text("alpha")
    assert (
        [hit.repo for hit in results.hits],
        "cannot be read" in results.coverage.failed["bad"],
    ) == (["good"], True)
    assert (
        "cannot be read"
        in next(status for status in workspace.status() if status.name == "bad").damaged
    )
    workspace.close()


def test_deleted_file_is_not_suggested(shop, tree):
    (tree / "README.md").unlink()
    with pytest.raises(SourceError) as error:
        shop.open_file("shop", "README.md")
    assert "Did you mean 'README.md'" not in str(error.value)


# access by others


@pytest.mark.slow
def test_home_is_private_to_its_user(tmp_path, tree, monkeypatch):
    from codeintel_nb.scopes.saved import NamedScopes

    os.umask(0o022)
    workspace = Workspace.open(tmp_path / "new home", follow=False)
    workspace.index(tree, name="shop")
    NamedScopes(workspace.settings.home).save("mine", Scope(languages=("python",)))
    workspace.points()
    for folder in ("", "v1/scopes", "v8/map"):
        assert stat.S_IMODE((workspace.settings.home / folder).stat().st_mode) == 0o700
    workspace.close()


def test_removing_needs_no_disk_space(shop):
    """With a file size limit of 0 bytes, every write fails as on a full disk."""
    code = (
        "import resource, signal, sys\n"
        "from codeintel_nb.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        f"sys.exit(main(['remove', '--home', {str(shop.settings.home)!r}, 'shop']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shop.repositories() == []
    assert list((shop.settings.home / "v8" / "repositories").iterdir()) == []


def test_remove_clears_the_leftovers_of_a_crash(shop, tree):
    (stored,) = shop.store.repositories()
    left = stored.folder.with_name(f".removed-{os.getpid()}-{stored.folder.name}")
    write_tree(left, {"shards/x/content.bin": "x"})
    shop.remove("shop")
    assert [*stored.folder.parent.iterdir()] == []


def test_repository_can_be_indexed_again_after_a_blocked_removal(shop, tree, monkeypatch):
    from codeintel_nb.index.update.write_lock import one_writer

    monkeypatch.setattr("codeintel_nb.indexer.one_writer", partial(one_writer, wait_s=HANG_S))
    stored = shop._repositories.stored("shop")
    with one_writer(stored):
        removing = threading.Thread(target=shop.remove, args=("shop",))
        removing.start()
        time.sleep(0.1)
    removing.join()
    assert shop.index(tree, name="shop").files == 9
    assert len(shop.search_text("Cart").hits) > 0


def test_run_waiting_while_its_repository_is_removed(shop, tree, monkeypatch):
    """In either order, the status matches the index and nothing is left over."""
    from codeintel_nb.index.update.write_lock import one_writer

    monkeypatch.setattr("codeintel_nb.indexer.one_writer", partial(one_writer, wait_s=HANG_S))
    stored, ended, errors = shop._repositories.stored("shop"), {}, {}

    def timed(name, work):
        def run():
            try:
                work()
                ended[name] = time.monotonic()
            except EngineError as error:
                errors[name] = str(error)

        return threading.Thread(target=run)

    (tree / "new.py").write_text("fresh = 1\n")
    with one_writer(stored):
        threads = [
            timed("removed", lambda: shop.remove("shop")),
            timed("indexed", lambda: shop.index(tree, name="shop")),
        ]
        for thread in threads:
            thread.start()
            time.sleep(0.5)
    for thread in threads:
        thread.join(60)
    if ended.get("indexed", 0.0) > ended.get("removed", 0.0):
        assert [status.files for status in shop.status()] == [10]
        assert shop.search_text("fresh").total == 1
    else:
        assert shop.status() == []
    for message in errors.values():
        assert re.search("it has no index|is being indexed already", message)
    assert not [
        folder for folder in stored.folder.parent.iterdir() if folder.name.startswith(".removed")
    ]


@pytest.mark.parametrize("entries", [":/x", "/x:", "/x::/y", ".", "relative"])
def test_child_imports_nothing_from_world_writable_folders(tmp_path, monkeypatch, shop, entries):
    from codeintel_nb.search.query import Bounds
    from codeintel_nb.server.sql_process import SqlChildren

    shared = tmp_path / "shared"
    write_tree(
        shared,
        {
            "tempfile.py": f"open({str(tmp_path / 'ran')!r}, 'w').close()\n",
            "relative/tempfile.py": f"open({str(tmp_path / 'ran')!r}, 'w').close()\n",
        },
    )
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.setattr(tempfile, "tempdir", None)  # otherwise the earlier value is cached
    monkeypatch.setenv("PYTHONPATH", entries)
    monkeypatch.chdir(shared)
    children = SqlChildren(shop.settings)
    answer = children.run("select 1", Scope(), "me", Bounds(), 10, 1_000_000_000)
    children.close()
    assert answer.table().rows() == [(1,)]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("localhost:8787", True),
        ("[::1]:1", True),
        ("127.0.0.1:x@evil", False),
        ("[::1]:x@evil", False),
        ("127.0.0.1:", False),
        ("evil", False),
        ("127.0.0.1@evil:80", False),
        ("", False),
    ],
)
def test_own_host_header_is_recognized(host, is_ours):
    from codeintel_nb.serve import Guard
    from codeintel_nb.server.starlette import Options

    assert Guard(None, Options())._is_ours(host) == is_ours


# ripgrep


@pytest.fixture
def fake_rg(tmp_path, monkeypatch):
    """Replace rg with a script."""

    def make(script):
        path = tmp_path / "bin" / "rg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(script if isinstance(script, bytes) else f"#!/bin/sh\n{script}\n".encode())
        path.chmod(0o755)
        monkeypatch.setattr(
            "codeintel_nb.search.text.rg_process.sysconfig.get_path", lambda name: str(path.parent)
        )
        rg_path.cache_clear()

    yield make
    rg_path.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("script", ["exit 127", "exit 3", b"\x7fELF of another machine"], ids=str)
def test_rg_that_does_not_run_is_an_error(shop, fake_rg, script):
    fake_rg(script)
    with pytest.raises(
        EngineError, match=r"ripgrep program.*pip install --force-reinstall ripgrep"
    ):
        shop.search_text(r"\p{Lu}\w+\<", regex=True)
    assert any(
        finding.subject == "ripgrep" and finding.level == "error"
        for finding in diagnose(shop.settings)
    )


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM])
def test_exhausted_resources_are_not_reported_as_a_broken_rg(shop, monkeypatch, number):
    def popen(*given, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("codeintel_nb.search.text.rg_process.subprocess.Popen", popen)
    with pytest.raises(EngineError) as error:
        shop.search_text(r"\p{Lu}\w+\<", regex=True)
    assert "reinstall" not in str(error.value)


def test_missing_rg_is_named(shop, monkeypatch):
    monkeypatch.setattr("codeintel_nb.search.text.rg_process.shutil.which", lambda *_, **__: None)
    rg_path.cache_clear()
    with pytest.raises(EngineError, match="pip install --force-reinstall ripgrep"):
        shop.search_text(r"\p{Lu}\w+\<", regex=True)
    rg_path.cache_clear()


def test_rg_stopped_mid_line_returns_the_complete_hits(shop, fake_rg):
    """The last line of its output is incomplete."""
    event = {
        "type": "match",
        "data": {
            "lines": {"text": "class Cart:\n"},
            "absolute_offset": 0,
            "submatches": [{"start": 0, "end": 5}],
        },
    }
    whole = json.dumps(event)
    printed = f"printf '%s\\n' '{whole}'\nprintf '%s' '{whole[:40]}'"
    fake_rg(f"cat > /dev/null\n{printed}\nexec sleep 60")
    results = shop.search_text(r"\p{Lu}\w+\<", regex=True, timeout_s=2.0)
    assert (len(results.hits), results.reason) == (1, "time")


def test_interrupt_reaches_rg_too(shop, fake_rg, monkeypatch):
    """Ctrl-C goes to the whole process group: what was found until then is an answer."""
    monkeypatch.setattr(rg_process, "CANCEL_S", HANG_S)  # a busy machine is late
    fake_rg("cat > /dev/null\nkill -INT $$")
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    results = shop.search_text(r"\p{Lu}\w+\<", regex=True, cancel=cancel)
    assert (results.truncated, results.reason) == (True, "cancelled")
    with pytest.raises(EngineError, match="killed by SIGINT"):
        shop.search_text(r"\p{Lu}\w+\<", regex=True)


@pytest.mark.parametrize("name", ["KILL", "BUS"])
@pytest.mark.parametrize("pattern", [r"\p{Lu}\w+\<", r"\w", r"(?-u)cart\w+"])
def test_rg_killed_by_the_system_is_an_error(shop, fake_rg, name, pattern):
    """Without memory, or as a mapped file was cut short: no time limit was reached."""
    fake_rg(f"kill -{name} $$")
    with pytest.raises(EngineError, match=f"ripgrep program was killed by SIG{name}"):
        shop.search_text(pattern, regex=True, limit=1)


def test_shard_deleted_before_rg_opens_it_is_no_wrong_pattern(shop, monkeypatch):
    """The caller then repeats the search with the new snapshot."""
    start = rg_process._start

    def start_late(options, *rest):
        Path(options[-1]).unlink()
        return start(options, *rest)

    query = TextQuery(r"\w", regex=True)
    (target,) = shop._repositories.view(Scope()).targets
    folder = shop._engine.shard_of(target).folder
    monkeypatch.setattr(rg_process, "_start", start_late)
    with pytest.raises(FileNotFoundError, match=r"content\.bin"):
        count_in_shards([folder], query, compile_pattern(query), Bounds())


def test_hung_rg_is_killed_at_the_deadline(shop, fake_rg, tmp_path):
    done = tmp_path / "done"
    fake_rg(
        f'exec {sys.executable} -c "import pathlib, time; time.sleep(30); '
        f"pathlib.Path('{done}').touch()\""
    )
    many = write_tree(tmp_path / "many", {f"f{i}.txt": "needle\n" for i in range(200)})
    for search in (
        lambda: shop.search_text(r"\p{Lu}\w+\<", regex=True, deadline=0.5),
        lambda: Workspace(Settings.from_environment(tmp_path / "none"), here=str(many)).search_text(
            "needle", deadline=0.5
        ),
    ):
        results = search()
        assert (results.truncated, results.reason) == (True, "time")
    assert not done.exists(), "it was killed, not waited for"


@pytest.mark.parametrize(
    ("pattern", "regex", "count"),
    [("a\0b", False, 1), ("\\w\0", True, 1), ("\0", False, 1), ("zz\0", False, 0)],
)
def test_pattern_with_a_null_byte(shop, tmp_path, pattern, regex, count):
    notebook = {
        "cells": [{"cell_type": "code", "metadata": {}, "source": ["é a\0b\n"], "outputs": []}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    shop.index(write_tree(tmp_path / "zero", {"n.ipynb": json.dumps(notebook)}), name="zero")
    assert shop.search_text(pattern, Scope(repos=("zero",)), regex=regex).total == count


# processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")
def test_forked_child_can_search(shop):
    assert shop.semantic_search("cart").hits
    list(shop._engine.each([1, 2], lambda value: value))  # its threads are running now
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        ok = (
            shop._engine.each([1, 2], lambda value: value + 1) == [2, 3]
            and bool(shop.search_text("Cart").hits)
            and bool(shop.semantic_search("cart").hits)
        )
        os._exit(0 if ok else 3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("own_grammars")
def test_build_leaves_no_temporary_folder_of_grammars(tmp_path, tree, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    blocked = write_tree(
        tmp_path / "home", {"v1/grammars": "a file, so that no grammar lies below"}
    )
    environment = {"TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "cache").write_text("no folder")
    for _ in range(2):
        code, _, error = run_cli(
            blocked, "index", str(tree), "--name", "shop", "--rebuild", environment=environment
        )
        assert code == 0, error
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ext4", None),
        ("nfs4", "nfs4"),
        ("cifs", "cifs"),
        ("fuse.sshfs", "fuse.sshfs"),
        ("fuse.gvfsd-fuse", None),
        ("lustre", "lustre"),
    ],
)
def test_network_file_system_is_detected(tmp_path, kind, expected):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"23 22 0:50 / /mnt/my\\040share rw shared:1 - {kind} server:/x rw\n"
    )
    assert network_file_system(Path("/mnt/my share/home"), mounts) == expected
    assert network_file_system(Path("/mnt/my"), mounts) is None
    assert network_file_system(Path("/home"), tmp_path / "none") is None


@pytest.mark.slow
def test_doctor_warns_about_a_home_on_a_network_file_system(shop, monkeypatch):
    monkeypatch.setattr("codeintel_nb.diagnostics.doctor.network_file_system", lambda place: "nfs4")
    (finding,) = [finding for finding in diagnose(shop.settings) if finding.subject == "home"]
    assert finding.level == "warning"
    assert "on a network file system (nfs4)" in finding.said


def test_virtual_file_systems_are_not_indexed(make_workspace, tmp_path):
    """Some files of /proc never end."""
    workspace = make_workspace()
    with pytest.raises(
        SourceError, match=r"The folder /proc/.* is on a virtual file system \(proc\)"
    ):
        workspace.index("/proc/self")
    assert {"/proc", "/sys"} <= virtual_folders("/")
    assert virtual_folders("/home/nobody") == set()
    listing = tmp_path / "mountinfo"
    lines = [
        "1 0 0:1 / /data rw - proc proc rw",
        "2 0 0:2 / /data rw - ext4 /dev/sda1 rw",
        "3 0 0:3 / /odd\x85name rw - fuse.x x rw",
        "4 0 0:4 / /data/p rw - proc proc rw",
        "short",
    ]
    listing.write_text("\n".join(lines), encoding="utf-8")
    assert virtual_folders("/data", listing) == {"/data/p"}, "a later mount covers an earlier one"
    walk = Walk(worktree("/", "root"), workspace.settings)
    assert [*walk.of("proc"), *walk.of("proc/version")] == []
    assert walk.examples == {"virtual file system": ["proc"]}


def test_io_error_does_not_stop_the_first_index(tmp_path, tree, monkeypatch):
    from codeintel_nb.embedding.embedder import default_embedder
    from codeintel_nb.index.store import Store
    from codeintel_nb.index.update import updater
    from codeintel_nb.sources import source
    from codeintel_nb.sources.repository import worktree

    class Reader(source.FolderReader):
        def read(self, path, most):
            if path == "web/app.js":
                raise OSError(5, "Input/output error", path)
            return super().read(path, most)

    monkeypatch.setattr(source, "FolderReader", Reader)
    settings = msgspec.structs.replace(Settings.from_environment(tmp_path / "home"))
    stored = Store(settings.home).create(worktree(tree, "shop"))
    report = updater.update(stored, settings, default_embedder(), lambda progress: None)
    assert (report.files, report.skipped["vanished or unreadable"]) == (8, 1)


def test_signature_with_an_oversized_time_is_rejected(server):
    for digits in (400, 5_000):
        answer = server.raw(
            "GET", "health", headers={"Authorization": f"CodeIntel kernel:{'9' * digits}:nonce:mac"}
        )
        assert answer.status == 403


def test_invalid_regex_raises_search_error(shop):
    with pytest.raises(SearchError):
        shop.search_text("(", regex=True)


@pytest.mark.parametrize(
    "name",
    [
        "jpserver-4711.json",
        "nbserver-1.json",
        "kernel-0b1c2d3e-0000-4000-8000-123456789abc.json",
        "jupyter_cookie_secret",
    ],
)
def test_jupyters_secret_files_are_not_indexed(make_workspace, tmp_path, name):
    """Server tokens and kernel keys are in the user's home, a possible root of a server."""
    root = write_tree(
        tmp_path / "home of a user",
        {
            f".local/share/jupyter/runtime/{name}": '{"token": "needle"}',
            "kernel-notes.json": '{"a": "needle"}',
        },
    )
    workspace = make_workspace()
    workspace.index(root, name="home")
    assert [hit.path for hit in workspace.search_text("needle")] == ["kernel-notes.json"]
    assert workspace.status()[0].secrets == (f".local/share/jupyter/runtime/{name}",)
