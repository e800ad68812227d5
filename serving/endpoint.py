"""The metrics over HTTP."""

import contextlib
import socket
import threading
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from serving.claim import CannotBind, written

__all__ = ["MetricsEndpoint", "expose_metrics"]

# Seconds for which a connection may say nothing, and for which it may last.
_PATIENCE = 10.0
# Connections at once; one or two ask every few seconds.
_MOST = 64


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


def expose_metrics(host: str, port: int, registry: CollectorRegistry) -> MetricsEndpoint:
    """Answer scrapes from now on.

    Raises:
        CannotBind: the address cannot be had.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise CannotBind(
            f"metrics: cannot listen on {written(host, port)}: {error.strerror}"
        ) from error
    server.RequestHandlerClass = _hurried(server.RequestHandlerClass)
    return MetricsEndpoint(server, thread)


def _hurried(handler: Any) -> Any:
    """Return the handler with an end to its patience, and to how many there are.

    Each connection has a thread: those that ask nothing, or a byte at a time, would keep theirs,
    and a descriptor, for ever.
    """
    places = threading.BoundedSemaphore(_MOST)

    class Hurried(handler):  # type: ignore[misc]  # made by the library as it goes
        timeout = _PATIENCE

        def handle(self) -> None:
            if not places.acquire(blocking=False):
                return  # which closes the connection
            overdue = threading.Timer(_PATIENCE, _end, (self.connection,))
            overdue.daemon = True
            overdue.start()
            try:
                super().handle()
            finally:
                overdue.cancel()
                places.release()

    return Hurried


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended
        connection.shutdown(socket.SHUT_RDWR)
