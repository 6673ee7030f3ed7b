import json

import pytest

from codeintel_nb import Scope
from codeintel_nb.search.ranking.search_cells import only_searches
from tests.conftest import write_tree

QUESTION = "where is the mean income by region computed"


def notebook(*cells):
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "metadata": {},
                    "source": text,
                    "outputs": [],
                    "execution_count": None,
                }
                for text in cells
            ],
            "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


@pytest.fixture
def incomes(tmp_path, make_workspace):
    files = {f"a{i}.py": f"def income_{i}():\n    return {i}\n" for i in range(12)}
    files["n.ipynb"] = notebook(
        f"%semsearch {QUESTION}",
        f"hits = %semsearch --limit 5 {QUESTION}\nhits",
        f"%%textsearch\n{QUESTION}",
        f"mean = incomes.mean()  # {QUESTION}",
    )
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "incomes", files))
    return workspace


def test_cells_that_only_search_come_last(incomes):
    for limit in (50, 0):
        hits = incomes.semantic_search(QUESTION, limit=limit).hits
        assert next(hit.cell for hit in hits if hit.path == "n.ipynb") == 3
        assert {hit.cell for hit in hits[-3:]} == {0, 1, 2}
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_first_hits_do_not_depend_on_the_limit(incomes):
    every = incomes.semantic_search(QUESTION, limit=0).hits
    for limit in (1, 5, 14, 15, 16, 200, 201):
        assert incomes.semantic_search(QUESTION, limit=limit).hits == every[:limit]


def test_only_cells_with_nothing_but_searches_count(incomes):
    (target,) = incomes._repositories.view(Scope()).targets
    shard = incomes._engine.shard_of(target)
    cells = {
        int(shard.chunk_cell[chunk])
        for chunk in range(shard.manifest.chunks)
        if only_searches(shard, chunk)
    }
    assert cells == {0, 1, 2}
