import numpy as np
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.embedding.embedder import default_embedder, embedder_input
from codeintel_nb.errors import SearchError
from codeintel_nb.index.shard.lexicon import Lexicon
from codeintel_nb.search.query import MODES
from tests.conftest import write_tree


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Yield a workspace over three real packages, several thousand chunks."""
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    for name in ("IPython", "asyncio", "email"):
        workspace.index_package(name, name)
    yield workspace
    workspace.close()


def chunks_of(workspace, scope):
    """Return all chunks in scope as (repo, path, first line), and their exact vectors."""
    places, inputs = [], []
    for target in workspace._repositories.view(scope).targets:
        shard, mask = workspace._engine.shard_of(target), workspace._engine.mask(target)
        ids = range(shard.manifest.chunks) if mask.chunks is None else np.flatnonzero(mask.chunks)
        for chunk in ids:
            path = shard.paths[int(shard.chunk_file[chunk])]
            places.append((target.repo, path, int(shard.chunk_line[chunk])))
            inputs.append(embedder_input(path, shard.text(int(chunk))))
    return places, default_embedder().embed_code(inputs)


QUERIES = [
    "where is the traceback of an exception printed",
    "wait for several futures",
    "decode a header with an unknown charset",
    "cancel",
    "complete a name while typing",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(repos=("asyncio",)),
        Scope(include_globs=("core/**",)),
        Scope(include_globs=("base_tasks.py", "core/alias.py")),
        Scope(kinds=("class",)),
        Scope(repos=("email",), include_globs=("errors.py",)),
    ],
    ids=["all", "a repository", "a folder", "0.1 % of the chunks", "classes", "one file"],
)
def test_dense_search_equals_brute_force_over_the_scope(packages, scope, query):
    places, vectors = chunks_of(packages, scope)
    scores = vectors @ default_embedder().embed_query(query)[0]
    best = np.argsort(-scores, kind="stable")[:10]
    found = packages.semantic_search(query, scope, limit=10, mode="dense")
    assert np.allclose([hit.score for hit in found], scores[best], atol=1e-5)
    assert {(hit.repo, hit.path, hit.start_line) for hit in found} == {places[i] for i in best}


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
def test_query_without_words_finds_nothing(packages, mode):
    """Return nothing, as all chunks are equally far from the query."""
    found = packages.semantic_search("-> =>", mode=mode)
    assert (found.hits, found.total) == ((), 0)


@pytest.mark.parametrize(("mode", "count"), [("hybrid", 1), ("dense", 1), ("lexical", 0)])
def test_files_without_words_are_ranked_by_their_vectors_alone(
    make_workspace, tmp_path, mode, count
):
    workspace = make_workspace()
    workspace.index(write_tree(tmp_path / "t", {"2024.csv": "1,2,3\n"}))
    assert len(workspace.semantic_search("total price", mode=mode).hits) == count


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
def test_no_hit_is_outside_the_scope(packages, mode):
    scope = Scope(
        repos=("IPython",),
        include_globs=("core/**", "lib/**"),
        exclude_globs=("*magic*",),
        kinds=("method",),
        languages=("python",),
    )
    paths = {hit.path for hit in packages.list_paths(scope)}
    for query in [*QUERIES, "InteractiveShell", "run_cell_magic"]:
        found = packages.semantic_search(query, scope, limit=50, mode=mode)
        assert len(found)
        assert {hit.path for hit in found} <= paths
        assert {hit.kind for hit in found} == {"method"}


def test_narrow_scope_loses_no_hits(packages):
    """Find chunks far from the best of all; filtering afterwards would find none."""
    scope = Scope(repos=("email",), include_globs=("errors.py",))
    found = packages.semantic_search(
        "where is the traceback of an exception printed", scope, limit=100, mode="dense"
    )
    assert len(found) == packages.count(scope).chunks_in_scope


@pytest.mark.parametrize("mode", MODES)
def test_shards_without_a_chunk_in_scope_are_not_read(packages, mode, monkeypatch):
    shards, scores = [], Lexicon.scores

    def spied(lexicon, *arguments):
        shards.append(lexicon)
        return scores(lexicon, *arguments)

    monkeypatch.setattr(Lexicon, "scores", spied)
    results = packages.semantic_search(QUERIES[0], Scope(include="core/**"), mode=mode)
    assert {hit.repo for hit in results.hits} == {"IPython"}
    assert len(shards) == 1


def test_first_hit_defines_the_queried_symbol(packages):
    for name, path in [
        ("InteractiveShell", "core/interactiveshell.py"),
        ("run_cell_magic", "core/interactiveshell.py"),
        ("create_subprocess_exec", "subprocess.py"),
        ("CancelledError", "exceptions.py"),
    ]:
        hit = packages.semantic_search(name, limit=1)[0]
        assert hit.path == path
        assert name in hit.snippet


def test_plain_words_find_the_matching_code(shop):
    assert shop.semantic_search("where are cards charged again when the network is down")[
        0
    ].symbol in ("PaymentError", "charge_card")
    assert shop.semantic_search("sum up what everything costs")[0].path == "src/shop/cart.py"
    assert (
        shop.semantic_search("how are cards charged", Scope(languages=("markdown",)))[0].path
        == "README.md"
    )


def test_results_do_not_depend_on_the_number_of_shards(tmp_path, make_workspace, tree):
    """Compare one shard with many: same collection, same statistics, same order."""
    import msgspec

    from codeintel_nb.settings import Settings
    from tests.conftest import write_tree

    write_tree(
        tree,
        {
            f"lib/part{i:02}.py": (
                f"def part_{i}(cart, price):\n    return cart.add(price * {i})\n\n\n" * 8
            )
            for i in range(20)
        },
    )
    one = make_workspace(tmp_path / "one")
    one.index(tree, name="shop")
    many = Workspace(
        msgspec.structs.replace(Settings.from_environment(tmp_path / "many"), shard_bytes=2000)
    )
    many.index(tree, name="shop")
    assert len(many._repositories.view(Scope()).targets) > 3
    for query in ["add a price to the cart", "part_7", "charge"]:
        for mode in ("hybrid", "lexical", "dense"):
            a, b = one.semantic_search(query, mode=mode), many.semantic_search(query, mode=mode)
            assert [(h.path, h.start_line, round(h.score, 4)) for h in a] == [
                (h.path, h.start_line, round(h.score, 4)) for h in b
            ]
    assert [h.path for h in one.list_paths()] == [h.path for h in many.list_paths()]
    assert one.search_text("cart").hits == many.search_text("cart").hits


def test_index_of_another_table_is_searched_by_words_and_names_the_command(shop):
    class Other:
        id, dim, is_remote = "other-model", 256, False

        def embed_query(self, text):
            return np.ones((1, 256), np.float32)

    with Workspace(shop.settings, embedder=Other) as other:
        results = other.semantic_search("cart prices")
        assert results.hits
        assert "codeintel index PATH --rebuild" in results.coverage.by_words["shop"]


def test_deadline_ends_the_search(shop):
    assert shop.semantic_search("cart prices", deadline=1e-9).truncated


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {}),
        ("  \n", {}),
        ("x", {"limit": 10_001}),
        ("x", {"limit": -3}),
        ("x", {"mode": "magic"}),
        ("x" * 20_000, {}),
        ("x", {"limit": True}),
    ],
)
def test_bad_query_error_is_one_line(shop, query, options):
    with pytest.raises(SearchError) as error:
        shop.semantic_search(query, **options)
    assert "\n" not in str(error.value)


def test_odd_queries_cause_no_error(shop):
    for query in ["???", "日本語", "a", "the of and", "\0", "def " * 500, "{x} $y %z"]:
        assert len(shop.semantic_search(query)) <= 10
