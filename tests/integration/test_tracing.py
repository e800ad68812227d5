"""Spans of real RPCs, as a collector gets them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

from serving.pb import handwriting_pb2 as pb
from tests.serving_host import PATIENCE, Running

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)


class Collector(otlp_grpc.TraceServiceServicer):
    """A collector that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.about: dict[str, str] = {}

    def Export(  # noqa: N802 - named by the .proto file
        self, request: otlp.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        """Keep the spans."""
        for resource in request.resource_spans:
            self.about = {p.key: p.value.string_value for p in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return otlp.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    """A collector that runs, and its address."""
    servicer = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    add: Callable[..., Any] = otlp_grpc.add_TraceServiceServicer_to_server
    add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_span_for_each_rpc(
    collector: tuple[Collector, str], make_server: Callable[..., Running]
) -> None:
    """Each RPC of a service is a span in its caller's trace, with its status; health is none."""
    servicer, endpoint = collector
    running = make_server(tracing_endpoint=endpoint)
    running.stub.ListProfiles(pb.ListProfilesRequest(), timeout=PATIENCE, metadata=CALLER)
    lost = pb.GetProfileRequest(profile="lost")
    running.stub.GetProfile.future(lost, timeout=PATIENCE, metadata=CALLER).code()
    running.health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE, metadata=CALLER)
    running.host.run(running.server.stop(1))

    told = {
        span.name.rpartition("/")[2]: {p.key: p.value.string_value for p in span.attributes}
        for span in servicer.spans
    }
    assert {name: about["rpc.response.status_code"] for name, about in told.items()} == {
        "ListProfiles": "OK",
        "GetProfile": "NOT_FOUND",
    }
    assert {(s.trace_id.hex(), s.parent_span_id.hex()) for s in servicer.spans} == {(TRACE, PARENT)}
    assert all(s.end_time_unix_nano >= s.start_time_unix_nano > 0 for s in servicer.spans)
    assert servicer.about["service.name"] == "onehand"


def test_dead_collector_hurts_nobody(make_server: Callable[..., Running]) -> None:
    """With no collector there, requests are answered and the server stops."""
    running = make_server(tracing_endpoint="http://127.0.0.1:1")

    answer = running.stub.ListProfiles(pb.ListProfilesRequest(), timeout=PATIENCE)
    running.host.run(running.server.stop(1))

    assert len(answer.profiles) == 1


def test_missing_extra_ends_the_start() -> None:
    """Spans that cannot be sent are an error of the start, exit code 1, not a surprise later."""
    code = (
        "import sys; sys.modules['opentelemetry.exporter.otlp.proto.grpc.trace_exporter'] = None\n"
        "from serving import command; sys.exit(command.main())"
    )
    words = ["--port", "0", "--metrics-port", "0", "--tracing-endpoint", "http://127.0.0.1:4317"]

    done = subprocess.run(
        [sys.executable, "-c", code, *words], check=False, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "onehand[tracing]" in done.stderr
    assert "Traceback" not in done.stderr
