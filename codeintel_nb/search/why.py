"""Why a hit has its rank: the parts of its score."""

from __future__ import annotations

import msgspec

SCORE_DIGITS = 6  # decimals of a hit's score


class Part(msgspec.Struct, frozen=True):
    """Contribution to a score, with what it comes from in words."""

    name: str
    value: float
    detail: str = ""


def ordinal(number: int) -> str:
    """Return a rank as it is read aloud: 1st, 2nd, 13th."""
    is_teen = number // 10 % 10 == 1
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{'th' if is_teen else ending}"


class Why(msgspec.Struct, frozen=True):
    """Parts of a hit's score, largest first; their sum is the score."""

    parts: tuple[Part, ...]

    @property
    def score(self) -> float:
        """Return the sum of the parts."""
        return round(sum(part.value for part in self.parts), SCORE_DIGITS)

    def __repr__(self) -> str:
        return "\n".join(
            f"{part.value:+8.2f}  {part.name:<12} {part.detail}".rstrip() for part in self.parts
        )
