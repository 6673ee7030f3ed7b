import gc
import weakref

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.errors import ScopeError
from codeintel_nb.scopes.scope import EVERYTHING, Scope, patched, scope_from_wire
from tests.strategies import SCOPE_FIELDS


@given(SCOPE_FIELDS)
def test_fields_are_sorted_and_unique_and_round_trip(fields):
    scope = Scope(**fields)
    for name in Scope.__struct_fields__:
        value = getattr(scope, name)
        assert value == tuple(sorted(set(value)))
    assert msgspec.json.decode(msgspec.json.encode(scope), type=Scope) == scope
    assert scope_from_wire(msgspec.json.decode(msgspec.json.encode(scope))) == scope


@given(SCOPE_FIELDS, SCOPE_FIELDS)
def test_merging_replaces_given_fields_and_keeps_the_rest(fields, changes):
    scope, changed = Scope(**fields), Scope(**changes)
    merged = scope.merged(**changes)
    for name in Scope.__struct_fields__:
        assert getattr(merged, name) == getattr(changed if name in changes else scope, name)
    assert merged.merged() == merged
    assert merged.merged(**changes) == merged


@given(SCOPE_FIELDS)
def test_equal_scopes_are_identical_after_interning(fields):
    again = {name: [*reversed(values), *values] for name, values in fields.items()}
    assert Scope(**fields).interned() is Scope(**again).interned()
    assert hash(Scope(**fields)) == hash(Scope(**again))


def test_interning_keeps_no_scope_alive():
    scope = Scope(repos=("only-here",)).interned()
    watch = weakref.ref(scope)
    del scope
    gc.collect()
    assert watch() is None


def test_an_empty_tuple_replaces_and_none_keeps():
    scope = Scope(languages=("python",), repos=("a",))
    assert scope.merged(languages=()).languages == ()
    assert scope.merged(languages=None).languages == ("python",)


def test_language_aliases_become_canonical_names():
    assert Scope(languages=("C++", "py", "ts", "Python")).languages == (
        "cpp",
        "python",
        "typescript",
    )


def test_a_patch_follows_json_merge_patch():
    scope = Scope(languages=("python",), repos=("a",))
    assert patched(scope, {"languages": None}) == Scope(repos=("a",))
    assert patched(scope, {"repos": ["b"]}) == Scope(languages=("python",), repos=("b",))
    assert patched(scope, {}) is scope.interned()


def test_old_field_names_are_read_as_revisions():
    assert scope_from_wire({"branches": ["main"], "commit": "abc"}).revisions == ("abc", "main")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"languages": ["pythn"]}, "Did you mean 'python'?"),
        ({"kinds": ["klass"]}, "Did you mean 'class'?"),
        ({"languages": "python"}, "must be a list of strings: write ['python']"),
        ({"repos": [""]}, "each value must be a non-empty string"),
        ({"repos": [1]}, "contains 1; each value must be a non-empty string"),
        ({"include_globs": ["{a"]}, "unmatched '{'"),
        ({"langauges": ["python"]}, "Did you mean 'languages'?"),
        ([], "an object of fields"),
    ],
)
def test_error_of_bad_input_suggests_a_fix(fields, said):
    with pytest.raises(ScopeError, match=None) as error:
        scope_from_wire(fields)
    assert said in str(error.value)


def test_an_empty_scope_limits_nothing():
    assert not EVERYTHING
    assert EVERYTHING.describe() == "everything"
    assert Scope(kinds=("class",))


@given(st.lists(st.sampled_from(["python", "go"])))
def test_scopes_are_immutable(languages):
    with pytest.raises(AttributeError):
        Scope(languages=tuple(languages)).languages = ()  # type: ignore[misc]
