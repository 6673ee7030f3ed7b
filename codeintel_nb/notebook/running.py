"""How a line is run: read, ended by Ctrl-C with what it has, its answer shown or kept, its errors one line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import msgspec
from IPython.core.error import UsageError
from IPython.core.magic import Magics
from traitlets.config import Configurable

from ..api.options import describe, parse_line, unread_options
from ..api.progress import TerminalProgress
from ..api.text import counted, plural
from ..api.wire import SearchAnswer
from ..errors import CodeIntelError, SearchError
from ..search.hit import Results
from ..search.table import Table
from .commands import SEARCH_OPTIONS
from .progress import NotebookProgress

MEANWHILE_S = 0.2  # between two words on something that takes long

_T = TypeVar("_T")


class Running(Magics, Configurable):
    """Magics whose lines are run so."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._rich = hasattr(shell, "kernel")
        self._last: Results | None = None  # of the searches of this notebook
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="codeintel-search")

    def _progress(self) -> TerminalProgress:
        return NotebookProgress() if self._rich else TerminalProgress()

    def _unless_silenced(self, line: str, call: Callable[[str], _T]) -> _T | None:
        """Run; a line that ends in ``;`` shows nothing. IPython's own decorator reads the line as Python, which fails on a regex."""
        value = self._run(lambda: call(line.rstrip().removesuffix(";")))
        return None if line.rstrip().endswith(";") else value

    def _search(
        self,
        magic: str,
        line: str,
        cell: str | None,
        search: Callable[[str, dict[str, Any], threading.Event], SearchAnswer],
        takes_query: bool = True,
    ) -> Results | None:
        def run() -> Results | None:
            target, values, query = self._request(magic, line, cell)
            if query and not takes_query:
                raise SearchError(f"%{magic} takes options only, not {query!r}. Its options are:\n{describe(SEARCH_OPTIONS[magic])}")
            answer = self._interruptible(lambda cancel: search(query, values, cancel))
            if answer.scope_expired:
                print("The scope of this session had expired: nothing limited this search.")
            results = self._last = answer.results
            if results.reason == "limit" and not target and "limit" not in values:
                print(results.missing())
            return self._keep(target, results)

        return self._run(run)

    def _request(self, magic: str, line: str, cell: str | None) -> tuple[str, dict[str, Any], str]:
        """The variable to keep the answer in, the options, and the query."""
        name, arrow, rest = line.partition("<<")
        target = ""
        if arrow and name.strip().isidentifier():
            target, line = name.strip(), rest
        values, query = parse_line(line, SEARCH_OPTIONS[magic], raw=True)
        if unread := unread_options(line, query, SEARCH_OPTIONS[magic]):
            print(f"{', '.join(unread)} was searched for as part of the text. Put options at the start or the end of the line.")
        if cell is not None:
            query = f"{query}\n{cell}".strip("\n") if query else cell.strip("\n")
        target = values.pop("out", target)
        if target and not target.isidentifier():
            raise SearchError(f"{target!r} is no name for a variable: --out NAME")
        return target, values, query

    def _keep(self, target: str, value: _T) -> _T | None:
        if not target:
            return value
        self.shell.user_ns[target] = value
        if isinstance(value, Results):
            print(f"{target} = {value.missing() or counted(value, len(value.hits))}")
        elif isinstance(value, Table):
            print(f"{target} = {plural(len(value), 'row')}")
        return None

    def _interruptible(self, search: Callable[[threading.Event], _T], meanwhile: Callable[[], None] | None = None) -> _T:
        """Run on a thread, so that Ctrl-C ends the search early and still gives what it has."""
        cancel = threading.Event()
        running = self._pool.submit(search, cancel)
        try:
            while not running.done():
                if meanwhile is not None:
                    meanwhile()
                wait([running], MEANWHILE_S)  # not for longer: a library that takes signals, Polars for one, has a wait go on after Ctrl-C
            return running.result()
        except KeyboardInterrupt:
            cancel.set()
            return running.result(timeout=10)

    def _run(self, call: Callable[[], _T]) -> _T:
        """Run; an error of ours is one line, not a traceback."""
        try:
            return call()
        except CodeIntelError as error:
            raise UsageError(str(error)) from None
        except msgspec.ValidationError as error:
            raise UsageError(f"A value is not of its kind: {error}") from None
