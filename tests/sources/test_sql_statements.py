"""Definitions of SQL scripts in common dialects."""

from pathlib import Path

import pytest

from codeintel_nb.sources.document import document_of
from codeintel_nb.sources.languages.sql_statements import sql_definitions
from tests.linear import assert_linear

DIALECTS = Path(__file__).parent / "dialects"
EXPECTED = {
    "postgresql": [
        "1-7 function load_rows",
        "8-8 class t",
        "9-9 function f",
        "10-10 function a",
        "11-11 class p",
        "12-12 class my table",
        "13-13 class v",
    ],
    "sqlserver": [
        "1-7 function LoadRows",
        "9-9 function AddOne",
        "11-13 function P2",
        "15-15 function t",
    ],
    "mysql": [
        "2-6 function p1",
        "7-8 function f2",
        "10-10 class t1",
        "11-11 class v",
        "12-12 function tr",
        "13-13 function e",
    ],
    "oracle": [
        "1-12 module emp_mgmt",
        "3-7 function emp_mgmt.hire",
        "8-11 function emp_mgmt.fire",
        "14-18 function f3",
        "20-23 function p5",
    ],
    "bigquery": [
        "1-1 function addone",
        "2-4 function js",
        "5-5 function tf",
        "6-9 function pp",
    ],
    "snowflake": [
        "1-6 function sp",
        "7-7 function fx",
        "8-13 function sp2",
        "14-14 class tt",
    ],
    "duckdb": [
        "1-1 function add",
        "2-2 function t2",
        "3-3 function f9",
        "4-4 class t",
    ],
    "dbt": [
        "1-3 function cents_to_dollars",
        "4-5 function x",
        "6-6 function is_even",
    ],
    "sqlite": [
        "1-1 class fts",
        "2-2 function t",
        "3-3 class z",
    ],
    "mediawiki": [
        "1-1 class abuse_filter",
        "2-2 class b",
    ],
    "psql": [
        "3-3 class a",
        "7-7 class c",
        "7-7 class e",
        "8-8 class mood",
        "9-9 class s",
        "10-10 class joe",
        "11-11 function g",
    ],
}


@pytest.mark.parametrize("dialect", EXPECTED)
def test_definitions_of_a_dialect(dialect):
    document = document_of(f"{dialect}.sql", (DIALECTS / f"{dialect}.sql").read_bytes())
    assert [
        f"{s.start_line}-{s.end_line} {s.kind} {f'{s.container}.{s.name}'.strip('.')}"
        for s in document.symbols
    ] == EXPECTED[dialect]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("CREATE PROC p AS\nSELECT 1;\nSELECT 2;\nGO\nSELECT 3;\n", [(1, 3)]),
        (
            "CREATE TASK a WAREHOUSE=w AS INSERT INTO t SELECT 1;\nCREATE TABLE b (c int);\n",
            [(1, 1), (2, 2)],
        ),
        ("CREATE PROC p AS\nSELECT 1;\nBEGIN TRY\nSELECT 2;\nEND TRY\nSELECT 3;\nGO\n", [(1, 6)]),
        (
            "create trigger t after insert on x for each row execute procedure f();\n"
            "create table u (a int);\n",
            [(1, 1), (2, 2)],
        ),
        (
            "create trigger tr for insert on t compound trigger\n"
            "  before statement is\n"
            "  begin\n"
            "    null;\n"
            "  end before statement;\n"
            "  after each row is\n"
            "  begin\n"
            "    null;\n"
            "  end after each row;\n"
            "end tr;\n"
            "/\n"
            "select 1;\n",
            [(1, 10)],
        ),
        ("CREATE FUNCTION f(a int) RETURNS int AS a + 1;\nSELECT 1;\n", [(1, 1)]),
        (
            "create function f return number is\n"
            "  x number;\n"
            "begin\n"
            "  return 1;\n"
            "end;\n"
            "/\n"
            "select 1;\n",
            [(1, 5)],
        ),
    ],
)
def test_end_lines_of_statements(text, rows):
    assert [
        (symbol.start_line, symbol.end_line)
        for symbol in document_of("a.sql", text.encode()).symbols
    ] == rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "create procedure a is\n"
            " procedure b is\n"
            " begin null; end;\n"
            " x number;\n"
            "begin\n"
            " b;\n"
            "end;\n"
            "/\n",
            ["1-7 a", "2-3 a.b"],
        ),
        (
            "create procedure a is\n"
            "  cursor c is select 1 from dual;\n"
            "  procedure fwd(x number);\n"
            "  type r is record (a number);\n"
            "begin\n"
            "  for i in 1..2 loop\n"
            "    null;\n"
            "  end loop;\n"
            "end;\n"
            "/\n",
            ["1-9 a", "3-3 a.fwd"],
        ),
        (
            "create package body p as\n"
            "  function f return number is\n"
            "    procedure n is\n"
            "    begin\n"
            "      null;\n"
            "    end n;\n"
            "  begin\n"
            "    return 1;\n"
            "  end f;\n"
            "begin\n"
            "  null;\n"
            "end p;\n"
            "create table t (a int);\n",
            ["1-12 p", "2-9 p.f", "3-6 p.f.n", "13-13 t"],
        ),
        (
            "create package p as\n"
            "  type t is table of number;\n"
            "  procedure a(x number);\n"
            "  function b return number;\n"
            "end p;\n"
            "/\n",
            ["1-5 p", "3-3 p.a", "4-4 p.b"],
        ),
        (
            "/*!50001 CREATE ALGORITHM=UNDEFINED */\n"
            "/*!50013 DEFINER=`a`@`b` SQL SECURITY DEFINER */\n"
            "/*!50001 VIEW `v` AS select 1 */;\n"
            "DELIMITER ;;\n"
            "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ "
            "/*!50003 TRIGGER `tr` BEFORE INSERT ON `t` FOR EACH ROW begin\n"
            " set new.a = 1;\n"
            "end */;;\n"
            "DELIMITER ;\n",
            ["1-3 v", "5-7 tr"],
        ),
    ],
)
def test_nested_routines(text, expected):
    found = document_of("a.sql", text.encode()).symbols
    assert [
        f"{s.start_line}-{s.end_line} {s.container}.{s.name}".replace(" .", " ") for s in found
    ] == expected


def test_every_dialect_has_a_file():
    assert {path.stem for path in DIALECTS.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("create table été (a int);\n", ["été"]),
        ('create view "a""b" as select 1;\n', ['a"b']),
        ("create table a . b . c (d int);\n", ["c"]),
        ("execute 'create table a (b int)';\n", []),
        ("execute 'x\ncreate table a (b int)';\ncreate table t (a int);\n", ["t"]),
        ("select 'slip;\ncreate table t (a text default 'b');\n", ["t"]),
        ("comment on table a is '\ncreate table';\n", []),
        ("create\n  or replace\n  function\n  f() returns int as '1' language sql;\n", ["f"]),
        ("create index i on t (a);\ncreate table t (a int);\n", ["t"]),
        ("select 'it''s';\ncreate table t (a int);\n", ["t"]),
        ("insert into t values ('\\'');\ncreate table u (a int);\n", ["u"]),
        ("select 'never closed\ncreate table t (a int);\n", ["t"]),
        ("create type t (\n  delimiter = ':',\n  x = y\n);\ncreate table u (a int);\n", ["t", "u"]),
        ("alter function f() owner to joe;\nalter procedure p as select 1;\n", ["p"]),
        ("create operator class o for type t using btree as storage int;\n", []),
        (
            "create table {{ schema }}.jobs (a int);\ncreate table :schema.runs (a int);\n",
            ["jobs", "runs"],
        ),
        ("create table {{ this }} as select 1;\n", []),
        (
            "create table ${schema}.users (a int);\n"
            "create table $(db).dbo.t8 (a int);\n"
            "create table ${a}_v (b int);\n"
            "create table identifier($x) (a int);\n",
            ["users", "t8", "_v"],
        ),
        (
            "create function f() returns int as "
            "$$ begin; create table x (a int); $$ language plpgsql;\n",
            ["f"],
        ),
    ],
)
def test_statement_heads_in_common_spellings(text, names):
    assert [symbol.name for symbol in document_of("a.sql", text.encode()).symbols] == names


@pytest.mark.parametrize(
    "text",
    [
        "create table " + "a." * 20_000,
        "create procedure p as begin " * 5_000,
        "create package body p as\n" + "procedure a is begin\n" * 3_000,
        "'" * 50_000,
        "$" * 50_000,
        "create function f() as begin case " * 5_000,
        "/* " * 50_000,
        "(" * 100_000,
        "".join(f"${n}$ " for n in range(30_000)),
        "create package p as procedure q is " * 2_000,
        "create table t (a int)\ngo\n" * 20_000,
    ],
)
def test_odd_scripts_take_linear_time(text):
    assert_linear(lambda part: sql_definitions(part.decode() + "\n"), text.encode())
