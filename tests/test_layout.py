"""Imports go one way, and heavy modules load late."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import codeintel_nb
import jupyter_ext

ROOT = Path(codeintel_nb.__file__).parent
FLOORS = [
    ["version"],
    ["errors", "exchange", "settings"],
    ["files"],
    ["scopes"],
    ["sources"],
    ["embedding"],
    ["index"],
    ["search"],
    ["engines"],
    ["offers", "compactor", "outlay", "renewal", "statuses"],
    ["repository_list"],
    ["repositories"],
    ["current_files"],
    ["searches"],
    ["indexer", "projects"],
    ["workspace"],
    ["operations"],
    ["output", "client"],
    ["diagnostics", "server"],
    ["mcp_server"],
    ["serve"],
    ["notebook", "cli"],
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def rooms_imported(path):
    package = ["codeintel_nb", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            target = package[: len(package) - node.level + 1] + (
                node.module.split(".") if node.module else []
            )
            yield target[1] if len(target) > 1 else node.names[0].name


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_module_imports_only_from_lower_floors(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if room in FLOOR_OF:
        for imported in rooms_imported(path):
            if imported != room and imported in FLOOR_OF:
                same_floor_values = room == "settings" and imported == "errors"
                assert FLOOR_OF[imported] < FLOOR_OF[room] or same_floor_values, (
                    f"{room} imports {imported}"
                )


def test_no_files_import_each_other_in_a_circle():
    modules, imports = dict[str, Path](), dict[str, set[str]]()
    for folder in (ROOT, Path(jupyter_ext.__file__).parent):
        for path in folder.rglob("*.py"):
            if "lab" not in path.parts:
                name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
                modules[name.removesuffix(".__init__")] = path
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imports[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                above = package.rsplit(".", node.level - 1)[0] if node.level else ""
                base = ".".join(filter(None, [above, node.module]))
                imports[name] |= {
                    found
                    for alias in node.names
                    for found in (f"{base}.{alias.name}", base)
                    if found in modules and (found != base or f"{base}.{alias.name}" not in modules)
                }
    left = {name: targets - {name} for name, targets in imports.items()}
    while free := {name for name, targets in left.items() if not targets}:
        left = {name: targets - free for name, targets in left.items() if name not in free}
    assert not left, "each of these imports another of them, or a circle"


def test_files_and_functions_are_short():
    long_files, long_functions = [], []
    for folder in (ROOT, Path(jupyter_ext.__file__).parent):
        for path in folder.rglob("*.py"):
            if "lab" in path.parts:  # packages of Node
                continue
            text = path.read_text(encoding="utf-8")
            if text.count("\n") > 400:
                long_files.append(path.name)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    assert node.end_lineno is not None
                    if node.end_lineno - node.lineno >= 60:
                        long_functions.append(f"{path.name}:{node.lineno} {node.name}")
    assert (long_files, long_functions) == ([], [])


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy():
    loaded = modules_after("import codeintel_nb")
    assert not loaded & {
        "numpy",
        "duckdb",
        "faiss",
        "tokenizers",
        "tree_sitter",
        "pandas",
        "pyarrow",
        "IPython",
        "msgspec",
    }


def test_opening_a_workspace_loads_nothing_heavy():
    loaded = modules_after("from codeintel_nb import Workspace; Workspace.open('/tmp/none')")
    assert not loaded & {
        "duckdb",
        "faiss",
        "tokenizers",
        "tree_sitter",
        "pandas",
        "pyarrow",
        "IPython",
        "pathspec",
    }


ENGINE = {
    "numpy",
    "duckdb",
    "faiss",
    "re2",
    "tokenizers",
    "tree_sitter",
    "semble_grammars",
    "pathspec",
    "filelock",
    "jupyter_server",
    "pandas",
    "pyarrow",
}


PANEL, MAP = (ROOT / "notebook" / name for name in ("panel.py", "codemap.py"))


def test_panel_needs_anywidget_and_no_engine():
    loaded = modules_after("import codeintel_nb.notebook.panel")
    assert "anywidget" in loaded
    assert not loaded & ENGINE


def test_magics_and_client_need_only_msgspec_and_ipython():
    """A kernel whose environment lacks the engine's packages works through the server."""
    modules = [
        path.relative_to(ROOT).with_suffix("").parts
        for path in (
            *sorted(set((ROOT / "notebook").glob("*.py")) - {PANEL, MAP}),
            ROOT / "client" / "http.py",
            ROOT / "client" / "connection.py",
        )
    ]
    loaded = modules_after(
        "import "
        + ", ".join(
            ".".join(("codeintel_nb", *parts)).removesuffix(".__init__") for parts in modules
        )
    )
    assert not loaded & ENGINE
    third_party = {
        name.partition(".")[0]
        for name in loaded
        - modules_after(
            "import IPython.core.magic, IPython.display, IPython.core.completer, "
            "msgspec, pygments.lexers"
        )
    }
    assert third_party - set(sys.stdlib_module_names) == {"codeintel_nb"}


@pytest.mark.parametrize(
    "path", sorted(Path(jupyter_ext.__file__).parent.glob("*.py")), ids=lambda path: path.name
)
def test_extension_does_not_import_the_notebook_or_cli(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("codeintel_nb."):
            assert node.module.split(".")[1] in set().union(*FLOORS[:-1]), node.module


def test_public_names_are_frozen():
    assert sorted(codeintel_nb.__all__) == [
        "CodeIntelError",
        "Hit",
        "Panel",
        "Results",
        "Scope",
        "Workspace",
        "load_ipython_extension",
    ]
    for name in codeintel_nb.__all__:
        assert getattr(codeintel_nb, name) is not None
    with pytest.raises(AttributeError):
        _ = codeintel_nb.nothing


def test_errors_form_one_tree():
    from codeintel_nb import errors

    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, errors.CodeIntelError)
            assert name in (errors.__doc__ or "")


PARTICIPLES = {
    "said", "held", "met", "told", "found", "kept", "wanted", "asked", "given", "known", "seen",
    "done", "read",
}  # fmt: skip


def test_locals_are_nouns():
    """Fields of five values are left; the count may only fall."""
    names = []
    for folder in (ROOT, Path(jupyter_ext.__file__).parent):
        for path in folder.rglob("*.py"):
            if "node_modules" in path.parts:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names += [
                f"{path.name}:{node.lineno} {node.id}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Store)
                and node.id in PARTICIPLES
            ]
    assert len(names) <= 5, names


ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
MAX_SENTENCE_WORDS = 25


def files_by_section():
    """Map each folder with a section in ARCHITECTURE.md to the files in its tables."""
    files, current = {}, None
    for line in ARCHITECTURE.splitlines():
        if line.startswith("#"):
            heading = re.fullmatch(r"#+ `([\w/]+)/`", line)
            current = files.setdefault(heading[1], set()) if heading else None
        elif line.startswith("|") and current is not None:
            current.update(re.findall(r"`([\w/]+\.py)`", line.split("|")[1]))
    return files


def test_architecture_names_every_module():
    """Each in the section of its folder, or by its longer path in that of a folder above."""
    sections = {
        folder if folder in ("codeintel_nb", "jupyter_ext") else f"codeintel_nb/{folder}": named
        for folder, named in files_by_section().items()
    }
    modules = {
        path.relative_to(ROOT.parent)
        for folder in (ROOT, Path(jupyter_ext.__file__).parent)
        for path in folder.rglob("*.py")
        if path.name != "__init__.py" and "node_modules" not in path.parts
    }
    missing = []
    for module in sorted(modules):
        folder = next(above for above in module.parents if above.as_posix() in sections)
        if module.relative_to(folder).as_posix() not in sections[folder.as_posix()]:
            missing.append(module.as_posix())
    assert not missing
    named = {Path(folder, name) for folder, names in sections.items() for name in names}
    assert not named - modules


def test_architecture_has_short_sentences():
    text = re.sub(r"^```.*?^```", "", ARCHITECTURE, flags=re.S | re.M)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#"))]
    sentences = [
        sentence
        for paragraph in re.split(r"\n(?:\s*\n|(?=- |\d+\. ))", "\n".join(lines))
        for sentence in re.split(r"(?<=[.?!])\s+", paragraph.strip())
    ]
    long = [one for one in sentences if len(one.split()) > MAX_SENTENCE_WORDS]
    assert not long
