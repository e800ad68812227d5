"""Micro-batches: pictures of several requests classified in one run of the model.

A run costs a good part of its time once, however many pictures it holds. So while one runs,
those that arrive wait together and are the next: nobody ever waits for a batch to fill, and the
busier the server is, the larger its batches get. When requests come one by one, a short run is
made on the event loop itself: to hand it to a thread and back would take longer than the run.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.deadline import Deadline
from serving.errors import DeadlineExpired
from serving.metrics import Metrics
from serving.model import CLASSIFY_ROWS, Verdicts
from serving.workers import Workers

__all__ = ["Backlog", "Batcher"]

Images = NDArray[np.uint8]
# Weight of the newest value in the running means of a picture's cost and of the idle time.
_LEARNING = 0.1
# Too short for a health check behind it to notice.
_SHORT_SECONDS = 300e-6
# Well above what a loop that is never idle spends on gRPC between two calls.
_IDLE_SECONDS = 400e-6

Outcome = Verdicts | BaseException


class _Waiting(NamedTuple):
    """Pictures of one request on their way through the model, and what they will cost."""

    images: Images
    deadline: Deadline
    arrived: float
    seconds: float
    answer: "asyncio.Future[Verdicts]"


class Backlog:
    """What waits for all the models of a process, and how idle it is between requests.

    Attributes:
        seconds: of work that has not begun, as the last runs went.
        idle: running mean of the seconds in which nothing was in work before a request came.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.idle = 0.0
        self._in_work = 0
        self._finished = time.perf_counter()
        self._lock = threading.Lock()

    def arrive(self, now: float) -> None:
        """Note that a request has come; called from the event loop."""
        idle = 0.0 if self._in_work else min(now - self._finished, 1.0)
        self.idle += _LEARNING * (idle - self.idle)
        self._in_work += 1

    def finish(self, requests: int) -> None:
        """Note that so many requests are done; called from the event loop."""
        self._in_work -= requests
        self._finished = time.perf_counter()

    def add(self, seconds: float) -> None:
        """Note work that has come (or, below 0, begun); called from any thread."""
        with self._lock:
            self.seconds += seconds


class Batcher:
    """The line before one model.

    The line belongs to the event loop; ``_run`` and what it calls belong to the workers.
    """

    def __init__(
        self,
        classify: Callable[[Images], Verdicts],
        workers: Workers,
        backlog: Backlog,
        metrics: Metrics,
    ) -> None:
        """Make an empty line.

        Args:
            classify: the model; called with 1 to ``CLASSIFY_ROWS`` images.
            workers: whose threads run it.
            backlog: shared by the lines before all models.
            metrics: told of waits, runs and their sizes.
        """
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._classify = classify
        self._workers = workers
        self._queue = metrics.stage["queue"]
        self._infer = metrics.stage["infer"]
        self._sizes = metrics.microbatch_size
        self._line: deque[_Waiting] = deque()
        self._seconds_a_row = 0.0
        self._rows = 0
        self._running = 0

    def classify(self, images: Images, deadline: Deadline) -> "asyncio.Future[Verdicts]":
        """Return, in time, a verdict for each image of shape (n, 28, 28).

        The future raises DeadlineExpired if the deadline passed before the pictures' turn came,
        and ModelFault if the model failed on these pictures. Cancel it to leave the line.

        Args:
            images: 1 to ``CLASSIFY_ROWS``.
            deadline: checked when the pictures' turn comes.
        """
        answer: asyncio.Future[Verdicts] = self._loop.create_future()
        now = time.perf_counter()
        self._backlog.arrive(now)
        seconds = len(images) * self._seconds_a_row
        waiting = _Waiting(images, deadline, now, seconds, answer)
        if self._runs_at_once(seconds):
            self._settle([waiting], self._outcomes([waiting]))
            return answer
        self._backlog.add(seconds)
        self._line.append(waiting)
        self._rows += len(images)
        if not self._running or self._rows >= CLASSIFY_ROWS:
            self._start()
        return answer

    def _runs_at_once(self, seconds: float) -> bool:
        """Say whether a run of ``seconds`` on the event loop delays nobody else.

        It must be short, and there must have been time to spare between requests: what a busy
        loop spends on gRPC's part of each call is no idleness.
        """
        return (
            0 < seconds < _SHORT_SECONDS
            and self._backlog.idle > _IDLE_SECONDS
            and not self._running
            and not self._line
        )

    def _start(self) -> None:
        """Run what waits, if the model is free.

        Only full batches go to further threads, and one more is held ready, so that a thread that
        has done does not wait for the event loop.
        """
        while self._line and (
            not self._running
            or (self._rows >= CLASSIFY_ROWS and self._running <= self._workers.threads)
        ):
            batch = self._take()
            if batch:
                self._running += 1
                self._workers.submit(partial(self._run, batch))

    def _take(self) -> list[_Waiting]:
        """Return the head of the line without those whom nobody waits for any more."""
        batch: list[_Waiting] = []
        rows = 0
        while self._line and rows + len(self._line[0].images) <= CLASSIFY_ROWS:
            waiting = self._line.popleft()
            self._rows -= len(waiting.images)
            if waiting.answer.done():
                self._backlog.add(-waiting.seconds)
                self._backlog.finish(1)
                continue
            rows += len(waiting.images)
            batch.append(waiting)
        return batch

    def _run(self, batch: list[_Waiting]) -> None:
        """Classify a batch in a worker, and hand the outcomes back to the loop."""
        # The batch may have waited for a free thread since it was put together.
        self._backlog.add(-sum(waiting.seconds for waiting in batch))
        wanted = [waiting for waiting in batch if not waiting.answer.done()]
        now = time.perf_counter()
        for waiting in wanted:
            self._queue.observe(now - waiting.arrived)
        outcomes = self._outcomes(wanted)
        self._loop.call_soon_threadsafe(self._finish, wanted, outcomes, len(batch) - len(wanted))

    def _outcomes(self, batch: list[_Waiting]) -> list[Outcome]:
        """Return what becomes of each; the late ones are not run."""
        outcomes: list[Outcome | None] = [_lateness(waiting) for waiting in batch]
        runnable = [i for i, late in enumerate(outcomes) if late is None]
        if runnable:
            found = self._classified([batch[i].images for i in runnable])
            for i, outcome in zip(runnable, found, strict=True):
                outcomes[i] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _classified(self, parts: list[Images]) -> list[Outcome]:
        """Return the verdicts of each part; a part that fails the model fails alone."""
        try:
            start = time.perf_counter()
            whole = self._classify(parts[0] if len(parts) == 1 else np.concatenate(parts))
            seconds = time.perf_counter() - start
        except BaseException as error:  # noqa: BLE001 - it is handed to those who wait
            if len(parts) == 1:
                return [error]
            return [outcome for part in parts for outcome in self._classified([part])]
        rows = len(whole.llr)
        self._infer.observe(seconds)
        self._sizes.observe(rows)
        known = self._seconds_a_row
        self._seconds_a_row += (_LEARNING if known else 1.0) * (seconds / rows - known)
        if len(parts) == 1:
            return [whole]
        return _split(whole, [len(part) for part in parts])

    def _finish(self, batch: list[_Waiting], outcomes: list[Outcome], dropped: int) -> None:
        self._running -= 1
        self._backlog.finish(dropped)
        self._loop.call_soon(self._start)
        self._settle(batch, outcomes)

    def _settle(self, batch: list[_Waiting], outcomes: list[Outcome]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.answer.done():  # its caller has gone
                continue
            if isinstance(outcome, BaseException):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)
        self._backlog.finish(len(batch))


def _lateness(waiting: _Waiting) -> DeadlineExpired | None:
    try:
        waiting.deadline.check("classification")
    except DeadlineExpired as expired:
        return expired
    return None


def _split(whole: Verdicts, sizes: list[int]) -> list[Outcome]:
    parts: list[Outcome] = []
    start = 0
    for size in sizes:
        stop = start + size
        parts.append(Verdicts(whole.probabilities[start:stop], whole.llr[start:stop]))
        start = stop
    return parts
