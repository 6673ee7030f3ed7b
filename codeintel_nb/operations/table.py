"""Table of operations, and where each face offers them.

REST routes of both servers, MCP tools, commands, magics, their options, help and completion, and
the description of the API (server/openapi.py) all come from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from ..errors import CodeIntelError, EngineError, ScopeError, SourceError
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.facets import Facets
from ..search.file_text import FileText
from ..search.query import PathQuery, SemanticQuery, SymbolQuery, TextQuery
from ..search.request import Request
from ..search.table import SCHEMA
from . import runs
from .answers import (
    Health,
    JobState,
    RepositoriesAnswer,
    SavedScopes,
    ScopeAnswer,
    SearchAnswer,
    SessionsAnswer,
    TableAnswer,
)
from .requests import (
    CancelJobRequest,
    ChangeScope,
    ClearScope,
    EndSearch,
    FacetsRequest,
    FileRequest,
    GetSavedScope,
    GetScope,
    HealthRequest,
    IndexRequest,
    JobEventsRequest,
    JobRequest,
    ListSavedScopes,
    MapRequest,
    RefreshRequest,
    RemoveRequest,
    RemoveSavedScope,
    SaveScope,
    SessionsRequest,
    SetScope,
    SqlRequest,
    StatusRequest,
)

Kind = Literal["call", "search", "long", "job", "events"]
Errors = Mapping[type[CodeIntelError], HTTPStatus]
_NO_ERRORS: Errors = {}
_NO_SUCH_SCOPE: Errors = {ScopeError: HTTPStatus.NOT_FOUND}
_NO_SUCH_FILE: Errors = {**_NO_SUCH_SCOPE, SourceError: HTTPStatus.NOT_FOUND}


class Tool(NamedTuple):
    """MCP tool of an operation."""

    description: str
    name: str = ""  # if it is not the operation's
    limit: int = 0  # default number of hits
    max_limit: int = 0
    changes: bool = False  # the session's state


class Operation(NamedTuple):
    """One operation, for every face."""

    name: str
    request: type[Request[Any]]
    answer: Any  # its type on the wire; None for an empty answer
    title: str
    summary: str  # what it does, in one sentence
    method: str
    path: str  # its {names} are fields of the request; {session_id} is the session's
    run: runs.Run | None = None  # None: each server and client has its own, under the same name
    # a search is ended early by its id, with partial results; a long call also has progress;
    # a job goes on after its answer; events are a stream
    kind: Kind = "call"
    status: int = 200
    access: Literal["read", "write"] = "read"
    kernels: Literal["any", "own", "none"] = "any"  # whose signature is accepted
    errors: Errors = _NO_ERRORS  # statuses that differ from those of server/problems.py
    body: str = ""  # field of the request that is the whole body
    limit: int = 0  # default number of hits on the command line and in REST, if not the request's
    tool: Tool | None = None
    command: str = ""
    magic: str = ""
    help: str = ""  # of the magic: its usage and examples

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))


_TABLES = "\n        ".join(f"    {name}: {', '.join(names)}" for name, names in SCHEMA.items())
_NARROWED = " The session's scope applies; fields given here replace its own for this call."
OPERATIONS = (
    Operation(
        "search_text", TextQuery, SearchAnswer,
        "Search text", "find lines containing text or matching a regular expression",
        "POST", "search/text", runs.search_text, "search", limit=100,
        command="grep", magic="textsearch",
        tool=Tool(
            "Find lines containing text or matching a regular expression, like ripgrep. Files "
            f"changed since they were indexed are read from disk.{_NARROWED}",
            limit=30, max_limit=1_000,
        ),
        help=r"""
            %textsearch [options] PATTERN [options]
            hits = %textsearch -w --regex def\s+read_\w+
            %textsearch hits << PATTERN

        The pattern is used as typed: {} and $ are not expanded, and one pair of surrounding quotes
        is removed. Text after -- is never an option. Spaces at either end count only in quotes:
        %textsearch "def ".
        """,
    ),
    Operation(
        "semantic_search", SemanticQuery, SearchAnswer,
        "Search by meaning", "find code by what it does, or by a symbol's name",
        "POST", "search/semantic", runs.semantic_search, "search", limit=10,
        command="search", magic="semsearch",
        tool=Tool(
            "Find chunks of code, some 750 characters each, that answer a question in plain "
            f"words, best first. Compare scores within one answer only.{_NARROWED}",
            limit=10, max_limit=200,
        ),
        help="""
            %semsearch [options] where are time zones converted [options]
            hits = %semsearch --limit 50 read a parquet file in chunks
            %semsearch hits << read a parquet file in chunks
        """,
    ),
    Operation(
        "search_symbols", SymbolQuery, SearchAnswer,
        "Find definitions", "find definitions by name or glob",
        "POST", "search/symbols", runs.search_symbols, "search", limit=20,
        command="symbols", magic="symbol",
        tool=Tool(
            f"Find definitions by name or glob, with signature and documentation.{_NARROWED}",
            limit=20, max_limit=1_000,
        ),
        help="""
            %symbol [options] NAME

            %symbol merge                     this name, then names that begin with it or contain
                                              it, then similar names
            %symbol DataFrame.merge           a member
            %symbol read_* --kind function    a glob
        """,
    ),
    Operation(
        "list_paths", PathQuery, SearchAnswer,
        "List files", "list the files in scope",
        "POST", "paths", runs.list_paths, "search",
        command="paths", magic="paths",
        tool=Tool(
            f"List the paths of the indexed files in scope, in path order.{_NARROWED}",
            limit=200, max_limit=10_000,
        ),
        help="""
            %paths [--limit N] [options]
        """,
    ),
    Operation(
        "run_sql", SqlRequest, TableAnswer,
        "Query with SQL", "query the code in scope with SQL",
        "POST", "sql", runs.run_sql, "long",
        command="sql", magic="codesql",
        help=f"""
            %codesql select language, count(*) from files group by all
            %%codesql
            select kind, count(*) from symbols group by all
            %codesql select path, count(*) from hits group by all order by 2 desc

        The table hits contains the hits of the notebook's last search. Tables and their columns:
        {_TABLES}
        """,
    ),
    Operation(
        "count_facets", FacetsRequest, Facets,
        "Count the code in scope", "count the code in scope by language, kind and folder",
        "POST", "facets", runs.count_facets,
    ),
    Operation(
        "draw_map", MapRequest, Points,
        "Draw the code map", "place the chunks in scope on the code map",
        "POST", "map", runs.draw_map, "long",
    ),
    Operation(
        "open_file", FileRequest, FileText,
        "Read a file", "show lines of an indexed file, read from disk",
        "GET", "files", runs.open_file, errors=_NO_SUCH_FILE,
        tool=Tool(
            "Read lines of an indexed file from disk: 400 lines if end_line is omitted. A notebook "
            "is read as the text of its cells."
        ),
    ),
    Operation(
        "end_search", EndSearch, None,
        "End a search", "end a search or another call in flight of the same client",
        "DELETE", "searches/{request_id}", status=204,
    ),
    Operation(
        "get_scope", GetScope, ScopeAnswer,
        "Show the scope", "show the session's scope",
        "GET", "sessions/{session_id}/scope", runs.get_scope, kernels="own",
        tool=Tool("Show the session's scope, and how many files are in it."),
    ),
    Operation(
        "set_scope", SetScope, ScopeAnswer,
        "Set the scope", "replace the session's scope",
        "PUT", "sessions/{session_id}/scope", access="write", kernels="own", body="scope",
        tool=Tool(
            "Limit every later search and list of the session to repositories, revisions, paths, "
            "languages and kinds of code. An omitted field sets no limit.",
            changes=True,
        ),
    ),
    Operation(
        "change_scope", ChangeScope, ScopeAnswer,
        "Change the scope", "change fields of the session's scope (RFC 7396); null removes a limit",
        "PATCH", "sessions/{session_id}/scope", access="write", kernels="own", body="change",
    ),
    Operation(
        "clear_scope", ClearScope, ScopeAnswer,
        "Clear the scope", "go back to the default scope",
        "DELETE", "sessions/{session_id}/scope", access="write", kernels="own",
        tool=Tool("Remove all limits from the session.", changes=True),
    ),
    Operation(
        "list_sessions", SessionsRequest, SessionsAnswer,
        "List sessions", "list all sessions with a scope, and their notebooks (people only)",
        "GET", "sessions", kernels="none",
    ),
    Operation(
        "list_saved_scopes", ListSavedScopes, SavedScopes,
        "List saved scopes", "list the saved scopes",
        "GET", "scopes", runs.list_saved_scopes,
    ),
    Operation(
        "get_saved_scope", GetSavedScope, Scope,
        "Show a saved scope", "show a saved scope",
        "GET", "scopes/{name}", runs.get_saved_scope, errors=_NO_SUCH_SCOPE,
    ),
    Operation(
        "save_scope", SaveScope, Scope,
        "Save a scope", "save a scope under a name, for all sessions",
        "PUT", "scopes/{name}", runs.save_scope, access="write", body="scope",
    ),
    Operation(
        "remove_saved_scope", RemoveSavedScope, None,
        "Remove a saved scope", "remove a saved scope",
        "DELETE", "scopes/{name}", runs.remove_saved_scope, status=204, access="write",
        errors=_NO_SUCH_SCOPE,
    ),
    Operation(
        "list_repositories", StatusRequest, RepositoriesAnswer,
        "List repositories", "list the indexed repositories",
        "GET", "repositories", runs.repository_status,
        tool=Tool(
            "List every indexed repository with its files, chunks and bytes, and the time of its "
            "last run in seconds since 1970.",
            name="repository_status",
        ),
    ),
    Operation(
        "add_repository", IndexRequest, JobState,
        "Index", "index a folder or an installed package, or update its index",
        "POST", "repositories", kind="job", status=202, access="write",
    ),
    Operation(
        "refresh_repository", RefreshRequest, JobState,
        "Update an index", "index the changes in a repository, or resume a stopped run",
        "POST", "repositories/{name}/refresh", kind="job", status=202, access="write",
        errors=_NO_SUCH_SCOPE,
    ),
    Operation(
        "remove_repository", RemoveRequest, None,
        "Remove a repository", "remove a repository from the index; its files are not touched",
        "DELETE", "repositories/{name}", status=204, access="write",
        errors={**_NO_SUCH_SCOPE, EngineError: HTTPStatus.CONFLICT},
    ),
    Operation(
        "get_job", JobRequest, JobState,
        "Show an indexing run", "show the last indexing run of a repository",
        "GET", "repositories/{name}/job", errors=_NO_SUCH_SCOPE,
    ),
    Operation(
        "cancel_job", CancelJobRequest, JobState,
        "Cancel an indexing run", "cancel the indexing run of a repository",
        "DELETE", "repositories/{name}/job", status=202, access="write", errors=_NO_SUCH_SCOPE,
    ),
    Operation(
        "follow_job", JobEventsRequest, JobState,
        "Follow an indexing run", "follow an indexing run as server-sent events, until it ends",
        "GET", "repositories/{name}/events", kind="events", errors=_NO_SUCH_SCOPE,
    ),
    Operation(
        "health", HealthRequest, Health,
        "Show the server's health", "show the server's health, with advice",
        "GET", "health",
    ),
)  # fmt: skip
BY_NAME = {operation.name: operation for operation in OPERATIONS}
_BY_REQUEST = {operation.request: operation for operation in OPERATIONS}


def operation_of(request: Request[Any]) -> Operation:
    """Return the operation of a request."""
    return _BY_REQUEST[type(request)]
