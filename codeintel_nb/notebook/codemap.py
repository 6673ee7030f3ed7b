"""CodeMap: a map of chunks in scope, with highlighted hits."""

from __future__ import annotations

import base64
import html
import io
import os
import posixpath
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import anywidget
import msgspec
import numpy as np
import traitlets

from ..client.contract import Client
from ..errors import CodeIntelError, MissingExtra, SearchError
from ..index.update.report import OnProgress, RepositoryStatus, ignore
from ..operations.requests import FileRequest, MapRequest, StatusRequest
from ..output.highlight import segments
from ..output.panel.client import place
from ..output.plain_text import clean
from ..output.progress import plural
from ..scopes.globs import plain_glob
from ..scopes.scope import Scope
from ..search.code_map.points import Points
from ..search.query import SemanticQuery
from ..search.results import Results

Colour = Literal["folder", "language", "kind"]
MAX_GROUPS = 7  # with their own colour: as many as a colour-blind person can tell apart
MAX_POINTS = 100_000
MAPPED_HITS = 20  # highlighted by a search in the map
MAX_NARROWED = 60  # files of a cluster's scope
HOVERED_LINES = 12
OTHERS = "others"
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#8A7A00",
    "#56B4E9",
    "#000000",
    "#999999",
)  # Okabe and Ito's, the yellow darkened
_PICTURE = (640, 400)  # pixels of the image in a saved notebook


class Look(msgspec.Struct, tag="look", tag_field="what", forbid_unknown_fields=True):
    row: int


class Choose(msgspec.Struct, tag="choose", tag_field="what", forbid_unknown_fields=True):
    rows: list[int]


class Find(msgspec.Struct, tag="find", tag_field="what", forbid_unknown_fields=True):
    """Search by meaning, from the map's box."""

    query: str


class Narrow(msgspec.Struct, tag="narrow", tag_field="what", forbid_unknown_fields=True):
    """Set the scope to the files of a cluster."""

    cluster: int


class CodeMap(anywidget.AnyWidget):
    """Map to hover, zoom, click and choose from: ``results.map()`` or ``%codemap``.

    ``points`` has arrays of one length, with one item per chunk: x, y, repo, path, line, cell (-1
    outside of notebooks), kind, language and group; ``pandas.DataFrame(map.points)`` makes a table
    of them. ``lit`` contains the rows of the hits, ``chosen`` the rows selected by drawing around
    them. The view sends numbered messages, like a Panel's.
    """

    _esm = Path(__file__).parent / "panel.js"
    _css = Path(__file__).parent / "panel.css"
    x = traitlets.Bytes(help="float32, little-endian, a point each.").tag(sync=True)
    y = traitlets.Bytes().tag(sync=True)
    group = traitlets.Bytes(help="uint8: position in groups.").tag(sync=True)
    groups = traitlets.List(help="Name, colour and number of points of each group.").tag(sync=True)
    hits = traitlets.List(help="Points of the hits, which are highlighted.").tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    clusters = traitlets.List(help="x, y and name of each cluster.").tag(sync=True)

    def __init__(
        self,
        client: Client,
        found: list[Points],
        results: Results | None = None,
        colour: Colour = "folder",
        scope: Scope | None = None,
    ) -> None:
        try:
            import PIL.Image  # noqa: F401
        except ImportError:
            raise MissingExtra("map", needed_by="The code map") from None
        self.points = _points(found)
        self.total = found[0].total
        self.lit = _rows_of(self.points, results)
        self.chosen: list[int] = []
        self._client, self._scope = client, scope or Scope()
        self._repositories = {
            status.name: status for status in client.ask(StatusRequest()).repositories
        }
        names, group = _grouped(
            _folders(self.points["repo"], self.points["path"])
            if colour == "folder"
            else self.points[colour]
        )
        self.points["group"] = np.array(names, object)[group]
        counts = np.bincount(group, minlength=len(names)).tolist()
        super().__init__(
            x=self.points["x"].tobytes(), y=self.points["y"].tobytes(), group=group.tobytes(),
            hits=self.lit, caption=self._caption(),
            clusters=[(one.x, one.y, clean(one.name)) for one in found[0].clusters],
            groups=[
                (clean(name), _COLOURS[-1] if name == OTHERS else _COLOURS[i], count)
                for i, (name, count) in enumerate(zip(names, counts, strict=True))
            ],
        )  # fmt: skip
        self.on_msg(self._asked)

    def _caption(self) -> str:
        shown = len(self.points["x"])
        drawn = (
            f"{shown:,} of {plural(self.total, 'chunk')} in scope, an even sample"
            if shown < self.total
            else f"{plural(shown, 'chunk')} in scope"
        )
        return drawn + (f", {plural(len(self.lit), 'hit')} highlighted" if self.lit else "")

    def _asked(self, _: object, content: Any, __: object) -> None:
        number = content.get("number") if isinstance(content, dict) else None
        try:
            request = msgspec.convert(
                {name: value for name, value in content.items() if name != "number"},
                Look | Choose | Find | Narrow,
            )
            self.send({"number": number, "answer": self._answer(request)})
        except (CodeIntelError, msgspec.ValidationError, IndexError) as error:
            self.send({"number": number, "error": str(error)})

    def _answer(self, request: Look | Choose | Find | Narrow) -> Any:
        match request:
            case Look():
                return self._look(request.row)
            case Choose():
                return self._choose(request.rows)
            case Find():
                return self._find(request.query)
            case Narrow():
                return self._narrow(request.cluster)

    def _find(self, query: str) -> str:
        """Highlight the hits of a search; return the caption."""
        limits = {name: getattr(self._scope, name) for name in Scope.__struct_fields__}
        question = SemanticQuery(query=query, limit=MAPPED_HITS, **limits)
        self.lit = _rows_of(self.points, self._client.ask(question).results)
        caption = self._caption()
        self.hits, self.caption = self.lit, caption
        return caption

    def _narrow(self, cluster: int) -> str:
        """Set the scope to the files with most of their chunks in a cluster."""
        middles = np.array([(x, y) for x, y, _ in self.clusters])
        places = np.stack([self.points["x"], self.points["y"]], axis=1)
        own = ((places[:, None, :] - middles[None]) ** 2).sum(axis=2).argmin(axis=1)
        files = list(zip(self.points["repo"].tolist(), self.points["path"].tolist(), strict=True))
        members = [file for file, at in zip(files, own.tolist(), strict=True) if at == cluster]
        inside = Counter(members)
        together = Counter(files)
        most = [file for file, count in inside.most_common() if 2 * count > together[file]]
        chosen = (most or [file for file, _ in inside.most_common(1)])[:MAX_NARROWED]
        scope = self._scope.merged(
            repos=tuple(sorted({repo for repo, _ in chosen})),
            include_globs=tuple(f"/{plain_glob(path)}" for _, path in chosen),
        )
        self._client.set_scope(scope)
        count = plural(len(chosen), "file")
        return (
            f"The scope is now {count} about {self.clusters[cluster][2]}. %scope clear resets it."
        )

    def _choose(self, rows: list[int]) -> str:
        self.chosen = rows
        if not rows:
            return ""
        files = len(set(zip(self.points["repo"][rows], self.points["path"][rows], strict=True)))
        return (
            f"{plural(len(rows), 'chunk')} in {plural(files, 'file')} selected: "
            "the rows in .chosen of this map. Esc clears the selection."
        )

    def _look(self, row: int) -> dict[str, Any]:
        repo, path, language = (self.points[name][row] for name in ("repo", "path", "language"))
        line, cell = (int(self.points[name][row]) for name in ("line", "cell"))
        status: RepositoryStatus | None = self._repositories.get(repo)
        try:
            text = self._client.ask(
                FileRequest(
                    repo=repo, path=path, start_line=line, end_line=line + HOVERED_LINES - 1
                )
            ).text
            note = ""
        except CodeIntelError as error:  # the file changed meanwhile, or was deleted
            text, note = "", str(error)
        shown = "\n".join(clean(part)[:300] for part in text.split("\n"))
        at = f":{line}" if cell < 0 else f" · Cell {cell + 1}"
        return {
            "repo": repo, "path": path,
            "title": f"{clean(repo)}: {clean(path)}{at}", "note": note,
            "segments": segments(shown, language, []),
            "line": line, "cell": None if cell < 0 else cell, "column": 1,
            "place": (
                None if status is None
                else place(os.environ.get("JUPYTER_SERVER_ROOT", ""), status.root, path)
            ),
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"code map of {self.caption}"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and a picture as its fallback."""
        bundle = super()._repr_mimebundle_(**options)
        formats = bundle[0] if isinstance(bundle, tuple) else bundle
        if formats is None:
            return bundle
        formats["text/plain"] = repr(self)
        alt = html.escape(repr(self))
        formats["text/html"] = (
            f'<figure style="margin:0"><img alt="{alt}" src="data:image/png;base64,'
            f'{base64.b64encode(self.picture()).decode()}"><figcaption>{alt}</figcaption></figure>'
        )
        return bundle

    def picture(self) -> bytes:
        """Return a PNG of coloured points, with larger, darker hits."""
        from PIL import Image

        width, height = _PICTURE
        canvas = np.full((height, width, 3), 255, np.uint8)
        palette = np.array(
            [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for _, colour, _ in self.groups],
            np.uint8,
        )
        across = ((self.points["x"] + 1.02) / 2.04 * (width - 1)).astype(int).clip(1, width - 2)
        down = ((1.02 - self.points["y"]) / 2.04 * (height - 1)).astype(int).clip(1, height - 2)
        canvas[down, across] = palette[np.frombuffer(self.group, np.uint8)]
        for row in self.lit:
            canvas[down[row] - 1 : down[row] + 2, across[row] - 1 : across[row] + 2] = 0
        written = io.BytesIO()
        Image.fromarray(canvas).save(written, "PNG", optimize=True)
        return written.getvalue()


def points_in(
    client: Client,
    scope: Scope,
    colour: str,
    results: Results | None = None,
    progress: OnProgress = ignore,
    cancel: threading.Event | None = None,
) -> list[Points]:
    """Return points to draw: a sample and the hits' files.

    Raises
    ------
    SearchError : there are none, or the colour is unknown.
    """
    if colour not in ("folder", "language", "kind"):
        raise SearchError(
            f"The code map cannot be coloured by {colour!r}. Choose folder, language or kind."
        )
    sample = client.ask(_request(scope), progress=progress, cancel=cancel)
    if not sample.paths:
        raise SearchError(f"No code is in scope, so there is nothing to draw: {scope.describe()}.")
    if not results or len(sample.x) // 4 == sample.total:
        return [sample]
    files = {(hit.repo, hit.path) for hit in results}
    globs = tuple(
        "/" + plain_glob(path).lstrip("/") for path in sorted({path for _, path in files})
    )
    return [
        sample,
        client.ask(
            _request(
                scope.merged(repos=tuple(sorted({repo for repo, _ in files})), include_globs=globs)
            ),
            progress=progress,
            cancel=cancel,
        ),
    ]


def _request(scope: Scope) -> MapRequest:
    return MapRequest(
        most=MAX_POINTS, **{field: getattr(scope, field) for field in Scope.__struct_fields__}
    )


def _points(samples: list[Points]) -> dict[str, Any]:
    """Return the columns of several samples, without duplicate chunks."""
    files = dict[tuple[str, str], int]()
    columns = dict[str, list[Any]]()
    for points in samples:
        owner = np.frombuffer(points.file, "<u4")
        file = np.array(
            [
                files.setdefault(key, len(files))
                for key in zip(points.repos, points.paths, strict=True)
            ],
            np.int64,
        )
        repos, paths, languages, kinds = (
            np.array(values, object)
            for values in (points.repos, points.paths, points.languages, points.kinds)
        )
        x, y, line, cell, kind = (
            np.frombuffer(*array)
            for array in (
                (points.x, "<f4"),
                (points.y, "<f4"),
                (points.line, "<u4"),
                (points.cell, "<i4"),
                (points.kind, "<u1"),
            )
        )
        for name, column in {
            "x": x, "y": y, "repo": repos[owner], "path": paths[owner],
            "line": line.astype(np.int64), "cell": cell.astype(np.int64), "kind": kinds[kind],
            "language": languages[owner], "chunk": (file[owner] << 32) + line,
        }.items():  # fmt: skip
            columns.setdefault(name, []).append(column)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    first = np.sort(np.unique(joined.pop("chunk"), return_index=True)[1])
    return {name: column[first] for name, column in joined.items()}


def _grouped(names: Any) -> tuple[list[str], Any]:
    """Return the commonest names, and each point's index among them.

    Rarer names share the last index.
    """
    common = [name for name, _ in Counter(names.tolist()).most_common(MAX_GROUPS) if name != OTHERS]
    position = {name: i for i, name in enumerate(common)}
    group = np.array([position.get(name, len(common)) for name in names.tolist()], np.uint8)
    return [*common, *([OTHERS] if len(common) in group else [])], group


def _folders(repos: Any, paths: Any) -> Any:
    """Return each point's repository if there are several, else its folder.

    The folder is the first one below the folder common to all paths.
    """
    if len(set(repos.tolist())) > 1:
        return repos
    folders = {path: path.rpartition("/")[0] for path in paths.tolist()}
    base = posixpath.commonpath([f"/{folder}" for folder in set(folders.values())])[1:]
    below = {
        path: folder[len(base) :].lstrip("/").partition("/")[0] or "files here"
        for path, folder in folders.items()
    }
    return np.array([below[path] for path in paths.tolist()], object)


def _rows_of(points: Any, results: Results | None) -> list[int]:
    """Return the rows of the chunks that contain the hits."""
    if results is None or not results.hits:
        return []
    files = {(hit.repo, hit.path) for hit in results}
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, key in enumerate(zip(points["repo"].tolist(), points["path"].tolist(), strict=True)):
        if key in files:
            places.setdefault(key, []).append((int(points["line"][row]), row))
    rows: dict[int, None] = {}
    for hit in results:
        before = [
            (line, row)
            for line, row in places.get((hit.repo, hit.path), [])
            if line <= hit.start_line
        ]
        if before:
            rows[max(before)[1]] = None
    return list(rows)
