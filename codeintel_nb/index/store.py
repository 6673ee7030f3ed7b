"""Store of repositories, and snapshots of their current shards."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec

from ..errors import ShardError
from ..files import make_private, replace, storage_errors
from ..sources.repository import Repository, how_to_rebuild
from .adoption import REBUILD, RENAMED, adopt, described, sweep_parts
from .locking import acquire_lock
from .publishing import copy_permissions, file_mode, give_to_group, open_shards
from .shard.manifest import FORMAT, HOW_TO_FIND, HOW_TO_REBUILD, OLD_FORMAT
from .shard.mapping import FILES_EXHAUSTED
from .update.report import Progress

REMOVED = ".removed-"  # prefix of a removed repository's folder until it is deleted


class ShardRef(msgspec.Struct, frozen=True):
    """Shard of a snapshot; ``dead`` are tombstones of outdated files."""

    id: str
    dead: tuple[int, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """State of a repository's index; replaced as a whole, never changed."""

    format: int = FORMAT
    generation: int = 0
    embedder: str = ""
    shards: tuple[ShardRef, ...] = ()
    # shard id -> when it was retired (Unix time); new readers do not open it
    retired: dict[str, float] = {}
    complete: bool = False  # False while a first build publishes shard by shard
    files: int = 0
    chunks: int = 0
    content_bytes: int = 0
    skipped: dict[str, int] = {}  # reason -> files or folders
    examples: dict[str, list[str]] = {}  # reason -> paths of the first
    secrets: tuple[str, ...] = ()  # paths left out as likely to contain keys
    indexed_at: float = 0.0  # seconds since 1970
    commit: str = ""  # checked out at that time, in a git worktree

    @property
    def version(self) -> str:
        """Return the time of the index, and its commit if there is one."""
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.indexed_at))
        return f"{at}, commit {self.commit[:10]}" if self.commit else at


class StoredRepository(NamedTuple):
    """Repository in the store."""

    repository: Repository
    folder: Path
    shared: str = ""  # the home of another owner, which is only read; empty: the store's own

    @property
    def is_remote(self) -> bool:
        """Whether it is of another machine, whose paths mean nothing here."""
        return "://" in self.shared

    @property
    def shards(self) -> Path:
        return self.folder / "shards"

    def named(self, message: str) -> str:
        """Return a shard's error with the repository, and how to rebuild it."""
        how = (
            f"Ask the owner of {self.shared} to rebuild {self.repository.name!r}"
            if self.shared
            else f"To rebuild {self.repository.name!r}, run: {how_to_rebuild(self.repository)}"
        )
        return message.replace(HOW_TO_FIND, "").replace(HOW_TO_REBUILD, how)

    def shard(self, shard_id: str) -> Path:
        """Return a shard's folder, cached for searches."""
        return _shard_folder(self.folder, shard_id)

    def key(self, shard_id: str) -> str:
        """Return a shard's folder with /, relative to the store's; absolute if it is shared."""
        if self.shared:
            return self.shard(shard_id).as_posix()
        return _shard_key(self.folder, shard_id)


@lru_cache(4096)
def _shard_folder(folder: Path, shard_id: str) -> Path:
    return folder / "shards" / shard_id


@lru_cache(4096)
def _shard_key(folder: Path, shard_id: str) -> str:
    version = folder.parent.parent.name
    above = "" if version == f"v{FORMAT}" else f"../../{version}/repositories/"
    return f"{above}{folder.name}/shards/{shard_id}"


class SharedHome:
    """Index home of another owner, which is only read."""

    def __init__(self, home: Path, name: str) -> None:
        self.home, self.name = home, name  # its folder, and how users know it
        self.problem = ""  # why it is not up to date

    def prepare(self, progress: Callable[[Progress], None] = lambda event: None) -> None:
        """Bring it up to date before repositories are listed."""

    def close(self) -> None: ...


class Store:
    """Folder of every repository's index: ``$CODEINTEL_HOME/v{FORMAT}/repositories``.

    Each format has its own folder. Indexes in the previous format are adopted. Where that fails, as
    in a read-only home, they are searched in their own folder.

    Repositories of ``shared`` homes are listed, too, unless an own one has the same name. The file
    system decides who may read them: one without permission is not listed.
    """

    def __init__(self, home: Path, shared: Sequence[SharedHome] = ()) -> None:
        self.home, self.shared = home, tuple(shared)
        # folder with an unreadable description, or unreadable shared home -> reason
        self.damaged: dict[str, str] = {}
        self.root = _root(home)
        self._old = home / f"v{OLD_FORMAT}" / "repositories"
        with suppress(OSError):
            if self._old.is_dir():
                adopt(self._old, self.root, FORMAT)

    def close(self) -> None:
        """Stop what keeps shared homes up to date."""
        for shared in self.shared:
            shared.close()

    def adopted(self) -> list[str]:
        """Return the repositories whose adopted indexes wait for a rebuild."""
        if not self._old.is_dir():
            return []
        return [
            one.repository.name
            for one in self.repositories()
            if not one.shared and (one.folder / REBUILD).exists()
        ]

    def drop_old(self, name: str) -> None:
        """Delete a repository's index of the previous format, if there is one.

        Raises
        ------
        OSError : it cannot be deleted.
        """
        old = self._old / self.folder_of(name).name
        if not old.exists():
            return
        removed = old.with_name(f"{REMOVED}{uuid4().hex}")
        old.rename(removed)  # at once, so that it is not adopted again
        shutil.rmtree(removed, ignore_errors=True)
        if not any(described(self._old)):
            shutil.rmtree(self._old.parent, ignore_errors=True)

    def _folders(self) -> list[Path]:
        """Return the folders of all repositories, including those that were not adopted."""
        try:
            folders = list(self.root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            folders = []
        current = {folder.name for folder in folders}
        with suppress(OSError):
            folders += [one for one in described(self._old) if one.name not in current]
        return folders

    def shared_problems(self) -> dict[str, str]:
        """Return why shared homes cannot be read, or are out of date, as of the last listing."""
        problems = {one.name: self.damaged.get(one.name, one.problem) for one in self.shared}
        return {name: problem for name, problem in problems.items() if problem}

    @property
    def shared_names(self) -> set[str]:
        """Return the names of the shared homes."""
        return {one.name for one in self.shared}

    @property
    def roots(self) -> tuple[Path, ...]:
        """Return the folders with repositories: the store's own, then those of shared homes."""
        return (self.root, *(_root(one.home) for one in self.shared))

    def repositories(self) -> list[StoredRepository]:
        """Return every repository with a readable description, by name."""
        damaged = dict[str, str]()
        try:
            folders = self._folders()
        except OSError as error:
            if error.errno in FILES_EXHAUSTED:
                raise
            raise ShardError(
                f"The index home {self.home} cannot be read ({error.strerror}). "
                "Set CODEINTEL_HOME to a folder that you own."
            ) from error
        readable = _described(folders, "", damaged)
        for shared in self.shared:
            names = {one.repository.name for one in readable}
            try:
                listed = list(_root(shared.home).iterdir())
            except OSError as error:
                if error.errno in FILES_EXHAUSTED:
                    raise
                damaged[shared.name] = shared.problem or _no_shared_home(shared.home, error)
                continue
            others = _described(listed, shared.name, damaged)
            if shared.problem and not others:
                damaged[shared.name] = shared.problem
            readable += [one for one in others if one.repository.name not in names]
        self.damaged = damaged
        # a shared home that fails must not keep the user from indexing
        if not readable and (own := [*(damaged.keys() - self.shared_names)]):
            raise ShardError(damaged[own[0]])
        return sorted(readable, key=lambda stored: stored.repository.name)

    def folder_of(self, name: str) -> Path:
        return self.root / hashlib.blake2b(name.encode("utf-8"), digest_size=8).hexdigest()

    def stored(self, repository: Repository) -> StoredRepository:
        return StoredRepository(repository, self.folder_of(repository.name))

    def create(self, repository: Repository, former: str = "") -> StoredRepository:
        """Make or renew a repository's folder and description.

        A new folder gets the permissions of that of the repository ``former``.
        """
        stored = self.stored(repository)
        with storage_errors(self.home):
            if not self.home.exists():
                make_private(self.home)
            if not stored.folder.exists():
                stored.folder.mkdir(mode=0o700, parents=True)
                if former:
                    copy_permissions(stored.folder, self.folder_of(former))
            stored.shards.mkdir(exist_ok=True)
            data = msgspec.json.encode(repository)
            replace(stored.folder / "repository.json", data, file_mode(stored.folder))
        return stored

    def sweep_removed(self) -> None:
        """Delete folders of removed and half-adopted repositories left by a crash."""
        sweep_parts(self.root)
        for folder in self.root.glob(f"{REMOVED}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def renamed(self) -> dict[str, str]:
        """Return a map from replaced package names to current ones."""
        try:
            return msgspec.json.decode(
                (self.root.parent / RENAMED).read_bytes(), type=dict[str, str]
            )
        except (OSError, ValueError, msgspec.MsgspecError):
            return {}  # none yet; a damaged file only makes old names unknown

    def note_renamed(self, former: str, name: str) -> None:
        """Record a package's new name for scopes with the old."""
        with suppress(OSError):  # or a lock timeout: such scopes then report an unknown name
            lock = acquire_lock(self.root.parent / "renamed.lock", 5)
            try:
                names = {
                    old: name if new == former else new
                    for old, new in self.renamed().items()
                    if old != name
                }
                replace(self.root.parent / RENAMED, msgspec.json.encode({**names, former: name}))
            finally:
                lock.release()


def _root(home: Path) -> Path:
    return home / f"v{FORMAT}" / "repositories"


def _described(
    folders: Sequence[Path], shared: str, damaged: dict[str, str]
) -> list[StoredRepository]:
    """Return the repositories in folders; add the reasons for unreadable ones to ``damaged``."""
    readable = list[StoredRepository]()
    for folder in folders:
        try:
            data = (folder / "repository.json").read_bytes()
            repository = msgspec.json.decode(data, type=Repository)
            readable.append(StoredRepository(repository, folder, shared))
        except (FileNotFoundError, NotADirectoryError):
            continue  # another process creates or removes it
        except OSError as error:
            if error.errno in FILES_EXHAUSTED:
                raise
            if shared and isinstance(error, PermissionError):
                continue  # not for this user
            damaged[folder.name] = (
                f"The index {folder} cannot be read ({error.strerror}). "
                "Ask its owner for access, or set CODEINTEL_HOME to a folder that you own."
            )
        except msgspec.DecodeError as error:
            todo = (
                f"Ask the owner of {shared} to publish the repository again."
                if shared
                else f"Delete the folder {folder} and index the repository again."
            )
            damaged[folder.name] = (
                f"The file {folder / 'repository.json'} is damaged: {error}. {todo}"
            )
    return readable


def _no_shared_home(home: Path, error: OSError) -> str:
    """Return the message for a shared home whose repositories cannot be listed."""
    if isinstance(error, FileNotFoundError) and home.is_dir():
        return (
            f"The shared index home {home} has no index of format {FORMAT}. Ask its owner to "
            "publish one with this version: codeintel index PATH --publish"
        )
    return (
        f"The shared index home {home} cannot be read ({error.strerror}). "
        "Ask its owner for access, or remove it from CODEINTEL_SHARED."
    )


def read_snapshot(folder: Path) -> Snapshot:
    """Return the current snapshot; empty before the first shard."""
    try:
        data = (folder / "snapshot.json").read_bytes()
    except FileNotFoundError:
        return Snapshot()
    except PermissionError as error:
        raise ShardError(
            f"The index {folder} cannot be read ({error.strerror}). "
            "Ask its owner for access, or set CODEINTEL_HOME to a folder that you own."
        ) from error
    try:
        snapshot = msgspec.json.decode(data, type=Snapshot)
    except msgspec.DecodeError as error:
        raise ShardError(
            f"The snapshot {folder / 'snapshot.json'} is damaged: {error}. {HOW_TO_REBUILD}"
        ) from error
    if snapshot.format not in (FORMAT, OLD_FORMAT):
        raise ShardError(
            f"The index in {folder.name} has format {snapshot.format}, but this version reads "
            f"format {FORMAT}. {HOW_TO_REBUILD}"
        )
    return snapshot


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    with storage_errors(folder):
        open_shards(folder, [_shard_folder(folder, ref.id) for ref in snapshot.shards])
        replace(folder / "snapshot.json", msgspec.json.encode(snapshot), file_mode(folder))
        give_to_group(folder, ["snapshot.json", "repository.json"])
