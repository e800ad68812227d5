"""The ports of a process: their limits, their errors, and since when they take connections."""

import asyncio
import socket
from contextlib import closing
from typing import Any

import grpc
import pytest

from serving.claim import CannotBind, Claim
from serving.connections import channel_arguments
from serving.health import Health
from serving.listeners import Listeners
from serving.ports import HealthPort
from serving.settings import Settings

LIMIT = "grpc.max_allowed_incoming_connections"


def test_listeners_divide_the_connections() -> None:
    """Each of several servers on a port takes its part, rounded up."""
    settings = Settings(max_connections=1000)

    limits = [
        dict(channel_arguments(settings, servers=servers, shared=True))[LIMIT]
        for servers in (1, 3, 4)
    ]

    assert limits == [1000, 334, 250]


@pytest.mark.parametrize(("most", "expected"), [(1000, 128), (100, 100)])
def test_health_has_its_own_connections(
    monkeypatch: pytest.MonkeyPatch, most: int, expected: int
) -> None:
    """The port for health has one server, and few calls: nobody there has shown who they are."""
    seen: dict[str, int] = {}

    class Noted(Exception):
        """Enough was seen."""

    def note(*, options: Any) -> None:
        seen.update(options)
        raise Noted

    monkeypatch.setattr(grpc.aio, "server", note)

    with pytest.raises(Noted):
        HealthPort(Settings(max_connections=most, listeners=4, health_port=0), None, alone=True)

    assert seen[LIMIT] == expected
    assert seen["grpc.max_concurrent_streams"] == 8


def test_taken_health_port_is_named() -> None:
    """Which of the ports is taken is said."""

    async def bind(port: int) -> None:
        HealthPort(Settings(health_port=port), Health(), alone=True)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CannotBind, match=f"^health: cannot listen on 127.0.0.1:{port}: "):
            asyncio.run(bind(port))


@pytest.mark.parametrize("kind", ["gRPC", "health"])
async def test_among_several_none_takes_connections_before_it_answers(kind: str) -> None:
    """The kernel would hand it a share of them, though it is still loading, or about to refuse."""
    claim = Claim("127.0.0.1", 0)
    with closing(claim):
        settings = Settings(port=claim.port, health_port=claim.port, listeners=2)
        port: Listeners | HealthPort = (
            Listeners(settings, (), None, alone=False)
            if kind == "gRPC"
            else HealthPort(settings, Health(), alone=False)
        )
        before = listens(claim.port)
        await port.start()
        after = listens(claim.port)
        await port.stop(0)

    assert (before, after) == (False, True)


def listens(port: int) -> bool:
    """Say whether the kernel takes a connection to a port of this machine."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
