"""Counts of a scope, equal to those of the lists for the same scope."""

from collections import Counter

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from codeintel_nb.scopes.globs import check_glob, expand_braces, glob_to_regex, plain_glob
from codeintel_nb.scopes.scope import Scope

SCOPES = st.builds(
    Scope,
    languages=st.sampled_from([(), ("python",), ("python", "javascript")]),
    kinds=st.sampled_from([(), ("function",), ("class", "markdown")]),
    include_globs=st.sampled_from([(), ("src/**",), ("*.py",), ("src/shop/**", "web/**")]),
    exclude_globs=st.sampled_from([(), ("tests",), ("**/*.js",)]),
)


def languages(ws, scope):
    return Counter(hit.language for hit in ws.list_paths(scope))


@settings(max_examples=60)
@given(scope=SCOPES)
def test_counts_equal_those_of_the_lists(shop, scope):
    facets = shop.facets(scope, folders=100)
    assert facets.languages == languages(shop, scope.merged(languages=())), (
        "counts of languages ignore the selected languages"
    )
    kinds = shop.sql(
        "select kind, count(*) from chunks group by all", scope.merged(kinds=())
    ).rows()
    assert facets.kinds == dict(kinds)
    coverage = shop.count(scope)
    assert sum(folder.files for folder in facets.folders) == coverage.files_in_scope
    assert sum(folder.chunks for folder in facets.folders) == coverage.chunks_in_scope
    assert all(sum(folder.languages.values()) == folder.chunks for folder in facets.folders)


@given(scope=SCOPES)
def test_folder_glob_narrows_the_scope_to_the_folder(shop, scope):
    for folder in shop.facets(scope).folders:
        if folder.glob:
            inside = shop.list_paths(scope.merged(include_globs=(folder.glob,)))
            assert inside.total >= folder.files > 0
            assert all(hit.path.startswith(f"{folder.path}/") for hit in inside)


def test_base_is_the_deepest_common_folder(shop):
    everything = shop.facets()
    assert (everything.base, {folder.path for folder in everything.folders if folder.glob}) == (
        "",
        {"data", "src", "tests", "web"},
    )
    source = shop.facets(Scope(include_globs=("src/**",)))
    assert source.base == "src/shop"
    assert [(folder.path, folder.glob) for folder in source.folders] == [("src/shop", "")]
    cut = shop.facets(folders=1)
    assert len(cut.folders) == 1
    assert cut.more_folders == len(everything.folders) - 1


def test_several_repositories_are_counted_whole(shop, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "one.py").write_text("x = 1\n")
    shop.index(tmp_path / "other", "other")
    assert {(folder.repo, folder.path) for folder in shop.facets().folders} == {
        ("shop", ""),
        ("other", ""),
    }


@pytest.mark.parametrize(
    "path",
    [
        "a/b",
        "odd [x]/{a,b}",
        "star*/what?",
        "back\\slash",
        "!no",
        "#note",
        "a b",
        " blank",
        "\ttab",
    ],
)
def test_plain_glob_matches_one_path(path, tmp_path):
    (expanded,) = expand_braces(check_glob(f"{plain_glob(path)}/**"))
    pattern = re2.compile(glob_to_regex(expanded))
    assert pattern.fullmatch(f"{path}/x.py")
    assert not pattern.fullmatch("ax/b/x.py")
