"""What every RPC passes on its way in and out, whichever service it belongs to.

In: a caller's right to ask, a place in the queue, the message parsed. Out: any exception becomes
a status, and the RPC is counted once, with the status that the client saw. All of it happens
around the handler in one place, because the parts need one another: a shed request must be
counted, a count needs the status, a status needs the request id.

gRPC's own interceptors would do the same for one more coroutine and one more look-up a call; the
router wraps each handler once, when it is registered.
"""

import asyncio
import inspect
import math
import re
import secrets
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from functools import lru_cache, partial
from typing import Any, TypeAlias

import grpc
import structlog

from serving.admission import Admission
from serving.calls import end_call
from serving.errors import DeadlineExpired, InvalidRequest, NotReady, Overloaded
from serving.metrics import Metrics, RpcMetrics
from serving.status import Refusal, UnknownMethod, refuse
from serving.tracing import Span, Tracing

__all__ = ["MOST_ASKED", "REQUEST_ID", "Router"]

REQUEST_ID = "x-request-id"
MOST_ASKED = 4096
"""Bytes that ask for the health or the description of a service: a name, which a watch keeps."""
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_STOPPING = "the server is stopping"
_RETRY_AFTER = 1.0
_SHED_LOG_SECONDS = 1.0
# How long a request is on its way, at most, where client and server share a busy machine.
_ON_THE_WAY = 0.02
# An answer of more bytes counts until its client has taken it, which says itself how much it takes.
# Verdicts on 256 pictures are less.
_LARGE = 8 * 1024

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = Any  # grpc.RpcMethodHandler, whose stubs know only blocking handlers
Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

log = structlog.get_logger(__name__)


class Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in stubs only
    """Finds the handler of a method, with everything that belongs around it.

    Services are registered on it as on a server. The services named ``open_to_all`` need no
    authorisation and no place: health must answer most of all when the server is busy.
    """

    def __init__(
        self,
        admission: Admission,
        metrics: Metrics,
        *,
        open_to_all: Collection[str] = (),
        unlimited: Collection[str] = (),
        max_streams: int = 1000,
        max_sending: float = 30.0,
        authorize: Callable[[str, Metadata], None] | None = None,
        tracing: Tracing | None = None,
        log_each: bool = False,
    ) -> None:
        """Make a router without methods.

        Args:
            admission: places for requests in work.
            metrics: where RPCs are counted.
            open_to_all: services that need neither authorisation nor a place.
            unlimited: services, or methods by their full names, that need no place.
            max_streams: streams that may be open at once; they need no place, but memory.
            max_sending: seconds in which a client must have taken a large answer.
            authorize: given full method name and metadata; raises if the caller may not.
            tracing: where spans come from; ``None`` = nowhere.
            log_each: write a line at level debug for each RPC.
        """
        self._admission = admission
        self._metrics = metrics
        self._open_to_all = open_to_all
        self._unlimited = {*open_to_all, *unlimited}
        self._authorize = authorize
        self._tracing = tracing
        self._max_streams = max_streams
        self._max_sending = max_sending
        self._streams = 0
        self._too_many_streams = metrics.rejected.labels("streams")
        self._log_each = log_each
        self._handlers: dict[str, Handler] = {}
        self._unknown = self._refuse_unknown()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cut = False
        self._shed_said = -math.inf
        self._shed_unsaid = 0

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Take the methods of a service; called by generated code."""
        for name, handler in handlers.items():
            self._handlers[f"/{service}/{name}"] = self._wrap(service, name, handler)

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        """Take nothing: generated code offers the same methods a second time in this form."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Return the handler of the method that is called."""
        return self._handlers.get(handler_call_details.method, self._unknown)

    def close_streams(self) -> None:
        """End the streams that would otherwise never end, such as watches of the health."""
        self._closing.set()

    def cut_off(self) -> None:
        """Refuse what is still in work; gRPC's own way would not let it be counted rightly."""
        self._cut = True
        for task in self._tasks:
            task.cancel()

    def _wrap(self, service: str, name: str, handler: Handler) -> Handler:
        wraps = {
            (False, False): self._wrap_unary,
            (False, True): self._wrap_server_stream,
            (True, True): self._wrap_bidi_stream,
        }
        return wraps[handler.request_streaming, handler.response_streaming](service, name, handler)

    def _wrap_unary(self, service: str, name: str, handler: Handler) -> Handler:
        """Messages are parsed and written inside, so that a malformed one is counted too.

        This is the hot path: one coroutine, and nothing in it that only failures need.
        """
        rpc = self._metrics.rpc("unary", service, name)
        parse, answer = handler.request_deserializer or bytes, handler.unary_unary
        write = handler.response_serializer or bytes
        limited = self._unlimited.isdisjoint((service, rpc.method))
        admission = self._admission if limited else None
        permit = self._permit(service, rpc.method)
        if not limited or handler.request_deserializer:  # others look at the bytes themselves
            parse = partial(_parsed, parse=parse)

        async def unary(raw: bytes, context: Context) -> bytes:
            call = _Call(rpc, context, self._log_each)
            admitted = False
            self._tasks.add(call.task)
            try:
                if permit:
                    permit(call)
                if admission:
                    admission.enter(len(raw))
                    admitted = True
                if call.granted == 0:
                    raise DeadlineExpired("the deadline had passed when the request arrived")
                written: bytes = write(await answer(parse(raw), context))
            except Overloaded as overload:
                self._shed(call, overload)
                return b""  # not sent, since the status is not OK
            except (Exception, asyncio.CancelledError) as error:
                await self._fail(call, error)
                raise
            else:
                call.finish(grpc.StatusCode.OK)
                if admission and len(written) > _LARGE:
                    self._keep_until_sent(call.task, len(written))
                return written
            finally:
                self._tasks.discard(call.task)
                if admission and admitted:
                    admission.leave(len(raw))

        return grpc.unary_unary_rpc_method_handler(unary)

    def _wrap_server_stream(self, service: str, name: str, handler: Handler) -> Handler:
        rpc = self._metrics.rpc("server_stream", service, name)
        permit = self._permit(service, rpc.method)

        async def work(raw: bytes, context: Context) -> None:
            request = _parsed(raw, handler.request_deserializer)
            await self._until_closing(_write_all(handler.unary_stream, request, context))

        async def stream(raw: bytes, context: Context) -> None:
            await self._account(_Call(rpc, context, self._log_each), permit, work(raw, context))

        return grpc.unary_stream_rpc_method_handler(
            stream, response_serializer=handler.response_serializer
        )

    def _wrap_bidi_stream(self, service: str, name: str, handler: Handler) -> Handler:
        rpc = self._metrics.rpc("bidi_stream", service, name)
        permit = self._permit(service, rpc.method)

        async def work(raws: AsyncIterator[bytes], context: Context) -> None:
            requests = _each_parsed(raws, handler.request_deserializer)
            await self._until_closing(_write_all(handler.stream_stream, requests, context))

        async def stream(raws: AsyncIterator[bytes], context: Context) -> None:
            call = _Call(rpc, context, self._log_each)
            await self._account(call, permit, work(raws, context))

        return grpc.stream_stream_rpc_method_handler(
            stream, response_serializer=handler.response_serializer
        )

    def _refuse_unknown(self) -> Handler:
        rpc = self._metrics.rpc("unknown", "unknown", "unknown")

        async def work() -> None:
            raise UnknownMethod("there is no such method here")

        async def stream(_requests: Any, context: Context) -> None:
            await self._account(_Call(rpc, context, self._log_each), None, work())

        return grpc.stream_stream_rpc_method_handler(stream)

    def _permit(self, service: str, method: str) -> "Callable[[_Call], None] | None":
        """Return what decides whether a call may go on; ``None`` = every call may."""
        authorize, tracing = self._authorize, self._tracing
        if service in self._open_to_all or not (authorize or tracing):
            return None

        def permit(call: _Call) -> None:
            metadata = call.metadata()
            if tracing:
                call.span = tracing.begin(method, metadata)
            if authorize:
                authorize(method, metadata)

        return permit

    async def _account(
        self,
        call: "_Call",
        permit: "Callable[[_Call], None] | None",
        work: Coroutine[Any, Any, None],
    ) -> None:
        """Do the work of a stream and count it once."""
        self._tasks.add(call.task)
        self._streams += 1
        try:
            if permit:
                permit(call)
            if self._streams > self._max_streams:
                self._too_many_streams.inc()
                raise Overloaded(f"{self._max_streams} streams are open already", _RETRY_AFTER)
            await work
        except Overloaded as overload:
            self._shed(call, overload)
        except (Exception, asyncio.CancelledError) as error:
            await self._fail(call, error)
            raise
        else:
            call.finish(grpc.StatusCode.OK)
        finally:
            work.close()
            self._streams -= 1
            self._tasks.discard(call.task)

    def _keep_until_sent(self, task: "asyncio.Task[Any]", size: int) -> None:
        """Count an answer among the bytes in work until its client has taken it, or has had time.

        Args:
            task: gRPC's of the call; it is done when the answer is sent, and its end closes the
                stream.
            size: of the answer.
        """
        self._admission.keep(size)
        overdue = asyncio.get_running_loop().call_later(self._max_sending, end_call, task)

        def sent(_task: "asyncio.Task[Any]") -> None:
            overdue.cancel()
            self._admission.give_back(size)

        task.add_done_callback(sent)

    def _shed(self, call: "_Call", overload: Overloaded) -> None:
        """Send a call away at a fraction of what an answer costs, or shedding would not help.

        No details made for this call alone, no abort, and one line of the log a second.
        """
        code, message, trailers = _overloaded(str(overload), overload.retry_after)
        call.set_status(code, message, trailers)
        call.finish(code)
        self._shed_unsaid += 1
        now = time.monotonic()
        if now >= self._shed_said + _SHED_LOG_SECONDS:
            log.warning("shedding", requests=self._shed_unsaid, problem=message)
            self._shed_said, self._shed_unsaid = now, 0

    async def _fail(self, call: "_Call", error: BaseException) -> None:
        """Count a call that failed, and tell its client.

        Returns if there is nobody to tell; the caller then raises the error again.

        Raises:
            grpc.aio.AbortError: the client has been told.
        """
        if isinstance(error, grpc.aio.AbortError):
            call.finish(call.code())
            return
        if isinstance(error, asyncio.CancelledError):
            gone = call.task.cancelling() > 0
            if gone and not self._cut:
                call.finish(call.code_of_the_gone())
                return
            # Cut off, or a bug of ours: silence would leave the client waiting.
            call.task.uncancel()
            error = NotReady(_STOPPING) if gone else error
        refusal = refuse(error, call.request_id())
        call.finish(refusal.code)
        _report(refusal, error, call)
        await call.abort(refusal)

    async def _until_closing(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, unless the server stops before it is done."""
        done = asyncio.ensure_future(work)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((done, closing), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise NotReady(_STOPPING)
            await done
        finally:
            done.cancel()
            closing.cancel()
            # What was cancelled is waited for: a write to a stream that is gone fails, and nobody
            # else would ever hear of it.
            await asyncio.gather(done, closing, return_exceptions=True)


class _Call:
    """One RPC from its start, which is now, to its end.

    Attributes:
        task: the one that gRPC cancels when the client goes away.
        granted: seconds that the caller waited for at the start; ``None`` = for ever.
        span: of the RPC, where it is traced.
    """

    __slots__ = ("_context", "_id", "_log", "_rpc", "_start", "granted", "span", "task")

    def __init__(self, rpc: RpcMetrics, context: Context, log_it: bool) -> None:
        self._start = time.perf_counter()
        self._rpc = rpc
        self._context = context
        self._log = log_it
        self._id = ""
        self.task = _current_task()
        self.granted = context.time_remaining()
        self.span: Span | None = None
        rpc.start()

    @property
    def method(self) -> str:
        """Full name, for the log."""
        return self._rpc.method

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

    def finish(self, code: grpc.StatusCode) -> None:
        """Count the RPC; to be called exactly once."""
        seconds = time.perf_counter() - self._start
        self._rpc.finish(code, seconds)
        if self.span:
            self.span.finish(code)
        if self._log:
            log.debug("rpc", code=code.name, seconds=round(seconds, 6), **self.labels())

    def labels(self) -> dict[str, str]:
        """Return what a line of the log says of every call."""
        trace = {"trace_id": self.span.trace_id} if self.span else {}
        return {"method": self.method, "request_id": self.request_id(), **trace}

    async def abort(self, refusal: Refusal) -> None:
        """Tell the client.

        Raises:
            grpc.aio.AbortError: always; it ends the handler.
        """
        metadata = ((REQUEST_ID, self.request_id()), *refusal.trailing_metadata())
        await self._context.abort(refusal.code, refusal.message, metadata)

    def set_status(self, code: grpc.StatusCode, message: str, trailers: Metadata) -> None:
        """Have the handler end with this status once it returns."""
        self._context.set_code(code)
        self._context.set_details(message)
        self._context.set_trailing_metadata(tuple(trailers))

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


@lru_cache(maxsize=64)
def _overloaded(message: str, retry_after: float) -> tuple[grpc.StatusCode, str, Metadata]:
    refusal = refuse(Overloaded(message, retry_after), request_id="")
    return refusal.code, refusal.message, refusal.trailing_metadata()


def _request_id(metadata: Metadata) -> str:
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _SAFE_ID.fullmatch(value):
            return value
    return secrets.token_hex(8)


def _current_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("expected to run in a task of the event loop, found none")
    return task


def _report(refusal: Refusal, failure: BaseException, call: _Call) -> None:
    ours = refusal.code is grpc.StatusCode.INTERNAL
    # What callers do wrong shows in the counters; a line each would let anybody fill the log.
    theirs = refusal.is_callers_fault
    (log.error if ours else log.debug if theirs else log.warning)(
        "rpc failed",
        code=refusal.code.name,
        problem=refusal.message,
        exc_info=failure if ours else None,
        **call.labels(),
    )


def _parsed(raw: bytes, parse: Callable[[bytes], Any]) -> Any:
    """Return what is asked by a call that brings no pictures.

    Raises:
        InvalidRequest: it is longer than any name.
    """
    if len(raw) > MOST_ASKED:
        problem = f"expected at most {MOST_ASKED} bytes, found {len(raw)}"
        raise InvalidRequest([("request", problem)])
    return parse(raw)


async def _each_parsed(
    raws: AsyncIterator[bytes], parse: Callable[[bytes], Any]
) -> AsyncIterator[Any]:
    async for raw in raws:
        yield _parsed(raw, parse)


async def _write_all(answer: Callable[..., Any], request: Any, context: Context) -> None:
    """Run a streaming handler, be it one that yields or one that writes."""
    if inspect.isasyncgenfunction(answer):
        async for message in answer(request, context):
            await context.write(message)
    else:
        await answer(request, context)
