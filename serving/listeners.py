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
    """The servers of one port, bound but not yet started.

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
        """Bind the port.

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
            bind_grpc(server, settings.host, self.port, credentials and credentials())

    async def start(self) -> None:
        """Answer from now on."""
        for server in self._servers:
            await server.start()

    async def stop(self, grace: float) -> None:
        """Close the connections, and the port, after ``grace`` seconds at the latest."""
        await asyncio.gather(*(server.stop(grace) for server in self._servers))
        if self._claim:
            self._claim.close()
