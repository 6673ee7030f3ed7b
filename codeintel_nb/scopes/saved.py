"""Named scopes, one file each, shared by a home's notebooks."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from ..errors import ScopeError, did_you_mean
from ..files import make_private, replace, storage_errors
from .scope import Scope, scope_from_wire

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?")


class NamedScopes:
    """Named scopes in the folder ``$CODEINTEL_HOME/v1/scopes``."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "v1" / "scopes"

    def save(self, name: str, scope: Scope) -> None:
        with storage_errors(self.folder):
            path = self._path(name)
            make_private(path.parent)
            replace(path, msgspec.json.encode(scope) + b"\n")

    def load(self, name: str) -> Scope:
        path = self._path(name)
        try:
            return scope_from_wire(msgspec.json.decode(path.read_bytes()))
        except FileNotFoundError:
            raise ScopeError(
                f"No scope is saved as {name!r}.{did_you_mean(name, self.names())}"
            ) from None
        except msgspec.DecodeError as error:
            raise ScopeError(
                f"The saved scope {path} is damaged: {error}. "
                f"To save it again, run: %scope save {name}"
            ) from error

    def remove(self, name: str) -> None:
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise ScopeError(
                f"No scope is saved as {name!r}.{did_you_mean(name, self.names())}"
            ) from None

    def all(self) -> dict[str, Scope]:
        return {name: self.load(name) for name in self.names()}

    def names(self) -> list[str]:
        return sorted(
            path.stem for path in self.folder.glob("*.json") if _NAME.fullmatch(path.stem)
        )

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            if not name:
                raise ScopeError("The scope needs a name. Run: %scope save NAME")
            raise ScopeError(
                f"The scope name {name!r} is invalid. Use 1 to 64 letters, digits, spaces "
                "and . _ -, starting with a letter or digit."
            )
        return self.folder / f"{name}.json"
