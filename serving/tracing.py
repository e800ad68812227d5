"""Spans of RPCs for whoever follows a request through several services.

The caller's place in its trace comes in as W3C trace context, metadata ``traceparent``
(https://www.w3.org/TR/trace-context/); spans go out to an OpenTelemetry collector as OTLP over
gRPC, in the background and by batches. Names are those of OpenTelemetry's conventions for RPC
(https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).

The packages that do it are an extra of their own. Nothing of them is imported, and nothing
happens on the hot path, unless a collector is named.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import grpc
import structlog

import serving
from serving.errors import OnehandError
from serving.settings import Settings

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["Span", "Tracing", "TracingUnavailable", "open_tracing"]

# To send a batch, and in the end to send all that is left.
_EXPORT_SECONDS = 5.0
_CLOSE_SECONDS = 3.0

_PARENT = "traceparent"
# Version 00 has 55 characters; a later one may have more.
_MAX_PARENT = 256

# The codes that make a server's span an error, by OpenTelemetry's conventions for gRPC.
_ERRORS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)

log = structlog.get_logger(__name__)


class TracingUnavailable(OnehandError):
    """A collector is named, but what speaks to it is not installed."""


class Span:
    """One RPC in its trace."""

    def __init__(self, span: "trace.Span", failed: "trace.Status") -> None:
        self._span = span
        self._failed = failed

    @property
    def trace_id(self) -> str:
        """32 lower-case hexadecimal digits; the caller's, if it sent one."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def finish(self, code: grpc.StatusCode) -> None:
        """End the span with the status that the client sees."""
        self._span.set_attribute("rpc.response.status_code", code.name)
        if code in _ERRORS:
            self._span.set_attribute("error.type", code.name)
            self._span.set_status(self._failed)
        self._span.end()


class Tracing:
    """Where spans come from, and where they go; see ``open_tracing``."""

    def __init__(self, exporter: "SpanExporter", ratio: float) -> None:
        """Send spans by this exporter.

        Args:
            exporter: where to; used from a thread of its own.
            ratio: share of the traces begun here that is recorded, 0 to 1. A caller's trace is
                recorded if and only if the caller says so.
        """
        from opentelemetry import trace  # noqa: PLC0415 - an extra that may be missing
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        about = {"service.name": "onehand", "service.version": serving.__version__}
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(ratio),
            resource=Resource.create(about),
            shutdown_on_exit=False,  # the server closes what it opened
        )
        self._exporter = exporter
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("onehand", serving.__version__)
        self._extract = TraceContextTextMapPropagator().extract
        self._kind = trace.SpanKind.SERVER
        self._failed = trace.Status(trace.StatusCode.ERROR)

    def begin(self, method: str, metadata: Sequence[tuple[str, str | bytes]]) -> Span:
        """Return the span of an RPC that begins now.

        Args:
            method: full name, ``/package.Service/Method``, of a method that the server has.
            metadata: whatever the caller sent; a trace context that is not valid counts as none.
        """
        name = method.removeprefix("/")
        span = self._tracer.start_span(
            name,
            context=self._extract(_trace_context(metadata)),
            kind=self._kind,
            attributes={"rpc.system.name": "grpc", "rpc.method": name},
        )
        return Span(span, self._failed)

    def close(self) -> None:
        """Send what has ended, for some seconds at most; blocks."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if closing.is_alive():
            log.warning("tracing", problem="the collector does not take the last spans")
            self._exporter.shutdown()


def open_tracing(settings: Settings) -> Tracing | None:
    """Return tracing as the settings ask for it; ``None`` = they do not.

    Raises:
        TracingUnavailable: the extra ``tracing`` is not installed.
    """
    if not settings.tracing_endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise TracingUnavailable(
            f"tracing to {settings.tracing_endpoint}: expected the extra to be installed, found no "
            f"module {error.name}; pip install onehand[tracing]"
        ) from error
    exporter = OTLPSpanExporter(endpoint=settings.tracing_endpoint, timeout=_EXPORT_SECONDS)
    return Tracing(exporter, settings.tracing_ratio)


def _trace_context(metadata: Sequence[tuple[str, str | bytes]]) -> Mapping[str, str]:
    """Return the one ``traceparent``; nothing if there are several.

    ``tracestate`` is for those who call on, and this service calls nobody.
    """
    parents = [value for key, value in metadata if key == _PARENT]
    if len(parents) == 1 and isinstance(parents[0], str) and len(parents[0]) <= _MAX_PARENT:
        return {_PARENT: parents[0]}
    return {}
