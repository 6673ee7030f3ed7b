"""Base of all requests; fields carry help, flags and limits."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Any, Generic, NamedTuple, Self, TypeVar

import msgspec
from msgspec import Meta

from ..scopes.scope import KINDS, Scope

_scope_fields = attrgetter(*Scope.__struct_fields__)
_NONE = (None,) * len(Scope.__struct_fields__)

A_co = TypeVar("A_co", covariant=True)  # the answer
Names = tuple[str, ...] | None


class Flag(NamedTuple):
    """Option of a command or a magic that sets one field."""

    names: tuple[str, ...]  # the first is the one that messages use
    help: str  # lower case, without a full stop
    value: object = True  # set by a flag without an argument
    metavar: str = ""  # of its argument; empty if it has none
    is_hidden: bool = False  # accepted, but in no help text


class Described(NamedTuple):
    """Description of a field for people, in ``Meta.extra["described"]``."""

    flags: tuple[Flag, ...] = ()
    is_positional: bool = False  # the text of a command line that is no option


def described(
    text: str,
    *names: str,
    metavar: str = "",
    flags: tuple[Flag, ...] = (),
    is_positional: bool = False,
    is_hidden: bool = False,
    **limits: Any,
) -> Meta:
    """Return the metadata of a field.

    ``text`` is its help, in lower case and without a full stop; ``names`` are the names of the
    option that sets it, such as ``--word`` and ``-w``; ``limits`` are those of ``msgspec.Meta``.
    """
    if names:
        flags = (*flags, Flag(names, text, metavar=metavar, is_hidden=is_hidden))
    extra = {"described": Described(flags, is_positional)}
    return Meta(description=f"{text[0].upper()}{text[1:]}.", extra=extra, **limits)


class Request(
    msgspec.Struct,
    Generic[A_co],
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """Request of one operation; ``A_co`` is the type of its answer."""


class ScopedRequest(Request[A_co], Generic[A_co], frozen=True, kw_only=True):
    """Request under the session's scope, replaced where fields are set."""

    repos: Annotated[
        Names,
        described("only these repositories, by name or glob", "--repo", "-r", metavar="NAME"),
    ] = None
    revisions: Annotated[
        Names,
        # only one revision exists so far
        described(
            "only these revisions; 'worktree' means the folder's current files",
            "--revision",
            metavar="NAME",
            is_hidden=True,
        ),
    ] = None
    include_globs: Annotated[
        Names,
        described(
            "only paths matching one of these globs; .gitignore syntax, plus {a,b}",
            "--include",
            "-g",
            metavar="GLOB",
        ),
    ] = None
    exclude_globs: Annotated[
        Names,
        described("exclude paths matching one of these globs", "--exclude", "-x", metavar="GLOB"),
    ] = None
    languages: Annotated[
        Names,
        described(
            "only these languages, such as python or c++", "--lang", "-l", metavar="LANGUAGE"
        ),
    ] = None
    kinds: Annotated[
        Names,
        described(f"only these kinds of code: {', '.join(KINDS)}", "--kind", "-k", metavar="KIND"),
    ] = None
    timeout_s: Annotated[
        float | None,
        described(
            "stop after this many seconds and return what was found",
            "--timeout",
            metavar="SECONDS",
            flags=(Flag(("--deadline",), "former name", metavar="SECONDS", is_hidden=True),),
        ),
    ] = None

    @property
    def replaces_scope(self) -> bool:
        return _scope_fields(self) != _NONE

    def narrowed(self, scope: Scope) -> Scope:
        """Return the session's scope, replacing fields by this request's."""
        if not self.replaces_scope:
            return scope
        return scope.merged(**{field: getattr(self, field) for field in Scope.__struct_fields__})

    def within(self, scope: Scope | None) -> Self:
        """Return this request under a scope; None keeps the session's.

        Its own fields of a scope stay.
        """
        if scope is None:
            return self
        fields = {
            name: getattr(scope, name)
            for name in Scope.__struct_fields__
            if getattr(self, name) is None
        }
        return msgspec.structs.replace(self, **fields)
