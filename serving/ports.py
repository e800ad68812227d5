"""The two ports of the server: each bound for itself alone, or not at all and loudly."""

import threading
from wsgiref.simple_server import WSGIServer

import grpc
from prometheus_client import CollectorRegistry, start_http_server

from serving.errors import OnehandError

__all__ = ["CannotBind", "MetricsEndpoint", "bind_grpc", "expose_metrics"]


class CannotBind(OnehandError):
    """An address that is taken, or that this machine does not have."""


class MetricsEndpoint:
    """The metrics over HTTP, answered in threads of their own.

    Attributes:
        port: where.
    """

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread
        self.port: int = server.server_port

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def bind_grpc(server: grpc.aio.Server, host: str, port: int) -> int:
    """Return the port that ``server`` will answer on once started.

    Raises:
        CannotBind: the address cannot be had.
    """
    address = _address(host, port)
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise CannotBind(
            f"gRPC: cannot listen on {address}: the port is taken, or the address is not one of "
            "this machine"
        ) from error


def expose_metrics(host: str, port: int, registry: CollectorRegistry) -> MetricsEndpoint:
    """Answer scrapes from now on.

    Raises:
        CannotBind: the address cannot be had.
    """
    try:
        return MetricsEndpoint(*start_http_server(port, host, registry))
    except OSError as error:
        raise CannotBind(
            f"metrics: cannot listen on {_address(host, port)}: {error.strerror}"
        ) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
