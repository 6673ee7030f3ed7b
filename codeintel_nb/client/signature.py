"""Signature of a kernel's requests, with its connection file's key.

The server has the same key, so no token is in any environment. A signature is valid for one request
of one kernel, for a minute, and for nothing else on the server.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

SCHEME = "CodeIntel"
SKEW_S = 60  # maximum difference between the two clocks
_VERSION = b"codeintel-v1"


def sign(
    key: bytes, kernel_id: str, method: str, uri: str, body: bytes, at: int, nonce: str
) -> str:
    """Return a request's HMAC-SHA256 in hexadecimal; ``at`` is Unix seconds."""
    parts = [
        _VERSION,
        kernel_id.encode(),
        method.encode(),
        uri.encode(),
        str(at).encode(),
        nonce.encode(),
        hashlib.sha256(body).digest(),
    ]
    return hmac.new(key, b"\0".join(parts), hashlib.sha256).hexdigest()


def credential(key: bytes, kernel_id: str, method: str, uri: str, body: bytes) -> str:
    """Return the Authorization header of a request made now."""
    at, nonce = int(time.time()), secrets.token_hex(8)
    return f"{SCHEME} {kernel_id}:{at}:{nonce}:{sign(key, kernel_id, method, uri, body, at, nonce)}"
