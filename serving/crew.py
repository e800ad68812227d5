"""Pictures of one request, drawn by threads that share its spans of rows.

A thread that is done with a span takes the next by itself. Told so by the event loop, it waits
until the loop has a core, while all cores draw: a fifth of the time of a lone request.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from serving.deadline import Deadline
from serving.drawing import Points
from serving.pool import Observer, Pool, fail, settle

__all__ = ["Begun", "Crew", "Piece"]


class Piece(NamedTuple):
    """Pictures of a request that are done: as bytes, how many, and how many were drawn anew.

    Without pictures it tells that another attempt at some is due.
    """

    encoded: bytes
    pictures: int
    redrawn: int


class Begun(NamedTuple):
    """A span whose points are known.

    Attributes:
        rows: their numbers.
        is_sure: whether nothing that is drawn there can be refused.
        steps: yields its pieces in order, bit by bit.
    """

    rows: range
    is_sure: bool
    steps: Iterator[Piece]


class Crew:
    """Draws the spans of one request in as many threads as are free for it.

    The first span is small and tells whether any picture can be had: the others wait until it is
    sure, or drawn. They are drawn from the last, so that large ones come first and the threads end
    together. While a job waits for a thread, a step ends a job of the crew, and what is left goes
    to the end of the line. Helpers find the points of further spans, as far as they come to it.

    Three kinds of threads share it: the event loop, which made it and waits for the answer, any
    number of the pool's, each with a span in hand that nobody else touches until it is back in
    line, and one helper at a time. They do not wait for one another. All that they share but
    ``_missing`` is safe by Python's lock: each use is one operation on a built-in type, and whoever
    comes too late finds nothing or takes a step in vain.

    * ``_line``: the pool's threads take from it; a helper copies it before it looks through.
    * ``_points``: a helper puts them in, the pool's threads take them out.
    * ``_pieces``: no key comes or goes. The list of a span belongs to the thread that has the span
      in hand, and at the end, when none is missing, to the event loop.
    * ``_missing``: counted down by the pool's threads, which is two operations: under ``_lock``.
    * ``_is_over``: anybody sets it, and nobody takes it back.
    * ``_answer``: the event loop alone sets it; the others read it once, and have the loop tell it.
    """

    def __init__(
        self,
        pool: Pool,
        helpers: Pool,
        queued: Observer,
        deadline: Deadline,
        spans: Iterable[range],
        sample: Callable[[range], Points],
        begin: Callable[[range, Points], Begun],
    ) -> None:
        """Gather it.

        Args:
            pool: whose threads draw.
            helpers: whose threads sample.
            queued: told the seconds that each job of drawing waited.
            deadline: checked before each step.
            spans: at least one, in order.
            sample: finds the points of a span.
            begin: makes ready to draw there; called in the pool's threads, as its steps are.
        """
        self._pool, self._helpers, self._queued = pool, helpers, queued
        self._deadline = deadline
        self._sample, self._begin = sample, begin
        self._pieces: dict[range, list[Piece]] = {rows: [] for rows in spans}
        self._first, *others = self._pieces
        self._line = deque([self._first, *reversed(others)])
        self._points: dict[range, Points] = {}
        self._missing = sum(map(len, self._pieces))
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[None] | None = None
        self._is_over = False

    async def draw(self) -> list[Piece]:
        """Return all pieces, in order; to be called once.

        Raises:
            DeadlineExpired: the deadline passed between two steps.
            Exception: a step failed with it; no other is begun after that.
        """
        self._answer = self._loop.create_future()
        self._enter()
        try:
            await self._answer
        finally:
            self._is_over = True
            self._answer = None  # it may hold an error that holds frames that hold this crew
        return [piece for pieces in self._pieces.values() for piece in pieces]

    def _enter(self, begun: Begun | None = None) -> None:
        """Get in line for a thread, to go on with a span or to begin one."""
        self._pool.submit(partial(self._work, begun, time.perf_counter()))

    def _work(self, begun: Begun | None, entered: float) -> None:
        """Draw, in a thread, until nothing is left or somebody else waits for it."""
        if self._is_over or not (begun or self._line):
            return
        self._queued.observe(time.perf_counter() - entered)
        try:
            while True:
                self._deadline.check("inference")
                if begun is None:
                    begun = self._take()
                if begun is not None:
                    begun = self._step(begun)
                if self._is_over or not (begun or self._line):
                    return
                if self._pool.is_wanted:
                    self._enter(begun)
                    return
        except BaseException as error:  # noqa: BLE001 - it is the caller's, who waits for it
            self._end(error)

    def _take(self) -> Begun | None:
        """Begin the next span, if there is one."""
        try:
            rows = self._line.popleft()
        except IndexError:  # another thread has had the last
            return None
        points = self._points.pop(rows, None)
        # They may be about to be found by a helper; to wait for it would take as long.
        begun = self._begin(rows, points or self._sample(rows))
        if rows is self._first and begun.is_sure:
            self._call_others()
        return begun

    def _step(self, begun: Begun) -> Begun | None:
        """Take a step, and return the span if it is not at its end."""
        piece = next(begun.steps, None)
        if piece is None:
            raise RuntimeError(f"{begun.rows}: expected a piece, found the end of the span")
        pieces = self._pieces[begun.rows]
        pieces.append(piece)
        with self._lock:
            self._missing -= piece.pictures
            is_last = not self._missing
        if is_last:
            self._end(None)
        if sum(piece.pictures for piece in pieces) < len(begun.rows):
            return begun
        if begun.rows is self._first and not begun.is_sure:
            self._call_others()
        return None

    def _call_others(self) -> None:
        for _ in range(min(self._pool.threads - 1, len(self._line))):
            self._enter()
        if self._line:
            self._helpers.submit(self._look_ahead, short=True)

    def _look_ahead(self) -> None:
        """Find the points of the next span that has none, in a helper's thread, and so on."""
        rows = next((rows for rows in tuple(self._line) if rows not in self._points), None)
        if rows is None or self._is_over:
            return
        try:
            self._deadline.check("sampling")
            self._points[rows] = self._sample(rows)
        except BaseException as error:  # noqa: BLE001 - as above
            self._end(error)
        else:
            self._helpers.submit(self._look_ahead, short=True)

    def _end(self, error: BaseException | None) -> None:
        """Tell the caller, unless it has gone, and let all threads of the crew come to an end."""
        self._is_over = True
        if (answer := self._answer) is None:
            return
        if error is None:
            self._loop.call_soon_threadsafe(settle, answer, None)
        else:
            self._loop.call_soon_threadsafe(fail, answer, error)
