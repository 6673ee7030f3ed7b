"""Execution of a magic's line, from its options to its output.

Ctrl-C ends a search with partial results; errors are shown in one line.
"""

from __future__ import annotations

import keyword
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from IPython.core.error import UsageError
from IPython.core.magic import Magics
from traitlets.config import Configurable

from ..client.contract import Client
from ..errors import CodeIntelError, SearchError, did_you_mean
from ..index.update.report import OnProgress, Progress
from ..operations.answers import SearchAnswer
from ..operations.options import (
    describe,
    misspelt_options,
    parse_line,
    positional_of,
    trailing_letters,
    unread_options,
)
from ..operations.requests import SqlRequest
from ..operations.table import Operation
from ..output.plain_text import counted
from ..output.progress import TerminalProgress, plural
from ..output.wording import in_notebook
from ..search.results import Results
from ..search.table import Table
from .commands import OPTIONS
from .progress import NotebookProgress
from .tasks import Task

_T = TypeVar("_T")


class BaseMagics(Magics, Configurable):
    """Base class of the magics."""

    def __init__(self, shell: Any, client: Client) -> None:
        super().__init__(shell)
        self.client = client
        self._rich = hasattr(shell, "kernel")
        self._last: Results | None = None  # of this notebook's last search

    def _progress(self) -> TerminalProgress:
        return NotebookProgress() if self._rich else TerminalProgress()

    def _unless_silenced(self, line: str, call: Callable[[str], _T]) -> _T | None:
        """Run; return the value, or None after a final ``;``.

        IPython's own decorator parses the line as Python, which fails on a regex.
        """
        value = self._run(lambda: call(line.rstrip().removesuffix(";")))
        return None if line.rstrip().endswith(";") else value

    def _run_operation(self, operation: Operation, line: str, cell: str | None) -> Any:
        """Run the line's operation, and show or store its answer."""

        def run() -> Any:
            target, values, query = self._request(operation.magic, line, cell)
            positional = positional_of(operation.request)
            if query and not positional:
                raise SearchError(
                    f"%{operation.magic} takes options only, not {query!r}. "
                    f"Its options are:\n{describe(OPTIONS[operation.magic])}"
                )
            if positional:
                values[positional] = query
            request = operation.request(**{**self._defaults(operation, query), **values})
            answer = self._work(
                lambda progress, cancel: self.client.ask(request, progress=progress, cancel=cancel),
                "running SQL" if isinstance(request, SqlRequest) else "searching",
            )
            if not isinstance(answer, SearchAnswer):
                return self._keep(target, answer)
            if answer.scope_expired:
                print("The scope of this session has expired; nothing limited this search.")
            results = self._last = answer.results
            if results.reason == "limit" and not target and "limit" not in values:
                print(results.missing())
            return self._keep(target, results)

        return self._run(run)

    def _defaults(self, operation: Operation, query: str) -> dict[str, Any]:
        """Return the request's fields not given by its line."""
        raise NotImplementedError

    def _request(self, magic: str, line: str, cell: str | None) -> tuple[str, dict[str, Any], str]:
        """Return the target variable, the options, and the query."""
        name, arrow, rest = line.partition("<<")
        target = ""
        if arrow and _is_variable(name.strip()):
            target, line = name.strip(), rest
        values, query = parse_line(line, OPTIONS[magic], raw=True)
        if unread := unread_options(line, query, OPTIONS[magic]):
            verb = "was" if len(unread) == 1 else "were"
            print(
                f"{', '.join(unread)} {verb} searched for as part of the text. "
                "Put options at the start of the line."
            )
        for word in misspelt_options(line, query, OPTIONS[magic]):
            flags = [flag for option in OPTIONS[magic] for flag in option.flags]
            print(f"{word} was searched for as part of the text.{did_you_mean(word, flags)}")
        if letters := trailing_letters(line, query, OPTIONS[magic]):
            what, them = (
                ("was read as an option", "it")
                if len(letters) == 1
                else ("were read as options", "them")
            )
            print(
                f"{', '.join(letters)} {what}. "
                f"To search for {them} as text: %{magic} -- {line.strip()}"
            )
        if cell is not None:
            query = f"{query}\n{cell}".strip("\n") if query else cell.strip("\n")
        target = values.pop("out", target)
        if target and not _is_variable(target):
            raise SearchError(f"{target!r} is not a valid variable name. Use: --out NAME")
        return target, values, query

    def _keep(self, target: str, value: _T) -> _T | None:
        if not target:
            return value
        self.shell.user_ns[target] = value
        if isinstance(value, Results):
            query = value.query
            searched = "" if query is None else getattr(query, positional_of(type(query)), "")
            print(
                f"{target} = {value.missing() or counted(value, len(value.hits))}"
                f"{f' for {searched[:60]!r}' if searched else ''}"
            )
        elif isinstance(value, Table):
            print(f"{target} = {plural(len(value), 'row')}")
        return None

    def _work(self, work: Callable[[OnProgress, threading.Event], _T], stage: str = "") -> _T:
        """Run on a thread, showing progress, or ``stage`` and time.

        Ctrl-C ends the work early; a search then returns partial results.
        """
        with self._progress() as progress:

            def wait(elapsed_s: float) -> None:
                if elapsed_s > 1:
                    progress(Progress(f"{stage} {elapsed_s:.0f} s"))

            return Task(work).wait(progress, wait if stage else None)

    def _run(self, call: Callable[[], _T]) -> _T:
        """Run; report Ctrl-C and our own errors in one line."""
        try:
            return call()
        except KeyboardInterrupt:
            raise UsageError("Interrupted.") from None
        except CodeIntelError as error:
            raise UsageError(in_notebook(str(error))) from None
        except msgspec.ValidationError as error:
            raise UsageError(f"Invalid value: {error}") from None


def _is_variable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)
