import os
import shutil

import msgspec
import pytest

from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import package, worktree
from codeintel_nb.sources.secrets import is_secret_name
from codeintel_nb.sources.walk import Walk
from tests.conftest import write_tree


def limited(max_file_bytes=2_000_000):
    return msgspec.structs.replace(Settings.from_environment(), max_file_bytes=max_file_bytes)


def names(root, **options):
    walk = Walk(worktree(root), limited(**options))
    return [stat.path for stat in walk], walk


def test_files_come_in_path_order_with_their_size_and_time(tmp_path):
    write_tree(tmp_path, {"b.py": "bb", "a/c.py": "c", "a/b/d.py": ""})
    walk = Walk(worktree(tmp_path), limited(100))
    found = list(walk)
    assert [stat.path for stat in found] == ["a/b/d.py", "a/c.py", "b.py"]
    assert [stat.size for stat in found] == [0, 1, 2]
    assert found[2].mtime_ns == (tmp_path / "b.py").stat().st_mtime_ns


def test_ignore_files_apply_in_every_folder(tmp_path):
    write_tree(
        tmp_path,
        {
            ".gitignore": "*.log\n/out/\n!keep.log\n",
            "a.log": "",
            "keep.log": "",
            "out/x.py": "",
            "sub/out/x.py": "",
            "sub/.ignore": "*.tmp\n",
            "sub/b.tmp": "",
            "b.tmp": "",
            "sub/deep/.codeintelignore": "secret*\n",
            "sub/deep/secret.py": "",
            "sub/deep/.gitignore": "!*.tmp\n",
            "sub/deep/c.tmp": "",
            "secret.py": "",
        },
    )
    found, walk = names(tmp_path)
    assert [name for name in found if not name.rpartition("/")[2].startswith(".")] == [
        "b.tmp",
        "keep.log",
        "secret.py",
        "sub/out/x.py",
    ], ".ignore takes precedence over .gitignore"
    assert walk.skipped["ignored"] == 4
    assert walk.skipped["ignored folder"] == 1


def test_rules_of_the_enclosing_repository_apply(tmp_path, git):
    write_tree(
        tmp_path,
        {
            "pkg/a.py": "",
            "pkg/b.pyc": "",
            "pkg/c.local": "",
            ".gitignore": "*.pyc\npkg/sub/\n",
            "pkg/sub/d.py": "",
        },
    )
    git("init", cwd=tmp_path)
    (tmp_path / ".git/info/exclude").write_text("*.local\n")
    assert names(tmp_path / "pkg")[0] == ["a.py"]


def test_named_folder_is_indexed_despite_rules_above_it(tmp_path, git):
    write_tree(
        tmp_path, {".gitignore": ".venv/\n*.md\n", ".venv/lib/a.py": "", ".venv/lib/b.md": ""}
    )
    git("init", cwd=tmp_path)
    assert names(tmp_path / ".venv/lib")[0] == ["a.py", "b.md"]
    assert names(tmp_path)[0] == [".gitignore"]


def test_global_ignore_file_applies(tmp_path, own_home):
    write_tree(own_home, {"config/git/ignore": "*.swp\n"})
    write_tree(tmp_path, {"a.py": "", "a.swp": ""})
    assert names(tmp_path)[0] == ["a.py"]
    write_tree(own_home, {".gitconfig": "[core]\n\texcludesFile = ~/mine\n", "mine": "*.py\n"})
    assert names(tmp_path)[0] == ["a.swp"]


def test_package_is_walked_without_ignore_rules(tmp_path, monkeypatch):
    write_tree(tmp_path, {"mypkg/__init__.py": "", "mypkg/.gitignore": "*\n", "mypkg/a.py": ""})
    monkeypatch.syspath_prepend(str(tmp_path))
    walk = Walk(package("mypkg"), limited(100))
    assert [stat.path for stat in walk] == [".gitignore", "__init__.py", "a.py"]


def test_skipped_files_are_counted_by_reason(tmp_path):
    write_tree(
        tmp_path,
        {
            "a.py": "",
            "big.txt": "x" * 200,
            ".git/config": "",
            "__pycache__/a.pyc": "",
            "venv/pyvenv.cfg": "",
            "venv/lib/x.py": "",
            ".env": "",
            ".ssh/key": "",
        },
    )
    outside = tmp_path.parent / "outside.py"
    outside.write_text("")
    (tmp_path / "link.py").symlink_to(outside)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    found, walk = names(tmp_path, max_file_bytes=100)
    assert found == ["a.py"]
    assert dict(walk.skipped) == {
        "too large": 1,
        "tool folder": 2,
        "virtual environment": 1,
        "secret": 2,
        "symbolic link": 2,
        "not a regular file": 1,
    }
    assert walk.secrets == [".env", ".ssh/"]


def test_a_folder_that_vanishes_during_the_walk_is_counted(tmp_path):
    write_tree(tmp_path, {"a.py": "", "going/b.py": ""})
    walk = Walk(worktree(tmp_path), limited(100))
    files = iter(walk)
    assert next(files).path == "a.py"
    shutil.rmtree(tmp_path / "going")
    assert list(files) == []
    assert walk.skipped["unreadable folder"] == 1


def test_names_that_are_not_utf8_are_counted(tmp_path):
    (tmp_path / "a.py").write_text("")
    with open(os.fsencode(tmp_path) + b"/\xff.py", "wb"):
        pass
    found, walk = names(tmp_path)
    assert found == ["a.py"]
    assert walk.skipped["name is not UTF-8"] == 1


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        (".env", True),
        (".env.production", True),
        (".env.example", False),
        ("id_rsa", True),
        ("id_rsa.pub", False),
        ("server.pem", True),
        ("keys.py", False),
        ("credentials.json", True),
        ("monkey.py", False),
        ("ID_RSA", True),
        ("Server.PEM", True),
        ("Credentials.json", True),
        (".Env.Example", False),
    ],
)
def test_secret_names(name, secret):
    assert is_secret_name(name) is secret


@pytest.mark.parametrize(
    "marks",
    [
        {"pyvenv.cfg": ""},
        {"conda-meta/history": "==> now <=="},
        {"bin/activate_this.py": ""},
        {"Scripts/activate_this.py": ""},
    ],
)
def test_virtual_environments_are_skipped_and_named(tmp_path, marks):
    write_tree(
        tmp_path,
        {
            "app.py": "",
            **{f"env/{path}": text for path, text in marks.items()},
            "env/lib/site-packages/numpy/core.py": "",
            "notes/conda-meta": "a file",
            "bin/tool.py": "",
        },
    )
    found, walk = names(tmp_path)
    assert found == ["app.py", "bin/tool.py", "notes/conda-meta"]
    assert walk.examples["virtual environment"] == ["env"]
    assert list(walk.of("env/lib/site-packages/numpy/core.py")) == []
    assert [stat.path for stat in walk.of("notes")] == ["notes/conda-meta"]
    assert names(tmp_path / "env")[0], "an environment named explicitly is walked"


def test_files_written_by_collaboration_are_skipped(tmp_path):
    write_tree(
        tmp_path,
        dict.fromkeys(
            [
                "a.ipynb",
                ".jupyter_ystore.db",
                ".jupyter_ystore.db-journal",
                "x.ystore",
                ".a.ipynb.y",
                ".jupyter/collaboration_sessions.json",
                "ystore.py",
            ],
            "",
        ),
    )
    assert names(tmp_path)[0] == ["a.ipynb", "ystore.py"]


@pytest.mark.parametrize(
    "path", ["v1/repositories/x.py", "v2/repositories/0123456789abcdef/x.py", "v3/x.py"]
)
def test_a_folder_that_only_looks_like_an_index_is_walked(tmp_path, path):
    write_tree(tmp_path, {f"api/{path}": ""})
    assert names(tmp_path)[0] == [f"api/{path}"]


def test_walk_of_one_path_matches_the_full_walk(tmp_path, git):
    write_tree(
        tmp_path,
        {
            ".gitignore": "*.log\nout/\n!keep.log\n",
            "a.log": "",
            "out/x.py": "",
            "sub/keep.log": "",
            "sub/.ignore": "*.tmp\n",
            "sub/deep/b.tmp": "",
            "sub/deep/c.py": "",
            "env/conda-meta/history": "",
            "env/d.py": "",
            "inner/e.log": "",
            ".jupyter/f.py": "",
            "node_modules/g.js": "",
        },
    )
    git("init", cwd=tmp_path)
    git("init", cwd=tmp_path / "inner")
    whole, walk = names(tmp_path)
    assert "inner/e.log" in whole
    for path in tmp_path.rglob("*"):
        place = str(path.relative_to(tmp_path))
        if not place.startswith((".git/", "inner/.git/")):
            expected = [name for name in whole if name == place or name.startswith(f"{place}/")]
            assert [stat.path for stat in walk.of(place)] == expected, place
