"""Local mirror of the indexes in a bucket: a home that is only read.

A repository's new shards are copied first, its snapshot last. So the mirror is always whole, also
while the bucket does not answer.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from ...errors import BucketError, CodeIntelError
from ...files import make_private, replace, storage_errors, storage_message
from ..locking import acquire_lock
from ..shard.manifest import FORMAT
from ..store import SharedHome, Snapshot, read_snapshot
from ..update.report import Progress
from .bucket import Bucket
from .download import REPOSITORIES, copy_shards

POLL_S = 10.0  # between two looks at a bucket
WAIT_S = 3.0  # without progress, for a bucket whose last state is here
RETIRED_AGE_S = 600.0  # of a local shard that is in no snapshot any more
_E_TAG = "e_tag"  # of the bucket's snapshot that is here
_STAMP = "looked-at"  # its time is that of the last complete look


def mirror_folder(home: Path, url: str, kind: str = "buckets") -> Path:
    """Return the folder of a bucket in a home: its mirror, or another ``kind`` of copy."""
    name = hashlib.blake2b(url.rstrip("/").encode(), digest_size=8).hexdigest()
    return home / kind / name


class Mirror(SharedHome):
    """Copy of a bucket's indexes in a folder of this machine, shared by its processes."""

    def __init__(self, url: str, home: Path, max_bytes: int, follow: bool = False) -> None:
        super().__init__(mirror_folder(home, url), url)
        self._home, self._max_bytes, self._follow = home, max_bytes, follow
        self._bucket: Bucket | None = None
        self._lock = threading.Lock()
        self._looked_at = -POLL_S
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def prepare(self, progress: Callable[[Progress], None] = lambda event: None) -> None:
        """Look at the bucket unless this machine did so lately; keep errors in ``problem``."""
        if time.monotonic() - self._looked_at < POLL_S or self._thread is not None:
            return
        if not self._lock.acquire(blocking=False):
            return  # another thread is copying: what is here already can be searched
        try:
            self._looked_at = time.monotonic()
            age_s = self._age_s()
            if age_s == math.inf:
                self.update(progress)
            elif age_s >= POLL_S:
                self._try_update(progress)
            if self._follow and not self._closed.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="codeintel-mirror", daemon=True
                )
                self._thread.start()
        finally:
            self._lock.release()

    def _try_update(self, progress: Callable[[Progress], None]) -> None:
        """Update unless the bucket hangs: then the copy of the last look is searched."""
        active_at = time.monotonic()

        def note(event: Progress) -> None:
            nonlocal active_at
            active_at = time.monotonic()
            progress(event)

        trying = threading.Thread(target=self.update, args=(note,), daemon=True)
        trying.start()
        while trying.is_alive() and time.monotonic() - active_at < WAIT_S:
            trying.join(0.02)
        if trying.is_alive():
            self.problem = (
                f"The bucket {self.name} does not answer. The copy of its last answer is searched."
            )

    def _run(self) -> None:
        """Look at the bucket regularly."""
        while not self._closed.wait(POLL_S):
            self.update()

    def close(self) -> None:
        self._closed.set()

    def update(self, progress: Callable[[Progress], None] = lambda event: None) -> None:
        """Copy what is new in the bucket; a failure leaves the last state, and a ``problem``."""
        from filelock import Timeout

        try:
            root = self.home / REPOSITORIES
            if not self._home.exists():
                make_private(self._home)
            make_private(self.home.parent)  # also in a home that others may read
            root.mkdir(parents=True, exist_ok=True)
            lock = acquire_lock(self.home / "mirror.lock", 0)
        except Timeout:
            return  # another process of this machine is copying
        except OSError as error:
            self.problem = storage_message(self.home, error)
            return
        try:
            self.problem = self._copied(root, progress)
            if not self.problem:
                (self.home / _STAMP).touch()
        except (CodeIntelError, OSError) as error:
            self.problem = str(error)
        finally:
            lock.release()

    def _age_s(self) -> float:
        """Return the age of the mirror, in seconds."""
        try:
            return time.time() - (self.home / _STAMP).stat().st_mtime
        except OSError:  # there is no copy yet
            return math.inf

    def _copied(self, root: Path, progress: Callable[[Progress], None]) -> str:
        """Copy all repositories; return the first problem."""
        try:
            self._bucket = self._bucket or Bucket(self.name)
            names = self._bucket.folders(REPOSITORIES)
        except CodeIntelError as error:
            return str(error)
        problems = list[str]()
        for name in names:
            try:
                with storage_errors(self.home):
                    self._copy_repository(self._bucket, root / name, progress)
            except (CodeIntelError, msgspec.DecodeError) as error:
                problems.append(str(error))
            progress(Progress("copying"))  # each repository takes a request
        for folder in root.iterdir():
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                _sweep(folder)
        return problems[0] if problems else ""

    def _copy_repository(
        self, bucket: Bucket, folder: Path, progress: Callable[[Progress], None]
    ) -> None:
        place = f"{REPOSITORIES}/{folder.name}"
        tag = folder / _E_TAG
        present = tag.read_text() if tag.exists() else ""
        latest = bucket.read(f"{place}/snapshot.json", unless=present)
        if latest is None:
            if not present or bucket.e_tag(f"{place}/snapshot.json") == present:
                return  # nothing new, or not yet uploaded
            raise BucketError(
                f"The index {place} in {bucket.url} changed while it was read. "
                "It is read again at the next look."
            )
        snapshot = msgspec.json.decode(latest.data, type=Snapshot)
        description = bucket.read(f"{place}/repository.json")
        if snapshot.format != FORMAT or description is None:
            return
        repository = str(msgspec.json.decode(description.data)["name"])
        free = self._max_bytes - bytes_below(self.home.parent)
        copy_shards(bucket, place, folder, snapshot, repository, progress, free)
        own = msgspec.structs.replace(snapshot, retired={})
        replace(folder / "repository.json", description.data)
        replace(folder / "snapshot.json", msgspec.json.encode(own))
        replace(tag, latest.e_tag.encode())


def bytes_below(folder: Path) -> int:
    """Return the size of all files below a folder."""
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(above, name)).st_size
    return total


def _sweep(folder: Path) -> None:
    """Delete shards that left the snapshot some time ago, when no search can be opening them."""
    live = {ref.id for ref in read_snapshot(folder).shards}
    for shard in (folder / "shards").glob("[!.]*"):
        if shard.name in live:
            continue
        mark = folder / f"retired-{shard.name}"
        with suppress(OSError):
            if not mark.exists():
                mark.touch()
            elif time.time() - mark.stat().st_mtime > RETIRED_AGE_S:
                shutil.rmtree(shard, ignore_errors=True)
                mark.unlink()
