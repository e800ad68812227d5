"""Models run on behalf of requests, in chunks, and in threads unless one comes alone.

A chunk, or for drawing a step of a span, is the unit that is timed, spread over threads, and
dropped when its caller has gone.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from weakref import WeakKeyDictionary, proxy

import numpy as np
from numpy.typing import NDArray

from serving.batching import Backlog, Batcher
from serving.crew import Begun, Crew, Piece
from serving.deadline import Deadline
from serving.drawing import Drawn, Points, is_sure, sample, spans, steps
from serving.errors import Overloaded
from serving.locate import locate
from serving.metrics import Metrics
from serving.model import Model, Posterior, Verdicts
from serving.paths import lay
from serving.plans import Between, Plan
from serving.pool import Pool

__all__ = ["Encoding", "Inference", "Variants"]

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Variants:
    """Generated pictures.

    Attributes:
        pieces: pictures and what is told of them, in order, turned to bytes.
        redrawn: how many pictures were drawn more than once.
    """

    pieces: list[bytes]
    redrawn: int


@dataclass(frozen=True)
class Encoding:
    """How pictures become bytes.

    Attributes:
        encode: the pictures, and what is told of them.
        rows: the most that are encoded at once, few enough not to take long.
    """

    encode: Callable[[Drawn], bytes]
    rows: int


class Inference:
    """Runs models, and times every stage of it."""

    def __init__(self, pool: Pool, helpers: Pool, metrics: Metrics, max_wait: float) -> None:
        """Make it.

        Args:
            pool: whose threads run the models.
            helpers: whose threads sample points of many pictures, as far as they come to it before
                the others.
            metrics: where stages are timed.
            max_wait: seconds of classification that may wait, for all models together.
        """
        self._max_wait = max_wait
        self._backlog = Backlog()
        self._too_long = metrics.rejected.labels("wait")
        self._pool = pool
        self._helpers = helpers
        self._metrics = metrics
        self._queued = metrics.stage["queue"]
        self._infer = metrics.stage["infer"]
        self._encode = metrics.stage["encode"]
        self._redrawn = metrics.redrawn
        self._batchers: WeakKeyDictionary[Model, Batcher] = WeakKeyDictionary()

    def classify(
        self, model: Model, images: Images, deadline: Deadline
    ) -> "asyncio.Future[Verdicts]":
        """Return, in time, a verdict for each image of shape (n, 28, 28), n >= 1.

        The future raises DeadlineExpired if the deadline passed first, and what the model raised.

        Raises:
            Overloaded: at once, if too much waits for the models already.
        """
        batcher = self._batchers.get(model) or self._line_up(model)
        if self._backlog.seconds > self._max_wait:
            self._too_long.inc()
            raise Overloaded(
                f"more than {self._max_wait:g} seconds of work wait for the models already",
                self._max_wait,
            )
        pieces = batcher.pieces(len(images))
        if pieces == 1:
            return batcher.classify(images, deadline)
        return asyncio.ensure_future(_in_pieces(batcher, images, pieces, deadline))

    async def encode(self, model: Model, images: Images, deadline: Deadline) -> Posterior:
        """Return the posterior of each image of shape (n, 28, 28), n >= 1.

        Raises:
            DeadlineExpired: the deadline passed first.
        """
        return await self._pool.run(deadline, self._posterior, model, images)

    async def lay(
        self, model: Model, images: Images, straight: Between, deadline: Deadline
    ) -> Between:
        """Return the way from one of two images (2, 28, 28) to the other, with even changes.

        Raises:
            DeadlineExpired: the deadline passed first.
        """
        return await self._pool.run(deadline, self._lay, model, images, straight)

    async def generate(
        self,
        model: Model,
        plan: Plan,
        count: int,
        encoding: Encoding,
        deadline: Deadline,
    ) -> Variants:
        """Return the first ``count`` pictures of the plan, encoded.

        Spans of pictures are drawn side by side, and each step of one is short: the jobs of other
        requests come in between.

        Raises:
            DeadlineExpired: the deadline passed between two steps.
            CannotDraw: the model does not draw its digit where the plan says.
        """
        crew = Crew(
            self._pool,
            self._helpers,
            self._queued,
            deadline,
            spans(range(count)),
            partial(self._sample, model, plan),
            partial(self._begin, model, plan, encoding),
        )
        pieces = await crew.draw()
        return Variants([piece.encoded for piece in pieces], sum(piece.redrawn for piece in pieces))

    def _line_up(self, model: Model) -> Batcher:
        """Make the line before ``model``; it goes when the model does."""
        weakly = proxy(model)  # a line that held its model would keep it, and so itself, for ever

        def classify(images: Images) -> Verdicts:
            verdicts: Verdicts = weakly.classify(images)
            return verdicts

        batcher = Batcher(classify, self._pool, self._backlog, self._metrics)
        self._batchers[model] = batcher
        return batcher

    def _posterior(self, model: Model, images: Images) -> Posterior:
        with self._infer.time():
            return locate(model, images)

    def _lay(self, model: Model, images: Images, straight: Between) -> Between:
        with self._infer.time():
            return lay(model, images, straight)

    def _sample(self, model: Model, plan: Plan, rows: range) -> Points:
        with self._infer.time():
            return sample(model, plan, rows)

    def _begin(
        self, model: Model, plan: Plan, encoding: Encoding, rows: range, points: Points
    ) -> Begun:
        drawing = self._timed(steps(model, plan, rows, points), encoding)
        return Begun(rows, is_sure(model, plan, points), drawing)

    def _timed(self, drawing: Iterator[Drawn | None], encoding: Encoding) -> Iterator[Piece]:
        """Yield what is drawn as bytes, and an empty piece where another attempt is due."""
        begun = time.perf_counter()
        for drawn in drawing:
            self._infer.observe(time.perf_counter() - begun)
            if drawn is None:
                yield Piece(b"", 0, 0)
            else:
                self._redrawn.inc(drawn.redrawn)
                for part in drawn.parts(encoding.rows):
                    with self._encode.time():
                        encoded = encoding.encode(part)
                    yield Piece(encoded, len(part.images), part.redrawn)
            begun = time.perf_counter()


async def _in_pieces(batcher: Batcher, images: Images, pieces: int, deadline: Deadline) -> Verdicts:
    ends = [len(images) * piece // pieces for piece in range(pieces + 1)]
    parts = await asyncio.gather(
        *(batcher.classify(images[start:end], deadline) for start, end in pairwise(ends))
    )
    return Verdicts(
        probabilities=np.concatenate([part.probabilities for part in parts]),
        llr=np.concatenate([part.llr for part in parts]),
    )
