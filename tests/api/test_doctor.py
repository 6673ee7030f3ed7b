import os
import shlex
import time

import pytest

from codeintel_nb.cli import main
from codeintel_nb.diagnostics.doctor import diagnose, examine


def levels(findings):
    return {finding.level for finding in findings}


def test_healthy_index_has_no_problems(shop):
    findings = diagnose(shop.settings)
    assert levels(findings) == {"ok"}
    assert any("checksums match" in finding.said for finding in findings)


@pytest.mark.parametrize("part", ["content.bin", "lexicon.bin", "vectors.faiss", "details.bin"])
def test_flipped_bit_is_reported_with_the_repair_command(shop, tree, part):
    (path,) = (shop.settings.home / "v8/repositories").glob(f"*/shards/*/{part}")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    (finding,) = [f for f in examine(shop.settings) if f.level == "error"]
    assert part in finding.said
    command = f"codeintel index {tree} --name shop --rebuild"
    assert finding.said.endswith(f"To rebuild 'shop', run: {command}")
    shop.refresh("shop", rebuild=True)
    assert levels(examine(shop.settings)) == {"ok"}


def test_damaged_package_is_rebuilt_by_the_command_that_is_shown(make_workspace):
    workspace = make_workspace()
    name = workspace.index_package("iniconfig").repository
    (path,) = (workspace.settings.home / "v8/repositories").glob("*/shards/*/content.bin")
    os.truncate(path, 0)
    (finding,) = [f for f in examine(workspace.settings) if f.level == "error"]
    _, command = finding.said.split(f"To rebuild {name!r}, run: codeintel ")
    home = str(workspace.settings.home)
    assert main([*shlex.split(command), "--home", home]) == 0
    assert levels(examine(workspace.settings)) == {"ok"}


def test_missing_part_is_reported(shop):
    (path,) = (shop.settings.home / "v8/repositories").glob("*/shards/*/lexicon.bin")
    path.unlink()
    (finding,) = [f for f in examine(shop.settings) if f.level == "error"]
    assert "lexicon.bin is missing" in finding.said


def test_orphans_are_removed_unless_repair_is_off(shop):
    (shards,) = (shop.settings.home / "v8/repositories").glob("*/shards")
    (shards / ".building-abc").mkdir()
    half = shards.parent.parent / "0000000000000000"
    half.mkdir()
    os.utime(half, (time.time() - 1000,) * 2)
    assert levels(examine(shop.settings, repair=False)) == {"ok", "warning"}
    assert (shards / ".building-abc").exists()
    assert half.exists()
    examine(shop.settings)
    assert not (shards / ".building-abc").exists()
    assert not half.exists()
    assert shop.search_text("cart").hits


def test_deleted_repository_folder_is_a_warning(shop, tree):
    import shutil

    shutil.rmtree(tree)
    assert any(
        "codeintel remove shop" in f.said for f in examine(shop.settings) if f.level == "warning"
    )


def test_folder_replaced_by_a_symlink_is_an_error(shop, tree, tmp_path):
    tree.rename(tmp_path / "kept")
    tree.symlink_to(tmp_path / "kept")
    (finding,) = [finding for finding in examine(shop.settings) if finding.level == "error"]
    assert (finding.subject, "leads elsewhere now" in finding.said) == ("shop", True)


def test_ignore_file_that_is_not_read_is_a_warning(shop, tree):
    (tree / "src/.gitignore").symlink_to("/dev/zero")
    (finding,) = [finding for finding in examine(shop.settings) if finding.level != "ok"]
    assert (finding.level, finding.subject) == ("warning", "shop")
    assert "ignore file that is not read" in finding.said
    assert "src/.gitignore" in finding.said
