"""The server of health alone: its limits and its errors."""

import asyncio
import socket
from typing import Any

import grpc
import pytest

from serving.claim import CannotBind
from serving.connections import channel_arguments
from serving.health import Health
from serving.ports import bind_health
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


def test_health_has_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port for health has one server, however many listen on the other."""
    seen: dict[str, int] = {}

    class Noted(Exception):
        """Enough was seen."""

    def note(*, options: Any) -> None:
        seen.update(options)
        raise Noted

    monkeypatch.setattr(grpc.aio, "server", note)

    with pytest.raises(Noted):
        bind_health(Settings(max_connections=1000, listeners=4, health_port=0), None)

    assert seen[LIMIT] == 1000


def test_taken_health_port_is_named() -> None:
    """Which of the ports is taken is said."""

    async def bind(port: int) -> None:
        bind_health(Settings(health_port=port), Health())

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CannotBind, match=f"^health: cannot listen on 127.0.0.1:{port}: "):
            asyncio.run(bind(port))
