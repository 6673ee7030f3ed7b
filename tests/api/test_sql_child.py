import os
import subprocess
import sys
import tempfile
import threading

import msgspec
import psutil
import pytest

from codeintel_nb import Scope, Workspace
from codeintel_nb.errors import EngineError, SearchError
from codeintel_nb.search.query import Bounds
from codeintel_nb.server.sql_process import Header, SqlChildren
from tests.live import children_of
from tests.sql_attempts import ATTEMPTS

ALL = Scope()
EVERYTHING = "select * from files order by path"
LONG = "select count(*) from range(100000) a, range(100000) b where a.range * b.range = 7"


@pytest.fixture
def children(shop):
    made = SqlChildren(shop.settings)
    yield made
    made.close()


@pytest.fixture
def run(children):
    def run(statement, scope=ALL, deadline=20.0, cancel=None, rows=1000, memory=1_500_000_000):
        return children.run(statement, scope, "me", Bounds.within(deadline, cancel), rows, memory)

    return run


ANSWER = msgspec.json.encode(Header(["n"], ["INTEGER"], False, {})) + b"\n"


def dying_child(rows, status):
    """Return a substitute for ``SqlChildren._start``: its child sends rows and then ends."""
    program = f"import os, sys\nsys.stdin.readline()\nos.write(1, {ANSWER + rows!r})\n{status}"

    def start(children):
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by ``run``)
        command = [sys.executable, "-c", program]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
        return subprocess.Popen(command, **pipes), errors

    return start


def test_truncated_rows_of_a_killed_child_raise(run, monkeypatch):
    killed = dying_child(b"[[1],[2],[3", "os.kill(os.getpid(), 9)")
    monkeypatch.setattr(SqlChildren, "_start", killed)
    with pytest.raises(SearchError, match=r"exceeds its memory limit"):
        run("select 1 as n")


def test_query_answers_though_no_spare_can_start(run, monkeypatch):
    """No memory is left for the child of the next query."""
    starts = []

    def start(children):
        if starts:
            raise EngineError("No process can be started (Cannot allocate memory).")
        starts.append(children)
        return dying_child(b"[[1]]", "os._exit(0)")(children)

    monkeypatch.setattr(SqlChildren, "_start", start)
    assert run("select 1 as n").table().rows() == [(1,)]


@pytest.fixture(scope="module")
def one_child(indexed_shop):
    """Yield a workspace, and a child that answers for it all through the module."""
    workspace = Workspace.open(indexed_shop / "home")
    made = SqlChildren(workspace.settings)
    yield workspace, made
    made.close()
    workspace.close()


def test_child_gives_the_same_answers_as_this_process(shop, run):
    scope = Scope(languages=("python",))
    for statement in (EVERYTHING, "select 1 where false", "select count(*) from symbols"):
        table = run(statement, scope).table()
        here = shop.sql(statement, scope)
        assert (table.columns, table.types, table.rows(), len(table)) == (
            here.columns,
            here.types,
            here.rows(),
            len(here),
        )
    assert table.to_df().equals(here.to_df())
    assert table.to_arrow().equals(here.to_arrow())


VALUES = [
    "'nan'::double", "'-inf'::float", "0.1::double", "12345678901234567890123::hugeint",
    "18446744073709551615::ubigint", "1.23::decimal(5, 2)", "date '2020-02-29'",
    "timestamp '2020-01-02 03:04:05.678901'", "interval 3 days", "[1, null, 3]",
    "{'x': 1, 'y': 'it''s [a] \"test\"'}", "map {'a': 1}", "'\\x00\\xFF'::blob", "true",
    "null", "'a\nb\"c\\d'", "''", "'\U0001f600'", "uuid '6c0b1acf-0e76-4ecc-829a-49da0893b7ba'",
    "['nan'::double]", "time '12:34:56'",
]  # fmt: skip


def test_every_value_reaches_the_parent_unchanged(one_child):
    workspace, child = one_child
    columns = ", ".join(
        f'{value} as "a ""quoted"" {number}"' for number, value in enumerate(VALUES)
    )
    statement = f"select {columns}"
    answer = child.run(statement, ALL, "me", Bounds.within(20, None), 1000, 1_500_000_000)
    table, here = answer.table(), workspace.sql(statement)
    assert table.columns == here.columns
    assert table.types == here.types
    for value, there, own in zip(VALUES, *table.rows(), *here.rows(), strict=True):
        assert repr(there) == repr(own), value  # nan is not equal to itself


def test_rows_are_bounded(run):
    answer = run("select * from range(50)", rows=10)
    assert answer.truncated
    assert len(answer.table()) == 10
    assert not run("select * from range(10)", rows=10).truncated


@pytest.mark.parametrize(
    "statement", ["selec", "select * from nothing", "", "select * from read_csv('/etc/passwd')"]
)
def test_child_raises_the_same_errors_as_this_process(shop, run, statement):
    with pytest.raises(SearchError) as theirs:
        run(statement)
    with pytest.raises(SearchError) as ours:
        shop.sql(statement)
    assert str(theirs.value) == str(ours.value)


@pytest.mark.slow
def test_forbidden_sql_fails_in_the_child_too(shop, run, tmp_path):
    for statement in ATTEMPTS:
        with pytest.raises(SearchError) as error:
            run(statement.format(home=shop.settings.home, out=tmp_path / "out"))
        assert ".duckdb/" not in str(error.value)
    assert not (tmp_path / "out").exists()
    assert len(ATTEMPTS) >= 40


OUTLIVE = [
    LONG,
    "with recursive t as (select 1 as n union all select n + 1 from t) select count(*) from t",
    "select max(md5(repeat(range::varchar, 1000))) from range(100000000)",
    "select count(*) from range(10000000) a join range(10000000) b on a.range % 7 = b.range % 7",
    (
        "select count(*) from range(100000000) "
        "where regexp_matches(repeat(range::varchar, 1000), '(1+)+$')"
    ),
]


@pytest.mark.parametrize("statement", OUTLIVE)
def test_no_query_outlives_its_deadline(run, statement):
    """Each query would take hours; the test passes by finishing."""
    with pytest.raises((SearchError, EngineError)):
        run(statement, deadline=0.5, memory=600_000_000)


def test_hits_are_available_in_the_child(shop, children):
    hits = shop.search_text("cart").hits
    answer = children.run(
        "select path from hits order by rank",
        ALL,
        "me",
        Bounds.within(20, None),
        1000,
        1_500_000_000,
        hits,
    )
    assert [path for (path,) in answer.table().rows()] == [hit.path for hit in hits]


def test_deadline_and_cancel_stop_a_query(run):
    with pytest.raises(SearchError, match="timed out"):
        run(LONG, deadline=0.3)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    with pytest.raises(SearchError, match="cancelled"):
        run(LONG, cancel=cancel)


@pytest.mark.parametrize(
    "statement",
    [
        "select list(range) from range(100000000)",
        "select string_agg(repeat('x', 1000000), '') from range(1000)",
    ],
)
def test_memory_is_limited_by_the_operating_system(run, statement):
    with pytest.raises(SearchError, match="emory"):
        run(statement, memory=300_000_000)


def test_killed_child_raises_and_the_next_one_answers(run):
    run("select 1")

    def kill():
        for child in sql_children():
            child.kill()

    threading.Timer(0.5, kill).start()
    with pytest.raises((SearchError, EngineError)):
        run(LONG)
    assert run("select 1").table().rows() == [(1,)]


def sql_children():
    """Return the SQL children of this process; those of the module's fixture too."""
    return {*children_of(os.getpid(), "sql_process")}


def test_no_child_outlives_its_owner(children, run):
    before = sql_children()
    run("select 1")
    mine = [*(sql_children() - before)]
    assert len(mine) == 1, "one idle child"
    children.close()
    psutil.wait_procs(mine, 5)
    assert not any(child.is_running() for child in mine)
