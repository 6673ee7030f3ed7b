import pytest

from codeintel_nb.errors import ScopeError
from codeintel_nb.scopes import languages
from codeintel_nb.scopes.content_rules import RULES
from codeintel_nb.scopes.languages import (
    LANGUAGES,
    NOTEBOOK,
    depends_on_text,
    is_notebook,
    language_named,
    language_of,
)
from tests.linear import assert_linear


@pytest.mark.parametrize(
    ("path", "head", "language"),
    [
        ("a/b.py", b"", "python"), ("x.PY", b"", "python"), ("x.tsx", b"", "tsx"),
        ("a.h", b"", "c"), ("a.hpp", b"", "cpp"), ("Dockerfile", b"", "dockerfile"),
        ("Dockerfile.dev", b"", "dockerfile"), ("Makefile", b"", "make"),
        ("run", b"#!/usr/bin/env python3\n", "python"), ("run", b"#!/bin/bash -e\n", "bash"),
        ("run", b"#!/usr/bin/env -S node --x\n", "javascript"),
        ("run", b"#! /usr/bin/perl5.36 -w\n", "perl"), ("nothing", b"hello", "text"),
        ("a.unknownending", b"", "text"), (".bashrc", b"", "bash"), ("n.ipynb", b"", "notebook"),
        ("LICENSE.MIT", b"", "text"), ("script.r", b"", "r"), ("script.R", b"", "r"),
        ("a.d.ts", b"", "typescript"), ("config.py.in", b"", "python"),
        ("settings.yml.example", b"", "yaml"), ("Gemfile", b"", "ruby"),
        ("Gemfile.lock", b"GEM\n", "text"), ("yarn.lock", b"", "yaml"),
        ("composer.lock", b"", "json"), ("Cargo.lock", b"", "toml"), ("unknown.lock", b"", "text"),
        ("a.PKS", b"", "sql"), ("Directory.Build.props", b"", "xml"), ("a.vcxproj", b"", "xml"),
        ("App.xaml", b"", "xml"), ("Strings.resx", b"", "xml"), ("x.for", b"", "fortran"),
        ("q.hql", b"", "sql"), ("p.tsql", b"", "sql"), ("f.pgsql", b"", "sql"),
        ("odd", b"<?xml version='1.0'?>\n<a/>\n", "xml"),
    ],
)  # fmt: skip
def test_language_of_a_file(path, head, language):
    assert language_of(path, head) == language


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("#!/usr/bin/env -S uv run --script", "python"),
        ("#!/usr/bin/env -S uv run --group test bash", "bash"),
        ("#!/command/with-contenv bash", "bash"), ("#!/usr/bin/env -S npx tsx", "typescript"),
        ("#!/usr/bin/env -S npx --yes tsx", "typescript"), ("#!/usr/bin/env ipython", "python"),
        ("#!/usr/bin/env pipx run", "python"), ("#!/bin/busybox sh", "bash"),
        ("#!/usr/bin/python3.12t", "python"), ("#!C:\\Python\\python.exe -u", "python"),
        ("#!/usr/bin/env -iS PATH=/bin bash -e", "bash"),
        ("#!/usr/bin/env -S conda run -n r python", "python"),
        ("#!/usr/bin/env -S poetry run python", "python"),
        ("#!/usr/bin/env -S uv run --python 3.12 --with ruby --script", "python"),
        ("#!/usr/bin/env --split-string=uv run --script", "python"),
        ("#!/usr/bin/env -S dotnet run", "csharp"),
        ("#!/usr/bin/env -S deno run --allow-net", "typescript"),
        ("#!/usr/bin/env -S bundle exec ruby", "ruby"),
        ("#!/usr/bin/env nix-shell\n#! nix-shell -i python3 -p python3", "python"),
        ("#!/usr/bin/env -S nix shell nixpkgs#bash --command bash", "bash"),
        ("#!/bin/sh\n'''exec' \"/a b/python3\" \"$0\" \"$@\"\n' '''", "python"),
        ("#!/bin/sh\nexec tclsh \"$0\" \"$@\"", "tcl"),
        ("#!/bin/bash\nexec sudo \"$0\" \"$@\"", "bash"), ("#!/usr/bin/guile-3.0 -s", "scheme"),
        ("#!/usr/bin/env -S mise x -- bash", "bash"), ("#!/bin/false", "text"),
        ("#!/bin/sh\nexec java -jar a.jar \"$@\"", "bash"),
        ("#!/bin/sh\nexec python -m app \"$@\"", "bash"), ("#!/sbin/openrc-run", "bash"),
        ("#!", "text"), ("#!/usr/bin/env", "text"), ("#!/usr/bin/env -S", "text"),
        ("#!\"unclosed", "text"), ("// -*- C++ -*-", "cpp"),
        ("# -*- mode: ruby; tab-width: 2 -*-", "ruby"), ("x\n\n\n# vim: set ts=4 ft=perl:", "perl"),
        ("# vim: ft=nothing", "text"),
    ],
)  # fmt: skip
def test_language_by_shebang_or_modeline(line, language):
    assert language_of("run", line.encode() + b"\nbody\n") == language


@pytest.mark.parametrize(
    ("path", "text", "language"),
    [
        ("a.h", "#ifndef A_H\n#define A_H\nstruct a { int b; };\n#endif\n", "c"),
        ("a.h", "#import <Foundation/Foundation.h>\n@interface A : B\n@end\n", "objc"),
        ("a.h", "struct S {\n  virtual double area() const = 0;\n};\n", "cpp"),
        ("a.h", "#include <vector>\n", "cpp"),
        ("a.h", "/* class of devices */\nint a(void);\n", "c"),
        ("a.h", "/*\nclass of devices\nnamespace x\n*/\nint a(void);\n", "c"),
        ("a.h", "namespace a { int b; }\n", "cpp"), ("a.h", "// -*- C++ -*-\nint a();\n", "cpp"),
        ("a.h", "class QString;\n", "cpp"), ("a.h", "struct A { A() = default; };\n", "cpp"),
        ("a.h", "int f(std::size_t n);\n", "cpp"),
        ("main.C", "#include <iostream>\nint main() { std::cout << 1; }\n", "cpp"),
        ("main.C", "#include <stdio.h>\nint main(void) { return 0; }\n", "c"),
        ("main.C", "int x;\n", "cpp"),
        ("a.m", "#import \"App.h\"\n@implementation App\n@end\n", "objc"),
        ("a.m", "function y = fit(x)\n% fit\ny = x;\nend\n", "matlab"),
        ("a.m", "(* Wolfram *)\nf[x_] := x\n", "wolfram"), ("a.m", ":- module hello.\n", "text"),
        ("a.m", "#include <stdio.h>\nint main() { return 0; }\n", "objc"),
        ("a.m", "classdef A < handle\nend\n", "matlab"), ("a.mm", "<map version='1.0'>\n", "xml"),
        ("a.mm", "@implementation A\n@end\n", "objc"),
        ("a_de.ts", "<?xml version='1.0'?>\n<!DOCTYPE TS>\n<TS></TS>\n", "xml"),
        ("a.ts", "<TS version='2.1'></TS>\n", "xml"), ("a.ts", "const a = <TS>b;\n", "typescript"),
        ("a.ts", "", "typescript"), ("a.ts", "#!/usr/bin/env node\nlet a: number;\n", "typescript"),
        ("a.rs", "#!/usr/bin/env bash\n", "rust"),
        ("a.trigger", "trigger A on Account (before insert) {\n}\n", "apex"),
        ("a.trigger", "#!/bin/sh\n", "bash"), ("a.command", "#!/usr/bin/env python3\n", "python"),
        ("a.tool", "#!/usr/bin/perl\n", "perl"),
        ("a.pp", "class n {\n  network { 'x':\n    interface => 'eth0',\n  }\n}\n", "puppet"),
        ("a.t", "use t::APISIX 'no_plan';\nrun_tests;\n__DATA__\n    local x = 1\n", "perl"),
        (
            "a.C",
            "#include \"TFile.h\"\n#include <stdio.h>\n"
            "void m() { TFile *f = new TFile(\"x\"); }\n",
            "cpp",
        ),
        ("A.cls", "public class A {\n  String s = 'x\\let';\n}\n", "apex"),
        ("a.d", "switch (x) {\ndefault: break;\n}\n", "d"),
        ("a.sld", "<?xml version='1.0'?>\n", "xml"), ("a.plt", "set terminal png\n", "text"),
        ("a.pm", "use v6;\nsub f() {}\n", "raku"), ("a.hh", "<?hh\nclass A {}\n", "php"),
        ("a.app", "{application, a, []}.\n", "erlang"), ("a.cgi", "#!/usr/bin/python\n", "python"),
        ("a.tsx", "<?xml version='1.0'?>\n<tileset/>\n", "xml"),
        ("a.tsx", "export default () => <div/>;\n", "tsx"),
        ("A.cls", "public with sharing class A {\n}\n", "apex"),
        ("A.cls", "@isTest\nprivate class A {\n}\n", "apex"),
        ("a.cls", "\\NeedsTeXFormat{LaTeX2e}\n", "tex"),
        ("a.cls", "% a class\n\\ProvidesClass{a}\n", "tex"),
        ("A.cls", "VERSION 1.0 CLASS\nBEGIN\n", "vb"),
        ("A.cls", "Class My.A Extends %Persistent\n{\n}\n", "text"),
        ("a.inc", "<?php\nfunction a() {}\n", "php"), ("a.inc", "#define A 1\n", "cpp"),
        ("a.inc", "create table a (b int);\n", "sql"), ("a.inc", "<div>a</div>\n", "html"),
        ("a.inc", "{$mode objfpc}\n", "pascal"), ("a.inc", "SRC := a.c\n", "make"),
        ("a.inc", "hello\n", "text"), ("a.inc", "#!/bin/sh\n", "bash"),
        ("t0001.t", "#!/bin/sh\ntest_description='a'\n", "bash"),
        ("a.t", "use strict;\nuse Test::More;\n", "perl"), ("a.t", "use v6;\nplan 1;\n", "raku"),
        ("a.t", "  $ hg init\n", "text"), ("a.t", "", "perl"),
        ("a.pl", "#!/usr/bin/perl\nprint 1;\n", "perl"),
        ("a.pl", "parent(a, b).\nold(X) :- parent(X, _).\n", "prolog"),
        ("a.pl", "my $x = ':-';\n", "perl"), ("a.pl", "use v6;\nsay 1;\n", "raku"),
        ("a.pm", "/* XPM */\nstatic char *a[];\n", "c"), ("a.pm", "package A;\n1;\n", "perl"),
        ("a.rs", "<?xml version='1.0'?>\n", "xml"), ("a.rs", "fn main() {}\n", "rust"),
        ("a.fs", "let x = 1\n", "fsharp"), ("a.fs", "#version 330\n", "glsl"),
        ("a.v", "module a(input b);\nendmodule\n", "verilog"),
        ("a.v", "Theorem a : True.\nProof.\n", "coq"), ("a.d", "a.o: a.c \\\n  a.h\n", "make"),
        ("a.d", "module a;\nimport std.stdio;\n", "d"), ("a.q", "select a from b\n", "sql"),
        ("git.1", ".TH GIT 1\n", "roff"), ("data.1", "1 2 3\n", "text"),
        ("a.md", "# A\n", "markdown"),
    ],
)  # fmt: skip
def test_content_decides_between_languages_of_one_extension(path, text, language):
    assert depends_on_text(path)
    assert language_of(path, text.encode()) == language


ODD = (
    b"", b"\xff\xfe\n", b"(" * 60_000, b"a " * 30_000, b"class " * 10_000, b"/*" * 30_000,
    b"/* " * 20_000, b"#!" + b"-" * 60_000, b"public " * 8_000, b"\n" * 60_000, b"\n \n" * 20_000,
    b" " * 60_000, b"a:" * 30_000, b"<" * 60_000, b"new A" * 12_000, b"@a " * 20_000,
    b"a(," * 20_000, b"int x;" * 10_000, b"./" * 30_000, b"use v6" * 10_000,
)  # fmt: skip


@pytest.mark.parametrize("ending", sorted(RULES))
def test_rules_give_known_languages_and_end_on_odd_text(ending):
    assert {language for language, _ in RULES[ending]} <= set(LANGUAGES)
    for text in ODD:
        assert language_of(f"a{ending}", text) in LANGUAGES
        assert_linear(lambda part: language_of(f"a{ending}", part), text)


def test_every_language_is_found_by_its_own_name():
    assert [language_named(name) for name in LANGUAGES] == list(LANGUAGES)


def test_every_language_is_detected_for_some_file():
    """Accept no name without files to match."""
    by_rule = {language for rules in RULES.values() for language, _ in rules}
    named = {
        *languages._BY_ENDING.values(),
        *languages._BY_NAME.values(),
        *languages._BY_INTERPRETER.values(),
        *by_rule,
    }
    assert set(LANGUAGES) == named


def test_notebook_is_a_language_by_name_and_extension():
    assert {language_named(name) for name in ("notebook", "ipynb", "jupyter", "Jupyter")} == {
        NOTEBOOK
    }
    assert [
        is_notebook(path)
        for path in ("a.ipynb", "a/b.IPYNB", "a.dib", "a.zpln", "x/note.json", "a.py", "ipynb")
    ] == [True] * 5 + [False] * 2


def test_an_unknown_language_suggests_the_nearest():
    with pytest.raises(ScopeError, match="Did you mean 'kotlin'"):
        language_named("kotlinn")
