"""Embedders of an index home: the shipped table, and endpoints by name or id."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .embedder import TABLE, Embedder, default_embedder

if TYPE_CHECKING:
    from .endpoint.client import EndpointEmbedder
    from .endpoint.models import EndpointModel


class Embedders:
    """Embedders of a home, each opened once; thread-safe."""

    def __init__(self, home: Path, default: Callable[[], Embedder] = default_embedder) -> None:
        self.home, self.default = home, default
        self._endpoints: dict[tuple[EndpointModel, int], EndpointEmbedder] = {}
        self._lock = threading.Lock()

    def named(self, name: str, dim: int = 0) -> Embedder:
        """Return the embedder of this name; the shipped table for an empty one.

        ``dim`` is the number of dimensions, if known; it saves a probe of the endpoint.

        Raises
        ------
        EmbeddingError : ``embedders.toml`` has no such entry, or is invalid.
        """
        if not name:
            return self.default()
        from .endpoint.models import model_named

        return self._opened(model_named(self.home, name), dim)

    def of_id(self, embedder_id: str, dim: int) -> Embedder | None:
        """Return the embedder with this id and number of dimensions, or None.

        Raises
        ------
        EmbeddingError : ``embedders.toml`` is invalid.
        """
        default = self.default()
        if default.id == embedder_id:
            return default
        from .endpoint.models import read_models

        for model in read_models(self.home).values():
            if model.id == embedder_id:
                return self._opened(model, dim)
        return None

    def close(self) -> None:
        for endpoint in self._endpoints.values():
            endpoint.close()

    def _opened(self, model: EndpointModel, dim: int) -> EndpointEmbedder:
        from .endpoint.client import EndpointEmbedder

        with self._lock:
            endpoint = self._endpoints.get((model, dim))
            if endpoint is None:
                endpoint = self._endpoints[model, dim] = EndpointEmbedder(model, dim)
            return endpoint


def id_of(home: Path, name: str) -> str:
    """Return the id of an embedder's vectors without opening it."""
    if name:
        from .endpoint.models import model_named

        return model_named(home, name).id
    return str(json.loads((TABLE / "config.json").read_bytes())["id"])
