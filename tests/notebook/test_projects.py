"""Default scope of a notebook: its project, indexed or not, and repositories added later."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil

import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.client.embedded import EmbeddedClient
from codeintel_nb.errors import ScopeError, SearchError, SourceError
from codeintel_nb.operations.answers import ScopeAnswer
from codeintel_nb.operations.limits import Limits
from codeintel_nb.operations.requests import (
    FileRequest,
    IndexRequest,
    RefreshRequest,
    RemoveRequest,
    SqlRequest,
)
from codeintel_nb.operations.table import BY_NAME
from codeintel_nb.scopes.registry import AsyncMemoryRegistry, MemoryRegistry
from codeintel_nb.scopes.scope import ALL, short_name
from codeintel_nb.scopes.session import session_context
from codeintel_nb.search.query import TextQuery
from codeintel_nb.server.service import SharedService
from codeintel_nb.server.sessions import Sessions
from codeintel_nb.sources.project import is_project, project_of
from codeintel_nb.sources.repository import package_at
from tests.conftest import write_tree
from tests.notebook.test_magics import Kept
from tests.sources.test_repository import installed


@pytest.fixture
def places(tmp_path):
    """Create two projects and a folder outside any project."""
    write_tree(
        tmp_path,
        {
            "mine/.git/HEAD": "ref: refs/heads/main\n",
            "mine/notebooks/note.py": "needle = 'mine'\n",
            "mine/src/a.py": "def needle_in_a():\n    return 1\n",
            "other/pyproject.toml": "",
            "other/b.py": "needle = 'other'\n",
            "loose/c.py": "needle = 'loose'\n",
        },
    )
    return tmp_path


@pytest.fixture
def at(own_home, monkeypatch, capsys):
    """Yield a function to start a session in a folder; it returns a cell runner."""
    shells = []

    def begin(folder):
        monkeypatch.chdir(folder)
        Kept.clear_instance()
        shell = Kept.instance()
        shells.append(shell)
        shell.history_manager.enabled = False
        shell.run_cell("%load_ext codeintel_nb")

        def run(cell):
            capsys.readouterr()
            result = shell.run_cell(cell)
            run.out, run.err = capsys.readouterr()
            return result.result

        return run

    yield begin
    for shell in shells:
        shell.history_manager.end_session()
    Kept.clear_instance()


def repos(results):
    return {hit.repo for hit in results.hits}


def test_unindexed_project_is_searched_as_text(at, places):
    run = at(places / "mine" / "notebooks")
    found = run("%textsearch needle")
    assert {hit.path for hit in found} == {"notebooks/note.py", "src/a.py"}
    assert "mine not indexed yet · 2 files searched directly" in repr(found)
    shown = repr(run("%scope"))
    assert "no scope was set" in shown
    assert "only text search reads its files. %codeindex add indexes the project" in shown
    run("%semsearch needle")
    assert run.err.startswith(
        "UsageError: The project 'mine' is not indexed yet, so only text search covers its files."
        " Index it: %codeindex add "
    )
    run("%codeindex add")
    assert repos(run("%semsearch needle")) == {"mine"}
    assert "not indexed" not in repr(run("%scope"))
    assert "mine not indexed yet" not in repr(run("%textsearch needle"))


@pytest.mark.slow
def test_repositories_indexed_elsewhere_are_out_of_scope(at, places):
    at(places / "other")("%codeindex add")
    run = at(places / "mine")
    assert repos(run("%textsearch needle")) == {"mine"}
    run("%codeindex add")
    for search in ("%textsearch needle", "%semsearch needle", "%symbol needle*", "%paths"):
        assert repos(run(search)) == {"mine"}
    assert repos(run("%textsearch --repo '*' needle")) == {"mine", "other"}


def test_added_repositories_join_the_scope(at, places):
    run = at(places / "mine")
    run("%codeindex add")
    run(f"%codeindex add {places / 'other'}")
    assert repos(run("%textsearch needle")) == {"mine", "other"}
    run("%scope set --lang python")
    run(f"%codeindex add {places / 'loose'}")
    assert run("%scope").scope == Scope(repos=("loose", "mine", "other"), languages=("python",))
    assert run("%scope clear").scope == Scope(repos=("loose", "mine", "other"))


def test_scope_set_keeps_repositories_and_star_selects_all(at, places):
    at(places / "other")("%codeindex add")
    run = at(places / "mine")
    run("%codeindex add")
    assert run("%scope set --lang python").scope == Scope(repos=("mine",), languages=("python",))
    assert run("%scope set --include 'src/**'").scope == Scope(
        repos=("mine",), include_globs=("src/**",)
    )
    assert run("%scope set --repo '*' --lang python").scope == Scope(
        repos=ALL, languages=("python",)
    )
    assert repos(run("%textsearch needle")) == {"mine", "other"}
    assert run("%scope set --kind function").scope.repos == ALL
    run("%scope set --repo '*'")
    assert repos(run("%textsearch needle")) == {"mine", "other"}
    assert repr(run("%scope").scope.describe()) == "'everything'"
    assert run("%scope clear").scope == Scope(repos=("mine",))


def test_project_inside_an_indexed_folder_is_the_scope(at, places):
    """Start a notebook in its own project within an indexed folder of several."""
    run = at(places / "mine")
    run(f"%codeindex add {places} --name all")
    fresh = at(places / "mine")
    assert fresh("%scope").scope == Scope(repos=("all",), include_globs=("/mine/**",))
    assert {hit.path for hit in fresh("%textsearch needle")} == {
        "mine/notebooks/note.py",
        "mine/src/a.py",
    }


def test_repository_added_to_a_part_of_another_is_searched(at, places):
    """The paths of the project's part would apply to both repositories."""
    run = at(places / "mine")
    run(f"%codeindex add {places} --name all")
    run(f"%codeindex add {places / 'other'} --name other")
    run = at(places / "mine")
    assert run("%scope").scope == Scope(repos=("all",), include_globs=("/mine/**",))
    after = run("%scope add --repo other").scope
    assert after == Scope(repos=("all", "other"))
    assert {hit.repo for hit in run("%paths")} == {"all", "other"}


def test_imported_package_added_to_a_part_of_another_is_searched(at, places):
    run = at(places / "mine")
    run(f"%codeindex add {places} --name all")
    run("%codeindex add --package filelock")
    run = at(places / "mine")
    run("import filelock")
    assert run("%scope").scope.include_globs == ("/mine/**",)
    after = run("%scope add --kernel").scope
    assert (after.include_globs, len(after.repos)) == ((), 2)
    assert len(run("%textsearch class BaseFileLock")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["#123-fix", "!old", " drafts"])
def test_project_name_with_glob_syntax_is_matched_literally(make_workspace, tmp_path, name):
    write_tree(
        tmp_path / "all",
        {f"{name}/.git/HEAD": "", f"{name}/a.py": "needle = 1\n", "b.py": "needle = 2\n"},
    )
    workspace = make_workspace()
    workspace.index(tmp_path / "all")
    scope = workspace.project_scope(tmp_path / "all" / name)
    assert {hit.path for hit in workspace.search_text("needle", scope)} == {f"{name}/a.py"}


def test_repository_inside_the_project_is_the_scope(at, places):
    run = at(places / "mine")
    run(f"%codeindex add {places / 'mine' / 'src'} --name src")
    assert at(places / "mine")("%scope").scope == Scope(repos=("src",))


def test_home_folder_is_not_a_project(at, own_home, places):
    at(places / "other")("%codeindex add")
    run = at(own_home)
    assert run("%scope").scope == Scope()
    assert repos(run("%textsearch needle")) == {"other"}


def test_project_with_a_taken_name_is_qualified_by_its_parent(at, places):
    write_tree(places, {"deep/mine/.git/HEAD": "", "deep/mine/d.py": "needle = 'deep'\n"})
    at(places / "mine")("%codeindex add")
    run = at(places / "deep" / "mine")
    assert run("%scope").scope == Scope(repos=("mine in deep",))
    assert {hit.path for hit in run("%textsearch needle")} == {"d.py"}


def test_deleted_working_folder_has_an_empty_scope(at, places, monkeypatch):
    run = at(places / "loose")
    (places / "loose" / "c.py").unlink()
    (places / "loose").rmdir()
    monkeypatch.setenv("PWD", str(places))
    assert run("%scope").scope == Scope()


# short names


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("pkg:pandas==3.1.1", "pandas"),
        ("pkg:scikit-learn==1.7.2", "scikit-learn"),
        ("shop", "shop"),
        ("pkg:odd", "odd"),
    ],
)
def test_short_names(name, short):
    assert short_name(name) == short


def test_unambiguous_short_name_selects_a_repository():
    names = [
        "mine",
        "pkg:pandas==3.1.1",
        "pkg:scikit-learn==1.7.2",
        "pkg:shop==1",
        "pkg:shop==2",
        "shop",
    ]
    chosen = lambda *repos: Scope(repos=repos).chosen(names)  # noqa: E731
    assert chosen("pandas") == ["pkg:pandas==3.1.1"]
    assert chosen("scikit_learn", "mine") == ["mine", "pkg:scikit-learn==1.7.2"]
    assert chosen("shop") == ["shop"], "a full name takes precedence over a short one"
    assert chosen("pkg:*") == names[1:5]
    assert chosen("*") == names
    with pytest.raises(ScopeError, match="Did you mean 'pandas'"):
        chosen("pandsa")
    with pytest.raises(
        ScopeError, match="'shop' is short for several repositories: pkg:shop==1, pkg:shop==2"
    ):
        Scope(repos=("shop",)).chosen(names[:5])


@pytest.mark.slow
def test_scope_accepts_the_short_name_of_a_package(at, places):
    run = at(places / "mine")
    run("%codeindex add --package filelock")
    assert run("%scope set --repo filelock").scope == Scope(repos=("filelock",))
    found = run("%semsearch acquire a lock")
    assert {hit.repo.partition("==")[0] for hit in found} == {"pkg:filelock"}


@pytest.mark.slow
def test_scope_set_kernel_selects_imported_packages(at, places):
    run = at(places / "mine")
    run("%codeindex add")
    run("import filelock, duckdb")
    run("%codeindex add --package filelock")
    run("%scope clear")
    scope = run("%scope set --kernel").scope
    assert [short_name(name) for name in scope.repos] == ["mine", "filelock"]
    assert "Not indexed yet: " in run.out
    assert "duckdb" in run.out
    assert "%codeindex add --kernel" in run.out


@pytest.mark.slow
def test_scope_add_and_drop_imported_packages(at, places):
    run = at(places / "mine")
    run("%codeindex add")
    run("import filelock, duckdb")
    run("%codeindex add --package filelock")
    full = next(name for name in run("%scope").scope.repos if name.startswith("pkg:"))
    write_tree(places, {"filelock/pyproject.toml": "", "filelock/a.py": "a = 1\n"})
    run(f"%codeindex add {places / 'filelock'}")
    run("%scope set --repo mine --repo filelock")
    assert run("%scope add --kernel").scope.repos == ("filelock", "mine", full)
    assert run("%scope drop --kernel").scope.repos == ("filelock", "mine"), (
        "a folder of the same name is not a package"
    )
    run("%codeindex drop filelock")
    run("%scope set --repo mine")
    assert run("%scope add --kernel --lang python").scope == Scope(
        repos=(full, "mine"), languages=("python",)
    )
    assert run("%scope add --kernel").scope == Scope(repos=(full, "mine"), languages=("python",)), (
        "adding again changes nothing"
    )
    assert run("%scope drop --kernel").scope == Scope(repos=("mine",), languages=("python",))
    run("%scope drop --kernel")
    assert "The scope contains no package that this kernel has imported" in run.err
    assert run("%scope set --repo mine --kernel").scope == Scope(repos=(full, "mine"))
    run("%scope set --repo '*'")
    assert run("%scope add --kernel").scope == Scope(repos=ALL), (
        "a scope of everything is not narrowed"
    )
    assert run("%scope set --repo filelock --kernel").scope == Scope(repos=("filelock",)), (
        "explicit repositories replace the current ones"
    )


def test_unindexed_imports_are_an_error(at, places):
    run = at(places / "mine")
    run("%codeindex add")
    run("import filelock")
    before = run("%scope").scope
    run("%scope add --kernel")
    assert (
        "imported but not indexed. To index all imported packages: %codeindex add --kernel"
        in run.err
    )
    assert run("%scope").scope == before


def test_scope_add_kernel_without_imports_is_an_error(at, places, monkeypatch):
    monkeypatch.setattr("codeintel_nb.notebook.commands.imported_packages", lambda namespace: [])
    run = at(places / "mine")
    run("%scope add --kernel")
    assert run.err == (
        "UsageError: This kernel has imported no installed packages yet. Import one first,"
        " or name one: %scope add --repo NAME\n"
    )


# scopes while repositories are added, upgraded and removed


def test_scope_survives_the_process_that_created_it(places, make_workspace):
    """Adopt the scope in a new client, as after a restart of the server."""
    first = EmbeddedClient(make_workspace(), folder=places / "mine")
    scope = first.set_scope(first.get_scope().scope.merged(languages=("python",))).scope
    assert scope == Scope(repos=("mine",), languages=("python",))
    first.ask(IndexRequest(path=str(places / "other")))
    second = EmbeddedClient(make_workspace(), folder=places / "mine")
    second.adopt(scope)
    assert repos(second.ask(TextQuery(pattern="needle")).results) == {"mine"}


def test_server_session_keeps_the_scope_of_an_unindexed_project(places, make_workspace):
    workspace = make_workspace()
    workspace.index(places / "other")
    registry = AsyncMemoryRegistry(MemoryRegistry())

    async def default(session_id):
        return workspace.project_scope(places / "mine")

    async def run():
        with session_context("kernel"):
            await registry.set("kernel", Scope(repos=("mine",)))
            return (
                await Sessions(registry, default=default, present=workspace.present_scope).get()
            ).scope

    assert repos(workspace.search_text("needle", asyncio.run(run()))) == {"mine"}


def test_removed_repository_leaves_the_scope(at, places):
    run = at(places / "mine")
    run("%codeindex add")
    run("%scope set --lang python")
    run(f"%codeindex add {places / 'other'}")
    assert run("%scope").scope.repos == ("mine", "other")
    run("%codeindex drop other")
    assert run("%scope").scope.repos == ("mine",)
    assert repos(run("%textsearch needle")) == {"mine"}
    assert run("%scope clear").scope == Scope(repos=("mine",))


@pytest.mark.slow
@pytest.mark.parametrize("is_set", [True, False])
def test_upgraded_package_stays_in_scope(places, make_workspace, is_set):
    site = installed(places / "site", "shelf", "1.0", "shelf")
    client = EmbeddedClient(make_workspace(), folder=places / "mine")
    client.ask(IndexRequest(path=str(places / "mine")))
    if is_set:
        client.set_scope(Scope(repos=("mine",)))
    assert (
        client.ask(IndexRequest(path=str(site / "shelf"), package="shelf")).repository
        == "pkg:shelf==1.0"
    )
    assert client.get_scope().scope.repos == ("mine", "pkg:shelf==1.0")
    shutil.rmtree(site)
    installed(places / "site", "shelf", "2.0", "shelf")
    assert client.ask(RefreshRequest(name="shelf")).repository == "pkg:shelf==2.0"
    assert repos(client.ask(TextQuery(pattern="version")).results) == {"pkg:shelf==2.0"}
    later = EmbeddedClient(make_workspace(), folder=places / "mine")
    later.adopt(Scope(repos=("pkg:shelf==1.0",)))
    assert repos(later.ask(TextQuery(pattern="version")).results) == {"pkg:shelf==2.0"}, (
        "another process also resolves the new name"
    )
    assert later.get_scope().scope.repos == ("pkg:shelf==2.0",)
    client.ask(RemoveRequest(name="shelf"))
    assert client.get_scope().scope.repos == ("mine",)
    assert repos(client.ask(TextQuery(pattern="needle")).results) == {"mine"}
    (later.workspace.settings.home / "v8" / "renamed.json").write_bytes(b"\xff{")
    assert repos(later.ask(TextQuery(pattern="needle", repos=("mine",))).results) == {"mine"}, (
        "a damaged renamed.json is ignored"
    )


@pytest.mark.slow
def test_indexing_other_versions_does_not_change_the_scope(places, make_workspace):
    """Keep the package, despite another environment's version and a folder of its name."""
    client = EmbeddedClient(make_workspace(), folder=places / "mine")
    client.ask(IndexRequest(path=str(places / "mine")))
    client.set_scope(Scope(repos=("mine",)))
    one, other = (
        installed(places / name, "shelf", version, "shelf")
        for name, version in (("one", "1.0"), ("two", "2.0"))
    )
    client.ask(IndexRequest(path=str(one / "shelf"), package="shelf"))
    client.workspace.indexer.index(package_at(other / "shelf", "shelf"))
    client.workspace.index(write_tree(places / "shelf", {"a.py": "version = 'of a folder'\n"}))
    assert repos(client.ask(TextQuery(pattern="version")).results) == {"pkg:shelf==1.0"}


def test_hit_opens_with_or_without_an_index(places, make_workspace):
    client = EmbeddedClient(make_workspace(), folder=places / "mine")
    for _ in range(2):
        (hit, *_) = client.ask(TextQuery(pattern="needle")).results.hits
        assert client.ask(FileRequest(repo=hit.repo, path=hit.path)).text == "needle = 'mine'"
        with pytest.raises(SourceError, match="Did you mean 'src/a.py'"):
            client.ask(FileRequest(repo=hit.repo, path="src/aa.py"))
        for odd in (
            "./notebooks/note.py",
            "notebooks//note.py",
            ".git/HEAD",
            ".GIT/HEAD",
            "Notebooks/note.py",
        ):
            with pytest.raises(SourceError):
                client.ask(FileRequest(repo=hit.repo, path=odd))
        client.ask(IndexRequest(path=str(places / "other")))
    with pytest.raises(ScopeError, match="No repository 'nobody' is indexed"):
        client.ask(FileRequest(repo="nobody", path="src/a.py"))


def test_hit_opens_in_a_workspace_without_an_index(places, tmp_path):
    workspace = Workspace.open(tmp_path / "empty-home")
    workspace._files._here = workspace._repositories._here = str(places / "other")
    (hit,) = workspace.search_text("needle").hits
    assert workspace.open_file(hit.repo, hit.path).text == "needle = 'other'"
    workspace.close()


def test_short_name_works_for_open_refresh_and_remove(places, make_workspace):
    workspace, site = make_workspace(), installed(places / "site", "shelf", "1.0", "shelf")
    workspace.indexer.index(package_at(site / "shelf", "shelf"))
    assert workspace.open_file("shelf", "__init__.py").repo == "pkg:shelf==1.0"
    assert workspace.refresh("shelf").repository == "pkg:shelf==1.0"
    for near in ("*shel*", "[s]helf", "SHELF", "she_lf"):
        with pytest.raises(ScopeError, match="No repository .* is indexed"):
            workspace.remove(near)
    assert workspace.remove("shelf") == "pkg:shelf==1.0"
    with pytest.raises(ScopeError, match="Nothing is indexed"):
        workspace.open_file("shelf", "__init__.py")


def test_server_sql_omits_unindexed_projects(places, make_workspace):
    """Query in a child process, which cannot see the unindexed project."""
    workspace = make_workspace()
    workspace.index(places / "other")
    scope = workspace.project_scope(places / "mine").merged(repos=("mine", "other"))
    service = SharedService(
        workspace, AsyncMemoryRegistry(MemoryRegistry()), Limits(), (), 1, False, print
    )
    request = SqlRequest(statement="select repo, count(*) from files group by all")

    def run(scope):
        return service.calls.run(BY_NAME["run_sql"], request, ScopeAnswer(scope, "kernel"))

    try:
        answer = run(scope)
        assert [row[0] for row in answer.table().rows()] == ["other"]
        assert answer.scope == scope
        with pytest.raises(SearchError, match="project 'mine' is not indexed yet"):
            run(Scope(repos=("mine",)))
    finally:
        service.close()


# other interfaces


def test_workspace_searches_everything_by_default(shop, tmp_path):
    shop.index(write_tree(tmp_path / "second", {"a.py": "cart = 1\n"}), name="second")
    assert repos(shop.search_text("cart")) == {"second", "shop"}
    with pytest.raises(SearchError):
        shop.semantic_search("")


@pytest.mark.parametrize("chosen", [None, "another"])
def test_project_is_searched_once_under_any_index_name(make_workspace, tmp_path, chosen):
    write_tree(
        tmp_path,
        {
            f"{above}/app/{name}": text
            for above in ("a", "b")
            for name, text in ((".git/HEAD", ""), ("x.py", f"needle = '{above}'\n"))
        },
    )
    workspace = make_workspace()
    first, second = (
        EmbeddedClient(workspace, folder=tmp_path / above / "app") for above in ("a", "b")
    )
    assert [client.session().scope.repos for client in (first, second)] == [("app",), ("app in b",)]
    for client in (first, second):
        # the scope now names the project explicitly
        client.set_scope(client.session().scope.merged(languages=("python",)))
    second.ask(IndexRequest(path=str(tmp_path / "b" / "app"), name=chosen))
    for client, above in ((first, "a"), (second, "b")):
        hits = client.ask(TextQuery(pattern="needle")).results.hits
        assert [hit.snippet.strip() for hit in hits] == [f"needle = '{above}'"]
    assert [repository.name for repository in workspace.repositories()] == [chosen or "app in b"]


def test_inaccessible_folder_is_not_a_project(monkeypatch, tmp_path):
    """Survive a dead FUSE mount, which answers ENOTCONN."""

    def stat(path, *given, **options):
        if str(path).startswith(str(tmp_path)):
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))
        return real(path, *given, **options)

    real = os.stat
    monkeypatch.setattr(os, "stat", stat)
    assert not is_project(project_of(tmp_path / "dead"))


def test_unindexed_projects_of_the_same_name_get_unique_names(make_workspace, tmp_path):
    write_tree(
        tmp_path,
        {
            f"{above}/app/{name}": text
            for above in ("a", "b", "b/b")
            for name, text in ((".git/HEAD", ""), ("x.py", f"needle = '{above}'\n"))
        },
    )
    workspace = make_workspace()
    scopes = {
        above: workspace.project_scope(tmp_path / above / "app") for above in ("a", "b", "b/b")
    }
    assert [scope.repos for scope in scopes.values()] == [("app",), ("app in b",), ("app in b 2",)]
    for above, scope in scopes.items():
        assert [hit.snippet.strip() for hit in workspace.search_text("needle", scope)] == [
            f"needle = '{above}'"
        ]
        assert workspace.project_scope(tmp_path / above / "app").repos == scope.repos, (
            "its name is stable"
        )
