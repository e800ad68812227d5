"""Spans of RPCs, as an exporter gets them."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from serving import tracing
from serving.settings import Settings
from serving.tracing import Tracing, TracingUnavailable, open_tracing

METHOD = "/onehand.v1.HandwritingService/Classify"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
Metadata = Sequence[tuple[str, str | bytes]]


def spans(
    metadata: Metadata, code: grpc.StatusCode = grpc.StatusCode.OK, ratio: float = 1.0
) -> Sequence[ReadableSpan]:
    """Return what is exported of one RPC."""
    exporter = InMemorySpanExporter()
    made = Tracing(exporter, ratio)
    made.begin(METHOD, metadata).finish(code)
    made.close()
    return exporter.get_finished_spans()


def test_span_of_a_new_trace() -> None:
    """Without a caller's trace, the span is the root of its own; names follow the conventions."""
    [span] = spans([("user-agent", "x")])

    assert span.name == "onehand.v1.HandwritingService/Classify"
    assert span.kind is SpanKind.SERVER
    assert span.parent is None
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "onehand.v1.HandwritingService/Classify",
        "rpc.response.status_code": "OK",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.resource.attributes["service.name"] == "onehand"


def test_span_of_a_caller_s_trace() -> None:
    """The span belongs to the caller's trace, below the caller's span."""
    exporter = InMemorySpanExporter()
    made = Tracing(exporter, ratio=0)

    begun = made.begin(METHOD, [("a", "b"), ("traceparent", SAMPLED), ("c-bin", b"\x00")])
    begun.finish(grpc.StatusCode.OK)
    made.close()

    [span] = exporter.get_finished_spans()
    assert begun.trace_id == TRACE
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)


def test_caller_decides_whether_its_trace_is_recorded() -> None:
    """A caller's trace that is not recorded is not recorded here; its id is known all the same."""
    exporter = InMemorySpanExporter()
    made = Tracing(exporter, ratio=1)

    begun = made.begin(METHOD, [("traceparent", SAMPLED[:-2] + "00")])
    begun.finish(grpc.StatusCode.OK)
    made.close()

    assert exporter.get_finished_spans() == ()
    assert begun.trace_id == TRACE


def test_ratio() -> None:
    """Of the traces that begin here, the ratio decides."""
    assert len(spans([], ratio=1)) == 1
    assert len(spans([], ratio=0)) == 0


@pytest.mark.parametrize(
    "metadata",
    [
        [("traceparent", "")],
        [("traceparent", SAMPLED.upper())],
        [("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
        [("traceparent", f"ff-{TRACE}-{PARENT}-01")],
        [("traceparent", f"00-{TRACE}-{PARENT}-01-more")],
        [("traceparent", f"00-{TRACE}-{PARENT}-0")],
        [("traceparent", f"00-{TRACE[:-1]}-{PARENT}-01")],
        [("traceparent", f"01-{TRACE}-{PARENT}-01-{'x' * 300}")],
        [("traceparent", SAMPLED), ("traceparent", SAMPLED)],
        [("traceparent", SAMPLED.encode())],
        [("traceparent-bin", SAMPLED)],
    ],
)
def test_invalid_context_counts_as_none(metadata: Metadata) -> None:
    """Whatever breaks the standard begins a new trace."""
    [span] = spans(metadata)

    assert span.parent is None
    assert f"{span.context.trace_id:032x}" != TRACE


def test_later_versions_are_read_as_far_as_known() -> None:
    """A later version may hold more after the part that is known."""
    [span] = spans([("traceparent", f"01-{TRACE}-{PARENT}-01-more")])

    assert f"{span.context.trace_id:032x}" == TRACE


@pytest.fixture(scope="module")
def shared() -> Iterator[Tracing]:
    """Tracing that records nothing."""
    made = Tracing(InMemorySpanExporter(), 0)
    yield made
    made.close()


@given(value=st.one_of(st.text(max_size=80), st.binary(max_size=80)))
def test_any_context(shared: Tracing, value: str | bytes) -> None:
    """No caller can make a span fail."""
    assert len(shared.begin(METHOD, [("traceparent", value)]).trace_id) == 32


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, False),
        (grpc.StatusCode.CANCELLED, False),
        (grpc.StatusCode.DEADLINE_EXCEEDED, True),
        (grpc.StatusCode.INTERNAL, True),
        (grpc.StatusCode.UNAVAILABLE, True),
    ],
)
def test_errors_of_the_server(code: grpc.StatusCode, ours: bool) -> None:
    """Only what the server is to blame for is an error of its span."""
    [span] = spans([], code)

    assert span.attributes is not None
    assert span.attributes["rpc.response.status_code"] == code.name
    assert span.attributes.get("error.type") == (code.name if ours else None)
    assert (span.status.status_code is StatusCode.ERROR) is ours


class Stuck(SpanExporter):
    """An exporter whose collector does not answer."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Wait to be let go."""
        self.released.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Let go."""
        self.released.set()


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that does not answer is given up; the exporter is told to let go."""
    monkeypatch.setattr(tracing, "_CLOSE_SECONDS", 0.05)
    exporter = Stuck()
    made = Tracing(exporter, 1)
    made.begin(METHOD, []).finish(grpc.StatusCode.OK)

    made.close()

    assert exporter.released.is_set()


def test_without_a_collector_nothing_is_loaded() -> None:
    """No endpoint, no tracing, and not a module of it imported."""
    code = (
        "import sys; from serving import tracing; from serving.settings import Settings\n"
        "assert tracing.open_tracing(Settings()) is None\n"
        "print(*[name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == ""


def test_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without the packages stops the start, and says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)

    with pytest.raises(TracingUnavailable, match=r"pip install onehand\[tracing\]"):
        open_tracing(Settings(tracing_endpoint="http://127.0.0.1:4317"))
