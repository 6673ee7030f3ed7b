"""Folders below which the clients of a server may index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import SourceError
from ..sources.repository import Repository


class Roots:
    """Folders that a server may index."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = [Path(folder).expanduser().resolve() for folder in folders]

    def check(self, repository: Repository, kernel_python: str, is_personal: bool) -> None:
        """Raise SourceError unless the server may index a repository's folder.

        The packages of this interpreter and of ``kernel_python`` are always allowed.
        """
        allowed = [
            *self._folders,
            *(_site_packages(kernel_python) if repository.source == "package" else ()),
        ]
        root = Path(repository.root)
        if any(root.is_relative_to(folder) for folder in allowed):
            return
        names = ", ".join(map(str, self._folders)) or "the folders of its packages"
        if is_personal:
            raise SourceError(
                f"{repository.root} is outside this server's folder ({names}). "
                "To allow it, index it in the side bar's panel and confirm, "
                f"or run in a terminal: codeintel index {repository.root}"
            )
        raise SourceError(
            f"{repository.root} is outside this server's folder ({names}). To allow it, add "
            f"c.CodeIntelApp.allowed_roots = [{repository.root!r}] to jupyter_server_config.py "
            f"and restart the server, or run: codeintel serve --root {repository.root}"
        )


def _site_packages(python: str) -> list[Path]:
    """Return the package folders of this interpreter and a kernel's."""
    import site
    import sysconfig

    folders = {
        *site.getsitepackages(),
        site.getusersitepackages(),
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    }
    if os.path.isabs(python):
        # symlinks are not resolved, as the python of a virtual environment is one
        prefix = Path(python).parent.parent
        folders |= {str(folder) for folder in prefix.glob("lib/python*/site-packages")} | {
            str(prefix / "Lib" / "site-packages")
        }
    return [Path(folder).resolve() for folder in folders]
