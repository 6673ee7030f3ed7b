"""Authorization of people by cookie or token, kernels by signature."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

from jupyter_core.utils import ensure_async

from codeintel_nb.client.signature import SCHEME, SKEW_S, sign
from codeintel_nb.server.problems import Refused

from .kernels import Kernels

RESOURCE = "codeintel"  # for the Authorizer


class Signatures:
    """Verifier of kernels' signatures; each is valid once."""

    def __init__(self, kernels: Kernels, clock: Callable[[], float] = time.time) -> None:
        self._kernels = kernels
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()  # used ones, oldest first

    def kernel_of(self, header: str, method: str, uri: str, body: bytes) -> str | None:
        """Return the signing kernel's id; None for an invalid signature."""
        now = self._clock()
        try:
            kernel_id, at, nonce, mac = header.removeprefix(SCHEME).strip().split(":")
            if abs(now - int(at)) > SKEW_S:
                return None
            key = self._kernels.key(kernel_id)
            signed = bool(key) and hmac.compare_digest(
                sign(key, kernel_id, method, uri, body, int(at), nonce).encode(), mac.encode()
            )
        # not four parts, no number, one of 400 digits, half a surrogate
        except (ValueError, OverflowError):
            return None
        if not signed or (kernel_id, nonce) in self._seen:
            return None
        self._seen[kernel_id, nonce] = now
        while self._seen and now - next(iter(self._seen.values())) > 2 * SKEW_S:
            self._seen.popitem(last=False)
        return kernel_id


async def check_access(
    handler: Any, action: str, kernels: Literal["any", "own", "none"], session_id: str
) -> None:
    """Raise Refused unless a person or a kernel may do this.

    A person needs the Authorizer's permission for ``action``. ``kernels`` admits any kernel, the
    one of the session (own), or none.
    """
    if handler.kernel_id is not None:
        if kernels == "none" or (kernels == "own" and session_id != handler.kernel_id):
            raise Refused(403, "A kernel's signature is valid for its own scope only.")
    elif handler.current_user is None:
        raise Refused(403, "Nobody is logged in. Send the server's token, or log in.")
    elif not await ensure_async(
        handler.authorizer.is_authorized(handler, handler.current_user, action, RESOURCE)
    ):
        raise Refused(
            403,
            f"{handler.current_user.username!r} is not allowed to {action} {RESOURCE!r} "
            "on this server.",
        )
