"""A client of HTTP/2 that asks and takes no byte of the answer until it is told to."""

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.robustness.framing import frame, headers, preface

__all__ = ["Deaf", "asking"]

_DATA, _RST_STREAM, _SETTINGS, _WINDOW = 0, 3, 4, 8
_FRAME_HEAD = 9
_END_STREAM = 1
_INITIAL_WINDOW_SIZE = 4
_PLENTY = struct.pack(">I", 1 << 24)


class Deaf:
    """A call whose window is 0 bytes (RFC 9113, section 6.9.2)."""

    def __init__(self, connection: socket.socket, method: str, request: bytes) -> None:
        self._connection = connection
        self._heard = b""
        connection.sendall(
            preface()
            + frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, 0))
            + headers(1, **{":path": method})
            + frame(_DATA, _END_STREAM, 1, struct.pack(">BI", 0, len(request)) + request)
        )

    def is_reset(self) -> bool:
        """Say whether the server has ended the call by a frame for that, so far."""
        if select.select([self._connection], [], [], 0)[0]:
            self._heard += self._connection.recv(65536)
        at, kinds = 0, set()
        while at + _FRAME_HEAD <= len(self._heard):
            kinds.add(self._heard[at + 3])
            at += _FRAME_HEAD + int.from_bytes(self._heard[at : at + 3])
        return _RST_STREAM in kinds

    def listen(self) -> int:
        """Open the window, and return how many bytes came before the server closed."""
        self._connection.sendall(frame(_WINDOW, 0, 0, _PLENTY) + frame(_WINDOW, 0, 1, _PLENTY))
        received = 0
        while part := self._connection.recv(65536):
            received += len(part)
        return received


@contextmanager
def asking(target: str, method: str, request: bytes) -> Iterator[Deaf]:
    """Hold such a call open.

    Args:
        target: HOST:PORT.
        method: full name.
        request: the message.
    """
    host, port = target.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        yield Deaf(connection, method, request)
