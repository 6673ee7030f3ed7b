"""A kernel's credential: each request is signed with the key of the kernel's connection file.

The server holds the same key, so no token stands in any environment. A signature is good for one request of one kernel,
for a minute, and for nothing else on the server.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

SCHEME = "CodeIntel"
SKEW_S = 60  # between the two clocks, at most
_VERSION = b"codeintel-v1"


def sign(
    key: bytes, kernel_id: str, method: str, uri: str, body: bytes, at: int, nonce: str
) -> str:
    """HMAC-SHA256 over everything that a request says, in hexadecimal; ``at`` is seconds since 1970."""
    said = [
        _VERSION,
        kernel_id.encode(),
        method.encode(),
        uri.encode(),
        str(at).encode(),
        nonce.encode(),
        hashlib.sha256(body).digest(),
    ]
    return hmac.new(key, b"\0".join(said), hashlib.sha256).hexdigest()


def credential(key: bytes, kernel_id: str, method: str, uri: str, body: bytes) -> str:
    """The Authorization header of a request that is made now."""
    at, nonce = int(time.time()), secrets.token_hex(8)
    return f"{SCHEME} {kernel_id}:{at}:{nonce}:{sign(key, kernel_id, method, uri, body, at, nonce)}"
