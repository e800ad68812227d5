"""Attributes drawn for each picture alone: of a thousand, one has 2.1 pixels of stroke, one 3.7.

The service leads targets evenly from the first picture to the last. A data set wants them
independent of one another and of the picture's number, and unchanged when the set grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.plans import Along, Prior
from serving.steering import NAMES, Target
from training.dataset.order import Order, Span

_STREAM = 1  # word 1 of Philox's counter, which is 0 wherever ``serving.noise`` draws


@dataclass(frozen=True)
class _Scattered(Along):
    """Pictures of the prior, each changed to a measure of its own."""

    def shares(self, rows: Sequence[int]) -> NDArray[np.float64]:
        """Return the row numbers: a scattered target asks who, not how far along; (len(rows),)."""
        return np.asarray(rows, dtype=np.float64)


@dataclass(frozen=True)
class _Anywhere(Target):
    """A target that lies anywhere from ``first`` to ``last``, evenly likely.

    Attributes:
        seed: of the draw.
        column: of the attribute, so that no two are drawn alike.
    """

    seed: int
    column: int

    def at(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is asked of the pictures with these row numbers; shape (n,)."""
        drawn = uniform(self.seed, shares.astype(np.int64).tolist(), len(NAMES))
        return self.first + drawn[:, self.column] * (self.last - self.first)


def scattered(order: Order) -> Along:
    """Return a plan of pictures from the prior whose attributes lie anywhere in their spans."""
    targets = {span.name: _anywhere(span, order.seed) for span in order.spans}
    prior = Prior(order.temperature, order.seed)
    return _Scattered(prior, targets, order.count)


def uniform(seed: int, rows: list[int], size: int) -> NDArray[np.float64]:
    """Return numbers in [0, 1), shape (len(rows), size); a row's depend on it and ``seed`` alone.

    From the counter-based generator of ``serving.noise``, in streams of their own.
    """
    numbers = np.empty((len(rows), size))
    bits = np.random.Philox(key=seed)
    generator = np.random.Generator(bits)
    fresh = bits.state
    for place, row in enumerate(rows):
        fresh["state"]["counter"][:] = (0, _STREAM, 0, row)
        bits.state = fresh
        generator.random(out=numbers[place])
    return numbers


def _anywhere(span: Span, seed: int) -> _Anywhere:
    return _Anywhere(span.least, span.most, False, seed, NAMES.index(span.name))
