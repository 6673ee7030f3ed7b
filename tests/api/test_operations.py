import asyncio
from pathlib import Path

import msgspec
import pytest

from codeintel_nb import Scope
from codeintel_nb.errors import ScopeError, SearchError, SessionError, SourceError
from codeintel_nb.operations.operations import Limits, Operations
from codeintel_nb.operations.values import (
    FileRequest,
    IndexRequest,
    PathsRequest,
    ScopeAnswer,
    SearchAnswer,
    SemanticRequest,
    SqlRequest,
    TextRequest,
    to_wire,
)
from codeintel_nb.scopes.registry import AsyncMemoryRegistry, MemoryRegistry
from codeintel_nb.scopes.session import session_context
from codeintel_nb.server.sessions import Sessions


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def operations(shop):
    return Operations(shop)


class Caller:
    """Caller with many sessions: takes the scope from the registry, then runs the operation."""

    def __init__(self, operations, clock):
        self.operations = operations
        self.live = set()
        self.sessions = Sessions(
            AsyncMemoryRegistry(MemoryRegistry(max_age_s=10, clock=clock)), self.live.__contains__
        )

    def set_scope(self, scope):
        return asyncio.run(self.sessions.set(self.operations.checked(scope)))

    def clear_scope(self):
        return asyncio.run(self.sessions.clear())

    def held(self):
        return asyncio.run(self.sessions.get())

    def __getattr__(self, name):
        return lambda request: getattr(self.operations, name)(request, self.held())


@pytest.fixture
def caller(operations, clock):
    return Caller(operations, clock)


def test_each_session_searches_its_own_scope(caller):
    with session_context("a"):
        caller.set_scope(Scope(languages=("javascript",)))
    with session_context("b"):
        caller.set_scope(Scope(languages=("python",)))
        assert {h.language for h in caller.search_text(TextRequest(pattern="cart")).results} == {
            "python"
        }
    with session_context("a"):
        assert {
            h.language for h in caller.semantic_search(SemanticRequest(query="cart lines")).results
        } == {"javascript"}
        assert [h.path for h in caller.list_paths(PathsRequest()).results] == ["web/app.js"]
        assert caller.sql(SqlRequest(statement="select path from files")).rows() == [
            ("web/app.js",)
        ]
        assert caller.clear_scope().scope == Scope()
        assert len(caller.list_paths(PathsRequest()).results) == 9


def test_explicit_field_overrides_the_scope_for_one_call(caller):
    with session_context("a"):
        caller.set_scope(Scope(languages=("javascript",), repos=("shop",)))
        answer = caller.list_paths(PathsRequest(languages=("markdown",)))
        assert answer.results.scope == Scope(languages=("markdown",), repos=("shop",))
        assert [h.path for h in answer.results] == ["README.md"]
        assert len(caller.list_paths(PathsRequest(languages=())).results) == 9
        assert caller.held().scope.languages == ("javascript",)


def test_expired_scope_is_reported_once(caller, clock):
    with session_context("a"):
        caller.set_scope(Scope(languages=("javascript",)))
        clock.now += 11
        assert caller.list_paths(PathsRequest()).scope_expired
        assert not caller.list_paths(PathsRequest()).scope_expired


def test_scope_of_a_live_kernel_never_expires(caller, clock):
    caller.live.add("kernel")
    with session_context("kernel"):
        caller.set_scope(Scope(languages=("javascript",)))
        clock.now += 100 * 3600
        assert asyncio.run(caller.sessions.registry.prune_expired()) == 0
        answer = caller.list_paths(PathsRequest())
        assert (answer.results.scope, answer.scope_expired) == (
            Scope(languages=("javascript",)),
            False,
        )


def test_scope_is_checked_against_the_index_before_it_applies(caller):
    with session_context("a"):
        caller.set_scope(Scope(languages=("python",)))
        with pytest.raises(ScopeError, match="Did you mean 'shop'"):
            caller.set_scope(Scope(repos=("shp",)))
        assert caller.held().scope == Scope(languages=("python",))


def test_search_outside_a_session_raises(caller):
    with pytest.raises(SessionError, match="middleware"):
        caller.search_text(TextRequest(pattern="x"))


def test_limits_bound_a_call(shop):
    bounded = Operations(shop, Limits(deadline_s=5, hits=3, rows=2))
    held = ScopeAnswer(Scope(), "a")
    assert [bounded.deadline(asked) for asked in (None, 2, 100)] == [5, 2, 5]
    assert [Operations(shop).deadline(asked) for asked in (None, 2, 100)] == [None, 2, 100]
    cut = bounded.search_text(TextRequest(pattern="cart", limit=4), held).results
    assert (len(cut), cut.truncated) == (3, True)
    assert len(bounded.list_paths(PathsRequest(), held).results) == 3
    assert len(bounded.sql(SqlRequest(statement="from files"), held)) == 2
    with pytest.raises(SearchError, match="deadline is -1"):
        bounded.search_text(TextRequest(pattern="cart", deadline=-1), held)


def test_offset_and_limit_page_through_an_answer(shop):
    served, held = Operations(shop, Limits(hits=1_000_000)), ScopeAnswer(Scope(), "a")
    everything = served.semantic_search(SemanticRequest(query="cart", limit=0), held).results.hits
    assert len(everything) > 2, "limit 0 returns everything, on a server too"
    page = served.semantic_search(
        SemanticRequest(query="cart", limit=1, offset=1), held
    ).results.hits
    assert [(hit.path, hit.start_line) for hit in page] == [
        (hit.path, hit.start_line) for hit in everything[1:2]
    ]
    paths = served.list_paths(PathsRequest(), held).results.hits
    assert served.list_paths(PathsRequest(offset=1), held).results.hits == paths[1:]
    for request in (PathsRequest(offset=-1), PathsRequest(limit=1, offset=-1)):
        with pytest.raises(SearchError, match="The offset is -1"):
            served.list_paths(request, held)


def test_slice_is_truncated_only_if_it_includes_the_last_hit(shop):
    results = shop.search_text("cart", limit=2)
    assert (
        results.truncated,
        results[::-1].truncated,
        results[:1].truncated,
        results[0::-1].truncated,
    ) == (True, True, False, False)


def test_a_package_of_another_environment_is_found_by_its_folder(operations, tmp_path):
    (tmp_path / "lib" / "shelf").mkdir(parents=True)
    made = operations.repository(
        IndexRequest(package="shelf", path=str(tmp_path / "lib" / "shelf"))
    )
    assert (made.name, made.root, made.source) == (
        "pkg:shelf",
        str(tmp_path / "lib" / "shelf"),
        "package",
    )
    assert operations.repository(IndexRequest(package="msgspec")).distribution == "msgspec"
    assert (
        operations.repository(
            IndexRequest(package="msgspec", path=str(Path(msgspec.__file__).parent))
        ).version
        == msgspec.__version__
    )
    with pytest.raises(SourceError, match="does not hold the package"):
        operations.repository(IndexRequest(package="shelf", path=str(tmp_path)))
    with pytest.raises(SourceError, match="Nothing to index was given"):
        operations.repository(IndexRequest())


def test_answers_round_trip_over_the_wire(operations):
    answer = operations.search_text(TextRequest(pattern="cart"), ScopeAnswer(Scope(), "a"))
    assert msgspec.json.decode(to_wire(answer), type=SearchAnswer) == answer
    request = msgspec.json.decode(
        b'{"pattern": "x", "languages": null, "limit": 3}', type=TextRequest
    )
    assert (request.languages, request.limit) == (None, 3)
    assert (
        operations.open_file(FileRequest(repo="shop", path="README.md", end_line=1)).text
        == "# Shop"
    )


def test_named_scopes_persist(operations, shop):
    scope = Scope(languages=("python",), include_globs=("src/**",))
    operations.named.save("mine", scope)
    again = Operations(shop)
    assert again.named.names() == ["mine"]
    assert again.named.load("mine") == scope
    with pytest.raises(ScopeError, match="Did you mean 'mine'"):
        again.named.load("mien")
    again.named.remove("mine")
    assert operations.named.names() == []
    for bad in ("", "../x", "a/b", "x" * 70):
        with pytest.raises(ScopeError, match="has no name yet|cannot be called"):
            operations.named.save(bad, scope)


def test_damaged_saved_scope_says_how_to_repair_it(operations):
    operations.named.save("mine", Scope())
    (operations.named.folder / "mine.json").write_text("{")
    with pytest.raises(ScopeError, match="%scope save mine"):
        operations.named.load("mine")


def test_sql_has_its_own_deadline(shop):
    operations = Operations(shop, Limits(deadline_s=30.0, sql_deadline_s=5.0))
    assert [operations.sql_deadline(asked) for asked in (None, 2.0, 60.0)] == [5.0, 2.0, 5.0]
    assert [operations.deadline(asked) for asked in (None, 2.0, 60.0)] == [30.0, 2.0, 30.0]
    for asked in (0, -1.0):
        with pytest.raises(SearchError, match="deadline"):
            operations.sql(
                SqlRequest(statement="select 1", deadline=asked), ScopeAnswer(Scope(), "a")
            )
