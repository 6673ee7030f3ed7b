"""Languages by file name, ``#!`` line, content or alias.

The reference is linguist's published data: names, file extensions, interpreters and heuristics.
Deliberate differences:

- Close relatives are one language: Cython is python, Less and Sass are scss, every SQL dialect is
  sql, every shell but fish is bash, JSON5 is json, CUDA is cpp, template languages are template.
- An unambiguous extension beats modelines and ``#!`` lines: ``a.py`` is python. For the others,
  modelines and ``#!`` lines come before the heuristics, as in linguist.
- There is always an answer. If no heuristic matches, the most common language of the extension is
  used (``.m`` matlab, ``.pl`` perl); linguist asks a trained classifier.
- ``<TS`` makes a ``.ts`` file XML at its start only: elsewhere it may be a TypeScript type.
- Comments in a ``.h`` file are ignored. ``virtual``, ``nullptr`` and headers such as ``<vector>``
  make it C++.
- ``.C`` and ``.H`` files are C++, as for compilers, unless they show C and nothing of C++.
- ``.pl`` and ``.pro`` files are Prolog only if a clause begins a line.
- ``config.py.in`` and ``settings.yml.example`` have the language of the file they template.
- qmake, Mercury, MUF and other rare languages are text.
"""

from __future__ import annotations

from ..errors import ScopeError, did_you_mean
from .content_rules import ANY_LANGUAGE, CONSIDERED_BYTES, RULES
from .interpreters import interpreter_words, modeline

# name: aliases; endings and whole file names; interpreters of a #! line (\ continues a row)
_TABLE = """
python: py py3 cython sage sagemath pyspark ipython micropython; .py .pyi .pyw .pyx .pxd .pxi .py3 \
    .pyde .pyp .pyt .lmi .gyp .gypi .rpy .tac .wsgi .xpy .xonsh .sage SConstruct SConscript \
    wscript DEPS .gclient .pythonrc .pythonstartup; python ipython pypy jython micropython sage \
    pytest marimo streamlit xonsh py
javascript: js node nodejs jsx ecmascript ojs; .js .mjs .cjs .jsx .es6 .es .javascript .jsm .jss \
    .njs .pac .sjs .ssjs .xsjs .xsjslib .jsfl .jscad .jake .gs .ojs .bones Jakefile; node nodejs \
    bun gjs js qjs rhino d8 v8 chakra zx
typescript: ts; .ts .mts .cts; ts-node tsx deno ts-node-esm
tsx: ; .tsx;
go: golang gonb; .go; gorun
rust: rs evcxr; .rs; rust-script cargo
java: ijava; .java .jav .jsh; java jbang jshell
c: ; .c .h .cats .idc; tcc
cpp: c++ cc cxx hpp cuda xcpp; .cc .cpp .cxx .c++ .cp .hpp .hh .hxx .h++ .inl .ipp .tpp .tcc .txx \
    .cppm .ixx .re .ino .cu .cuh .C .H; cling
csharp: c# cs dotnet; .cs .csx .cake .linq .cs.pp; dotnet-script csharp csi
fsharp: f# fs; .fs .fsi .fsx; fsharpi fsi
ruby: rb iruby; .rb .rake .gemspec .ru .builder .eye .jbuilder .mspec .podspec .prawn .rabl .rbi \
    .rbuild .rbw .rbx .ruby .thor .watchr Rakefile Gemfile Vagrantfile Podfile Guardfile Capfile \
    Brewfile Appraisals Berksfile Buildfile buildfile Dangerfile Deliverfile Fastfile Jarfile \
    Mavenfile Puppetfile Snapfile Steepfile Thorfile .irbrc .pryrc .simplecov; ruby jruby macruby \
    rake rbx truffleruby rails
php: hack; .php .phtml .php3 .php4 .php5 .php7 .php8 .hhi .phps .phpt .ctp .aw .hack .php_cs \
    .php_cs.dist Phakefile; php hhvm
kotlin: kt; .kt .kts .ktm; kotlin kotlinc kscript
scala: almond spark; .scala .sc .sbt .kojo .mill; scala scala-cli amm
swift: ; .swift; swift
bash: sh shell zsh ksh console; .sh .bash .zsh .ksh .csh .tcsh .bats .command .sbatch .slurm .tool \
    .trigger .zsh-theme .tmux .ebuild .eclass .pacscript .bashrc .bash_profile .bash_aliases \
    .bash_functions .bash_history .bash_logout .zshrc .zshenv .zprofile .zlogin .zlogout .profile \
    .cshrc .kshrc .login .envrc .flaskenv .xinitrc .xsession .tmux.conf tmux.conf xinitrc xsession \
    login PKGBUILD APKBUILD bashrc bash_profile bash_aliases bash_logout profile zshrc zshenv \
    zprofile zlogin zlogout kshrc cshrc gradlew mvnw; sh bash zsh ksh dash ash bats mksh pdksh rc \
    oksh csh tcsh openrc-run
fish: ; .fish; fish
lua: ; .lua .rockspec .nse .pd_lua .rbxs .wlua .p8 .luacheckrc; lua luajit luau
elixir: ex; .ex .exs mix.lock; elixir iex
haskell: hs ihaskell; .hs .lhs .hs-boot .hsc; runhaskell runghc runhugs stack cabal
sql: postgresql postgres mysql sqlite duckdb tsql plsql plpgsql hiveql sparksql bigquery \
    snowflake; .sql .ddl .dml .pgsql .psql .mysql .tsql .plsql .pls .bdy .fnc .pck .pkb .pks .plb \
    .prc .spc .tpb .tps .trg .vw .viw .udf .hql .q .db2 .dbsql .bteq .cql; psql sqlite3 mysql \
    duckdb
r: rlang ir; .r .rsx .rhistory .Rprofile .Rhistory .Rapp.history expr-dist; Rscript R littler
julia: jl; .jl; julia
ocaml: ml; .ml .mli .ml4 .mll .mly .eliom .eliomi; ocaml ocamlrun ocamlscript utop
zig: ; .zig .zon .zig.zon; zig
dart: ; .dart; dart
css: ; .css;
scss: sass less; .scss .sass .less;
html: htm xhtml; .html .htm .xhtml .xht .hta .html.hl;
template: jinja jinja2 mustache handlebars erb twig liquid ejs; .j2 .jinja .jinja2 .mustache .hbs \
    .handlebars .erb .erb.deface .rhtml .ejs .ect .ejs.t .jst .tmpl .tpl .twig .liquid .eex \
    .html.eex .heex .leex;
vue: ; .vue;
svelte: ; .svelte;
yaml: yml; .yaml .yml .mir .reek .rviz .sublime-syntax .syntax .yaml-tmlanguage .yaml.sed \
    .yml.mysql .clang-format .clang-tidy .clangd .gemrc CITATION.cff CITATIONS.cff glide.lock \
    pixi.lock yarn.lock pubspec.lock Podfile.lock; ansible-playbook
toml: ; .toml .toml.example Cargo.lock Cargo.toml.orig Gopkg.lock poetry.lock uv.lock pdm.lock \
    pylock.lock mise.lock mise.local.lock Pipfile;
json: ; .json .jsonc .json5 .geojson .topojson .webmanifest .avsc .gltf .har .sarif .tfstate \
    .tfstate.backup .mcmeta .webapp .yyp .hujson .4DForm .4DProject .JSON-tmLanguage .json.example \
    .code-snippets .code-workspace .sublime-build .sublime-commands .sublime-completions \
    .sublime-keymap .sublime-menu .sublime-mousemap .sublime-project .sublime-settings \
    .sublime-macro .sublime-workspace .sublime_metrics .sublime_session .sublime-theme \
    .sublime-color-scheme .eslintrc .prettierrc .babelrc .jshintrc .jscsrc .jslintrc .swcrc .nycrc \
    .imgbotconfig .c8rc .htmlhintrc .all-contributorsrc .arcconfig .auto-changelog .tern-config \
    .tern-project .watchmanconfig .releaserc .secrets.baseline MODULE.bazel.lock Package.resolved \
    Pipfile.lock bun.lock composer.lock deno.lock flake.lock mcmod.info;
jsonl: ndjson; .jsonl .ndjson;
xml: ; .xml .xsd .xsl .xslt .svg .plist .csproj .fsproj .vbproj .jsproj .nproj .ndproj .sfproj \
    .depproj .ccproj .vcxproj .vcxproj.filters .njsproj .sqlproj .shproj .wixproj .proj .pkgproj \
    .pyproj .props .targets .pom .rss .atom .rdf .xmp .mjml .ant .ccxml .cscfg .csdef .dotsettings \
    .gmx .grxml .hzp .icls .meta4 .qhelp .rbxmx .ux .wsdl .wsf .xaml .axaml .axml .resx .nuspec \
    .natvis .filters .storyboard .xib .xlf .xliff .xmi .xul .xacro .urdf .srdf .launch .ui .qrc \
    .glade .gml .gpx .kml .iml .ivy .jelly .mxml .fxml .dita .ditamap .ditaval .ditaprop .dtd .ent \
    .osm .owl .tmx .ts.xml .admx .adml .ps1xml .psc1 .clixml .pubxml .scxml .vxml .wxi .wxl .wxs \
    .x3d .xproj .xspec .zcml .slnx .sch .rng .sublime-snippet .tmLanguage .tmTheme .tmPreferences \
    .tmSnippet .vsixmanifest .vssettings .vstemplate .workflow .dll.config .xml.dist .classpath \
    .cproject .project App.config Web.config Web.Debug.config Web.Release.config NuGet.config \
    packages.config Settings.StyleCop;
ini: cfg conf properties dosini; .ini .cfg .conf .properties .cnf .prefs .desktop .service .socket \
    .target .timer .mount .network .container .dof .lektorproject .url .editorconfig .gitconfig \
    .gitmodules .tgitconfig .buckconfig .coveragerc .flake8 .gitreview .pylintrc .npmrc .pypirc \
    .env buildozer.spec pylintrc vlcrc;
markdown: md mdx rmd rmarkdown qmd quarto; .md .markdown .mdx .mdown .mdwn .mkd .mkdn .mkdown \
    .livemd .ronn .scd .workbook .rmd .qmd .rmarkdown .myst .mystnb contents.lr;
rst: restructuredtext; .rst .rest .rst.txt .rest.txt;
asciidoc: adoc; .adoc .asciidoc .asc;
tex: latex bibtex; .tex .sty .cls .bib .bibtex .ltx .dtx .ins .bbx .cbx .lbx .mkii .mkiv .mkvi;
text: txt plain plaintext; .txt .text .lock .log .sum LICENSE NOTICE AUTHORS COPYING CHANGELOG \
    INSTALL README METADATA RECORD CODEOWNERS go.mod go.sum go.work;
notebook: ipynb jupyter; .ipynb .dib .zpln note.json;
dockerfile: docker; .dockerfile .containerfile Dockerfile Containerfile;
make: makefile; .mk .mak .make .makefile .mkfile Makefile makefile GNUmakefile BSDmakefile \
    Makefile.boot Makefile.frag Makefile.inc Kbuild mkfile Makefile.am Makefile.in; make gmake
cmake: ; .cmake .cmake.in CMakeLists.txt;
perl: pl; .pl .pm .t .al .perl .ph .plx .psgi .pod .latexmkrc latexmkrc Rexfile cpanfile \
    Makefile.PL; perl cperl
raku: perl6; .raku .rakumod .rakutest .p6 .pm6 .pl6 .6pl .6pm .p6l .p6m .nqp; raku perl6 rakudo
prolog: ; .prolog .plt .yap; swipl yap
powershell: ps1 pwsh; .ps1 .psm1 .psd1; pwsh powershell
batch: bat cmd dosbatch; .bat .cmd;
fortran: f90 f77; .f .f77 .f90 .f95 .f03 .f08 .f18 .for .ftn .fpp;
matlab: octave; .m .matlab; octave
wolfram: mathematica; .wl .wls .wlt .nb .nbp .mt .ma .cdf .mathematica; wolframscript
objc: objective-c obj-c objectivec objective-c++; .mm;
apex: ; .apex .apxc .trigger.cls;
vb: visualbasic vba vbnet; .vb .vbs .bas .frm .vba;
clojure: clj; .clj .cljs .cljc .cljx .cl2 .cljscm .cljs.hl .hic .boot .edn .bb riemann.config; bb \
    clojure clj
lisp: common-lisp elisp emacs-lisp; .lisp .lsp .el .asd .ny .podsl .sexp .emacs .emacs.desktop \
    .spacemacs .gnus .viper .abbrev_defs abbrev_defs _emacs Cask Eask Project.ede; sbcl clisp ecl \
    ccl emacs
scheme: racket; .scm .sld .sls .rkt .rktl .rktd; guile racket gosh csi chibi-scheme
erlang: erl; .erl .hrl .app .xrl .yrl .escript .app.src Emakefile rebar.config rebar.config.lock \
    rebar.lock; escript
groovy: gradle; .groovy .grt .gtpl .gvy .gradle .nf nextflow.config Jenkinsfile; groovy nextflow
graphql: gql; .graphql .gql .graphqls;
proto: protobuf; .proto;
thrift: ; .thrift;
hcl: terraform tf; .tf .tfvars .hcl .nomad .tofu;
nix: ; .nix;
vim: viml; .vim .vimrc .gvimrc .exrc _vimrc vimrc; vim
awk: gawk; .awk .gawk .mawk .nawk .auk; awk gawk mawk nawk
tcl: ; .tcl .adp .sdc .xdc; tclsh wish expect
verilog: systemverilog; .sv .svh .vh .v .veo;
vhdl: ; .vhd .vhdl .vhf .vhi .vho .vhs .vht .vhw;
glsl: hlsl shader; .glsl .vert .frag .vrx .frg .vs .fp .fshader .vshader .gshader .rchit .rmiss \
    .cginc .geom .tesc .tese .vsh .fsh .glslf .glslv .hlsl .hlsli .fx .fxh .wgsl .metal .shader;
pascal: delphi; .pas .pascal .dpr .dpk .lpr .dfm; instantfpc
ada: ; .adb .ads .ada;
d: dlang; .d .di; rdmd dmd
nim: ; .nim .nims .nimble .nimrod .nim.cfg nim.cfg; nim
crystal: cr; .cr; crystal
coffeescript: coffee; .coffee ._coffee .cjsx .cson .iced Cakefile; coffee
elm: ; .elm;
gdscript: ; .gd;
starlark: bazel; .bzl .star .bazel BUILD WORKSPACE MODULE.bazel Tiltfile BUCK;
puppet: ; .pp;
typst: ; .typ;
roff: man troff; .roff .man .mdoc .1 .2 .3 .4 .5 .6 .7 .8 .9 .1in .1m .1x .3in .3m .3p .3pm .3qt \
    .3x .nr .rno .tmac .ms;
gettext: po; .po .pot;
csv: tsv; .csv .tsv;
assembly: asm nasm; .s .asm .nasm .nas .a51;
diff: patch; .diff .patch;
solidity: sol; .sol;
coq: rocq; .coq;
"""

LANGUAGES: tuple[str, ...]
_BY_ALIAS: dict[str, str] = {}
_BY_ENDING: dict[str, str] = {}
_BY_NAME: dict[str, str] = {}
_BY_INTERPRETER: dict[str, str] = {}
_TEMPLATES = (".in", ".example", ".sample", ".dist", ".template", ".default", ".orig", ".bak")


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
NOTEBOOK = "notebook"  # of files, whatever the language of their cells


def is_notebook(path: str) -> bool:
    """Whether a file is a notebook, by its name."""
    return _by_name(path.rpartition("/")[2])[0] == NOTEBOOK


def language_named(name: str) -> str:
    """Return the language of a name or alias; else ScopeError."""
    language = _BY_ALIAS.get(name.strip().lower())
    if language is None:
        raise ScopeError(f"Unknown language {name!r}.{did_you_mean(name.lower(), _BY_ALIAS)}")
    return language


def language_of(path: str, content: bytes = b"") -> str:
    """Return the language by path and first bytes, else ``text``."""
    name = path.rpartition("/")[2]
    language, ending = _by_name(name)
    if language is not None and ending not in RULES:
        return language
    content = content[:CONSIDERED_BYTES]
    for candidate in (_by_modeline(content), _by_interpreter(content)):
        if candidate and (
            ending not in RULES or ending in ANY_LANGUAGE or candidate in _possible(ending)
        ):
            return candidate
    for result, rule in RULES.get(ending, ()):
        if rule(content):
            return result
    if language is None and content.lstrip()[:5] == b"<?xml":
        return "xml"
    return language or "text"


def _possible(ending: str) -> set[str | None]:
    """Return the possible languages of a file extension."""
    return {_BY_ENDING.get(ending), *(language for language, _ in RULES[ending])}


def depends_on_text(path: str) -> bool:
    """Whether detecting a file's language requires its content."""
    language, ending = _by_name(path.rpartition("/")[2])
    return language is None or ending in RULES


def _by_name(name: str) -> tuple[str | None, str]:
    """Return the language by file name, and the matching extension."""
    if language := _BY_NAME.get(name):
        return language, ""
    at = name.find(".")
    while at >= 0:
        ending = name[at:]
        if ending in RULES:
            return _BY_ENDING.get(ending), ending
        if language := _BY_ENDING.get(ending):
            return language, ending
        if (folded := ending.lower()) in RULES:
            return _BY_ENDING.get(folded), folded
        if language := _BY_ENDING.get(folded):
            return language, folded
        at = name.find(".", at + 1)
    stem, dot, ending = name.rpartition(".")
    if dot + ending in _TEMPLATES and stem:
        return _by_name(stem)
    return _BY_NAME.get(name.partition(".")[0]), ""  # Dockerfile.dev, LICENSE.MIT


def _by_interpreter(content: bytes) -> str | None:
    """Return the language of the interpreter in the ``#!`` line."""
    for word in interpreter_words(content):
        if language := _BY_INTERPRETER.get(word) or _BY_INTERPRETER.get(word.lower()):
            return language
    return None


def _by_modeline(content: bytes) -> str | None:
    """Return the language in an editor modeline."""
    name = modeline(content)
    return _BY_ALIAS.get(name) if name else None
