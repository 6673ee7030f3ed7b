import pytest

from codeintel_nb.sources.document import document_of

SOURCES = {
    "a.py": (
        "import os\n\n"
        "@decorated\n"
        "class Shop(Base):\n"
        "    '''Sells.'''\n"
        "    def sell(self, what: str) -> int:\n"
        "        def inner(): pass\n"
        "        return 1\n\n"
        "async def main(): ...\n",
        [
            ("Shop", "class", "", 4, 8),
            ("sell", "method", "Shop", 6, 8),
            ("inner", "function", "Shop.sell", 7, 7),
            ("main", "function", "", 10, 10),
        ],
    ),
    "a.js": (
        "class Shop {\n"
        "  sell(what) { return 1; }\n"
        "  buy = () => 2;\n"
        "}\n"
        "function main() {}\n"
        "const load = async (x) => x;\n"
        "module.exports.save = function () {};\n"
        "const plain = 3;\n"
        "const palette = { ground: 1, isLight(colour) {} };\n"
        "app.locals = { render: () => 1 };\n"
        "Shop.prototype = { close: function () {} };\n"
        "const LIMITS = { small: 1 };\n"
        "module.exports = { charge() {} };\n"
        "function outer() { const options = { done() {} }; }\n",
        [
            ("Shop", "class", "", 1, 4),
            ("sell", "method", "Shop", 2, 2),
            ("buy", "method", "Shop", 3, 3),
            ("main", "function", "", 5, 5),
            ("load", "function", "", 6, 6),
            ("save", "function", "", 7, 7),
            ("palette", "class", "", 9, 9),
            ("isLight", "method", "palette", 9, 9),
            ("locals", "class", "app", 10, 10),
            ("render", "method", "app.locals", 10, 10),
            ("close", "method", "Shop", 11, 11),
            ("charge", "method", "", 13, 13),
            ("outer", "function", "", 14, 14),
            ("done", "method", "outer", 14, 14),
        ],
    ),
    "a.ts": (
        "export interface Item { price(): number }\n"
        "export type Id = string;\n"
        "enum Color { Red }\n"
        "abstract class Shop<T> {\n"
        "  abstract open(): void;\n"
        "  sell(what: T): number { return 1; }\n"
        "}\n"
        "export const load = (x: number): number => x;\n"
        "export const theme = { dark: () => true } as const;\n"
        "const api: Api = Object.freeze({ get() {} });\n",
        [
            ("Item", "class", "", 1, 1),
            ("price", "method", "Item", 1, 1),
            ("Id", "class", "", 2, 2),
            ("Color", "class", "", 3, 3),
            ("Shop", "class", "", 4, 7),
            ("open", "method", "Shop", 5, 5),
            ("sell", "method", "Shop", 6, 6),
            ("load", "function", "", 8, 8),
            ("theme", "class", "", 9, 9),
            ("dark", "method", "theme", 9, 9),
            ("api", "class", "", 10, 10),
            ("get", "method", "api", 10, 10),
        ],
    ),
    "a.go": (
        "package shop\n\n"
        "type Shop struct {\n"
        "\tname string\n"
        "}\n\n"
        "func (s *Shop) Sell(what string) int { return 1 }\n\n"
        "func Main() {}\n\n"
        "type Id = string\n",
        [
            ("Shop", "class", "", 3, 5),
            ("Sell", "method", "Shop", 7, 7),
            ("Main", "function", "", 9, 9),
            ("Id", "class", "", 11, 11),
        ],
    ),
    "a.rs": (
        "pub struct Shop { name: String }\n"
        "impl Display for Shop {\n"
        "    fn sell(&self) -> i32 { 1 }\n"
        "}\n"
        "pub trait Sells { fn price(&self) -> i32; }\n"
        "enum Color { Red }\n"
        "mod inner { pub fn main() {} }\n"
        "macro_rules! shout { () => {} }\n",
        [
            ("Shop", "class", "", 1, 1),
            ("sell", "method", "Shop", 3, 3),
            ("Sells", "class", "", 5, 5),
            ("price", "method", "Sells", 5, 5),
            ("Color", "class", "", 6, 6),
            ("inner", "class", "", 7, 7),
            ("main", "method", "inner", 7, 7),
            ("shout", "function", "", 8, 8),
        ],
    ),
    "A.java": (
        "package shop;\n"
        "public class Shop extends Base {\n"
        "  private int n;\n"
        "  public Shop() {}\n"
        "  @Override public int sell(String what) { return 1; }\n"
        "  enum Color { RED }\n"
        "}\n"
        "interface Sells { int price(); }\n"
        "record Item(int price) {}\n",
        [
            ("Shop", "class", "", 2, 7),
            ("Shop", "method", "Shop", 4, 4),
            ("sell", "method", "Shop", 5, 5),
            ("Color", "class", "Shop", 6, 6),
            ("Sells", "class", "", 8, 8),
            ("price", "method", "Sells", 8, 8),
            ("Item", "class", "", 9, 9),
        ],
    ),
    "a.c": (
        "struct shop { int n; };\n"
        "typedef struct shop shop_t;\n"
        "static int *sell(struct shop *s, int n)\n"
        "{\n"
        "  return 0;\n"
        "}\n"
        "enum color { RED };\n"
        "#define TWICE(x) ((x) * 2)\n"
        "int declared(void);\n",
        [
            ("shop", "class", "", 1, 1),
            ("shop_t", "class", "", 2, 2),
            ("sell", "function", "", 3, 6),
            ("color", "class", "", 7, 7),
            ("TWICE", "function", "", 8, 8),
        ],
    ),
    "a.cpp": (
        "namespace shop {\n"
        "template <class T> class Shop : public Base {\n"
        " public:\n"
        "  Shop();\n"
        "  int sell(T what) { return 1; }\n"
        "};\n"
        "}\n"
        "int shop::Shop<int>::buy(int n) const { return n; }\n"
        "static std::string& name(Shop& s) { return s.n; }\n"
        "bool operator==(const A& a, const A& b) { return true; }\n",
        [
            ("Shop", "class", "shop", 2, 6),
            ("sell", "method", "shop.Shop", 5, 5),
            ("buy", "method", "shop.Shop", 8, 8),
            ("name", "function", "", 9, 9),
            ("operator==", "function", "", 10, 10),
        ],
    ),
}


@pytest.mark.parametrize("path", sorted(SOURCES))
def test_definitions_are_found_with_kind_container_and_lines(path):
    text, expected = SOURCES[path]
    document = document_of(path, text.encode())
    assert [
        (s.name, s.kind, s.container, s.start_line, s.end_line) for s in document.symbols
    ] == expected


def test_a_signature_is_one_line_without_the_body():
    document = document_of(
        "a.py", b"def sell(\n    what: str,\n    count: int = 1,\n) -> int:\n    return 1\n"
    )
    assert document.symbols[0].signature == "def sell( what: str, count: int = 1, ) -> int"


def test_comments_and_decorators_stay_with_their_definition():
    filler = "".join(f"x{i} = {i}\n" for i in range(80))
    text = (
        filler
        + "# leads the function\n# in two lines\n@decorated\ndef sell():\n"
        + "    y = 1\n" * 60
    )
    document = document_of("a.py", text.encode())
    first = text.split("\n").index("# leads the function") + 1
    assert any(chunk.start_line == first for chunk in document.chunks)


def test_chunks_are_named_after_their_definition():
    body = "".join(f"        step{i} = work({i})  # some explaining words\n" for i in range(60))
    document = document_of(
        "a.py", f"class Shop:\n    def sell(self):\n{body}\n    def buy(self):\n{body}".encode()
    )
    labels = [chunk.symbol for chunk in document.chunks]
    assert labels[0] == "Shop"
    assert "Shop.sell" in labels[1:]
    assert labels[-1] == "Shop.buy"
    assert {chunk.kind for chunk in document.chunks} == {"class", "method"}


def test_header_is_detected_as_c_or_cpp():
    assert document_of("a.h", b"#include <stdio.h>\nstruct shop { int n; };\n").language == "c"
    assert document_of("a.h", b"#include <vector>\nint n;\n").language == "cpp"
    document = document_of(
        "a.h", b"namespace shop {\nclass Cart { int total() { return 1; } };\n}\n"
    )
    assert (document.language, [s.name for s in document.symbols]) == ("cpp", ["Cart", "total"])


def test_documentation_is_the_same_in_every_run():
    """A docstring in several parts: an f-string. The parser names its parts in any order."""
    parts = "".join(f"        Part {n} of {{name}}.\n" for n in range(20))
    text = "".join(
        f'def function_{n}(name):\n    f"""\n    Joins {{name}} {n}.\n{parts}    """\n\n'
        for n in range(40)
    )
    for _ in range(5):
        docs = {symbol.doc for symbol in document_of("a.py", text.encode()).symbols}
        assert docs == {"Joins"}
