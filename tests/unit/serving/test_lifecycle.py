"""The order of a process's life, with a server that only takes notes."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from serving import lifecycle
from serving.errors import BundleError
from serving.settings import Settings


class Server:
    """Notes what is asked of it.

    Attributes:
        asked: in order.
    """

    def __init__(self, while_loading: Callable[[], None]) -> None:
        self.asked: list[str] = []
        self._while_loading = while_loading

    def reload(self) -> None:
        """Never asked for here."""

    async def start(self) -> None:
        """Note it."""
        self.asked.append("start")

    async def load(self) -> None:
        """Do what loading is to do here, and never end."""
        self.asked.append("load")
        self._while_loading()
        await asyncio.Event().wait()

    async def stop(self, _grace: float) -> None:
        """Note it."""
        self.asked.append("stop")


def live(
    monkeypatch: pytest.MonkeyPatch, while_loading: Callable[[], None], *, load_first: bool
) -> tuple[int, list[str]]:
    """Return the exit code, and what was asked of the server."""
    server = Server(while_loading)
    monkeypatch.setattr(lifecycle, "Server", lambda *_: server)
    serving = lifecycle._serve(Settings(), None, None, load_first)
    return asyncio.run(asyncio.wait_for(serving, 60)), server.asked


def terminate() -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), signal.SIGTERM)


def spoil() -> None:
    """Find a bad bundle."""
    raise BundleError("bad")


def test_a_signal_while_loading_opens_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is to stop before it could answer never asks for callers."""
    assert live(monkeypatch, terminate, load_first=True) == (0, ["load", "stop"])


def test_a_bad_bundle_stops_what_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports and threads are given back when loading is refused, before and after the start."""
    assert live(monkeypatch, spoil, load_first=False) == (1, ["start", "load", "stop"])
    assert live(monkeypatch, spoil, load_first=True) == (1, ["load", "stop"])
