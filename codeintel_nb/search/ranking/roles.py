"""Roles of files, told by their paths: test, example, document, data and others."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from .intent import QueryIntent


class Role(NamedTuple):
    """What a path says of its file, and the words by which a query asks for such files."""

    name: str
    paths: re.Pattern[str]
    request: re.Pattern[str] | None = None


ROLES = (
    Role(
        "test",
        re.compile(
            r"(^|/)(tests?|__tests__|specs?|testing|testdata|fixtures)/"
            r"|(^|/)(test_[^/]*\.(py|c|cc|cpp|lua)|conftest\.py)$"
            r"|[._-](test|spec)s?\.\w+$"
            r"|(Tests?|Spec|Suite)\.(java|kt|swift|cs|scala|php)$"
            r"|(^|/)test_?helpers?[^/]*\.\w+$"
        ),
        re.compile(r"test|spec|fixture|mock", re.I),
    ),
    Role(
        "aside",
        re.compile(
            r"(^|/)(_?compat|legacy|deprecated|_?examples?|docs?_src|benchmarks?|samples?|demos?)/"
        ),
        re.compile(r"compat|legacy|deprecat|example|bench|sample|demo", re.I),
    ),
    Role(
        "prose",
        re.compile(
            r"\.(md|mdx|markdown|rst|adoc|txt|html?)$|(^|/)(LICENSE|NOTICE|CHANGELOG|AUTHORS)[^/]*$"
        ),
        re.compile(
            r"\b(docs?|documentation|readme|guide|tutorial|manual|changelog|licen[cs]e)\b", re.I
        ),
    ),
    Role(
        "declaration",
        re.compile(r"\.d\.[mc]?ts$|\.pyi$"),
        re.compile(r"\btypes?\b|declaration|stub", re.I),
    ),
    Role("header", re.compile(r"\.(h|hpp|hh|hxx|inl)$")),
    Role(
        "internal",
        re.compile(
            r"(^|/)(internal|_?internals|private|detail|impl|vendor|third_party)(/|$)|(^|/)_[a-z]"
        ),
    ),
    Role("versioned", re.compile(r"(^|/)(v\d+|legacy|old|compat|mini)(/|$)")),
    Role(
        "data",
        re.compile(r"\.(json|ya?ml|toml|ini|cfg|xml|csv|lock|css|scss|svg|sql|tex|diff|patch)$"),
    ),
    Role(
        "build",
        re.compile(
            r"(^|/)(setup\.py|build\.\w+|Makefile[^/]*|CMakeLists\.txt|.*\.cmake|Dockerfile"
            r"|Rakefile|Gemfile|.*\.gradle(\.kts)?|package\.json|Package\.swift|.*\.gemspec"
            r"|mix\.exs|.*\.cabal|tasks?\.\w+|scripts?/.*)$"
        ),
    ),
)


@lru_cache(65_536)
def roles_of(path: str) -> int:
    """Return the bits of a path's roles, the first of ROLES lowest."""
    return sum(1 << bit for bit, role in enumerate(ROLES) if role.paths.search(path))


def roles_asked(intent: QueryIntent) -> int:
    """Return the bits of the roles that a query asks for: they do not count against a file."""
    return sum(
        1 << bit
        for bit, role in enumerate(ROLES)
        if (role.request and role.request.search(intent.text))
        or (role.name == "prose" and intent.is_overview)
    )
