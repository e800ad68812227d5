"""Micro-batches: pictures of several requests classified in one run of the model.

A run costs a good part of its time once, however many pictures it holds. So while one runs,
those that arrive wait together and are the next: nobody ever waits for a batch to fill, and the
busier the server is, the larger its batches get. When requests come one by one, a short run is
made on the event loop itself: to hand it to a thread and back would take longer than the run.
"""

import asyncio
import math
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
from serving.pool import Pool

__all__ = ["Backlog", "Batcher"]

Images = NDArray[np.uint8]
# So many pictures of one request are worth a thread of their own, where one has nothing to do.
_ALONE_ROWS = 16
# Full batches held ready for each thread. While all cores are busy the loop waits for one as long
# as the kernel pleases, some milliseconds, and threads shall not wait with it.
_READY = 2
# Weight of the newest value in the running means of a picture's cost and of the idle time.
_LEARNING = 0.1
# Too short for a health check behind it to notice.
_SHORT_SECONDS = 300e-6
# Above what a busy loop sleeps between two calls, which is next to nothing, and well below what it
# sleeps while the quickest lone caller makes up its mind.
_IDLE_SECONDS = 50e-6
_TOO_LATE = "the deadline passed before the request came to: classification"


class _Waiting(NamedTuple):
    """Pictures of one request on their way through the model, and what they will cost."""

    images: Images
    deadline: Deadline
    arrived: float
    seconds: float
    answer: "asyncio.Future[Verdicts]"


class _Run(NamedTuple):
    """A run of the model: whose pictures it held, what came of it, and how long it took."""

    waiting: list[_Waiting]
    found: Verdicts | BaseException
    seconds: float


class Backlog:
    """What waits for all the models of a process, and how idle it is between requests.

    Used from the event loop only.

    Attributes:
        seconds: of work that waits, in a line or for a thread, as the last runs went.
        idle: running mean of the seconds that the loop slept, with nothing in work, before a
            request came.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begin with nothing.

        Args:
            clock: monotonic seconds.
            worked: seconds of them for which this thread had a processor.
        """
        self.seconds = 0.0
        self.idle = 0.0
        self._clock = clock
        self._worked = worked
        self._in_work = 0
        self._finished = (clock(), worked())

    def arrive(self, now: float) -> None:
        """Note that a request has come."""
        slept = 0.0 if self._in_work else self._slept(now)
        self.idle += _LEARNING * (slept - self.idle)
        self._in_work += 1

    def finish(self, requests: int) -> None:
        """Note that so many requests are done."""
        self._in_work -= requests
        if not self._in_work:
            self._finished = (self._clock(), self._worked())

    def _slept(self, now: float) -> float:
        """Return for how long this thread has not run since the last request was done.

        What it has run for is gRPC's part of requests: that is no idleness, however long it takes.
        """
        finished, worked = self._finished
        return min(now - finished - (self._worked() - worked), 1.0)


class Batcher:
    """The line before one model.

    All of it belongs to the event loop, but for ``_run`` and what that calls. A thread of the pool
    does no more than it must: whenever it takes Python's lock the event loop stops, and what both
    of them touch travels between the caches of two cores.
    """

    def __init__(
        self,
        classify: Callable[[Images], Verdicts],
        pool: Pool,
        backlog: Backlog,
        metrics: Metrics,
    ) -> None:
        """Make an empty line.

        Args:
            classify: the model; called with 1 to ``CLASSIFY_ROWS`` images.
            pool: whose threads run it.
            backlog: shared by the lines before all models.
            metrics: told of waits, runs and their sizes.
        """
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._classify = classify
        self._pool = pool
        self._queue = metrics.stage["queue"]
        self._infer = metrics.stage["infer"]
        self._sizes = metrics.microbatch_size
        self._line: deque[_Waiting] = deque()
        self._seconds_a_row = 0.0
        self._rows = 0
        self._running = 0
        self._ready: deque[float] = deque()  # seconds of the batches that wait for a thread

    def pieces(self, rows: int) -> int:
        """Return into how many pieces a request for so many pictures is best cut now.

        Every thread that has nothing to do shall have one, but none be small; else one run is as
        good as another, up to ``CLASSIFY_ROWS``.

        Args:
            rows: at least one.
        """
        return max(min(self._pool.free, rows // _ALONE_ROWS), math.ceil(rows / CLASSIFY_ROWS))

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
        if len(images) < _ALONE_ROWS and self._runs_at_once(seconds) and not deadline.passed:
            self._answer_here(images, now, answer)
            return answer
        self._backlog.seconds += seconds
        self._line.append(_Waiting(images, deadline, now, seconds, answer))
        self._rows += len(images)
        if self._may_run():
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

    def _answer_here(
        self, images: Images, start: float, answer: "asyncio.Future[Verdicts]"
    ) -> None:
        """Classify the pictures of one request on the event loop."""
        found = self._attempt(images)
        if isinstance(found, BaseException):
            answer.set_exception(found)
        else:
            self._learn(len(images), time.perf_counter() - start)
            answer.set_result(found)
        self._backlog.finish(1)

    def _start(self) -> None:
        """Run what waits, as far as it may."""
        while self._line and self._may_run():
            batch = self._take()
            if batch:
                self._running += 1
                self._ready.append(sum(waiting.seconds for waiting in batch))
                if self._running <= self._pool.threads:
                    self._begin()
                self._pool.submit(partial(self._run, batch), short=True)

    def _begin(self) -> None:
        """Note that the next batch waits no more."""
        self._backlog.seconds -= self._ready.popleft()

    def _may_run(self) -> bool:
        """Say whether the head of the line is run now, or waits for more to run with.

        Only what is large goes to further threads. Of full batches some are held ready, so that
        a thread that has done does not wait for the event loop.
        """
        if not self._running:
            return True
        if self._rows >= CLASSIFY_ROWS:
            return self._running < (1 + _READY) * self._pool.threads
        return len(self._line[0].images) >= _ALONE_ROWS and self._pool.free > 0

    def _take(self) -> list[_Waiting]:
        """Return the head of the line without those whom nobody waits for any more."""
        batch: list[_Waiting] = []
        rows = 0
        while self._line and rows + len(self._line[0].images) <= CLASSIFY_ROWS:
            waiting = self._line.popleft()
            self._rows -= len(waiting.images)
            if waiting.answer.done():
                self._backlog.seconds -= waiting.seconds
                self._backlog.finish(1)
                continue
            rows += len(waiting.images)
            batch.append(waiting)
        return batch

    def _run(self, batch: list[_Waiting]) -> None:
        """Classify a batch in a thread, and hand what came of it back to the loop."""
        # It may have waited for a free thread since it was put together.
        begun = time.perf_counter()
        wanted = [
            waiting for waiting in batch if not (waiting.answer.done() or waiting.deadline.passed)
        ]
        runs = self._runs(wanted) if wanted else []
        self._loop.call_soon_threadsafe(self._finish, batch, begun, runs)

    def _runs(self, part: list[_Waiting]) -> list[_Run]:
        """Return the run of these pictures; where they fail the model, a run for each request.

        So one that fails the model fails alone.
        """
        images = [waiting.images for waiting in part]
        start = time.perf_counter()
        found = self._attempt(images[0] if len(images) == 1 else np.concatenate(images))
        if isinstance(found, BaseException) and len(part) > 1:
            return [run for waiting in part for run in self._runs([waiting])]
        return [_Run(part, found, time.perf_counter() - start)]

    def _attempt(self, images: Images) -> Verdicts | BaseException:
        """Return the verdicts, or what the model raised instead."""
        try:
            return self._classify(images)
        except BaseException as error:  # noqa: BLE001 - it is handed to those who wait
            return error

    def _finish(self, batch: list[_Waiting], begun: float, runs: list[_Run]) -> None:
        self._running -= 1
        if self._ready:
            self._begin()  # the thread has
        self._loop.call_soon(self._start)
        for waiting in batch:
            if not waiting.answer.done():  # its caller still waits
                self._queue.observe(begun - waiting.arrived)
        self._settle(batch, runs)

    def _settle(self, batch: list[_Waiting], runs: list[_Run]) -> None:
        """Answer everybody of a batch; who was in no run came too late for it, or has gone."""
        for run in runs:
            if isinstance(run.found, BaseException):
                _refuse(run.waiting[0], run.found)
            else:
                self._learn(len(run.found.llr), run.seconds)
                _answer(run.waiting, run.found)
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(DeadlineExpired(_TOO_LATE))
        self._backlog.finish(len(batch))

    def _learn(self, rows: int, seconds: float) -> None:
        """Take note of what a run cost."""
        self._infer.observe(seconds)
        self._sizes.observe(rows)
        known = self._seconds_a_row
        self._seconds_a_row += (_LEARNING if known else 1.0) * (seconds / rows - known)


def _answer(waiting: list[_Waiting], whole: Verdicts) -> None:
    """Give each its part of the verdicts."""
    stop = 0
    for one in waiting:
        start, stop = stop, stop + len(one.images)
        if not one.answer.done():  # its caller may have gone meanwhile
            part = Verdicts(whole.probabilities[start:stop], whole.llr[start:stop])
            one.answer.set_result(part)


def _refuse(waiting: _Waiting, error: BaseException) -> None:
    if not waiting.answer.done():  # as above
        waiting.answer.set_exception(error)
