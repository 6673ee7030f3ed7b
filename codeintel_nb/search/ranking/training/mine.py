"""Queries from the history of clones: the subject of a commit, and the files that it changed.

A commit counts if its subject describes a change in words, and if it modified one to three source
files that already existed. All queries of a repository ask about one tree: the one before the
oldest of its commits.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from codeintel_nb.search.ranking.roles import ROLES

MAX_COMMITS = 6000  # read from the history
MAX_FILES = 3  # of source, changed by a commit that counts
MAX_FILE_BYTES = 2_000_000
SPARE = 1.6  # commits taken for each query wanted: some files came later than the tree

_SOURCE = re.compile(
    r"\.(py|pyx|[cm]?jsx?|tsx?|go|rs|java|kts?|rb|php|cs|swift|c|h|cc|cpp|hpp|scala|exs?|lua|hs|zig"
    r"|sh|vue)$"
)
_ASIDE = re.compile(r"(^|/)(docs?|website|test-dts)/")
# subjects that name a chore instead of what the code does
_CHORE = re.compile(
    r"\b(bump|release|changelog|version|typo|spelling|lint|format|formatting|whitespace|style|tidy"
    r"|readme|docs?|documentation|docstring|javadoc|comments?|license|copyright|translations?"
    r"|merge|revert|upgrade|dependenc\w*|deps|cleanup|clean up|refactor|rename|nits?|chore|wip"
    r"|ci|travis|github actions?|workflow|coverage|tests?|build|gradle|maven|pom|cmake"
    r"|mypy|flake8|pylint|ruff|rubocop|clippy|eslint|prettier|gofmt|rustfmt|fmt|ktlint|detekt"
    r"|checkstyle)\b",
    re.I,
)
_NUMBER = re.compile(r"\s*\(?#\d+\)?")
_PREFIX = re.compile(r"^(\[[^\]]*\]\s*|\w+(\([^)]*\))?!?:\s+|[\w./-]{2,40}:\s+)")


class Mined(NamedTuple):
    """Queries of one repository with the tree that they ask about."""

    revision: str
    queries: list[tuple[str, list[str]]]  # subject, changed files


def mine(git_dir: Path, count: int) -> Mined | None:
    """Return up to ``count`` queries from a clone's history, newest commits first."""
    commits = [one for one in _commits(git_dir) if one is not None][: int(count * SPARE)]
    if not commits:
        return None
    revision = git(git_dir, "rev-parse", f"{commits[-1][0]}^").strip()
    there = set(git(git_dir, "ls-tree", "-r", "--name-only", revision).splitlines())
    subjects, queries = set[str](), []
    for _, subject, files in reversed(commits):
        if subject.lower() not in subjects and there.issuperset(files):
            subjects.add(subject.lower())
            queries.append((subject, files))
    random.Random(0).shuffle(queries)
    return Mined(revision, queries[:count])


def _commits(git_dir: Path) -> list[tuple[str, str, list[str]] | None]:
    log = git(
        git_dir, "log", "--no-merges", "--first-parent", "--format=%x01%H%x02%s", "--name-status",
        f"--max-count={MAX_COMMITS}", "HEAD", check=False,  # a partial clone ends early
    )  # fmt: skip
    return [_commit(block) for block in log.split("\x01")[1:]]


def _commit(block: str) -> tuple[str, str, list[str]] | None:
    """Return the hash, cleaned subject and source files of a commit that counts, else None."""
    head, _, rest = block.partition("\n")
    commit, _, subject = head.partition("\x02")
    changes = [line.split("\t") for line in rest.splitlines() if "\t" in line]
    files = [change[-1] for change in changes if is_source(change[-1])]
    cleaned = _PREFIX.sub("", _NUMBER.sub("", subject)).strip(" .")
    if (
        _CHORE.search(subject)
        or not 1 <= len(files) <= MAX_FILES
        or len(changes) > 8
        or any(change[0] != "M" for change in changes if change[-1] in files)
        or not 4 <= len(re.findall(r"[A-Za-z]{2,}", cleaned)) <= 16
    ):
        return None
    return commit, cleaned, files


def is_source(path: str) -> bool:
    """Whether a path is of source code that a commit may be about."""
    aside = (role for role in ROLES if role.name in ("test", "aside"))
    return (
        _SOURCE.search(path) is not None
        and _ASIDE.search(path) is None
        and not any(role.paths.search(path) for role in aside)
    )


def export(git_dir: Path, revision: str, out: Path) -> None:
    """Write the tree of a revision without links, large files and those that the clone lacks."""
    listing = git(git_dir, "ls-tree", "-r", "-l", "-z", revision).split("\0")
    command = ["git", "--git-dir", str(git_dir), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as blobs:
        assert blobs.stdin is not None
        assert blobs.stdout is not None
        for line in filter(None, listing):
            meta, _, path = line.partition("\t")
            mode, _, name, size = meta.split()
            if mode == "120000" or not size.isdigit() or int(size) > MAX_FILE_BYTES:
                continue
            blobs.stdin.write(f"{name}\n".encode())
            blobs.stdin.flush()
            header = blobs.stdout.readline().split()
            if header[-1] == b"missing":
                continue
            content = blobs.stdout.read(int(header[2]) + 1)[:-1]
            target = out / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def git(git_dir: Path, *arguments: str, check: bool = True) -> str:
    command = ["git", "--git-dir", str(git_dir), *arguments]
    environment = {"GIT_NO_LAZY_FETCH": "1", "PATH": os.defpath}
    process = subprocess.run(command, capture_output=True, check=check, env=environment)
    return process.stdout.decode("utf-8", "replace")
