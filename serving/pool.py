"""A bounded number of threads for work that must not hold up the event loop.

The standard library's executor does the same at several times the cost of a job, which here may
be a tenth of a millisecond.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

import structlog

from serving.deadline import Deadline

__all__ = ["CLOSE_SECONDS", "Observer", "Pool", "fail", "settle"]

P = ParamSpec("P")
T = TypeVar("T")

Job = Callable[[], None]
Inbox: TypeAlias = "SimpleQueue[Job | None]"

# Jobs whose callers have gone take tenths of a second; whoever waits here is the last step of a
# shutdown.
CLOSE_SECONDS = 1.5

log = structlog.get_logger(__name__)


class Observer(Protocol):
    """What is told of seconds, such as a histogram."""

    def observe(self, amount: float) -> Any:
        """Note so many."""


class Pool:
    """Threads that take jobs from two lines by turns: one of short jobs and one of long ones.

    So a short job waits for one long one at most, however many are in line, and neither line keeps
    the other waiting for ever. The lines have no bound of their own: ``admission`` bounds the
    requests that can put jobs into them.

    Of the threads that are free, the one that was busy last gets the job: its share of the
    processor's caches is warm, and one thread is enough for jobs that come one by one.

    Attributes:
        threads: how many jobs run at once.
    """

    def __init__(self, name: str, threads: int, queued: Observer) -> None:
        """Start the threads.

        Args:
            name: of the threads, for debuggers.
            threads: how many jobs run at once.
            queued: told the seconds that each job of ``run`` waited.
        """
        self.threads = threads
        self._name = name
        self._queued = queued
        self._lock = threading.Lock()
        self._short: deque[Job] = deque()
        self._long: deque[Job] = deque()
        self._turn = (self._short, self._long)
        self._inboxes: list[Inbox] = [SimpleQueue() for _ in range(threads)]
        self._free = list(self._inboxes)
        self._members = [
            threading.Thread(
                target=self._work, args=(inbox,), name=f"onehand-{name}-{i}", daemon=True
            )
            for i, inbox in enumerate(self._inboxes)
        ]
        for thread in self._members:
            thread.start()

    @property
    def free(self) -> int:
        """Return how many threads have nothing to do just now."""
        return len(self._free)

    @property
    def is_wanted(self) -> bool:
        """Return whether a job waits for a thread."""
        return bool(self._short or self._long)

    def submit(self, job: Job, *, short: bool = False) -> None:
        """Run ``job`` in its turn; it tells its outcome itself, and raises nothing."""
        with self._lock:
            if not self._free:
                (self._short if short else self._long).append(job)
                return
            inbox = self._free.pop()
        inbox.put(job)

    async def run(
        self, deadline: Deadline, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what ``job`` returns.

        A job whose caller has gone before its turn is dropped; one that has begun runs to its
        end, so jobs are made small.

        Raises:
            DeadlineExpired: the deadline passed before the job's turn came.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        arrived = time.perf_counter()
        self.submit(partial(self._do, partial(job, *args, **kwargs), deadline, arrived, answer))
        try:
            return await answer
        finally:
            del answer  # it may hold an exception that holds this frame: see ``_do``

    def _do(
        self,
        job: Callable[[], T],
        deadline: Deadline,
        arrived: float,
        answer: "asyncio.Future[T]",
    ) -> None:
        """Do a job of ``run`` and tell what came of it."""
        if answer.cancelled():
            return
        self._queued.observe(time.perf_counter() - arrived)
        loop = answer.get_loop()
        try:
            deadline.check(self._name)
            result = job()
        except BaseException as error:  # noqa: BLE001 - it is the caller's, who waits for it
            loop.call_soon_threadsafe(fail, answer, error)
        else:
            loop.call_soon_threadsafe(settle, answer, result)
        finally:
            # An error holds the frames that it came through, and this one would hold the error by
            # its answer. Such a ring lives until the collector of garbage finds it, and with it
            # the caller's frame and all of the request.
            del answer

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Drop the jobs that wait, and wait for those that run, though not for ever.

        A thread that is still busy after so many seconds ends with the process.
        """
        with self._lock:
            self._short.clear()
            self._long.clear()
        for inbox in self._inboxes:
            inbox.put(None)
        end = time.monotonic() + seconds
        for thread in self._members:
            thread.join(max(end - time.monotonic(), 0))
        if busy := sum(thread.is_alive() for thread in self._members):
            log.warning("threads are still busy", pool=self._name, threads=busy)

    def _work(self, inbox: "Inbox") -> None:
        while (job := inbox.get()) is not None:
            while job is not None:
                try:
                    job()
                except Exception:
                    # A job's own failures go to who waits for it; this one is a bug, and the
                    # thread must outlive it.
                    log.exception("job failed", pool=self._name)
                job = self._next(inbox)

    def _next(self, inbox: "Inbox") -> Job | None:
        """Return the first job of the line whose turn it is; if none waits, the thread is free."""
        with self._lock:
            line, other = self._turn if self._turn[0] else self._turn[::-1]
            if line:
                self._turn = (other, line)
                return line.popleft()
            self._free.append(inbox)
            return None


def settle(future: "asyncio.Future[T]", result: T) -> None:
    """Give a future its result, on its loop, unless its caller has gone or been told otherwise."""
    if not future.done():
        future.set_result(result)


def fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    """Give it an error likewise."""
    if not future.done():
        future.set_exception(error)
