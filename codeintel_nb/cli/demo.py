"""Command codeintel demo: index, scope, search and next steps.

Unless a folder is given, it runs on code at hand: this program's own and an installed package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import msgspec

from ..errors import MissingExtra, SourceError
from ..output.plain_text import plain
from ..output.progress import TerminalProgress, plural, summary
from ..output.terminal import emit_json
from ..scopes.scope import Scope
from ..sources.project import current_folder
from ..workspace import Workspace

PACKAGE = "IPython"  # a dependency, so always installed
HITS = 3
QUICKSTART = "01_quickstart.ipynb"


def run_demo(
    workspace: Workspace, path: str | None, lab: bool, as_json: bool, is_temporary: bool
) -> int:
    """Index, set a scope, search by text and by meaning.

    The caller deletes a temporary index.
    """
    say = (lambda line="": None) if as_json else print
    own = Path(__file__).resolve().parents[2]
    folder = (
        Path(path) if path else own if (own / "pyproject.toml").exists() else own / "codeintel_nb"
    )
    name = folder.resolve().name if path else "codeintel-nb"
    say(f"Indexing {folder}{'' if path else f' and the installed package {PACKAGE}'}")
    with TerminalProgress() as progress:
        reports = [workspace.index(folder, name, progress)]
        if not path:
            reports.append(workspace.index_package(PACKAGE, progress=progress))
    for report in reports:
        say(f"  {summary(report)}")

    scope = (
        Scope(repos=(name,))
        if path
        else Scope(
            repos=(reports[-1].repository,), languages=("python",), include_globs=("core/**",)
        )
    )
    question = "how are files read" if path else "where is the traceback of an exception printed"
    pattern = r"def \w*(open|read|load)\w*" if path else r"def \w*completer?_\w+"
    say(f"\n%scope set {scope.describe()}")
    coverage = workspace.count(scope)
    say(
        f"  {coverage.files_in_scope:,} of {plural(coverage.files, 'file')}, "
        f"{coverage.chunks_in_scope:,} of {plural(coverage.chunks, 'chunk')} in scope"
    )
    lines = workspace.search_text(pattern, scope, regex=True, limit=HITS)
    say(f"\n%textsearch --limit {HITS} --regex {pattern}\n{plain(lines)}")
    chunks = workspace.semantic_search(question, scope, limit=HITS)
    say(f"\n%semsearch --limit {HITS} {question}\n{plain(chunks)}")
    if as_json:
        emit_json(
            msgspec.json.encode(
                {"indexed": reports, "scope": scope, "text": lines, "semantic": chunks}
            ).decode()
        )
    if lab:
        return open_quickstart(workspace.settings.home, is_temporary)
    say(_advice(workspace.settings.home, is_temporary))
    return 0


def _advice(home: Path, is_temporary: bool) -> str:
    index = (
        "The demo's index has been deleted" if is_temporary else f"The demo's index is in {home}"
    )
    return (
        f"\n{index}. Next, in a notebook or IPython:\n"
        "    %load_ext codeintel_nb\n"
        "    %codeindex add                                      the notebook's project\n"
        "    %scope set --lang python --exclude '**/tests/**'\n"
        "    %semsearch a question in plain words\n"
        "Or open the quickstart in JupyterLab: codeintel demo --lab"
    )


def open_quickstart(home: Path, is_temporary: bool) -> int:
    """Run JupyterLab here, on a copy of the tutorials."""
    if not sys.stdin.isatty():  # nobody could close it: print how to start it, and return
        print(
            "JupyterLab was not started, as there is no terminal. "
            "Run in a terminal: codeintel demo --lab",
            file=sys.stderr,
        )
        return 0
    if find_spec("jupyterlab") is None:
        raise MissingExtra("lab", needed_by="codeintel demo --lab")
    folder = copy_of_tutorials(current_folder())
    index = "is deleted when it exits" if is_temporary else f"is in {home}"
    print(
        f"The tutorials are in {folder}; delete it when you are done. "
        f"The index of this JupyterLab {index}."
    )
    home_folder = str(Path.home())  # lets %codeindex add index the user's own folders
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--CodeIntelApp.allowed_roots={home_folder}",
        str(folder / QUICKSTART),
    ]
    lab = subprocess.Popen(command, env={**os.environ, "CODEINTEL_HOME": str(home)})
    while True:
        try:
            return lab.wait()
        except KeyboardInterrupt:  # JupyterLab gets it too: it asks, then ends its kernels
            continue


def copy_of_tutorials(folder: Path) -> Path:
    """Copy missing tutorials into a subfolder of ``folder``; return the subfolder.

    SourceError if it cannot be written.
    """
    target = folder / "codeintel-tutorials"
    try:
        target.mkdir(exist_ok=True)
        for notebook in tutorials().glob("*.ipynb"):
            if not (target / notebook.name).exists():
                shutil.copy(notebook, target)
    except OSError as error:
        raise SourceError(
            f"The tutorials cannot be copied to {target} ({error.strerror}). "
            "Run codeintel demo --lab in a folder that you can write to."
        ) from error
    return target


def tutorials() -> Path:
    """Return the tutorials' folder: in the source tree, else as installed."""
    own = Path(__file__).resolve().parents[2] / "notebooks"
    return (
        own
        if (own / QUICKSTART).exists()
        else Path(sysconfig.get_path("data")) / "share" / "codeintel-nb" / "notebooks"
    )
