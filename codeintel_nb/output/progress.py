"""Progress and summary of a build, as text."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..index.update.report import COMPACTING, IndexReport, Progress


class Estimate:
    """Formatter of progress lines.

    Within a run the share never decreases, and small increases of the time left are ignored. Each
    repository is a run, and so is the compaction after it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._run = ("", False)
        self._reset()

    def _reset(self) -> None:
        self._began: float | None = None
        self._share = 0.0
        self._left_s: int | None = None

    def share(self, progress: Progress) -> float:
        """Return the run's largest share so far, 0 to 1.

        A crashed child starts over, so the present share may be smaller.
        """
        run = progress.repository, progress.stage == COMPACTING
        if run != self._run:
            self._run = run
            self._reset()
        self._share = max(self._share, progress.share)
        return self._share

    def line(self, progress: Progress) -> str:
        """Return the progress line: repository, stage, percentage, files and time left."""
        stage = (
            f"{progress.repository}: {progress.stage}" if progress.repository else progress.stage
        )
        share = self.share(progress)
        if not progress.files_total and not progress.bytes_total:
            return f"{stage} ..."
        if not progress.files_total:
            return f"{stage} {100 * share:3.0f} %{self._left(share)}"
        files = (
            f"{stage} {100 * share:3.0f} %  "
            f"{progress.files_done:,} of {progress.files_total:,} files"
        )
        data = (
            f", {size(progress.bytes_done)} of {size(progress.bytes_total)}"
            if progress.bytes_total
            else ""
        )
        return f"{files}{data}{self._left(share)}"

    def _left(self, share: float) -> str:
        now = self._clock()
        self._began = self._began or now
        spent = now - self._began
        if share <= 0.02 or share >= 1 or spent <= 1:
            return ""
        left = math.ceil(spent * (1 - share) / share)
        if self._left_s is not None and self._left_s < left <= 2 * self._left_s:
            left = self._left_s  # ignore small increases
        self._left_s = left
        return f", {left} s left" if left < 60 else f", {left // 60} min {left % 60:02d} s left"


class TerminalProgress:
    """Progress line on standard error, if that is a terminal.

    It is redrawn a few times a second and cleared at the end. Work that ends at once shows nothing.
    """

    renewed_s = 0.2
    patience_s = 0.4

    def __init__(self) -> None:
        self.estimate = Estimate()
        self._last = time.monotonic() + self.patience_s - self.renewed_s
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= self.renewed_s:
            self._last = now
            self.show(progress, self.estimate.line(progress))

    def show(self, progress: Progress, line: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r" + line.ljust(self._width))
            sys.stderr.flush()
            self._width = len(line)

    def clear(self) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()


def summary(report: IndexReport) -> str:
    """Return a line on the outcome of a run."""
    totals = plural(report.chunks, "chunk")
    if report.indexed != report.files:
        totals = f"{plural(report.files, 'file')}, {totals}"
    if not report.indexed and not report.removed:
        return f"{report.repository}: up to date ({totals})"
    changes = [f"indexed {plural(report.indexed, 'file')}"]
    if report.removed:
        changes.append(f"removed {report.removed:,}")
    if report.unchanged:
        changes.append(f"{report.unchanged:,} unchanged")
    return f"{report.repository}: {', '.join(changes)} ({totals}) in {duration(report.seconds)}"


def skipped(reasons: dict[str, int]) -> str:
    return (
        ", ".join(
            f"{count:,} {reason}"
            for reason, count in sorted(reasons.items(), key=lambda item: -item[1])
        )
        or "nothing"
    )


def size(count: float) -> str:
    """Return a number of bytes in a readable unit: ``1.5 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def plural(count: int, noun: str) -> str:
    """Return the count with its noun: ``1 file``, ``2,000 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
