"""Diagnosis of an installation and its index home."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from ..embedding.embedder import default_embedder
from ..errors import CodeIntelError, EngineError, MissingExtra
from ..index.shard.manifest import crc32_of, damaged
from ..index.shard.shard import Shard
from ..index.store import ShardRef, Snapshot, Store, StoredRepository, read_snapshot
from ..index.update.write_lock import one_writer, sweep
from ..index.watch.inotify import Inotify
from ..operations.answers import Finding
from ..output.progress import plural, size
from ..search.text.rg_process import rg_path
from ..settings import Settings
from ..sources.document import BY_LINES
from ..sources.languages.grammar_folder import use_grammar_folder
from ..sources.languages.syntax import GrammarNotLoaded, grammar
from ..sources.languages.table import LANGUAGES
from ..sources.mounts import LISTING, mount_of
from ..sources.repository import how_to_rebuild
from ..sources.walk import UNREAD_RULES, Walk
from .endpoints import endpoint_checks
from .engine import engine_findings
from .jupyter import examine_jupyter
from .shared import shared_findings


def diagnose(
    settings: Settings, repair: bool = True, progress: Callable[[str], None] | None = None
) -> list[Finding]:
    """Return findings on the installation, Jupyter and the index home."""
    return [*_installation(settings), *_jupyter(), *examine(settings, repair, progress)]


def _jupyter() -> list[Finding]:
    try:
        return examine_jupyter()
    except (OSError, RuntimeError) as error:  # no home folder, for example
        return [Finding("warning", "jupyter", f"its configuration cannot be read: {error}")]


def _installation(settings: Settings) -> list[Finding]:
    findings = [
        Finding(
            "ok",
            "python",
            f"{platform.python_version()} on {platform.platform(terse=True)}, "
            f"codeintel-nb {version('codeintel-nb')}",
        )
    ]
    findings.append(_home(settings.home))
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("ripgrep", _ripgrep),
        ("grammars", lambda: _grammars(settings.home)),
        ("embedding", _embedding),
        ("faiss", _faiss),
        *endpoint_checks(settings.home),
    )
    for subject, check in checks:
        try:
            findings.append(Finding("ok", subject, check()))
        except MissingExtra as error:
            findings.append(Finding("error", subject, str(error)))
        except EngineError as error:  # a fault of this machine, not of the installation
            findings.append(Finding("error", subject, str(error)))
        except OSError as error:
            findings.append(
                Finding(
                    "error",
                    subject,
                    f"{error.strerror or error}: {error.filename or ''}. "
                    "Check its permissions and the free disk space.",
                )
            )
        except (CodeIntelError, GrammarNotLoaded, ImportError) as error:
            findings.append(
                Finding(
                    "error",
                    subject,
                    f"{error} Run: pip install --force-reinstall codeintel-nb",
                )
            )
    if sys.platform == "darwin" and "torch" in sys.modules:
        findings.append(
            Finding(
                "warning",
                "faiss",
                "torch is loaded in this process too; on macOS their OpenMP libraries may clash. "
                "Searches of up to 1,500 chunks use only numpy.",
            )
        )
    return findings


def _home(home: Path) -> Finding:
    place = home
    while not os.path.lexists(place):
        place = place.parent
    if not os.access(place, os.R_OK | os.X_OK):
        return Finding(
            "error",
            "home",
            f"the index home {home} cannot be read. "
            "Ask its owner for access, or set CODEINTEL_HOME to a folder that you own.",
        )
    if not os.access(place, os.W_OK):
        return Finding(
            "warning",
            "home",
            f"{home} is read-only: searches work, but only its owner can index. "
            "To index yourself, set CODEINTEL_HOME to a folder that you own.",
        )
    if (kind := network_file_system(place)) is not None:
        return Finding(
            "warning",
            "home",
            f"{home} is on a network file system ({kind}). An index file truncated there, "
            "by the file server or another machine, kills the processes searching it. "
            "Set CODEINTEL_HOME to a folder on a local disk.",
        )
    return Finding("ok", "home", f"{home}, {size(shutil.disk_usage(place).free)} free")


_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "lustre",
    "ceph",
    "gpfs",
    "beegfs",
    "glusterfs",
    "afs",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.gcsfuse",
    "fuse.glusterfs",
)


def network_file_system(place: Path, listing: Path = LISTING) -> str | None:
    """Return a folder's type of network file system, or None."""
    mount = mount_of(place, listing)
    return mount.kind if mount is not None and mount.kind.startswith(_NETWORK) else None


def _ripgrep() -> str:
    path = rg_path()
    try:
        process = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"{path} cannot be run ({error}). Run: pip install --force-reinstall ripgrep"
        ) from error
    return f"{process.stdout.splitlines()[0]} at {path}"


def _grammars(home: Path) -> str:
    folder = use_grammar_folder(home)
    for language in sorted(LANGUAGES):
        grammar(language)
    return f"{len(LANGUAGES)} load from {folder}"


def _embedding() -> str:
    return default_embedder().id


def _faiss() -> str:
    import faiss

    return str(faiss.__version__)


def examine(
    settings: Settings, repair: bool = True, progress: Callable[[str], None] | None = None
) -> list[Finding]:
    """Check every repository of the home; with ``repair``, remove orphaned folders."""
    store = Store(settings.home)
    try:
        folders = sorted(store.root.iterdir()) if store.root.is_dir() else []
        stored = store.repositories()
    except (CodeIntelError, OSError) as error:
        return [Finding("error", str(settings.home), str(error))]
    findings = [
        _without_description(folder, repair)
        for folder in folders
        if folder.name not in store.damaged and not (folder / "repository.json").exists()
    ]
    findings += [Finding("error", name, message) for name, message in store.damaged.items()]
    notices = Inotify()
    for one in stored:
        if progress:
            progress(one.repository.name)
        findings += _repository(one, settings, repair)
        findings += _folder(one, settings, notices)
    notices.close()
    return [
        *findings,
        *shared_findings(settings),
        *engine_findings(settings),
        *_other_formats(store),
    ]


def _folder(stored: StoredRepository, settings: Settings, notices: Inotify) -> list[Finding]:
    """Return the problems of reading and watching a folder."""
    name = stored.repository.name
    watched = notices.follow(_Tree(stored.repository.root))
    walk = Walk(
        stored.repository, settings, (lambda folder: None) if watched is None else watched.folder
    )
    try:
        for _ in walk:
            pass
    except Exception as error:  # any error: the other repositories are examined too
        return [Finding("error", name, f"its folder cannot be read, so searches skip it: {error}")]
    findings = [
        Finding("warning", name, f"its {reason}: {', '.join(paths)}")
        for reason, paths in walk.examples.items()
        if reason == UNREAD_RULES
    ]
    if reason := notices.reason_for({""} if watched is None else watched.missed):
        folders = "all folders" if watched is None else plural(len(watched.missed), "folder")
        findings.append(
            Finding(
                "warning",
                name,
                f"{folders} not watched, so each text search scans them: {reason}",
            )
        )
    return findings


class _Tree:
    """A watch target for the duration of the check."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.reported: set[str] = set()


def _other_formats(store: Store) -> list[Finding]:
    """Return findings on the indexes of other versions in this home."""
    findings = []
    for root in sorted(store.home.glob("v[0-9]*/repositories")):
        if root != store.root and any(root.iterdir()):
            total_bytes = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
            findings.append(
                Finding(
                    "ok",
                    root.parent.name,
                    f"{size(total_bytes)} of indexes in another version's format, not touched. "
                    f"If you no longer use that version, delete the folder {root}",
                )
            )
    return findings


def _without_description(folder: Path, repair: bool) -> Finding:
    """Report an undescribed folder; with ``repair``, remove an old one.

    A process is creating or removing the repository, or died while doing so.
    """
    young = time.time() - folder.stat().st_mtime < 600
    if repair and not young:
        shutil.rmtree(folder, ignore_errors=True)
        return Finding("ok", folder.name, "removed an incomplete repository")
    return Finding(
        "warning",
        folder.name,
        "incomplete repository: still being created, or its process died; "
        "codeintel doctor removes it once it is 10 minutes old",
    )


def _repository(stored: StoredRepository, settings: Settings, repair: bool) -> list[Finding]:
    name, root = stored.repository.name, stored.repository.root
    findings = []
    if not Path(root).is_dir():
        findings.append(
            Finding(
                "warning",
                name,
                f"its folder {root} no longer exists; its index can still be searched. "
                f"To remove it, run: codeintel remove {name}",
            )
        )
    try:
        snapshot = read_snapshot(stored.folder)
    except CodeIntelError as error:
        return [*findings, Finding("error", name, stored.named(str(error)))]
    damages = (_damage(stored, ref) for ref in snapshot.shards)
    findings += [Finding("error", name, stored.named(one)) for one in damages if one]
    if not snapshot.complete:
        findings.append(
            Finding(
                "warning",
                name,
                f"its first index is not complete. To finish it, run: codeintel refresh {name}",
            )
        )
    unloaded = [
        f"{plural(count, 'file')} {reason}"
        for reason, count in snapshot.skipped.items()
        if reason.startswith(f"{BY_LINES}as the grammar of")
    ]
    command = how_to_rebuild(stored.repository)
    findings += [
        Finding("warning", name, f"{message}. Once grammars load again, run: {command}")
        for message in unloaded
    ]
    findings += _orphans(stored, snapshot, settings, repair)
    if not any(finding.level == "error" for finding in findings):
        findings.append(
            Finding(
                "ok",
                name,
                f"{plural(len(snapshot.shards), 'shard')}, {plural(snapshot.files, 'file')}, "
                f"{plural(snapshot.chunks, 'chunk')}, checksums match",
            )
        )
    return findings


def _damage(stored: StoredRepository, ref: ShardRef) -> str:
    """Return a shard's damage; empty if all checksums match."""
    shard_id = ref.id
    folder = stored.shards / shard_id
    try:
        shard = Shard(folder)
        shard.check_dead(ref.dead)
        for name, part in shard.manifest.parts.items():
            if (folder / name).exists() and crc32_of(folder / name) != part.crc32:
                return str(damaged(folder, f"{name} does not match its checksum"))
    except CodeIntelError as error:
        return str(error)
    except FileNotFoundError as error:
        name = Path(str(error.filename or error)).name
        return str(damaged(folder, f"{name} is missing"))
    return ""


def _orphans(
    stored: StoredRepository, snapshot: Snapshot, settings: Settings, repair: bool
) -> list[Finding]:
    name = stored.repository.name
    if not stored.shards.is_dir():
        return []
    references = {ref.id for ref in snapshot.shards} | set(snapshot.retired)
    orphans = [folder.name for folder in stored.shards.iterdir() if folder.name not in references]
    if not orphans:
        return []
    if not repair:
        return [
            Finding(
                "warning",
                name,
                f"{plural(len(orphans), 'leftover folder')}. To clean up, run: codeintel doctor",
            )
        ]
    try:
        with one_writer(stored):  # without the lock they may belong to a running build
            removed = sweep(stored, read_snapshot(stored.folder), settings.retired_shard_age_s)
    except CodeIntelError as error:
        return [
            Finding(
                "warning", name, f"{plural(len(orphans), 'folder')} of a run in progress: {error}"
            )
        ]
    return [Finding("ok", name, f"removed {plural(len(removed), 'leftover folder')}")]
