"""The repositories of the training, and those kept out of it to judge the result."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import NamedTuple

import msgspec

KEPT_OUT = 10  # repositories whose commits judge the fit
MIN_COMMITS_TO_JUDGE = 40


class Source(msgspec.Struct, frozen=True):
    """A permissively licensed repository."""

    repository: str  # owner/name
    licence: str  # SPDX
    commits: int = 0  # queries to mine from its history

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


class Split(NamedTuple):
    """Repositories by their part in the training."""

    train: set[str]
    judge: set[str]


def sources() -> list[Source]:
    data = (files(__package__) / "sources.json").read_bytes()
    return msgspec.json.decode(data, type=list[Source])


def questions() -> list[Questions]:
    data = (files(__package__) / "questions.json").read_bytes()
    return msgspec.json.decode(data, type=list[Questions])


def split(mined: dict[str, int]) -> Split:
    """Choose the repositories that judge, by a rule that no result can influence.

    Of those with enough commits and without questions, the ten with the smallest MD5 of their
    name judge; ``mined`` has the number of queries by repository.
    """
    with_questions = {one.repository for one in questions()}
    able = [name for name, count in mined.items() if count >= MIN_COMMITS_TO_JUDGE]
    able = [name for name in able if name not in with_questions]
    able.sort(key=lambda name: hashlib.md5(name.encode()).hexdigest())
    judge = set(able[:KEPT_OUT])
    return Split(set(mined) - judge, judge)
