"""What every RPC passes on its way in and out, whichever service it belongs to.

In: a request id, a place in the queue, the message parsed. Out: any exception becomes a status,
and the RPC is counted once, with the status that the client saw. All of it happens around the
handler in one place, because the parts need one another: a shed request must be counted, a count
needs the status, a status needs the request id.
"""

import asyncio
import inspect
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias, TypeVar

import grpc
import structlog

from serving.admission import Admission
from serving.errors import DeadlineExpired, NotReady
from serving.metrics import Metrics, RpcMetrics
from serving.status import Refusal, UnknownMethod, refuse

__all__ = ["REQUEST_ID", "Interceptor"]

REQUEST_ID = "x-request-id"
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OURS = "/onehand."
_STOPPING = "the server is stopping"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = Any  # grpc.RpcMethodHandler, whose stubs know only blocking handlers

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in stubs only
    """Admits, times, counts and answers for every RPC of the server.

    Only the project's own service is subject to admission: health and reflection must answer
    most of all when the server is busy.
    """

    def __init__(self, admission: Admission, metrics: Metrics) -> None:
        self._admission = admission
        self._metrics = metrics
        self._wrapped: dict[str, Handler] = {}
        self._unknown = self._refuse_unknown()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cut = False

    def close_streams(self) -> None:
        """End the streams that would otherwise never end, such as watches of the health."""
        self._closing.set()

    def cut_off(self) -> None:
        """Refuse what is still in work; gRPC's own way would not let it be counted rightly."""
        self._cut = True
        for task in self._tasks:
            task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the method's handler with everything around it; made once for each method."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return self._unknown
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        _, service, name = method.split("/")
        if not handler.request_streaming and not handler.response_streaming:
            rpc = self._metrics.rpc("unary", service, name)
            return self._wrap_unary(rpc, handler, admit=method.startswith(_OURS))
        if not handler.request_streaming:
            rpc = self._metrics.rpc("server_stream", service, name)
            return self._wrap_server_stream(rpc, handler)
        rpc = self._metrics.rpc("bidi_stream", service, name)
        return self._wrap_bidi_stream(rpc, handler)

    def _wrap_unary(self, rpc: RpcMetrics, handler: Handler, *, admit: bool) -> Handler:
        """Messages are parsed and written inside, so that a malformed one is counted too."""
        parse, write, answer = (
            handler.request_deserializer,
            handler.response_serializer,
            handler.unary_unary,
        )

        async def work(raw: bytes, context: Context) -> bytes:
            place: AbstractContextManager[None] = (
                self._admission.admit(len(raw)) if admit else nullcontext()
            )
            with place:
                if context.time_remaining() == 0:
                    raise DeadlineExpired("the deadline had passed when the request arrived")
                written: bytes = write(await answer(parse(raw), context))
                return written

        async def unary(raw: bytes, context: Context) -> bytes:
            return await self._account(rpc, context, work(raw, context))

        return grpc.unary_unary_rpc_method_handler(unary)

    def _wrap_server_stream(self, rpc: RpcMetrics, handler: Handler) -> Handler:
        async def work(raw: bytes, context: Context) -> None:
            request = handler.request_deserializer(raw)
            await self._until_closing(_write_all(handler.unary_stream, request, context))

        async def stream(raw: bytes, context: Context) -> None:
            await self._account(rpc, context, work(raw, context))

        return grpc.unary_stream_rpc_method_handler(
            stream, response_serializer=handler.response_serializer
        )

    def _wrap_bidi_stream(self, rpc: RpcMetrics, handler: Handler) -> Handler:
        async def stream(requests: Any, context: Context) -> None:
            answers = _write_all(handler.stream_stream, requests, context)
            await self._account(rpc, context, self._until_closing(answers))

        return grpc.stream_stream_rpc_method_handler(
            stream,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _refuse_unknown(self) -> Handler:
        rpc = self._metrics.rpc("unknown", "unknown", "unknown")

        async def work() -> None:
            raise UnknownMethod("there is no such method here")

        async def stream(_requests: Any, context: Context) -> None:
            await self._account(rpc, context, work())

        return grpc.stream_stream_rpc_method_handler(stream)

    async def _account(  # noqa: RET503 - ends in an answer, or in abort, which raises
        self, rpc: RpcMetrics, context: Context, work: Awaitable[T]
    ) -> T:
        """Do the work, count it once, and turn its failure into a status."""
        call = _Call(rpc, context)
        task = _current_task()
        self._tasks.add(task)
        try:
            answer = await work
        except grpc.aio.AbortError:
            call.finish(context.code())
            raise
        except asyncio.CancelledError as error:
            if task.cancelling() and not self._cut:
                call.finish(call.code_of_the_gone())
                raise
            # Cut off, or a bug of ours: silence would leave the client waiting.
            failure: BaseException = NotReady(_STOPPING) if task.cancelling() else error
            task.uncancel()
        except Exception as error:  # noqa: BLE001 - this is where every exception ends
            failure = error
        else:
            call.finish(grpc.StatusCode.OK)
            return answer
        finally:
            self._tasks.discard(task)
        refusal = refuse(failure, call.request_id)
        call.finish(refusal.code)
        _report(refusal, failure, call)
        metadata = ((REQUEST_ID, call.request_id), *refusal.trailing_metadata())
        await context.abort(refusal.code, refusal.message, metadata)

    async def _until_closing(self, work: Awaitable[None]) -> None:
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


class _Call:
    """One RPC from its start to its end.

    Attributes:
        method: full name, for the log.
        request_id: the caller's, or a new one.
    """

    def __init__(self, rpc: RpcMetrics, context: Context) -> None:
        self._rpc = rpc
        self._context = context
        self._start = time.perf_counter()
        self._granted = context.time_remaining()
        self.method = rpc.method
        self.request_id = _request_id(context)
        context.set_trailing_metadata(((REQUEST_ID, self.request_id),))
        rpc.start()

    def finish(self, code: grpc.StatusCode) -> None:
        """Count the RPC; to be called exactly once."""
        seconds = time.perf_counter() - self._start
        self._rpc.finish(code, seconds)
        log.debug(
            "rpc",
            method=self.method,
            code=code.name,
            seconds=round(seconds, 6),
            request_id=self.request_id,
        )

    def code_of_the_gone(self) -> grpc.StatusCode:
        """Return what a client saw that went away: its deadline, or its own cancellation.

        Both arrive as the same reset of the stream. The deadline travels rounded up, so it may
        seem to lie a little ahead when the client has already given up for it.
        """
        left = self._context.time_remaining()
        if left is None or self._granted is None:
            return grpc.StatusCode.CANCELLED
        if left <= 0.005 + 0.02 * self._granted:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        return grpc.StatusCode.CANCELLED


def _request_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and _SAFE_ID.fullmatch(value):
            return value
    return secrets.token_hex(8)


def _current_task() -> "asyncio.Task[Any]":
    """Return the task of this RPC: the one that gRPC cancels when the client goes away."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("expected to run in a task of the event loop, found none")
    return task


def _report(refusal: Refusal, failure: BaseException, call: _Call) -> None:
    ours = refusal.code is grpc.StatusCode.INTERNAL
    (log.error if ours else log.warning)(
        "rpc failed",
        method=call.method,
        code=refusal.code.name,
        problem=refusal.message,
        request_id=call.request_id,
        exc_info=failure if ours else None,
    )


async def _write_all(answer: Callable[..., Any], request: Any, context: Context) -> None:
    """Run a streaming handler, be it one that yields or one that writes."""
    if inspect.isasyncgenfunction(answer):
        async for message in answer(request, context):
            await context.write(message)
    else:
        await answer(request, context)
