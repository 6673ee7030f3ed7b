"""Progress bar and line, cleared when the build ends."""

from __future__ import annotations

import html
from typing import Any

from IPython.display import HTML, display

from ..index.update.report import Progress
from ..output.progress import TerminalProgress


class NotebookProgress(TerminalProgress):
    """Progress display in one output of the cell."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None

    def show(self, progress: Progress, line: str) -> None:
        share = self.estimate.share(progress)
        bar = (
            f"<progress value='{share:.3f}' max='1' aria-label='indexing'></progress> "
            if progress.files_total
            else ""
        )
        shown = HTML(f"<div>{bar}<small>{html.escape(line)}</small></div>")
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def clear(self) -> None:
        if self._handle is not None:
            self._handle.update(HTML(""))
