import pytest

from codeintel_nb.search.rerank import Candidate, parse_query, rerank


def candidate(chunk, path, defines=(), generated=False):
    return Candidate("s", chunk, "r", path, 1, 1.0, 0.5, defines, generated)


def order(query, *candidates, limit=10):
    scores = {c.key: 1 / (60 + i) for i, c in enumerate(candidates, 1)}
    return [c.path for c, _ in rerank(list(candidates), scores, parse_query(query), limit)]


def test_definition_of_the_queried_symbol_comes_first():
    assert (
        order(
            "HttpClient", candidate(1, "uses.py"), candidate(2, "http.py", (("HttpClient", True),))
        )[0]
        == "http.py"
    )
    assert (
        order(
            "HttpClient",
            candidate(1, "a.py", (("HttpClient", False),)),
            candidate(2, "b.py", (("HttpClient", True),)),
        )[0]
        == "b.py"
    )


def test_file_named_after_the_symbol_beats_another_definition():
    assert (
        order(
            "Cart",
            candidate(1, "a.py", (("Cart", True),)),
            candidate(2, "cart.py", (("Cart", True),)),
        )[0]
        == "cart.py"
    )


def test_query_words_in_the_path_boost_a_file():
    assert (
        order("how are payments retried", candidate(1, "a/b.py"), candidate(2, "shop/payment.py"))[
            0
        ]
        == "shop/payment.py"
    )


def test_test_files_rank_lower_unless_queried():
    found = candidate(1, "tests/test_cart.py"), candidate(2, "cart.py")
    assert order("total of the cart", *found) == ["cart.py", "tests/test_cart.py"]
    assert order("test the total of the cart", *found)[0] == "tests/test_cart.py"


def test_generated_code_ranks_lower():
    assert (
        order("parse it", candidate(1, "a.py", generated=True), candidate(2, "b.py"))[0] == "b.py"
    )


def test_further_chunks_of_a_file_rank_lower():
    same = [candidate(i, "a.py") for i in range(3)]
    assert order("something", *same, candidate(9, "b.py"), limit=2) == ["a.py", "b.py"]


def test_equal_scores_are_ordered_by_path():
    found = [candidate(2, "b.py"), candidate(1, "a.py")]
    ranked = rerank(found, {c.key: 0.5 for c in found}, parse_query("x y"), 2)
    assert [c.path for c, _ in ranked] == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("query", "is_symbol", "names"),
    [
        ("HttpClient", True, ("HttpClient",)), ("http_client", True, ("http_client",)),
        ("Sinatra::Base", True, ("Base",)), ("Cart.total", True, ("total",)),
        ("session", False, ("session",)), ("where is HttpClient made", False, ("HttpClient",)),
        ("read_file calls", False, ("read_file",)), ("how does it work", False, ()),
        ("load()", False, ()), ("loadCart()", True, ("loadCart",)),
    ],
)  # fmt: skip
def test_symbol_names_in_a_query(query, is_symbol, names):
    asked = parse_query(query)
    assert (asked.is_symbol, asked.names) == (is_symbol, names)


def test_filler_words_are_ignored():
    assert parse_query("how does the code find payments").words == frozenset({"payment"})
