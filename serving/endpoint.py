"""The metrics over HTTP."""

import threading
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from serving.claim import CannotBind, written

__all__ = ["MetricsEndpoint", "expose_metrics"]

# Seconds for which a connection may say nothing.
_PATIENCE = 10.0


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
    """Return the handler with an end to its patience.

    Each connection has a thread: those that ask nothing would keep theirs, and a descriptor, for
    ever.
    """
    return type(handler.__name__, (handler,), {"timeout": _PATIENCE})
