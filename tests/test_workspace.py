"""The workspace: every operation, and its errors."""

import inspect
import os
import shutil
import subprocess
import sys
import time

import msgspec
import pytest

from codeintel_nb import CodeIntelError, Hit, Scope, Workspace
from codeintel_nb.diagnostics.doctor import examine
from codeintel_nb.errors import (
    EngineError,
    IndexingCancelled,
    ScopeError,
    SearchError,
    ShardError,
    SourceError,
)
from codeintel_nb.index.store import read_snapshot
from tests.conftest import FILES, write_tree
from tests.live import children_of


def test_a_folder_becomes_searchable(shop, tree):
    (repository,) = shop.repositories()
    assert (repository.name, repository.root) == ("shop", str(tree))
    assert shop.search_text("charge_card").hits[0].path == "README.md"
    assert shop.semantic_search("read a cart from a file")[0].path == "src/shop/cart.py"
    (status,) = shop.status()
    assert (status.files, status.complete) == (9, True)
    assert status.index_bytes > status.content_bytes


def test_progress_is_reported(tree, make_workspace):
    told = []
    write_tree(tree, {f"x{i}.py": "y = 1\n" * 50 for i in range(50)})
    make_workspace().index(tree, progress=told.append)
    assert told[0].stage == "listing files"
    assert told[-1].stage == "writing"
    assert told[-1].files_done == told[-1].files_total == 59


def test_scope_applies_to_every_search(shop):
    scope = Scope(languages=("javascript",))
    assert {hit.path for hit in shop.search_text("cart", scope)} == {"web/app.js"}
    assert {hit.path for hit in shop.semantic_search("total price of the cart", scope)} == {
        "web/app.js"
    }
    assert [hit.path for hit in shop.list_paths(scope)] == ["web/app.js"]
    assert shop.sql("select path from files", scope).rows() == [("web/app.js",)]
    assert shop.search_text("cart", scope).scope is scope.interned()


def test_empty_scope_finds_nothing(shop):
    scope = Scope(include_globs=("nowhere/**",))
    assert (
        len(shop.search_text("cart", scope))
        == len(shop.semantic_search("cart", scope))
        == len(shop.list_paths(scope))
        == 0
    )
    assert shop.count(scope).chunks_in_scope == 0
    assert shop.sql("select count(*) from chunks", scope).rows() == [(0,)]


def test_another_workspace_sees_updates_and_removals(shop, tree, make_workspace):
    other = make_workspace(shop.settings.home)
    assert other.search_text("charge_card").hits
    write_tree(tree, {"fresh.py": "def brand_new_thing(): pass\n"})
    shop.refresh("shop")
    assert other.search_text("brand_new_thing").hits[0].path == "fresh.py"
    shop.remove("shop")
    with pytest.raises(SearchError, match="Nothing is indexed"):
        other.list_paths()
    assert tree.exists()


def test_several_repositories_are_searched_together(shop, tmp_path):
    write_tree(tmp_path / "two", {"cart.py": "def total_price(): pass\n"})
    shop.index(tmp_path / "two")
    assert {hit.repo for hit in shop.search_text("total_price")} == {"shop", "two"}
    assert {hit.repo for hit in shop.search_text("total_price", Scope(repos=("two",)))} == {"two"}
    assert shop.search_text("total_price").coverage.repositories == ("shop", "two")


def test_open_file_returns_a_range_of_lines(shop):
    text = shop.open_file("shop", "src/shop/cart.py", 6, 7)
    assert (text.text, text.start_line, text.end_line, text.language) == (
        'class Cart:\n    """Holds what a customer is about to buy."""',
        6,
        7,
        "python",
    )
    assert shop.open_file("shop", "data/crlf.txt").text.endswith("last without newline")
    assert shop.open_file("shop", "empty.py").text == ""
    assert shop.open_file("shop", "README.md").total_lines == 7


def test_a_hit_in_a_notebook_opens_its_cell(tmp_path, make_workspace):
    import json

    cells = [
        {"cell_type": "markdown", "source": "# Title\n\nwords"},
        {"cell_type": "code", "source": "x = 1\nneedle = 2", "outputs": [{"text": "needle shown"}]},
    ]
    write_tree(
        tmp_path / "nb",
        {
            "a.ipynb": json.dumps(
                {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            )
        },
    )
    workspace = make_workspace()
    workspace.index(tmp_path / "nb")
    (hit,) = workspace.search_text("needle")
    assert (hit.cell, hit.start_line, hit.snippet, hit.kind) == (1, 5, "needle = 2", "cell")
    assert workspace.open_file("nb", "a.ipynb", hit.start_line, hit.end_line).text == hit.snippet


def test_converting_results(shop):
    hits = shop.search_text("cart", limit=3)
    assert list(hits.to_df()["path"]) == [hit.path for hit in hits]
    assert hits.to_arrow().num_rows == 3
    assert hits.relation().aggregate("count(*)").fetchall() == [(3,)]
    assert shop.search_text("no such text").to_df().shape == (0, 8)
    assert [*hits.to_df(columns="all"), "why", "also"] == list(Hit.__struct_fields__)
    assert list(hits.to_df(columns=["path", "score"])) == ["path", "score"]
    assert "score" not in hits.to_df(), "the same for every line"
    assert "score" in shop.semantic_search("cart").to_df()
    assert hits.to_polars().columns == list(hits.to_df())
    with pytest.raises(SearchError, match="Did you mean 'path'"):
        hits.to_df(columns=["pth"])
    assert isinstance(hits[:2], type(hits))
    assert len(hits[:2]) == 2
    assert hits[0] in hits


def test_columns_and_locations_of_hits(shop):
    hits = shop.search_text("cart", limit=3)
    assert hits["path"] == [hit.path for hit in hits]
    with pytest.raises(KeyError, match="Did you mean 'path'"):
        hits["pth"]
    assert hits[0].location == f"{hits[0].path}:{hits[0].start_line}"
    assert repr(hits[0]).startswith(f"Hit(shop: {hits[0].location} | ")
    assert len(repr(hits[0])) < 160
    assert shop.list_paths()[0].location == "README.md"


def test_workspace_is_a_context_manager_and_names_its_repositories(tmp_path):
    with Workspace.open(tmp_path / "home") as workspace:
        assert "nothing indexed" in repr(workspace)
        workspace.index(write_tree(tmp_path / "shop", FILES))
        assert repr(workspace) == f"Workspace({str(tmp_path / 'home')!r}: shop)"


def test_scoped_searches_stay_in_their_scope(shop):
    python = shop.scoped(Scope(language="python"))
    assert {hit.language for hit in python.search_text("cart")} == {"python"}
    assert {path.rpartition(".")[2] for path in python.list_paths()["path"]} == {"py"}
    assert python.sql("select distinct language from files").rows() == [("python",)]
    assert python.facets() == shop.facets(python.scope) != shop.facets()
    elsewhere = Scope(language="markdown")
    assert python.list_paths(elsewhere)["path"] == ["README.md"], "an explicit scope replaces it"
    assert python.open_file("shop", "README.md").text
    assert [one.name for one in python.status()] == ["shop"]


def test_scope_takes_short_names_and_single_values():
    assert Scope(include="src/**", lang="py", repo=["shop"]) == Scope(
        include_globs=("src/**",), languages=("python",), repos=("shop",)
    )
    with pytest.raises(ScopeError, match="both include and include_globs"):
        Scope(include="a", include_globs=("b",))


def test_options_are_keywords_with_former_names(shop):
    with pytest.raises(TypeError):
        shop.search_text("cart", None, True)
    with pytest.raises(TypeError, match="'regexp' for this search. Did you mean 'regex'"):
        shop.search_text("cart", regexp=True)
    assert shop.search_text("cart", deadline=30.0).query.timeout_s == 30.0
    assert [hit.symbol for hit in shop.symbols("Cart", "class")] == [
        hit.symbol for hit in shop.search_symbols("Cart", kind="class")
    ]
    parameters = inspect.signature(shop.search_text).parameters
    assert {"regex", "case", "limit", "timeout_s", "cancel"} <= parameters.keys()


# bad input: one clear line each, nothing lost


def one_line(error):
    assert isinstance(error.value, CodeIntelError)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_error_without_an_index_says_what_to_run(make_workspace):
    workspace = make_workspace()
    for search in (
        lambda: workspace.search_text("x", Scope(kinds=("cell",))),
        lambda: workspace.semantic_search("x"),
        workspace.list_paths,
        lambda: workspace.sql("select 1"),
    ):
        with pytest.raises(SearchError) as error:
            search()
        assert "codeintel index PATH" in one_line(error)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"repos": ("shp",)}, "Did you mean 'shop'?"),
        ({"revisions": ("main",)}, "No revision 'main'"),
    ],
)
def test_unknown_names_in_a_scope(shop, fields, said):
    for search in (
        lambda s: shop.search_text("x", s),
        lambda s: shop.semantic_search("x", s),
        shop.list_paths,
        shop.count,
        lambda s: shop.sql("select 1", s),
    ):
        with pytest.raises(ScopeError) as error:
            search(Scope(**fields))
        assert said in one_line(error)


@pytest.mark.parametrize(
    ("limit", "context"), [(-1, 0), (10**9, 0), (1.5, 0), (10, -1), (10, 1000)]
)
def test_bad_numbers(shop, limit, context):
    with pytest.raises(SearchError) as error:
        shop.search_text("x", limit=limit, context=context)
    one_line(error)


def test_empty_and_invalid_arguments(shop):
    for search in (
        lambda: shop.search_text(""),
        lambda: shop.search_text("x", case="loud"),
        lambda: shop.search_text("x" * 20_000),
        lambda: shop.list_paths(limit=-1),
    ):
        with pytest.raises(SearchError) as error:
            search()
        one_line(error)


@pytest.mark.parametrize(
    "path",
    ["../secret", "/etc/passwd", "src/../../x", "a\0b", "src\\..\\..\\x", "src/shop/crat.py"],
)
def test_path_outside_the_repository_is_an_error(shop, path):
    with pytest.raises(SourceError) as error:
        shop.open_file("shop", path)
    assert ("is outside the repository" in one_line(error)) or (
        "Did you mean 'src/shop/cart.py'" in str(error.value)
    )


@pytest.mark.parametrize(("start", "end"), [(0, None), (5, 3), (100, None)])
def test_nonexistent_lines_are_an_error(shop, start, end):
    with pytest.raises(SourceError) as error:
        shop.open_file("shop", "README.md", start, end)
    one_line(error)


def test_duplicate_repository_name_is_an_error(shop, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(SourceError, match="--name NAME"):
        shop.index(tmp_path / "other", name="shop")


def test_index_answers_after_its_folder_is_deleted(shop, tree):
    shutil.rmtree(tree)
    with pytest.raises(SourceError, match="codeintel remove shop"):
        shop.refresh("shop")
    assert shop.search_text("charge_card").hits, "its index still answers"
    with pytest.raises(ScopeError, match="Did you mean 'shop'"):
        shop.remove("shpo")


@pytest.mark.parametrize("part", ["columns.bin", "manifest.json"])
def test_a_corrupt_shard(shop, part, make_workspace):
    (shard,) = [
        path
        for path in (shop.settings.home / "v8/repositories").glob("*/shards/*")
        if path.is_dir()
    ]
    data = bytearray((shard / part).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (shard / part).write_bytes(data)
    for search in (
        lambda w: w.search_text("x"),
        lambda w: w.semantic_search("x y"),
        lambda w: w.refresh("shop"),
    ):
        with pytest.raises(ShardError) as error:
            search(make_workspace(shop.settings.home))
        assert shard.name in one_line(error)
        assert "--rebuild" in str(error.value)
    workspace = make_workspace(shop.settings.home)
    workspace.refresh("shop", rebuild=True)
    assert workspace.search_text("charge_card").hits


def test_shard_of_another_format_is_rejected(shop, make_workspace):
    (manifest,) = (shop.settings.home / "v8/repositories").glob("*/shards/*/manifest.json")
    manifest.write_text(manifest.read_text().replace('"format": 8', '"format": 9'))
    with pytest.raises(
        ShardError,
        match="has format 9, but this version reads format 8. "
        "To rebuild 'shop', run: codeintel index .* --name shop --rebuild",
    ):
        make_workspace(shop.settings.home).search_text("x")


@pytest.mark.parametrize(
    "part",
    [
        "columns.bin",
        "manifest.json",
        "postings.bin",
        pytest.param("lexicon.bin", marks=pytest.mark.slow),
        pytest.param("vectors.faiss", marks=pytest.mark.slow),
        pytest.param("details.bin", marks=pytest.mark.slow),
        "snapshot.json",
        pytest.param("repository.json", marks=pytest.mark.slow),
    ],
)
def test_damaged_repository_does_not_affect_others(shop, tmp_path, make_workspace, part):
    for name in ("left", "right"):
        shop.index(
            write_tree(tmp_path / name, {"a.py": f"def {name}(): return 'charge_card'\n"}),
            name=name,
        )
    folder = next(
        path.parent
        for path in (shop.settings.home / "v8/repositories").glob("*/repository.json")
        if '"left"' in path.read_text()
    )
    (damaged,) = list(folder.rglob(part))
    damaged.write_bytes(
        damaged.read_bytes()[:9] if part.endswith("json") else b"\0" * damaged.stat().st_size
    )
    workspace = make_workspace(shop.settings.home)
    named = folder.name if part == "repository.json" else "left"
    searches = {
        "text": lambda: workspace.search_text("charge_card"),
        "meaning": lambda: workspace.semantic_search("charge a card", limit=50),
        "names": lambda: workspace.symbols("*"),
        "paths": workspace.list_paths,
    }
    failed = set()
    for search in searches.values():
        found = search()
        assert {"shop", "right"} & {hit.repo for hit in found}
        assert set(found.coverage.failed) <= {named}
        failed |= set(found.coverage.failed)
        assert ("left" in {hit.repo for hit in found}) <= (not found.coverage.failed)
    assert failed == {named}, "the failure is reported"
    assert f"{named} cannot be read: codeintel doctor" in repr(searches["text"]()) or part in (
        "lexicon.bin",
        "vectors.faiss",
    )
    with pytest.raises(ShardError):  # a table cannot report missing rows
        workspace.sql("select count(*) from symbols")
    assert {status.name for status in workspace.status()} >= {"shop", "right"}
    with pytest.raises((ShardError, ScopeError)):
        workspace.semantic_search("charge a card", Scope(repos=("left",)))


def test_repositories_by_glob(shop, tmp_path):
    for name in ("pkg:left==1.0", "pkg:right==2.0", "odd[name]"):
        shop.index(write_tree(tmp_path / name, {"a.py": "charge_card = 1\n"}), name=name)

    def names(*wanted):
        return {hit.repo for hit in shop.search_text("charge_card", Scope(repos=wanted))}

    assert names("pkg:*") == {"pkg:left==1.0", "pkg:right==2.0"}
    assert names("pkg:left==*", "sh?p") == {"pkg:left==1.0", "shop"}
    assert names("odd[name]") == {"odd[name]"}, "a name may look like a glob"
    with pytest.raises(ScopeError, match="No repository 'pkg:up"):
        names("pkg:up*")


def test_a_damaged_snapshot(shop, make_workspace):
    (snapshot,) = (shop.settings.home / "v8/repositories").glob("*/snapshot.json")
    snapshot.write_text("{")
    with pytest.raises(ShardError) as error:
        make_workspace(shop.settings.home).search_text("x")
    assert "--rebuild" in one_line(error)
    assert make_workspace(shop.settings.home).refresh("shop", rebuild=True).files == 9


def test_unwritable_home_is_an_error(tmp_path, tree, make_workspace):
    (tmp_path / "file").write_text("")
    workspace = make_workspace(tmp_path / "file" / "home")
    with pytest.raises(ShardError, match="CODEINTEL_HOME") as error:
        workspace.index(tree)
    one_line(error)
    with pytest.raises(SearchError, match="Nothing is indexed"):
        workspace.list_paths()


def test_totals_count_only_searchable_files_and_chunks(shop, tree):
    """Replaced chunks and binary files do not count."""
    write_tree(tree, {"pictures/a.bin": bytes(range(256)) * 40, "pictures/b.bin": b"\0" * 1000})
    (tree / "src/shop/cart.py").write_text("class Cart:\n    pass\n")
    (tree / "web/style.css").unlink()
    shop.refresh("shop")
    (status,) = shop.status()
    counted = shop.count(Scope(repos=("shop",)))
    assert (
        (counted.files_in_scope, counted.chunks_in_scope)
        == (counted.files, counted.chunks)
        == (status.files, status.chunks)
    )
    assert shop.search_text("Cart").coverage.unindexed == 0


def test_two_format_versions_share_a_home(shop, tree):
    """Another version's data in the same home is neither read nor changed.

    A later version's additions to a shard are ignored.
    """
    home = shop.settings.home
    other = home / "v1" / "repositories" / "0123456789abcdef"
    write_tree(
        other,
        {
            "repository.json": b"{",
            "snapshot.json": b'{"format": 1}',
            "shards/0011/manifest.json": b"{}",
            "shards/.building-11/x": b"x",
        },
    )
    held = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    (manifest,) = (home / "v8/repositories").glob("*/shards/*/manifest.json")
    said = msgspec.json.decode(manifest.read_bytes())
    said["parts"]["graph.bin"] = {"size": 5, "crc32": 0}
    said["later"] = "what this version does not know"
    manifest.write_bytes(msgspec.json.encode(said))
    workspace = Workspace(shop.settings)
    assert workspace.search_text("charge_card").hits
    (tree / "new.py").write_text("def charge_card_again(): pass\n")
    assert workspace.refresh("shop").indexed == 1
    findings = examine(workspace.settings)
    assert [finding for finding in findings if finding.level == "error"] == []
    assert "another version's format" in findings[-1].said
    assert workspace.refresh("shop", rebuild=True).files == 10
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == held


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
from codeintel_nb import CodeIntelError, Workspace
try:
    Workspace.open(sys.argv[1]).index(sys.argv[2], name="shop")
except CodeIntelError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.parametrize(
    "most_bytes",
    [10, 2000, *(pytest.param(size, marks=pytest.mark.slow) for size in (300, 6000, 20_000))],
)
def test_a_full_disk(shop, tree, most_bytes):
    """The write fails and the old index answers; a file size limit simulates the full disk."""
    before = shop.search_text("cart").hits
    write_tree(
        tree, {f"more{i}.py": f"def function_{i}():\n    return {i}\n" * 200 for i in range(40)}
    )
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(shop.settings.home), str(tree), str(most_bytes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("ShardError: "), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    assert "full" in done.stdout or "failed" in done.stdout
    assert shop.search_text("cart").hits == before
    assert shop.index(tree, name="shop").files == 49
    (stored,) = (shop.settings.home / "v8/repositories").iterdir()
    live = {ref.id for ref in read_snapshot(stored).shards} | set(read_snapshot(stored).retired)
    assert {path.name for path in (stored / "shards").iterdir()} == live, (
        "the leftovers of the failed write are deleted"
    )


def big_tree(tree, files=400):
    return write_tree(
        tree,
        {
            f"big/f{i}.py": "".join(
                f"def function_{i}_{j}(x):\n    return x + {j}\n\n" for j in range(60)
            )
            for i in range(files)
        },
    )


def test_a_killed_child(shop, tree):
    import threading

    big_tree(tree)
    before, threads = shop.search_text("cart").hits, threading.active_count()

    def kill(progress):
        if progress.stage == "indexing":
            for child in children_of(os.getpid(), "codeintel_nb.index.update.build"):
                child.kill()

    with pytest.raises(EngineError, match="killed by SIGKILL") as error:
        shop.index(tree, name="shop", progress=kill)
    one_line(error)
    assert shop.search_text("cart").hits == before
    assert shop.index(tree, name="shop").files == 409
    assert threading.active_count() <= threads + 1, "no thread reading from the child is left over"


@pytest.mark.slow
def test_cancel_leaves_the_old_index(shop, tree):
    import threading

    big_tree(tree)
    cancel = threading.Event()
    with pytest.raises(EngineError, match="was stopped"):
        shop.index(tree, name="shop", progress=lambda progress: cancel.set(), cancel=cancel)
    assert 9 <= shop.count().files < 409, "files indexed before the stop are kept"
    assert shop.index(tree, name="shop").files == 409


def test_ctrl_c_leaves_the_old_index_and_no_child(shop, tree):
    big_tree(tree)

    def interrupt(progress):
        if progress.stage == "indexing":
            raise KeyboardInterrupt

    with pytest.raises(IndexingCancelled):
        shop.index(tree, name="shop", progress=interrupt)
    assert not children_of(os.getpid(), "codeintel_nb.index.update.build")
    assert 9 <= shop.count().files < 409


ORPHAN = """
import os, signal, sys
from codeintel_nb import Workspace
def die(progress):
    if progress.stage == "indexing":
        os.kill(os.getpid(), signal.SIGKILL)
Workspace.open(sys.argv[1]).index(sys.argv[2], name="shop", progress=die)
"""


@pytest.mark.slow
def test_child_exits_with_its_parent(shop, tree):
    import psutil

    big_tree(tree, 2000)
    subprocess.run([sys.executable, "-c", ORPHAN, str(shop.settings.home), str(tree)], check=False)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [
            p
            for p in psutil.process_iter(["cmdline", "cwd"])
            if "codeintel_nb.index.update.build" in (p.info["cmdline"] or [])
            and str(shop.settings.home) in (p.info["cwd"] or "")
        ]
        if not left:
            break
        time.sleep(0.1)
    assert not left
    assert shop.count().files == 9
    assert shop.index(tree, name="shop").files == 2009, "the child released its lock"


def test_index_folders_are_private(shop):
    (stored,) = (shop.settings.home / "v8/repositories").iterdir()
    assert stored.stat().st_mode & 0o777 == 0o700
    assert "shop" not in stored.name


def test_threads_can_share_a_workspace(shop):
    from concurrent.futures import ThreadPoolExecutor

    expected = shop.search_text("cart").hits, shop.semantic_search("total price").hits
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(
            lambda i: (shop.search_text("cart").hits, shop.semantic_search("total price").hits),
            range(64),
        ):
            assert found == expected


def test_open_reads_the_environment(own_home):
    assert Workspace.open().settings.home == own_home
    assert Workspace.open(own_home / "x").settings.home == own_home / "x"


@pytest.mark.parametrize("value", ["soon", "-1", "0"])
def test_invalid_setting_is_named(monkeypatch, value):
    monkeypatch.setenv("SESSION_MAX_AGE_SECONDS", value)
    with pytest.raises(CodeIntelError, match="SESSION_MAX_AGE_SECONDS"):
        Workspace.open()
