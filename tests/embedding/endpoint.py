"""Embedding endpoint of the tests: the shipped table's vectors, turned, behind HTTP.

Its faults are those that real servers showed: see the functions below.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from codeintel_nb.embedding.embedder import default_embedder

Fault = Callable[[list[str]], "tuple[int, dict[str, str], Any] | None"]
KEY = "sk-a-secret-of-the-tests"


class Endpoint:
    """Requests that came, and the faults to show next."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.faults: list[Fault] = []  # of the next requests, one each
        self.always: Fault = lambda texts: None
        self.url = ""

    @property
    def texts(self) -> list[str]:
        return [text for request in self.requests for text in request["input"]]

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        self.requests.append(request)
        texts = request["input"]
        fault = self.faults.pop(0) if self.faults else self.always
        return fault(texts) or (200, {}, body(vectors_of(texts), request["encoding_format"]))

    def entry(self, **fields: Any) -> str:
        """Return an entry of embedders.toml."""
        values = {"url": self.url, "model": "turned-table", **fields}
        return "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())

    def describe(self, home: Path, name: str = "mine", **fields: Any) -> None:
        """Write embedders.toml with one entry."""
        home.mkdir(parents=True, exist_ok=True)
        (home / "embedders.toml").write_text(f"[{name}]\n{self.entry(**fields)}\n")


def vectors_of(texts: list[str]) -> np.ndarray:
    """Return the table's vectors with their components in another order: other vectors."""
    return np.ascontiguousarray(default_embedder().embed_code(texts)[:, ::-1])


def body(vectors: np.ndarray, encoding: str = "base64") -> dict[str, Any]:
    """Return an answer in the form of OpenAI's, its rows in reverse."""
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if encoding == "base64"
            else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    return {"object": "list", "data": rows[::-1], "usage": {"total_tokens": 7 * len(rows)}}


def refusing_longer_than(characters: int) -> Fault:
    """Refuse a whole batch for one long text, with status 500, as llama.cpp's server does."""

    def fault(texts: list[str]) -> tuple[int, dict[str, str], Any] | None:
        if max(map(len, texts)) <= characters:
            return None
        message = "input (2002 tokens) is too large to process. increase the physical batch size"
        return 500, {}, {"error": {"message": message, "type": "server_error"}}

    return fault


def status(code: int, message: str = "no", **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda texts: (code, named, {"error": {"message": message}})


@contextmanager
def served() -> Iterator[Endpoint]:
    """Serve an endpoint on a free port."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            endpoint.keys.append(self.headers.get("Authorization", ""))
            if self.path.endswith("/v1/embeddings"):  # of a proxy, it begins with the host
                code, headers, answer = endpoint.answer(request)
            else:
                code, headers, answer = 404, {}, {"error": "no such path"}
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
