import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture
def complete(no_project, copy_home):
    copy_home(no_project)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_cell("%load_ext codeintel_nb")
    shell.run_cell("%scope save mine")

    def complete(text):
        with provisionalcompleter():
            return [
                text[: c.start] + c.text + text[c.end :]
                for c in shell.Completer.completions(text, len(text))
            ]

    yield complete
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%scope s", {"%scope set", "%scope show", "%scope save"}),
        ("%scope set --la", {"%scope set --lang"}),
        ("%scope set --lang py", {"%scope set --lang python"}),
        ("%scope set --repo s", {"%scope set --repo shop"}),
        (
            "%scope set --kind m",
            {"%scope set --kind method", "%scope set --kind module", "%scope set --kind markdown"},
        ),
        ("%scope use ", {"%scope use mine"}),
        ("%scope set --include sr", {"%scope set --include src/**"}),
        ("%scope set --include src/sh", {"%scope set --include src/shop/**"}),
        ("%semsearch --mo", {"%semsearch --mode"}),
        ("hits = %semsearch --mode d", {"hits = %semsearch --mode dense"}),
        ("%%textsearch --re", {"%%textsearch --regex", "%%textsearch --repo"}),
        ("%codeindex re", {"%codeindex refresh"}),
        ("%codeindex drop ", {"%codeindex drop shop"}),
    ],
)
def test_magic_line_completions(complete, typed, offered):
    assert offered == set(complete(typed))


def test_python_code_gets_no_magic_completions(complete):
    assert "%scope" not in " ".join(complete("import o"))
