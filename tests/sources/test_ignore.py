"""Ignore rules, compared with git and, for ``.ignore`` files, with ripgrep."""

import os
import random
import subprocess

import pytest

from codeintel_nb.search.text.rg_process import rg_path
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from codeintel_nb.sources.walk import UNREAD_RULES, Walk
from tests.conftest import write_tree
from tests.sources import ignore_trees

FULL = os.environ.get("CODEINTEL_BENCH") == "full"
BATCHES, TREES = (250, 20) if FULL else (10, 20)  # one git process lists a batch of trees


def walked(root):
    return [stat.path for stat in Walk(worktree(root), Settings.from_environment())]


def listed_by_git(folder):
    """Return the files git would add; an inner repository is one entry with a trailing slash."""
    done = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}


def listed_by_ripgrep(folder, *options):
    done = subprocess.run(
        [rg_path(), "--files", "--hidden", "--no-config", "-g", "!.git", "--null", *options],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1, 2), done.stderr  # 2: a pattern it cannot parse
    return {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}


@pytest.mark.parametrize("seed", range(BATCHES))
def test_git_lists_the_same_files(tmp_path, own_home, seed):
    rng = random.Random(seed)
    root = tmp_path / "batch"
    ignore_case = rng.random() < 0.3
    repositories = [root]
    for number in range(TREES):
        folders = ignore_trees.make_tree(root / f"t{number}", rng)
        if rng.random() < 0.4:
            repositories.append(rng.choice(folders))
    write_tree(
        own_home,
        {
            ".gitconfig": "[core]\n\texcludesFile = ~/ignored\n",
            "ignored": ignore_trees.rules(rng, ignore_trees.paths_below(root)),
        },
    )
    for number, repository in enumerate(repositories):
        config = (
            "\tignorecase = "
            f"{str(ignore_case if repository == root else rng.random() < 0.3).lower()}\n"
        )
        if number and rng.random() < 0.3:
            ignore_trees.make_linked_worktree(repository, root, number)
        else:
            ignore_trees.make_repository(
                repository, config, ignore_trees.rules(rng, ignore_trees.paths_below(repository))
            )
    found = set(walked(root))
    expected, inner = set(), listed_by_git(root)
    # git lists an inner repository that is not ignored as one entry
    for repository in repositories:
        place = "" if repository == root else f"{repository.relative_to(root)}/"
        if not place or place in inner:
            files = listed_by_git(repository)
            inner |= {place + path for path in files if path.endswith("/")}
            expected |= {place + path for path in files if not path.endswith("/")}
    assert found == expected, (seed, found ^ expected)


@pytest.mark.parametrize("seed", range(BATCHES))
def test_ripgrep_lists_the_same_files(tmp_path, seed):
    """Check ``.ignore`` files as well, with lines that ripgrep and git interpret alike."""
    rng = random.Random(10_000 + seed)
    for number in range(TREES):
        root = tmp_path / f"r{number}"
        folders = ignore_trees.make_tree(
            root, rng, (".gitignore", ".ignore"), ignore_trees.plain_rules
        )
        ignore_trees.make_repository(root)
        if rng.random() < 0.3:
            ignore_trees.make_repository(rng.choice(folders))
        assert set(walked(root)) == listed_by_ripgrep(root), (seed, number)


PATHS = [
    "1st.py", "a1.py", "notes old.md", "Readme", "readme", "Core/x.py", "core/x.py", "b.txt",
    "_b.txt", "src/core.py", "src/deep/more.py", "src/build.py", "data/keep.py", "data/big.py",
    "data/raw/x.py", "lib/data/y.py", "docs/x.md", "keep/a.py", "keep/sub/b.py", "foox/y/bar",
    "foox/bar", "foobar", "foo/y/z/bar", "src/Icon/index.ts", "app.ts", "run.log", "run.LOG", "a]b",
    "a-b", "a\\b", "x#y", "#x", "!x", "é.py", "ab/c", "tmp~", "a+b", "d/e/f/g.h", "sp ", "tab\t",
    "cache/z", "docs/build/q", "secrets_dump/k",
]  # fmt: skip
LINES = [
    # unparsable lines, each skipped alone
    b"!", b"\\", b"cache\\", b"docs\\/build", b"[z-a]*.tmp", b"[", b"a[", b"[[:digit:]",
    b"[[:nope:]]*", b"[!", b"[^]", b"/", b"//", b"!/", b"a//b", b"\xff*", b"\0", b"*\0x", b"#x",
    b"\\#x", b"\\!x", b"!x",
    # sets
    b"*[[:space:]]*", b"[[:digit:]]*.py", b"[[:upper:]]*", b"[^[:alpha:]]*.txt",
    b"[[:lower:][:digit:]]*", b"a[[:punct:]]b", b"a[]]b", b"a[]-]b", b"a[\\]]b", b"a[+--]b",
    b"a[!]]b", b"[[:xdigit:]]*", b"[a-]*", b"[[:alpha:]]*", b"[A-Z]*", b"[a-Z]*",
    b"[\xc3][\xa9].py", "[é].py".encode(), "é.p?".encode(), b"?.py", b"??.py", b"d[/]e",
    b"d/[e/]/f", b"src[!x]core.py", b"src[^a-z]deep",
    # negations
    b"*\n!*/\n!*.py", b"/*\n!/src/\n!/keep/", b"**\n!*/\n!*.md", b"data/**\n!data/keep.py",
    b"/data/**\n!/data/raw/\n!/data/raw/x.py", b"data/\n!data/keep.py", b"*.py\n!core",
    b"src\n!src/", b"src/\n!src", b"src/*\n!src/deep", b"*\n!src\n!src/**",
    b"*\n!/src/\n!/src/deep/\n!/src/deep/*.py", b"!data\ndata/\n!data/",
    # stars
    b"/foo**/bar", b"foo**/bar", b"/foo**", b"foo**", b"**bar", b"/**bar", b"**/bar", b"/**/bar",
    b"foo/**/bar", b"foo/**", b"foo/**/", b"**/", b"*/", b"*/*", b"*/**", b"***", b"/***/bar",
    b"d/**/**/g.h", b"d/**/g.*", b"d/*/g.h", b"d/*/*/g.h", b"**/*/g.h", b"a*b*c", b"d/**\\/g.h",
    b"src/**/more.py", b"s*c/**", b"**/x.py", b"x.py", b"/x.py", b"data", b"data/", b"/data",
    b"/data/", b"lib/data", b"*data", b"core/*",
    # blanks, line ends, byte order marks
    b"\xef\xbb\xbfsecrets_dump/", b"#\n\xef\xbb\xbfrun.log", b"Icon\r\r", b"*.ts\r",
    b"run.log\r\n*.py\r\n", b"*.ts\r*.py", b"sp\\ ", b"sp ", b"tab\t", b"run.log  ", b"run.log\\  ",
    b"notes old.md", b"notes\\ old.md", b" run.log", b"*.log\f", b"*.log\x0b", b"run.\\LOG",
    b"\\Readme", b"Run.\\log", b"core/\\X.py", "*.py\u2028".encode(),
]  # fmt: skip


@pytest.mark.parametrize("ignores_case", [False, True])
def test_ambiguous_lines_match_git(tmp_path, ignores_case):
    for number, lines in enumerate(LINES):
        root = write_tree(
            tmp_path / str(number), dict.fromkeys(PATHS, "") | {".gitignore": lines + b"\n"}
        )
        ignore_trees.make_repository(root, f"\tignorecase = {str(ignores_case).lower()}\n")
        assert set(walked(root)) == listed_by_git(root), lines


@pytest.mark.parametrize(
    "lines",
    [
        [f"build{i}.o" for i in range(20_000)],
        [f"/a/b{i}*" for i in range(5_000)],
        ["x" * 100_000],
        ["*" * 200_000 + ".log"],
        ["*a" * 50_000],
        ["a?" * 100_000],
        ["[a-z]" * 5_000],
        ["[" + "ab" * 50_000 + "]*.log"],
    ],
    ids=lambda lines: f"{len(lines)} {lines[0][:6]}",
)
def test_long_files_and_lines_are_read(tmp_path, lines):
    root = write_tree(
        tmp_path / "r",
        {"run.log": "", "build7.o": "", "a/b19": "", "keep.py": "", ".gitignore": "\n".join(lines)},
    )
    ignore_trees.make_repository(root)
    assert set(walked(root)) == listed_by_git(root)


def test_ignore_file_over_1_mb_is_skipped_and_reported(tmp_path):
    root = write_tree(tmp_path / "r", {"run.log": "", ".gitignore": "*.log\n" + "#" * 1_000_000})
    walk = Walk(worktree(root), Settings.from_environment())
    assert [stat.path for stat in walk] == [".gitignore", "run.log"]
    assert walk.examples[UNREAD_RULES] == [".gitignore"]


@pytest.mark.parametrize(
    "name", [".gitignore", ".ignore", ".codeintelignore", "sub/.ignore", ".git/info/exclude"]
)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
def test_only_regular_files_are_read_as_rules(tmp_path, name, kind):
    root = write_tree(tmp_path / "r", {"a.py": "", "sub/b.py": "", "rules": "*.py\n"})
    ignore_trees.make_repository(root)
    (root / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(root / name)
    elif kind == "device":
        (root / name).symlink_to("/dev/zero")
    elif kind == "folder":
        (root / name).mkdir()
    else:
        (root / name).symlink_to(root / "rules")
    walk = Walk(worktree(root), Settings.from_environment())
    # git follows a link to its own exclude file
    follows = name.startswith(".git/") and kind == "link"
    assert [stat.path for stat in walk] == (["rules"] if follows else ["a.py", "rules", "sub/b.py"])
    assert walk.skipped[UNREAD_RULES] == (not follows)


def test_git_file_leading_to_a_pipe_does_not_block(tmp_path):
    root = write_tree(tmp_path / "r", {"a.py": "", ".git": "gitdir: ../evil\n"})
    ignore_trees.make_repository(tmp_path / "other")
    (tmp_path / "other/.git").rename(tmp_path / "evil")
    (tmp_path / "evil/info/exclude").unlink()
    os.mkfifo(tmp_path / "evil/info/exclude")
    assert walked(root) == ["a.py"]


def test_linked_worktree_obeys_the_exclude_file_of_its_repository(tmp_path, git):
    main = write_tree(tmp_path / "main", {"a.py": "", "lib/x.py": ""})
    for folder in (main / "lib", main):
        git("init", "-q", cwd=folder)
        git("add", ".", cwd=folder) if folder != main else git(
            "-c", "protocol.file.allow=always", "submodule", "add", "-q", "./lib", "lib", cwd=folder
        )
        git("commit", "-q", "-m", "first", cwd=folder)
    (main / ".git/info/exclude").write_text("*.log\nscratch/\n")
    git("worktree", "add", "-q", "../side", cwd=main)
    side = write_tree(tmp_path / "side", {"run.log": "", "scratch/b.py": "", "new.py": ""})
    assert "run.log" not in walked(side)
    assert ".git" not in walked(side)
    assert set(walked(side)) >= listed_by_git(side)
