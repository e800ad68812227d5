"""Threads that share the spans of a request."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from serving.crew import Begun, Crew, Piece
from serving.deadline import Deadline
from serving.drawing import Points
from serving.errors import DeadlineExpired
from serving.pool import Pool
from tests.threads import Waits, threads

SPANS = [range(2), range(2, 4), range(4, 8), range(8, 16), range(16, 24)]
SOON = 60.0
_EXPIRES = 2.5


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Two threads."""
    yield from threads("inference", 2)


@pytest.fixture
def helpers() -> Iterator[Pool]:
    """One thread."""
    yield from threads("decoding", 1)


def nowhere(rows: range) -> Points:
    """Return a point for each row."""
    return Points(np.zeros((len(rows), 1), np.float32), np.zeros(len(rows), np.float32))


def one_by_one(
    note: Callable[[int], None] = lambda _row: None, *, is_sure: bool = True
) -> Callable[[range, Points], Begun]:
    """Return what draws a picture a step, and notes it before."""

    def begin(rows: range, _points: Points) -> Begun:
        def steps() -> Iterator[Piece]:
            for row in rows:
                note(row)
                yield Piece(b"%d " % row, 1, 0)

        return Begun(rows, is_sure, steps())

    return begin


async def test_pieces_are_in_order(pool: Pool, helpers: Pool) -> None:
    """Whoever drew them; while nobody else wants a thread, each is waited for once."""
    waits = Waits()
    deadline = Deadline.after(None, SOON)

    pieces = await Crew(pool, helpers, waits, deadline, SPANS, nowhere, one_by_one()).draw()

    assert [int(piece.encoded) for piece in pieces] == list(range(24))
    assert 1 <= len(waits) <= pool.threads


async def test_threads_go_on_without_the_event_loop(pool: Pool, helpers: Pool) -> None:
    """It has other things to do, and may get no core while all of them draw."""
    drawn: list[int] = []
    last = threading.Event()

    def note(row: int) -> None:
        drawn.append(row)
        if len(drawn) == SPANS[-1].stop:
            last.set()

    deadline = Deadline.after(None, SOON)
    crew = Crew(pool, helpers, Waits(), deadline, SPANS, nowhere, one_by_one(note))
    whole = asyncio.create_task(crew.draw())
    await asyncio.sleep(0)

    assert last.wait(SOON), drawn  # the loop does nothing meanwhile
    assert len(await whole) == SPANS[-1].stop


async def test_points_are_found_while_others_draw(helpers: Pool) -> None:
    """Only the first span's by a thread that could draw."""
    found: dict[range, str] = {}
    looked_ahead = threading.Event()

    def sample(rows: range) -> Points:
        found[rows] = threading.current_thread().name
        if len(found) == len(SPANS):
            looked_ahead.set()
        return nowhere(rows)

    def note(_row: int) -> None:
        looked_ahead.wait(SOON)

    deadline = Deadline.after(None, SOON)
    only = Pool("single", 1, Waits())
    await Crew(only, helpers, Waits(), deadline, SPANS, sample, one_by_one(note)).draw()
    only.close()

    assert found.pop(SPANS[0]) == "onehand-single-0"
    assert found == dict.fromkeys(SPANS[1:], "onehand-decoding-0")


@pytest.mark.parametrize("is_sure", [True, False])
async def test_where_the_first_span_is_sure_the_others_do_not_wait(
    pool: Pool, helpers: Pool, is_sure: bool
) -> None:
    """Else it alone is drawn until it is known whether any picture can be had."""
    begun: list[int] = []
    another = threading.Event()
    together = threading.Barrier(2)

    def note(row: int) -> None:
        if row not in SPANS[0]:
            another.set()
            if row in (SPANS[3].start, SPANS[4].start):
                together.wait(SOON)  # by different threads, or never
        elif is_sure:
            another.wait(SOON)
        else:
            begun.append(row)
            assert not another.wait(0.05)

    deadline = Deadline.after(None, SOON)
    begin = one_by_one(note, is_sure=is_sure)
    await Crew(pool, helpers, Waits(), deadline, SPANS, nowhere, begin).draw()

    assert another.is_set()
    assert begun == ([] if is_sure else [*SPANS[0]])


async def test_helpers_failures_are_the_callers(pool: Pool, helpers: Pool) -> None:
    """Nobody waits for ever for points that could not be found."""
    failed = threading.Event()

    def sample(rows: range) -> Points:
        if threading.current_thread().name.startswith("onehand-decoding"):
            failed.set()
            raise ArithmeticError("found none")
        return nowhere(rows)

    def note(_row: int) -> None:
        failed.wait(SOON)

    deadline = Deadline.after(None, SOON)
    crew = Crew(pool, helpers, Waits(), deadline, SPANS, sample, one_by_one(note))
    with pytest.raises(ArithmeticError, match="found none"):
        await crew.draw()


async def test_nothing_is_drawn_for_a_caller_that_has_gone(pool: Pool, helpers: Pool) -> None:
    """The step that was begun is the last."""
    drawn: list[int] = []
    begun, gone = threading.Event(), threading.Event()

    def note(row: int) -> None:
        drawn.append(row)
        begun.set()
        gone.wait(SOON)

    deadline = Deadline.after(None, SOON)
    begin = one_by_one(note, is_sure=False)
    whole = asyncio.create_task(
        Crew(pool, helpers, Waits(), deadline, SPANS, nowhere, begin).draw()
    )
    await asyncio.to_thread(begun.wait, SOON)
    whole.cancel()
    await asyncio.gather(whole, return_exceptions=True)
    gone.set()
    await pool.run(deadline, lambda: None)
    await pool.run(deadline, lambda: None)  # by the other thread, or after it

    assert drawn == [0]


async def test_a_crew_makes_room_for_others(helpers: Pool) -> None:
    """A job that comes waits for one step, however much is left of the span."""
    drawn: list[int] = []
    begun, came = threading.Event(), threading.Event()

    def note(row: int) -> None:
        drawn.append(row)
        begun.set()
        came.wait(SOON)

    deadline = Deadline.after(None, SOON)
    only = Pool("single", 1, Waits())
    crew = Crew(only, helpers, Waits(), deadline, SPANS, nowhere, one_by_one(note))
    whole = asyncio.create_task(crew.draw())
    await asyncio.to_thread(begun.wait, SOON)
    before = asyncio.create_task(only.run(deadline, drawn.copy))
    await asyncio.sleep(0)
    came.set()

    assert await before == [0]
    assert len(await whole) == SPANS[-1].stop
    only.close()


async def test_a_request_of_one_span_needs_no_helper(pool: Pool, helpers: Pool) -> None:
    """Most are: a helper would have nothing to do, and hold what was drawn until it knew."""
    done = threading.Event()
    helpers.submit(done.wait)
    deadline = Deadline.after(None, SOON)
    crew = Crew(pool, helpers, Waits(), deadline, SPANS[:1], nowhere, one_by_one())
    try:
        assert len(await crew.draw()) == SPANS[0].stop
        assert not helpers.is_wanted
    finally:
        done.set()


async def test_nobody_samples_after_the_deadline(helpers: Pool) -> None:
    """Where all threads are busy a helper is the one to find out."""
    now = 0.0
    sampled: list[range] = []
    refused = threading.Event()

    def clock() -> float:
        if now > _EXPIRES:
            refused.set()
        return now

    def sample(rows: range) -> Points:
        nonlocal now
        sampled.append(rows)
        now += 1
        return nowhere(rows)

    only = Pool("single", 1, Waits())

    def note(_row: int) -> None:
        refused.wait(SOON)

    deadline = Deadline(_EXPIRES, clock)
    with pytest.raises(DeadlineExpired, match="sampling"):
        await Crew(only, helpers, Waits(), deadline, SPANS, sample, one_by_one(note)).draw()
    only.close()

    assert len(sampled) == 3


async def test_a_span_that_ends_early_is_a_failure(pool: Pool, helpers: Pool) -> None:
    """Its caller is told, and does not wait for the rest."""

    def begin(rows: range, _points: Points) -> Begun:
        return Begun(rows, is_sure=True, steps=iter([Piece(b"", 1, 0)]))

    deadline = Deadline.after(None, SOON)
    with pytest.raises(RuntimeError, match="end of the span"):
        await Crew(pool, helpers, Waits(), deadline, SPANS, nowhere, begin).draw()
