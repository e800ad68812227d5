"""Two workers behind one port: shared, restarted, counted as one, stopped together."""

import itertools
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.pb import handwriting_pb2 as pb
from serving.pb import handwriting_pb2_grpc as pb_grpc
from tests import bundles, pictures
from tests.serving_host import PATIENCE
from tests.serving_process import Process, serving

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")

REQUEST = pb.ClassifyRequest(images=[pictures.message(pictures.form())])
HANDLED = (
    "grpc_server_handled_total",
    (
        ("grpc_code", "OK"),
        ("grpc_method", "Classify"),
        ("grpc_service", "onehand.v1.HandwritingService"),
        ("grpc_type", "unary"),
    ),
)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(process: Process) -> tuple[Samples, Samples]:
    """Return every sample, and those of them that must never go back."""
    address = f"http://127.0.0.1:{process.event('listening')['metrics_port']}/metrics"
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))

    def samples(*types: str) -> Samples:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
            if family.type in types and not family.name.startswith(("process_", "python_"))
        }

    return samples("counter", "histogram", "gauge"), samples("counter", "histogram")


def files(process: Process) -> dict[str, float]:
    """Return how many files each process has open, by worker."""
    address = f"http://127.0.0.1:{process.event('listening')['metrics_port']}/metrics"
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            sample.labels["worker"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "process_open_fds"
        }


@contextmanager
def stubs(process: Process, count: int) -> Iterator[list[Any]]:
    """Yield stubs with a connection each, so that the kernel spreads them over the workers."""
    port = process.event("listening")["port"]
    with ExitStack() as stack:
        channels = [
            stack.enter_context(
                grpc.insecure_channel(
                    f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
                )
            )
            for _ in range(count)
        ]
        yield [pb_grpc.HandwritingServiceStub(channel) for channel in channels]


class Load:
    """Clients that ask without a pause, and try again where a connection was lost.

    Attributes:
        answered: calls.
        lost: calls whose worker died under them.
    """

    def __init__(self, clients: list[Any]) -> None:
        self.answered = 0
        self.lost = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(len(clients))
        self._done = [self._pool.submit(self._ask, client) for client in clients]

    def _ask(self, client: Any) -> None:
        while not self._ending.is_set():
            try:
                client.Classify(REQUEST, timeout=PATIENCE, wait_for_ready=True)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017
                with self._lock:
                    self.lost += 1
            else:
                with self._lock:
                    self.answered += 1

    def wait_for(self, more: int) -> None:
        """Return once so many more calls have been answered."""
        enough = self.answered + more
        while self.answered < enough:
            assert not any(done.done() for done in self._done)
            time.sleep(0.005)

    def end(self) -> None:
        """Return once every client has its last answer."""
        self._ending.set()
        for done in self._done:
            done.result(PATIENCE)
        self._pool.shutdown()


def test_a_killed_worker_is_replaced_and_nothing_is_forgotten(hands: Path) -> None:
    """Under load one of two workers dies; the other answers, a third comes, no counter falls."""
    with serving("--models", str(hands), "--workers", "2", "--drain-delay", "0") as process:
        process.event("serving")
        idle = files(process)
        with stubs(process, 16) as clients:
            load = Load(clients)
            load.wait_for(200)
            busy = files(process)
            watched: list[Samples] = [scrape(process)[1]]

            os.kill(process.event("worker started", worker=1)["pid"], signal.SIGKILL)
            process.event("worker ended", worker=1, exit_code=-signal.SIGKILL)
            load.wait_for(200)
            while scrape(process)[0]["onehand_ready", ()] != 2 or len(watched) < 3:
                watched.append(scrape(process)[1])
            load.wait_for(200)
            load.end()
        watched.append(scrape(process)[1])
        values = scrape(process)[0]
        process.signal()
        code = process.wait()

    assert busy["1"] > idle["1"]
    assert busy["2"] > idle["2"]
    for before, after in itertools.pairwise(watched):
        assert {key: value for key, value in before.items() if after[key] < value} == {}
    assert values["onehand_worker_restarts_total", ()] == 1
    assert values["onehand_workers", ()] == values["onehand_ready", ()] == 2
    assert values["onehand_in_flight", ()] == 0
    # An answer is counted before it leaves, so some of the lost ones may have been.
    assert load.lost <= len(clients)
    assert load.answered <= values[HANDLED] <= load.answered + load.lost
    assert code == 0


def test_the_port_is_shared_with_nobody_else(hands: Path) -> None:
    """Of single servers and groups of workers only the first on a port starts."""
    groups = (["--workers", "1"], ["--workers", "2"])
    for first in groups:
        with serving("--models", str(hands), "--drain-delay", "0", *first) as process:
            port = process.event("listening")["port"]
            process.event("serving")
            for second in groups:
                with serving("--models", str(hands), "--port", str(port), *second) as other:
                    problem = other.event("cannot serve")["problem"]
                    assert other.wait() == 1
                assert problem.startswith(f"gRPC: cannot listen on 127.0.0.1:{port}: the port is")


def test_sigterm_drains_every_worker(hands: Path) -> None:
    """What is in work in both workers is finished, a second signal ends the wait, code 0."""
    with serving("--models", str(hands), "--workers", "2", "--drain-delay", "60") as process:
        process.event("serving")
        with stubs(process, 8) as clients:
            request = pb.GenerateVariantsRequest(count=200, seed=1)
            calls = [client.GenerateVariants.future(request, PATIENCE) for client in clients]
            for call in calls[:2]:
                call.result()
            process.signal()
            for worker in (1, 2):
                process.event("draining", worker=worker)
            late = clients[0].Classify(REQUEST, timeout=PATIENCE)
            process.signal()
            lengths = [len(call.result().images) for call in calls]
            code = process.wait()

    assert code == 0
    assert lengths == [200] * 8
    assert len(late.results) == 1
    assert [line["event"] for line in process.log][-3:] == ["stopped"] * 3


def test_a_hangup_reaches_every_worker(tmp_path: Path) -> None:
    """SIGHUP to the supervisor makes both workers reload; the metrics name the version once."""
    bundles.build(tmp_path, seed=0)
    with serving("--models", str(tmp_path), "--workers", "2", "--reload-seconds", "0") as process:
        process.event("serving")
        version = bundles.build(tmp_path, seed=1).name

        process.signal(signal.SIGHUP)

        for worker in (1, 2):
            process.event("profile in force", worker=worker, version=version)
        names = [labels for name, labels in scrape(process)[0] if name == "onehand_model_info"]

    assert [dict(labels)["version"] for labels in names] == [version]


def test_workers_do_not_outlive_their_supervisor(hands: Path) -> None:
    """However the supervisor ends, its workers end too."""
    with serving("--models", str(hands), "--workers", "2") as process:
        process.event("serving")

        process.signal(signal.SIGKILL)

        assert process.silent()


def test_a_bad_bundle_is_no_crash(tmp_path: Path) -> None:
    """What every worker would refuse ends the start, with exit code 1 and the reason."""
    with serving("--models", str(tmp_path), "--workers", "2") as process:
        problem = process.event("cannot serve")["problem"]
        code = process.wait()

    assert code == 1
    assert "expected at least one profile, found none" in problem
    assert not [line for line in process.log if line["event"] == "worker ended"]
