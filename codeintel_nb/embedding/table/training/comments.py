"""Comments of source code as plain sentences, with their rows."""

from __future__ import annotations

import re
from typing import NamedTuple


class Comment(NamedTuple):
    """Comment on its own lines; rows from 0, ``last`` inclusive."""

    first: int
    last: int
    text: str


LEGAL = re.compile(
    r"copyright|licen[sc]e|spdx|all rights reserved|@author|permission is hereby|warranty|"
    r"redistribution",
    re.I,
)
NOISE = re.compile(
    r"^(todo|fixme|xxx|hack|eslint|jshint|jslint|tslint|@ts-|istanbul|prettier|pragma|region|"
    r"endregion|nolint|noinspection|generated|auto-?generated|clang-format|vim:|-\*-|#!|<editor|"
    r"stylecop|rubocop|shellcheck|phpcs|@internal|@private|@inheritdoc|\{@inheritdoc|"
    r"\(?non-javadoc|internal use|see )",
    re.I,
)
MARKS = re.compile(
    r"^\s*(/\*+!?<?|\*+/|\*(?!\*)|///?[/!<]*|//|#+!?|--+\[*=*\[?|;+|\{-\|?|-\}|\"\"\")\s?"
)


def plain(comment: str) -> str:
    """Return a comment's text without marks, tags, links or code."""
    lines = []
    for line in comment.split("\n"):
        line = MARKS.sub("", line, count=1).rstrip()
        line = re.sub(r"(\*+/|--?\]=*\]|-\})\s*$", "", line).rstrip()
        if re.match(r"\s*\|\s", line):
            line = line.replace("|", "", 1)
        if re.fullmatch(r"[\W_]*", line):
            line = ""
        lines.append(line.strip())
    text = "\n".join(lines).strip()
    text = re.sub(
        r"^[@\\](brief|desc(ription)?|summary|short|overview|fileoverview|"
        r"file|module|class|function)\b[ \t]*:?",
        "",
        text,
        flags=re.I | re.M,
    )
    text = re.split(
        r"^(?:[@\\]\w+|:\w+[ :]|#+ |- (Parameters?|Returns?|Throws)\b|"
        r"(Parameters|Arguments|Returns?|Examples?|Usage|Note|Args):?\s*$|```)",
        text,
        maxsplit=1,
        flags=re.M,
    )[0]
    text = re.sub(
        r"<(see|paramref|typeparamref)\s+\w+=\"(?:[A-Z]:)?([^\"]*)\"\s*/?>",
        lambda m: m[2].rsplit(".", 1)[-1],
        text,
    )
    text = re.sub(r"</?[a-zA-Z][^<>\n]{0,80}>", " ", text)
    text = re.sub(r"\{@\w+\s+([^}]*)\}", r"\1", text)
    text = re.sub(r"\[([^\]\n]+)\](\([^)\n]*\)|\[[^\]\n]*\])?", r"\1", text)
    return text.replace("`", "").replace("{{{", "").replace("}}}", "").strip()


def first_sentence(text: str) -> str:
    paragraph = re.sub(r"\s+", " ", re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0])
    sentence = re.split(r"(?<=[a-z0-9)\]'\"])[.!?](\s|$)", paragraph, maxsplit=1)[0]
    return sentence.strip().rstrip(".:").strip()


def is_query(sentence: str, least: int = 3) -> bool:
    words = re.findall(r"[A-Za-z]{2,}", sentence)
    if (
        not least <= len(words) <= 45
        or not sentence.isascii()
        or NOISE.match(sentence)
        or LEGAL.search(sentence)
    ):
        return False
    if "http" in sentence or (
        re.search(r"[;{}=]|\)\s*$|->|::\s|^\W", sentence[:200]) and len(words) < 8
    ):
        return False
    return sum(c.isalpha() or c == " " for c in sentence) > 0.82 * len(sentence)


def parts_of(name: str) -> list[str]:
    return [p.lower() for p in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


class Comments:
    """Comments of a file, neighbours joined."""

    def __init__(self, found: list[Comment], lines: list[str]) -> None:
        groups: list[Comment] = []
        for start, end, text in sorted(found):
            if lines[start][: len(lines[start]) - len(lines[start].lstrip())].strip():
                continue
            if (
                groups
                and start == groups[-1].last + 1
                and not text.startswith("/*")
                and not groups[-1].text.startswith("/*")
            ):
                groups[-1] = Comment(groups[-1].first, end, groups[-1].text + "\n" + text)
            else:
                groups.append(Comment(start, end, text))
        self.groups = groups
        self.by_end = {g.last: g for g in groups}
        self.used: set[int] = set()

    def above(self, lines: list[str], row: int) -> tuple[Comment | None, int]:
        """Return the comment above a definition, and its first row.

        The first row of the definition includes its attributes.
        """
        for _ in range(7):
            if row - 1 in self.by_end:
                return self.by_end[row - 1], row
            before = lines[row - 1].strip() if row else ""
            if not before.startswith(("@", "#[", "[", "template", "export", "]", ")]")):
                break
            row -= 1
        return None, row
