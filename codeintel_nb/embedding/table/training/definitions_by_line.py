"""Definitions in Elixir and Haskell, found line by line.

Doc comments are easier to find by line than in a tree.
"""

from __future__ import annotations

import re

from .comments import Comment, Comments
from .definitions import Definition


def definitions_of_elixir(text: str) -> tuple[list[Definition], Comments, list[str]]:
    lines = text.split("\n")
    out: list[Definition] = []
    comments, module = Comments([], lines), ""
    pending: Comment | None = None
    row = 0
    while row < len(lines):
        line = lines[row]
        started = re.match(r"\s*defmodule\s+([\w.]+)", line)
        if started:
            module = started[1]
            out.append(Definition(module, row, min(row + 60, len(lines) - 1), None, True))
        doc = re.match(r'\s*@(moduledoc|doc|typedoc)\s+(?:~[sS])?("""|")(.*)', line)
        if doc:
            begin = row
            if doc[2] == '"""':
                row += 1
                while row < len(lines) and '"""' not in lines[row]:
                    row += 1
                body = "\n".join(lines[begin + 1 : row])
            else:
                body = doc[3].rsplit('"', 1)[0]
            comment = Comment(begin, row, body)
            if doc[1] == "moduledoc":
                if out:
                    out[-1] = Definition(
                        out[-1].name, row + 1, min(row + 60, len(lines) - 1), comment, True
                    )
            else:
                pending = comment
        made = re.match(
            r"(\s*)(defp?|defmacrop?|defguardp?|defdelegate|defcallback)\s+([\w?!]+)", line
        )
        if made:
            end = row
            if re.search(r"\bdo\s*$", line) or not re.search(r",\s*do:", line):
                while end + 1 < len(lines) and end < row + 80:
                    end += 1
                    if lines[end].startswith(made[1] + "end") or (
                        lines[end].strip() and re.match(r"\s*(@doc|defp?\s|defmacro)", lines[end])
                    ):
                        break
            out.append(Definition(module + "." + made[3], row, end, pending, False))
            pending, row = None, row
        row += 1
    return out, comments, lines


def definitions_of_haskell(text: str) -> tuple[list[Definition], Comments, list[str]]:
    lines = text.split("\n")
    out: list[Definition] = []
    comments, module = Comments([], lines), ""
    head = re.search(r"^module\s+([\w.]+)", text, re.M)
    module = head[1] if head else ""
    row = 0
    group: Comment | None = None
    while row < len(lines):
        line = lines[row]
        if re.match(r"(--\s*\|)|\{-\s*\|", line):
            begin = row
            if line.startswith("{-"):
                while row < len(lines) - 1 and "-}" not in lines[row]:
                    row += 1
            else:
                while row + 1 < len(lines) and lines[row + 1].startswith("--"):
                    row += 1
            group = Comment(begin, row, "\n".join(lines[begin : row + 1]))
        elif re.match(r"[a-z_(]|data\b|newtype\b|class\b|type\b", line) and not re.match(
            r"(import|module|where|infix|deriving)\b", line
        ):
            words = re.findall(r"[\w']+", line)
            kind = words[0] if words else ""
            big = kind in ("data", "newtype", "class", "type", "instance")
            if big:
                left = re.split(r"=>", line)[-1] if "=>" in line else line.replace(kind, "", 1)
                words = re.findall(r"[A-Z][\w']*", left)
            name = words[0] if words else ""
            begin = row
            while row + 1 < len(lines) and row < begin + 70:
                after = lines[row + 1]
                if (
                    after.startswith((" ", "\t", "}", ")"))
                    or not after.strip()
                    or (not big and re.match(re.escape(name) + r"\b", after))
                ):
                    row += 1
                else:
                    break
            if name:
                fits = group is not None and begin - group.last <= 2
                out.append(
                    Definition(module + "." + name, begin, row, group if fits else None, big)
                )
            group = None
        elif module and group is not None and line.startswith("module"):
            out.append(Definition(module, row, min(row + 50, len(lines) - 1), group, True))
            group = None
        row += 1
    return out, comments, lines
