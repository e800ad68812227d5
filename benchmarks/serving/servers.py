"""Servers under measurement: our service and the empty handler, each a real process.

A ``Server`` keeps the ledger of what it was sent, so that its own counters can be held against
it: a benchmark of failed requests would be a fast one.
"""

import json
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.serving import empty
from benchmarks.serving.cases import Case
from benchmarks.serving.processes import BenchmarkError, Helper, helper, running
from serving import environment

__all__ = ["PATIENCE", "Server", "empty_handler", "service", "wait_for"]

PATIENCE = 60.0
_COUNT_SECONDS = 2.0
_NAME = "onehand.v1.HandwritingService"
_COUNTED = (_NAME, "inference.GRPCInferenceService")


@dataclass
class Server:
    """A process that answers gRPC.

    Attributes:
        name: in tables.
        address: HOST:PORT.
        pid: its process, or the head of its processes.
        metrics_port: where it counts what it handled; 0 = nowhere.
        prefix: path of every case, in front of the case's name; empty = the case's own path.
        sent: requests that it must have answered so far.
        shed: how many of them it turned away, as their clients say; the others are OK.
    """

    name: str
    address: str
    pid: int
    metrics_port: int = 0
    prefix: str = ""
    sent: int = field(default=0)
    shed: int = field(default=0)

    def path(self, case: Case) -> str:
        """Return the method to call."""
        return f"{self.prefix}/{case.name}" if self.prefix else case.path

    def ask(self, case: Case) -> bytes:
        """Return the answer to one request by an ordinary client.

        Raises:
            BenchmarkError: it is not OK.
        """
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            try:
                call = channel.unary_unary(self.path(case), None, None)  # bytes in, bytes out
                answer: bytes = call(case.request, timeout=PATIENCE)
            except grpc.RpcError as error:
                raise BenchmarkError(
                    f"{self.name}, {case.title}: expected OK, found {error.code().name}: "
                    f"{error.details()}"
                ) from error
        self.sent += 1
        return answer

    def check_ledger(self) -> None:
        """Hold its counters against what was sent.

        Raises:
            BenchmarkError: it counts others than its clients do.
        """
        if not self.metrics_port:
            return
        expected = {"OK": self.sent - self.shed, "RESOURCE_EXHAUSTED": self.shed}
        expected = {code: requests for code, requests in expected.items() if requests}
        end = time.monotonic() + _COUNT_SECONDS
        while (handled := _handled(self.metrics_port)) != expected:
            if time.monotonic() < end:
                time.sleep(0.05)  # an answer is counted a moment after it is sent
                continue
            raise BenchmarkError(
                f"{self.name}: expected its counters to say {expected}, found {handled}"
            )


def _handled(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    handled: dict[str, int] = {}
    for sample in (sample for family in families for sample in family.samples):
        if sample.name != "grpc_server_handled_total" or not sample.value:
            continue
        if sample.labels["grpc_service"] in _COUNTED:
            code = sample.labels["grpc_code"]
            handled[code] = handled.get(code, 0) + int(sample.value)
    return handled


@contextmanager
def service(name: str, models: Path, log: Path, **settings: Any) -> Iterator[Server]:
    """Run ``python -m serving``, as the container does, and wait until it is SERVING."""
    flags = {"models": models, "port": 0, "metrics_port": 0, "drain_delay": 0, "grace": 2}
    words = [sys.executable, "-m", "serving"]
    for flag, value in (flags | settings).items():
        words += [f"--{flag.replace('_', '-')}", str(value)]
    with running(words, log) as process:
        listening = wait_for(lambda: _event(log, "listening"), process, log)
        address = f"127.0.0.1:{listening['port']}"
        _wait_serving(address)
        wait_for(lambda: _event(log, "serving"), process, log)  # that is: every worker
        yield Server(name, address, process.pid, metrics_port=listening["metrics_port"])


def wait_for(found: Any, process: Any, log: Path, seconds: float = PATIENCE) -> Any:
    """Return what ``found`` returns once that is not None, and while the process lives.

    Raises:
        BenchmarkError: the process ends first, or the time is up; the message quotes its log.
    """
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if (value := found()) is not None:
            return value
        time.sleep(0.001)
    raise BenchmarkError(f"{log.stem} did not come up: {log.read_text()[-2000:]}")


def _event(log: Path, name: str) -> dict[str, Any] | None:
    """Return the log line of an event, once it is there whole."""
    for line in log.read_text().splitlines(keepends=True):
        if f'"{name}"' in line and line.endswith("\n"):
            found: dict[str, Any] = json.loads(line)
            if found.get("event") == name:
                return found
    return None


def _wait_serving(address: str) -> None:
    """Return as soon as the health service says SERVING of the models."""
    with grpc.insecure_channel(address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=_NAME), timeout=PATIENCE, wait_for_ready=True
        )
        for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                watch.cancel()
                return
    raise BenchmarkError(f"{address}: expected SERVING, found the end of the health stream")


@contextmanager
def empty_handler(
    name: str, replies: Mapping[str, int], log: Path, *, as_ours: bool
) -> Iterator[Server]:
    """Run the empty handler, with replies of these sizes by case."""
    extra = ["--as-ours"] if as_ours else []
    # gRPC reads its variables when it is imported.
    variables = environment.DEFAULTS if as_ours else {}
    with helper("empty", log, json.dumps(replies), *extra, environment=variables) as process:
        yield _empty_server(name, process)


def _empty_server(name: str, process: Helper) -> Server:
    port = process.hear()["port"]
    return Server(name, f"127.0.0.1:{port}", process.pid, prefix=f"/{empty.SERVICE}")
