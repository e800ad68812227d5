"""The interval of a mean where the same pictures are shown to every enrolment."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import Estimate

__all__ = ["bootstrap_crossed"]

Floats = NDArray[np.float64]


def bootstrap_crossed(
    values: Floats,
    writers: Sequence[int],
    kinds: Sequence[int],
    random: np.random.Generator,
    rounds: int = 400,
) -> Estimate:
    """Return the mean of a table with its interval over both of its sides.

    The same pictures are shown to every enrolment, so these are no more than so many pictures:
    writers and kinds of pictures are drawn with replacement, independently (the pigeonhole
    bootstrap of Owen 2007, doi:10.1214/07-AOAS122).

    Args:
        values: (trials, pictures).
        writers: of each trial.
        kinds: of each picture; pictures of a kind resemble each other.
        random: source of chance.
        rounds: resamplings.
    """
    draws = []
    for _ in range(rounds):
        rows, columns = (_drawn(owners, random) for owners in (writers, kinds))
        draws.append(rows @ values @ columns / (rows.sum() * columns.sum()))
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def _drawn(owners: Sequence[int], random: np.random.Generator) -> Floats:
    """Return how often each member was drawn, (n,), where whole owners are."""
    names, owner = np.unique(np.asarray(owners), return_inverse=True)
    drawn = np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))
    counts: Floats = drawn[owner].astype(np.float64)
    return counts
