"""Caller: who sent a request, and how to reach them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from ..search.cancel import Cancel


class Caller(msgspec.Struct):
    """Client of one request."""

    session_id: str
    request_id: str = ""  # unique among the calls of its owner
    owner: str = ""  # only the owner of a call can end it
    kernel_id: str = ""  # of the kernel that signed the request
    kernel_python: Callable[[], str] = str  # returns its interpreter, or an empty text
    is_page: bool = False  # a page of this server in a browser
    can_confirm: bool = False  # a page whose user may confirm a folder outside the server's
    wants_events: bool = False  # answers to long calls are streams of events
    cancel: threading.Event = msgspec.field(default_factory=Cancel)

    def key(self, request_id: str = "") -> str:
        """Return the key of a call, by default this one."""
        return f"{self.session_id} {self.owner} {request_id or self.request_id}"
