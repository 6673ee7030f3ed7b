"""FileText: lines of an indexed file."""

from __future__ import annotations

import msgspec

from ..errors import SourceError
from ..sources.chunk import decoded


class FileText(msgspec.Struct, frozen=True):
    """Lines of an indexed file."""

    repo: str
    path: str
    start_line: int  # 1-based, inclusive
    end_line: int
    total_lines: int
    language: str
    text: str

    @classmethod
    def cut(
        cls,
        repo: str,
        path: str,
        content: bytes,
        language: str,
        start_line: int,
        end_line: int | None,
    ) -> FileText:
        """Return a file's lines; SourceError if ``start_line`` does not exist."""
        lines = decoded(content).split("\n")
        if len(lines) > 1 and not lines[-1]:
            lines.pop()  # the empty text after the last newline is not a line
        last = min(len(lines), end_line or len(lines))
        if start_line > max(1, len(lines)):
            lines_text = f"{len(lines):,} line{'' if len(lines) == 1 else 's'}"
            raise SourceError(f"{path} has {lines_text}; line {start_line} does not exist.")
        return cls(
            repo,
            path,
            start_line,
            last,
            len(lines),
            language,
            "\n".join(lines[start_line - 1 : last]),
        )
