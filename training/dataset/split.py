"""Which pictures are for validation: evenly spread, and for good.

Pictures are independent of one another, so any choice is as random as any other. This one counts
exactly, needs no table, and never changes for a row: a larger set of the same seed holds a smaller
one, split for split.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

TRAIN, VALIDATION = "train", "validation"


def is_validation(rows: NDArray[np.int64], share: Fraction) -> NDArray[np.bool_]:
    """Return for each row number, shape (n,), whether its picture is for validation."""
    marked: NDArray[np.bool_] = _before(rows + 1, share) > _before(rows, share)
    return marked


def sizes(count: int, share: Fraction) -> dict[str, int]:
    """Return the number of pictures of each split that is not empty, of ``count`` pictures."""
    kept_apart = count * share.numerator // share.denominator
    found = {TRAIN: count - kept_apart, VALIDATION: kept_apart}
    return {name: size for name, size in found.items() if size}


def _before(rows: NDArray[np.int64], share: Fraction) -> NDArray[np.int64]:
    """Return how many pictures for validation come before each row."""
    return rows * share.numerator // share.denominator
