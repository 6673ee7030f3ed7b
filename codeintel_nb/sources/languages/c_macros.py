"""Blanking of C and C++ macros before parsing.

A grammar without a preprocessor mistakes macros around declarations for types. These macros become
spaces, so offsets stay the same; signatures are taken from the original text. A macro is a name in
capitals or with two leading underscores, at a position where neither a type nor a name is valid.
"""

from __future__ import annotations

import re

NEAR = 240  # bytes examined on each side of a macro
MAX_ARGUMENTS = 2_000  # bytes of a macro's arguments
_MACRO = re.compile(
    rb"\b(?:[A-Z][A-Z0-9]*_[A-Z0-9_]*|[A-Z][A-Z0-9]{2,}|_[A-Z][A-Z0-9_]{2,}|__\w+)\b"
)
_KEPT = frozenset(
    b"__attribute__ __declspec __asm__ __extension__ __typeof__ __typeof __restrict __inline"
    b" __inline__ __int64 __int32 __int16 __int8 __int128 __m128 __m256 __m512 __m128i __m256i"
    b" __m512i __m128d __m256d __m512d __global__ __device__ __host__ __unaligned".split()
)
_NO_CODE = re.compile(
    rb"/\*(?:.*?\*/|.*)|//[^\n]*"
    rb"|R\"(\w{0,16})\(.{0,4000}?\)\1\""
    rb"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n]){1,10}'"
    rb"|^[ \t]*#(?:[^\n\\]|\\.)*",
    re.S | re.M,
)
_PARENTHESIS = re.compile(rb"[()]")
_TOKEN_BEFORE = re.compile(rb"(?:\w+|[^\w\s])\Z")
_CLASS_KEYS = frozenset((b"class", b"struct", b"union", b"enum"))
_SPECIFIERS = frozenset(
    (b"static", b"inline", b"extern", b"virtual", b"constexpr", b"friend", b"explicit")
)
_NO_TYPES = (
    _CLASS_KEYS
    | _SPECIFIERS
    | frozenset(
        b"const volatile return new typename typedef else case goto register define if while using"
        b" delete throw sizeof operator namespace public private protected co_return".split()
    )
)
_IN_STATEMENT = _NO_TYPES - frozenset((b"else",)) | frozenset(
    (
        b"void",
        b"int",
        b"char",
        b"long",
        b"short",
        b"unsigned",
        b"signed",
        b"bool",
        b"float",
        b"double",
        b"auto",
    )
)

_WORD = rb"[A-Za-z_][\w:]*(?:<[^;{}()]{0,120}>)?"
# text after a macro
_CLASS_BODY = re.compile(
    rb"(?:[A-Z_]\w*\s*\([^()]{0,80}\)\s*)?"
    + rb"(?!(?:final|override)\b)"
    + _WORD
    + rb"(?:\s+[A-Za-z_]\w*(?:\s*\([^()]{0,80}\))?){0,3}\s*(?:\{|:(?!:))"
)
_BODY = re.compile(rb"\{|;|:(?!:)|=\s*(?:0|default|delete)\b|(?:const|override|final|noexcept)\b")
_FUNCTION = re.compile(
    rb"(?:" + _WORD + rb"[\s*&]+){1,4}~?[A-Za-z_][\w:~]*\s*\("
    rb"|(?:\w+(?:<[^;{}()]{0,80}>)?::)+~?\w+\s*\("
    rb"|(?:\w+::)*operator\b|(?:explicit|class|struct|enum|template)\b"
)
_NAME = re.compile(rb"[*&\s]*~?(?:[A-Za-z_]\w*::)*~?[A-Za-z_]\w*\s*\(")
_GOES_ON = re.compile(rb"[{(;=,)\].\[+\-*/%&|<>?:]|[A-Za-z_][\w:~]*[ \t]*\(")
_CLASS_NAME = re.compile(rb"\b(?:class|struct|union)\s+[\w:<>,\s]{1,160}\Z")


def without_macros(content: bytes) -> bytes:
    """Return C or C++ code with the macros around declarations blanked."""
    if not _MACRO.search(content):
        return content
    text = bytearray(content)
    code = bytearray(_NO_CODE.sub(lambda match: _spaces(match[0]), content))
    at = 0
    while match := _MACRO.search(code, at):
        begin, end = match.span()
        at = end
        if content[begin:end] in _KEPT:
            continue
        end = _end_of_arguments(code, end)
        if _is_in_the_way(code, begin, end):
            at = end
            text[begin:end] = code[begin:end] = _spaces(code[begin:end])
    return bytes(text)


def _spaces(text: bytes | bytearray) -> bytes:
    return bytes(text.translate(_TO_SPACES))


_TO_SPACES = bytes(10 if byte == 10 else 32 for byte in range(256))


def _end_of_arguments(code: bytearray, end: int) -> int:
    """Return the end of a macro's arguments, ``end`` without any."""
    opening = end
    while code.startswith((b" ", b"\t"), opening):
        opening += 1
    if code[opening : opening + 1] != b"(":
        return end
    depth = 0
    for mark in _PARENTHESIS.finditer(code, opening, opening + MAX_ARGUMENTS):
        depth += 1 if mark[0] == b"(" else -1
        if depth == 0:
            return mark.end()
    return end


def _is_in_the_way(code: bytearray, begin: int, end: int) -> bool:
    """Whether a macro breaks the parse of a declaration."""
    above = bytes(code[max(0, begin - NEAR) : begin])
    before = above.rstrip()
    below = bytes(code[end : end + NEAR])
    behind = below.lstrip()
    previous = _TOKEN_BEFORE.search(before[-80:])
    token = previous[0] if previous else b""
    if token in _CLASS_KEYS:
        return _CLASS_BODY.match(behind) is not None
    on_line = above[above.rfind(b"\n") + 1 :].strip()
    if not on_line and not below.partition(b"\n")[0].strip():
        return _stands_alone(token, before, behind)
    if token == b")" or token in (b"const", b"noexcept", b"override", b"final"):
        return bool(_BODY.match(behind)) and b")" in before[-NEAR:]
    if behind[:1] in (b"{", b":") and behind[:2] != b"::" and _CLASS_NAME.search(before):
        return True
    if token in (b"", b";", b"}", b"{", b">", b":") or token in _SPECIFIERS:
        return _FUNCTION.match(behind) is not None
    if token[:1].isalpha() or token[:1] in (b"_", b"*", b"&"):
        return token not in _NO_TYPES and bool(on_line) and _NAME.match(behind) is not None
    return False


def _stands_alone(token: bytes, before: bytes, behind: bytes) -> bool:
    """Whether a macro's line is independent of those around it."""
    if (
        token
        and token not in (b";", b"}", b"{", b":", b")", b">")
        and not (token[:1].isalnum() or token[:1] == b"_")
    ):
        return False
    if token in _IN_STATEMENT or (token == b"{" and behind[:1] == b"}"):
        return False
    return not _GOES_ON.match(behind)
