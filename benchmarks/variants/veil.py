"""Pictures that no longer tell what can be steered.

How thick and how slanted somebody writes is part of the hand. A judge that is to say what else of a
hand is kept while that is changed must not go by it. So it is never shown: each picture that it
learns from or judges is first brought to the same attributes, by the very steering that is judged.
"""

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.variants.bending import Bending
from serving.steering import Goals, Target
from training.trials import WriterDigits

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

_DIGITS, _MEASURED, _ROWS = 10, 1000, 250
_TURN = Target(-15.0, 15.0, is_change=False)


class Veil:
    """Gives every picture of a digit the same thickness, slant, width and height.

    Of a turn only the slant that it brings is taken back; a judge must learn to overlook the rest.

    Attributes:
        middle: what they get, by digit, float32 (10, 4); see ``training.attributes``.
    """

    def __init__(self, middle: Floats) -> None:
        self.middle = middle
        self._bending = Bending()

    def __call__(
        self,
        images: Images,
        digits: NDArray[np.integer],
        random: np.random.Generator | None = None,
    ) -> Images:
        """Return pictures (n, 28, 28) with these attributes.

        Args:
            images: shape (n, 28, 28).
            digits: what they show, (n,).
            random: by which each is turned first, by up to 15 degrees; ``None`` = not turned.
        """
        veiled = np.empty_like(images)
        for start in tqdm(range(0, len(images), _ROWS), desc="veil", disable=len(images) <= _ROWS):
            part = slice(start, start + _ROWS)
            shown, upright = images[part], self.middle[digits[part]].astype(np.float64)
            if random:
                shown = self._bending.bend(shown, {"rotation": _TURN}, random.random(len(shown)))
            veiled[part] = self._bending.to(shown, Goals(upright, np.zeros(len(shown))))
        return veiled


def middle(data: WriterDigits, random: np.random.Generator) -> Floats:
    """Return the medians (10, 4) of each digit's pictures; 0 for a digit that has none.

    Args:
        data: pictures by many writers.
        random: which thousand of a digit are measured.
    """
    bending, medians = Bending(), np.zeros((_DIGITS, 4), np.float32)
    for digit in np.unique(data.digits.labels).tolist():
        some = random.permutation(data.digits.images[data.digits.labels == digit])[:_MEASURED]
        medians[digit] = np.median(bending.attributes((some / 255).astype(np.float32)), axis=0)
    return medians
