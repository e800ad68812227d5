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
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
)
from functools import partial
from typing import Any, TypeAlias

import grpc
import structlog

from serving.abandoned import end_call
from serving.admission import Admission
from serving.call import Call, Context, Metadata
from serving.errors import DeadlineExpired, InvalidRequest, NotReady, Overloaded
from serving.metrics import Metrics
from serving.status import UnknownMethod, refuse
from serving.tracing import Tracing

__all__ = ["MOST_ASKED", "Router"]

MOST_ASKED = 4096
"""Bytes that ask for the health or the description of a service: a name, which a watch keeps."""
_STOPPING = "the server is stopping"
_RETRY_AFTER = 1.0
_SHED_LOG_SECONDS = 1.0
# An answer of more bytes counts until its client has taken it, which says itself how much it takes.
# Verdicts on 256 pictures are less.
_LARGE = 8 * 1024

Handler: TypeAlias = Any  # grpc.RpcMethodHandler, whose stubs know only blocking handlers

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
            call = Call(rpc, context, self._log_each)
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
            await self._account(Call(rpc, context, self._log_each), permit, work(raw, context))

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
            call = Call(rpc, context, self._log_each)
            await self._account(call, permit, work(raws, context))

        return grpc.stream_stream_rpc_method_handler(
            stream, response_serializer=handler.response_serializer
        )

    def _refuse_unknown(self) -> Handler:
        rpc = self._metrics.rpc("unknown", "unknown", "unknown")

        async def work() -> None:
            raise UnknownMethod("there is no such method here")

        async def stream(_requests: Any, context: Context) -> None:
            await self._account(Call(rpc, context, self._log_each), None, work())

        return grpc.stream_stream_rpc_method_handler(stream)

    def _permit(self, service: str, method: str) -> Callable[[Call], None] | None:
        """Return what decides whether a call may go on; ``None`` = every call may."""
        authorize, tracing = self._authorize, self._tracing
        if service in self._open_to_all or not (authorize or tracing):
            return None

        def permit(call: Call) -> None:
            metadata = call.metadata()
            if tracing:
                call.span = tracing.begin(method, metadata)
            if authorize:
                authorize(method, metadata)

        return permit

    async def _account(
        self,
        call: Call,
        permit: Callable[[Call], None] | None,
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

    def _shed(self, call: Call, overload: Overloaded) -> None:
        """Send a call away at a fraction of what an answer costs, or shedding would not help.

        No details made for this call alone, no abort, and one line of the log a second.
        """
        message = call.shed(overload)
        self._shed_unsaid += 1
        now = time.monotonic()
        if now >= self._shed_said + _SHED_LOG_SECONDS:
            log.warning("shedding", requests=self._shed_unsaid, problem=message)
            self._shed_said, self._shed_unsaid = now, 0

    async def _fail(self, call: Call, error: BaseException) -> None:
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
        call.report(refusal, error)
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
