"""Micro-batches: pictures of several requests classified in one run of the model.

A run costs a good part of its time once, however many pictures it holds. So while one runs,
those that arrive wait together and are the next: nobody ever waits for a batch to fill, and the
busier the server is, the larger its batches get. When requests come one by one, a short run is
made on the event loop itself: to hand it to a thread and back would take longer than the run.
"""

import asyncio
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

__all__ = ["Batcher"]

Images = NDArray[np.uint8]
# Weight of the newest value in the running means of a picture's cost and of the time between calls.
_LEARNING = 0.1
# Too short for a health check behind it to notice.
_SHORT_SECONDS = 300e-6
# About what gRPC itself takes for a call.
_CALL_SECONDS = 100e-6

Outcome = Verdicts | BaseException


class _Waiting(NamedTuple):
    """Pictures of one request on their way through the model."""

    images: Images
    deadline: Deadline
    arrived: float
    answer: "asyncio.Future[Verdicts]"


class Batcher:
    """The line before one model; used from the event loop only."""

    def __init__(
        self, classify: Callable[[Images], Verdicts], workers: Workers, metrics: Metrics
    ) -> None:
        """Make an empty line.

        Args:
            classify: the model; called in a worker with 1 to ``CLASSIFY_ROWS`` images.
            workers: whose threads run it.
            metrics: told of waits, runs and their sizes.
        """
        self._loop = asyncio.get_running_loop()
        self._classify = classify
        self._workers = workers
        self._queue = metrics.stage["queue"]
        self._infer = metrics.stage["infer"]
        self._sizes = metrics.microbatch_size
        self._line: deque[_Waiting] = deque()
        self._seconds_a_row = 0.0
        self._gap = 0.0
        self._last = time.perf_counter()
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
        self._gap += _LEARNING * (min(now - self._last, 1.0) - self._gap)
        self._last = now
        waiting = _Waiting(images, deadline, now, answer)
        if self._runs_at_once(len(images)):
            self._settle([waiting], self._outcomes([images]))
            return answer
        self._line.append(waiting)
        self._rows += len(images)
        if not self._running or self._rows >= CLASSIFY_ROWS:
            self._start()
        return answer

    @property
    def wait(self) -> float:
        """Seconds of work that waits, as the last runs went; what is running is not in it."""
        return self._rows * self._seconds_a_row

    def _runs_at_once(self, rows: int) -> bool:
        """Say whether a run on the event loop delays nobody else.

        It must be short, and requests so rare that the loop would be idle half of the time.
        """
        seconds = rows * self._seconds_a_row
        return (
            0 < seconds < _SHORT_SECONDS
            and self._gap > 2 * (seconds + _CALL_SECONDS)
            and not self._running
            and not self._line
        )

    def _start(self) -> None:
        """Run what waits, if the model is free; further threads only take full batches."""
        while self._line and (
            not self._running
            or (self._rows >= CLASSIFY_ROWS and self._running < self._workers.threads)
        ):
            batch = self._take()
            if batch:
                self._running += 1
                self._workers.submit(partial(self._run, batch))

    def _take(self) -> list[_Waiting]:
        """Return the head of the line without those whom nobody waits for any more."""
        batch: list[_Waiting] = []
        rows = 0
        now = time.perf_counter()
        while self._line and rows + len(self._line[0].images) <= CLASSIFY_ROWS:
            waiting = self._line.popleft()
            self._rows -= len(waiting.images)
            if waiting.answer.done():
                continue
            try:
                waiting.deadline.check("classification")
            except DeadlineExpired as expired:
                waiting.answer.set_exception(expired)
                continue
            self._queue.observe(now - waiting.arrived)
            rows += len(waiting.images)
            batch.append(waiting)
        return batch

    def _run(self, batch: list[_Waiting]) -> None:
        """Classify a batch in a worker, and hand the outcomes back to the loop."""
        outcomes = self._outcomes([waiting.images for waiting in batch])
        self._loop.call_soon_threadsafe(self._finish, batch, outcomes)

    def _outcomes(self, parts: list[Images]) -> list[Outcome]:
        """Return the verdicts of each part; a part that fails the model fails alone."""
        try:
            start = time.perf_counter()
            whole = self._classify(parts[0] if len(parts) == 1 else np.concatenate(parts))
            seconds = time.perf_counter() - start
        except BaseException as error:  # noqa: BLE001 - it is handed to those who wait
            if len(parts) == 1:
                return [error]
            return [outcome for part in parts for outcome in self._outcomes([part])]
        rows = len(whole.llr)
        self._infer.observe(seconds)
        self._sizes.observe(rows)
        self._seconds_a_row += _LEARNING * (seconds / rows - self._seconds_a_row)
        if len(parts) == 1:
            return [whole]
        return _split(whole, [len(part) for part in parts])

    def _finish(self, batch: list[_Waiting], outcomes: list[Outcome]) -> None:
        self._running -= 1
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


def _split(whole: Verdicts, sizes: list[int]) -> list[Outcome]:
    parts: list[Outcome] = []
    start = 0
    for size in sizes:
        stop = start + size
        parts.append(Verdicts(whole.probabilities[start:stop], whole.llr[start:stop]))
        start = stop
    return parts
