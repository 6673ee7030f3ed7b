"""Client of an embedding endpoint: batches, retries, and inputs cut to the model's length."""

from __future__ import annotations

import os
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
QUERY_S = 5.0  # for a query; then the search continues by words alone
RETRY_QUERY_S = 15.0  # queries fail at once for so long after one got no response
MAX_QUERIES = 256  # with cached vectors
CUT = 0.7  # share of a refused input to send next
SHORTEST = 16  # characters; a shorter input is never too long


class EndpointEmbedder:
    """Model behind an OpenAI-compatible endpoint.

    A refused batch is halved, and a refused text is cut. ``dim`` is the number of dimensions if an
    index knows it; otherwise the endpoint is probed. Every response must have it.
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
        self._owner = os.getpid()  # the process that opened its connections
        self._queries: OrderedDict[str, Vectors] = OrderedDict()
        self._unreachable: tuple[float, EmbeddingError] | None = None  # until when, and why
        self._lock = threading.Lock()

    @property
    def dim(self) -> int:
        """Return the number of dimensions; the endpoint is probed at most once."""
        if not self._dim:
            self._alone("probe")
        return self._dim

    @property
    def batch(self) -> int:
        """Return the number of texts in one round of requests."""
        return self.model.batch * self.model.parallel

    def embed_code(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self._dim), np.float32)
        # some servers refuse an empty input
        inputs = [f"{self.model.code_prefix}{text}" or " " for text in texts]
        self._count_truncated(sum(len(text) > self.model.max_characters for text in inputs))
        inputs = [text[: self.model.max_characters] for text in inputs]
        batches = list(self._batches(inputs))
        with ThreadPoolExecutor(self.model.parallel) as pool:
            parts = list(pool.map(self._halved, [[inputs[i] for i in one] for one in batches]))
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for batch, part in zip(batches, parts, strict=True):
            vectors[batch] = part
        return vectors

    def embed_query(self, text: str) -> Vectors:
        with self._lock:
            if text in self._queries:
                self._queries.move_to_end(text)
                return self._queries[text]
            if self._unreachable is not None and time.monotonic() < self._unreachable[0]:
                raise self._unreachable[1]
        query = f"{self.model.query_prefix}{text}"[: self.model.max_characters]
        vectors = self._alone(query, 0, QUERY_S)
        with self._lock:
            self._queries[text] = vectors
            while len(self._queries) > MAX_QUERIES:
                self._queries.popitem(last=False)
        return vectors

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the positions of each batch; texts of similar length go together."""
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
            if len(texts[0]) < self.model.max_characters:  # not cut before
                self._count_truncated(1)
            return vectors

    def _count_truncated(self, count: int) -> None:
        with self._lock:
            self.truncated += count

    def _alone(self, text: str, retries: int = RETRIES, read_s: float = READ_S) -> Vectors:
        """Return the vector of one text, which is not cut."""
        try:
            return self._ask([text], retries, read_s)
        except _Refused as refusal:
            raise self._error(str(refusal)) from None

    def _ask(self, texts: list[str], retries: int = RETRIES, read_s: float = READ_S) -> Vectors:
        """Return unit vectors of one request, retried while the server is busy."""
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
        if retries:
            raise self._error(f"is unavailable after {retries + 1} attempts: {reason}")
        error = self._error(f"is unavailable: {reason}")
        self._unreachable = time.monotonic() + RETRY_QUERY_S, error
        raise error

    def _attempt(
        self, body: dict[str, Any], count: int, read_s: float
    ) -> tuple[Vectors | None, str, float | None]:
        """Return the vectors of one attempt; or None, the reason, and the seconds to wait.

        Raises
        ------
        _Refused : the inputs are too long or too many.
        EmbeddingError : a retry would not help.
        """
        httpx = _httpx()
        client = self._connected()
        timeout = httpx.Timeout(read_s, connect=min(CONNECT_S, read_s))
        with self._lock:
            self.requests += 1
        try:
            response = client.post("embeddings", json=body, timeout=timeout)
        except httpx.TimeoutException:
            return None, f"no response within {read_s:.0f} s", None
        except httpx.HTTPError as error:
            return None, str(error) or type(error).__name__, None
        status, message = response.status_code, response.text[:300]
        if status == 200:
            return self._vectors_in(response, count), "", None
        if status in REFUSED or says_too_long(status, message):
            raise _Refused(f"rejected an input: {message}", says_too_long(status, message))
        if status in (401, 403):
            raise self._error(
                f"rejected the key (HTTP {status}). Check key_variable or key_file in {FILE}."
            )
        if status == 404:
            raise self._error(f"has no such model or path. Check url and model in {FILE}.")
        if status not in BUSY:
            where = response.headers.get("location", "")
            raise self._error(f"returned HTTP {status}: {where or message}")
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
                f"returned no usable embeddings: {error}. Check url and model in {FILE}."
            ) from None
        with self._lock:
            self.tokens += tokens_in(answer)
        return vectors

    def _checked(self, vectors: Vectors) -> Vectors:
        """Return unit vectors with the expected dimensions.

        Raises
        ------
        EmbeddingError : the server ignores ``dimensions``, or its model has changed.
        """
        dimensions = self.model.dimensions
        if dimensions and vectors.shape[1] != dimensions:
            if vectors.shape[1] < dimensions or not self.model.matryoshka:
                raise self._error(
                    f"returned {vectors.shape[1]} dimensions instead of {dimensions}. Change "
                    f"dimensions in {FILE}; for a Matryoshka model, set matryoshka = true."
                )
            vectors = vectors[:, :dimensions]
        self._dim = self._dim or vectors.shape[1]
        if vectors.shape[1] != self._dim:
            raise self._error(
                f"returned {vectors.shape[1]} dimensions, but the index has {self._dim}. "
                "The model has changed. To rebuild, run: codeintel index PATH --rebuild"
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None or self._owner != os.getpid():  # a fork shares no connection
                if self._key is None:
                    self._key = self.model.key()
                headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
                self._client = _httpx().Client(
                    base_url=self.model.url,
                    headers=headers,
                    trust_env=not self.model.is_loopback,  # no proxy gets what stays here
                )
                self._owner = os.getpid()
            return self._client

    def _error(self, reason: str) -> EmbeddingError:
        if self._key:  # the server may repeat it
            reason = reason.replace(self._key, "***")
        return EmbeddingError(f"The embedding endpoint {self.model.host} {reason}")


class _Refused(Exception):
    """Rejection of a batch. A smaller batch may be accepted."""

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
