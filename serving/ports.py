"""The gRPC ports of the server: each bound, or not at all and loudly."""

from dataclasses import replace
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from serving.claim import CannotBind, written
from serving.connections import channel_arguments
from serving.rpc import MOST_ASKED
from serving.settings import Settings

__all__ = ["bind_grpc", "bind_health"]


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


def bind_health(settings: Settings, servicer: Any) -> tuple[grpc.aio.Server, int] | None:
    """Return a server of health alone and without TLS, with its port, if there is to be one.

    Raises:
        CannotBind: the address cannot be had.
    """
    if settings.health_port < 0:
        return None
    small = replace(settings, max_message_bytes=MOST_ASKED)
    options = channel_arguments(small, servers=1, shared=settings.workers > 1)
    server = grpc.aio.server(options=options)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = bind_grpc(server, settings.health_host, settings.health_port, purpose="health")
    return server, port
