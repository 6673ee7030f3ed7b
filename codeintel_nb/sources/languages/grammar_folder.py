"""Folder of unpacked grammars, from which libraries can be loaded."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ...errors import EngineError

TEMPORARY = "CODEINTEL_GRAMMARS_TMP"  # folder made if needed, and removed by the parent process
VARIABLE = "SEMBLE_GRAMMARS_CACHE_DIR"  # read by the grammars' package
PROBE = "json"  # the smallest grammar


def use_grammar_folder(home: Path) -> str:
    """Make grammars unpack where they can load; return the folder.

    Loading fails on a home mounted noexec. The fallbacks are the user's cache, then a temporary
    folder of this process.

    Raises
    ------
    EngineError : loading fails from every folder, so no syntax can be parsed.
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
    raise EngineError(
        f"No grammar can be loaded ({'; '.join(reasons)}). "
        f"Set {VARIABLE} to a folder on a file system that allows execution."
    )


def _folders(home: Path) -> Iterator[str]:
    if configured := os.environ.get(VARIABLE):
        yield configured
    yield str(home / "v1" / "grammars")
    cache = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    if os.path.isabs(cache):
        yield os.path.join(cache, "codeintel", "grammars")
    yield str(temporary_folder())


@cache
def temporary_folder() -> Path:
    """Return this process's temporary folder, removed at exit.

    A build's children use their parent's.
    """
    if shared := os.environ.get(TEMPORARY):
        os.makedirs(shared, mode=0o700, exist_ok=True)
        return Path(shared)
    own = tempfile.mkdtemp(prefix="codeintel-grammars-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)
