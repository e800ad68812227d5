"""gRPC's wake-ups: read whole, and none lost."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVarTuple

import grpc
import pytest

from serving.wakeups import EventLoop, empty_at_once

_Ts = TypeVarTuple("_Ts")

CALLS = 300


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield the two ends of a connection that wait for nothing."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield near, far


def test_all_that_is_there_is_read_at_once(ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    empty_at_once(near)
    far.send(b"1" * 20)

    assert near.recv(1) == b"1" * 20
    with pytest.raises(BlockingIOError):
        near.recv(1)


def test_readers_that_are_not_grpcs_read_what_they_ask_for(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    found: list[bytes] = []

    async def wait() -> None:
        done = asyncio.Event()

        def read() -> None:
            found.append(near.recv(1))
            done.set()

        asyncio.get_running_loop().add_reader(near, read)
        far.send(b"12")
        await done.wait()
        asyncio.get_running_loop().remove_reader(near)

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(wait())
    assert found[0] == b"1"


class _Noting(EventLoop):
    """Notes the sockets that it is given to watch."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[Any] = []

    def add_reader(self, fd: Any, callback: Callable[[*_Ts], Any], *args: *_Ts) -> None:
        super().add_reader(fd, callback, *args)
        self.watched.append(fd)


async def _echo(request: bytes, _context: Any) -> bytes:
    return request


class _Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # not generic at run time
    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(_echo)


def test_grpcs_own_socket_is_known_and_no_call_is_lost() -> None:
    async def ask() -> list[bytes]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Echo(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/any/thing", bytes, bytes)
            answers = await asyncio.gather(*(call(b"%d" % i, timeout=20) for i in range(CALLS)))
        await server.stop(None)
        return answers

    loop = _Noting()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        answers = runner.run(ask())

    assert answers == [b"%d" % i for i in range(CALLS)]
    # gRPC has one such socket for all servers and channels of a process, bound to this loop now.
    assert [fd for fd in loop.watched if type(fd) is not socket.socket]
