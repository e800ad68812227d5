"""Threads for jobs, and the deadline at the head of the line."""

import asyncio
import contextlib
import threading
import weakref
from functools import partial

import pytest

from serving import pool as module
from serving.deadline import Deadline
from serving.errors import DeadlineExpired
from serving.pool import Pool
from tests.threads import Waits


class Said(list[str]):
    """Keeps the events of a log."""

    def warning(self, event: str, **_facts: object) -> None:
        """Keep one."""
        self.append(event)


def at(now: float) -> Deadline:
    """Return a deadline at 10 on a clock that stands still."""
    return Deadline(at=10, clock=lambda: now)


async def test_jobs_run_in_threads() -> None:
    """A job runs in a named thread of the pool, and its wait is told."""
    waits = Waits()
    pool = Pool("test", 1, waits)

    name = await pool.run(at(9), lambda: threading.current_thread().name)
    pool.close()

    assert name.startswith("onehand-test")
    assert len(waits) == 1


async def test_expired_job_is_not_run() -> None:
    """A job whose deadline has passed when its turn comes is not begun."""
    pool = Pool("test", 1, Waits())
    done: list[int] = []

    with pytest.raises(DeadlineExpired, match="test"):
        await pool.run(at(10), done.append, 1)
    pool.close()

    assert done == []


async def test_a_short_job_waits_for_one_long_job_at_most() -> None:
    """However many of those that somebody waits for are in line before it."""
    pool = Pool("test", 1, Waits())
    order: list[int] = []
    held = threading.Event()
    pool.submit(lambda: held.wait(60))
    long = [asyncio.ensure_future(pool.run(at(9), order.append, number)) for number in range(4)]
    await asyncio.sleep(0)
    pool.submit(partial(order.append, 9), short=True)
    assert pool.free == 0
    assert pool.is_wanted
    held.set()
    await asyncio.gather(*long)
    pool.close()

    assert order.index(9) <= 1


@pytest.mark.parametrize("short", [True, False])
def test_threads_are_wanted_while_a_job_waits(short: bool) -> None:
    """Whichever of the lines it waits in."""
    pool = Pool("test", 1, Waits())
    held, begun = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        held.wait(60)

    pool.submit(hold)
    begun.wait(60)
    before = pool.is_wanted
    pool.submit(lambda: None, short=short)
    meanwhile = pool.is_wanted
    held.set()
    pool.close()

    assert (before, meanwhile) == (False, True)


async def test_a_failed_job_keeps_nothing_alive(nobody_collects: None) -> None:
    """What the caller held goes at once, not when the collector of garbage comes by."""
    pool = Pool("test", 1, Waits())
    held: list[weakref.ref[Waits]] = []

    async def call() -> None:
        message = Waits()
        held.append(weakref.ref(message))
        await pool.run(at(10), message.append, 1)

    with contextlib.suppress(DeadlineExpired):
        await call()
    pool.close()
    await asyncio.sleep(0)  # the loop lets go of what it has just called

    assert [message() for message in held] == [None]


def test_deadline_is_the_earlier_one() -> None:
    """The server's own limit holds where the caller has none, or a later one."""

    def clock() -> float:
        return 100.0

    assert Deadline.after(None, 60, clock).at == 160
    assert Deadline.after(5, 60, clock).at == 105
    assert Deadline.after(90, 60, clock).at == 160


def test_lines_take_turns() -> None:
    """Neither many long jobs nor many short ones keep the other kind waiting."""
    pool = Pool("test", 1, Waits())
    begin, busy, done = threading.Event(), threading.Event(), threading.Event()
    order: list[str] = []

    def hold() -> None:
        busy.set()
        begin.wait(60)

    pool.submit(hold)
    busy.wait(60)
    for number in range(3):
        pool.submit(partial(order.append, f"long {number}"))
    for number in range(5):
        pool.submit(partial(order.append, f"short {number}"), short=True)
    pool.submit(done.set, short=True)
    begin.set()
    done.wait(60)
    pool.close()

    assert order == [
        *("short 0", "long 0", "short 1", "long 1", "short 2", "long 2"),
        *("short 3", "short 4"),
    ]


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that does not come back from its job does not keep the process."""
    pool = Pool("test", 1, Waits())
    begun, gate = threading.Event(), threading.Event()

    def stay() -> None:
        begun.set()
        gate.wait(60)

    pool.submit(stay)
    begun.wait(60)
    said = Said()
    monkeypatch.setattr(module, "log", said)
    pool.close(0.05)
    gate.set()

    assert said == ["threads are still busy"]
