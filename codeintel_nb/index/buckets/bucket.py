"""Objects below a URL of object storage: S3, Google Cloud Storage or Azure, or one like them.

Credentials, region and endpoint come from the provider's usual environment variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import BucketError, CodeIntelError, MissingExtra

CONNECT_S, ANSWER_S, RETRY_S = 5, 60, 20
_RETRIES = 3
_URL = re.compile(r"[a-z0-9]+://[^/]+.*")
_STEP = 8 << 20  # bytes of a download in one request


class Object(NamedTuple):
    """Content of an object and its version."""

    data: bytes
    e_tag: str
    version: str | None = None  # some providers compare it in place of the e_tag


class Swapped(Exception):
    """Another writer replaced the object meanwhile."""


class Bucket:
    """Objects below a URL; paths are relative to it, with /."""

    def __init__(self, url: str) -> None:
        """Open a bucket; CodeIntelError for a wrong URL."""
        self.url = url
        if not _URL.fullmatch(url):
            raise CodeIntelError(
                f"{url!r} is not the address of a bucket. Give one such as s3://BUCKET/FOLDER."
            )
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise MissingExtra("bucket", needed_by=f"The index at {url}") from None
        self._obstore: Any = obstore
        open_store: Any = from_url
        options = {
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=ANSWER_S),
            "allow_http": _is_plain_http(),
        }
        retries = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)}
        try:
            self._store: Any = open_store(url, client_options=options, retry_config=retries)
        except Exception as error:
            raise CodeIntelError(
                f"{url!r} is not the address of a bucket: {_reason(error)} "
                "Give one such as s3://BUCKET/FOLDER."
            ) from None

    def read(self, path: str, unless: str = "") -> Object | None:
        """Return an object; None if it is missing, or has the e_tag ``unless``."""
        exceptions = self._obstore.exceptions
        with self._errors("read"):
            try:
                options = {"if_none_match": unless} if unless else None
                got = self._obstore.get(self._store, path, options=options)
                meta = got.meta
                return Object(bytes(got.bytes()), meta["e_tag"] or "", meta.get("version"))
            except (exceptions.NotFoundError, FileNotFoundError, exceptions.NotModifiedError):
                return None

    def e_tag(self, path: str) -> str:
        """Return an object's e_tag; empty if it is missing."""
        with self._errors("read"):
            try:
                return self._obstore.head(self._store, path)["e_tag"] or ""
            except (self._obstore.exceptions.NotFoundError, FileNotFoundError):
                return ""

    def write(self, path: str, data: bytes) -> None:
        with self._errors("written"):
            self._obstore.put(self._store, path, data)

    def swap(self, path: str, data: bytes, before: Object | None) -> None:
        """Replace an object if it is still ``before``; else raise Swapped."""
        exceptions = self._obstore.exceptions
        mode: Any = "create"
        if before is not None:
            mode = {"e_tag": before.e_tag}
            if before.version is not None:
                mode["version"] = before.version
        with self._errors("written"):
            try:
                self._obstore.put(self._store, path, data, mode=mode, use_multipart=False)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                raise Swapped from None

    def upload(self, path: str, file: Path) -> None:
        """Write an object with the content of a file."""
        with self._errors("written"):
            self._obstore.put(self._store, path, file)

    def download(self, path: str, file: Path, size: int) -> Iterator[int]:
        """Write an object of this size to a file, yielding the bytes of each step.

        Each step is a request with its own time limit.
        """
        with file.open("wb") as target, self._errors("read"):
            for start in range(0, size, _STEP):
                length = min(_STEP, size - start)
                part = self._obstore.get_range(self._store, path, start=start, length=length)
                yield target.write(part)

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder."""
        with self._errors("read"):
            listed = self._obstore.list_with_delimiter(self._store, path)
            return sorted(one.rstrip("/").rpartition("/")[2] for one in listed["common_prefixes"])

    def sizes(self, path: str) -> dict[str, int]:
        """Return the sizes of all objects below a folder, by path."""
        with self._errors("read"):
            pages = self._obstore.list(self._store, path)
            return {one["path"]: one["size"] for page in pages for one in page}

    def delete(self, paths: list[str]) -> None:
        with self._errors("written"):
            self._obstore.delete(self._store, paths)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Convert errors of the provider to BucketErrors."""
        try:
            yield
        except (self._obstore.exceptions.BaseError, FileNotFoundError, PermissionError) as error:
            raise BucketError(
                f"The bucket {self.url} cannot be {what}: {_reason(error)} "
                "Check the network, the credentials and the address."
            ) from None


def _is_plain_http() -> bool:
    """Whether the endpoint that the user configured is unencrypted, as on their own machine."""
    return any(
        os.environ.get(name, "").startswith("http://")
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
    )


def _reason(error: Exception) -> str:
    """Return the first line of an error, without the request and its retries."""
    lines = str(error).strip().splitlines()
    text = " ".join(lines[0].split()) if lines else type(error).__name__
    return f"{text.rpartition(' - ')[2][:300].rstrip('.')}."
