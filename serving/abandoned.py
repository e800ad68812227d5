"""Answers that nobody takes: how a call can be ended whose client is silent.

``grpc.aio`` runs a handler in a task, and holds the call in another one, which waits for the client
to be done. Cancelled while its answer is being sent, the former is over, and for the rest gRPC
counts on the client: call and answer stay until the connection ends. A call that both have let go
is reset (RST_STREAM), but for the last two that each of gRPC's loops took, until it takes others.
"""

import asyncio
import gc
from typing import Any

__all__ = ["end_call", "make_task"]

# Seconds in which both tasks have heard of it.
_LET_GO = 0.1
_HANDLING = "_handle_exceptions"  # of grpc._cython.cygrpc: what the task of a handler does


def make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    """Return a task as the loop would make it; that of a handler knows who holds its call.

    For ``loop.set_task_factory``.
    """
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    if getattr(work, "__name__", "") == _HANDLING:
        task.holder = asyncio.current_task(loop)  # type: ignore[attr-defined]
    return task


def end_call(task: "asyncio.Task[Any]") -> None:
    """Cancel the task of a handler, and let go of its call."""
    task.cancel()
    holder: asyncio.Task[Any] | None = getattr(task, "holder", None)
    if holder:
        holder.cancel()
        # gRPC leaves a call in a ring of references, and the collector has no hurry.
        task.get_loop().call_later(_LET_GO, gc.collect)
