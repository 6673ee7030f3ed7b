"""Settings, read once at the edge and passed inwards."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from .errors import CodeIntelError, check_text

SHARED = "CODEINTEL_SHARED"  # variable with the shared homes, separated as in PATH


class SharedPlaces(NamedTuple):
    """Shared homes: folders, and URLs of buckets."""

    folders: tuple[Path, ...]
    buckets: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> SharedPlaces:
        """Return the homes in a text, separated as in PATH; repetitions are left out."""
        # the colon of s3:// separates nothing
        places = re.split(rf"{re.escape(os.pathsep)}(?!//)", text)
        return cls.listed(places)

    @classmethod
    def listed(cls, places: Iterable[str]) -> SharedPlaces:
        names = [place.strip() for place in places if place.strip()]
        folders = [Path(name).expanduser().absolute() for name in names if "://" not in name]
        buckets = [name.rstrip("/") for name in names if "://" in name]
        return cls(tuple(dict.fromkeys(folders)), tuple(dict.fromkeys(buckets)))


class Settings(msgspec.Struct, frozen=True):
    """Settings of the owner, by default for one person's machine."""

    home: Path
    shared_homes: tuple[Path, ...] = ()  # of other owners, only read
    buckets: tuple[str, ...] = ()  # URLs of shared homes on object storage
    mirror_bytes: int = 20_000_000_000  # of the local copies of all buckets
    max_file_bytes: int = 2_000_000  # of searched text; of a notebook, that of its cells
    max_notebook_bytes: int = 100_000_000  # of a notebook's file, pictures in its outputs included
    shard_bytes: int = 64_000_000  # text in one shard; a larger shard takes more memory to build
    piece_bytes: int = 4_000_000  # text in a piece, read by one process of a large build
    build_workers: int = 0  # processes of a large build; 0: as many as CPUs and memory allow
    engine: str = ""  # of searches on a server, and of builds; empty for this machine
    search_processes: int = 0  # of a server, for semantic searches; 0: one per CPU, at most 4
    # read to count matches beyond a search's limit; after that the total is a lower bound
    count_bytes: int = 256_000_000
    # chunks in scope; with more, a semantic search compares coarse codes first
    full_scan_chunks: int = 300_000
    retired_shard_age_s: float = 600.0
    session_max_age_s: float = 3600.0
    max_sessions: int = 10_000
    prune_interval_s: float = 600.0

    @classmethod
    def from_environment(
        cls, home: str | Path | None = None, environment: Mapping[str, str] = os.environ
    ) -> Settings:
        """Return settings with the environment's variables applied.

        They are ``CODEINTEL_HOME``, ``CODEINTEL_SHARED``, ``CODEINTEL_MIRROR_BYTES``,
        ``CODEINTEL_MAX_FILE_BYTES``, ``CODEINTEL_MAX_NOTEBOOK_BYTES``, ``CODEINTEL_COUNT_BYTES``,
        ``CODEINTEL_FULL_SCAN_CHUNKS``, ``CODEINTEL_BUILD_WORKERS``, ``CODEINTEL_ENGINE``,
        ``CODEINTEL_SEARCH_PROCESSES`` and ``SESSION_MAX_AGE_SECONDS``.
        ``home`` comes before ``CODEINTEL_HOME``, and that before the user's data folder.

        Raises
        ------
        CodeIntelError : the user has no home folder, and neither ``home`` nor ``CODEINTEL_HOME``
            is given; a variable is not a positive number.
        """
        shared = SharedPlaces.of(environment.get(SHARED, ""))
        if home is not None and "://" in str(home):  # a bucket: its copy is in the user's own home
            shared = SharedPlaces.listed([*map(str, shared.folders), str(home), *shared.buckets])
            home = None
        try:
            place = (
                Path(home or environment.get("CODEINTEL_HOME") or _user_data_folder())
                .expanduser()
                .absolute()
            )
        except RuntimeError as error:
            raise CodeIntelError(
                f"This user has no home folder for the index ({error}). "
                "Set CODEINTEL_HOME to a folder that you own."
            ) from None
        check_text(str(place), "The index home")
        return cls(
            home=place,
            shared_homes=shared.folders,
            buckets=shared.buckets,
            mirror_bytes=_bytes(environment, "CODEINTEL_MIRROR_BYTES", 20_000_000_000),
            max_file_bytes=_bytes(environment, "CODEINTEL_MAX_FILE_BYTES", 2_000_000),
            max_notebook_bytes=_bytes(environment, "CODEINTEL_MAX_NOTEBOOK_BYTES", 100_000_000),
            count_bytes=_bytes(environment, "CODEINTEL_COUNT_BYTES", 256_000_000),
            full_scan_chunks=_count(environment, "CODEINTEL_FULL_SCAN_CHUNKS", 300_000),
            build_workers=_processes(environment, "CODEINTEL_BUILD_WORKERS", "worker"),
            engine=environment.get("CODEINTEL_ENGINE", "").strip(),
            search_processes=_processes(environment, "CODEINTEL_SEARCH_PROCESSES", "process"),
            session_max_age_s=_number(environment, "SESSION_MAX_AGE_SECONDS", 3600.0),
        )

    @property
    def cluster(self) -> str:
        """Return the address of a cluster of other machines; empty if there is none."""
        return self.engine if "://" in self.engine and self.engine != "dask://local" else ""

    def shared_variables(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the variable with the shared homes, unless the environment has these."""
        own = SharedPlaces(self.shared_homes, self.buckets)
        if SharedPlaces.of(environment.get(SHARED, "")) == own:
            return {}
        return {SHARED: os.pathsep.join([*map(str, own.folders), *own.buckets])}

    def raw_limit(self, path: str) -> int:
        """Return a file's maximum size in bytes, by its name."""
        return (
            max(self.max_notebook_bytes, self.max_file_bytes)
            if path.lower().endswith((".ipynb", ".zpln"))
            else self.max_file_bytes
        )


def _user_data_folder() -> str:
    import platformdirs

    return platformdirs.user_data_dir("codeintel", appauthor=False)


def _bytes(environment: Mapping[str, str], name: str, default: int) -> int:
    return _count(environment, name, default, "byte")


def _processes(environment: Mapping[str, str], name: str, of: str) -> int:
    if environment.get(name, "").strip() in ("", "0"):
        return 0
    return _count(environment, name, 0, of)


def _count(environment: Mapping[str, str], name: str, default: int, of: str = "chunk") -> int:
    value = _number(environment, name, default)
    if value < 1:
        raise CodeIntelError(
            f"The environment variable {name} must be at least 1 {of}, not {environment[name]!r}. "
            f"Set it to a number of {of}s, or unset it."
        )
    return int(value)


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < math.inf:
        raise CodeIntelError(
            f"The environment variable {name} must be a positive number, not {text!r}. "
            "Set it to a number, or unset it."
        )
    return value
