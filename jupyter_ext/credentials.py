"""Authorization: a person by Jupyter's own cookie or token, a kernel by its signature."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Literal, TypeVar

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import allow_unauthenticated
from tornado.web import HTTPError

from codeintel_nb.client.signature import SCHEME, SKEW_S, sign

from .kernels import Kernels

RESOURCE = "codeintel"  # for the Authorizer

_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[None]])


class Signatures:
    """Verifier of kernels' signatures; each is valid once."""

    def __init__(self, kernels: Kernels, clock: Callable[[], float] = time.time) -> None:
        self._kernels = kernels
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()  # used ones, oldest first

    def kernel_of(self, header: str, method: str, uri: str, body: bytes) -> str | None:
        """Return the id of the signing kernel; None if the signature is invalid."""
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


def kernel_or_user(
    action: str, kernels: Literal["any", "own", "none"] = "any"
) -> Callable[[_Handler], _Handler]:
    """Return a decorator to admit a person or a kernel.

    A person needs the Authorizer's permission for ``action``. ``kernels`` admits any kernel, the
    one in the path (own), or none.
    """

    def decorate(method: _Handler) -> _Handler:
        @wraps(method)
        async def checked(self: Any, *path: str) -> None:
            if self.kernel_id is not None:
                if kernels == "none" or (kernels == "own" and path[0] != self.kernel_id):
                    raise refused("A kernel's signature is good for its own scope alone.")
            elif self.current_user is None:
                raise refused("Nobody is logged in. Send the server's token, or log in.")
            elif not await ensure_async(
                self.authorizer.is_authorized(self, self.current_user, action, RESOURCE)
            ):
                raise refused(
                    f"{self.current_user.username!r} is not allowed to {action} {RESOURCE!r} "
                    "on this server."
                )
            await method(self, *path)

        return allow_unauthenticated(checked)  # type: ignore[no-any-return]

    return decorate


class Refused(HTTPError):
    """A 4xx answer with a message for the client; only the request's own line is logged."""

    def __init__(self, status: int, detail: str, error: str = "", question: str = "") -> None:
        super().__init__(status)
        self.detail = detail
        self.error = error
        self.question = question  # to ask the user


def refused(detail: str) -> Refused:
    return Refused(403, detail)
