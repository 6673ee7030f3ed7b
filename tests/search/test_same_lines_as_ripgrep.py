"""Search compared with ripgrep, with and without an index, on the behaviour tested by ripgrep.

``ripgrep_cases.jsonl`` contains an input of our own for each behaviour checked by ripgrep's tests.
Where our result differs on purpose, ``reason`` explains it and ``ours`` is the expected result.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.embedding.embedder import default_embedder
from codeintel_nb.index.store import Store
from codeintel_nb.index.update.updater import update
from codeintel_nb.search.query import MAX_HITS
from codeintel_nb.search.text.rg_process import rg_path
from codeintel_nb.settings import Settings
from codeintel_nb.sources.repository import worktree
from tests.conftest import write_tree
from tests.sources.ignore_trees import make_repository

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("ripgrep_cases.jsonl").read_text("utf-8").splitlines()
]
CASE_FLAGS = {"sensitive": "-s", "insensitive": "-i", "smart": "-S"}


def built(case, tree):
    """Create the files of a case and return the folder to search."""
    tree.mkdir()
    if case.get("git", True):
        make_repository(tree)
    parts = {
        path: b"".join(text.encode("latin-1") * times for text, times in given)
        for path, given in case.get("parts", {}).items()
    }
    write_tree(
        tree,
        {
            **case.get("files", {}),
            **{path: text.encode("latin-1") for path, text in case.get("bytes", {}).items()},
            **parts,
        },
    )
    for path, target in case.get("links", {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    return tree / case.get("sub", "")


def found_by_ripgrep(case, root):
    options = [
        *(f"--glob={glob}" for glob in case.get("include", [])),
        *(f"--glob=!{glob}" for glob in case.get("exclude", [])),
        "--glob=!.git",
        CASE_FLAGS[case["case"]],
    ]
    options += [
        *([] if case["regex"] else ["-F"]),
        *(["-w"] if case.get("word") else []),
        *(["-U"] if case.get("multiline") else []),
    ]
    command = [
        rg_path(),
        "--no-config",
        "--hidden",
        "--no-heading",
        "--line-number",
        "--with-filename",
        "--null",
        "--color=never",
        *options,
        "-e",
        case["pattern"],
        "./",
    ]
    done = subprocess.run(
        command, cwd=root, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    return {
        (os.fsdecode(path), int(line))
        for path, line in re.findall(rb"^\./([^\0]+)\0(\d+):", done.stdout, re.M)
    }


def found(case, workspace):
    scope = Scope(
        include_globs=tuple(case.get("include", [])), exclude_globs=tuple(case.get("exclude", []))
    )
    results = workspace.search_text(
        case["pattern"],
        scope,
        regex=case["regex"],
        case=case["case"],
        word=case.get("word", False),
        limit=MAX_HITS,
    )
    assert not results.truncated
    return {(hit.path, line) for hit in results for line in range(hit.start_line, hit.end_line + 1)}


def of_kind(case, places):
    return {path for path, _ in places} if case["kind"] == "files" else places


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_search_finds_what_ripgrep_finds(tmp_path, case):
    root = built(case, tmp_path / "tree")
    theirs = of_kind(case, found_by_ripgrep(case, root))
    ours = theirs
    if "ours" in case:
        ours = set(map(tuple, case["ours"])) if case["kind"] == "lines" else set(case["ours"])
        assert ours != theirs, f"no longer differs from ripgrep: {case['reason']}"
    here = Workspace(Settings.from_environment(tmp_path / "empty"), here=str(root))
    indexed = Workspace(Settings.from_environment(tmp_path / "home"))
    update(
        Store(indexed.settings.home).create(worktree(root)),
        indexed.settings,
        default_embedder(),
        lambda event: None,
    )
    try:
        assert of_kind(case, found(case, here)) == ours
        assert of_kind(case, found(case, indexed)) == ours
    finally:
        here.close()
        indexed.close()
