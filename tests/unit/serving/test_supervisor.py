"""What of the supervisor needs no processes; see the integration tests for the rest."""

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from serving import supervisor
from serving.metrics import Metrics
from serving.settings import Settings
from serving.slots import Slots
from serving.supervisor import restart_delay

ROOT = Path(__file__).parents[3]


def refusal(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> str:
    """Return what is said by a supervisor that refuses to start with these settings."""
    log = structlog.testing.CapturingLogger()
    monkeypatch.setattr(supervisor, "log", log)
    code = supervisor.run(Settings(port=0, metrics_port=0, **settings), 2, ())
    (call,) = log.calls
    assert (code, call.args) == (1, ("cannot serve",))
    return str(call.kwargs["problem"])


def test_delays_grow_to_a_limit() -> None:
    """A worker that served is replaced at once; one that fails to start, ever more slowly."""
    delays = [restart_delay(failures) for failures in range(10_000)]

    assert delays[:4] == [0, 0.5, 1, 2]
    assert delays == sorted(delays)
    assert delays[-1] == 30


def test_the_supervisor_loads_little() -> None:
    """Neither gRPC nor the models' runtime is loaded where only workers are looked after."""
    code = (
        "import sys, serving.command, serving.supervisor\n"
        "print(*{'grpc', 'onnxruntime', 'numpy'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert done.stdout.split() == []


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
def test_a_worker_that_still_starts_looks_later() -> None:
    """SIGHUP would end a worker that does not wait for it yet; it gets it as soon as it serves."""
    slots = Slots.create(2)
    fleet = supervisor._Fleet(1, 1, -1, slots, Metrics(CollectorRegistry(), slots.regions), ())
    (worker,) = fleet._workers
    sent: list[int] = []
    process: Any = SimpleNamespace(send_signal=sent.append)
    worker.process = process

    fleet._pass_on(signal.SIGHUP)
    assert sent == []
    fleet._hear(worker, "serving")
    fleet._hear(worker, "serving")

    assert sent == [signal.SIGHUP]
    os.close(slots.descriptor)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
def test_what_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no more processes to give, the supervisor waits and goes on."""
    slots = Slots.create(3)
    metrics = Metrics(CollectorRegistry(), slots.regions)
    fleet = supervisor._Fleet(2, 1, -1, slots, metrics, ())

    async def fail(*_: object) -> None:
        if metrics.restarts.value >= 5:
            fleet._stop()
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(fleet, "_start", fail)
    monkeypatch.setattr(supervisor, "restart_delay", lambda _failures: 0.0)

    code = asyncio.run(fleet.run())

    assert code == 0
    assert fleet.living().keys() == {"supervisor"}
    os.close(slots.descriptor)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
@pytest.mark.parametrize("function", ["memfd_create", "ftruncate"])
def test_no_memory_to_count_in(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Where the system gives no shared memory, the start is refused with the reason."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, function, fail)

    assert refusal(monkeypatch) == "memory for metrics: cannot be had: Function not implemented"


def test_taken_health_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the ports is taken is said."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        problem = refusal(monkeypatch, health_port=port)

    assert problem == f"health: cannot listen on 127.0.0.1:{port}: the port is taken"
