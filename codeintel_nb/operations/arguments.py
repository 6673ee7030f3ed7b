"""Arguments of the terminal's search commands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..errors import CodeIntelError, did_you_mean
from ..search.query import SemanticQuery
from ..search.request import Request
from .options import Option, convert, options_of, positional_of
from .table import OPERATIONS, Operation


class Parser(argparse.ArgumentParser):
    """Parser with suggestions for unknown commands."""

    def error(self, message: str) -> NoReturn:
        if unknown := _UNKNOWN_COMMAND.search(message):
            message = (
                f"there is no command {unknown[1]!r}."
                f"{did_you_mean(unknown[1], re.findall(r'[a-z]+', unknown[2]))}"
            )
        super().error(message)


# argparse's message
_UNKNOWN_COMMAND = re.compile(r"COMMAND: invalid choice: '(.*)' \(choose from (.*?)\)")


class Unparsed(Exception):
    """Arguments of another command, or wrong ones."""


class _QuietParser(Parser):
    """Parser that raises Unparsed instead of printing."""

    def error(self, message: str) -> NoReturn:
        raise Unparsed(message)


class _Take(argparse.Action):
    """Action: read an option of options.py as the magics do."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, option: Option, **kwargs: Any
    ) -> None:
        self.option = option
        super().__init__(option_strings, dest, **kwargs)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if self.option.kind == "flag":
            setattr(namespace, self.dest, self.option.const)
            return
        try:
            value = convert(self.option, option_string or self.dest, values)
        except CodeIntelError as error:
            parser.error(str(error))
        if isinstance(value, list):
            value = [*(getattr(namespace, self.dest) or []), *value]
        setattr(namespace, self.dest, value)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--home", help="folder of the index; $CODEINTEL_HOME or the user's data folder by default"
    )


def add_options(
    parser: argparse.ArgumentParser, options: Sequence[Option], defaults: Mapping[str, Any]
) -> None:
    """Add the options of a request."""
    for option in options:
        extra: dict[str, Any] = (
            {"nargs": 0} if option.kind == "flag" else {"metavar": option.metavar}
        )
        parser.add_argument(
            *option.flags,
            dest=option.field,
            action=_Take,
            option=option,
            default=defaults.get(option.field),
            help=argparse.SUPPRESS if option.is_hidden else option.help,
            **extra,
        )


def add_text(parser: argparse.ArgumentParser, operation: Operation) -> None:
    """Add the text that an operation searches for."""
    if positional := positional_of(operation.request):
        # a question needs no quotes
        parser.add_argument(positional, nargs="+" if operation.request is SemanticQuery else None)


def request_of(operation: Operation, args: argparse.Namespace) -> Request[Any]:
    """Return the request of a command's arguments."""
    fields = {
        option.field: getattr(args, option.field)
        for option in options_of(operation.request)
        if getattr(args, option.field) is not None
    }
    if positional := positional_of(operation.request):
        text = getattr(args, positional)
        fields[positional] = " ".join(text) if isinstance(text, list) else text
    if operation.limit:
        fields.setdefault("limit", operation.limit)
    return operation.request(**fields)


def parsed(arguments: Sequence[str]) -> tuple[Request[Any], bool]:
    """Return the request of a search command, and whether it prints JSON.

    Raises
    ------
    Unparsed : it is another command, or its arguments are wrong.
    CodeIntelError : the request is invalid.
    """
    searches = {one.command: one for one in OPERATIONS if one.command and one.kind == "search"}
    operation = searches.get(arguments[0]) if arguments else None
    if operation is None:
        raise Unparsed("not a search command")
    parser = _QuietParser(add_help=False, allow_abbrev=False)
    add_common(parser)
    add_options(parser, options_of(operation.request), {})
    add_text(parser, operation)
    args = parser.parse_args(arguments[1:])
    return request_of(operation, args), args.json
