"""SQL in a child process under the system's memory limit.

DuckDB's own limits and interrupts were seen to fail.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import IO

import msgspec

from ..errors import CodeIntelError, EngineError, SearchError
from ..index.update.subprocess_job import Failure, JobInput, end, how_it_ended, spawn
from ..operations.answers import TableAnswer
from ..scopes.scope import Scope
from ..search.hit import Hit
from ..search.query import Bounds
from ..settings import Settings

GRACE_S = 1.0  # beyond a query's deadline, for the child to stop on its own
_LOOKED_S = 0.05


class Query(msgspec.Struct, frozen=True):
    """Request to the child: a JSON line on standard input."""

    settings: Settings
    statement: str
    scope: Scope
    timeout_s: float | None
    most_rows: int
    memory_bytes: int  # of the whole child
    hits: tuple[Hit, ...] = ()


class Header(msgspec.Struct, frozen=True, tag="header"):
    """First line of the answer; the rows follow, as JSON."""

    columns: list[str]
    types: list[str]
    truncated: bool
    timings_ms: dict[str, float]


class SqlChildren:
    """Runner of queries, each in a fresh child process.

    A spare child waits for the next query, as starting one takes longer than most queries.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spare: tuple[Popen[bytes], IO[bytes]] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def run(
        self,
        statement: str,
        scope: Scope,
        session_id: str,
        bounds: Bounds,
        most_rows: int,
        memory_bytes: int,
        hits: tuple[Hit, ...] = (),
    ) -> TableAnswer:
        """Return the answer to a query.

        Raises
        ------
        SearchError : the query is wrong, was cancelled, or exceeds its time or memory.
        EngineError : the child died.
        """
        query = Query(
            self._settings, statement, scope, bounds.left_s(), most_rows, memory_bytes, tuple(hits)
        )
        child, errors = self._take()
        try:
            out = _exchange(child, msgspec.json.encode(query, enc_hook=str) + b"\n", bounds)
            status = child.wait()
            first, newline, rest = out.partition(b"\n")
            if status or not newline:  # a child that died may have sent some of the rows
                raise _died(status, errors, memory_bytes)
            reply: Header | Failure = msgspec.json.decode(first, type=Header | Failure)
            if isinstance(reply, Failure):
                raise reply.exception()
            return TableAnswer(
                reply.columns,
                reply.types,
                msgspec.Raw(rest),
                reply.truncated,
                scope,
                session_id,
                False,
                reply.timings_ms,
            )
        finally:
            end(child)
            errors.close()
            with suppress(EngineError):  # no memory for a spare: the next query starts its child
                self._prepare()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._spare is not None:
                end(self._spare[0])
                self._spare[1].close()
                self._spare = None

    def _take(self) -> tuple[Popen[bytes], IO[bytes]]:
        with self._lock:
            spare, self._spare = self._spare, None
        return spare if spare is not None and spare[0].poll() is None else self._start()

    def _prepare(self) -> None:
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = self._start()

    def _start(self) -> tuple[Popen[bytes], IO[bytes]]:
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with its child)
        home = self._settings.home  # not the temporary folder, where anyone may put modules
        with suppress(OSError):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return spawn(
            "codeintel_nb.server.sql_process",
            errors,
            home if os.access(home, os.R_OK | os.X_OK) else Path(sys.prefix),
        ), errors


def _exchange(child: Popen[bytes], request: bytes, bounds: Bounds) -> bytes:
    """Return the child's whole answer; kill it beyond its bounds."""
    output: list[bytes] = []
    ended = threading.Event()

    def read() -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(request)
            child.stdin.flush()  # not closed: the child ends when it is
            output.append(child.stdout.read())
        except (OSError, ValueError):  # the child died, or was killed below
            pass
        ended.set()

    threading.Thread(target=read, name="codeintel-sql", daemon=True).start()
    limit = bounds.left_s()
    waited = 0.0
    while not ended.wait(_LOOKED_S):
        waited += _LOOKED_S
        if bounds.cancel is not None and bounds.cancel.is_set():
            child.kill()
            raise SearchError("The SQL query was cancelled.")
        if limit is not None and waited > limit + GRACE_S:
            child.kill()
            raise SearchError("The SQL query timed out. Narrow the scope, or allow more time.")
    return output[0] if output else b""


def _died(status: int, errors: IO[bytes], memory_bytes: int) -> CodeIntelError:
    how = how_it_ended(status, errors)
    if status < 0 or "Memory" in how or "alloc" in how:
        return _too_large(memory_bytes)
    return EngineError(f"The process that ran the SQL query {how}")


def _too_large(memory_bytes: int) -> SearchError:
    return SearchError(
        f"The SQL query exceeds its memory limit of {memory_bytes / 1e9:.1f} GB. "
        "Narrow the scope, or request fewer rows."
    )


def main() -> None:
    """Run one query; write its header and rows, or failure."""
    jobs = JobInput()
    import duckdb  # noqa: F401 (imported before the query arrives)

    from ..workspace import Workspace

    query = msgspec.json.decode(jobs.next(), type=Query, dec_hook=lambda kind, value: kind(value))
    _limit_memory(query.memory_bytes)
    out = sys.stdout.buffer
    try:
        table = Workspace(query.settings).sql(
            query.statement,
            query.scope,
            timeout_s=query.timeout_s,
            most_rows=query.most_rows,
            memory_bytes=query.memory_bytes // 2,
            hits=query.hits,
        )
        header = Header(table.columns, table.types, table.truncated, table.timings_ms)
        answer = msgspec.json.encode(header) + b"\n" + table.wire_cells()
    except CodeIntelError as error:
        answer = msgspec.json.encode(Failure.of(error)) + b"\n"
    except MemoryError:
        answer = msgspec.json.encode(Failure.of(_too_large(query.memory_bytes))) + b"\n"
    out.write(answer)
    out.flush()
    os._exit(0)  # the parent reads to the end, and an orderly exit takes longer than most queries


def _limit_memory(most_bytes: int) -> None:
    """Limit this process's memory, excluding mapped files on Linux."""
    try:
        import resource
    except ImportError:
        return  # Windows: only DuckDB's own limit applies
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    try:
        resource.setrlimit(kind, (most_bytes, most_bytes))
    except (OSError, ValueError):
        pass  # a lower limit was set from outside


if __name__ == "__main__":
    main()
