"""Where the libraries of the grammars are unpacked: a folder that a library can be loaded from."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import EngineError

VARIABLE = "SEMBLE_GRAMMARS_CACHE_DIR"  # by which the package of the grammars is told
PROBE = "json"  # the smallest grammar


def use_grammar_folder(home: Path) -> str:
    """Have this process unpack grammars where they can be loaded, and return the folder.

    A home that is mounted without the right to execute (noexec) cannot hold them: then they go to the user's cache, or to a
    folder of this process alone.

    Raises
    ------
    EngineError : no folder will do, so that no syntax can be read.
    """
    from semble_grammars import GrammarLoadError, get_language

    reasons = []
    for folder in _folders(home):
        os.environ[VARIABLE] = folder
        try:
            get_language(PROBE)
        except (GrammarLoadError, OSError) as error:
            reasons.append(f"{folder}: {error.__cause__ or error}")
        else:
            return folder
    del os.environ[VARIABLE]
    raise EngineError(f"No grammar can be loaded ({'; '.join(reasons)}). Set {VARIABLE} to a folder that programs may be run from.")


def _folders(home: Path) -> Iterator[str]:
    if given := os.environ.get(VARIABLE):
        yield given
    yield str(home / "v1" / "grammars")
    cache = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if os.path.isabs(cache):
        yield os.path.join(cache, "codeintel", "grammars")
    own = tempfile.mkdtemp(prefix="codeintel-grammars-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    yield own
