"""Hostile trees and files: nothing fails, skipped files are counted, the rest is found."""

import json
import os
import random
import socket
import stat
import threading
import time

import pytest

from codeintel_nb import Scope
from codeintel_nb.output.plain_text import status_notes
from codeintel_nb.sources.chunk import decoded, text_of
from codeintel_nb.sources.document import chunk_failsafe, refusal
from tests.conftest import write_tree
from tests.index.test_guard import FAILED, SLOW
from tests.sources.test_chunk import assert_tiles
from tests.sources.test_languages import EXPECTED, HERE

ODD_NAMES = [
    "new\nline.py", "quote'\".py", "\U0001f600.py", "tab\t.py", "-rf.py", " leading.py",
    "trailing .py", "back\\slash.py", "%s{}$x.py", "a;b&c|d.py", "*?[x].py", "CON.py",
    "\u202eyp.live.py",
]  # fmt: skip
NOTEBOOKS = {
    "broken.ipynb": b'{"cells": [',
    "null.ipynb": b"null",
    "cells.ipynb": b'{"cells": {"a": 1}}',
    "metadata.ipynb": b'{"cells": [], "metadata": []}',
    "odd.ipynb": json.dumps(
        {
            "cells": [
                None,
                3,
                "x",
                {"source": 5},
                {"cell_type": [], "source": ["x_marker", 7]},
                {"cell_type": "code", "source": "x_marker = 1", "outputs": 3},
            ]
        }
    ).encode(),
    "nested.ipynb": b'{"cells":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}
CONTENT = NOTEBOOKS | {
    "empty.py": b"",
    "one_newline.py": b"\n",
    "no_newline.py": b"x_marker = 1",
    "utf8_bom.py": b"\xef\xbb\xbfx_marker = 1\n",
    "latin.py": b"x_marker = '\xe9\xff'\n",
    "utf16_le.py": "x_marker = 'ä'\n".encode("utf-16-le"),
    "utf16_be.py": "x_marker = 'ä'\n".encode("utf-16-be"),
    "utf16_bom.py": "x_marker = 1\n".encode("utf-16"),
    "utf32_bom.py": "x_marker = 1\n".encode("utf-32"),
    "lone_cr.py": b"x_marker = 1\ry = 2\r",
    "crlf.py": b"x_marker = 1\r\ny = 2\r\n",
    "overlong.py": b"x_marker = '\xc0\x80\xed\xa0\x80'\n",
    "controls.py": bytes(range(1, 32)) + b"x_marker = 1\n",
    "minified.js": b"var x_marker=1;" * 20_000 + b"\n",
    "deep.json": b"[" * 50_000 + b"]" * 50_000,
    "many.json": b"{" + b",".join(b'"k%d":1' % i for i in range(50_000)) + b"}",
    "quotes.py": b'"""' * 5_001,
    "parens.c": b"(" * 30_000,
    "braces.rs": b"fn a(){" * 8_000,
    "templates.cpp": b"a<" * 8_000,
    "markdown.md": b"#" * 100_000 + b"\n" + b"> " * 20_000,
    "fences.md": b"```\n" * 10_001,
    "heredoc.sh": b"cat <<A\n" * 3_000,
    "indents.py": b"".join(b" " * i + b"if x:\n" for i in range(1_000)),
    "strings.rb": b'"#{' * 8_000,
    "tags.html": b"<div>" * 20_000,
    "yaml.yaml": b"- " * 20_000,
    "toml.toml": b"[a." * 8_000,
    "css.css": b"a{" * 15_000,
    "sql.sql": b"select (" * 5_000,
}
BINARY = {
    "nul.py": b"x_marker = 1\0\n",
    "image.png": b"\x89PNG\r\n\x1a\n\0\0\0",
    "zeros.txt": b"\0" * 1000,
}
DEPTH = 300


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    from codeintel_nb import Workspace

    root = write_tree(
        tmp_path_factory.mktemp("tree"),
        {f"content/{name}": data for name, data in (CONTENT | BINARY).items()},
    )
    write_tree(root, {f"many/{i}.txt": b"one of many\n" for i in range(10_000)})
    (root / "names").mkdir()
    for name in [*ODD_NAMES, os.fsdecode(b"not utf-8 \xff.py")]:
        (root / "names" / name).write_bytes(b"x_marker = 1\n")
    deep = root.joinpath("deep", *["down"] * DEPTH)
    deep.mkdir(parents=True)
    (deep / "x.py").write_text("x_marker = 1\n")
    special = root / "special"
    special.mkdir()
    os.mkfifo(special / "fifo.py")
    here = os.getcwd()
    os.chdir(special)  # the length of a socket's path is limited
    opened = socket.socket(socket.AF_UNIX)
    opened.bind("socket.py")
    opened.close()
    os.chdir(here)
    if os.geteuid() == 0:
        try:
            os.mknod(special / "device.py", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        except PermissionError:
            pass
    for link, target in (
        ("dangling.py", "nowhere.py"),
        ("escaping.py", "/etc/passwd"),
        ("escaping", "/etc"),
        ("loop", "."),
        ("self.py", "self.py"),
    ):
        (special / link).symlink_to(target)
    with (root / "huge.txt").open("wb") as file:
        file.write(b"x_marker " * (200_000_000 // 9))  # one line
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    yield workspace, workspace.index(root, name="hostile"), root
    workspace.close()


def test_everything_readable_is_indexed_and_the_rest_counted(hostile):
    _, report, _ = hostile
    assert report.files == 10_000 + len(ODD_NAMES) + len(CONTENT) + 1
    assert report.skipped.pop("not a regular file") >= 2
    assert report.skipped == {
        "binary": len(BINARY),
        "too large": 1,
        "symbolic link": 5,
        "name is not UTF-8": 1,
        FAILED: 1,
        SLOW: 1,
    }, "YAML's grammar crashes on nested lists"


def test_skipped_files_are_named(hostile):
    workspace, _, _ = hostile
    (status,) = workspace.status()
    assert set(status.examples["binary"]) == {f"content/{name}" for name in BINARY}
    assert status.examples["too large"] == ["huge.txt"]
    assert status.examples[FAILED] == ["content/yaml.yaml"]
    assert "special/escaping.py" in status.examples["symbolic link"]
    assert status.examples["name is not UTF-8"] == ["names/not utf-8 \ufffd.py"]
    said = "\n".join(status_notes([status], True))
    assert "  too large: huge.txt" in said
    assert "content/nul.py" in said


def test_files_are_found_under_their_own_names(hostile):
    workspace, _, _ = hostile
    paths = {hit.path for hit in workspace.search_text("x_marker", limit=1000)}
    assert {f"names/{name}" for name in ODD_NAMES} <= paths
    assert {
        f"content/{name}" for name, data in CONTENT.items() if b"x_marker" in (text_of(data) or b"")
    } <= paths
    assert [
        hit.path for hit in workspace.list_paths(Scope(include_globs=("content/yaml.yaml",)))
    ], "a file that crashes its grammar is still indexed"
    assert {"content/odd.ipynb", "/".join(["deep", *["down"] * DEPTH, "x.py"])} <= paths
    for name in ODD_NAMES:
        assert workspace.open_file("hostile", f"names/{name}").text.rstrip("\n") == "x_marker = 1"
    assert len(workspace.list_paths(Scope(include_globs=("many/**",)))) == 10_000
    assert [
        hit.start_line
        for hit in workspace.search_text("y = 2", Scope(include_globs=("content/crlf.py",)))
    ] == [2]


def test_second_run_finds_nothing_new(hostile):
    workspace, report, root = hostile
    again = workspace.index(root, name="hostile")
    assert (again.indexed, again.unchanged) == (0, report.files)


@pytest.mark.slow
def test_files_changing_or_vanishing_during_indexing(tmp_path, make_workspace):
    root = write_tree(
        tmp_path / "t", {f"{i}.py": f"def f{i}(): return {i}\n" * 50 for i in range(400)}
    )
    ended = threading.Event()

    def shake():
        chance = random.Random(3)
        while not ended.is_set():
            path = root / f"{chance.randrange(400)}.py"
            what = chance.randrange(3)
            if what == 0:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(
                    b"changed = 1\n" * chance.randrange(1, 2000) if what == 1 else b"\0" * 9
                )

    thread = threading.Thread(target=shake)
    thread.start()
    workspace = make_workspace()
    try:
        for _ in range(3):
            workspace.index(root, name="t")
    finally:
        ended.set()
        thread.join()
    report = workspace.index(root, name="t")
    assert report.files == sum(b"\0" not in path.read_bytes() for path in root.glob("*.py"))
    assert {hit.path for hit in workspace.search_text("changed", limit=1000, show="files")} == {
        path.name for path in root.glob("*.py") if b"changed" in path.read_bytes()
    }


MUTANTS = 20_000
LONGEST_S = 2.0
SPICE = [
    b"\0", b"\xff\xfe", b"\r", b"\n" * 50, b"(" * 200, b"{" * 200, b"'''", b'"', b"`", b"<" * 100,
    b"#", b"/*", b"*/", b"\xe2\x80\xae", b"\\", b"%{", b"${", b"<<EOF\n", b"\t" * 80, b"@",
    b"end\n", b"\xf0\x9f\x98\x80",
]  # fmt: skip
SEEDS = {name: (HERE / name).read_bytes() for name in EXPECTED} | {
    "a.ipynb": json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": "# T\n"},
                {"cell_type": "code", "source": ["def f():\n", "    return 1\n"], "outputs": []},
            ],
            "metadata": {},
        }
    ).encode(),
    "a.md": b"# A\n\n```python\nx = 1\n```\n## B\n",
    "a.py": b"class A:\n    '''Says.'''\n    def f(self):\n        return 1\n",
    "a.ts": b"interface A { b(): number }\n",
    "a.go": b"func F() {}\n",
    "a.rs": b"impl A for B { fn c() {} }\n",
    "a.java": b"class A { int b() { return 1; } }\n",
    "a.cpp": b"namespace a { template <class T> T b(T c) { return c; } }\n",
    "a.c": b"int a(void) { return 1; }\n",
    "a.jsx": b"const A = () => <div>{b}</div>;\n",
}


def mutated(data, chance):
    """Return the bytes after random cuts, copies, insertions and bit flips."""
    data = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at, length, what = (
            chance.randrange(len(data) + 1),
            chance.randrange(1, 80),
            chance.randrange(6),
        )
        if what == 0:
            del data[at : at + length]
        elif what == 1:
            data[at:at] = data[at : at + length] * chance.randrange(1, 8)
        elif what == 2:
            data[at:at] = chance.choice(SPICE)
        elif what == 3:
            other = chance.randrange(len(data) + 1)
            data[at:at] = data[other : other + length]
        elif what == 4 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.slow
def test_no_mutant_fails_hangs_or_breaks_the_tiling(tmp_path, make_workspace):
    """Check mutated notebooks and files of every language, one by one and as a folder."""
    names, chance, slowest = sorted(SEEDS), random.Random(20), (0.0, "", b"")
    for number in range(MUTANTS):
        name = names[number % len(names)]
        data = mutated(SEEDS[name], chance)
        place = tmp_path / "tree" / str(number // 500)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}{name}").write_bytes(data)
        began = time.perf_counter()
        if refusal(name, data) is None:
            assert_tiles(chunk_failsafe(name, data))
        slowest = max(slowest, (time.perf_counter() - began, name, data))
    assert slowest[0] < LONGEST_S, slowest
    workspace = make_workspace()
    report = workspace.index(tmp_path / "tree", name="tree")
    assert report.files + report.skipped["binary"] == MUTANTS
    assert set(report.skipped) == {"binary"}
    shown = workspace.list_paths(limit=None)
    for hit in random.Random(4).sample(list(shown), 200):
        text = text_of((tmp_path / "tree" / hit.path).read_bytes())
        if not hit.path.endswith(".ipynb"):
            assert workspace.open_file("tree", hit.path).text == decoded(text).removesuffix("\n")
