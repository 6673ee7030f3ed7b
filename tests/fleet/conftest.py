"""An index in many shards, its local answers, and queries to answer alike."""

from __future__ import annotations

import pytest

from codeintel_nb import Workspace
from tests.fleet.law import make_home, queries


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("law"))


@pytest.fixture(scope="session")
def local(home):
    with Workspace(home, here=None, follow=False) as workspace:
        yield workspace


@pytest.fixture(scope="session")
def asked(local):
    names = sorted({hit.symbol.rpartition(".")[2] for hit in local.symbols("*", limit=2_000)})
    return queries(names)
