"""The language of a file, by its name, its ending and its ``#!`` line; and the names people call languages by."""

from __future__ import annotations

import re

from ..errors import ScopeError, did_you_mean

# name: aliases; endings and whole file names; interpreters of a #! line
_TABLE = """
python: py py3; .py .pyi .pyw .pyx .pxd SConstruct SConscript wscript; python pypy
javascript: js node jsx ecmascript; .js .mjs .cjs .jsx; node nodejs deno bun
typescript: ts; .ts .mts .cts; ts-node tsx
tsx: ; .tsx;
go: golang; .go;
rust: rs; .rs; rust-script
java: ; .java; java
c: ; .c .h;
cpp: c++ cc cxx hpp; .cc .cpp .cxx .c++ .hpp .hh .hxx .h++ .inl .ipp .tpp .cu .cuh;
csharp: c# cs dotnet; .cs .csx;
ruby: rb; .rb .rake .gemspec .ru Rakefile Gemfile Vagrantfile Podfile Guardfile Capfile Brewfile; ruby
php: ; .php .phtml .php5; php
kotlin: kt; .kt .kts; kotlin
scala: ; .scala .sc .sbt; scala
swift: ; .swift; swift
bash: sh shell zsh ksh; .sh .bash .zsh .ksh .bats .bashrc .bash_profile .zshrc .profile PKGBUILD; sh bash zsh ksh dash ash bats
lua: ; .lua .rockspec; lua luajit
elixir: ex; .ex .exs; elixir
haskell: hs; .hs .lhs; runhaskell
sql: ; .sql .ddl .dml;
r: rlang; .r .R .Rprofile; Rscript
julia: jl; .jl; julia
ocaml: ml; .ml .mli; ocaml
zig: ; .zig .zon;
dart: ; .dart; dart
css: ; .css;
scss: sass less; .scss .sass .less;
html: htm xhtml; .html .htm .xhtml;
template: jinja jinja2 mustache handlebars erb; .j2 .jinja .jinja2 .mustache .hbs .erb .ejs .tmpl;
vue: ; .vue;
svelte: ; .svelte;
yaml: yml; .yaml .yml .clang-format .clang-tidy;
toml: ; .toml Cargo.lock poetry.lock uv.lock Pipfile;
json: ; .json .jsonc .json5 .geojson .webmanifest .eslintrc .prettierrc .babelrc;
jsonl: ndjson; .jsonl .ndjson;
xml: ; .xml .xsd .xsl .xslt .svg .plist .csproj .pom .rss .wsdl;
ini: cfg conf properties; .ini .cfg .conf .properties .editorconfig .gitconfig;
markdown: md mdx; .md .markdown .mdx .rmd .qmd;
rst: restructuredtext; .rst;
asciidoc: adoc; .adoc .asciidoc;
tex: latex; .tex .sty .cls .bib;
text: txt plain; .txt .text LICENSE NOTICE AUTHORS COPYING CHANGELOG INSTALL README METADATA RECORD;
notebook: ipynb jupyter; .ipynb;
dockerfile: docker; .dockerfile Dockerfile Containerfile;
make: makefile; .mk .mak Makefile makefile GNUmakefile; make
cmake: ; .cmake CMakeLists.txt;
perl: pl; .pl .pm .t; perl
powershell: ps1 pwsh; .ps1 .psm1 .psd1; pwsh
batch: bat cmd; .bat .cmd;
fortran: f90; .f .f77 .f90 .f95 .f03 .f08;
matlab: octave; .m;
objc: objective-c; .mm;
clojure: clj; .clj .cljs .cljc .edn;
erlang: erl; .erl .hrl; escript
groovy: gradle; .groovy .gradle Jenkinsfile; groovy
graphql: gql; .graphql .gql;
proto: protobuf; .proto;
hcl: terraform tf; .tf .tfvars .hcl;
nix: ; .nix;
vim: viml; .vim .vimrc;
cython: ; .pxi;
csv: tsv; .csv .tsv;
assembly: asm; .s .S .asm;
diff: patch; .diff .patch;
solidity: sol; .sol;
"""

LANGUAGES: tuple[str, ...]
_BY_ALIAS: dict[str, str] = {}
_BY_ENDING: dict[str, str] = {}
_BY_NAME: dict[str, str] = {}
_BY_INTERPRETER: dict[str, str] = {}


def _read_table() -> tuple[str, ...]:
    names = []
    for line in _TABLE.strip().splitlines():
        name, _, rest = line.partition(":")
        aliases, files, interpreters = (part.split() for part in (rest + ";").split(";")[:3])
        names.append(name)
        _BY_ALIAS.update(dict.fromkeys([name, *aliases], name))
        _BY_ENDING.update({file: name for file in files if file.startswith(".")})
        _BY_NAME.update({file: name for file in files if not file.startswith(".")})
        _BY_INTERPRETER.update(dict.fromkeys(interpreters, name))
    return tuple(names)


LANGUAGES = _read_table()
_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*(?:\w+=\S+\s+)*)?(?:\S*/)?([A-Za-z][\w+-]*?)[\d.]*(?:\s|$)")


def language_named(name: str) -> str:
    """The language a person means by a name or alias; ScopeError with the nearest name for an unknown one."""
    found = _BY_ALIAS.get(name.strip().lower())
    if found is None:
        raise ScopeError(f"There is no language {name!r}.{did_you_mean(name.lower(), _BY_ALIAS)}")
    return found


def language_of(path: str, head: bytes = b"") -> str:
    """The language of a file by its path and first bytes; ``text`` when nothing says more."""
    name = path.rpartition("/")[2]
    if found := _BY_NAME.get(name):
        return found
    stem, dot, ending = name.rpartition(".")
    if dot:
        ending = "." + ending
        if found := _BY_ENDING.get(ending) or _BY_ENDING.get(ending.lower()):
            return found
    if found := _BY_NAME.get(stem):  # Dockerfile.dev, LICENSE.MIT
        return found
    if head.startswith(b"#!") and (match := _SHEBANG.match(head[:200])):
        return _BY_INTERPRETER.get(match[1].decode("ascii"), "text")
    return "text"
