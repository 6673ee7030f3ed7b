"""Completion of the magics: options, commands, and values from the index."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher

from ..client.contract import Client
from ..errors import CodeIntelError
from ..operations.options import Option
from ..operations.requests import ListSavedScopes, StatusRequest
from ..scopes.languages import LANGUAGES
from ..scopes.scope import KINDS
from ..search.query import PathQuery

_MAX_PATHS = 200


class Completer:
    """Completer of ``%magic ... --option value`` and ``%scope command``."""

    def __init__(
        self,
        client: Client,
        options: Mapping[str, Sequence[Option]],
        commands: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.client = client
        self.options = options
        self.commands = commands
        self._line = re.compile(rf"^\s*(?:\w+\s*=\s*)?%{{1,2}}({'|'.join(options)})\s(.*)$", re.S)

    @context_matcher(identifier="codeintel")
    def match(self, context: Any) -> dict[str, Any]:
        match = self._line.match(context.text_until_cursor)
        if match is None:
            return {"completions": []}
        magic, typed = match[1], match[2]
        words = typed.split(" ")
        last, before = words[-1], [word for word in words[:-1] if word]
        fitting = sorted(word for word in self._words(magic, before, last) if word.startswith(last))
        token = str(context.token)
        return {
            "completions": [
                SimpleCompletion(
                    text=word[len(last) - len(token) :] if last.endswith(token) else word,
                    type="param",
                )
                for word in fitting
            ],
            "suppress": bool(fitting) or last.startswith("-"),
        }

    def _words(self, magic: str, before: list[str], last: str) -> Iterable[str]:
        by_flag = {
            flag: option
            for option in self.options[magic]
            if not option.is_hidden
            for flag in option.flags
        }
        if before and (option := by_flag.get(before[-1])) is not None and option.kind != "flag":
            return self._values(option, last)
        if not before and magic in self.commands:
            return self.commands[magic]
        if before[:1] in (["use"], ["drop"]) and len(before) == 1 and not last.startswith("-"):
            return self._names(magic)
        if magic == "codeindex" and before[:1] == ["refresh"]:
            return self._names(magic)
        if last.startswith("-") or magic == "scope":
            return by_flag
        return ()

    def _names(self, magic: str) -> list[str]:
        if magic == "scope":
            return sorted(self.client.ask(ListSavedScopes()).scopes)
        return [repository.name for repository in self.client.ask(StatusRequest()).repositories]

    def _values(self, option: Option, last: str) -> Iterable[str]:
        if option.field == "languages":
            return LANGUAGES
        if option.field == "kinds":
            return KINDS
        if option.choices:
            return option.choices
        try:
            if option.field == "repos":
                return self._names("codeindex")
            if option.kind == "globs":
                return self._folders(last)
        except CodeIntelError:  # completion ignores errors that a search reports
            return ()
        return ()

    def _folders(self, last: str) -> Iterable[str]:
        """Return the paths one level below the typed one."""
        typed = last.strip("'\"")
        depth = typed.count("/") + 1
        paths: set[str] = set()
        escaped = re.sub(r"([*?{}\[\]\\])", r"\\\1", typed)
        begun = (f"/{escaped}*",) if typed else ()
        query = PathQuery(
            repos=(), revisions=(), include_globs=begun, exclude_globs=(), languages=(), kinds=()
        )
        for hit in self.client.ask(query).results:
            if hit.path.startswith(typed):
                parts = hit.path.split("/")
                paths.add("/".join(parts[:depth]) + ("/**" if len(parts) > depth else ""))
                if len(paths) > _MAX_PATHS:
                    break
        return paths | {os.path.dirname(typed) + "/**" for _ in (1,) if "/" in typed}
