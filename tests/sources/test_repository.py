import shutil

import pytest

from codeintel_nb.errors import SourceError
from codeintel_nb.sources.repository import check_name, package, package_at, worktree
from tests.conftest import write_tree


def test_a_folder_is_named_after_itself(tmp_path):
    (tmp_path / "shop").mkdir()
    found = worktree(tmp_path / "shop" / ".." / "shop")
    assert (found.name, found.root, found.source) == ("shop", str(tmp_path / "shop"), "worktree")


def test_package_is_found_by_import_or_distribution_name():
    by_import, by_distribution = package("IPython"), package("ipython")
    assert by_import == by_distribution
    assert by_import.version.count(".") >= 1
    assert by_import.name == f"pkg:ipython=={by_import.version}"
    asyncio = package("asyncio")
    assert (asyncio.distribution, asyncio.name) == ("python", f"pkg:asyncio=={asyncio.version}")
    assert package("msgspec", "mine").name == "mine"


def installed(folder, name, version, *packages, listed=True):
    """Write a distribution as pip installs it; return the folder."""
    rows = [f"{package}/__init__.py,sha256=x{version},1" for package in packages] if listed else []
    files = {f"{package}/__init__.py": f"version = '{version}'\n" for package in packages}
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return write_tree(
        folder,
        {
            **files,
            f"{info}/METADATA": metadata,
            f"{info}/RECORD": "\n".join([*rows, f"{info}/METADATA,,"]),
            f"{info}/top_level.txt": "\n".join(packages),
        },
    )


def test_a_package_is_named_after_its_distribution(tmp_path):
    site = installed(tmp_path / "site", "Scikit-Learn", "1.7.2", "sklearn")
    installed(site, "tools", "3.0", "tools", "pkg_tools")
    installed(site, "editable", "0.1", "editable", listed=False)
    (site / "alone").mkdir()
    names = {
        module: package_at(site / module, module).name
        for module in ("sklearn", "tools", "pkg_tools", "editable", "alone")
    }
    assert names == {
        "sklearn": "pkg:Scikit-Learn==1.7.2",
        "tools": "pkg:tools==3.0",
        "pkg_tools": "pkg:tools[pkg_tools]==3.0",
        "editable": "pkg:editable==0.1",
        "alone": "pkg:alone",
    }
    assert package_at(site / "sklearn", "sklearn").record
    assert not package_at(site / "editable", "editable").record, (
        "its files are elsewhere and can change"
    )


@pytest.mark.slow
def test_package_is_shared_by_content_and_replaced_on_upgrade(tmp_path, make_workspace):
    one, other = (installed(tmp_path / name, "shelf", "1.0", "shelf") for name in ("one", "other"))
    workspace = make_workspace()
    assert workspace.indexer.index(package_at(one / "shelf", "shelf")).indexed == 1
    report = workspace.indexer.index(package_at(other / "shelf", "shelf"))
    assert (report.repository, report.indexed, report.unchanged) == ("pkg:shelf==1.0", 0, 1), (
        "the other environment has the same files"
    )
    assert [repository.root for repository in workspace.repositories()] == [str(one / "shelf")]
    shutil.rmtree(one)
    assert workspace.indexer.index(package_at(other / "shelf", "shelf")).files == 1
    assert [repository.root for repository in workspace.repositories()] == [str(other / "shelf")], (
        "the first environment is gone"
    )

    shutil.rmtree(other)
    installed(tmp_path / "other", "shelf", "2.0", "shelf")
    assert (
        workspace.indexer.index(package_at(other / "shelf", "shelf")).repository == "pkg:shelf==2.0"
    )
    assert [repository.name for repository in workspace.repositories()] == ["pkg:shelf==2.0"]
    assert workspace.search_text("2.0").hits

    shutil.rmtree(other)
    installed(tmp_path / "other", "shelf", "2.1", "shelf")
    assert workspace.refresh("pkg:shelf==2.0").repository == "pkg:shelf==2.1"
    assert workspace.refresh("pkg:shelf==2.1").indexed == 0
    assert [repository.name for repository in workspace.repositories()] == ["pkg:shelf==2.1"]

    shutil.move(other / "shelf-2.1.dist-info", tmp_path / "away")
    assert workspace.refresh("pkg:shelf==2.1").repository == "pkg:shelf==2.1", (
        "pip may still be installing"
    )

    shutil.move(tmp_path / "away", other / "shelf-2.1.dist-info")
    workspace.indexer.index(package_at(other / "shelf", "shelf", "mine"))
    shutil.rmtree(other)
    installed(tmp_path / "other", "shelf", "2.2", "shelf")
    workspace.indexer.index(package_at(other / "shelf", "shelf"))
    assert [repository.name for repository in workspace.repositories()] == [
        "mine",
        "pkg:shelf==2.2",
    ], "a repository named by the user is kept"

    patched = installed(tmp_path / "patched", "shelf", "2.2", "shelf")
    (patched / "shelf-2.2.dist-info" / "RECORD").write_text("shelf/__init__.py,sha256=other,1\n")
    with pytest.raises(SourceError, match="is already in use for"):
        workspace.indexer.index(package_at(patched / "shelf", "shelf"))


@pytest.mark.parametrize("name", ["no_such_package", "../etc", "", "os"])
def test_missing_package_is_an_error(name):
    with pytest.raises(SourceError, match="installed"):
        package(name)


def test_path_must_be_a_folder(tmp_path):
    with pytest.raises(SourceError, match="The folder .* does not exist"):
        worktree(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="is a file"):
        worktree(tmp_path / "file")


@pytest.mark.parametrize("name", ["a/b", "", "a\n", "x" * 200])
def test_untypable_names_are_rejected(name):
    with pytest.raises(SourceError, match="The repository name .* is invalid"):
        check_name(name)
