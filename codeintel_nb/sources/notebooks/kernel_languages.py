"""Languages of notebooks and cells, from kernel and tool metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import ScopeError
from ...scopes.languages import language_named, language_of

# names of kernels, lexers, interpreters and tools; none is a language's name or alias
_OTHER_NAMES = {
    "ir": "r", "xr": "r", "irkernel": "r", "sparkr": "r", "spark.r": "r", "rmarkdown": "r",
    "rstats": "r", "deno": "typescript", "tslab": "typescript", "jslab": "javascript",
    "ijavascript": "javascript", "babel": "javascript", "observable": "javascript",
    "gophernotes": "go", "lgo": "go", "ixyscala": "scala", "spylon-kernel": "scala",
    "sparkkernel": "scala", "toree": "scala", "apache_toree_scala": "scala", "flink": "scala",
    "apache_toree_pyspark": "python", "apache_toree_sql": "sql", "apache_toree_sparkr": "r",
    "calysto_bash": "bash", "sos": "python", "tcsh": "bash", "xsqlite": "sql", "xsql": "sql",
    "ssql": "sql", "bsql": "sql", "jdbc": "sql", "hive": "sql", "impala": "sql", "presto": "sql",
    "trino": "sql", "pgsql": "sql", "ipython-sql": "sql", "mssql": "sql", "cassandra": "sql",
    "spark_sql": "sql", "polyglot-notebook": "", "dotnet-interactive": "", "mathics": "wolfram",
    "wolframlanguage": "wolfram", "xeus-cling": "cpp", "gpp": "cpp", "xc": "c", "clang": "c",
    "iphp": "php", "jupyter-php": "php", "iperl": "perl", "ielixir": "elixir", "xlua": "lua",
    "ilua": "lua", "clojupyter": "clojure", "lein-clojure": "clojure", "lfortran": "fortran",
    "aspectjava": "java", "rapaio-jupyter-kernel": "java", "scijava": "groovy", "pyodide": "python",
    "pyspark": "python", "pyflink": "python", "sparkrkernel": "r", "net": "", "xpython": "python",
    "colab": "python", "gcc": "c", "text/x-c++src": "cpp", "text/x-csrc": "c",
    "text/x-java": "java", "text/x-csharp": "csharp", "text/x-fsharp": "fsharp",
    "text/x-rsrc": "r", "text/x-r-source": "r", "text/x-sh": "bash",
    "text/x-scala": "scala", "text/x-kotlin": "kotlin", "clike": "",
    "commonlisp": "lisp", "common lisp": "lisp", "mllike": "", "ipythongfm": "markdown",
    "gfm": "markdown", "c++": "cpp", "htmlmixed": "html", "xeus": "", "kusto": "text",
    "kql": "text", "mermaid": "text", "value": "text", "http": "text", "dot": "text",
    "graphviz": "text", "vega": "json", "vegalite": "json", "stan": "text", "angular": "html",
    "xquery": "text", "script": "bash", "conf": "text", "shellscript": "bash", "plaintext": "text",
    "javascriptreact": "javascript", "typescriptreact": "tsx", "jsonc": "json", "proto3": "proto",
    "cuda-cpp": "cpp", "dockercompose": "yaml", "objective-cpp": "objc", "viml": "vim",
    "bat": "batch", "md-sandbox": "markdown", "rd": "r",
}  # fmt: skip
_PYTHON = re.compile(
    r"(?:i?python|pypy|conda|venv|\.venv|py\d|pyspark|xpython|sage|azureml|glue_py|synapse_py"
    r"|micropython)",
    re.I,
)
_CONDA = re.compile(r"conda-(?:env-.*|root|base)-(py|r|ir|jl|julia)$")
_NUMBER = re.compile(r"[\s_\-.]*\(?v?\d[\d.]*\)?$")
_WORDS = re.compile(r"[a-z][a-z+#]*")
_FAMILY = re.compile(
    r"^\.?(?:net|calysto|jupyter|apache|toree|cling|xeus|glue|synapse|conda|mamba)[\s_.-]+"
)
_SHORT_KERNELS = frozenset(
    {"r", "c", "ir", "xr", "js", "ts", "go", "py", "sh", "jl", "c#", "f#", "rb"}
)
_WITHOUT_KERNEL = frozenset(
    {
        None,
        "text",
        "template",
        "dockerfile",
        "make",
        "cmake",
        "diff",
        "csv",
        "ini",
        "yaml",
        "toml",
        "json",
        "jsonl",
        "notebook",
        "tex",
        "gettext",
    }
)


def known_language(name: object) -> str | None:
    """Return a kernel's, lexer's, MIME type's or tool's language."""
    if not isinstance(name, str) or not name.strip():
        return None
    text = name.strip().lower()
    for form in (text, text.rpartition("/")[2].removeprefix("x-"), _NUMBER.sub("", text)):
        if form in _OTHER_NAMES:
            return _OTHER_NAMES[form] or None
        try:
            language = language_named(form)
        except ScopeError:
            continue
        return None if language == "notebook" else language
    return None


def notebook_language(notebook: dict[str, Any]) -> str:
    """Return the language of a notebook's cells.

    The first known language in ``language_info``, the kernel spec or vendors' metadata counts.
    Python if none is stated; ``text`` if only an unknown one is stated.
    """
    metadata = _mapping(notebook.get("metadata"))
    for language in _candidates(metadata):
        if language:
            return language
    info, spec = _mapping(metadata.get("language_info")), _mapping(metadata.get("kernelspec"))
    return (
        "text"
        if any(_stated(value) for value in (info.get("name"), spec.get("language")))
        else "python"
    )


def _stated(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and name.strip().lower() not in _OTHER_NAMES


def _candidates(metadata: dict[str, Any]) -> Iterator[str | None]:
    info, spec = _mapping(metadata.get("language_info")), _mapping(metadata.get("kernelspec"))
    mode = info.get("codemirror_mode")
    databricks = _mapping(metadata.get("application/vnd.databricks.v1+notebook"))
    yield kernel_language(_mapping(metadata.get("sos")).get("default_kernel"))
    yield known_language(databricks.get("language"))
    yield known_language(info.get("name"))
    yield known_language(spec.get("language"))
    yield known_language(info.get("mimetype"))
    extension = info.get("file_extension")
    if isinstance(extension, str) and extension.strip(". "):
        language = language_of(f"a.{extension.strip('. ')}")
        yield None if language in ("text", "notebook") else language
    yield known_language(info.get("pygments_lexer"))
    yield known_language(info.get("nbconvert_exporter"))
    yield known_language(_mapping(mode).get("name") if isinstance(mode, dict) else mode)
    names = [str(spec.get(key) or "") for key in ("name", "display_name")]
    if any(_PYTHON.match(name.strip()) and not _CONDA.match(name.strip()) for name in names):
        yield "python"
    yield from map(kernel_language, names)
    polyglot = _mapping(_mapping(metadata.get("polyglot_notebook")).get("kernelInfo")) or _mapping(
        metadata.get("polyglot_notebook")
    )
    yield known_language(polyglot.get("defaultKernelName"))
    for key in (
        "dotnet_interactive",
        "microsoft",
        "kaggle",
        "vscode",
        "kernel_info",
        "azdata",
        "jupytext",
    ):
        vendor = _mapping(metadata.get(key))
        yield from (
            kernel_language(vendor.get(name))
            for name in ("language", "languageId", "name", "main_language")
        )
    yield kernel_language(metadata.get("language"))


def kernel_language(name: object) -> str | None:
    """Return a kernel's language by its name or display name.

    People name kernels after environments, so only the first word and a bracketed one count, as in
    ``julia-1.10``, ``R [conda env:geo]`` or ``.NET (C#)``.
    """
    if not isinstance(name, str) or not name.strip():
        return None
    text = name.strip().lower()
    if len(text) > 2 or text in _SHORT_KERNELS:
        language = known_language(text)
        if language not in _WITHOUT_KERNEL:
            return language
    if conda := _CONDA.match(text):
        return known_language(conda[1]) or "python"
    if _PYTHON.match(text):
        return "python"
    inside = re.search(r"\(([^()]+)\)", text)
    for part in (inside[1], text) if inside else (text,):
        words = _WORDS.findall(_FAMILY.sub("", part))
        word = words[0] if words else ""
        if len(word) > 2 or (
            word in _SHORT_KERNELS
            and (part == word or name.strip().startswith(("R ", "C ", "C++")))
        ):
            language = known_language(word)
            if language not in _WITHOUT_KERNEL:
                return language
    return None


def named_kernels(notebook: dict[str, Any]) -> dict[str, str]:
    """Map the names of a multi-kernel notebook's kernels to their languages."""
    metadata = _mapping(notebook.get("metadata"))
    kernels = dict[str, str]()
    items = _mapping(_mapping(metadata.get("polyglot_notebook")).get("kernelInfo")).get("items")
    for item in items if isinstance(items, list) else ():
        name = _mapping(item).get("name")
        language = known_language(_mapping(item).get("languageName"))
        if isinstance(name, str) and language:
            kernels[name.lower()] = language
    rows = _mapping(metadata.get("sos")).get("kernels")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, list) and row and isinstance(row[0], str):
            languages = (
                known_language(row[2]) if len(row) > 2 else None,
                *map(kernel_language, row[1::-1]),
            )
            kernels[row[0].lower()] = next((language for language in languages if language), "text")
    return kernels


def cell_language(cell: dict[str, Any], language: str, kernels: dict[str, str]) -> str:
    """Return the language in a cell's metadata; ``language`` by default.

    ``kernels`` maps the notebook's kernel names.
    """
    metadata = _mapping(cell.get("metadata"))
    names: Iterable[object] = (
        _mapping(metadata.get("vscode")).get("languageId"),
        _mapping(metadata.get("polyglot_notebook")).get("kernelName"),
        _mapping(metadata.get("dotnet_interactive")).get("language"),
        _mapping(metadata.get("microsoft")).get("language"),
        metadata.get("kernel"),  # SoS
        metadata.get("language"),
        metadata.get("languageId"),
        _mapping(metadata.get("deepnote")).get("language"),
        "sql" if metadata.get("deepnote_cell_type") == "sql" else None,
        cell.get("language"),  # nbformat 2 and 3
    )
    for name in names:
        if isinstance(name, str) and name.strip():
            if name.lower() in kernels:
                return kernels[name.lower()]
            return (
                known_language(name)
                or kernel_language(name)
                or ("text" if name.strip().lower() in _OTHER_NAMES else language)
            )
    return language


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
