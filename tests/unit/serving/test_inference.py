"""Chunks of a request in threads: what is given up when one of them fails."""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from serving import inference
from serving.deadline import Deadline
from serving.drawing import SPAN_ROWS, Drawn, Points, draw
from serving.errors import CannotDraw, DeadlineExpired
from serving.inference import Encoding, Inference
from serving.metrics import Metrics
from serving.model import Model
from serving.plans import Plan, Prior
from serving.pool import Pool
from serving.profiles import load_profile
from tests import bundles
from tests.threads import threads

PLAN = Prior(1.0, seed=1)
COUNT = 4 * SPAN_ROWS
SOON = 60.0


@pytest.fixture
def pool() -> Iterator[Pool]:
    """One thread."""
    yield from threads("inference", 1)


@pytest.fixture
def two_threads() -> Iterator[Pool]:
    """Two threads."""
    yield from threads("inference", 2)


@pytest.fixture
def helpers() -> Iterator[Pool]:
    """Another."""
    yield from threads("decoding", 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that refuses about half of what it draws."""
    return load_profile(bundles.build(tmp_path_factory.mktemp("gated"), gated=True)).model


def rows_of(drawn: Drawn) -> bytes:
    """Return something short that tells which pictures these are."""
    return drawn.latents[:, 0].tobytes()


ROWS = Encoding(rows_of, rows=100)


async def test_pieces_come_in_order_with_the_redrawn_counted(pool: Pool, model: Model) -> None:
    """Whichever span is done first, pictures are in the order of the plan."""
    metrics = Metrics(CollectorRegistry())
    made = await Inference(pool, pool, metrics, SOON).generate(
        model, PLAN, COUNT - 3, ROWS, Deadline.after(None, SOON)
    )

    whole = draw(model, PLAN, range(COUNT - 3))
    assert b"".join(made.pieces) == rows_of(whole)
    assert made.redrawn == whole.redrawn == metrics.redrawn.value > COUNT / 4


async def test_where_no_point_is_in_doubt_all_threads_begin_at_once(
    two_threads: Pool, helpers: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And helpers sample for them meanwhile."""
    model = load_profile(bundles.build(tmp_path)).model
    samplers: set[str] = set()
    another, helped = threading.Event(), threading.Event()
    real_sample, real_steps = inference.sample, inference.steps

    def sample(model: Model, plan: Plan, rows: range) -> Points:
        samplers.add(threading.current_thread().name)
        if "onehand-decoding-0" in samplers:
            helped.set()
        return real_sample(model, plan, rows)

    def steps(model: Model, plan: Plan, rows: range, points: Points) -> Iterator[Drawn | None]:
        if rows.start:
            another.set()
        else:
            another.wait(SOON)
            helped.wait(SOON)
        yield from real_steps(model, plan, rows, points)

    monkeypatch.setattr(inference, "sample", sample)
    monkeypatch.setattr(inference, "steps", steps)
    await Inference(two_threads, helpers, Metrics(CollectorRegistry()), SOON).generate(
        model, PLAN, COUNT, ROWS, Deadline.after(None, 2 * SOON)
    )

    assert another.is_set()
    assert helped.is_set()


@pytest.mark.parametrize("rows", [1, 31, 33, 65, 130])
async def test_verdicts_are_in_the_order_of_the_pictures(tmp_path: Path, rows: int) -> None:
    """However a request is cut for four threads, each picture has its own verdict."""
    model = load_profile(bundles.build(tmp_path)).model
    metrics = Metrics(CollectorRegistry())
    pool = Pool("inference", 4, metrics.stage["queue"])
    images = np.random.default_rng(0).integers(0, 256, (rows, 28, 28), dtype=np.uint8)
    try:
        verdicts = await Inference(pool, pool, metrics, SOON).classify(
            model, images, Deadline.after(None, SOON)
        )
    finally:
        pool.close()

    alone = np.concatenate([model.classify(image[None]).llr for image in images])
    assert len(np.unique(alone)) > rows / 2
    np.testing.assert_allclose(verdicts.llr, alone, atol=1e-4)


async def test_where_nothing_can_be_drawn_little_is_tried(
    two_threads: Pool, helpers: Pool, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first few pictures tell that a request is hopeless, however many threads there are."""
    begun: list[range] = []

    def fail(_model: Model, plan: Plan, rows: range, _points: Points) -> Iterator[None]:
        begun.append(rows)
        yield None
        raise CannotDraw(plan.field, "found too few")

    monkeypatch.setattr(inference, "steps", fail)
    with pytest.raises(CannotDraw):
        await Inference(two_threads, helpers, Metrics(CollectorRegistry()), SOON).generate(
            model, PLAN, COUNT, ROWS, Deadline.after(None, SOON)
        )

    assert begun == [range(SPAN_ROWS // 8)]


async def test_a_failed_span_ends_the_others(
    pool: Pool, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans that have not begun are not drawn any more, and the failure comes out as it is."""
    begun: list[range] = []
    told = threading.Event()

    def fail(_model: Model, plan: Plan, rows: range, _points: Points) -> Iterator[None]:
        begun.append(rows)
        if len(begun) > 1:
            told.wait(SOON)
            yield None
        raise CannotDraw(plan.field, "found too few")

    monkeypatch.setattr(inference, "steps", fail)
    deadline = Deadline.after(None, SOON)
    with pytest.raises(CannotDraw, match="prior: found too few"):
        await Inference(pool, pool, Metrics(CollectorRegistry()), SOON).generate(
            model, PLAN, COUNT, ROWS, deadline
        )
    told.set()
    await pool.run(deadline, lambda: None)  # after all that were there before

    assert len(begun) <= 2


async def test_a_failed_request_keeps_nothing_alive(
    pool: Pool, model: Model, monkeypatch: pytest.MonkeyPatch, nobody_collects: None
) -> None:
    """What its caller held goes at once, not when the collector of garbage comes by."""

    def fail(_model: Model, plan: Plan, _rows: range, _points: Points) -> Iterator[None]:
        yield None
        raise CannotDraw(plan.field, "found too few")

    monkeypatch.setattr(inference, "steps", fail)
    held: list[weakref.ref[Prior]] = []

    async def call() -> None:
        plan = Prior(1.0, seed=2)
        held.append(weakref.ref(plan))
        await Inference(pool, pool, Metrics(CollectorRegistry()), SOON).generate(
            model, plan, COUNT, ROWS, Deadline.after(None, SOON)
        )

    with contextlib.suppress(CannotDraw):
        await call()
    await pool.run(Deadline.after(None, SOON), lambda: None)  # after all that were there before
    await asyncio.sleep(0)

    assert [plan() for plan in held] == [None]


async def test_the_deadline_is_looked_at_before_each_step(
    pool: Pool, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has passed, nothing more is drawn, not even of a span that was begun."""
    now = 0.0
    begun: list[range] = []

    def slow(_model: Model, _plan: Plan, rows: range, _points: Points) -> Iterator[None]:
        nonlocal now
        while True:
            begun.append(rows)
            now += 1.0
            yield None

    monkeypatch.setattr(inference, "steps", slow)
    deadline = Deadline(at=2.5, clock=lambda: now)

    with pytest.raises(DeadlineExpired):
        await Inference(pool, pool, Metrics(CollectorRegistry()), SOON).generate(
            model, PLAN, COUNT, ROWS, deadline
        )
    assert len(begun) == 3


async def test_others_get_their_turn_before_the_last_piece(pool: Pool, model: Model) -> None:
    """A request for many pictures does not keep the threads from a job that comes after it."""
    told: list[int] = []

    def tell(drawn: Drawn) -> bytes:
        told.append(len(drawn.images))
        return b""

    deadline = Deadline.after(None, SOON)
    many = asyncio.create_task(
        Inference(pool, pool, Metrics(CollectorRegistry()), SOON).generate(
            model, PLAN, COUNT, Encoding(tell, rows=100), deadline
        )
    )
    while not told:
        await asyncio.sleep(0)
    in_line = len(told) + pool.threads + 1
    before = await pool.run(deadline, told.copy)
    await many

    assert len(before) <= in_line
    assert in_line < COUNT / 100
    assert max(told) == 100
    assert sum(told) == COUNT
