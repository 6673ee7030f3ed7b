"""C and C++ definitions among the macros of real headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeintel_nb.sources.document import document_of
from codeintel_nb.sources.languages.c_macros import without_macros
from tests.linear import assert_linear


def definitions(text, path="a.cpp"):
    return [
        (symbol.kind, f"{symbol.container}.{symbol.name}".strip("."))
        for symbol in document_of(path, text.encode()).symbols
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "class MY_API Widget final : public Base {\n"
            " public:\n"
            "  int size() const { return 1; }\n"
            "};\n",
            [("class", "Widget"), ("method", "Widget.size")],
        ),
        ("class Q_CORE_EXPORT QRect { int f(); };\n", [("class", "QRect")]),
        ("class Q_CORE_EXPORT QWin : public QObject\n{\n    Q_OBJECT\n};\n", [("class", "QWin")]),
        (
            "UCLASS(BlueprintType)\n"
            "class GAME_API AHero : public ACharacter\n"
            "{\n"
            "\tGENERATED_BODY()\n"
            "public:\n"
            "\tint Health() const { return 1; }\n"
            "};\n",
            [("class", "AHero"), ("method", "AHero.Health")],
        ),
        (
            "LIB_NAMESPACE_BEGIN\n"
            "class Name {\n"
            "  int text() { return 1; }\n"
            "};\n"
            "LIB_NAMESPACE_END\n",
            [("class", "Name"), ("method", "Name.text")],
        ),
        (
            "FMT_BEGIN_NAMESPACE\n"
            "template <typename Char> class basic { void a() {} };\n"
            "FMT_END_NAMESPACE\n",
            [("class", "basic"), ("method", "basic.a")],
        ),
        (
            "template <typename T> class FOO_API Tmpl : public B<T> { void x() {} };\n",
            [("class", "Tmpl"), ("method", "Tmpl.x")],
        ),
        ("enum class MYLIB_EXPORT Color { Red };\n", [("class", "Color")]),
        ("struct LLVM_ABI Foo : Bar { int x; };\n", [("class", "Foo")]),
        ('class A_API B_DEPRECATED("old") Both : X { };\n', [("class", "Both")]),
        ("class Name Q_DECL_FINAL : public Base { };\n", [("class", "Name")]),
        (
            "class A_B final : public C { void m() {} };\n"
            "struct AABB final { int x; };\n"
            "class SHA256 final\n"
            " : public H {\n"
            "};\n",
            [("class", "A_B"), ("method", "A_B.m"), ("class", "AABB"), ("class", "SHA256")],
        ),
        ("class EXPORT_X A_B final { };\n", [("class", "A_B")]),
        (
            "class MY_API ns::Inner : public Base { int f() { return 1; } };\n",
            [("class", "ns.Inner"), ("method", "ns.Inner.f")],
        ),
        (
            "class alignas(8) A { };\n"
            "class __attribute__((packed)) B { };\n"
            "class [[nodiscard]] C { };\n",
            [("class", "A"), ("class", "B"), ("class", "C")],
        ),
        (
            "SPDLOG_INLINE std::shared_ptr<logger> make(const std::string &n) { return 1; }\n",
            [("function", "make")],
        ),
        (
            "SPDLOG_INLINE spdlog_ex::spdlog_ex(std::string msg) : m(msg) {}\n",
            [("method", "spdlog_ex.spdlog_ex")],
        ),
        (
            "struct A { bool active() LOCKS_EXCLUDED(mutex_) { return 1; } };\n",
            [("class", "A"), ("method", "A.active")],
        ),
        ("int remove(const F &f) SPDLOG_NOEXCEPT { return 1; }\n", [("function", "remove")]),
        ("struct A { void f() const CV_OVERRIDE { } };\n", [("class", "A"), ("method", "A.f")]),
        ("Mat Mat::operator()(int a) const { return 1; }\n", [("method", "Mat.operator()")]),
        ("inline RNG::operator unsigned() { return 1; }\n", [("method", "RNG.operator unsigned")]),
        ("template <class T> struct eval<Op<T, int>, Dense> { int x; };\n", [("class", "eval")]),
        ("template <> P pcos<P>(const P& x) { return x; }\n", [("function", "pcos")]),
        ("namespace a::b { void i() {} }\n", [("function", "a.b.i")]),
        ("BOOL Window::show(int a) { return 1; }\n", [("method", "Window.show")]),
        ("LRESULT CALLBACK WndProc(HWND h) { return 0; }\n", [("function", "WndProc")]),
        ("struct POINT origin(int a) { return a; }\n", [("function", "origin")]),
        ("const FOO make(int a) { return a; }\n", [("function", "make")]),
        ("enum E {\n  FIRST,\n  LAST\n};\n", [("class", "E")]),
        (
            'int f() {\n  const char *s = "a"\n    SUFFIX\n    "b";\n  return 0;\n}\n',
            [("function", "f")],
        ),
        ("TEST_CASE\n{\n}\nint g() { return 1; }\n", [("function", "g")]),
    ],
)
def test_definitions_among_macros(text, expected):
    assert definitions(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "struct __packed foo { int a; };\nenum __packed e { A };\n",
            [("class", "foo"), ("class", "e")],
        ),
        ("G_BEGIN_DECLS\n\ntypedef struct _GDir GDir;\n", [("class", "GDir")]),
        (
            "VEC_DECL(a, b *)\nVEC_IMPL(a, b *)\n\nstatic int g(const void *d) { return 1; }\n",
            [("function", "g")],
        ),
        ("static void NEVER_RETURNS usage(void)\n{\n}\n", [("function", "usage")]),
        (
            "LUALIB_API lua_Integer luaL_len (lua_State *L) { return 1; }\n",
            [("function", "luaL_len")],
        ),
        ("static int CC_HINT(nonnull (1, 2)) f(int a) { return a; }\n", [("function", "f")]),
        ("#define GET(L,t) \\\n  (t  /* x */  \\\n   ? 1 : 0)  /* y */\n", [("function", "GET")]),
    ],
)
def test_definitions_among_macros_of_c(text, expected):
    assert definitions(text, "a.c") == expected


def test_signature_keeps_its_macros():
    (symbol,) = document_of("a.cpp", b"class MY_API Widget final : public Base { };\n").symbols
    assert symbol.signature == "class MY_API Widget final : public Base"


@given(
    st.lists(
        st.sampled_from(
            [
                "class ",
                "MY_API",
                "A_B(",
                "x",
                ")",
                "{",
                "}",
                ";",
                "\n",
                "// A_B\n",
                "/* ",
                "*/",
                '"',
                "'",
                "#define A_B \\\n",
                "struct ",
                "::",
                "<",
                ">",
                "é",
                " ",
            ]
        ),
        max_size=40,
    )
)
def test_blanking_macros_keeps_every_byte_offset(parts):
    text = "".join(parts).encode()
    blanked = without_macros(text)
    assert len(blanked) == len(text)
    assert blanked.count(b"\n") == text.count(b"\n")
    assert all(a == b or b == 0x20 for a, b in zip(text, blanked, strict=True))


def test_other_code_is_left_alone():
    for text in (
        b"int a = MAX_SIZE;\n",
        b"return FOO_BAR(x);\n",
        b'const char *a = "MY_API x";\n',
        b"// class MY_API Foo {\n",
        b"struct FILE_INFO info;\n",
        b"#define MY_API class\n",
        b"FOO_T a, b;\n",
    ):
        assert without_macros(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "A_B(" * 20_000,
        "class A_B " * 20_000,
        "/* " * 50_000 + "A_B\n",
        "A_B\n" * 20_000,
        "template <" * 10_000 + "A_B x",
        'R"(' * 30_000 + " A_B",
        "A_B a::" * 20_000,
        "class A_B x<" * 10_000,
        ") A_B " * 20_000,
    ],
)
def test_long_files_take_linear_time(text):
    assert_linear(without_macros, text.encode())
