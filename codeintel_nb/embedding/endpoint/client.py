"""Client of an embedding endpoint: batches, retries, and inputs cut to the model's length."""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ...errors import EmbeddingError, MissingExtra
from ..embedder import Vectors
from .models import FILE, EndpointModel
from .responses import BUSY, REFUSED, says_too_long, tokens_in, vectors_in, wait_s

MAX_CHARACTERS = 32_000  # of a request
RETRIES = 6
MAX_WAIT_S = 60.0  # between tries
CONNECT_S, READ_S = 10.0, 120.0
QUERY_S = 5.0  # of a query; then the search goes on by words alone
AWAY_S = 15.0  # after a failed query, others fail at once
MAX_QUERIES = 256  # with remembered vectors
CUT = 0.7  # share of a too long input that is tried next
SHORTEST = 16  # characters of an input that no model may refuse as too long


class EndpointEmbedder:
    """Model behind an OpenAI-compatible endpoint.

    The batches are sorted by length, so that servers pad little. A refused batch is halved, a
    refused text is cut. ``dim``, if known from an index, spares a probe; every answer must agree.
    """

    is_remote = True

    def __init__(
        self,
        model: EndpointModel,
        dim: int = 0,
        key: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.model, self.id = model, model.id
        self.truncated = self.tokens = self.requests = 0
        self._dim, self._key, self._sleep = dim, key, sleep
        self._client: Any = None
        self._queries: OrderedDict[str, Vectors] = OrderedDict()
        self._away: tuple[float, EmbeddingError] | None = None  # until when, and why
        self._lock = threading.Lock()

    @property
    def dim(self) -> int:
        """Return the number of components, asked of the server once."""
        if not self._dim:
            self._alone("probe")
        return self._dim

    def may_have(self, dim: int) -> bool:
        """Whether its vectors may have this length, as far as is known; 0 fits any."""
        return not (dim and self._dim) or dim == self._dim

    def embed_code(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self._dim), np.float32)
        batches = list(self._batches(texts))
        prefix = self.model.code_prefix
        # an empty input is refused by some servers
        inputs = [[f"{prefix}{texts[i]}" or " " for i in batch] for batch in batches]
        with ThreadPoolExecutor(self.model.parallel) as pool:
            parts = list(pool.map(self._halved, inputs))
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for batch, part in zip(batches, parts, strict=True):
            vectors[batch] = part
        return vectors

    def embed_query(self, text: str) -> Vectors:
        with self._lock:
            if text in self._queries:
                self._queries.move_to_end(text)
                return self._queries[text]
            if self._away is not None and time.monotonic() < self._away[0]:
                raise self._away[1]
        try:
            vectors = self._alone(f"{self.model.query_prefix}{text}", 0, QUERY_S)
        except EmbeddingError as error:
            self._away = time.monotonic() + AWAY_S, error
            raise
        with self._lock:
            self._queries[text] = vectors
            while len(self._queries) > MAX_QUERIES:
                self._queries.popitem(last=False)
        return vectors

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield positions of texts to send together: of like lengths, within the bounds."""
        batch, size = list[int](), 0
        for position in sorted(range(len(texts)), key=lambda i: len(texts[i])):
            length = len(texts[position])
            if batch and (len(batch) == self.model.batch or size + length > MAX_CHARACTERS):
                yield batch
                batch, size = [], 0
            batch.append(position)
            size += length
        if batch:
            yield batch

    def _halved(self, texts: list[str]) -> Vectors:
        """Return the texts' vectors, halving a refused batch and cutting a refused text."""
        try:
            return self._ask(texts)
        except _Refused as refusal:
            if len(texts) > 1:
                middle = len(texts) // 2
                return np.concatenate([self._halved(texts[:middle]), self._halved(texts[middle:])])
            if not refusal.is_too_long or len(texts[0]) < SHORTEST:
                raise self._error(str(refusal)) from None
        text = texts[0]
        while True:
            text = text[: int(len(text) * CUT)]
            try:
                vectors = self._ask([text])
            except _Refused as refusal:
                if len(text) < SHORTEST:
                    raise self._error(str(refusal)) from None
                continue
            with self._lock:
                self.truncated += 1
            return vectors

    def _alone(self, text: str, retries: int = RETRIES, read_s: float = READ_S) -> Vectors:
        """Return the vector of one text, for which there is no second try in parts."""
        try:
            return self._ask([text], retries, read_s)
        except _Refused as refusal:
            raise self._error(str(refusal)) from None

    def _ask(self, texts: list[str], retries: int = RETRIES, read_s: float = READ_S) -> Vectors:
        """Return unit vectors of one request, tried again while the server is busy."""
        body: dict[str, Any] = {
            "model": self.model.model, "input": texts, "encoding_format": "base64",
        }  # fmt: skip
        if self.model.dimensions:
            body["dimensions"] = self.model.dimensions
        for attempt in range(retries + 1):
            vectors, reason, wait = self._attempt(body, len(texts), read_s)
            if vectors is not None:
                return self._checked(vectors)
            if attempt < retries:
                backoff = 0.5 * 2**attempt * (0.5 + random.random() / 2)
                self._sleep(min(MAX_WAIT_S, backoff if wait is None else wait))
        tries = f" after {retries + 1} tries" if retries else ""
        raise self._error(f"does not answer{tries}: {reason}")

    def _attempt(
        self, body: dict[str, Any], count: int, read_s: float
    ) -> tuple[Vectors | None, str, float | None]:
        """Return the vectors of one try, or None with the reason and the time to wait.

        Raises
        ------
        _Refused : the inputs are too long or too many.
        EmbeddingError : another try would not help.
        """
        httpx = _httpx()
        client = self._connected()
        timeout = httpx.Timeout(read_s, connect=min(CONNECT_S, read_s))
        with self._lock:
            self.requests += 1
        try:
            response = client.post("embeddings", json=body, timeout=timeout)
        except httpx.TimeoutException:
            return None, f"no answer within {read_s:.0f} s", None
        except httpx.HTTPError as error:
            return None, str(error) or type(error).__name__, None
        status, message = response.status_code, response.text[:300]
        if status == 200:
            return self._vectors_in(response, count), "", None
        if status in REFUSED or says_too_long(status, message):
            raise _Refused(f"refuses an input: {message}", says_too_long(status, message))
        if status in (401, 403):
            raise self._error(
                f"refuses the key (HTTP {status}). Check key_variable or key_file in {FILE}."
            )
        if status == 404:
            raise self._error(f"knows no such model or path. Check url and model in {FILE}.")
        if status not in BUSY:
            where = response.headers.get("location", "")
            raise self._error(f"answers HTTP {status}: {where or message}")
        return None, f"HTTP {status}", wait_s(response.headers)

    def _vectors_in(self, response: Any, count: int) -> Vectors:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        try:
            vectors = vectors_in(answer, count)
        except ValueError as error:
            raise self._error(
                f"gives no usable answer: {error}. Check url and model in {FILE}."
            ) from None
        with self._lock:
            self.tokens += tokens_in(answer)
        return vectors

    def _checked(self, vectors: Vectors) -> Vectors:
        """Return unit vectors of the expected length.

        Raises
        ------
        EmbeddingError : the server ignores ``dimensions``, or its model has changed.
        """
        dimensions = self.model.dimensions
        if dimensions and vectors.shape[1] != dimensions:
            if vectors.shape[1] < dimensions or not self.model.matryoshka:
                raise self._error(
                    f"gives {vectors.shape[1]} components instead of {dimensions}. Change "
                    f"dimensions in {FILE}; for a Matryoshka model, set matryoshka = true."
                )
            vectors = vectors[:, :dimensions]
        self._dim = self._dim or vectors.shape[1]
        if vectors.shape[1] != self._dim:
            raise self._error(
                f"gives {vectors.shape[1]} components, but the index has {self._dim}. "
                "The model has changed; rebuild with: codeintel index PATH --rebuild"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                if self._key is None:
                    self._key = self.model.key()
                headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
                self._client = _httpx().Client(
                    base_url=self.model.url,
                    headers=headers,
                    trust_env=not self.model.is_loopback,  # no proxy gets what stays here
                )
            return self._client

    def _error(self, reason: str) -> EmbeddingError:
        if self._key:  # a server may quote it
            reason = reason.replace(self._key, "***")
        return EmbeddingError(f"The embedding endpoint {self.model.host} {reason}")


class _Refused(Exception):
    """Refusal of a batch, for its length or another reason that smaller ones may not have."""

    def __init__(self, message: str, is_too_long: bool) -> None:
        super().__init__(message)
        self.is_too_long = is_too_long


def _httpx() -> Any:
    """Import httpx at its first use: it takes 0.1 s."""
    try:
        import httpx
    except ImportError:
        raise MissingExtra("endpoint", needed_by="An embedding endpoint") from None
    return httpx
