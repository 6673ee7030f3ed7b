import pytest

from codeintel_nb.errors import SourceError
from codeintel_nb.sources.repository import check_name, package, worktree


def test_a_folder_is_named_after_itself(tmp_path):
    (tmp_path / "shop").mkdir()
    found = worktree(tmp_path / "shop" / ".." / "shop")
    assert (found.name, found.root, found.source) == ("shop", str(tmp_path / "shop"), "worktree")


def test_an_installed_package_goes_by_its_import_name_or_its_distributions():
    by_import, by_distribution = package("IPython"), package("ipython")
    assert by_import == by_distribution
    assert by_import.version.count(".") >= 1
    assert package("asyncio").distribution == "python"


@pytest.mark.parametrize("name", ["no_such_package", "../etc", "", "os"])
def test_a_package_that_is_not_there(name):
    with pytest.raises(SourceError, match="installed"):
        package(name)


def test_a_path_that_is_no_folder(tmp_path):
    with pytest.raises(SourceError, match="There is no folder"):
        worktree(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="is a file"):
        worktree(tmp_path / "file")


@pytest.mark.parametrize("name", ["a/b", "", "a\n", "x" * 200])
def test_names_can_be_typed(name):
    with pytest.raises(SourceError, match="cannot be named"):
        check_name(name)
