"""Definitions in real code, compared with those of universal-ctags.

Only functions, classes and methods that both report count: no prototypes, variables, type aliases,
members or anonymous definitions. Names must be equal, and lines differ by at most two.
"""

import json
import subprocess
import sysconfig
from collections import defaultdict
from pathlib import Path

import pytest

from codeintel_nb.sources.document import document_of

PACKAGES = Path(sysconfig.get_paths()["purelib"])
STANDARD = Path(sysconfig.get_paths()["stdlib"])
LANGUAGES = Path(__file__).parent / "languages"
PROJECTS = Path(__file__).parent / "projects"
MAX_LOST = 0.03
# language: ctags' name of it, ctags' kinds, folders with real code, suffixes
CASES = {
    "python": (
        "Python",
        "cfm",
        [PACKAGES / "numpy/lib", PACKAGES / "IPython/core", STANDARD / "email"],
        (".py",),
    ),
    "c": (
        "C",
        "fgsu",
        [PACKAGES / "numpy", PACKAGES / "mypyc", PACKAGES / "zmq", PROJECTS],
        (".h", ".c"),
    ),
    "cpp": (
        "C++",
        "cfgsu",
        [PACKAGES / "pyarrow/include/arrow", PACKAGES / "greenlet"],
        (".h", ".hpp", ".cpp", ".cc"),
    ),
    "typescript": (
        "TypeScript",
        "cfim",
        [Path(__file__).parents[2] / "jupyter_ext/lab/src", PROJECTS],
        (".ts",),
    ),
    "sql": ("SQL", "PTfpt", [LANGUAGES, PROJECTS, Path(__file__).parent / "dialects"], (".sql",)),
    "go": ("Go", "fsit", [PROJECTS], (".go",)),
    "java": ("Java", "cgim", [PROJECTS], (".java",)),
    "rust": ("Rust", "fPsgnti", [PROJECTS], (".rs",)),
    "ruby": ("Ruby", "cfmS", [LANGUAGES, PROJECTS], (".rb",)),
    "php": ("PHP", "cfit", [LANGUAGES, PROJECTS], (".php",)),
    "bash": ("Sh", "f", [LANGUAGES, PROJECTS], (".sh", ".bash")),
    "lua": ("Lua", "f", [LANGUAGES, PROJECTS], (".lua",)),
    "r": ("R", "f", [LANGUAGES, PROJECTS], (".R",)),
}


def files_of(language):
    _, _, folders, endings = CASES[language]
    files = sorted(
        path
        for folder in folders
        if folder.exists()
        for path in folder.rglob("*")
        if path.suffix in endings and path.is_file()
    )
    return [
        path for path in files if document_of(path.name, path.read_bytes()).language == language
    ][:400]


def tags_of(language, files):
    name, kinds, _, _ = CASES[language]
    command = [
        "ctags",
        "--options=NONE",
        f"--languages={name}",
        f"--language-force={name}",
        f"--kinds-{name}={kinds}",
        "--output-format=json",
        "--fields=+nKZ",
        "-f",
        "-",
        "-L",
        "-",
    ]
    done = subprocess.run(
        command, input="\n".join(map(str, files)), capture_output=True, text=True, check=True
    )
    for line in done.stdout.splitlines():
        tag = json.loads(line)
        if (
            tag["_type"] == "tag"
            and not tag["name"].startswith("__anon")
            and not tag["name"].startswith(("anonymous", "AnonymousFunction", "anonFunc"))
        ):
            yield tag["path"], tag["line"], tag["name"]


def plain(name):
    return (
        "".join(name.rpartition("::")[2].rpartition(".")[2].rpartition(":")[2].split())
        .strip('"`[]')
        .split("<")[0]
        .split("(")[0]
    )


@pytest.mark.parametrize(
    "language",
    [pytest.param(name, marks=pytest.mark.slow) if name == "cpp" else name for name in CASES],
)
def test_at_most_three_percent_of_definitions_are_missing(language):
    files = files_of(language)
    ours = defaultdict(set)
    for path in files:
        for symbol in document_of(path.name, path.read_bytes()).symbols:
            ours[str(path), plain(symbol.name)].add(symbol.start_line)
    tags = list(tags_of(language, files))
    lost = [
        (path, line, name)
        for path, line, name in tags
        if not any(abs(line - own) <= 2 for own in ours.get((path, plain(name)), ()))
    ]
    assert len(tags) >= 5
    assert len(lost) <= MAX_LOST * len(tags), lost[:50]
