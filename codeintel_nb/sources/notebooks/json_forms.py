"""Notebook files: nbformat 1 to 4, Polyglot Notebooks' ``.dib``, Zeppelin notes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from ..cells import Cell, markup_cell
from ..chunk import decoded
from .broken_json import merge_sides, read_broken_json
from .kernel_languages import cell_language, known_language, named_kernels, notebook_language
from .magics import code_of

MAX_OUTPUT = 20_000  # characters of one output
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_HEADINGS = range(1, 7)


class Notebook(NamedTuple):
    """A notebook's language and cells."""

    language: str
    cells: list[Cell]


def notebook_of(path: str, data: bytes, outputs: bool = False) -> Notebook | None:
    """Return a notebook's language and cells; None for other files.

    ``outputs`` adds the text of outputs. Cells are recovered from invalid JSON: merge conflicts,
    trailing commas, truncated files.
    """
    if path.endswith(".dib"):
        return _of_dib(data)
    notebook = _json(data)
    if not isinstance(notebook, dict):
        return None
    if isinstance(notebook.get("paragraphs"), list):
        return _of_zeppelin(notebook)
    if not isinstance(notebook.get("cells"), list) and not isinstance(
        notebook.get("worksheets"), list
    ):
        return None
    return _of_jupyter(notebook, _cells(notebook), outputs)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        return None
    except ValueError:
        if b'"cells"' not in data and b'"worksheets"' not in data and b'"paragraphs"' not in data:
            return None
        text = decoded(data)
        sides = merge_sides(text)
        if sides is None:
            return read_broken_json(text)
        return _merged(*(read_broken_json(side) for side in sides))


def _merged(ours: Any, theirs: Any) -> Any:
    """Merge a conflict's sides; doubly edited cells keep both's lines."""
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return ours if isinstance(ours, dict) else theirs
    mine, other = (_cells(side) for side in (ours, theirs))
    matcher = SequenceMatcher(
        None, [_identity(cell) for cell in mine], [_identity(cell) for cell in other]
    )
    cells = list[Any]()
    for tag, a, b, c, d in matcher.get_opcodes():
        cells += mine[a:b] if tag == "equal" else _both(mine[a:b], other[c:d])
    return ours | {"cells": cells}


def _cells(notebook: dict[str, Any]) -> list[Any]:
    cells = notebook.get("cells")
    if isinstance(cells, list):
        return cells
    sheets = notebook.get("worksheets")
    return (
        [
            cell
            for sheet in sheets
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
        ]
        if isinstance(sheets, list)
        else []
    )


def _identity(cell: Any) -> tuple[str, str]:
    return (str(cell.get("cell_type")), _source(cell)) if isinstance(cell, dict) else ("", "")


def _both(ours: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """Merge differing runs of cells.

    Cells with equal ids, or similar cells without ids, become one. Theirs without a counterpart
    follow ours.
    """
    by_id = {
        cell["id"]: cell
        for cell in theirs
        if isinstance(cell, dict) and isinstance(cell.get("id"), str)
    }
    pairs = list(zip(ours, theirs, strict=True)) if len(ours) == len(theirs) else []
    cells, used = list[Any](), list[Any]()
    for number, cell in enumerate(ours):
        peer = by_id.get(cell.get("id")) if isinstance(cell, dict) else None
        if peer is None and pairs and _is_same(*pairs[number]):
            peer = pairs[number][1]
        if peer is not None and peer.get("cell_type") == cell.get("cell_type"):
            used.append(peer)
            cell = cell | {
                "source": _merged_lines(_source(cell), _source(peer)),
                "cell_type": cell.get("cell_type"),
            }
        cells.append(cell)
    return cells + [cell for cell in theirs if not any(cell is one for one in used)]


def _is_same(cell: Any, peer: Any) -> bool:
    """Whether two cells without ids are probably edits of one cell."""
    if not isinstance(cell, dict) or not isinstance(peer, dict) or ("id" in cell and "id" in peer):
        return False
    return SequenceMatcher(None, _source(cell).split("\n"), _source(peer).split("\n")).ratio() > 0.5


def _merged_lines(ours: str, theirs: str) -> str:
    mine, other = ours.split("\n"), theirs.split("\n")
    lines = list[str]()
    for tag, a, b, c, d in SequenceMatcher(None, mine, other).get_opcodes():
        lines += mine[a:b] if tag == "equal" else mine[a:b] + other[c:d]
    return "\n".join(lines)


def _of_jupyter(notebook: dict[str, Any], cells: Sequence[Any], outputs: bool) -> Notebook:
    language = notebook_language(notebook)
    metadata = notebook.get("metadata")
    keys = metadata if isinstance(metadata, dict) else {}
    databricks = _is_databricks(keys, cells)
    kernels = named_kernels(notebook)
    ends = notebook.get("nbformat") == 2
    dotnet = any("polyglot" in key or "dotnet" in key for key in keys) or _is_dotnet(keys)
    results = list[Cell]()
    for number, cell in enumerate(cells):
        if not isinstance(cell, dict):
            continue
        if text := lines_of(_source(cell, ends)):
            if cell.get("cell_type") == "code":
                stated = cell_language(cell, language, kernels)
                results.append(code_cell(text, stated, number, databricks, dotnet))
            else:
                results.append(
                    markup_cell(
                        "raw" if cell.get("cell_type") in ("raw", "plaintext") else "markdown",
                        text,
                        text,
                        number,
                    )
                )
        if outputs and (text := lines_of(_outputs(cell))):
            results.append(Cell("output", "text", text, text, number))
    return Notebook(language, results)


def _is_databricks(metadata: dict[str, Any], cells: Sequence[Any]) -> bool:
    """Whether Databricks wrote a notebook, judging by the metadata."""
    first: dict[str, Any] = next(
        (
            cell["metadata"]
            for cell in cells
            if isinstance(cell, dict) and isinstance(cell.get("metadata"), dict)
        ),
        {},
    )
    return any(key.startswith("application/vnd.databricks") for key in (*metadata, *first))


def _is_dotnet(metadata: dict[str, Any]) -> bool:
    spec = metadata.get("kernelspec")
    return isinstance(spec, dict) and str(spec.get("name", "")).startswith(".net")


def code_cell(
    text: bytes,
    language: str,
    number: int | None,
    databricks: bool = False,
    dotnet: bool = False,
    code: bytes | None = None,
) -> Cell:
    """Return a code cell; its magic may change its language."""
    language, code = code_of(text if code is None else code, language, databricks, dotnet)
    if language == "markdown":
        return markup_cell("markdown", text, code, number)
    return Cell("code", language, text, code, number)


def lines_of(text: str) -> bytes:
    """Encode a text, ending in a newline unless empty."""
    data = text.encode("utf-8", "replace")
    return data if not data or data.endswith(b"\n") else data + b"\n"


def _source(cell: dict[str, Any], ends: bool = False) -> str:
    """Return a cell's text; ``ends`` accepts nbformat 2's lines without newlines."""
    source = next(
        (cell[key] for key in ("source", "input", "code", "text") if cell.get(key) is not None), ""
    )
    text = _joined(source)
    if (
        ends
        and isinstance(source, list)
        and not any(isinstance(line, str) and line.endswith("\n") for line in source[:-1])
    ):
        text = "\n".join(line for line in source if isinstance(line, str))  # nbformat 2
    if cell.get("cell_type") == "heading":  # of nbformat 3
        level = cell.get("level")
        return f"{'#' * (level if isinstance(level, int) and level in _HEADINGS else 1)} {text}"
    return text


def _joined(text: Any) -> str:
    if isinstance(text, list):
        return "".join(part for part in text if isinstance(part, str))
    return text if isinstance(text, str) else ""


def _outputs(cell: dict[str, Any]) -> str:
    """Return a cell's output text, without images, HTML or colours."""
    outputs = cell.get("outputs")
    parts = list[str]()
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        text = _joined(output.get("text")) or _joined(
            data.get("text/plain") if isinstance(data, dict) else None
        )
        if not text and output.get("output_type") in ("error", "pyerr"):
            text = "\n".join(
                line for line in output.get("traceback") or () if isinstance(line, str)
            )
        if text := _COLOUR.sub("", text)[:MAX_OUTPUT]:
            parts.append(text if text.endswith("\n") else text + "\n")
    return "".join(parts)


# Zeppelin

_INTERPRETER = re.compile(r"\A\s*%([\w.-]+)(?:\([^)\n]*\))?")
_ACE_MODES = {"sh": "bash", "golang": "go", "c_cpp": "cpp"}
_INTERPRETERS = {
    "spark": "scala",
    "livy": "scala",
    "flink": "scala",
    "ipyspark": "python",
    "ipython": "python",
}


def _of_zeppelin(note: dict[str, Any]) -> Notebook:
    """Read a Zeppelin note; paragraphs default to the note's interpreter."""
    group = note.get("defaultInterpreterGroup")
    language = _interpreter_language(group if isinstance(group, str) else "spark") or "scala"
    cells = list[Cell]()
    for number, paragraph in enumerate(note["paragraphs"]):
        text = _joined(paragraph.get("text")) if isinstance(paragraph, dict) else ""
        if _INTERPRETER.sub("", text, count=1).strip():
            cells.append(_paragraph(paragraph, lines_of(text), text, language, number))
    return Notebook(language, cells)


def _paragraph(
    paragraph: dict[str, Any], data: bytes, text: str, language: str, number: int
) -> Cell:
    code = data
    if match := _INTERPRETER.match(text):
        language = _interpreter_language(match[1]) or "text"
        blank = re.sub(r"[^\n]", " ", match[0])
        code = lines_of(blank + text[match.end() :])
    else:
        config = paragraph.get("config")
        setting = config.get("editorSetting") if isinstance(config, dict) else None
        stated = setting.get("language") if isinstance(setting, dict) else None
        if stated is None and isinstance(config, dict):
            stated = str(config.get("editorMode", "")).rpartition("/")[2]
        language = _ACE_MODES.get(str(stated)) or known_language(stated) or language
    if language == "markdown":
        return markup_cell("markdown", data, code, number)
    return Cell("code", language, data, code, number)


def _interpreter_language(name: str) -> str | None:
    """Return the language of an interpreter such as ``%spark.pyspark`` or ``%md``."""
    group, _, interpreter = name.lower().partition(".")
    for part in (interpreter, group):
        if part and (language := _INTERPRETERS.get(part) or known_language(part)):
            return language
    return None


# .dib of .NET Interactive and Polyglot Notebooks

_DIB_NAMES = (
    "csharp c# cs fsharp f# fs pwsh powershell javascript js html sql kql mermaid http value"
    " markdown md python r meta"
)


def _of_dib(data: bytes) -> Notebook:
    """Read a ``.dib`` file; kernel names like ``#!csharp`` separate cells."""
    kernels = {name: known_language(name) or "text" for name in _DIB_NAMES.split()}
    default, header = "csharp", 0
    data = data if data.endswith(b"\n") or not data else data + b"\n"
    if data.startswith(b"#!meta"):
        header = _end_of_json(data)
        meta, _ = _leading_json(data)
        kernels |= named_kernels({"metadata": {"polyglot_notebook": meta}})
        info = meta.get("kernelInfo")
        name = info.get("defaultKernelName") if isinstance(info, dict) else None
        default = kernels.get(str(name).lower(), default)
    cells = [Cell("", "text", data[:header], data[:header])] if header else []
    return Notebook(default, [*cells, *_dib_cells(data[header:], default, kernels)])


def _dib_cells(text: bytes, language: str, kernels: dict[str, str]) -> Iterator[Cell]:
    number, begin, body = 0, 0, 0
    starts = [mark for mark in _DIB_LINE.finditer(text) if _kernel_of(mark, kernels) in kernels]
    for mark in [*starts, None]:
        end = mark.start() if mark else len(text)
        if text[body:end].strip():
            whole, code = (
                text[begin:end],
                b" " * max(0, body - begin - 1) + b"\n" * (body > begin) + text[body:end],
            )
            kind = "markdown" if language == "markdown" else "code"
            yield (
                markup_cell(kind, whole, code, number)
                if kind == "markdown"
                else Cell(kind, language, whole, code, number)
            )
            number += 1
        elif end > begin:
            yield Cell("", "text", text[begin:end], text[begin:end])
        if mark:
            language = kernels[_kernel_of(mark, kernels)]
            begin, body = mark.start(), mark.end()


_DIB_LINE = re.compile(rb"^#!([\w.+#-]+)\r?\n", re.M)


def _kernel_of(mark: re.Match[bytes], kernels: dict[str, str]) -> str:
    """Return the kernel of a ``#!`` line: ``sql`` for ``sql-NAME``."""
    name = mark[1].decode("utf-8", "replace").lower()
    family = name.partition("-")[0]
    return family if name not in kernels and family in ("sql", "kql") else name


def _leading_json(data: bytes) -> tuple[dict[str, Any], int]:
    """Return the first JSON object of a text, and its end."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        value, end = json.JSONDecoder().raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        return {}, len(data)
    return value, len(text[:end].encode("utf-8", "surrogateescape"))


def _end_of_json(data: bytes) -> int:
    """Return the end of the first JSON object's last line."""
    _, end = _leading_json(data)
    return data.find(b"\n", end) + 1 or len(data)
