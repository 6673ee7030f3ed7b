import pytest

from codeintel_nb import Scope
from codeintel_nb.api.operations import Operations
from codeintel_nb.api.wire import FileRequest, PathsRequest, SearchAnswer, SemanticRequest, SqlRequest, TextRequest, to_wire
from codeintel_nb.errors import ScopeError, SessionError
from codeintel_nb.scopes.registry import MemoryRegistry
from codeintel_nb.scopes.session import session_context


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def operations(shop, clock):
    return Operations(shop, MemoryRegistry(max_age_s=10, clock=clock))


def test_each_session_searches_its_own_scope(operations):
    with session_context("a"):
        operations.set_scope(Scope(languages=("javascript",)))
    with session_context("b"):
        operations.set_scope(Scope(languages=("python",)))
        assert {h.language for h in operations.search_text(TextRequest(pattern="cart")).results} == {"python"}
    with session_context("a"):
        assert {h.language for h in operations.semantic_search(SemanticRequest(query="cart lines")).results} == {"javascript"}
        assert [h.path for h in operations.list_paths(PathsRequest()).results] == ["web/app.js"]
        assert operations.sql(SqlRequest(statement="select path from files")).rows() == [("web/app.js",)]
        assert operations.clear_scope().scope == Scope()
        assert len(operations.list_paths(PathsRequest()).results) == 9


def test_an_explicit_field_wins_for_one_call(operations):
    with session_context("a"):
        operations.set_scope(Scope(languages=("javascript",), repos=("shop",)))
        answer = operations.list_paths(PathsRequest(languages=("markdown",)))
        assert answer.results.scope == Scope(languages=("markdown",), repos=("shop",))
        assert [h.path for h in answer.results] == ["README.md"]
        assert len(operations.list_paths(PathsRequest(languages=())).results) == 9
        assert operations.get_scope().scope.languages == ("javascript",)


def test_an_expired_scope_is_told_once(operations, clock):
    with session_context("a"):
        operations.set_scope(Scope(languages=("javascript",)))
        clock.now += 11
        assert operations.list_paths(PathsRequest()).scope_expired
        assert not operations.list_paths(PathsRequest()).scope_expired


def test_a_scope_is_held_against_what_is_indexed_before_it_applies(operations):
    with session_context("a"):
        operations.set_scope(Scope(languages=("python",)))
        with pytest.raises(ScopeError, match="Did you mean 'shop'"):
            operations.set_scope(Scope(repos=("shp",)))
        assert operations.get_scope().scope == Scope(languages=("python",))


def test_outside_of_a_session_nothing_is_searched(operations):
    with pytest.raises(SessionError, match="middleware"):
        operations.search_text(TextRequest(pattern="x"))


def test_answers_cross_the_wire(operations):
    import msgspec

    with session_context("a"):
        answer = operations.search_text(TextRequest(pattern="cart"))
    assert msgspec.json.decode(to_wire(answer), type=SearchAnswer) == answer
    request = msgspec.json.decode(b'{"pattern": "x", "languages": null, "limit": 3}', type=TextRequest)
    assert (request.languages, request.limit) == (None, 3)
    with session_context("a"):
        assert operations.open_file(FileRequest(repo="shop", path="README.md", end_line=1)).text == "# Shop"


def test_named_scopes_are_kept(operations, shop):
    scope = Scope(languages=("python",), include_globs=("src/**",))
    operations.named.save("mine", scope)
    again = Operations(shop, MemoryRegistry())
    assert again.named.names() == ["mine"]
    assert again.named.load("mine") == scope
    with pytest.raises(ScopeError, match="Did you mean 'mine'"):
        again.named.load("mien")
    again.named.remove("mine")
    assert operations.named.names() == []
    for bad in ("", "../x", "a/b", "x" * 70):
        with pytest.raises(ScopeError, match="cannot be saved"):
            operations.named.save(bad, scope)


def test_a_damaged_saved_scope_says_how_to_mend_it(operations):
    operations.named.save("mine", Scope())
    (operations.named.folder / "mine.json").write_text("{")
    with pytest.raises(ScopeError, match="%scope save mine"):
        operations.named.load("mine")
