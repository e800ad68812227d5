"""The server as a process: start, signals, drain, exit codes, taken ports."""

import ctypes
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.pb import handwriting_pb2 as pb
from serving.pb import handwriting_pb2_grpc as pb_grpc
from tests import bundles, pictures
from tests.serving_host import PATIENCE
from tests.serving_process import serving

SERVICE = "onehand.v1.HandwritingService"
_HEAP_BYTES = 64 << 20  # glibc's HEAP_MAX_SIZE


def watch(channel: grpc.Channel) -> tuple[list[int], threading.Thread]:
    """Return the health states seen, one at least, and the thread that sees them to the end."""
    states: list[int] = []
    begun = threading.Event()

    def follow() -> None:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            for answer in stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE)):
                states.append(answer.status)
                begun.set()
        except grpc.RpcError as error:
            states.append(-error.code().value[0])

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(PATIENCE)
    return states, thread


def test_sigterm_under_load_fails_nobody(hands: Path) -> None:
    """Health goes first, every request sent until the refusals begin is answered, exit code 0."""
    with serving("--models", str(hands), "--drain-delay", "60") as process:
        port = process.event("listening")["port"]
        process.event("serving")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = pb_grpc.HandwritingServiceStub(channel)
            states, watcher = watch(channel)
            calls = [
                stub.GenerateVariants.future(
                    pb.GenerateVariantsRequest(count=500, seed=seed), timeout=PATIENCE
                )
                for seed in range(8)
            ]
            process.signal()
            process.event("draining")
            late = stub.Classify(
                pb.ClassifyRequest(images=[pictures.message(pictures.form())]), timeout=PATIENCE
            )
            process.signal()
            lengths = [len(call.result().images) for call in calls]
            code = process.wait()
            watcher.join(PATIENCE)

    assert code == 0
    assert lengths == [500] * 8
    assert len(late.results) == 1
    assert states[:2] == [health_pb2.HealthCheckResponse.SERVING, 2]
    assert states[-1] == -grpc.StatusCode.UNAVAILABLE.value[0]


def test_sigterm_while_loading(tmp_path: Path) -> None:
    """A signal before the models are loaded ends the server cleanly, without a drain."""
    for number in range(200):
        bundles.build(tmp_path, f"hand{number}")

    with serving("--models", str(tmp_path)) as process:
        process.event("profile loaded")
        process.signal(signal.SIGINT)
        code = process.wait()

    events = [line["event"] for line in process.log]
    assert code == 0
    assert "serving" not in events
    assert "draining" not in events
    assert events[-1] == "stopped"


def test_taken_grpc_port(hands: Path) -> None:
    """A second server on the same port refuses to start and says which port it is."""
    with serving("--models", str(hands)) as first:
        port = str(first.event("listening")["port"])
        with serving("--port", port, "--models", str(hands)) as second:
            problem = second.event("cannot serve")["problem"]
            code = second.wait()

    assert code == 1
    assert port in problem
    assert problem.startswith("gRPC")


def test_taken_metrics_port(hands: Path) -> None:
    """A metrics port that is taken stops the start as well."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving("--metrics-port", port, "--models", str(hands)) as process:
            problem = process.event("cannot serve")["problem"]
            code = process.wait()

    assert code == 1
    assert problem.startswith("metrics")
    assert port in problem


def test_bad_bundle_stops_the_start(tmp_path: Path) -> None:
    """A folder without profiles ends the server with exit code 1 and the reason."""
    with serving("--models", str(tmp_path)) as process:
        problem = process.event("cannot serve")["problem"]
        code = process.wait()

    assert code == 1
    assert "expected at least one profile, found none" in problem


def test_bad_setting_is_usage(hands: Path) -> None:
    """An unusable setting is exit code 2."""
    with serving("--models", str(hands), ONEHAND_GRACE="soon") as process:
        assert process.wait() == 2


def test_configuration_is_logged(hands: Path) -> None:
    """The first line is the configuration in force, flags before environment."""
    with serving(
        "--models", str(hands), "--grace", "3", ONEHAND_GRACE="4", ONEHAND_PROT="1"
    ) as process:
        line = process.event("configuration")
        warning = process.event("environment")["problem"]
        process.event("serving")
        process.signal()
        process.signal()

    assert line["grace"] == 3
    assert line["models"] == str(hands)
    assert warning == "ONEHAND_PROT sets nothing; did you mean ONEHAND_PORT?"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")
def test_threads_of_a_server_share_a_heap(hands: Path) -> None:
    """Beside the heap of the event loop there is one for a dozen other threads."""
    with serving("--models", str(hands)) as process:
        port = process.event("listening")["port"]
        process.event("serving")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = pb_grpc.HandwritingServiceStub(channel)
            stub.Classify(pb.ClassifyRequest(images=[pictures.message(pictures.form())]))
            memory = Path(f"/proc/{process.pid}/maps").read_text()

    # Such a heap has room for 64 MiB from a multiple of that on, most of it not in use yet.
    pieces = [line.split()[:2] for line in memory.splitlines()]
    places = [[int(end, 16) for end in place.split("-")] for place, _ in pieces]
    heaps = [
        used
        for used, unused, (_, may) in zip(places, places[1:], pieces[1:], strict=False)
        if may == "---p" and used[1] == unused[0] and unused[1] == used[0] + _HEAP_BYTES
    ]
    assert [used[0] % _HEAP_BYTES for used in heaps] == [0]


def test_a_signal_before_the_loop_ends_it() -> None:
    """The first process of a container would live through one that it does not handle."""
    code = (
        "import os, signal; from serving import __main__, environment\n"
        "environment.prepare = lambda: os.kill(os.getpid(), signal.SIGTERM)\n"
        "__main__.main()"
    )

    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=PATIENCE)

    assert ended.returncode == 0
