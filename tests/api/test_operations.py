import asyncio
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from codeintel_nb import Scope
from codeintel_nb.client.embedded import FixedClient
from codeintel_nb.errors import ScopeError, SearchError, SessionError, SourceError
from codeintel_nb.operations.answers import ScopeAnswer, SearchAnswer
from codeintel_nb.operations.limits import Limits
from codeintel_nb.operations.requests import (
    FileRequest,
    GetSavedScope,
    IndexRequest,
    ListSavedScopes,
    RemoveSavedScope,
    SaveScope,
    SqlRequest,
)
from codeintel_nb.operations.runs import checked, repository_of
from codeintel_nb.operations.table import BY_NAME, OPERATIONS
from codeintel_nb.operations.wire import decode_request, encode_request, to_wire
from codeintel_nb.scopes.registry import AsyncMemoryRegistry, MemoryRegistry
from codeintel_nb.scopes.saved import NamedScopes
from codeintel_nb.scopes.session import session_context
from codeintel_nb.search.query import PathQuery, SemanticQuery, TextQuery
from codeintel_nb.server.sessions import Sessions


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def fixed(workspace, limits=None):
    return FixedClient(workspace, ScopeAnswer(Scope(), "a"), limits)


class Caller:
    """Caller with many sessions: takes the scope from the registry, then runs the operation."""

    def __init__(self, workspace, clock):
        self.workspace = workspace
        self.live = set()
        self.sessions = Sessions(
            AsyncMemoryRegistry(MemoryRegistry(max_age_s=10, clock=clock)), self.live.__contains__
        )

    def set_scope(self, scope):
        return asyncio.run(self.sessions.set(checked(self.workspace, scope)))

    def clear_scope(self):
        return asyncio.run(self.sessions.clear())

    def held(self):
        return asyncio.run(self.sessions.get())

    def ask(self, request):
        return FixedClient(self.workspace, self.held()).ask(request)


@pytest.fixture
def caller(shop, clock):
    return Caller(shop, clock)


def test_each_session_searches_its_own_scope(caller):
    with session_context("a"):
        caller.set_scope(Scope(languages=("javascript",)))
    with session_context("b"):
        caller.set_scope(Scope(languages=("python",)))
        assert {h.language for h in caller.ask(TextQuery(pattern="cart")).results} == {"python"}
    with session_context("a"):
        assert {h.language for h in caller.ask(SemanticQuery(query="cart lines")).results} == {
            "javascript"
        }
        assert [h.path for h in caller.ask(PathQuery()).results] == ["web/app.js"]
        assert caller.ask(SqlRequest(statement="select path from files")).rows() == [
            ("web/app.js",)
        ]
        assert caller.clear_scope().scope == Scope()
        assert len(caller.ask(PathQuery()).results) == 9


def test_explicit_field_overrides_the_scope_for_one_call(caller):
    with session_context("a"):
        caller.set_scope(Scope(languages=("javascript",), repos=("shop",)))
        answer = caller.ask(PathQuery(languages=("markdown",)))
        assert answer.results.scope == Scope(languages=("markdown",), repos=("shop",))
        assert [h.path for h in answer.results] == ["README.md"]
        assert len(caller.ask(PathQuery(languages=())).results) == 9
        assert caller.held().scope.languages == ("javascript",)


def test_expired_scope_is_reported_once(caller, clock):
    with session_context("a"):
        caller.set_scope(Scope(languages=("javascript",)))
        clock.now += 11
        assert caller.ask(PathQuery()).scope_expired
        assert not caller.ask(PathQuery()).scope_expired


def test_scope_of_a_live_kernel_never_expires(caller, clock):
    caller.live.add("kernel")
    with session_context("kernel"):
        caller.set_scope(Scope(languages=("javascript",)))
        clock.now += 100 * 3600
        assert asyncio.run(caller.sessions.registry.prune_expired()) == 0
        answer = caller.ask(PathQuery())
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
        caller.ask(TextQuery(pattern="x"))


def test_limits_bound_a_call(shop):
    bounded = fixed(shop, Limits(timeout_s=5, hits=3, rows=2))
    assert [Limits(timeout_s=5).within(s) for s in (None, 2, 100)] == [5, 2, 5]
    assert [Limits().within(s) for s in (None, 2, 100)] == [None, 2, 100]
    cut = bounded.ask(TextQuery(pattern="cart", limit=4)).results
    assert (len(cut), cut.truncated) == (3, True)
    assert len(bounded.ask(PathQuery()).results) == 3
    assert len(bounded.ask(SqlRequest(statement="from files"))) == 2
    with pytest.raises(SearchError, match="time limit is -1"):
        bounded.ask(TextQuery(pattern="cart", timeout_s=-1))


def test_offset_and_limit_page_through_an_answer(shop):
    served = fixed(shop, Limits(hits=1_000_000))
    everything = served.ask(SemanticQuery(query="cart", limit=0)).results.hits
    assert len(everything) > 2, "limit 0 returns everything, on a server too"
    page = served.ask(SemanticQuery(query="cart", limit=1, offset=1)).results.hits
    assert [(hit.path, hit.start_line) for hit in page] == [
        (hit.path, hit.start_line) for hit in everything[1:2]
    ]
    paths = served.ask(PathQuery()).results.hits
    assert served.ask(PathQuery(offset=1)).results.hits == paths[1:]
    for limit in (None, 1):
        with pytest.raises(SearchError, match="The offset is -1"):
            PathQuery(limit=limit, offset=-1)


def test_slice_is_truncated_only_if_it_includes_the_last_hit(shop):
    results = shop.search_text("cart", limit=2)
    assert (
        results.truncated,
        results[::-1].truncated,
        results[:1].truncated,
        results[0::-1].truncated,
    ) == (True, True, False, False)


def test_a_package_of_another_environment_is_found_by_its_folder(shop, tmp_path):
    (tmp_path / "lib" / "shelf").mkdir(parents=True)
    made = repository_of(IndexRequest(package="shelf", path=str(tmp_path / "lib" / "shelf")), shop)
    assert (made.name, made.root, made.source) == (
        "pkg:shelf",
        str(tmp_path / "lib" / "shelf"),
        "package",
    )
    assert repository_of(IndexRequest(package="msgspec"), shop).distribution == "msgspec"
    assert (
        repository_of(
            IndexRequest(package="msgspec", path=str(Path(msgspec.__file__).parent)), shop
        ).version
        == msgspec.__version__
    )
    with pytest.raises(SourceError, match="does not contain the package"):
        repository_of(IndexRequest(package="shelf", path=str(tmp_path)), shop)
    with pytest.raises(SourceError, match=r"Nothing to index\. Give a folder \(path\) or"):
        repository_of(IndexRequest(), shop)


def test_answers_round_trip_over_the_wire(shop):
    client = fixed(shop)
    answer = client.ask(TextQuery(pattern="cart"))
    assert msgspec.json.decode(to_wire(answer), type=SearchAnswer) == answer
    request = msgspec.json.decode(
        b'{"pattern": "x", "languages": null, "limit": 3}', type=TextQuery
    )
    assert (request.languages, request.limit) == (None, 3)
    assert client.ask(FileRequest(repo="shop", path="README.md", end_line=1)).text == "# Shop"


def test_former_names_of_fields_are_read():
    body = b'{"pattern": "x", "deadline": 2.5, "branches": ["main"], "commit": "worktree"}'
    request = decode_request(BY_NAME["search_text"], body, {}, {})
    assert (request.timeout_s, request.revisions) == (2.5, ("main", "worktree"))
    assert request.limit == 100, "REST's own default"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_requests_round_trip_over_http(operation):
    """Every request is read from the path, the query string and the body that encode it."""
    values = {"scope": Scope(languages=("python",)), "change": {"kinds": None}, "limit": 7}
    samples = {str: "a/b c", int: 3, bool: True}
    fields = {}
    for field in msgspec.structs.fields(operation.request):
        if field.name in values:
            fields[field.name] = values[field.name]
        elif field.type in samples or field.required:
            fields[field.name] = samples[get_args(field.type)[0]]
    request = operation.request(**fields)
    body, query = encode_request(operation, request)
    parameters = {name: fields.get(name, "me") for name in operation.parameters}
    assert decode_request(operation, body, parameters, query) == request


def test_saved_scopes_persist(shop):
    client, again = fixed(shop), fixed(shop)
    scope = Scope(languages=("python",), include_globs=("src/**",))
    client.ask(SaveScope(name="mine", scope=scope))
    assert again.ask(ListSavedScopes()).scopes == {"mine": scope}
    assert again.ask(GetSavedScope(name="mine")) == scope
    with pytest.raises(ScopeError, match="Did you mean 'mine'"):
        again.ask(GetSavedScope(name="mien"))
    again.ask(RemoveSavedScope(name="mine"))
    assert client.ask(ListSavedScopes()).scopes == {}
    for bad in ("", "../x", "a/b", "x" * 70):
        with pytest.raises(ScopeError, match="needs a name|is invalid"):
            client.ask(SaveScope(name=bad, scope=scope))


def test_damaged_saved_scope_says_how_to_repair_it(shop):
    client = fixed(shop)
    client.ask(SaveScope(name="mine", scope=Scope()))
    (NamedScopes(shop.settings.home).folder / "mine.json").write_text("{")
    with pytest.raises(ScopeError, match="%scope save mine"):
        client.ask(GetSavedScope(name="mine"))


def test_sql_has_its_own_time_limit(shop):
    limits = Limits(timeout_s=30.0, sql_timeout_s=5.0)
    assert [limits.sql_within(s) for s in (None, 2.0, 60.0)] == [5.0, 2.0, 5.0]
    assert [limits.within(s) for s in (None, 2.0, 60.0)] == [30.0, 2.0, 30.0]
    for seconds in (0, -1.0):
        with pytest.raises(SearchError, match="time limit"):
            fixed(shop, limits).ask(SqlRequest(statement="select 1", timeout_s=seconds))
