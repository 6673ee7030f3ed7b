"""Git configuration, compared with git itself."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.sources.git.config import GitConfig, parse
from codeintel_nb.sources.git.folder import enclosing_git_folder, git_folder
from tests.conftest import write_tree
from tests.sources.ignore_trees import make_repository

PIECES = [
    "[core]", "[core]\n", "[Core]", '[remote "a b"]', '[x "q\\"\\\\y"]', "[a.B]",
    "[includeIf \"gitdir:~/x/\"]", "[", "]", "\n", "\n", "\r\n", " ", "\t", "#c\n", ";c", "=",
    " = ", "key", "excludesFile", "k-1", "_", '"', '"a # b"', "\\n", "\\\"", "\\\\", "\\\n", "\\x",
    "value", "~/mine", "true", "a  b", "é",
]  # fmt: skip


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    return tmp_path_factory.mktemp("config") / "config"


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_config_is_parsed_like_git(config_file, text):
    config_file.write_bytes(text.encode())
    done = subprocess.run(
        ["git", "config", "--file", config_file, "--no-includes", "--null", "--list"],
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        expected = [
            tuple(entry.split("\n", 1)) if "\n" in entry else (entry, None)
            for entry in done.stdout.decode().split("\0")[:-1]
        ]
        assert [(setting.key, setting.value) for setting in parse(text)] == expected


INCLUDED = "[core]\n\texcludesFile = ~/mine\n"
CASES = {
    "plain": ("[core]\n\texcludesFile = ~/mine\n", {}, {}),
    "a comment behind": ("[core]\n\texcludesFile = ~/mine ; my own\n", {}, {}),
    "the last counts": ("[core]\n\texcludesFile = ~/none\n\texcludesFile = ~/mine\n", {}, {}),
    "another section": ("[tool]\n\texcludesFile = ~/mine\n", {}, {}),
    "a subsection": ('[core "x"]\n\texcludesFile = ~/mine\n', {}, {}),
    "included": ("[include]\n\tpath = ~/more\n", {"more": INCLUDED}, {}),
    "included by a relative path": ("[include]\n\tpath = more\n", {"more": INCLUDED}, {}),
    "included twice over": (
        "[include]\n\tpath = one\n",
        {"one": "[include]\n\tpath = sub/two\n", "sub/two": INCLUDED},
        {},
    ),
    "included, but missing": (
        "[core]\n\texcludesFile = ~/mine\n[include]\n\tpath = missing\n",
        {},
        {},
    ),
    "where the repository lies": (
        '[includeIf "gitdir:~/work/"]\n\tpath = more\n',
        {"more": INCLUDED},
        {},
    ),
    "where it does not lie": (
        '[includeIf "gitdir:~/play/"]\n\tpath = more\n',
        {"more": INCLUDED},
        {},
    ),
    "where it lies, by any folder": (
        '[includeIf "gitdir:work/repo/.git"]\n\tpath = more\n',
        {"more": INCLUDED},
        {},
    ),
    "where it lies, by stars": (
        '[includeIf "gitdir:**/repo/**"]\n\tpath = more\n',
        {"more": INCLUDED},
        {},
    ),
    "where it lies, in any case": (
        '[includeIf "gitdir/i:~/WORK/"]\n\tpath = more\n',
        {"more": INCLUDED},
        {},
    ),
    "where it lies, beside the file": (
        '[includeIf "gitdir:./work/"]\n\tpath = more\n',
        {"more": INCLUDED},
        {},
    ),
    "on a branch": (
        '[includeIf "onbranch:feature/"]\n\tpath = more\n',
        {"more": INCLUDED, "work/repo/.git/HEAD": "ref: refs/heads/feature/x\n"},
        {},
    ),
    "on another branch": (
        '[includeIf "onbranch:main"]\n\tpath = more\n',
        {"more": INCLUDED, "work/repo/.git/HEAD": "ref: refs/heads/feature/x\n"},
        {},
    ),
    "with a remote": (
        '[includeIf "hasconfig:remote.*.url:https://example.org/**"]\n'
        "\tpath = more\n"
        '[remote "o"]\n'
        "\turl = https://example.org/a/b\n",
        {"more": INCLUDED},
        {},
    ),
    "quoted": ('[core]\n\texcludesFile = "~/mi"ne\n', {}, {}),
    "on one line": ("[core] excludesFile = ~/mine", {}, {}),
    "continued": ("[core]\n\texcludesFile = ~/m\\\nine\n", {}, {}),
    "in capitals": ("[CORE]\n\tEXCLUDESFILE=~/mine\n", {}, {}),
    "with a byte order mark": ("\ufeff[core]\n\texcludesFile = ~/mine\n", {}, {}),
    "with carriage returns": ("[core]\r\n\texcludesFile = ~/mine\r\n", {}, {}),
    "the repository's own": (
        "[core]\n\texcludesFile = ~/none\n",
        {"work/repo/.git/config": INCLUDED},
        {},
    ),
    "the worktree's own": (
        "",
        {
            "work/repo/.git/config": (
                "[core]\n\trepositoryformatversion = 0\n[extensions]\n\tworktreeConfig = true\n"
            ),
            "work/repo/.git/config.worktree": INCLUDED,
        },
        {},
    ),
    "a relative one": ("[core]\n\texcludesFile = my/own\n", {}, {}),
    "an empty one": ("[core]\n\texcludesFile =\n", {}, {}),
    "the other place": ("", {"config/git/config": INCLUDED}, {}),
    "both places": (
        "[core]\n\texcludesFile = ~/mine\n",
        {"config/git/config": "[core]\n\texcludesFile = ~/none\n"},
        {},
    ),
    "no XDG_CONFIG_HOME": ("", {".config/git/config": INCLUDED}, {"XDG_CONFIG_HOME": ""}),
    "another global file": (
        "[core]\n\texcludesFile = ~/none\n",
        {"other": INCLUDED},
        {"GIT_CONFIG_GLOBAL": "other"},
    ),
    "no global file": ("[core]\n\texcludesFile = ~/mine\n", {}, {"GIT_CONFIG_GLOBAL": ""}),
    "another system file": ("", {"system": INCLUDED}, {"GIT_CONFIG_SYSTEM": "system"}),
    "no system file": (
        "",
        {"system": INCLUDED},
        {"GIT_CONFIG_SYSTEM": "system", "GIT_CONFIG_NOSYSTEM": "1"},
    ),
    "by environment": (
        "[core]\n\texcludesFile = ~/none\n",
        {},
        {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "core.excludesFile",
            "GIT_CONFIG_VALUE_0": "~/mine",
        },
    ),
    "by parameters": ("", {}, {"GIT_CONFIG_PARAMETERS": "'core.excludesfile'='~/mine'"}),
}


@pytest.mark.parametrize("case", CASES)
def test_excludes_file_is_resolved_like_git(own_home, monkeypatch, case):
    text, files, environment = CASES[case]
    repository = own_home / "work/repo"
    make_repository(repository)
    write_tree(
        own_home,
        {
            ".gitconfig": text,
            "mine": "*.log\n",
            "config/git/ignore": "*.tmp\n",
            ".config/git/ignore": "*.bak\n",
            "work/repo/my/own": "*.own\n",
            **files,
        },
    )
    write_tree(repository, dict.fromkeys(("run.log", "a.tmp", "a.bak", "a.own", "a.py"), ""))
    for name, value in environment.items():
        is_file = name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM") and value
        monkeypatch.setenv(name, str(own_home / value) if is_file else value)
    git = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = enclosing_git_folder(str(repository))
    file = GitConfig(found.folder, found.common).excludes_file(found.top)
    kept = [
        name
        for name in ("a.bak", "a.own", "a.py", "a.tmp", "run.log")
        if not (file and os.path.isfile(file) and name.endswith(Path(file).read_text()[1:-1]))
    ]
    assert kept == [name for name in git if "/" not in name], file


@pytest.mark.parametrize(
    ("head", "folders", "is_repository"),
    [
        ("ref: refs/heads/main\n", ("objects", "refs"), True),
        ("0123456789abcdef0123456789abcdef01234567\n", ("objects", "refs"), True),
        ("nothing\n", ("objects", "refs"), False),
        ("ref: refs/heads/main\n", ("objects",), False),
        ("ref: refs/heads/main\n", ("refs",), False),
        (None, ("objects", "refs"), False),
    ],
)
def test_folder_is_a_repository_when_git_says_so(tmp_path, head, folders, is_repository):
    for folder in folders:
        (tmp_path / ".git" / folder).mkdir(parents=True)
    if head is not None:
        (tmp_path / ".git/HEAD").write_text(head)
    git = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        check=False,
    )
    assert (git.returncode == 0) == is_repository
    assert (git_folder(str(tmp_path)) is not None) == is_repository
