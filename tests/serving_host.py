"""Real servers on free ports of 127.0.0.1, run in an event loop in a thread.

One loop for all: gRPC's asyncio stack does not like several in one process.
"""

import asyncio
import threading
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from serving.abandoned import make_task
from serving.pb import handwriting_pb2_grpc as pb_grpc
from serving.pool import Pool
from serving.server import Server
from serving.settings import Settings

T = TypeVar("T")
PATIENCE = 60
"""Seconds after which a test that waits for something gives up; nothing is timed with it."""


class Running:
    """A server that runs, and a channel to it.

    Attributes:
        server: the server.
        target: HOST:PORT.
        channel: to it.
        stub: of its service.
        health: of its health service.
    """

    def __init__(self, host: "Host", server: Server) -> None:
        self.host = host
        self.server = server
        self.target = f"127.0.0.1:{server.port}"
        self.channel = grpc.insecure_channel(self.target)
        self.stub: Any = pb_grpc.HandwritingServiceStub(self.channel)
        self.health: Any = health_pb2_grpc.HealthStub(self.channel)

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return every sample of the metrics endpoint, read over HTTP, by name and labels."""
        address = f"http://127.0.0.1:{self.server.metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            text = answer.read().decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def handled(self) -> dict[tuple[str, str], float]:
        """Return how many RPCs have ended, by method and code, without the zeros."""
        ended = {}
        for (name, labels), value in self.metrics().items():
            if name == "grpc_server_handled_total" and value:
                by_name = dict(labels)
                ended[by_name["grpc_method"], by_name["grpc_code"]] = value
        return ended

    @contextmanager
    def held(self, pool: Pool, threads: int) -> Iterator[None]:
        """Keep all threads of ``pool`` busy, so that what needs them has to wait."""
        gate = threading.Event()
        started = threading.Barrier(threads + 1)

        def hold() -> None:
            started.wait(PATIENCE)
            gate.wait(PATIENCE)

        for _ in range(threads):
            pool.submit(hold)
        started.wait(PATIENCE)
        try:
            yield
        finally:
            gate.set()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds, seen from the server's loop."""

        async def wait() -> None:
            while not condition():
                await asyncio.sleep(0.005)

        self.host.run(asyncio.wait_for(wait(), PATIENCE))

    def in_work(self) -> int:
        """Return the number of admitted requests."""
        return int(self.server.metrics.in_flight.value)

    def stop(self, grace: float = 5) -> None:
        """Stop the server."""
        self.channel.close()
        self.host.run(self.server.stop(grace))


class Host:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(make_task)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return what it returns."""
        return self.begin(work).result(PATIENCE)

    def start(self, *, load: bool = True, **settings: Any) -> Running:
        """Start a server with these settings on free ports."""

        async def start() -> Server:
            server = Server(
                Settings(**({"port": 0, "metrics_port": 0, "drain_delay": 0} | settings))
            )
            await server.start()
            if load:
                await server.load()
            return server

        return Running(self, self.run(start()))

    @contextmanager
    def running(self, **settings: Any) -> Iterator[Running]:
        """Run a server for the length of a block."""
        running = self.start(**settings)
        try:
            yield running
        finally:
            running.stop()

    @contextmanager
    def many(self, models: Path) -> Iterator[Callable[..., Running]]:
        """Run any number of servers for the length of a block."""
        with ExitStack() as stack:

            def make(**settings: Any) -> Running:
                running = self.start(**({"models": models} | settings))
                stack.callback(running.stop)
                return running

            yield make

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
