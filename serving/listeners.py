"""Several gRPC servers in one event loop and on one port, which answer as one.

A ``grpc.aio`` server takes one new call at a turn of the event loop, so under load the turns, each
with its wake-ups and system calls, are what limits it. Side by side on one port, each takes one:
an empty handler then answers 1.3 to 1.6 times as many calls a second (docs/experiments.md). The
kernel spreads connections over them, and all share the handlers, the admission and the counters.
"""

import asyncio
from collections.abc import Callable, Sequence

import grpc

from serving.claim import Claim
from serving.connections import channel_arguments
from serving.ports import bind_grpc
from serving.settings import Settings

__all__ = ["Listeners"]


class Listeners:
    """The servers of one port, not yet started.

    The kernel hands connections to a port from the moment at which it is bound. So a process that
    is alone binds at once, and callers wait or are told why it cannot; one among several only when
    it starts to answer, and until then the others get all of them.

    Attributes:
        port: which.
    """

    def __init__(
        self,
        settings: Settings,
        handlers: Sequence[grpc.GenericRpcHandler],  # type: ignore[type-arg]
        credentials: Callable[[], grpc.ServerCredentials] | None,
        *,
        alone: bool,
    ) -> None:
        """Bind the port, if no other process shall share it.

        Args:
            settings: the settings in force; port 0 = a free one.
            handlers: of every server.
            credentials: makes those of each server, for TLS; ``None`` = without.
            alone: whether no other process shall share the port. Where one shall, whoever
                started both has claimed it.

        Raises:
            CannotBind: the port is taken, or the address is not one of this machine.
        """
        self._claim = Claim(settings.host, settings.port) if alone else None
        self.port = self._claim.port if self._claim else settings.port
        self._servers = [
            grpc.aio.server(
                options=channel_arguments(settings, servers=settings.listeners, shared=True)
            )
            for _ in range(settings.listeners)
        ]
        for server in self._servers:
            server.add_generic_rpc_handlers(tuple(handlers))
        self._host = settings.host
        self._credentials = credentials
        if alone:
            self._bind()

    async def start(self) -> None:
        """Answer from now on.

        Raises:
            CannotBind: see ``__init__``.
        """
        if not self._claim:
            self._bind()
        for server in self._servers:
            await server.start()

    def _bind(self) -> None:
        for server in self._servers:
            credentials = self._credentials and self._credentials()
            bind_grpc(server, self._host, self.port, credentials)

    async def stop(self, grace: float) -> None:
        """Close the connections, and the port, after ``grace`` seconds at the latest."""
        await asyncio.gather(*(server.stop(grace) for server in self._servers))
        if self._claim:
            self._claim.close()
