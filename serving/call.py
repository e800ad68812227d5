"""One RPC from its start to its end: who asks, how it ends, and what is told of it."""

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import grpc
import structlog

from serving.errors import Overloaded
from serving.metrics import RpcMetrics
from serving.status import Refusal, refuse
from serving.tracing import Span

__all__ = ["Call", "Context", "Metadata"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

_REQUEST_ID = "x-request-id"
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# How long a request is on its way, at most, where client and server share a busy machine.
_ON_THE_WAY = 0.02

log = structlog.get_logger(__name__)


class Call:
    """One RPC from its start, which is now, to its end.

    Attributes:
        task: the one that gRPC cancels when the client goes away.
        granted: seconds that the caller waited for at the start; ``None`` = for ever.
        span: of the RPC, where it is traced.
    """

    __slots__ = ("_context", "_id", "_log", "_rpc", "_start", "granted", "span", "task")

    def __init__(self, rpc: RpcMetrics, context: Context, log_it: bool) -> None:
        """Begin it.

        Args:
            rpc: where it is counted.
            context: what gRPC knows of it.
            log_it: write a line at level debug when it ends.
        """
        self._start = time.perf_counter()
        self._rpc = rpc
        self._context = context
        self._log = log_it
        self._id = ""
        self.task = _current_task()
        self.granted = context.time_remaining()
        self.span: Span | None = None
        rpc.start()

    def metadata(self) -> Metadata:
        """Return what the caller sent beside the message."""
        return tuple(self._context.invocation_metadata() or ())

    def request_id(self) -> str:
        """Return the caller's id if it is safe to repeat, else a new one; always the same."""
        self._id = self._id or _request_id(self.metadata())
        return self._id

    def code(self) -> grpc.StatusCode:
        """Return the status that a handler has set."""
        return grpc.StatusCode(self._context.code())

    def code_of_the_gone(self) -> grpc.StatusCode:
        """Return what a client saw that went away: its deadline, or its own cancellation.

        Both arrive as the same reset of the stream. The deadline travels rounded up, and as the
        time that is left, so it seems to lie ahead by as much as the request was on its way. When
        the client has given up for it, some of it may seem to be left.
        """
        left = self._context.time_remaining()
        if left is None or self.granted is None:
            return grpc.StatusCode.CANCELLED
        if left <= _ON_THE_WAY + 0.02 * self.granted:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        return grpc.StatusCode.CANCELLED

    def finish(self, code: grpc.StatusCode) -> None:
        """Count the RPC; to be called exactly once."""
        seconds = time.perf_counter() - self._start
        self._rpc.finish(code, seconds)
        if self.span:
            self.span.finish(code)
        if self._log:
            log.debug("rpc", code=code.name, seconds=round(seconds, 6), **self._labels())

    def shed(self, overload: Overloaded) -> str:
        """Have the handler end with a refusal that is made once for all alike, and count it.

        Returns:
            The message to the client.
        """
        code, message, trailers = _overloaded(str(overload), overload.retry_after)
        self._context.set_code(code)
        self._context.set_details(message)
        self._context.set_trailing_metadata(tuple(trailers))
        self.finish(code)
        return message

    def report(self, refusal: Refusal, failure: BaseException) -> None:
        """Write the line of the log on a call that failed."""
        ours = refusal.code is grpc.StatusCode.INTERNAL
        # What callers do wrong shows in the counters; a line each would let anybody fill the log.
        theirs = refusal.is_callers_fault
        (log.error if ours else log.debug if theirs else log.warning)(
            "rpc failed",
            code=refusal.code.name,
            problem=refusal.message,
            exc_info=failure if ours else None,
            **self._labels(),
        )

    async def abort(self, refusal: Refusal) -> None:
        """Tell the client.

        Raises:
            grpc.aio.AbortError: always; it ends the handler.
        """
        metadata = ((_REQUEST_ID, self.request_id()), *refusal.trailing_metadata())
        await self._context.abort(refusal.code, refusal.message, metadata)

    def _labels(self) -> dict[str, str]:
        """Return what a line of the log says of every call."""
        trace = {"trace_id": self.span.trace_id} if self.span else {}
        return {"method": self._rpc.method, "request_id": self.request_id(), **trace}


@lru_cache(maxsize=64)
def _overloaded(message: str, retry_after: float) -> tuple[grpc.StatusCode, str, Metadata]:
    refusal = refuse(Overloaded(message, retry_after), request_id="")
    return refusal.code, refusal.message, refusal.trailing_metadata()


def _request_id(metadata: Metadata) -> str:
    for key, value in metadata:
        if key == _REQUEST_ID and isinstance(value, str) and _SAFE_ID.fullmatch(value):
            return value
    return secrets.token_hex(8)


def _current_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("expected to run in a task of the event loop, found none")
    return task
