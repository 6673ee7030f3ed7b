"""Models of embedding endpoints, described in ``embedders.toml`` of the index home."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...errors import EmbeddingError, did_you_mean

FILE = "embedders.toml"
BUILTIN = "builtin"  # the name of the shipped table
ID_PREFIX = "endpoint-"
CHARACTERS_A_TOKEN = 2.9  # of code, on average (measured)
_NAME = re.compile(r"[\w.-]{1,64}")
_EXAMPLE = 'An entry looks like this:\n[mine]\nurl = "http://127.0.0.1:8080/v1"\nmodel = "its name"'


class EndpointModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entry of ``embedders.toml``: a model, its endpoint and its limits."""

    url: str  # up to /v1; /embeddings is appended
    model: str
    dimensions: int = 0  # of a vector; 0 for the model's own
    matryoshka: bool = False  # longer vectors may be truncated to ``dimensions``
    query_prefix: str = ""  # prepended to a query
    code_prefix: str = ""  # prepended to code
    max_tokens: int = 512  # of an input; longer ones are cut
    batch: int = 32  # inputs in a request
    parallel: int = 1  # concurrent requests
    price: float = 0.0  # per million tokens, in any currency
    key_variable: str = ""  # environment variable with the key
    key_file: str = ""  # file with the key, readable by its owner alone

    @property
    def id(self) -> str:
        """Return the id of its vectors, which does not depend on the URL or the query prefix."""
        parts = [self.model, self.dimensions, self.code_prefix, self.max_tokens]
        digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()
        return f"{ID_PREFIX}{digest}"

    @property
    def host(self) -> str:
        """Return the host, with the port if given."""
        return urlsplit(self.url).netloc

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is on this machine."""
        name = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"

    @property
    def is_encrypted(self) -> bool:
        return self.url.startswith("https://")

    @property
    def max_characters(self) -> int:
        """Return the length of an input of ``max_tokens``, on average."""
        return int(self.max_tokens * CHARACTERS_A_TOKEN)

    def key(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return the key; empty if the entry names none.

        Raises
        ------
        EmbeddingError : the variable is unset, or others can read the file.
        """
        if self.key_variable:
            if not (key := environment.get(self.key_variable, "").strip()):
                raise EmbeddingError(
                    f"The environment variable {self.key_variable} with the key for {self.host} "
                    f"is not set. Set it, or change key_variable in {FILE}."
                )
            return key
        return _key_in(Path(self.key_file).expanduser()) if self.key_file else ""


def _key_in(file: Path) -> str:
    try:
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise EmbeddingError(
                f"The key file {file} can be read by other users. Run: chmod 600 {file}"
            )
        key = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise EmbeddingError(
            f"The key file {file} cannot be read ({reason}). Change key_file in {FILE}."
        ) from None
    if not key:
        raise EmbeddingError(f"The key file {file} is empty. Write the key to it.")
    return key


def read_models(home: Path) -> dict[str, EndpointModel]:
    """Return the entries of a home's ``embedders.toml`` by name; none without the file.

    Raises
    ------
    EmbeddingError : the file cannot be read, or an entry is invalid.
    """
    path = home / FILE
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EmbeddingError(f"The file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EmbeddingError(f"The file {path} is not valid TOML: {error}. {_EXAMPLE}") from None
    return {name: _model(path, name, entry) for name, entry in entries.items()}


def model_named(home: Path, name: str) -> EndpointModel:
    """Return an entry by name; EmbeddingError says how to add one."""
    models = read_models(home)
    if name not in models:
        raise EmbeddingError(
            f"{home / FILE} has no entry {name!r}.{did_you_mean(name, {*models, BUILTIN})} "
            f"{_EXAMPLE}"
        )
    return models[name]


def _model(path: Path, name: str, entry: Any) -> EndpointModel:
    try:
        model = msgspec.convert(entry, EndpointModel)
        _check(name, model)
    except (msgspec.ValidationError, ValueError) as error:
        raise EmbeddingError(f"The entry [{name}] of {path} is invalid: {error}") from None
    return model


def _check(name: str, model: EndpointModel) -> None:
    """Raise ValueError for an invalid value."""
    if not _NAME.fullmatch(name) or name == BUILTIN:
        raise ValueError(f"{name!r} cannot be a name. Use letters, digits, '.', '-' and '_'.")
    parts = urlsplit(model.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url must begin with http:// or https://, not {model.url!r}.")
    if parts.username or parts.password or parts.query:
        raise ValueError("url must not contain a key. Use key_variable instead.")
    if not model.model:
        raise ValueError("model is empty.")
    for field in ("max_tokens", "batch", "parallel"):
        if getattr(model, field) < 1:
            raise ValueError(f"{field} must be at least 1.")
    if model.dimensions < 0:
        raise ValueError("dimensions must not be negative.")
    if not (0 <= model.price < math.inf):
        raise ValueError("price must not be negative.")
    if model.key_variable and model.key_file:
        raise ValueError("give either key_variable or key_file, not both.")
