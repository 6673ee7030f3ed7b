"""Magics in a live IPython shell."""

import os
import re
import signal

import msgspec
import pytest
from IPython.core.interactiveshell import InteractiveShell

from codeintel_nb import Results, Scope, Workspace
from codeintel_nb.notebook.questions import _protected
from tests.conftest import write_tree
from tests.waiting import until


class Kept(InteractiveShell):
    """Separate shell for each test, without history on disk."""


@pytest.fixture
def shell(no_project):
    Kept.clear_instance()
    made = Kept.instance()
    made.history_manager.enabled = False
    made.run_cell("%load_ext codeintel_nb")
    yield made
    made.history_manager.end_session()
    Kept.clear_instance()


@pytest.fixture
def run(shell, capsys):
    """Return a function that runs a cell, stores its output and returns its value."""

    def run(cell):
        capsys.readouterr()
        result = shell.run_cell(cell)
        out, err = capsys.readouterr()
        run.out, run.err = out, err
        if not result.success:
            assert "Traceback" not in out + err, "our errors print one line"
        return result.result

    return run


@pytest.fixture
def ready(own_home, copy_home, run):
    copy_home(own_home)
    return run


def test_watch_picks_up_later_changes(ready, shell, tree):
    assert "watching for changes in shop" in repr(ready("%codeindex watch"))
    (tree / "followed.py").write_text("followed_from_now_on = 1\n")
    until(lambda: ready("%textsearch followed_from_now_on"))
    client = shell.find_magic("codeindex").__self__.client._local
    client._watcher.close()
    client.workspace.close()  # with the process of its updates


def test_text_search_works_before_indexing(run, tree, monkeypatch):
    monkeypatch.chdir(tree)
    said = repr(run("%textsearch charge_card"))
    assert "README.md:7" in said
    assert "all 9 files" in said
    assert "shop not indexed yet" in said


def test_search_without_an_index_prints_a_one_line_error(run):
    for cell in ("%semsearch x", "%paths", "%codesql select 1"):
        run(cell)
        assert run.err.startswith(
            "UsageError: Nothing is indexed yet. Index a folder: %codeindex add PATH"
        )
        assert run.err.count("\n") == 1
    assert "Nothing is indexed yet" in repr(run("%scope"))
    assert "Nothing is indexed yet" in repr(run("%codeindex"))


def test_folder_with_a_space_in_its_name(run, tree):
    moved = tree.rename(tree.with_name("my shop"))
    assert "my shop: indexed 9 files" in repr(run(f"%codeindex add '{moved}'"))
    assert "up to date" in repr(run(f"%codeindex add {moved}"))


def test_every_search_obeys_the_scope_until_it_changes(ready):
    assert "2 of 9 files" in repr(ready("%scope set --lang python --include 'src/**'"))
    assert {hit.path for hit in ready("%textsearch cart")} == {"src/shop/cart.py"}
    assert {hit.path for hit in ready("%semsearch total price of all lines")} <= {
        "src/shop/cart.py",
        "src/shop/payment.py",
    }
    assert {hit.path for hit in ready("%symbol *")} == {"src/shop/cart.py", "src/shop/payment.py"}
    assert len(ready("%paths")) == 2
    assert ready("%codesql select count(*) from files").rows() == [(2,)]
    assert "5 of 9 files" in repr(
        ready("%scope add --lang javascript --include 'web/**' --include '*.py'")
    )
    assert "3 of 9 files" in repr(ready("%scope drop --include '*.py'"))
    assert "everything is searched" in repr(ready("%scope clear"))
    assert len(ready("%paths")) == 9


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("%scope --lang python", "%scope needs a command. Did you mean: %scope set --lang python"),
        ("%scope show foo", "%scope show takes no options, but got 'foo'"),
        ("%scope list foo", "%scope list takes no options"),
        ("%scope clear --lang", "%scope clear takes no options"),
        ("%scope panel wide", "%scope panel takes no options"),
        ("%scope save core --lang python", "%scope save takes only a name"),
        ("%scope save core -l python", "%scope save takes only a name"),
        ("%codeindex status foo", "%codeindex status takes no name, but got 'foo'"),
        ("%codeindex watch foo", "%codeindex watch takes no name"),
        ("%codeindex add src --package msgspec", "exclude each other"),
        ("%scope drop --repo shop", "contains no other repository: .*%scope clear"),
    ],
)
def test_what_a_command_does_not_take_is_an_error(ready, run, line, error):
    ready("%scope set --repo shop --lang python")
    ready(line)
    assert re.search(error, run.err), run.err
    assert "python" in repr(ready("%scope")), "nothing was changed"


def test_saved_scope_may_have_a_blank_in_its_name(ready):
    ready("%scope set --lang python")
    ready('%scope save "my scope"')
    ready("%scope clear")
    assert "python" in repr(ready("%scope use 'my scope'"))
    assert "my scope" in repr(ready("%scope list"))


def test_adding_a_repository_never_narrows_the_scope(ready, run, tmp_path, monkeypatch):
    other = write_tree(tmp_path / "other", {"far.py": "far_away = 1\n"})
    ready(f"%codeindex add {other} --name other")
    ready("%scope set --repo '*'")
    ready("%scope add --repo other")
    assert "contains all repositories already" in run.err
    assert "%scope set --repo other" in run.err
    ready("%scope set --repo shop")
    ready("%scope add --repo other")
    assert len(ready("%textsearch far_away")) == 1
    ready("%scope drop --repo shop")
    assert len(ready("%paths")) == 1


def test_question_mark_ends_a_question(ready, run, shell):
    for line in (
        "%semsearch where is a card charged?",
        "%semsearch charge?  ",
        "%textsearch --regex carts?",
        "%symbol Cart?",
        "one = 1\n%textsearch cart?",
    ):
        assert isinstance(ready(line), Results), line
    ready("found = %textsearch cart?")
    assert shell.user_ns["found"].query.pattern == "cart?"
    ready("%semsearch?")
    assert "%semsearch" in run.out


@pytest.mark.parametrize(
    ("lines", "protected"),
    [
        (["%codemap where are dates?\n"], ["%codemap where are dates? \n"]),
        (["x['a'] = %semsearch a b?"], ["x['a'] = %semsearch a b? \n"]),
        (["%time %semsearch a b?\n"], ["%time %semsearch a b? \n"]),
        (["x = 1\n", "%symbol a?  \n"], ["x = 1\n", "%symbol a? \n"]),
        (["%semsearch?\n"], ["%semsearch?\n"]),
        (["%codesql select 1?\n"], ["%codesql select 1?\n"]),
        (["%%bash\n", "%semsearch a?\n"], ["%%bash\n", "%semsearch a?\n"]),
        (['"""\n', "%semsearch a?\n", '"""\n'], ['"""\n', "%semsearch a?\n", '"""\n']),
        (["# %semsearch a?\n"], ["# %semsearch a?\n"]),
    ],
)
def test_lines_that_ask(lines, protected):
    assert _protected(lines) == protected


def test_keyword_is_no_variable(ready, shell):
    assert "class" not in shell.user_ns
    found = ready("%textsearch class << self")
    assert found.query.pattern == "class << self"
    ready("%textsearch cart --out class")
    assert "class" not in shell.user_ns


def test_last_search_is_a_sql_table(ready, run):
    ready("%codesql select * from hits")
    assert "this notebook has not searched yet" in run.err
    for query in ('select f.path from files f, "hits" where true', "from main.hits", "table hits"):
        ready(f"%codesql {query}")
        assert "this notebook has not searched yet" in run.err, query
    for query in (
        "select language, count(*) as hits from files group by all order by hits",
        "select path from files where path like '%hits%' or 'from hits' = ''",
        "with hits as (select 1 as a) select * from hits",
        "select 1 -- from hits",
    ):
        ready(f"%codesql {query}")
        assert run.err == ""
    found = ready("%textsearch cart")
    assert ready("%codesql select count(*) from hits").rows() == [(len(found),)]
    assert ready("%codesql select distinct path from hits order by 1").rows() == [
        (path,) for path in sorted({hit.path for hit in found})
    ]


def test_set_replaces_the_whole_scope(ready):
    ready("%scope set --lang python")
    assert ready("%scope set --kind class").scope == Scope(kinds=("class",))


def test_scope_option_applies_to_one_search(ready):
    ready("%scope set --lang python")
    assert {hit.language for hit in ready("%textsearch --lang js cart")} == {"javascript"}
    assert {hit.language for hit in ready("%textsearch cart")} == {"python"}


def test_queries_are_taken_verbatim(ready, shell):
    shell.user_ns.update(x="EXPANDED", n=3)
    for query in (r"\d{n} $n {x}", "don't", '"a" "b"', "a; b;", "# not a comment", "x = 'y'"):
        assert ready(f"%textsearch {query}").query.pattern == query
    assert ready("%textsearch 'a b'").query.pattern == "a b"
    assert ready(r"%textsearch --regex class \w+Error\(").hits[0].path == "src/shop/payment.py"


def test_results_are_assigned_to_a_variable(ready, shell):
    ready("hits = %semsearch read a cart")
    assert isinstance(shell.user_ns["hits"], Results)
    assert ready("%semsearch found << read a cart") is None
    assert "found = " in ready.out
    assert shell.user_ns["found"].hits == shell.user_ns["hits"].hits
    assert ready("%textsearch cart --out lines") is None
    assert shell.user_ns["lines"].query.pattern == "cart"
    assert ready("%%semsearch again <<\nread a cart") is None
    assert shell.user_ns["again"].hits == shell.user_ns["hits"].hits
    ready("%textsearch --out not-a-name cart")
    assert "is not a valid variable name" in ready.err
    assert ready("%textsearch -- a << b").query.pattern == "a << b"
    assert ready("%textsearch a b << c").query.pattern == "a b << c"


def test_cell_magics_take_multiline_queries(ready):
    assert ready("%%textsearch --regex -n 1\nclass \\w+").hits[0].path == "src/shop/cart.py"
    assert ready("%%semsearch\nread a cart\nfrom a file").query.query == "read a cart\nfrom a file"
    assert ready("%%codesql --lang python\nselect count(*)\nfrom files").rows() == [(4,)]


def test_trailing_semicolon_suppresses_output(ready):
    assert ready("%scope set --lang python;") is None
    assert ready("%codeindex;") is None
    assert ready("%scope").scope == Scope(languages=("python",))


def test_named_scopes(ready):
    ready("%scope set --lang python")
    ready("%scope save py")
    ready("%scope clear")
    assert "py" in repr(ready("%scope list"))
    assert ready("%scope use py").scope == Scope(languages=("python",))
    ready("%scope use yp")
    assert "Did you mean 'py'" in ready.err


def test_codeindex_refresh_status_and_drop(ready, tree):
    (tree / "new.py").write_text("def brand_new_function(): pass\n")
    assert "indexed 1 file" in repr(ready("%codeindex refresh"))
    assert len(ready("%textsearch brand_new_function")) == 1
    assert "skipped" in repr(ready("%codeindex status --skipped"))
    assert "removed from the index" in repr(ready("%codeindex drop shop"))
    assert "Nothing is indexed yet" in repr(ready("%codeindex"))


def test_package_is_added_by_name(run):
    assert "pkg:json==" in repr(run("%codeindex add --package json"))
    assert run("%semsearch decode a string with escapes")[0].repo.startswith("pkg:json==")


BAD_INPUT = [
    ("%scope set --lang pythn", "Did you mean 'python'?"),
    ("%scope set --kind klass", "Did you mean 'class'?"),
    ("%scope set --repo shp", "Did you mean 'shop'?"),
    ("%scope set --include '{a'", "unmatched '{'"),
    ("%scope set python", "does not understand 'python'"),
    ("%scope set", "needs at least one limit"),
    ("%scope sett --lang python", "Did you mean 'set'?"),
    ("%scope drop --lang go", "is not in the scope"),
    ("%scope save a/b", "The scope name 'a/b' is invalid"),
    ("%textsearch", "The pattern is empty"),
    ("%textsearch --regex (", "The regular expression '(' is invalid"),
    ("%textsearch --limit -1 x", "give a whole number from 1"),
    ("%textsearch --limit x y", "a whole number, not 'x'"),
    ("%textsearch --nope x", "There is no option '--nope'"),
    ("%semsearch", "The query is empty"),
    ("%semsearch --mode magic x", "magic"),
    ("%codesql select * from nothing", "SQL error"),
    ("%codeindex add /no/such/folder", "The folder '/no/such/folder' does not exist"),
    ("%codeindex add --package no_such_package", "installed"),
    ("%codeindex add --kernel extra", "its only other option is --rebuild"),
    ("%codeindex add --kernel --package json", "its only other option is --rebuild"),
    ("%codeindex add --package json --outputs", "applies to a folder of notebooks"),
    ("%scope set --repo 'pkg:pandas*'", "%codeindex add --package pandas"),
    ("%symbol", "The name is empty"),
    ("%codesql drop table files", "Only queries are allowed"),
    ("%codeindex drop", "needs the name"),
    ("%codeindex drop nothing", "No repository 'nothing'"),
    ("%codeindex ad", "Did you mean 'add'?"),
    ("%paths foo", "takes options only"),
]


def test_bad_input_prints_one_clear_error(ready):
    for cell, message in BAD_INPUT:
        assert ready(cell) is None, cell
        assert ready.err.startswith("UsageError: "), cell
        assert message in ready.err, cell


def test_ctrl_c_ends_a_search_with_partial_results(ready, shell):
    """Interrupt the waiting thread: the search is cancelled and still answers."""
    import os
    import signal
    import threading

    magics = shell.magics_manager.registry["CodeintelMagics"]

    def search(progress, cancel):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert cancel.wait(10), "the search is cancelled"
        return "what was found"

    assert magics._work(search) == "what was found"


def test_help_of_each_magic_names_it(shell, capsys):
    for name in ("scope", "textsearch", "semsearch", "paths", "codesql", "codeindex"):
        assert f"%{name}" in shell.find_line_magic(name).__doc__


def test_configuration(ready):
    ready("%config CodeintelMagics.top_k = 2")
    assert len(ready("%semsearch cart price")) == 2


def test_two_shells_have_separate_scopes(ready, shell):
    from codeintel_nb.notebook.magics import CodeintelMagics

    other = CodeintelMagics(shell)
    ready("%scope set --lang python")
    assert len(other.paths("")) == 9
    assert len(ready("%paths")) == 4


@pytest.fixture
def long(run, tmp_path):
    """Index a repository with 10,500 matching lines and as many definitions."""
    from tests.conftest import write_tree

    text = "".join(f"def needle_{n}(): ...\n" for n in range(1_500))
    folder = write_tree(tmp_path / "long", {f"{i}.py": text for i in range(7)})
    run(f"%codeindex add {folder} --name long")
    return run


@pytest.mark.parametrize(
    "cell",
    [
        "{} = %textsearch needle",
        "%textsearch {} << needle",
        "%textsearch needle --out {}",
        "{} = %symbol needle*",
    ],
)
def test_assigned_results_are_limited_and_report_the_total(long, shell, cell):
    long(cell.format("kept"))
    assert len(shell.user_ns["kept"].hits) == 10_000
    assert shell.user_ns["kept"].total == 10_500
    assert long.out.count("\n") == 1
    assert "10,000 hits of 10,500. --limit 0 keeps all." in long.out
    long(cell.format("all").replace("needle", "--limit 0 needle"))
    assert len(shell.user_ns["all"].hits) == 10_500
    assert "keeps all" not in long.out


def test_shown_and_assigned_results_have_the_same_hits(long, shell):
    shown = long("%textsearch needle")
    long("kept = %textsearch needle")
    assert shown.hits == shell.user_ns["kept"].hits
    assert repr(shown).count("\n") == 10
    assert "10 of 10,500 matches" in repr(shown)


def test_sql_hits_table_reports_when_it_is_incomplete(long):
    long("%textsearch needle")
    assert long("%codesql select count(*) from hits").rows() == [(10_000,)]
    assert "The table hits is incomplete: 10,000 hits of 10,500. --limit 0 keeps all." in long.out
    long("%textsearch --limit 0 needle")
    assert long("%codesql select count(distinct path), count(*) from hits").rows() == [(7, 10_500)]
    assert "not complete" not in long.out


def test_interpretation_of_an_ambiguous_line_is_reported(ready):
    ready("%textsearch cart -w")
    assert "-w was read as an option. To search for it as text: %textsearch -- cart -w" in ready.out
    ready("%textsearch cout << cart")
    assert "for 'cart'" in ready.out
    assert "cout = " in ready.out


def test_absolute_path_in_a_glob_is_explained(ready, tree):
    assert f"The glob '{tree / 'src'}' is an absolute path" in repr(
        ready(f"%scope set --include {tree / 'src'}")
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="requires os.fork")
def test_every_magic_works_in_a_forked_child(ready, shell):
    """Fork as a process pool in a notebook's cell does."""
    lines = (
        "textsearch Cart",
        "semsearch cart",
        "symbol Cart",
        "paths",
        "codesql select count(*) from files",
        "scope",
        "codeindex status",
    )
    for line in lines:
        assert ready(f"%{line}"), line
    for line in lines:
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            name, _, rest = line.partition(" ")
            try:
                os._exit(0 if shell.run_line_magic(name, rest) else 3)
            except BaseException:
                os._exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, line


def test_scope_during_a_first_run(run, tree):
    """Report the repository as not indexed yet, rather than the index as empty."""
    shown = []

    def progress(event):
        if event.files_done and not shown:
            shown.append(repr(run("%scope set --repo '*'")) + repr(run("%scope")))

    workspace = Workspace.open()
    write_tree(tree, {f"more/f{i}.py": "x = 1\n" * 200 for i in range(300)})
    workspace.index(tree, name="shop", progress=progress)
    workspace.close()
    assert "Nothing is indexed" not in shown[0]
    assert "shop: only text search reads its files" in shown[0]


def test_hidden_option_is_absent_from_help(ready, shell):
    for magic in ("scope", "textsearch", "semsearch", "symbol", "paths", "codesql", "codemap"):
        assert "--revision" not in (shell.find_magic(magic).__doc__ or ""), magic
    ready("%scope set --nothing x")
    assert "--include" in ready.err
    assert "--revision" not in ready.err


def test_scope_without_files_shows_a_warning(ready):
    for glob, hint in (("core\\\\**", "backslash"), ("'*.go,*.rs'", "comma"), ("nowhere/**", "")):
        shown = repr(ready(f"%scope set --include {glob}"))
        assert "warning" in shown
        assert "no file is in scope" in shown
        assert hint in shown
        assert "No file is in scope" in ready("%textsearch cart")._repr_mimebundle_()["text/html"]
    assert "warning" not in repr(ready("%scope set --include ./src"))


def test_names_of_saved_scopes(ready):
    ready("%scope set --lang python")
    ready("%scope save")
    assert ready.err == "UsageError: The scope needs a name. Run: %scope save NAME\n"
    ready("%scope save my scope of python")
    assert "my scope of python" in repr(ready("%scope list"))
    assert ready("%scope use my scope of python").scope.languages == ("python",)


def test_symbol_search_reports_merely_similar_names(ready):
    assert "none named total_pric" not in repr(ready("%symbol total_price"))
    assert "none named totel_price; 1 similar name" in repr(ready("%symbol totel_price"))


def test_distant_name_gets_no_suggestion(ready):
    ready("%codeindex add --package nothere")
    assert "Did you mean" not in ready.err


def test_hits_sent_for_sql_fit_into_a_request():
    """Count bytes, as some characters take three."""
    from codeintel_nb.notebook.commands import MAX_SQL_HITS, sendable
    from codeintel_nb.search.hit import Hit
    from codeintel_nb.server.problems import MAX_SQL_BODY_BYTES

    for character, all_fit in (("x", True), ("\u6f22", False)):
        hit = Hit(
            repo="shop",
            path="src/shop/" + character * 40,
            start_line=1,
            end_line=1,
            score=1.0,
            snippet=character * 400,
            snippet_line=1,
            language="python",
            kind="text",
        )
        hits = sendable((hit,) * (MAX_SQL_HITS + 1))
        assert (len(hits) == MAX_SQL_HITS) == all_fit
        assert len(hits) > MAX_SQL_HITS // 3
        assert len(msgspec.json.encode(hits)) < MAX_SQL_BODY_BYTES
