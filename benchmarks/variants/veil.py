"""Pictures that no longer tell what can be steered.

How thick and how slanted somebody writes is part of the hand. A judge that is to say what else of
a hand is kept while that is changed must not go by it: it learns from pictures of which every
attribute was drawn anew, for each picture by itself, by the very steering that is judged.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.variants.bending import Bending
from serving.steering import Goals
from training.trials import WriterDigits

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

_CENTRAL = (0.05, 0.95)
_MEASURED = 1000
_TURN = 15.0


class Veil:
    """Draws attributes anew over the central 90 % of a digit's pictures, and turns them.

    Attributes:
        ranges: by digit: least and greatest of thickness, slant, width and height, shape (2, 4).
    """

    def __init__(self, data: WriterDigits, random: np.random.Generator) -> None:
        """Measure the pictures.

        Args:
            data: pictures by many writers.
            random: which of them are measured, and all that is drawn later.
        """
        self._bending = Bending()
        self._random = random
        present = np.unique(data.digits.labels).tolist()
        self.ranges = {digit: self._range(data, digit) for digit in present}

    def __call__(self, images: Images, digits: NDArray[np.integer]) -> Images:
        """Return the pictures (n, 28, 28) with other attributes, by up to 15 degrees turned."""
        ranges = np.stack([self.ranges[digit] for digit in digits.tolist()])  # (n, 2, 4)
        upright = self._random.uniform(ranges[:, 0], ranges[:, 1])
        turns = self._random.uniform(-_TURN, _TURN, len(images))
        return self._bending.to(images, Goals(upright, turns))

    def _range(self, data: WriterDigits, digit: int) -> Floats:
        theirs = data.digits.images[data.digits.labels == digit]
        some = self._random.permutation(theirs)[:_MEASURED]
        measured = self._bending.attributes((some / 255).astype(np.float32))
        span: Floats = np.quantile(measured, _CENTRAL, axis=0)
        return span
