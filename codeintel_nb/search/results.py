"""Results of a search: hits, scope, total and coverage."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, overload

import msgspec

from ..errors import MissingExtra, SearchError, did_you_mean
from ..scopes.scope import EVERYTHING, Scope
from .hit import FIELDS, Hit
from .lazy_hits import columns_of, enc_hook, files_of
from .query import DEFAULT_HITS, AnyQuery, PathQuery, SemanticQuery, SymbolQuery, TextQuery

# why hits are missing; empty if none are
Reason = Literal["", "limit", "reading", "time", "cancelled"]
ENDED = {
    "reading": "stopped at its reading limit",
    "time": "stopped at its time limit",
    "cancelled": "interrupted",
}


LEAST_CONFIDENCE = 0.5  # below it, nothing fits well


class TruncatedWarning(UserWarning):
    """Warning about the use of an incomplete result."""


class Coverage(msgspec.Struct, frozen=True):
    """Numbers of files and chunks covered by a search."""

    repositories: tuple[str, ...] = ()
    files_in_scope: int = 0  # including files read by a text search outside the index
    files: int = 0
    chunks_in_scope: int = 0
    chunks: int = 0
    # repositories with an incomplete first index; text search reads their files if named
    building: tuple[str, ...] = ()
    unindexed: int = 0  # new or changed files read by a text search outside the index
    folder: str = ""  # searched directly by a text search, because nothing is indexed
    # repositories in scope with an unreadable index or folder, and the reasons; they have no hits
    failed: dict[str, str] = {}
    # repositories with unwatched folders, scanned by text searches, and the reasons
    unwatched: dict[str, str] = {}
    # repositories without vectors for the query, searched by words alone, and the reasons
    by_words: dict[str, str] = {}
    # repositories of shared homes, searched as indexed, with the time and commit of their index
    shared: dict[str, str] = {}

    def with_unindexed(self, files_read: int) -> Coverage:
        """Return the coverage with ``files_read`` changed files included."""
        files = max(self.unindexed, files_read)
        return msgspec.structs.replace(
            self,
            files_in_scope=self.files_in_scope + files_read,
            files=self.files + files,
            unindexed=files_read,
        )


class Results(msgspec.Struct, frozen=True):
    """Ranked hits, with the scope that was applied; a sequence of Hit."""

    hits: tuple[Hit, ...]
    scope: Scope = EVERYTHING
    total: int = 0  # all matches, returned or not; of "counts", matching lines
    truncated: bool = False  # hits are missing, for ``reason``
    total_exact: bool = True  # False: a lower bound
    coverage: Coverage = Coverage()
    timings_ms: dict[str, float] = {}
    query: AnyQuery | None = None
    roots: dict[str, str] = {}  # folder of each repository with hits, for links
    reason: Reason = ""  # why hits are missing
    more: bool = False  # the search saw a match beyond ``total``
    # of a search by meaning: the chance that its best hit answers, 0 to 1
    confidence: float | None = None
    why_not: str = ""  # why the lines that the query asks about are not the first hit

    mapper: ClassVar[Callable[..., Any] | None] = None  # set by the notebook package
    presenter: ClassVar[Callable[..., dict[str, str]] | None] = None  # set by the notebook package

    @property
    def fits(self) -> bool:
        """Whether the best hit is likely to answer; True for searches other than by meaning."""
        return self.confidence is None or self.confidence >= LEAST_CONFIDENCE

    def files(self) -> int:
        """Return the number of files with hits."""
        return files_of(self.hits)

    def __len__(self) -> int:
        self._warn_if_truncated()
        return len(self.hits)

    def __bool__(self) -> bool:
        return bool(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    @overload
    def __getitem__(self, index: str) -> list[Any]: ...
    def __getitem__(self, index: int | slice | str) -> Hit | Results | list[Any]:
        """Return a hit, a slice, or a column: ``results["path"]``."""
        if isinstance(index, str):
            self._warn_if_truncated()
            if index not in Hit.__struct_fields__:
                columns = Hit.__struct_fields__
                raise KeyError(f"There is no column {index!r}.{did_you_mean(index, columns)}")
            (values,) = columns_of(self.hits, [index])
            return values
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self.hits))
            truncated = self.truncated and (stop if step > 0 else start + 1) >= len(self.hits)
            return msgspec.structs.replace(
                self,
                hits=self.hits[index],
                truncated=truncated,
                reason=self.reason if truncated else "",
            )
        return self.hits[index]

    def __contains__(self, hit: object) -> bool:
        return hit in self.hits

    def __reversed__(self) -> Iterator[Hit]:
        return reversed(self.hits)

    def index(self, hit: Hit) -> int:
        return self.hits.index(hit)

    def count(self, hit: Hit) -> int:
        return self.hits.count(hit)

    def show(self, shown: int = 50) -> None:
        """Display more hits than a result shows by default."""
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if Results.presenter is None:
            return
        views = Results.presenter(self, shown)
        if get_ipython() is None:
            print(views["text/plain"])
        else:
            display(views, raw=True)

    def map(self, colour: str = "folder") -> Any:
        """Return a map of the search's scope with these hits highlighted.

        The map is coloured by folder, language or kind.
        """
        if Results.mapper is None:
            raise SearchError(
                "Maps need a notebook with the magics loaded. Run: %load_ext codeintel_nb"
            )
        return Results.mapper(self, colour)

    def missing(self) -> str:
        """Return a sentence about missing hits; empty if complete."""
        if not self.truncated:
            return ""
        count = f"{len(self.hits):,} hit{'' if len(self.hits) == 1 else 's'}"
        if self.reason != "limit":
            return f"{count}: the search was {ENDED[self.reason]}."
        if isinstance(self.query, SemanticQuery):
            return f"{count}: the maximum of a semantic search."
        if isinstance(self.query, TextQuery) and self.query.show == "counts":
            return f"{count}, one per file; more files match. {self._advice()}"
        return f"{count} of {self.total_text()}. {self._advice()}"

    def total_text(self, total: int | None = None) -> str:
        """Return the total as text, such as ``at least 12``."""
        bound = "" if self.total_exact else "more than " if self.more else "at least "
        return f"{bound}{self.total if total is None else total:,}"

    def _advice(self) -> str:
        limit = getattr(self.query, "limit", None) or 0
        return (
            "--limit 0 keeps all."
            if limit <= DEFAULT_HITS
            else "That is the limit of this search, or of its server."
        )

    def _warn_if_truncated(self) -> None:
        if self.truncated:
            warnings.warn(
                f"This result is incomplete: {self.missing()}", TruncatedWarning, stacklevel=3
            )

    def to_markdown(self) -> str:
        """Return the first hits as Markdown, with links to their files."""
        return self._presented().get("text/markdown", "")

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the hits as dictionaries."""
        self._warn_if_truncated()
        return self._dicts()

    def _dicts(self) -> list[dict[str, Any]]:
        return [msgspec.to_builtins(hit) for hit in self.hits]

    def to_json(self) -> str:
        """Return JSON as written by the command line and REST."""
        return msgspec.json.encode(self, enc_hook=enc_hook).decode()

    def to_df(self, columns: Sequence[str] | Literal["all"] = ()) -> Any:
        """Return a pandas DataFrame, one row per hit.

        Its columns are those useful for the search by default, else ``columns``, or all. Its
        ``attrs`` say whether hits are missing.
        """
        self._warn_if_truncated()
        try:
            import pandas
        except ImportError:
            raise MissingExtra("df", needed_by="Results.to_df") from None
        names = self.columns(columns)
        # columns without rows would be numbers
        frame = pandas.DataFrame(self._table(names) if self.hits else [], columns=names)
        frame.attrs.update(self._completeness())
        return frame

    def columns(self, names: Sequence[str] | Literal["all"] = ()) -> list[str]:
        """Return a table's columns, by default chosen by the search.

        Raises
        ------
        SearchError : a name is no column.
        """
        if names == "all":
            return [*FIELDS]
        for name in names:
            if name not in Hit.__struct_fields__:
                raise SearchError(
                    f"A hit has no column {name!r}.{did_you_mean(name, Hit.__struct_fields__)}"
                )
        if names:
            return [*names]
        if isinstance(self.query, TextQuery) and self.query.show == "counts":
            return ["repo", "path", "language", "score"]
        return [*_COLUMNS.get(type(self.query), FIELDS)]

    def _table(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Return columns by name, as plain Python values."""
        fields = dict(zip(names, columns_of(self.hits, names), strict=True))
        nested = {name: msgspec.to_builtins(fields[name]) for name in _NESTED & fields.keys()}
        return fields | nested

    def _completeness(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "total_exact": self.total_exact,
            "truncated": self.truncated,
            "reason": self.reason,
        }

    def to_arrow(self, columns: Sequence[str] | Literal["all"] = "all") -> Any:
        """Return a pyarrow Table with one row per hit; ``why`` is a JSON text.

        Its metadata says whether hits are missing.
        """
        self._warn_if_truncated()
        try:
            import pyarrow
        except ImportError:
            raise MissingExtra("df", needed_by="Results.to_arrow") from None
        of_field = {"int": pyarrow.int64(), "float": pyarrow.float64(), "str": pyarrow.string()}
        names, text = self.columns(columns), pyarrow.string()
        kinds = {name: Hit.__annotations__[name].partition(" |")[0] for name in names}
        types = {**of_field, "Why": text, "tuple[str, ...]": pyarrow.list_(text)}
        schema = pyarrow.schema([(name, types[kinds[name]]) for name in names])
        metadata = {name: str(value) for name, value in self._completeness().items()}
        table = self._table(names)
        if "why" in table:
            table["why"] = [one and msgspec.json.encode(one).decode() for one in table["why"]]
        return pyarrow.Table.from_pydict(table, schema=schema.with_metadata(metadata))

    def to_polars(self, columns: Sequence[str] | Literal["all"] = ()) -> Any:
        """Return a Polars DataFrame, with rows and columns like ``to_df``."""
        try:
            import polars
        except ImportError:
            raise MissingExtra("polars", needed_by="Results.to_polars") from None
        return polars.from_arrow(self.to_arrow(self.columns(columns)))

    def relation(self) -> Any:
        """Return a DuckDB relation, one row per hit."""
        import duckdb

        return duckdb.from_arrow(self.to_arrow())

    def __repr__(self) -> str:
        return self._presented()["text/plain"]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self._presented()

    def _presented(self) -> dict[str, str]:
        if Results.presenter is None:
            lines = [f"{hit.repo}:{hit.path}:{hit.start_line}" for hit in self.hits]
            return {"text/plain": "\n".join(lines) or "no hits"}
        return Results.presenter(self)


_NESTED = {"why", "also"}
# of a table of hits, by the search that found them
_COLUMNS: dict[Any, tuple[str, ...]] = {
    TextQuery: ("repo", "path", "start_line", "cell", "language", "kind", "symbol", "snippet"),
    SemanticQuery: (
        "repo", "path", "start_line", "end_line", "cell", "score", "kind", "symbol", "snippet",
    ),
    SymbolQuery: ("repo", "path", "start_line", "cell", "kind", "symbol", "signature", "doc"),
    PathQuery: ("repo", "path", "language"),
}  # fmt: skip

Sequence.register(Results)
