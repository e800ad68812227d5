"""Several serving processes behind one port, kept alive, stopped together, counted as one.

The supervisor serves nothing. It holds the port and the memory in which all count, starts the
workers, starts another in place of one that ends, and answers for the metrics. It never loads
gRPC, which does not survive a fork and is not needed here: workers are new interpreters.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from serving.claim import Claim
from serving.endpoint import expose_metrics
from serving.errors import OnehandError
from serving.metrics import Metrics
from serving.processes import show_processes
from serving.settings import Settings
from serving.slots import Region, Slots
from serving.supervised import Assignment

__all__ = ["restart_delay", "run"]

# What a worker exits with that refuses to start.
_REFUSED = 1
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0

log = structlog.get_logger(__name__)


def run(settings: Settings, workers: int, words: Sequence[str]) -> int:
    """Run workers until a signal; return the exit code.

    Args:
        settings: the settings in force.
        workers: how many; at least 2.
        words: the command line that the settings came from, for the workers.
    """
    return asyncio.run(_supervise(settings, workers, words))


def restart_delay(failures: int) -> float:
    """Return the seconds to wait after so many starts in a row that came to nothing."""
    if failures == 0:
        return 0.0
    return min(_FIRST_DELAY * 2.0 ** (min(failures, 16) - 1), _LONGEST_DELAY)


async def _supervise(settings: Settings, workers: int, words: Sequence[str]) -> int:
    with contextlib.ExitStack() as stack:
        try:
            claim = Claim(settings.host, settings.port)
            stack.callback(claim.close)
            health_port = settings.health_port
            if health_port >= 0:
                health = Claim(settings.health_host, health_port, "health")
                stack.callback(health.close)
                health_port = health.port
            slots = Slots.create(1 + workers)
            metrics = Metrics(CollectorRegistry(), slots.regions)
            metrics.workers.set(workers)
            fleet = _Fleet(workers, claim.port, health_port, slots, metrics, words)
            show_processes(metrics.registry, fleet.living)
            endpoint = expose_metrics(
                settings.metrics_host, settings.metrics_port, metrics.registry
            )
            stack.callback(endpoint.close)
        except OnehandError as error:
            log.error("cannot serve", problem=str(error))
            return 1
        fleet.metrics_port = endpoint.port
        return await fleet.run()


class _Worker:
    """The place of one worker, whoever fills it.

    Attributes:
        number: from 1.
        region: where it counts.
        process: who fills it now.
        serves: whether that one has said that it is ready.
        filled_before: whether another has served in the place.
        is_owed_a_look: whether it was to look for other versions before it could be told.
    """

    def __init__(self, number: int, region: Region) -> None:
        self.number = number
        self.region = region
        self.process: asyncio.subprocess.Process | None = None
        self.serves = False
        self.filled_before = False
        self.is_owed_a_look = False


class _Fleet:
    """All workers.

    Attributes:
        metrics_port: where Prometheus is answered, for the log.
    """

    def __init__(
        self,
        workers: int,
        port: int,
        health_port: int,
        slots: Slots,
        metrics: Metrics,
        words: Sequence[str],
    ) -> None:
        self.metrics_port = 0
        self._port = port
        self._health_port = health_port
        self._slots = slots
        self._metrics = metrics
        self._words = words
        self._workers = [_Worker(n, slots.regions[n]) for n in range(1, workers + 1)]
        self._stopping = asyncio.Event()
        self._listened = False
        self._served = False
        self._exit_code = 0

    def living(self) -> Mapping[str, int]:
        """Return the process id of the supervisor and of each worker that runs."""
        processes = {str(worker.number): worker.process for worker in self._workers}
        pids = {number: process.pid for number, process in processes.items() if process}
        return {"supervisor": os.getpid(), **pids}

    async def run(self) -> int:
        """Keep every place filled until a signal; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        await asyncio.gather(*(self._keep(worker) for worker in self._workers))
        log.info("stopped")
        return self._exit_code

    def _stop(self) -> None:
        self._stopping.set()
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            # One that has not come so far as to wait for this signal would die of it.
            if worker.serves or number is not signal.SIGHUP:
                _send(worker, number)
            else:
                worker.is_owed_a_look = True

    async def _keep(self, worker: _Worker) -> None:
        """Fill a place, again and again, until everything stops."""
        failures = 0
        while not self._stopping.is_set():
            code = await self._fill(worker)
            served, worker.serves = worker.serves, False
            self._metrics.forget(worker.region)
            if self._stopping.is_set():
                self._exit_code = self._exit_code or int(served and code != 0)
                return
            if code == _REFUSED and not self._served:
                # The worker has said why; another one would find the same.
                self._exit_code = 1
                self._stop()
                return
            failures = 0 if served else failures + 1
            delay = restart_delay(failures)
            log.error("worker ended", worker=worker.number, exit_code=code, restart_in=delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
                return
            self._metrics.restarts.inc()

    async def _fill(self, worker: _Worker) -> int | None:
        """Start a process and follow it to its end.

        Returns:
            Its exit code, or minus the signal that ended it; ``None`` if it could not be started.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                worker.process = await self._start(worker, theirs)
            except OSError as error:
                log.error("worker cannot be started", worker=worker.number, problem=str(error))
                return None
            theirs.close()  # the line ends with the worker
            log.info("worker started", worker=worker.number, pid=worker.process.pid)
            if self._stopping.is_set():
                _send(worker, signal.SIGTERM)
            reader, writer = await asyncio.open_connection(sock=ours)
            async for line in reader:
                self._hear(worker, **json.loads(line))
            code = await worker.process.wait()
            writer.close()
        worker.process = None
        return code

    async def _start(self, worker: _Worker, line: socket.socket) -> asyncio.subprocess.Process:
        assignment = Assignment(
            worker=worker.number,
            workers=len(self._workers),
            port=self._port,
            health_port=self._health_port,
            replaces=worker.filled_before,
            slots=self._slots.descriptor,
            line=line.fileno(),
        )
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "serving.supervised"),
            *(assignment.to_json(), *self._words),
            stdin=subprocess.DEVNULL,
            pass_fds=(assignment.slots, assignment.line),
            start_new_session=True,  # Ctrl-C is ours to pass on, once
        )

    def _hear(self, worker: _Worker, event: str, **facts: Any) -> None:
        """Take note of what a worker tells, and log what is then true of all."""
        if event == "listening" and not self._listened:
            self._listened = True
            log.info("listening", **{**facts, "metrics_port": self.metrics_port})
        if event == "serving":
            worker.serves = worker.filled_before = True
            if worker.is_owed_a_look:
                worker.is_owed_a_look = False
                _send(worker, signal.SIGHUP)
            log.info("worker serving", worker=worker.number, **facts)
            if not self._served and all(other.serves for other in self._workers):
                self._served = True
                log.info("serving", workers=len(self._workers), **facts)


def _send(worker: _Worker, number: signal.Signals) -> None:
    if worker.process:
        with contextlib.suppress(ProcessLookupError):
            worker.process.send_signal(number)
