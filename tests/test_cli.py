import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from codeintel_nb.cli import main
from codeintel_nb.errors import SourceError
from tests.conftest import write_tree


@pytest.fixture
def run(capsys):
    def run(*arguments):
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def ready(own_home, copy_home, run):
    copy_home(own_home)
    return run


def test_typical_session_at_the_terminal(run, tree):
    code, out, _ = run("index", tree, "--name", "shop")
    assert (code, "indexed 9 files" in out) == (0, True)
    assert run("status")[1].splitlines()[1].startswith("shop")
    code, out, _ = run("grep", "-w", "--lang", "py", "charge_card")
    assert (code, out.splitlines()[0]) == (
        0,
        "src/shop/payment.py:8: def charge_card(card, cents):",
    )
    assert run("search", "read", "a", "cart", "from", "a", "file", "-n", "1")[1].startswith(
        "src/shop/cart.py:"
    )
    assert run("paths", "--include", "web/**")[1].splitlines()[:2] == [
        "web/app.js",
        "web/style.css",
    ]
    code, out, _ = run("symbols", "charge_*", "--kind", "function")
    assert (code, out.splitlines()[0]) == (0, "src/shop/payment.py:8  function charge_card")
    assert run("symbols", "charge_card", "--lang", "javascript")[0] == 1
    assert run("read", "shop", "src/shop/cart.py", "--lines", "6:6")[1] == "class Cart:\n"
    assert "javascript" in run("sql", "select distinct language from files")[1]
    assert "up to date" in run("index", tree, "--name", "shop")[1]
    assert run("doctor")[0] == 0
    assert run("remove", "shop")[0] == 0
    assert run("status")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["grep", "cart"],
        ["grep", "--regex", r"def \w+"],
        ["search", "total price"],
        ["paths"],
        ["read", "shop", "README.md"],
        ["sql", "select * from files"],
        ["doctor"],
        ["doctor", "--dry-run"],
        ["status", "--skipped"],
    ],
)
def test_every_command_answers_in_json(ready, arguments):
    code, out, _ = ready(*arguments, "--json")
    assert code == 0
    assert json.loads(out)


def test_numbers_that_json_lacks_are_null(ready):
    query = "select 'nan'::double as x, 'inf'::float as y, ['-inf'::double, 1.5] as z"
    assert json.loads(ready("sql", query, "--json")[1], parse_constant=pytest.fail) == [
        {"x": None, "y": None, "z": [None, 1.5]}
    ]


@pytest.mark.parametrize(
    ("lines", "expected"), [("2", [1, 2]), ("2:3", [1, 3]), ("8:", [7, 99]), (":2", [0, 2])]
)
def test_lines_of_a_file(ready, tree, lines, expected):
    text = (tree / "README.md").read_text().splitlines()
    _, out, _ = ready("read", "shop", "README.md", "--lines", lines)
    assert out.rstrip("\n") == "\n".join(text[slice(*expected)]).rstrip("\n")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("serch", "Did you mean 'search'?"),
        ("indx", "Did you mean 'index'?"),
        ("xyzzy", "Known: demo, doctor, grep"),
    ],
)
def test_unknown_command_gets_a_suggestion(run, typed, meant):
    code, _, err = run(typed, "x")
    assert code == 2
    assert f"there is no command {typed!r}" in err
    assert meant in err


def test_index_and_remove_answer_in_json(run, tree):
    assert json.loads(run("index", tree, "--json", "--name", "x")[1])["files"] == 9
    assert json.loads(run("remove", "x", "--json")[1]) == {"removed": "x"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["grep", "nothing like this"], 1, "no matches"),
        (["paths", "--include", "nowhere/**"], 1, "no files"),
        (["sql", "select * from files where false"], 1, ""),
        (["grep", "--regex", "("], 2, "is invalid"),
        (["grep", "x", "--lang", "pythn"], 2, "Did you mean 'python'?"),
        (["grep", "x", "--limit=-1"], 2, "give a whole number"),
        (["grep", "x", "--limit", "many"], 2, "a whole number, not 'many'"),
        (["search", " "], 2, "The query is empty"),
        (["read", "shop", "../x"], 2, "is outside the repository"),
        (["read", "shop", "README.md", "--lines", "a:b"], 2, "FIRST:LAST"),
        (["remove", "nothing"], 2, "No repository 'nothing'"),
        (["index", "/no/such/place"], 2, "The folder '/no/such/place' does not exist"),
        (["index", "lib", "--package", "json"], 2, "exclude each other"),
        (["sql", "select"], 2, "SQL error"),
        ([], 2, ""),
        (["nonsense"], 2, "there is no command 'nonsense'"),
        (
            ["grep", "--case", "sensitive", "x"],
            2,
            "there is no option '--case'. Did you mean '--ignore-case'?",
        ),
        (["grep", "two", "words"], 2, "unexpected argument 'words'"),
    ],
)
def test_exit_codes_follow_grep_and_errors_are_one_line(ready, arguments, code, said):
    found, _, err = ready(*arguments)
    assert found == code
    assert said in err
    assert "Traceback" not in err


def test_error_with_json_output_is_json(ready):
    code, out, err = ready("grep", "--json", "--regex", "(")
    assert code == 2
    assert "is invalid" in json.loads(out)["error"]
    assert err.startswith("codeintel: ")


@pytest.mark.slow
def test_the_demo_runs_without_a_terminal(own_home, tree):
    before = set(own_home.iterdir())
    for arguments in ([], [str(tree)], ["--json"], ["--lab", str(tree)]):
        done = subprocess.run(
            [sys.executable, "-m", "codeintel_nb.cli", "demo", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if "--json" in arguments:
            shown = json.loads(done.stdout)
            assert shown["text"]["hits"]
            assert shown["semantic"]["hits"]
        else:
            assert "%semsearch" in done.stdout
            assert (
                ("Run in a terminal: codeintel demo --lab" in done.stderr)
                if "--lab" in arguments
                else ("Next, in a notebook" in done.stdout)
            )
    assert set(own_home.iterdir()) == before, "the demo leaves nothing in the user's home"


def test_the_demo_says_where_its_index_is(run, tree, tmp_path, own_home):
    assert "The demo's index has been deleted." in run("demo", tree)[1]
    home = tmp_path / "kept"
    assert f"The demo's index is in {home}." in run("demo", tree, "--home", home)[1]
    assert "shop" in run("status", "--home", home)[1]


def test_help_names_the_environment_variables_for_tokens(run):
    assert "$CODEINTEL_TOKEN" in run("serve", "--help")[1]
    assert "$CODEINTEL_SERVER_TOKEN" in run("mcp", "--help")[1]
    assert "--revision" not in run("grep", "--help")[1]


def test_demo_lab_may_index_the_users_home(monkeypatch, tmp_path, own_home):
    from codeintel_nb.cli import demo

    commands = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    waits = iter([KeyboardInterrupt, 0])  # JupyterLab first asks for confirmation

    def wait():
        ended = next(waits)
        if ended is KeyboardInterrupt:
            raise ended
        return ended

    monkeypatch.setattr(
        demo.subprocess,
        "Popen",
        lambda command, env: commands.append((command, env)) or SimpleNamespace(wait=wait),
    )
    assert demo.open_quickstart(tmp_path / "home", True) == 0
    ((command, environment),) = commands
    assert (
        f"--CodeIntelApp.allowed_roots={own_home}" in command
        or f"--CodeIntelApp.allowed_roots={Path.home()}" in command
    )
    assert environment["CODEINTEL_HOME"] == str(tmp_path / "home")


def test_lab_extra_includes_the_map_and_data_frames():
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    names = {requirement.partition(";")[0].strip() for requirement in extras["lab"]}
    assert {"codeintel-nb[df,map]", "jupyterlab>=4.2"} <= names
    assert extras["map"]
    assert extras["df"]


def test_failed_copy_of_the_tutorials_names_the_folder(tmp_path):
    from codeintel_nb.cli import demo

    (tmp_path / "codeintel-tutorials").write_text("a file")
    with pytest.raises(SourceError, match="cannot be copied to .*codeintel-tutorials"):
        demo.copy_of_tutorials(tmp_path)


def test_refresh_of_all_continues_after_a_failure(run, tree, tmp_path):
    gone = write_tree(tmp_path / "a_gone", {"a.py": "x = 1\n"})
    home = tmp_path / "home"
    run("index", gone, "--home", home)
    run("index", tree, "--home", home)
    shutil.rmtree(gone)
    (tree / "fresh.py").write_text("fresh = 1\n")
    code, out, err = run("refresh", "--home", home)
    assert code == 2
    assert "a_gone: The folder" in err
    assert "shop: " in out
    (line,) = run("refresh", "--home", home, "--json")[1].splitlines()
    assert json.loads(line)["repository"] == "shop", "a report a line"


def test_the_demo_copies_the_tutorials(tmp_path):
    from codeintel_nb.cli.demo import copy_of_tutorials

    folder = copy_of_tutorials(tmp_path)
    assert (folder / "01_quickstart.ipynb").exists()
    (folder / "01_quickstart.ipynb").write_text("mine")
    assert (copy_of_tutorials(tmp_path) / "01_quickstart.ipynb").read_text() == "mine"


def test_closed_pipe_is_not_an_error(ready, own_home):
    done = subprocess.run(
        f"{sys.executable} -m codeintel_nb.cli grep e | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
