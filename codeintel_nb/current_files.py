"""Files of a text search as they are now."""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import NamedTuple

from .engines.engine import Engine, Target
from .errors import CodeIntelError, EngineError, SearchError, SourceError, did_you_mean
from .index.shard.cache import Shards
from .index.store import Snapshot, StoredRepository
from .index.update.report import NOTHING
from .index.watch.tree import Changes, Freshness, OpenShards, SnapshotReplaced
from .repositories import View
from .scopes.scope import Scope
from .search.file_text import FileText
from .search.results import Coverage
from .search.text.unindexed import UnindexedTarget, read_document
from .settings import Settings
from .sources.chunk import Document
from .sources.repository import WORKTREE, Repository, worktree
from .sources.source import Source, source_of
from .sources.walk import FileStat

MAX_SUGGESTED = 10_000  # files of an unindexed folder compared with a wrong path


class Current(NamedTuple):
    """Shards and files to read in a text search."""

    view: View  # without repositories that cannot be compared with their folders
    targets: list[Target]
    unindexed: list[UnindexedTarget]
    unwatched: dict[str, str] = {}  # repositories with unwatched folders, and the reasons

    def roots(self, repos: set[str]) -> dict[str, str]:
        """Return the folders of these repositories."""
        unindexed = {files.repo: files.source.folder for files in self.unindexed}
        indexed = {stored.repository.name: stored.repository.root for stored, _ in self.view.chosen}
        return {name: root for name, root in (indexed | unindexed).items() if name in repos}


class CurrentFiles:
    """Comparison of repositories in scope with their folders.

    ``here`` is the folder to search while nothing is indexed: the current one if empty, none if
    None.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        shards: Shards,
        freshness: Freshness,
        here: str | None,
    ) -> None:
        self._settings, self._engine, self._shards = settings, engine, shards
        self._freshness, self._here = freshness, here
        # repositories not comparable with their folders at the last search, and the reasons
        self.failures: dict[str, str] = {}

    def with_changes(self, view: View, scope: Scope, no_ignore: bool = False) -> Current:
        """Return shards without outdated files, and files to read instead.

        A repository that cannot be compared with its folder is left out and named in ``failed``.
        With ``no_ignore``, ignored files are read as well.

        Raises
        ------
        CodeIntelError : all repositories failed; the error of the first.
        """
        if no_ignore and (scope.kinds or scope.revisions):
            raise SearchError(
                "Ignored files are not in the index, so they have no kinds or revisions. "
                "Leave out --no-ignore, or the scope's kinds and revisions."
            )
        if scope.revisions and WORKTREE not in scope.revisions:
            return Current(view, view.targets, [])
        if not view.chosen and not view.unfinished:
            return Current(view, [], [self._unindexed(scope, no_ignore)])
        chosen, targets, unindexed, failed, unwatched = (
            [],
            list[Target](),
            list[UnindexedTarget](),
            dict(view.failed),
            dict[str, str](),
        )
        first: CodeIntelError | None = None
        for stored, snapshot in view.chosen:
            shards = [(ref, self._shards.open(stored.key(ref.id))) for ref in snapshot.shards]
            name = stored.repository.name
            try:
                changes, files = self._changes(stored, snapshot, shards, no_ignore)
            except CodeIntelError as error:
                failed[name] = self.failures[name] = str(error)
                first = first or error
                continue
            self.failures.pop(name, None)
            chosen.append((stored, snapshot))
            targets += [
                Target(name, stored.key(ref.id), changes.dead(ref, shard), scope)
                for ref, shard in shards
            ]
            if files:
                unindexed.append(
                    UnindexedTarget(name, self._source(stored.repository), files, scope)
                )
            if changes.unwatched:
                unwatched[name] = changes.unwatched
        unindexed += [
            self._whole(stored.repository, scope, no_ignore) for stored in view.unfinished
        ]
        if first is not None and not chosen and not view.unfinished:
            raise first
        rest = [target for target in view.targets if target.repo not in failed]
        return Current(View(chosen, rest, failed, view.unfinished), targets, unindexed, unwatched)

    def _changes(
        self, stored: StoredRepository, snapshot: Snapshot, shards: OpenShards, no_ignore: bool
    ) -> tuple[Changes, tuple[FileStat, ...]]:
        """Return a folder's changes, and the files to read instead.

        Raises
        ------
        SnapshotReplaced : the index was updated meanwhile.
        CodeIntelError : any other failure; one repository must not stop the others.
        """
        if stored.shared:  # its folder is not walked
            return Changes(), ()
        try:
            changes = self._freshness.changes(stored, snapshot, shards)
            if no_ignore:
                return changes, self._with_ignored(stored.repository, changes, shards)
            return changes, changes.files
        except (SnapshotReplaced, CodeIntelError):
            raise
        except Exception as error:
            name = stored.repository.name
            raise EngineError(
                f"The folder of {name!r} cannot be compared with its index: {error!r}"
            ) from error

    def _with_ignored(
        self, repository: Repository, changes: Changes, shards: OpenShards
    ) -> tuple[FileStat, ...]:
        """Return the changed files and the ignored ones."""
        files = {stat.path: stat for stat in changes.files}
        indexed = {
            path
            for ref, shard in shards
            for number, path in enumerate(shard.paths)
            if number not in ref.dead
        }
        for stat in self._source(repository).files(no_ignore=True):
            if stat.path not in indexed:
                files[stat.path] = stat
        return tuple(sorted(files.values(), key=lambda stat: stat.path.split("/")))

    def _unindexed(self, scope: Scope, no_ignore: bool) -> UnindexedTarget:
        """Return all files of ``here``, while nothing is indexed."""
        if self._here is None:
            raise SearchError(NOTHING)
        repository = worktree(self._here or os.getcwd())
        if not scope.is_everywhere and repository.name not in scope.repos:
            raise SearchError(NOTHING)
        return self._whole(repository, scope, no_ignore)

    def _whole(self, repository: Repository, scope: Scope, no_ignore: bool) -> UnindexedTarget:
        """Return a target with all files of an unindexed folder."""
        source = self._source(repository)
        return UnindexedTarget(repository.name, source, None, scope, no_ignore)

    def _source(self, repository: Repository) -> Source:
        return source_of(repository, self._settings)

    def text(
        self, view: View, repo: str, path: str, start_line: int, end_line: int | None
    ) -> FileText:
        """Return lines of a file.

        Raises
        ------
        SourceError : there is no such file.
        """
        _, targets, unindexed, _ = self.with_changes(view, Scope(repos=(repo,)))
        indexed = self._engine.read(targets, path)
        if indexed is not None:
            return FileText.cut(repo, path, *indexed, start_line, end_line)
        candidates = list[str]()
        for files in unindexed:
            document = _read(files, path)
            if document is not None:
                content = document.content if document.ends_with_newline else document.content[:-1]
                return FileText.cut(repo, path, content, document.language, start_line, end_line)
            candidates += [stat.path for stat in islice(files.listed(), MAX_SUGGESTED)]
        candidates += self._engine.paths(targets)
        raise SourceError(
            f"{repo!r} contains no {'indexed ' if view.chosen else ''}file "
            f"{path!r}.{did_you_mean(path, candidates)}"
        )

    def coverage(self, current: Current) -> Coverage:
        """Count files and chunks in scope, and unread changed files."""
        view, unindexed = current.view, current.unindexed
        building = tuple(stored.repository.name for stored in view.unfinished)
        if not view.chosen and not building:
            return Coverage(folder=unindexed[0].source.folder if unindexed else "")
        counts = self._engine.count(current.targets)
        changed = sum(len(files.files) for files in unindexed if files.files is not None)
        names = (*(stored.repository.name for stored, _ in view.chosen), *building)
        return Coverage(
            names, counts.files_in_scope, counts.files, counts.chunks_in_scope, counts.chunks,
            building, changed, failed=view.failed, unwatched=dict(current.unwatched),
            shared={
                stored.repository.name: snapshot.version
                for stored, snapshot in view.chosen
                if stored.shared
            },
        )  # fmt: skip


def _read(files: UnindexedTarget, path: str) -> Document | None:
    """Return a file's document if it is among ``files``."""
    is_there = (
        files.source.files(no_ignore=files.no_ignore).find(path) is not None
        if files.files is None
        else any(stat.path == path for stat in files.files)
    )
    return read_document(files, path) if is_there else None


def checked_place(repo: str, path: str, start_line: int, end_line: int | None) -> str:
    """Return a path with ``/``.

    Raises
    ------
    SourceError : it leads out of its repository, or the lines are not a range.
    """
    inner_path = path.replace("\\", "/") if os.sep == "\\" else path
    if inner_path.startswith("/") or ".." in re.split(r"[/\\]", inner_path) or "\0" in inner_path:
        raise SourceError(
            f"The path {path!r} is outside the repository {repo!r}. "
            "Give a path relative to the repository's root."
        )
    if start_line < 1 or (end_line is not None and end_line < start_line):
        raise SourceError(
            f"Lines {start_line} to {end_line} are not a valid range: "
            "line numbers start at 1, and the first comes before the last."
        )
    return inner_path
