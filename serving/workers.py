"""A bounded number of threads for work that must not hold up the event loop."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar

from serving.deadline import Deadline

__all__ = ["Workers"]

P = ParamSpec("P")
T = TypeVar("T")


class _Observer(Protocol):
    def observe(self, amount: float) -> Any: ...


class Workers:
    """Threads that take jobs in the order in which they come.

    The line of waiting jobs has no bound of its own: ``admission`` bounds the requests that can
    put jobs into it.
    """

    def __init__(self, name: str, threads: int, queued: _Observer) -> None:
        """Make the pool; threads start when first needed.

        Args:
            name: of the threads, for debuggers.
            threads: how many jobs run at once.
            queued: told the seconds that each job waited.
        """
        self._name = name
        self._queued = queued
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"onehand-{name}")

    async def run(
        self, deadline: Deadline, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what ``job`` returns.

        A job whose caller has gone before its turn is dropped; one that has begun runs to its
        end, so jobs are made small.

        Raises:
            DeadlineExpired: the deadline passed before the job's turn came.
        """
        arrived = time.perf_counter()

        def start() -> T:
            self._queued.observe(time.perf_counter() - arrived)
            deadline.check(self._name)
            return job(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._pool, start)

    def close(self) -> None:
        """Drop the jobs that wait and wait for those that run."""
        self._pool.shutdown(wait=True, cancel_futures=True)
