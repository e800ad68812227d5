"""Requests that wait together run together, and nobody's misfortune is anybody else's."""

import asyncio
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from serving.batching import Backlog, Batcher
from serving.deadline import Deadline
from serving.errors import DeadlineExpired, ModelFault
from serving.metrics import Metrics
from serving.model import CLASSIFY_ROWS, Verdicts
from serving.pool import Pool

Images = NDArray[np.uint8]
POISON = 255


class Hand:
    """A pool whose jobs run when the test says so, and a model that keeps what it was given."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self.busy = 0  # with something else
        self.jobs: list[Callable[[], None]] = []
        self.runs: list[int] = []
        metrics = Metrics(CollectorRegistry())
        self.backlog = Backlog()
        self.batcher = Batcher(self.classify, cast("Pool", self), self.backlog, metrics)

    @property
    def free(self) -> int:
        """Threads that have nothing to do."""
        return max(self.threads - self.busy - len(self.jobs), 0)

    def submit(self, job: Callable[[], None], *, short: bool) -> None:
        """Keep a job."""
        assert short
        self.jobs.append(job)

    def classify(self, images: Images) -> Verdicts:
        """Say of each image its first pixel; fail on a poisoned one."""
        if (images[:, 0, 0] == POISON).any():
            raise ModelFault("poisoned")
        self.runs.append(len(images))
        marks = images[:, 0, 0].astype(np.float32)
        return Verdicts(np.tile(marks[:, None], 3), marks)

    def ask(self, mark: int, rows: int = 1, left: float = 60) -> "asyncio.Future[Verdicts]":
        """Put images with this first pixel into the line."""
        images = np.full((rows, 28, 28), mark, np.uint8)
        return self.batcher.classify(images, Deadline.after(None, left))

    async def work(self) -> None:
        """Run what has been submitted, and what that leads to, to the end."""
        while self.jobs:
            self.jobs.pop(0)()
            for _ in range(3):
                await asyncio.sleep(0)


async def lone_hand() -> Hand:
    """Return one that has run once, which cost next to nothing, and was idle for long since."""
    hand = Hand()
    hand.ask(1)
    await hand.work()
    hand.batcher._seconds_a_row = 1e-6  # as measured it is longer where the machine stands still
    hand.backlog.idle = 1.0
    return hand


async def test_what_waits_is_one_run() -> None:
    """The first runs at once; those that come meanwhile are the next batch, each its own answer."""
    hand = Hand()
    answers = [hand.ask(mark, rows) for mark, rows in ((1, 1), (2, 1), (3, 5), (4, 1))]

    assert len(hand.jobs) == 1
    await hand.work()

    assert hand.runs == [1, 7]
    assert [list((await answer).llr) for answer in answers] == [[1], [2], [3] * 5, [4]]


async def test_batches_are_bounded_and_spread_when_full() -> None:
    """No run is larger than the model's chunk; further threads take full ones, no less."""
    hand = Hand(threads=2)
    answers = [hand.ask(1, CLASSIFY_ROWS), hand.ask(2, 1)]
    assert len(hand.jobs) == 1
    answers.append(hand.ask(3, CLASSIFY_ROWS))
    assert len(hand.jobs) > 1

    await hand.work()

    assert max(hand.runs) <= CLASSIFY_ROWS
    assert [len((await answer).llr) for answer in answers] == [CLASSIFY_ROWS, 1, CLASSIFY_ROWS]


@pytest.mark.parametrize("threads", [1, 2])
async def test_full_batches_are_held_ready(threads: int) -> None:
    """A thread that has done goes on without the event loop; what is in line has a bound."""
    hand = Hand(threads)
    answers = [hand.ask(mark, CLASSIFY_ROWS) for mark in range(10)]

    assert len(hand.jobs) == 3 * threads
    await hand.work()

    assert [(await answer).llr[0] for answer in answers] == list(range(10))


async def test_what_is_held_ready_still_waits() -> None:
    """Only what a thread has begun is no longer in line, for those who decide whom to admit."""
    hand = Hand(threads=1)
    hand.ask(0, CLASSIFY_ROWS)
    await hand.work()
    a_run = CLASSIFY_ROWS * hand.batcher._seconds_a_row
    for mark in range(5):
        hand.ask(mark, CLASSIFY_ROWS)

    assert len(hand.jobs) == 3
    assert hand.backlog.seconds == pytest.approx(4 * a_run)
    await hand.work()
    assert hand.backlog.seconds == pytest.approx(0)


async def test_large_pieces_go_to_threads_that_have_nothing_to_do() -> None:
    """What is small, or finds no thread, waits for the others."""
    hand = Hand(threads=2)

    first, second = hand.ask(1, rows=20), hand.ask(2, rows=20)
    assert len(hand.jobs) == 2
    others = [hand.ask(3, rows=20), hand.ask(4)]
    assert len(hand.jobs) == 2
    await hand.work()

    assert hand.runs == [20, 20, 21]
    assert [(await answer).llr[0] for answer in (first, second, *others)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("threads", "busy", "rows", "pieces"),
    [(2, 0, 31, 1), (2, 0, 32, 2), (2, 0, 200, 4), (4, 0, 65, 4), (4, 2, 65, 2), (4, 4, 64, 1)],
)
async def test_a_request_is_cut_for_the_threads_that_are_free(
    threads: int, busy: int, rows: int, pieces: int
) -> None:
    """Each has a piece, none is small; where all are busy, with whatever, runs are large."""
    hand = Hand(threads)
    hand.busy = busy

    assert hand.batcher.pieces(rows) == pieces


async def test_a_busy_thread_is_no_place_for_a_second_run() -> None:
    """Other models and drawing use the same threads."""
    hand = Hand(threads=2)
    hand.ask(1, rows=20)
    hand.busy = 1
    hand.ask(2, rows=20)

    assert len(hand.jobs) == 1
    await hand.work()
    assert hand.runs == [20, 20]


async def test_few_pictures_never_take_a_second_thread() -> None:
    """Two threads with a few pictures each would take turns at Python's lock."""
    hand = Hand(threads=2)
    for mark in range(6):
        hand.ask(mark, rows=10)

    assert len(hand.jobs) == 1
    await hand.work()
    assert hand.runs == [10, 50]


async def test_poisoned_picture_fails_alone() -> None:
    """A request on which the model fails gets the failure; its batch-mates get their answers."""
    hand = Hand()
    first, good, bad, other = (hand.ask(mark) for mark in (1, 2, POISON, 4))

    await hand.work()

    with pytest.raises(ModelFault):
        await bad
    assert [list((await answer).llr) for answer in (first, good, other)] == [[1], [2], [4]]


async def test_the_gone_and_the_late_are_not_run() -> None:
    """A cancelled request is dropped, an expired one is told so, the others are unharmed."""
    hand = Hand()
    first, gone, late, good = hand.ask(1), hand.ask(2), hand.ask(3, left=0), hand.ask(4)
    gone.cancel()

    await hand.work()

    assert hand.runs == [1, 1]
    with pytest.raises(DeadlineExpired):
        await late
    assert list((await first).llr) == [1]
    assert list((await good).llr) == [4]


async def test_cancelled_in_mid_run_harms_nobody() -> None:
    """Who goes while the batch runs is forgotten; the line goes on."""
    hand = Hand()
    first = hand.ask(1)
    first.cancel()
    second = hand.ask(2)

    await hand.work()

    assert list((await second).llr) == [2]


async def test_wait_is_what_the_line_will_cost() -> None:
    """The expected wait grows with the line once a run's cost is known."""
    hand = Hand()
    hand.ask(1)
    await hand.work()
    assert hand.backlog.seconds == 0

    hand.ask(1, CLASSIFY_ROWS)
    assert hand.backlog.seconds == pytest.approx(0)  # handed to a thread, so no longer in line
    hand.ask(2, 10)
    short = hand.backlog.seconds
    hand.ask(3, 30)

    assert 0 < short < hand.backlog.seconds
    await hand.work()
    assert hand.backlog.seconds == pytest.approx(0)
    assert hand.backlog._in_work == 0


async def test_what_comes_alone_runs_at_once() -> None:
    """A single picture long after the last one does not go through a thread."""
    hand = await lone_hand()

    answer = hand.ask(2)

    assert answer.done()
    assert not hand.jobs


async def test_failure_of_what_comes_alone() -> None:
    """It is told to who waits, and the next one runs at once all the same."""
    hand = await lone_hand()

    bad, good = hand.ask(POISON), hand.ask(2)

    assert not hand.jobs
    with pytest.raises(ModelFault):
        await bad
    assert list((await good).llr) == [2]
    assert hand.backlog._in_work == 0


async def test_what_comes_alone_and_late_is_not_run() -> None:
    """The deadline counts on the event loop too."""
    hand = await lone_hand()

    late = hand.ask(2, left=-1)
    await hand.work()

    assert hand.runs == [1]
    with pytest.raises(DeadlineExpired):
        await late


async def test_batch_that_waits_for_a_thread() -> None:
    """Whoever leaves or is late while the batch waits for a thread is not run either."""
    hand = Hand()
    gone, late, good = hand.ask(1, left=60), hand.ask(2), hand.ask(3)
    await hand.work()
    await asyncio.gather(gone, late, good)

    gone, late, good = hand.ask(4), hand.ask(5, left=0.01), hand.ask(6)
    gone.cancel()
    await asyncio.sleep(0.02)
    await hand.work()

    with pytest.raises(DeadlineExpired):
        await late
    assert list((await good).llr) == [6]
    assert hand.runs[2:] == [1]
    assert hand.backlog._in_work == 0


async def test_a_busy_process_runs_nothing_at_once() -> None:
    """However quiet one model is, what comes for the others counts."""
    busy, quiet = Hand(), Hand()
    quiet.batcher._backlog = busy.backlog
    for hand in (busy, quiet):
        hand.ask(1)
        await hand.work()
    busy.backlog.idle = 1.0
    for _ in range(100):
        busy.ask(1)

    quiet.ask(2)

    assert quiet.jobs


class Clocks:
    """Time that passes as the test says: at work, or asleep."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0

    def pass_by(self, seconds: float, *, at_work: float) -> None:
        """Let time pass, a share of it at work."""
        self.now += seconds
        self.worked += seconds * at_work


@pytest.mark.parametrize(("at_work", "idle"), [(1.0, 0.0), (0.0, 0.01), (0.4, 0.006)])
def test_a_loop_is_idle_while_it_sleeps_and_not_while_it_works(at_work: float, idle: float) -> None:
    """Between two requests a busy loop has others' messages to see to, however long that takes."""
    clocks = Clocks()
    backlog = Backlog(lambda: clocks.now, lambda: clocks.worked)
    for _ in range(100):
        backlog.arrive(clocks.now)
        clocks.pass_by(0.5, at_work=0)  # in work: not counted
        backlog.finish(1)
        clocks.pass_by(0.01, at_work=at_work)

    assert backlog.idle == pytest.approx(idle, rel=0.02, abs=1e-9)


def test_a_loop_with_others_in_work_is_not_idle() -> None:
    clocks = Clocks()
    backlog = Backlog(lambda: clocks.now, lambda: clocks.worked)
    backlog.arrive(clocks.now)
    for _ in range(20):
        backlog.arrive(clocks.now)
        backlog.finish(1)
        clocks.pass_by(0.01, at_work=0)

    assert backlog.idle == 0
