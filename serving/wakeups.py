"""An event loop that takes all of gRPC's wake-ups at once.

A thread of ``grpc.aio`` waits for events, and for each it writes a byte to a socket. The event
loop, woken by that, reads one byte and takes all events that are there. Under load these are
several, and each byte that is left over wakes the loop once more, for nothing: four turns of the
loop for a request, where one is enough.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVarTuple

import uvloop

__all__ = ["EventLoop", "empty_at_once"]

_Ts = TypeVarTuple("_Ts")

_GRPC = "grpc._cython.cygrpc"
_MANY = 256


class EventLoop(uvloop.Loop):
    """uvloop's event loop, with sockets that gRPC's wake-ups come by emptied at once."""

    def add_reader(self, fd: Any, callback: Callable[[*_Ts], Any], *args: *_Ts) -> None:
        """Call ``callback`` whenever there is something to read.

        Args:
            fd: a file, or its number.
            callback: what to call.
            args: with what.
        """
        if isinstance(fd, socket.socket) and _is_grpcs(callback):
            empty_at_once(fd)
        super().add_reader(fd, callback, *args)


class _EmptiedAtOnce(socket.socket):
    __slots__ = ()

    def recv(self, _size: int, flags: int = 0, /) -> bytes:
        return super().recv(_MANY, flags)


def empty_at_once(wakeups: socket.socket) -> None:
    """Have whoever reads a byte of this socket read all that are there.

    gRPC made the socket and keeps it where nobody else can reach; but it is this very object that
    it calls, and what it reads it does not look at. A byte is written after its event has been put
    down, so the event of a byte that was read is there to be taken.
    """
    wakeups.__class__ = _EmptiedAtOnce


def _is_grpcs(callback: Callable[..., Any]) -> bool:
    method = callback.func if isinstance(callback, partial) else callback
    return type(getattr(method, "__self__", None)).__module__ == _GRPC
