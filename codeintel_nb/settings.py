"""Settings, read once at the edge and passed inwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .errors import CodeIntelError


class Settings(msgspec.Struct, frozen=True):
    """What an owner may set; every field has a default that serves one person on one machine."""

    home: Path
    max_file_bytes: int = 2_000_000  # of the text that is searched: of a notebook, its cells
    max_notebook_bytes: int = 100_000_000  # of a notebook's file, with the pictures in its outputs
    shard_bytes: int = 250_000_000  # text in one shard; a larger shard takes more memory to build
    count_bytes: int = 256_000_000  # read to count the matches beyond a search's limit; beyond them the total is a lower bound
    retired_shard_age_s: float = 600.0
    session_max_age_s: float = 3600.0
    max_sessions: int = 10_000
    prune_interval_s: float = 600.0

    @classmethod
    def from_environment(cls, home: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
        """Settings with ``CODEINTEL_HOME``, ``CODEINTEL_MAX_FILE_BYTES``, ``CODEINTEL_MAX_NOTEBOOK_BYTES``,
        ``CODEINTEL_COUNT_BYTES`` and ``SESSION_MAX_AGE_SECONDS`` applied; CodeIntelError where the user has no home folder and none is set."""
        try:
            place = Path(home or environment.get("CODEINTEL_HOME") or _user_data_folder()).expanduser().absolute()
        except RuntimeError as error:
            raise CodeIntelError(f"This user has no home folder to keep the index in ({error}). Set CODEINTEL_HOME to a folder that you own.") from None
        return cls(
            home=place,
            max_file_bytes=int(_number(environment, "CODEINTEL_MAX_FILE_BYTES", 2_000_000)),
            max_notebook_bytes=int(_number(environment, "CODEINTEL_MAX_NOTEBOOK_BYTES", 100_000_000)),
            count_bytes=int(_number(environment, "CODEINTEL_COUNT_BYTES", 256_000_000)),
            session_max_age_s=_number(environment, "SESSION_MAX_AGE_SECONDS", 3600.0),
        )

    def raw_limit(self, path: str) -> int:
        """Return the largest file size, in bytes, that is read under this name."""
        return max(self.max_notebook_bytes, self.max_file_bytes) if path.lower().endswith((".ipynb", ".zpln")) else self.max_file_bytes


def _user_data_folder() -> str:
    import platformdirs

    return platformdirs.user_data_dir("codeintel", appauthor=False)


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    said = environment.get(name, "")
    if not said:
        return default
    try:
        value = float(said)
    except ValueError:
        value = -1
    if value <= 0:
        raise CodeIntelError(f"The environment variable {name} is {said!r}, not a positive number. Unset it or give a number.")
    return value
