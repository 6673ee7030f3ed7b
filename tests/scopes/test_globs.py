import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codeintel_nb.errors import ScopeError
from codeintel_nb.scopes.globs import (
    PathMatcher,
    check_glob,
    expand_braces,
    matches_name_by_name,
    plain_glob,
    within_folder,
)
from tests.strategies import GLOBS, PATHS


@pytest.fixture(scope="module")
def git_ignores(tmp_path_factory):
    """Return a function for the paths ignored by git, given lines of a .gitignore.

    The paths need not exist.
    """
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("ignores")
    subprocess.run(["git", "init", "--quiet", folder], check=True)

    def ignored(lines: list[str], paths: list[str]) -> set[str]:
        (folder / ".gitignore").write_text("".join(f"{line}\n" for line in lines))
        asked = "".join(f"{path}\0" for path in paths)
        done = subprocess.run(
            ["git", "check-ignore", "--no-index", "-z", "--stdin"],
            cwd=folder,
            input=asked,
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 1), done.stderr
        return set(filter(None, done.stdout.split("\0")))

    return ignored


@settings(deadline=None)
@given(GLOBS, st.lists(PATHS, max_size=20))
@example("*/**/", ["1/1", "1/2/3"])
@example("[!a]b", ["a/b", "xb"])
@example("/a**/b", ["ax/1/b", "ab", "a/b", "xa/b"])
@example("a[a/b]1", ["aa1", "a/1", "b/ab1"])
@example("1/[a/b]", ["1/a", "1//", "b/1/a"])
def test_a_glob_matches_what_git_ignores(git_ignores, glob, paths):
    try:
        check_glob(glob)
    except ScopeError:
        return  # git ignores the line silently, we raise an error
    ignored = git_ignores(expand_braces(glob), paths)
    for path in paths:
        assert PathMatcher([glob], []).admits(path) == (path in ignored), (glob, path)


@given(st.lists(GLOBS, max_size=3), st.lists(GLOBS, max_size=3), st.lists(PATHS, max_size=10))
def test_path_is_in_by_some_include_and_no_exclude(include, exclude, paths):
    matcher = PathMatcher(include, exclude)
    for path in paths:
        included = not include or any(PathMatcher([glob], []).admits(path) for glob in include)
        excluded = any(PathMatcher([glob], []).admits(path) for glob in exclude)
        assert matcher.admits(path) == (included and not excluded)
    assert matcher.admits_each(paths) == [matcher.admits(path) for path in paths]


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("*.py", ["a.py", "x/y/a.py"], ["a.pyc", "a.py~"]),
        ("src", ["src/a.py", "x/src/b", "src"], ["srcs/a", "asrc"]),
        ("src/", ["src/a.py"], ["src"]),
        ("/src/*.py", ["src/a.py"], ["x/src/a.py", "src/x/a.py"]),
        ("src/**", ["src/a", "src/x/y"], ["src", "x/src/a"]),
        ("**/tests/**", ["tests/a", "x/y/tests/b"], ["tests", "test/a"]),
        ("a/**/b", ["a/b", "a/x/y/b", "a/b/c"], ["b", "x/a/b"]),
        ("{src,lib}/*.{py,js}", ["src/a.py", "lib/a.js"], ["src/a.go", "x/src/a.py"]),
        ("a?c", ["abc", "x/abc"], ["a/c", "ac"]),
        ("[!a]b", ["cb"], ["ab", "x/"]),
        (r"\*.py", ["*.py"], ["a.py"]),
        ("A", ["A"], ["a"]),
        ("{a}", ["{a}"], ["a"]),
        ("x{a,b{c,d}}", ["xa", "xbc", "xbd"], ["xb", "xc"]),
    ],
)
def test_glob_examples(glob, inside, outside):
    matcher = PathMatcher([check_glob(glob)], [])
    assert [path for path in inside if not matcher.admits(path)] == []
    assert [path for path in outside if matcher.admits(path)] == []


@pytest.mark.parametrize(
    "glob",
    [
        "",
        "  ",
        "!a",
        "{a,b",
        "a}",
        "a[",
        "a\\",
        "/",
        "a//b",
        "[z-a]",
        "x\0",
        "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}",
    ],
)
def test_invalid_glob_error_is_one_line(glob):
    with pytest.raises(ScopeError) as error:
        check_glob(glob)
    assert "\n" not in str(error.value).replace(repr(glob), "")


@pytest.mark.parametrize("glob", ["./", ".//"])
def test_error_quotes_the_folder_as_typed(glob):
    with pytest.raises(ScopeError, match=f"glob '{glob}' matches no file"):
        check_glob(glob)


def test_a_hostile_glob_takes_linear_time():
    matcher = PathMatcher(["*a" * 25 + "b"], [])
    assert not matcher.admits("a" * 20_000)


@pytest.mark.parametrize("name", ["foo ", "foo  ", "a\t", " x ", "back\\ ", "[x] "])
def test_plain_glob_keeps_blanks_in_a_name(name):
    matcher = PathMatcher([check_glob(plain_glob(name))], [])
    assert matcher.admits(name)
    assert not matcher.admits(name.rstrip())


@given(st.lists(GLOBS, max_size=3), PATHS, st.lists(PATHS, max_size=10))
@example(["*.b"], "a", ["x.b", "1/x.b"])
@example(["**/a"], "a/b", ["c"])
@example(["{a,b}/*/"], "b", ["1", "1/c"])
@example(["/!a*"], "!a", ["c"])
def test_globs_within_a_folder_match_its_files_alone(globs, folder, names):
    for glob in globs:
        try:
            check_glob(glob)
        except ScopeError:
            return
        if not all(map(matches_name_by_name, expand_braces(glob))):
            return
    inside = [f"{folder}/{name}" for name in names]
    narrowed = within_folder(globs, folder)
    expected = PathMatcher(globs, []).admits_each(inside)
    if narrowed:
        matcher = PathMatcher(narrowed, [])
        assert matcher.admits_each(inside) == expected
        assert not any(matcher.admits_each(f"other/{path}" for path in inside))
    else:
        assert not any(expected)
