"""The gRPC ports of the server: each bound, or not at all and loudly."""

from dataclasses import replace
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from serving.claim import CannotBind, written
from serving.connections import channel_arguments
from serving.rpc import MOST_ASKED
from serving.settings import Settings

__all__ = ["HealthPort", "bind_grpc"]

# Of the port for health, which needs no right to ask: a watch or two for each who balances or
# watches, and none that add up.
_MOST_CONNECTIONS = 128
_MOST_STREAMS = 8


def bind_grpc(
    server: grpc.aio.Server,
    host: str,
    port: int,
    credentials: grpc.ServerCredentials | None = None,
    purpose: str = "gRPC",
) -> int:
    """Return the port that ``server`` will answer on once started.

    Args:
        server: the server.
        host: address.
        port: 0 = a free one.
        credentials: for TLS; ``None`` = without.
        purpose: of the port, for errors.

    Raises:
        CannotBind: the address cannot be had.
    """
    address = written(host, port)
    try:
        if credentials:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise CannotBind(
            f"{purpose}: cannot listen on {address}: the port is taken, or the address is not one "
            "of this machine"
        ) from error


class HealthPort:
    """A server of health alone and without TLS.

    Attributes:
        port: which.
    """

    def __init__(self, settings: Settings, servicer: Any, *, alone: bool) -> None:
        """Bind the port, if no other process shall share it; see ``Listeners``.

        Args:
            settings: the settings in force; the port is not negative, 0 = a free one.
            servicer: of the health.
            alone: whether no other process shall share the port.

        Raises:
            CannotBind: the address cannot be had.
        """
        small = replace(
            settings,
            max_message_bytes=MOST_ASKED,
            max_connections=min(settings.max_connections, _MOST_CONNECTIONS),
            max_streams=min(settings.max_streams, _MOST_STREAMS),
        )
        options = channel_arguments(small, servers=1, shared=not alone)
        self._server = grpc.aio.server(options=options)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)
        self._host, self.port = settings.health_host, settings.health_port
        self._bound = alone
        if alone:
            self.port = self._bind()

    async def start(self) -> None:
        """Answer from now on.

        Raises:
            CannotBind: see ``__init__``.
        """
        if not self._bound:
            self._bind()
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Close the connections, and the port, after ``grace`` seconds at the latest."""
        await self._server.stop(grace)

    def _bind(self) -> int:
        return bind_grpc(self._server, self._host, self.port, purpose="health")
