"""The repositories of the training, and those kept out of it to judge the result."""

from __future__ import annotations

from importlib.resources import files

import msgspec


class Source(msgspec.Struct, frozen=True):
    """A permissively licensed repository."""

    repository: str  # owner/name
    licence: str  # SPDX
    commits: int = 0  # queries to mine from its history
    judges: bool = False  # its queries never train

    @property
    def name(self) -> str:
        return self.repository.partition("/")[2]


class Question(msgspec.Struct, frozen=True):
    """A question written for the training, and the files that answer it."""

    query: str
    category: str
    paths: list[str]


class Questions(msgspec.Struct, frozen=True):
    """The questions of one repository."""

    repository: str
    revision: str
    language: str
    licence: str
    questions: list[Question]


def sources() -> list[Source]:
    data = (files(__package__) / "sources.json").read_bytes()
    return msgspec.json.decode(data, type=list[Source])


def questions() -> list[Questions]:
    data = (files(__package__) / "questions.json").read_bytes()
    return msgspec.json.decode(data, type=list[Questions])


def judges() -> set[str]:
    """Return the repositories whose commits judge a fit and never train.

    They were chosen before the first fit, so that no result could influence it: of the
    repositories with at least 40 mined commits and without questions, the ten with the smallest
    MD5 of their name.
    """
    return {source.repository for source in sources() if source.judges}
