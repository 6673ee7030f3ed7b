"""Bars for the parts of a score, as HTML."""

from __future__ import annotations

import html

from ..search.why import Part, Why

WIDEST_PX = 90
_RAISES, _LOWERS = "#3b8f5a", "#b5544b"  # legible on white and on black


def score_bars(why: Why) -> str:
    """Return a table with a bar for each part, behind a line with the score."""
    most = max((abs(part.value) for part in why.parts), default=1.0)
    rows = "".join(_bar(part, most) for part in why.parts)
    return (
        f"<details open><summary><small>score {why.score:.2f}</small></summary>"
        f"<table style='margin:0'><tbody>{rows}</tbody></table></details>"
    )


def _bar(part: Part, most: float) -> str:
    width = max(1, round(abs(part.value) / most * WIDEST_PX))
    colour = _RAISES if part.value > 0 else _LOWERS
    style = "text-align:left;padding:0 6px;background:none"
    return (
        f"<tr><td style='{style};text-align:right'><small>{part.value:+.2f}</small></td>"
        f"<td style='{style}'><div style='width:{width}px;height:8px;background:{colour}'></div>"
        f"</td><th scope='row' style='{style};font-weight:normal'>"
        f"<small>{html.escape(part.name)}</small></th>"
        f"<td style='{style}'><small>{html.escape(part.detail)}</small></td></tr>"
    )
