"""Checks of the embedding endpoints in ``embedders.toml``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..embedding.endpoint.client import EndpointEmbedder
from ..embedding.endpoint.models import FILE, EndpointModel, read_models
from ..errors import EmbeddingError


def endpoint_checks(home: Path) -> list[tuple[str, Callable[[], str]]]:
    """Return a check of each entry of embedders.toml, which sends one word."""

    def check(model: EndpointModel) -> str:
        endpoint = EndpointEmbedder(model)
        vector = endpoint.embed_query("probe")
        endpoint.close()
        return f"{model.model} at {model.host} returns {vector.shape[1]} dimensions"

    def invalid(error: EmbeddingError) -> str:
        raise error

    try:
        models = read_models(home)
    except EmbeddingError as error:
        return [(FILE, partial(invalid, error))]
    return [(f"embedder {name}", partial(check, model)) for name, model in models.items()]
