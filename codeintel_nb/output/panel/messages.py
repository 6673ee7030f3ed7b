"""Messages of a panel's view; its TypeScript types are generated from these."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...scopes.scope import Scope
from ...search.query import Case

Mode = Literal["text", "meaning", "symbols", "files"]
Counts = tuple[int, int]  # files in scope, of files
ROWS = 500  # of one answer; further ones follow on demand


class Message(msgspec.Struct, frozen=True, tag_field="what", forbid_unknown_fields=True):
    """Request of a panel's view."""


class PanelState(Message, frozen=True, tag="state"):
    """Request for the scope, its size and the choices for it."""


class PanelCount(Message, frozen=True, tag="count"):
    """Request for the size of a scope, while the user types it."""

    scope: Scope


class PanelSearch(Message, frozen=True, tag="search"):
    """Search under the session's scope, or under ``scope``."""

    query: str
    mode: Mode = "text"
    regex: bool = False
    word: bool = False
    case: Case = "smart"
    include: tuple[str, ...] = ()  # globs, in place of the scope's own
    exclude: tuple[str, ...] = ()  # globs, besides the scope's own
    scope: Scope | None = None
    offset: int = 0  # rows before those of the answer
    rows: int = ROWS


class PanelPreview(Message, frozen=True, tag="preview"):
    """Request for the lines around a row of a search."""

    search: PanelSearch
    repo: str
    path: str
    line: int
    end_line: int
    cell: int | None = None


class PanelText(Message, frozen=True, tag="text"):
    """Request for the text of a file, for a read-only view."""

    repo: str
    path: str


class PanelFolder(Message, frozen=True, tag="folder"):
    """Request to narrow the session's scope to a folder of the server, or to exclude it."""

    path: str
    exclude: bool = False
    # with a repository, the path is below its root: a file, or a folder that ends with a slash
    repo: str = ""


PanelRequest = PanelState | PanelCount | PanelSearch | PanelPreview | PanelText | PanelFolder


class Row(msgspec.Struct, frozen=True):
    """One match."""

    line: int  # 1-based, in the file's text
    end_line: int
    label: str  # short: 186, or [29] 2 in the cell executed as In [29]
    where: str  # in words: line 186, or Cell 61 · In [29] · line 2
    text: str
    marks: tuple[tuple[int, int], ...]  # start and end of each match, in UTF-16 units of the text
    symbol: str
    kind: str
    column: int | None  # of the match, 1-based, in UTF-16 units
    cell: int | None  # from 0
    cell_line: int | None  # 1-based
    is_prose: bool  # Markdown or plain text, not code
    is_output: bool  # printed by the cell
    also: tuple[str, ...]  # places of near copies and overloads


class FileRows(msgspec.Struct, frozen=True):
    """A file's matches; ``rows`` has those of this answer."""

    repo: str
    path: str
    icon: str  # kind of file: notebook, code, prose or data
    place: str | None  # below the server's root; None outside
    count: int  # of all its matches
    rows: tuple[Row, ...]


class Facet(msgspec.Struct, frozen=True):
    """Number of hits with one value of a scope's field."""

    field: Literal["repos", "include_globs", "languages", "kinds"]
    name: str  # the value
    label: str
    count: int
    values: tuple[str, ...] = ()  # of the field once this folder is chosen


class Found(msgspec.Struct, frozen=True):
    """Rows of a search, in their order."""

    files: tuple[FileRows, ...]
    facets: tuple[Facet, ...]
    total: int
    summary: str  # 118 results in 6 files
    detail: str  # files in scope and time
    note: str  # why results are missing, or what to do about none
    next: int | None  # offset of the next rows; None after the last
    has_several: bool  # repositories
    code: str  # the magic for the same search


class Preview(msgspec.Struct, frozen=True):
    """Lines around a match, as (number, pieces); a piece is (CSS class, marked, text)."""

    title: str
    lines: tuple[tuple[int, tuple[tuple[str, bool, str], ...]], ...]
    is_prose: bool


class Text(msgspec.Struct, frozen=True):
    """Text of a file."""

    repo: str
    path: str
    language: str
    text: str
    root: str  # folder of the repository


class State(msgspec.Struct, frozen=True):
    """The session's scope, and what a panel shows of it."""

    scope: Scope
    session: str
    where: str
    expired: bool
    is_default: bool
    note: str
    repositories: tuple[tuple[str, int], ...]  # name, files
    languages: tuple[tuple[str, int], ...]  # name, files
    kinds: tuple[tuple[str, int], ...]  # name, chunks
    saved: tuple[str, ...]
    offered: tuple[str, Scope] | None  # the previous kernel's scope, and in words
    counts: Counts | None
    project: str  # unindexed project in scope; empty if there is none


ANSWERS: tuple[Any, ...] = (State, Found, Preview, Text)
