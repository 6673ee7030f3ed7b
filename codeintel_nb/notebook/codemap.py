"""CodeMap: the chunks in scope in two dimensions, hits lit, in a notebook."""

from __future__ import annotations

import base64
import html
import io
import os
import posixpath
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import anywidget
import numpy as np
import traitlets

from ..api.contract import Client
from ..api.marked import segments
from ..api.panel import place
from ..api.text import clean
from ..api.wire import FileRequest, MapRequest
from ..errors import CodeIntelError, MissingExtra, SearchError
from ..index.report import RepositoryStatus
from ..scopes.globs import plain_glob
from ..scopes.scope import Scope
from ..search.hit import Results
from ..search.points import Points

Colour = Literal["folder", "language", "kind"]
MOST_GROUPS = 7  # that have a colour of their own: what a colour-blind person tells apart
MOST_POINTS = 100_000
HOVERED_LINES = 12
OTHERS = "others"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A7A00", "#56B4E9", "#000000", "#999999")  # Okabe and Ito's, the yellow darkened
_PICTURE = (640, 400)  # of what stays in a saved notebook


class Place(anywidget.AnyWidget):
    """What the pointer is on; the page is asked to open it when ``opened`` counts up."""

    _esm = Path(__file__).parent / "panel.js"
    _css = Path(__file__).parent / "panel.css"
    place = traitlets.Dict(help="Where it is, and its first lines in coloured pieces.").tag(sync=True)
    opened = traitlets.Int(0).tag(sync=True)


class CodeMap:
    """A map to hover, zoom, lasso and click: ``results.map()`` or ``%codemap``.

    ``scatter`` is the jupyter-scatter plot, ``points`` the DataFrame behind it, one row a chunk.
    """

    def __init__(self, client: Client, found: list[Points], results: Results | None = None, colour: Colour = "folder") -> None:
        try:
            import ipywidgets
            import jscatter
            import pandas
        except ImportError:
            raise MissingExtra("map", needed_by="A map of the code") from None
        self._client = client
        self.total = found[0].total
        self._repositories = {status.name: status for status in client.status()}
        self.points = _frame(pandas, found, colour)
        self.hits = _rows_of(self.points, results)
        self.place = Place()
        self._hint = {"title": "", "note": "Hover a point to see its code, click it to open the file."}
        self.place.place = self._hint
        self.scatter = jscatter.Scatter(data=self.points, x="x", y="y", color_by="group", color_map=_colours(self.points), legend=True, height=480, axes=False, opacity=0.7)
        self.scatter.size(default=_size(len(self.points)))
        if self.hits:
            self.scatter.selection(self.hits)
        widget = self.scatter.widget
        widget.observe(self._hovered, "hovering")
        widget.observe(self._selected, "selection")
        self.view = ipywidgets.VBox([ipywidgets.HTML(f"<small>{html.escape(self.caption)}</small>"), self.scatter.show(), self.place])

    @property
    def caption(self) -> str:
        shown = len(self.points)
        drawn = f"{shown:,} of {self.total:,} chunks in scope, an even sample" if shown < self.total else f"{shown:,} chunks in scope"
        return drawn + (f", {len(self.hits):,} hits lit" if self.hits else "")

    def _hovered(self, change: Any) -> None:
        self.place.place = self._hint if change["new"] is None else self._shown(int(change["new"]))

    def _selected(self, change: Any) -> None:
        chosen = [] if change["new"] is None else list(change["new"])
        if len(chosen) == 1 and chosen != self.hits:
            self.place.place = self._shown(int(chosen[0]))
            self.place.opened += 1

    def _shown(self, row: int) -> dict[str, Any]:
        repo, path, line, language = self.points.loc[row, ["repo", "path", "line", "language"]]
        status: RepositoryStatus | None = self._repositories.get(repo)
        try:
            text = self._client.open_file(FileRequest(repo=repo, path=path, start_line=int(line), end_line=int(line) + HOVERED_LINES - 1)).text
            note = ""
        except CodeIntelError as error:  # it changed meanwhile, or is gone
            text, note = "", str(error)
        shown = "\n".join(clean(part)[:300] for part in text.split("\n"))
        return {
            "title": f"{clean(repo)}: {clean(path)}:{line}", "note": note, "segments": segments(shown, language, []), "line": int(line), "cell": None, "column": 1,
            "place": None if status is None else place(os.environ.get("JUPYTER_SERVER_ROOT", ""), status.root, path),
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"map of {self.caption}"

    def _repr_mimebundle_(self, **given: Any) -> Any:
        """The widget, and a picture of it for a saved or untrusted notebook."""
        bundle = self.view._repr_mimebundle_(**given)
        held = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        held["text/plain"] = repr(self)
        alt = html.escape(repr(self))
        held["text/html"] = f'<figure style="margin:0"><img alt="{alt}" src="data:image/png;base64,{base64.b64encode(self.picture()).decode()}"><figcaption>{alt}</figcaption></figure>'
        return held

    def picture(self) -> bytes:
        """The map as a PNG image: points in the colours of their groups, hits larger and dark."""
        from PIL import Image

        width, height = _PICTURE
        canvas = np.full((height, width, 3), 255, np.uint8)
        colours = _colours(self.points)
        palette = np.array([[int(colours[name][i : i + 2], 16) for i in (1, 3, 5)] for name in self.points["group"].cat.categories], np.uint8)
        across = ((self.points["x"].to_numpy() + 1.02) / 2.04 * (width - 1)).astype(int).clip(1, width - 2)
        down = ((1.02 - self.points["y"].to_numpy()) / 2.04 * (height - 1)).astype(int).clip(1, height - 2)
        canvas[down, across] = palette[self.points["group"].cat.codes.to_numpy()]
        for row in self.hits:
            canvas[down[row] - 1 : down[row] + 2, across[row] - 1 : across[row] + 2] = 0
        written = io.BytesIO()
        Image.fromarray(canvas).save(written, "PNG", optimize=True)
        return written.getvalue()


def points_in(client: Client, scope: Scope, colour: str, results: Results | None = None) -> list[Points]:
    """What there is to draw, a sample of it and the files of the hits, which a sample would miss; SearchError where that
    is nothing, or cannot be coloured so."""
    if colour not in ("folder", "language", "kind"):
        raise SearchError(f"A map cannot be coloured by {colour!r}: choose folder, language or kind.")
    found = client.code_map(_request(scope))
    if not found.paths:
        raise SearchError(f"Nothing is in scope, so there is nothing to draw: {scope.describe()}.")
    if not results or len(found.x) // 4 == found.total:
        return [found]
    files = {(hit.repo, hit.path) for hit in results}
    globs = tuple("/" + plain_glob(path).lstrip("/") for path in sorted({path for _, path in files}))
    return [found, client.code_map(_request(scope.merged(repos=tuple(sorted({repo for repo, _ in files})), include_globs=globs)))]


def _request(scope: Scope) -> MapRequest:
    return MapRequest(most=MOST_POINTS, **{field: getattr(scope, field) for field in Scope.__struct_fields__})


def _frame(pandas: Any, found: list[Points], colour: Colour) -> Any:
    drawn = pandas.concat([_table(pandas, points) for points in found], ignore_index=True).drop_duplicates(["repo", "path", "line"], ignore_index=True)
    by_file = drawn[["repo", "path"]].drop_duplicates(ignore_index=True)
    by_file["folder"] = _folders(by_file["repo"].to_numpy(), by_file["path"].to_numpy())
    groups = drawn.merge(by_file, on=["repo", "path"], how="left")[colour].to_numpy()
    kept = [name for name, _ in Counter(groups.tolist()).most_common(MOST_GROUPS) if name != OTHERS]
    others = [OTHERS] if len(set(groups.tolist())) > len(kept) else []
    drawn["group"] = pandas.Categorical([name if name in kept else OTHERS for name in groups], categories=[*kept, *others])
    return drawn


def _table(pandas: Any, found: Points) -> Any:
    owner = np.frombuffer(found.file, "<u4")
    repos, paths, languages = (np.array(values, object) for values in (found.repos, found.paths, found.languages))
    kinds = np.array(found.kinds, object)[np.frombuffer(found.kind, "<u1")]
    return pandas.DataFrame({
        "x": np.frombuffer(found.x, "<f4"), "y": np.frombuffer(found.y, "<f4"), "repo": repos[owner], "path": paths[owner],
        "line": np.frombuffer(found.line, "<u4").astype(np.int64), "kind": kinds, "language": languages[owner],
    })  # fmt: skip


def _folders(repos: Any, paths: Any) -> Any:
    """Of each file its repository where there are several, else the first folder in which they differ."""
    if len(set(repos.tolist())) > 1:
        return repos
    folders = [path.rpartition("/")[0] for path in paths]
    base = posixpath.commonpath([f"/{folder}" for folder in folders])[1:]
    return np.array([folder[len(base) :].lstrip("/").partition("/")[0] or "files here" for folder in folders], object)


def _rows_of(points: Any, results: Results | None) -> list[int]:
    """The rows whose chunks hold the hits."""
    if results is None or not len(results):
        return []
    wanted = {(hit.repo, hit.path) for hit in results}
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    held = points[points["path"].isin({path for _, path in wanted})]
    for row, repo, path, line in zip(held.index.tolist(), held["repo"], held["path"], held["line"].tolist(), strict=True):
        places.setdefault((repo, path), []).append((line, row))
    found: dict[int, None] = {}
    for hit in results:
        before = [(line, row) for line, row in places.get((hit.repo, hit.path), []) if line <= hit.start_line]
        if before:
            found[max(before)[1]] = None
    return list(found)


def _colours(points: Any) -> dict[str, str]:
    return {name: _COLOURS[-1] if name == OTHERS else _COLOURS[i] for i, name in enumerate(points["group"].cat.categories)}


def _size(points: int) -> int:
    return 2 if points > 50_000 else 4 if points > 5_000 else 7
