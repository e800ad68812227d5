"""Metrics over HTTP, for those who ask nothing."""

import socket

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
