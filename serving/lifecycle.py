"""One serving process from its start to its end: load, answer, drain on a signal."""

import asyncio
import gc
import os
import signal
import sys

import structlog

from serving.abandoned import make_task
from serving.errors import OnehandError
from serving.heaps import share_heaps
from serving.scheduling import run_in_batches
from serving.server import Server, Tell
from serving.settings import Settings
from serving.slots import Region
from serving.wakeups import EventLoop

__all__ = ["run"]

# Objects that may come to be before the collector looks for rings of them: requests leave hardly
# any behind, and at Python's 700 it would look every few requests.
_GARBAGE = 2_000

log = structlog.get_logger(__name__)


def run(
    chosen: Settings,
    region: Region | None = None,
    tell: Tell | None = None,
    *,
    load_first: bool = False,
) -> int:
    """Serve until a signal; return the exit code.

    Args:
        chosen: the settings in force.
        region: where a worker among several counts; ``None`` = this process serves alone.
        tell: is told of "listening" and "serving", with facts; ``None`` = the log.
        load_first: let callers wait while models are loaded, for they have been served already
            by others and would take a refusal for a failure.
    """
    share_heaps(os.environ)
    if chosen.batch_scheduling:
        run_in_batches()
    # Threads that decode and draw must not keep the event loop waiting for long.
    sys.setswitchinterval(0.001)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(_serve(chosen, region, tell, load_first))


async def _serve(
    chosen: Settings, region: Region | None, tell: Tell | None, load_first: bool
) -> int:
    asyncio.get_running_loop().set_task_factory(make_task)
    stopping, hurry = _watch_signals()
    try:
        server = Server(chosen, region, tell)
    except OnehandError as error:
        log.error("cannot serve", problem=str(error))
        return 1
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.reload)
    try:
        ready = await _begin(server, stopping, load_first)
    except OnehandError as error:
        log.error("cannot serve", problem=str(error))
        await server.stop(0)
        return 1
    if ready:
        # What is there now stays; the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        await stopping.wait()
        await server.drain(hurry)
    await server.stop(chosen.grace)
    return 0


async def _begin(server: Server, stopping: asyncio.Event, load_first: bool) -> bool:
    """Load and answer; return whether that was done before a signal came."""
    if not load_first:
        await server.start()
        return await _load(server, stopping)
    ready = await _load(server, stopping)
    if ready:
        await server.start()
    return ready


async def _load(server: Server, stopping: asyncio.Event) -> bool:
    """Load the profiles; return whether that was done before a signal came."""
    loading = asyncio.ensure_future(server.load())
    signalled = asyncio.ensure_future(stopping.wait())
    await asyncio.wait((loading, signalled), return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if loading.done():
        await loading
        return True
    loading.cancel()
    return False


def _watch_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return two events: a signal has come, and a second one has."""
    first, second = asyncio.Event(), asyncio.Event()

    def note() -> None:
        (second if first.is_set() else first).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, note)
    return first, second
