import pytest

from codeintel_nb.search.ranking.intent import parse_query


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
    intent = parse_query(query)
    assert (intent.is_symbol, intent.names) == (is_symbol, names)


def test_filler_words_are_ignored():
    assert parse_query("how does the code find payments").words == ("payment",)


def test_container_of_a_qualified_name():
    assert parse_query("Rack::Builder").container == "rack"
    assert parse_query("Shop.Basket.total").container == "basket"
    assert parse_query("Builder").container == ""


@pytest.mark.parametrize(
    "query",
    [
        "what is this repository about", "What does this project do?", "describe the package",
        "what is the purpose of this library", "project overview", "explain this codebase",
    ],
)  # fmt: skip
def test_question_about_the_whole_repository(query):
    assert parse_query(query).is_overview


@pytest.mark.parametrize(
    "query",
    [
        "what does the package manager do", "how are packages described", "Repository",
        "what does the library do when a request fails", "purpose of the lock file",
    ],
)  # fmt: skip
def test_question_about_a_part(query):
    assert not parse_query(query).is_overview
