import pytest

from codeintel_nb.search.ranking.intent import parse_query
from codeintel_nb.search.ranking.roles import ROLES, roles_asked, roles_of
from codeintel_nb.sources.document import document_of
from codeintel_nb.sources.reexports import is_reexport


def names(bits):
    return {role.name for bit, role in enumerate(ROLES) if bits >> bit & 1}


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("src/cart.py", set()),
        ("tests/test_cart.py", {"test"}),
        ("cart.spec.ts", {"test"}),
        ("src/CartTest.java", {"test"}),
        ("contest/latest.py", set()),
        ("examples/shop/main.go", {"aside"}),
        ("README.md", {"prose"}),
        ("types/cart.d.ts", {"declaration"}),
        ("include/cart.hpp", {"header"}),
        ("pkg/internal/cart.go", {"internal"}),
        ("api/v2/cart.go", {"versioned"}),
        ("config/cart.yml", {"data"}),
        ("setup.py", {"build"}),
    ],
)
def test_roles_by_path(path, roles):
    assert names(roles_of(path)) == roles


def test_a_query_asks_for_a_role():
    assert names(roles_asked(parse_query("test of the cart"))) == {"test"}
    assert names(roles_asked(parse_query("an example in the documentation"))) == {"aside", "prose"}
    assert names(roles_asked(parse_query("total of the cart"))) == set()


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        (
            "a/__init__.py",
            "from .cart import (\n    Cart,\n    Line,\n)\n\n__all__ = ['Cart']\n",
            True,
        ),
        ("a/__init__.py", '"""Doc."""\n\ndef find():\n    return 1\n', False),
        ("a/__init__.py", "", False),
        ("src/index.ts", "export * from './a';\nexport {\n  B,\n  C,\n} from './b';\n", True),
        ("src/index.ts", "export const limit = 3;\nexport const names = ['a'];\n", False),
        ("src/mod.rs", "//! Codecs.\nmod json;\npub use json::Json;\n", True),
        ("src/mod.rs", "mod json;\npub trait Codec {\n    fn name(&self) -> &str;\n}\n", False),
        ("lib/a.js", "module.exports = require('./b');\n", True),
        ("data.txt", "one\ntwo\n", False),
        ("a/package-info.java", "/** What the package is about. */\npackage a;\n", False),
        ("lib/a.rb", "module Shop\n  require 'shop/cart'\nend\n", False),
    ],
)
def test_reexports_are_told_by_content(path, content, expected):
    assert is_reexport(document_of(path, content.encode())) is expected
