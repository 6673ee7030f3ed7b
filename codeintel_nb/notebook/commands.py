"""Options, commands and requests in the lines of magics."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from ..client.contract import Client
from ..errors import (
    CodeIntelError,
    ScopeError,
    SearchError,
    SourceError,
    did_you_mean,
)
from ..index.update.report import IndexReport, each_report
from ..operations.command_line import quoted
from ..operations.options import OUT, SCOPE_OPTIONS, Option, describe, options_of, unquoted
from ..operations.requests import IndexRequest, RefreshRequest, StatusRequest
from ..operations.table import OPERATIONS, Operation
from ..output.progress import summary
from ..output.wording import in_notebook
from ..scopes.scope import Scope, covered, joined
from ..search.hit import Hit
from ..search.results import Results
from ..server.problems import MAX_SQL_BODY_BYTES
from ..sources.project import current_folder, project_of
from ..sources.repository import package, package_at
from .kernel_packages import imported_packages

_KERNEL = Option(
    ("--kernel",), "kernel", "flag", "the installed packages that this kernel has imported"
)
_SKIPPED = Option(("--skipped",), "skipped", "flag", "list the files left out, and why")
_IMPORTED = Option(("--kernel",), "kernel", "flag", "also the packages imported by this kernel")
SCOPE_SET_OPTIONS = (*SCOPE_OPTIONS, _IMPORTED)
_BY = Option(("--by",), "by", "text", "colour by folder, language or kind", metavar="WHAT")
ADD_OPTIONS = (*options_of(IndexRequest), _KERNEL)
REFRESH_OPTIONS = options_of(RefreshRequest)
STATUS_OPTIONS = (_SKIPPED,)
MAGICS = {operation.magic: operation for operation in OPERATIONS if operation.magic}
OPTIONS: dict[str, Sequence[Option]] = {
    **{name: (*options_of(operation.request), OUT) for name, operation in MAGICS.items()},
    "codemap": (_BY, *SCOPE_OPTIONS),
    "scope": SCOPE_SET_OPTIONS,
    "codeindex": (*ADD_OPTIONS, *STATUS_OPTIONS),
}
# hits sent with a query, each with up to MAX_SQL_SNIPPET characters of its snippet
MAX_SQL_HITS = 100_000
MAX_SQL_SNIPPET = 200
MAX_SQL_HIT_BYTES = MAX_SQL_BODY_BYTES - 1_000_000  # the rest is for the statement
_STRING = re.compile(r"'(?:[^']|'')*'")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.S)
_TABLE_HITS = re.compile(
    r"\b(?:(?:from|join|table|summarize|describe|pivot|unpivot)\s+|from\s[^;]*?,\s*)"
    r"(?:main\.)?\"?hits\b",
    re.I,
)
_OWN_HITS = re.compile(r"\bwith\s[^;]*?\bhits\s+as\s", re.I)  # a table of the query's own
SCOPE_COMMANDS = (
    "show",
    "set",
    "add",
    "drop",
    "clear",
    "save",
    "use",
    "list",
    "restore",
    "panel",
    "mcp",
)
INDEX_COMMANDS = ("add", "status", "refresh", "drop", "watch")


def help_of(operation: Operation) -> str:
    """Return a magic's help: use, options and names elsewhere."""
    summary = f"{operation.summary[0].upper()}{operation.summary[1:]}, inside the scope."
    elsewhere = f"In Python and REST: {operation.name}."
    if operation.command:
        elsewhere += f" In a terminal: codeintel {operation.command}."
    return with_options(f"{summary}\n\n{cleandoc(operation.help)}", operation.magic) + elsewhere


def with_options(text: str, magic: str) -> str:
    """Return a magic's help with its options."""
    return f"{cleandoc(text)}\n\nOptions:\n{describe(OPTIONS[magic])}\n\n"


def command_of(line: str, commands: tuple[str, ...], magic: str, default: str) -> tuple[str, str]:
    word, _, rest = line.strip().partition(" ")
    if not word or word.startswith("-"):
        return default, line
    if word not in commands:
        raise SearchError(
            f"%{magic} has no command {word!r}.{did_you_mean(word, commands)} For help: %{magic}?"
        )
    return word, rest


def scope_command(line: str) -> tuple[str, str]:
    """Return the command of a %scope line, and its options or the name of a saved scope.

    Raises
    ------
    SearchError : there is no such command, or it does not take what follows.
    """
    command, rest = command_of(line, SCOPE_COMMANDS, "scope", "show")
    rest = rest.strip()
    if command in ("set", "add", "drop"):
        return command, rest
    if command in ("save", "use"):
        if unquoted(rest) == rest and re.search(r"(^|\s)-", rest):
            raise SearchError(
                f"%scope {command} takes only a name, not {rest!r}. "
                "To change the scope first: %scope set OPTIONS"
            )
        return command, unquoted(rest)
    if rest and not rest.startswith("#"):
        if line.lstrip().startswith("-"):
            raise SearchError(f"%scope needs a command. Did you mean: %scope set {rest}")
        raise SearchError(f"%scope {command} takes no options, but got {rest!r}.")
    return command, ""


def index_request(place: str, values: dict[str, Any]) -> IndexRequest:
    """Return the index request for a folder or a package.

    The path is resolved here, as the engine may run in another environment.

    Raises
    ------
    SearchError : ``--outputs``, or a folder, was given for a package.
    """
    rebuild, name = "rebuild" in values, values.get("name")
    if place and "package" in values:
        raise SearchError(
            f"--package {values['package']} and the folder {place} exclude each other. "
            "Index one after the other."
        )
    if "package" not in values:
        shown = os.environ.get("JUPYTER_SERVER_ROOT")  # a server may index only below it
        path = (
            os.path.abspath(os.path.expanduser(place))
            if place
            else str(project_of(current_folder(), Path(shown).resolve() if shown else None))
        )
        return IndexRequest(path=path, name=name, rebuild=rebuild, outputs="outputs" in values)
    if "outputs" in values:
        raise SearchError(
            "--outputs applies to a folder of notebooks, not to a package. "
            "Run: %codeindex add PATH --outputs"
        )
    try:
        installed = package(values["package"], name)
    except SourceError:  # the engine's environment may have it, and reports if not
        return IndexRequest(package=values["package"], name=name, rebuild=rebuild)
    return IndexRequest(
        path=installed.root, package=os.path.basename(installed.root), name=name, rebuild=rebuild
    )


def kernel_requests(
    namespace: Mapping[str, Any], place: str, values: dict[str, Any]
) -> list[IndexRequest]:
    """Return an index request per installed package imported here.

    Raises
    ------
    SearchError : there is none, or a place or another option was given.
    """
    if place or values.keys() - {"kernel", "rebuild"}:
        raise SearchError(
            "%codeindex add --kernel adds the imported packages, and its only other option is "
            "--rebuild. For one package: %codeindex add --package NAME"
        )
    packages = imported_packages(namespace)
    if not packages:
        raise SearchError(
            "This kernel has imported no installed packages except those that it requires itself. "
            "Import one first, or name one: %codeindex add --package NAME"
        )
    return [
        IndexRequest(path=str(folder), package=name, rebuild="rebuild" in values)
        for name, folder in packages
    ]


def indexed_imports(
    namespace: Mapping[str, Any], indexed: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return this kernel's imported packages: indexed repositories, and unindexed names."""
    repositories, missing = list[str](), list[str]()
    for name, folder in imported_packages(namespace):
        repository = package_at(str(folder), name).name
        (repositories if repository in indexed else missing).append(
            repository if repository in indexed else name
        )
    return repositories, missing


def with_imports(
    scope: Scope, client: Client, namespace: Mapping[str, Any]
) -> tuple[Scope, list[str]]:
    """Return a scope plus imported packages, and unindexed ones' names.

    Raises
    ------
    ScopeError : no imported package is indexed.
    """
    names = [status.name for status in client.ask(StatusRequest()).repositories]
    imported, missing = indexed_imports(namespace, names)
    if not imported:
        if not missing:
            raise ScopeError(
                "This kernel has imported no installed packages yet. "
                "Import one first, or name one: %scope add --repo NAME"
            )
        raise ScopeError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} imported but not "
            "indexed. To index all imported packages: %codeindex add --kernel"
        )
    for repository in imported:
        scope = joined(scope, repository, names)
    return scope, missing


def without_imports(scope: Scope, client: Client, namespace: Mapping[str, Any]) -> Scope:
    """Return a scope minus this kernel's imported packages.

    Raises
    ------
    ScopeError : the scope names none of them, or nothing else.
    """
    names = [status.name for status in client.ask(StatusRequest()).repositories]
    imported, _ = indexed_imports(namespace, names)
    rest = tuple(
        name
        for name in scope.repos
        if not (members := covered(Scope(repos=(name,)), names)) or not members <= {*imported}
    )
    if rest == scope.repos:
        raise ScopeError(
            f"The scope contains no package that this kernel has imported: {scope.describe()}."
        )
    if not rest:
        raise ScopeError(
            "The scope contains only imported packages. To go back to the project: %scope clear"
        )
    return scope.merged(repos=rest)


def changed(scope: Scope, command: str, values: dict[str, Any]) -> Scope:
    if command == "set":  # omitted options set no limit, except that the repositories stay
        unchanged = {"repos": scope.repos} if "repos" not in values else {}
        return Scope(**unchanged, **{field: tuple(items) for field, items in values.items()})
    change = {
        field: getattr(Scope(**{field: tuple(items)}), field) for field, items in values.items()
    }
    if command == "add":
        if "repos" in change and scope.is_everywhere:
            raise ScopeError(
                "The scope contains all repositories already. To limit it: %scope set "
                + " ".join(f"--repo {quoted(one)}" for one in change["repos"] if one != "*")
            )
        return scope.merged(
            **{field: (*getattr(scope, field), *items) for field, items in change.items()}
        )
    for field, items in change.items():
        for item in items:
            if item not in getattr(scope, field):
                raise ScopeError(
                    f"{item!r} is not in the scope: {scope.describe()}."
                    f"{did_you_mean(item, getattr(scope, field))}"
                )
    if "repos" in change and {*scope.repos} <= {*change["repos"]}:
        raise ScopeError(
            f"The scope contains no other repository: {scope.describe()}. To go back to the "
            "project: %scope clear. To search everything: %scope set --repo '*'"
        )
    return scope.merged(
        **{
            field: tuple(item for item in getattr(scope, field) if item not in items)
            for field, items in change.items()
        }
    )


def each_summary(runs: Sequence[tuple[str, Callable[[], IndexReport]]]) -> list[str]:
    """Return the summary or the error of each run."""
    return [
        f"{name}: {in_notebook(str(outcome))}"
        if isinstance(outcome, CodeIntelError)
        else summary(outcome)
        for name, outcome in each_report(runs)
    ]


def sendable(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Return hits, cut to fit into an SQL request."""
    short = tuple(
        msgspec.structs.replace(hit, snippet=hit.snippet[:MAX_SQL_SNIPPET], signature="", doc="")
        for hit in hits[:MAX_SQL_HITS]
    )
    while (size := len(msgspec.json.encode(short))) > MAX_SQL_HIT_BYTES:
        short = short[: len(short) * MAX_SQL_HIT_BYTES // size]
    return short


def hits_for_sql(last: Results | None, query: str) -> tuple[Hit, ...]:
    """Return the hits of a notebook's last search for a query that mentions them.

    Raises
    ------
    SearchError : the query reads the table hits, and there was no search.
    """
    if last is None:
        if reads_hits(query):
            raise SearchError(
                "The table hits is empty, as this notebook has not searched yet. "
                "Search first: %textsearch PATTERN"
            )
        return ()
    hits = sendable(last.hits)
    if not reads_hits(query):
        return hits
    if last.truncated:
        print(f"The table hits is incomplete: {last.missing()}")
    elif len(hits) < len(last.hits):
        print(
            f"The table hits is incomplete: it contains the first {len(hits):,} "
            f"of {len(last.hits):,} hits."
        )
    return hits


def reads_hits(query: str) -> bool:
    """Whether a SQL query reads the table hits, and does not only mention the word."""
    bare = _COMMENT.sub(" ", _STRING.sub("''", query))
    return _TABLE_HITS.search(bare) is not None and _OWN_HITS.search(bare) is None
