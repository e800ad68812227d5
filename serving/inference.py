"""Models run on behalf of requests: on the event loop when short, else in threads, in chunks.

A chunk is the unit that is timed, spread over threads, and dropped when its caller has gone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.deadline import Deadline
from serving.generate import Plan
from serving.metrics import Metrics
from serving.model import CLASSIFY_ROWS, Model, Posterior, Verdicts
from serving.workers import Workers

__all__ = ["GENERATE_ROWS", "Inference", "Variants"]

GENERATE_ROWS = 64

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Variants:
    """Generated pictures.

    Attributes:
        images: encoded, one for each row.
        latents: shape (n, z).
    """

    images: list[bytes]
    latents: NDArray[np.float32]


class Inference:
    """Runs models, and times every stage of it."""

    def __init__(self, workers: Workers, metrics: Metrics) -> None:
        self._workers = workers
        self._infer = metrics.stage["infer"]
        self._encode = metrics.stage["encode"]

    async def classify(self, model: Model, images: Images, deadline: Deadline) -> Verdicts:
        """Return a verdict for each image of shape (n, 28, 28), n >= 1.

        Raises:
            DeadlineExpired: the deadline passed first.
        """
        if len(images) <= model.inline_images:
            deadline.check("classification")
            return self._classify(model, images)
        chunks = await asyncio.gather(
            *(
                self._workers.run(deadline, self._classify, model, images[start:stop])
                for start, stop in _spans(len(images), CLASSIFY_ROWS)
            )
        )
        return Verdicts(
            probabilities=np.concatenate([chunk.probabilities for chunk in chunks]),
            llr=np.concatenate([chunk.llr for chunk in chunks]),
        )

    async def encode(self, model: Model, images: Images, deadline: Deadline) -> Posterior:
        """Return the posterior of each image of shape (n, 28, 28), n >= 1.

        Raises:
            DeadlineExpired: the deadline passed first.
        """
        return await self._workers.run(deadline, self._posterior, model, images)

    async def generate(
        self,
        model: Model,
        plan: Plan,
        count: int,
        encode: Callable[[Images], bytes],
        deadline: Deadline,
    ) -> Variants:
        """Return the first ``count`` pictures of the plan, each turned to bytes by ``encode``.

        Raises:
            DeadlineExpired: the deadline passed between two chunks.
        """
        chunks = await asyncio.gather(
            *(
                self._workers.run(deadline, self._generate, model, plan, range(*span), encode)
                for span in _spans(count, GENERATE_ROWS)
            )
        )
        return Variants(
            images=[image for chunk in chunks for image in chunk.images],
            latents=np.concatenate([chunk.latents for chunk in chunks]),
        )

    def _classify(self, model: Model, images: Images) -> Verdicts:
        with self._infer.time():
            return model.classify(images)

    def _posterior(self, model: Model, images: Images) -> Posterior:
        with self._infer.time():
            return model.encode(images)

    def _generate(
        self, model: Model, plan: Plan, rows: range, encode: Callable[[Images], bytes]
    ) -> Variants:
        with self._infer.time():
            latents = plan.latents(rows)
            pictures = model.decode(latents)
        with self._encode.time():
            return Variants([encode(picture) for picture in pictures], latents)


def _spans(count: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, count)) for start in range(0, count, size)]
