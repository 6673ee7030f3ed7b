"""Messages between processes of one user, over the loopback interface.

A process that answers commands writes its address and a secret key to the index home. Both sides
prove that they know the key before a message is read: after that process has ended, another user's
may listen on its port. This module imports little, because every command begins with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from .version import __version__

FILE = os.path.join("v1", "answering.json")
GREETING_S = 1.0  # to connect and to prove the key
SEND_S = 30.0  # for the other side to take a message
MAX_BYTES = 1 << 30  # of a message
_NONCE, _MAC = 32, hashlib.sha256().digest_size
_LOOPBACK = "127.0.0.1"
# variables that decide which files are searched, and how they are read
_PREFIXES = ("CODEINTEL_", "GIT_CONFIG")
_NAMES = ("HOME", "USERPROFILE", "XDG_CONFIG_HOME")
_OTHERS = frozenset(  # of this prefix, but without effect on a search
    {
        "CODEINTEL_BUILD_WORKERS", "CODEINTEL_DEBUG", "CODEINTEL_HOME", "CODEINTEL_LOCAL",
        "CODEINTEL_SERVE", "CODEINTEL_SERVER_CA", "CODEINTEL_SERVER_TOKEN", "CODEINTEL_TOKEN",
    }
)  # fmt: skip


class ExchangeError(Exception):
    """Failure of the other side to prove the key, or a broken message."""


class Address(NamedTuple):
    """Address of a process that answers commands, as written to the home."""

    port: int
    key: bytes
    pid: int
    host: str  # the machine: a home may be shared by several
    version: str
    environment: str  # digest of the variables on which answers depend

    @classmethod
    def of_this_process(cls, port: int, variables: Mapping[str, str] = os.environ) -> Address:
        key, host = os.urandom(32), socket.gethostname()
        return cls(port, key, os.getpid(), host, __version__, digest_of(key, variables))

    def serves(self) -> bool:
        """Whether this process's commands would get the same answers there as here."""
        here = (socket.gethostname(), __version__, digest_of(self.key))
        return (self.host, self.version, self.environment) == here


def digest_of(key: bytes, variables: Mapping[str, str] = os.environ) -> str:
    """Return a digest of the variables on which answers depend, which may hold secrets."""
    values = sorted(
        (name, value)
        for name, value in variables.items()
        if (name.startswith(_PREFIXES) and name not in _OTHERS) or name in _NAMES
    )
    return _mac(key, b"environment", json.dumps(values).encode()).hex()


def read_address(home: str) -> Address | None:
    """Return the address in a home, or None."""
    try:
        with open(os.path.join(home, FILE), "rb") as file:
            fields = json.loads(file.read())
        return Address(**{**fields, "key": bytes.fromhex(fields["key"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_address(home: str, address: Address) -> None:
    """Write an address to a home, readable by this user alone."""
    path = os.path.join(home, FILE)
    for folder in (home, os.path.dirname(path)):  # each private, if it is new
        os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(json.dumps({**address._asdict(), "key": address.key.hex()}).encode())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def remove_address(home: str, address: Address) -> None:
    """Remove an address, unless another process has replaced it."""
    if read_address(home) == address:
        with suppress(OSError):
            os.unlink(os.path.join(home, FILE))


class Channel:
    """Connection on which both sides have proved that they know the key."""

    def __init__(self, connection: socket.socket, key: bytes, session: bytes) -> None:
        self._connection, self._key, self._session = connection, key, session

    @classmethod
    def to(cls, address: Address) -> Channel:
        """Connect to an address.

        Raises
        ------
        OSError, ExchangeError : nobody answers there, or somebody without the key.
        """
        ends_at = time.monotonic() + GREETING_S
        connection = socket.create_connection((_LOOPBACK, address.port), GREETING_S)
        try:
            own = os.urandom(_NONCE)
            connection.sendall(own)
            session = own + _received(connection, _NONCE, ends_at)
            _check(_received(connection, _MAC, ends_at), address.key, b"server", session)
            connection.sendall(_mac(address.key, b"client", session))
        except BaseException:
            connection.close()
            raise
        return cls(connection, address.key, session)

    @classmethod
    def of(cls, connection: socket.socket, key: bytes) -> Channel:
        """Accept a connection; raises like ``to``."""
        ends_at = time.monotonic() + GREETING_S
        other = _received(connection, _NONCE, ends_at)
        own = os.urandom(_NONCE)
        session = other + own
        connection.sendall(own + _mac(key, b"server", session))
        _check(_received(connection, _MAC, ends_at), key, b"client", session)
        return cls(connection, key, session)

    def send(self, role: bytes, message: bytes) -> None:
        proof = _mac(self._key, role, self._session + message)
        self._connection.settimeout(SEND_S)
        self._connection.sendall(len(message).to_bytes(8, "little") + proof + message)

    def receive(self, role: bytes, wait_s: float) -> bytes:
        """Return the other side's message.

        Raises
        ------
        OSError, ExchangeError : it did not come in time, or is not from the other side.
        """
        ends_at = time.monotonic() + wait_s
        size = int.from_bytes(_received(self._connection, 8, ends_at), "little")
        if size > MAX_BYTES:
            raise ExchangeError("The message is too long.")
        proof = _received(self._connection, _MAC, ends_at)
        message = _received(self._connection, size, ends_at)
        _check(proof, self._key, role, self._session + message)
        return message

    def is_closed(self) -> bool:
        """Whether the other side has closed the connection; it must not send otherwise."""
        self._connection.settimeout(0)
        try:
            return self._connection.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self._connection.close()


def _mac(key: bytes, role: bytes, text: bytes) -> bytes:
    return hmac.digest(key, role + b"\0" + text, "sha256")


def _check(proof: bytes, key: bytes, role: bytes, text: bytes) -> None:
    if not hmac.compare_digest(proof, _mac(key, role, text)):
        raise ExchangeError("The other side does not know the key.")


def _received(connection: socket.socket, size: int, ends_at: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        connection.settimeout(max(0.001, ends_at - time.monotonic()))
        part = connection.recv(min(1 << 20, size - len(received)))
        if not part:
            raise ExchangeError("The connection was closed.")
        received += part
    return bytes(received)
