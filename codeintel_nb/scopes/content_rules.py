"""Heuristics for file extensions that several languages share.

The cases are those of linguist's published heuristics; no code of it is copied. Each rule reads
the first ``CONSIDERED_BYTES`` of a file, and the first match gives the language.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

CONSIDERED_BYTES = 50 * 1024
Rule = Callable[[bytes], object]


def _finds(*patterns: str, flags: int = 0) -> Rule:
    """Return a rule that matches any of the patterns, compiled on first use.

    ``^`` matches line starts.
    """

    @cache
    def compiled() -> re.Pattern[bytes]:
        return re.compile("|".join(patterns).encode(), re.M | flags)

    return lambda content: compiled().search(content)


_COMMENT = re.compile(rb"/\*(?:.*?\*/|.*)|//[^\n]*", re.S)


def _in_code(rule: Rule) -> Rule:
    """Return a rule that ignores C comments."""
    return lambda content: rule(_COMMENT.sub(b" ", content))


_XML = _finds(r"\A\s*<(?:\?xml|!DOCTYPE\s+(?!html))")
_OBJC = _finds(
    r"^[ \t]*@(?:interface|class|protocol|property|end|synchronized|selector|implementation|import"
    r"|autoreleasepool|try|dynamic|synthesize)\b",
    r"^[ \t]*#[ \t]*import[ \t]+[<\"]",
    r"\bNS_(?:ASSUME_NONNULL_BEGIN|ENUM|OPTIONS)\b",
)
_CPP = _finds(
    r"^[ \t]*#[ \t]*include[ \t]*<[a-z_]+>",
    r"^[ \t]*(?:export[ \t]+)?template[ \t]*<",
    r"^[ \t]*(?:inline[ \t]+)?(?:using[ \t]+)?namespace(?:[ \t]+\w|[ \t]*\{)",
    r"^[ \t]*(?:enum[ \t]+)?class[ \t]+\w[\w \t:,<>()]*[{;:\n]",
    r"^[ \t]*using[ \t]+\w",
    r"^[ \t]*(?:private|public|protected)(?:[ \t]+\w+)?[ \t]*:",
    r"^[ \t]*(?:try[ \t]*\{|catch[ \t]*\(|constexpr[ \t])",
    r"\bstd::\w",
    r"\bcout[ \t]*<<|\bnew[ \t]+[A-Z]\w*[ \t]*[(\[;]|^[ \t]*delete[ \t]+\w+;",
    r"\b(?:virtual[ \t]+[\w~]|nullptr\b|noexcept\b"
    r"|static_cast[ \t]*<|dynamic_cast[ \t]*<|reinterpret_cast[ \t]*<)",
    r"\)[ \t]*(?:const[ \t]*)?(?:override|final)\b|\)[ \t]*=[ \t]*(?:default|delete)[ \t]*;",
    r"\boperator[ \t]*(?:==|=|<<|>>|\(\)|\[\]|\+|-|\*|<|!)",
    r"^[ \t]*explicit[ \t]+\w|^[ \t]*friend[ \t]+\w",
)
_C_ONLY = _finds(
    r"^[ \t]*#[ \t]*include[ \t]*<"
    r"(?:stdio|stdlib|string|stdint|stddef|unistd|errno|ctype|math|time|assert|sys/\w+)\.h>",
    r"\w[ \t]*\([ \t]*void[ \t]*\)",
    r"^[ \t]*(?:typedef[ \t]+)?(?:struct|union)[ \t]+\w+[ \t]*\{",
)
_PERL = _finds(
    r"^[ \t]*use[ \t]+(?:strict|warnings|constant|overload|base|parent|lib|utf8|Test::|v?5\b)",
    r"^[ \t]*package[ \t]+[A-Za-z_]\w*(?:::\w+)*[ \t]*[;{]",
    r"^[ \t]*(?:my|our|local)[ \t]*[\$@%(]",
    r"^[ \t]*sub[ \t]+\w+",
    r"^[ \t]*use[ \t]+t::|^__(?:DATA|END)__|^[ \t]*run_tests\b",
)
_PERL_ALONE = _finds(
    r"^[ \t]*use[ \t]+(?:strict|warnings|constant|base|parent|lib|utf8|Test::|v?5\b)",
    r"^[ \t]*package[ \t]+[A-Za-z_]\w*(?:::\w+)*[ \t]*;",
)
_RAKU = _finds(
    r"^[ \t]*use[ \t]+v6",
    r"^[ \t]*(?:unit[ \t]+)?(?:module|role|grammar)[ \t]+\w",
    r"^[ \t]*(?:my[ \t]+|unit[ \t]+)?class[ \t]+\w",
)
_PROLOG = _finds(r"^[ \t]*:-[ \t]*\w", r"^[a-z]\w*(?:\([^\n]*\))?[ \t]*:-")
_LISP = _finds(
    r"^[ \t]*\((?:defun|defmacro|defvar|in-package|defpackage|defclass|defparameter)\b", flags=re.I
)
_MAN = _finds(r"^[.'][ \t]*(?:TH|SH|Dd|Dt|Sh|PP|B|I|TP)\b", r"^[.']\\\"")
_PASCAL = _finds(
    r"^[ \t]*end[.;][ \t]*$",
    r"\{\$(?:mode|ifdef|undef|define)\b",
    r"^[ \t]*(?:(?:unit|program)[ \t]+\w+[ \t]*;|(?:interface|implementation)[ \t]*$)",
    flags=re.I,
)
_ASSEMBLY = _finds(
    r"^[^\"m\n]*\bmov[lqbw]?[ \t]+[^\s]+,",
    r"^[ \t]+d[bwdq][ \t]+[a-z\d$\"']",
    r"^[ \t]*\.(?:globl|section|text|align)\b",
    r"^[ \t]*%(?:macro|define|include)\b",
    flags=re.I,
)
_PHP = _finds(r"<\?(?:php\b|=|[ \t\n])")
_SQL = _finds(
    r"^[ \t]*(?:create|alter|drop|insert[ \t]+into|select|update|delete[ \t]+from|grant|use|set)"
    r"[ \t]+[\w\[`\"*@]",
    flags=re.I,
)
_HTML = _finds(
    r"^[ \t]*<(?:!DOCTYPE|!--|html|head|body|div|p|table|ul|script|link|meta|form|span|a|h[1-6])\b",
    flags=re.I,
)
_VB = _finds(
    r"^[ ]*VERSION[ ]+\d\.\d",
    r"^[ ]*Attribute[ ]+VB_",
    r"^[ ]*Option[ ]+Explicit",
    r"^[ ]*(?:Public|Private)[ ]+(?:Sub|Function|Property|Declare)\b",
)
_TEX = _finds(
    r"^[ \t]*\\(?:NeedsTeXFormat|Provides(?:Class|Package|File)|LoadClass|DeclareOption"
    r"|RequirePackage|documentclass|newcommand|def|let)\b"
)
_APEX = _finds(
    r"^[ \t]*(?:@\w+[ \t]*(?:\([^)\n]*\)[ \t]*)?\s*)?"
    r"(?:(?:public|private|protected|global|virtual|abstract|static|with|without|inherited|sharing"
    r"|transient)[ \t]+)+"
    r"(?:class|interface|enum)[ \t]+\w",
    r"^[ \t]*(?:class|interface|enum)[ \t]+\w+[^\n:]*\{",
    flags=re.I,
)
_ERLANG = _finds(r"^-(?:module|export)\(", r"^[ \t]*main\s*\(.*?\)\s*->", r"^%%")


def _is_raku(content: bytes) -> object:
    return _USE_V6(content) or (not _PERL_ALONE(content) and _RAKU(content))


_USE_V6 = _finds(r"^[ \t]*use[ \t]+v6")
# extensions of scripts: a modeline or #! line may name any language
ANY_LANGUAGE = frozenset({".t", ".inc", ".cgi", ".fcgi", ".spec", ".tool", ".command"})
RULES: dict[str, tuple[tuple[str, Rule], ...]] = {
    ".h": (("objc", _in_code(_OBJC)), ("cpp", _in_code(_CPP))),
    ".C": (("cpp", _in_code(_CPP)), ("c", _in_code(_C_ONLY))),
    ".H": (("cpp", _in_code(_CPP)), ("c", _in_code(_C_ONLY))),
    ".m": (
        ("objc", _in_code(_OBJC)),
        ("text", _finds(r"^:-[ \t]*module\b", r"^: \w")),  # Mercury, MUF
        ("wolfram", _finds(
            r"\A\s*\(\*",
            r"^\(\*.*\*\)$",
            r"^[ \t]*(?:BeginPackage|Begin|Needs)\[",
            r"^\w+\[\w*_[^\]\n]*\][ \t]*:=",
        )),
        ("objc", _in_code(_finds(
            r"^[ \t]*#[ \t]*include[ \t]+[<\"]",
            r"^[ \t]*(?:static|extern|const)[ \t]+\w+",
            r"^(?:int|void|id|BOOL)[ \t]+\w+[ \t]*\(",
        ))),
    ),
    ".mm": (("xml", _finds(r"\A\s*<(?:\?xml|map\b)")),),
    ".ts": (("xml", _finds(r"\A\s*<(?:\?xml\s|!DOCTYPE\s+TS\b|TS\b)")),),
    ".tsx": (("xml", _finds(r"\A\s*<(?:\?xml\s|!DOCTYPE\s)", r"\A\s*<tileset\b")),),
    ".cls": (
        ("vb", _VB),
        ("tex", _TEX),
        ("apex", _in_code(_APEX)),
        ("tex", _finds(r"^[ \t]*\\[A-Za-z@]+")),
        ("text", _finds(r"")),  # ObjectScript, OpenEdge
    ),
    ".inc": (
        ("php", _PHP),
        ("pascal", _PASCAL),
        ("cpp", _in_code(_finds(
            r"^[ \t]*#[ \t]*(?:include|define|ifn?def|pragma|undef|if|endif)\b",
            r"^[ \t]*template[ \t]*<",
            r"^[ \t]*namespace[ \t]+\w",
        ))),
        ("sql", _SQL),
        ("html", _HTML),
        ("assembly", _ASSEMBLY),
        ("make", _finds(r"^[\w.-]+[ \t]*[:?+]=", r"^[ \t]*(?:ifeq|ifneq|ifdef|endif)\b")),
        ("text", _finds(r"")),
    ),
    ".t": (
        ("raku", _is_raku),
        ("perl", _PERL),
        ("text", _finds(r"^  \$ \w", r"^[ \t]*%[ \t]+\w")),  # cram, Turing
        ("bash", _finds(
            r"^test_description=", r"^[ \t]*test_expect_(?:success|failure)\b", r"^\. \.?/",
        )),
        ("lua", _finds(r"^[ \t]*local[ \t]+\w+[ \t]*=", r"^[ \t]*require[ \t]*\(?['\"]")),
    ),
    ".pl": (
        ("prolog", lambda content: not _PERL_ALONE(content) and _PROLOG(content)),
        ("raku", _is_raku),
    ),
    ".pro": (("prolog", _PROLOG), ("text", _finds(r""))),
    ".pm": (
        ("c", _finds(r"\A\s*/\* XPM \*/")),
        ("raku", _is_raku),
    ),
    ".scd": (
        ("markdown", _finds(r"^#+[ \t]+(?:NAME|SYNOPSIS|DESCRIPTION)\b")),
        ("text", _finds(r"")),
    ),
    ".plt": (("prolog", _PROLOG), ("text", _finds(r""))),
    ".sld": (("xml", _finds(r"\A\s*<")),),
    ".trigger": (
        ("apex", _finds(r"^[ \t]*trigger[ \t]+\w+[ \t]+on[ \t]")),
        ("apex", _in_code(_APEX)),
    ),
    ".hh": (("php", _finds(r"<\?hh\b")),),
    ".re": (
        ("cpp", _finds(
            r"^[ \t]*#[ \t]*(?:if|ifdef|define|pragma|include)\b", r"^[ \t]*template[ \t]*<",
        )),
        ("text", _finds(r"")),
    ),
    ".app": (("erlang", _finds(r"^\{[ \t\n]*'?application'?[ \t\n]*,")), ("text", _finds(r""))),
    ".pluginspec": (("xml", _finds(r"\A\s*<")), ("ruby", _finds(r""))),
    ".ms": (("roff", _MAN), ("assembly", _ASSEMBLY), ("text", _finds(r""))),
    ".rs": (("xml", _XML), ("c", _finds(r"^[ \t]*#pragma[ \t]+(?:rs|version)\b"))),
    ".r": (
        ("text", _finds(r"\A\s*rebol\s*\[", flags=re.I)),
        ("c", _finds(r"^[ \t]*#include[ \t]+[\"<](?:Types|Carbon/Carbon)\.r[\">]")),  # Rez
    ),
    ".fs": (
        ("text", _finds(r"^(?:: \w|new-device\b)")),  # Forth
        ("glsl", _finds(
            r"^[ \t]*(?:#version|precision[ \t]+\w+p\b|uniform[ \t]|varying[ \t]|vec[234][ \t])",
        )),
    ),
    ".f": (("text", _finds(r"^: \w")),),
    ".for": (("text", _finds(r"^: \w")),),
    ".v": (
        ("coq", _finds(
            r"(?:^|\s)(?:Proof|Qed)\.(?:$|\s)",
            r"^[ \t]*Require[ \t]+(?:Import|Export)\s",
            r"^[ \t]*(?:Lemma|Theorem|Definition|Inductive)[ \t]+\w+.*(?::=|:)",
        )),
        ("text", _finds(r"^[ \t]*(?:pub[ \t]+)?fn[ \t]+\w+\(.*\{")),  # V
    ),
    ".d": (
        ("make", lambda content: (
            not _finds(r"^[ \t]*(?:module|import)[ \t]+[\w.]+[^\n]*;", r"\bunittest\b")(content)
            and _finds(r"^[^\s:#./]{0,200}[./][^\s:#]{0,200}[ \t]*:(?:[ \t]|$)")(content)
        )),
        ("text", _finds(r"^(?:\w+:\w*:\w*:\w*|provider[ \t]+\w|#pragma[ \t]+D[ \t])")),  # DTrace
    ),
    ".pp": (("pascal", _PASCAL),),
    ".md": (("lisp", _finds(r"\A\s*(?:;;|\(define_)")),),
    ".q": (("sql", _SQL), ("text", _finds(r""))),
    ".asc": (
        ("text", _finds(r"^-----BEGIN|^ssh-(?:rsa|dss) ")),
        ("asciidoc", _finds(r"^[=-]+[ \t\n]|\{\{[A-Za-z]")),
        ("text", _finds(r"")),
    ),
    ".es": (("erlang", _ERLANG),),
    ".gs": (
        ("glsl", _finds(r"^#version[ \t]+\d")),
        ("text", _finds(r"^uses (?:java|gw)\.", r"^\[indent=\d+\]")),
    ),
    ".cl": (("lisp", _LISP), ("c", _finds(r"/\*|//|^\}")), ("text", _finds(r""))),
    ".nb": (("wolfram", _finds(r"\(\*|^[ \t]*(?:Notebook|Cell)\[")), ("text", _finds(r""))),
    ".yy": (("json", _finds(r"\A\s*[{\[]")), ("text", _finds(r""))),
    ".mod": (("xml", _finds(r"<!ENTITY ")), ("text", _finds(r""))),
    ".l": (("lisp", _LISP), ("roff", _MAN), ("text", _finds(r""))),
    ".sc": (("text", _finds(r"\^(?:this|super)\.", r"^[ \t]*~\w+[ \t]*=\.", r"\bSynthDef\b")),),
    ".plist": (("text", lambda content: not _XML(content) and not _finds(r"\A\s*<")(content)),),
    ".properties": (),
    ".command": (),
    ".tool": (),
    ".cgi": (),
    ".fcgi": (("php", _PHP),),
    ".releaserc": (("json", _finds(r"\A\s*\{")), ("yaml", _finds(r"^[ \t]*[\w#-][^:\n]*:"))),
    ".eslintrc": (
        ("json", _finds(r"\A\s*(?:\{|/[/*])")),
        ("yaml", _finds(r"^[ \t]*[\w#-][^:\n]*:")),
    ),
    ".spec": (
        ("ruby", _finds(r"^[ \t]*(?:require|describe|it)\b")),
        ("python", _finds(r"^[ \t]*(?:import|from)[ \t]+\w|^\w+[ \t]*=[ \t]*Analysis\(")),
        ("text", _finds(r"")),
    ),
    ".tpl": (("php", _PHP),),
    ".launch": (("xml", _XML), ("xml", _finds(r"\A\s*<")), ("text", _finds(r""))),
    ".ui": (("xml", _finds(r"\A\s*<")), ("text", _finds(r""))),
    ".typ": (("xml", _finds(r"\A\s*<\?xml")),),
    ".gml": (("xml", _finds(r"\A\s*<")), ("text", _finds(r""))),
    ".workflow": (("xml", _finds(r"\A\s*<")), ("hcl", _finds(r"")),),
    **{f".{section}": (("roff", _MAN), ("text", _finds(r""))) for section in range(1, 10)},
}  # fmt: skip
