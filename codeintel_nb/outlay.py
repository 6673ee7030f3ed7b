"""Consent to send code to an embedding endpoint, with an estimate of the cost."""

from __future__ import annotations

import msgspec

from .embedding.endpoint.models import (
    BUILTIN,
    CHARACTERS_A_TOKEN,
    EndpointModel,
    model_named,
)
from .errors import EmbeddingError
from .index.store import StoredRepository
from .index.update.partial_vectors import stored_vectors
from .index.update.plan import plan_update
from .settings import Settings
from .sources.document import document_of, refusal
from .sources.repository import Repository
from .sources.source import Reader, source_of
from .sources.walk import FileStat

CHUNK_BYTES = 596  # of text, on average (measured on semsearch-dev)
PATH_CHARACTERS = 40  # added to each chunk


class Outlay(msgspec.Struct, frozen=True):
    """Estimate of what an indexing run would send to an endpoint."""

    repository: str
    model: str
    host: str
    is_encrypted: bool
    chunks: int
    tokens: int
    cost: float  # in the currency of ``price``; 0 without one
    price: float  # of a million tokens

    def describe(self) -> str:
        """Return the estimate in words."""
        if self.tokens < 100_000:
            tokens = f"{round(self.tokens, -3):,}"
        else:
            tokens = f"{self.tokens / 1e6:,.1f} million"
        cost = (
            f" At {self.price:g} per million tokens, this costs about {self.cost:,.2f}."
            if self.price
            else ""
        )
        plain = "" if self.is_encrypted else ", unencrypted"
        return (
            f"Indexing {self.repository!r} sends about {self.chunks:,} chunks ({tokens} tokens) to "
            f"{self.host}{plain}, to be embedded by {self.model}.{cost} "
            "Later updates and queries are sent too."
        )


def with_embedder(repository: Repository, existing: Repository | None) -> Repository:
    """Return the repository with the requested embedder, or else that of its index."""
    if existing is None or repository.embedder not in ("", existing.embedder):
        name = "" if repository.embedder == BUILTIN else repository.embedder
        return msgspec.structs.replace(repository, embedder=name)
    return msgspec.structs.replace(
        repository,
        embedder=existing.embedder,
        allowed_host=repository.allowed_host or existing.allowed_host,
    )


def check_allowed(settings: Settings, repository: Repository) -> None:
    """Raise EmbeddingError if the code may not go to its repository's endpoint."""
    model = _foreign(settings, repository)
    if model is not None:
        raise EmbeddingError(
            f"Indexing {repository.name!r} would send its code to {model.host}, which you have not "
            "allowed. To allow it, run in a terminal: "
            f"codeintel index {repository.root} --embed {repository.embedder}"
        )


def outlay_of(stored: StoredRepository, settings: Settings, rebuild: bool = False) -> Outlay | None:
    """Estimate what indexing would send to a host without consent; None if there is none.

    Raises
    ------
    EmbeddingError : ``embedders.toml`` has no such entry, or is invalid.
    """
    repository = stored.repository
    model = _foreign(settings, repository)
    if model is None:
        return None
    plan = plan_update(stored, settings, model.id, rebuild)
    with source_of(repository, settings).open() as reader:
        size = sum(_text_bytes(repository, reader, stat) for stat in plan.suspects)
    chunks = max(0, -(-size // CHUNK_BYTES) - stored_vectors(stored.folder, model.id))
    tokens = round(chunks * (CHUNK_BYTES + PATH_CHARACTERS) / CHARACTERS_A_TOKEN)
    return Outlay(
        repository.name, model.model, model.host, model.is_encrypted, chunks, tokens,
        tokens * model.price / 1e6, model.price,
    )  # fmt: skip


def _foreign(settings: Settings, repository: Repository) -> EndpointModel | None:
    """Return the repository's endpoint if its host needs consent."""
    if not repository.embedder:
        return None
    model = model_named(settings.home, repository.embedder)
    return None if model.is_loopback or model.host == repository.allowed_host else model


def _text_bytes(repository: Repository, reader: Reader, stat: FileStat) -> int:
    """Return the size of a file's text; of a notebook, without its pictures."""
    if not stat.path.lower().endswith((".ipynb", ".zpln")):
        return stat.size
    try:
        data, _ = reader.read(stat.path)
    except OSError:  # it is left out
        return 0
    if refusal(stat.path, data) is not None:
        return 0
    return len(document_of(stat.path, data, repository.outputs).content)
