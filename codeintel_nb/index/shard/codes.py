"""Scalar quantization of vectors, one byte per component, alike in all shards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import EmbeddingError

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# share of components beyond the range of codes; more would change the ranking
MAX_CLIPPED = 0.001


def component_range(dim: int) -> float:
    """Return the largest absolute component of a code, at most 1.

    It is 6.4 times the component of a unit vector with equal components.
    """
    return float(min(1.0, 6.4 / np.sqrt(dim)))


def check_range(vectors: Floats) -> None:
    """Raise EmbeddingError if too many components are beyond the range of codes."""
    share = float((np.abs(vectors) > component_range(vectors.shape[1])).mean())
    if share > MAX_CLIPPED:
        raise EmbeddingError(
            f"{share:.1%} of this model's vector components exceed the range of the index, which "
            f"stores them as bytes; the limit is {MAX_CLIPPED:.1%}. Choose another model."
        )


def encode(vectors: Floats) -> Codes:
    limit = component_range(vectors.shape[1])
    steps = np.floor((vectors + limit) * np.float32(255 / (2 * limit)))
    codes: Codes = np.clip(steps, 0, 255).astype(np.uint8)
    return codes


def decode(codes: Codes) -> Floats:
    """Decode vectors as FAISS does: to the middle of each step."""
    limit = component_range(codes.shape[1])
    return (codes.astype(np.float32) + 0.5) * np.float32(2 * limit / 255) - np.float32(limit)
