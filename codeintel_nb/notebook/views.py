"""Text and HTML views of the answers of %scope and %codeindex."""

from __future__ import annotations

import html
from typing import NamedTuple

from ..index.update.report import NOTHING, RepositoryStatus
from ..operations.answers import ScopeAnswer
from ..output.plain_text import aligned, status_notes, status_table
from ..output.progress import plural
from ..output.wording import in_notebook
from ..scopes.globs import empty_hint
from ..scopes.scope import Scope

_LABELS = {
    "repos": "repositories", "revisions": "revisions", "include_globs": "included",
    "exclude_globs": "excluded", "languages": "languages", "kinds": "kinds",
}  # fmt: skip


class ScopeView(NamedTuple):
    """The session's scope and its size, or the saved scopes."""

    answer: ScopeAnswer
    where: str  # the place that keeps the scope
    saved: dict[str, Scope] | None

    @property
    def scope(self) -> Scope:
        return self.answer.scope

    def _rows(self) -> list[tuple[str, str]]:
        if self.saved is not None:
            return [(name, scope.describe()) for name, scope in self.saved.items()] or [
                ("no saved scopes", "%scope save NAME saves the current one")
            ]
        rows = [
            (_LABELS[field], ", ".join(getattr(self.scope, field)))
            for field in Scope.__struct_fields__
            if getattr(self.scope, field)
        ]
        rows = rows or [("limits", "none: everything is searched")]
        c = self.answer.coverage
        if self.answer.is_default and self.scope:
            rows.append(("default", "the notebook's project, as no scope was set"))
        if c is not None and c.building:
            rows.append(
                (
                    "not indexed",
                    f"{', '.join(c.building)}: only text search reads its files. "
                    "%codeindex add indexes the project",
                )
            )
        if c is not None and c.files:
            rows.append(
                (
                    "in scope",
                    f"{c.files_in_scope:,} of {plural(c.files, 'file')}, "
                    f"{c.chunks_in_scope:,} of {plural(c.chunks, 'chunk')}",
                )
            )
            if c.files_in_scope == 0:
                rows.append(
                    (
                        "warning",
                        "no file is in scope, so searches find nothing. "
                        f"{empty_hint(self.scope.include_globs)}",
                    )
                )
        elif c is None:
            rows.append(("index", in_notebook(NOTHING)))
        if self.answer.scope_expired:
            rows.append(("note", "the scope set earlier has expired"))
        if self.answer.offered is not None:
            rows.append(
                (
                    "previous kernel",
                    f"{self.answer.offered.describe()} (to restore it: %scope restore)",
                )
            )
        return rows

    def __repr__(self) -> str:
        width = max(len(name) for name, _ in self._rows())
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self._rows())

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th scope='row' style='text-align:left'>{html.escape(n)}</th>"
            f"<td style='text-align:left'>{html.escape(v)}</td></tr>"
            for n, v in self._rows()
        )
        title = "Saved scopes" if self.saved is not None else f"Scope · {html.escape(self.where)}"
        return (
            f"<table><caption style='text-align:left'>{title}</caption>"
            f"<tbody>{cells}</tbody></table>"
        )


class IndexView(NamedTuple):
    """All repositories and their indexes, after the outcome of a command."""

    repositories: list[RepositoryStatus]
    done: list[str]
    with_skipped: bool = False

    def _notes(self) -> list[str]:
        return [*self.done, *map(in_notebook, status_notes(self.repositories, self.with_skipped))]

    def __repr__(self) -> str:
        return "\n".join(
            [
                *self._notes(),
                *(aligned(status_table(self.repositories)) if self.repositories else ()),
            ]
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in self._notes())
        if not self.repositories:
            return notes
        heading, *rows = status_table(self.repositories)
        styles = [" style='text-align:left'"] * 2 + [""] * (len(heading) - 2)  # name and folder
        heads = "".join(
            f"<th scope='col'{style}>{name}</th>"
            for name, style in zip(heading, styles, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f"<td{style}>{html.escape(cell)}</td>"
                for cell, style in zip(row, styles, strict=True)
            )
            + "</tr>"
            for row in rows
        )
        return (
            f"{notes}<table><caption style='text-align:left'>Indexed repositories</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        )
