"""Hit: the lines of a file that answer a query."""

from __future__ import annotations

import msgspec

from .why import Why


class Hit(msgspec.Struct, frozen=True, gc=False):
    """Lines of a file that answer a query."""

    repo: str
    path: str
    start_line: int  # 1-based, inclusive; of a notebook, in its text as shown by open_file
    end_line: int
    score: float  # higher is better; comparable within one answer only
    snippet: str
    snippet_line: int  # first line of the snippet: above start_line by the requested context
    language: str
    kind: str
    column: int | None = None  # of a text hit: start of the match, 1-based, in characters
    symbol: str = ""
    cell: int | None = None  # index of the notebook cell, from 0
    revision: str = ""
    # of a definition searched by name: from its start to its body, on one line; of a chunk that
    # begins in the middle of a definition: that one's first line
    signature: str = ""
    doc: str = ""  # first paragraph of the comment before it, or of its docstring
    # of start_line: 1-based, in the notebook cell's source, or in its output (kind text)
    cell_line: int | None = None
    why: Why | None = None  # of a semantic search that asks: the parts of the score
    also: tuple[str, ...] = ()  # of a semantic search: places of near copies and overloads

    @property
    def location(self) -> str:
        """Return ``path:line``, with the cell if there is one."""
        place = f"{self.path}:{self.start_line}" if self.kind != "file" else self.path
        return f"{place} [cell {self.cell}]" if self.cell is not None else place

    def __repr__(self) -> str:
        first = self.snippet.strip().partition("\n")[0]
        parts = [self.location, self.symbol, first[:60] + "…" * (len(first) > 60)]
        return f"Hit({self.repo}: {' | '.join(part for part in parts if part)})"


FIELDS = tuple(name for name in Hit.__struct_fields__ if name not in ("why", "also"))


def path_order(repo: str, path: str) -> tuple[str, list[str]]:
    """Return the sort key of hits, keeping folders together."""
    return repo, path.split("/")
