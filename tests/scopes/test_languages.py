import pytest

from codeintel_nb.errors import ScopeError
from codeintel_nb.scopes.languages import LANGUAGES, language_named, language_of


@pytest.mark.parametrize(
    ("path", "head", "language"),
    [
        ("a/b.py", b"", "python"), ("x.PY", b"", "python"), ("x.tsx", b"", "tsx"), ("a.h", b"", "c"), ("a.hpp", b"", "cpp"),
        ("Dockerfile", b"", "dockerfile"), ("Dockerfile.dev", b"", "dockerfile"), ("Makefile", b"", "make"), ("run", b"#!/usr/bin/env python3\n", "python"),
        ("run", b"#!/bin/bash -e\n", "bash"), ("run", b"#!/usr/bin/env -S node --x\n", "javascript"), ("run", b"#! /usr/bin/perl5.36 -w\n", "perl"),
        ("nothing", b"hello", "text"), ("a.unknownending", b"", "text"), (".bashrc", b"", "bash"), ("n.ipynb", b"", "notebook"), ("LICENSE.MIT", b"", "text"),
        ("script.r", b"", "r"), ("script.R", b"", "r"),
    ],
)  # fmt: skip
def test_language_of_a_file(path, head, language):
    assert language_of(path, head) == language


def test_every_language_goes_by_its_own_name():
    assert [language_named(name) for name in LANGUAGES] == list(LANGUAGES)


def test_an_unknown_language_suggests_the_nearest():
    with pytest.raises(ScopeError, match="Did you mean 'kotlin'"):
        language_named("kotlinn")
