"""Scope: the limits of a session's searches, as one immutable value."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any
from weakref import WeakKeyDictionary, ref

import msgspec
from msgspec.structs import force_setattr

from ..errors import ScopeError, check_text, did_you_mean
from .globs import PathMatcher, check_glob
from .languages import language_named

KINDS = ("function", "class", "method", "module", "cell", "markdown", "text")
# former names of fields, as old clients send them
OLD_NAMES = {"branches": "revisions", "commit": "revisions"}


# short names of fields, accepted by the constructor
SHORT_NAMES = {
    "repo": "repos", "revision": "revisions", "include": "include_globs",
    "exclude": "exclude_globs", "language": "languages", "lang": "languages", "kind": "kinds",
}  # fmt: skip


class _ScopeMeta(type(msgspec.Struct)):  # type: ignore[misc]
    def __call__(cls, *args: Any, **fields: Any) -> Any:
        for short in SHORT_NAMES.keys() & fields.keys():
            value = fields.pop(short)
            name = SHORT_NAMES[short]
            if name in fields:
                raise ScopeError(f"The scope has both {short} and {name}; give one of them.")
            fields[name] = (value,) if isinstance(value, str) else value
        return super().__call__(*args, **fields)


class Scope(
    msgspec.Struct,
    frozen=True,
    weakref=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    metaclass=_ScopeMeta,
):
    """Limits on what is searched; an empty field sets no limit.

    Every field becomes a sorted tuple without repeats, languages by their usual names, so equal
    scopes compare equal and hash alike. ``interned()`` returns the one shared instance. The
    constructor takes short names too, with one value or several: ``Scope(include="src/**")``.
    """

    repos: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    include_globs: tuple[str, ...] = ()
    exclude_globs: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if value != ():
                force_setattr(self, field, _normal(field, value))

    def merged(
        self,
        repos: Iterable[str] | None = None,
        revisions: Iterable[str] | None = None,
        include_globs: Iterable[str] | None = None,
        exclude_globs: Iterable[str] | None = None,
        languages: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> Scope:
        """Return this scope with some fields replaced.

        ``None`` keeps a field; anything else replaces it, ``()`` too.
        """
        fields = {
            "repos": repos, "revisions": revisions, "include_globs": include_globs,
            "exclude_globs": exclude_globs, "languages": languages, "kinds": kinds,
        }  # fmt: skip
        changes = {name: value for name, value in fields.items() if value is not None}
        return msgspec.structs.replace(self, **changes).interned() if changes else self.interned()

    def interned(self) -> Scope:
        """Return the instance shared by equal scopes, freed when unused."""
        with _interning:
            reference = _interned.get(self)
            shared = reference() if reference is not None else None
            if shared is None:
                _interned[self] = ref(self)
                return self
            return shared

    @property
    def is_everywhere(self) -> bool:
        """Whether all repositories are in scope."""
        return self.repos in ((), ALL)

    def chosen(self, names: Iterable[str]) -> list[str]:
        """Resolve names, short names and globs to repositories in scope.

        Raises
        ------
        ScopeError : a name is unknown, or a short name is ambiguous.
        """
        repositories = list(names)
        if self.is_everywhere:
            return repositories
        matches = dict[str, None]()
        for pattern in self.repos:
            matches.update(dict.fromkeys(_named(pattern, repositories)))
        return [name for name in repositories if name in matches]

    def matcher(self) -> PathMatcher:
        return PathMatcher(self.include_globs, self.exclude_globs)

    def __bool__(self) -> bool:
        return any(getattr(self, field) for field in self.__struct_fields__)

    def describe(self) -> str:
        """Describe the limits in one line, as command-line options."""
        options = {
            "repos": "--repo",
            "revisions": "--revision",
            "include_globs": "--include",
            "exclude_globs": "--exclude",
            "languages": "--lang",
            "kinds": "--kind",
        }
        if self.repos == ALL:
            return self.merged(repos=()).describe()
        words = [
            f"{option} {value!r}" if " " in value or "*" in value else f"{option} {value}"
            for field, option in options.items()
            for value in getattr(self, field)
        ]
        return " ".join(words) or "everything"


def _named(pattern: str, repositories: list[str]) -> list[str]:
    """Resolve a name, glob or unambiguous short name to repositories."""
    if pattern in repositories:  # names may contain brackets
        return [pattern]
    if any(mark in pattern for mark in "*?[") and (
        matches := [name for name in repositories if fnmatchcase(name, pattern)]
    ):
        return matches
    short = [
        name
        for name in repositories
        if short_name(name) == pattern or plain_name(short_name(name)) == plain_name(pattern)
    ]
    if len(short) > 1:
        raise ScopeError(
            f"The name {pattern!r} is short for several repositories: {', '.join(short)}. "
            "Give one of these."
        )
    if not short:
        raise ScopeError(
            f"No repository {pattern!r} is indexed."
            + did_you_mean(
                pattern, {*repositories, *map(short_name, repositories)} if repositories else ()
            )
        )
    return short


def short_name(repository: str) -> str:
    """Return a repository's short name: ``pandas`` for ``pkg:pandas==3.1.1``."""
    return (
        repository.removeprefix("pkg:").partition("==")[0]
        if repository.startswith("pkg:")
        else repository
    )


def joined(scope: Scope, repository: str, repositories: Sequence[str]) -> Scope:
    """Add an indexed repository to a scope, unless already covered."""
    if scope.is_everywhere or repository in covered(scope, repositories):
        return scope
    return scope.merged(repos=(*scope.repos, repository))


def left(scope: Scope, names: Collection[str]) -> Scope:
    """Remove a repository, under any of these names, from a scope.

    A scope with no other repository is returned unchanged.
    """
    rest = tuple(name for name in scope.repos if name not in names)
    return scope.merged(repos=rest) if rest else scope


def covered(scope: Scope, repositories: Sequence[str]) -> set[str]:
    """Return the indexed repositories in a scope, leaving out unknown names."""
    names = set[str]()
    for pattern in scope.repos:
        with suppress(ScopeError):
            names.update(_named(pattern, [*repositories]))
    return names


def plain_name(distribution: str) -> str:
    """Normalize a distribution's name as PyPI does."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


_interned: WeakKeyDictionary[Scope, ref[Scope]] = WeakKeyDictionary()
_interning = threading.Lock()
EVERYTHING = Scope()
ALL = ("*",)  # ``repos`` of a scope with all repositories, instead of the default project


def _normal(field: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ScopeError(
            f"The scope's {field} must be a list of strings: write [{value!r}], not {value!r}."
        )
    try:
        items = list(value)
    except TypeError:
        raise ScopeError(f"The scope's {field} must be a list of strings, not {value!r}.") from None
    for item in items:
        if not isinstance(item, str) or not item.strip():
            raise ScopeError(
                f"The scope's {field} contains {item!r}; each value must be a non-empty string."
            )
        check_text(item, f"The scope's {field} value")
    if field == "languages":
        items = [language_named(item) for item in items]
    elif field == "kinds":
        items = [_kind(item) for item in items]
    elif field.endswith("globs"):
        items = [check_glob(item) for item in items]
    elif field == "repos" and "*" in items:
        items = ["*"]
    return tuple(sorted(set(items)))


def _kind(name: str) -> str:
    if name in KINDS:
        return name
    raise ScopeError(f"Unknown kind {name!r}.{did_you_mean(name, KINDS)}")


def patched(scope: Scope, patch: object) -> Scope:
    """Apply a JSON merge patch (RFC 7396) to a scope.

    A field set to null becomes unlimited, an absent one stays.
    """
    if not isinstance(patch, dict):
        raise ScopeError(f"A scope change must be an object of fields, not {type(patch).__name__}.")
    changes: dict[str, tuple[str, ...]] = {}
    for name, value in patch.items():
        field = OLD_NAMES.get(str(name), str(name))
        if field not in Scope.__struct_fields__:
            raise ScopeError(
                f"A scope has no field {name!r}.{did_you_mean(str(name), Scope.__struct_fields__)}"
            )
        values = (value,) if name == "commit" and isinstance(value, str) else value
        changes[field] = changes.get(field, ()) + (() if values is None else _normal(field, values))
    return scope.merged(**changes)


def scope_from_wire(value: object) -> Scope:
    """Return a scope from decoded JSON.

    The old names ``branches`` and ``commit`` are read as ``revisions``.
    """
    return patched(EVERYTHING, value)
