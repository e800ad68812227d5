"""Attributes drawn for each picture alone: of a thousand, one has 2.1 pixels of stroke, one 3.7.

The service leads targets evenly from the first picture to the last. A data set wants them
independent of one another and of the picture's number, and unchanged when the set grows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.plans import Along, Prior
from serving.steering import NAMES, Asked, Target
from training.dataset.order import Order

_STREAM = 1  # word 1 of Philox's counter, which is 0 wherever ``serving.noise`` draws


@dataclass(frozen=True)
class _Scattered(Along):
    """Pictures of the prior, each with targets anywhere from first to last, evenly likely."""

    def asked(self, rows: Sequence[int]) -> Mapping[str, Asked]:
        """Return what is asked of these pictures, by name of the attribute."""
        shares = uniform(self.seed, rows, len(NAMES))
        return {
            name: target.at(shares[:, NAMES.index(name)]) for name, target in self.targets.items()
        }


def scattered(order: Order) -> Along:
    """Return a plan of pictures from the prior whose attributes lie anywhere in their spans."""
    targets = {span.name: Target(span.least, span.most, False) for span in order.spans}
    prior = Prior(order.temperature, order.seed)
    return _Scattered(prior, targets, order.count)


def uniform(seed: int, rows: Sequence[int], size: int) -> NDArray[np.float64]:
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
