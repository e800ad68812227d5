"""Metrics over HTTP, for those who ask nothing."""

import socket
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from serving import endpoint


def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a thread and a descriptor of the process, which shall not be used up."""
    monkeypatch.setattr(endpoint, "_PATIENCE", 0.05)
    metrics = endpoint.expose_metrics("127.0.0.1", 0, CollectorRegistry())

    with socket.create_connection(("127.0.0.1", metrics.port), timeout=60) as silent:
        end = silent.recv(1)
    metrics.close()

    assert end == b""


def test_a_slow_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So has one that never says nothing for long, and never comes to an end."""
    monkeypatch.setattr(endpoint, "_PATIENCE", 0.5)
    metrics = endpoint.expose_metrics("127.0.0.1", 0, CollectorRegistry())

    with socket.create_connection(("127.0.0.1", metrics.port), timeout=60) as slow:
        slow.settimeout(0.01)
        while True:
            try:
                slow.send(b"x")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    metrics.close()


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond are closed, and those before are answered."""
    monkeypatch.setattr(endpoint, "_MOST", 2)
    metrics = endpoint.expose_metrics("127.0.0.1", 0, CollectorRegistry())

    with ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", metrics.port), timeout=60))
            for _ in range(2)
        ]
        held[0].send(b"GET /metrics HTTP/1.1\r\n")
        with socket.create_connection(("127.0.0.1", metrics.port), timeout=60) as third:
            assert third.recv(1) == b""
        held[0].send(b"\r\n")
        assert held[0].recv(12) == b"HTTP/1.0 200"
    metrics.close()
