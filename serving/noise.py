"""The randomness of generated pictures: a pure function of seed, picture's number and attempt."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["standard_normal"]


def standard_normal(
    seed: int, rows: Sequence[int], size: int, attempt: int = 0
) -> NDArray[np.float32]:
    """Return noise from N(0, 1), shape (len(rows), size).

    Row i depends on ``seed``, ``attempt`` and i alone, so neither how rows are cut into chunks nor
    how many are asked for changes any of them. Philox is a counter-based generator (Salmon et
    al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the seed is its key, and row and
    attempt go to the two top words of its 256-bit counter, so no two streams can overlap.

    Args:
        seed: 0 to 2**64 - 1.
        rows: numbers of the rows, each 0 to 2**64 - 1.
        size: values in a row.
        attempt: 0 to 2**64 - 1; each has noise of its own.
    """
    noise = np.empty((len(rows), size), dtype=np.float32)
    bits = np.random.Philox(key=seed)
    draw = np.random.Generator(bits).standard_normal
    # To set the state is far cheaper than a generator for each row; of tuples, twice as cheap.
    fresh: Any = {**bits.state, "buffer": (0, 0, 0, 0)}
    key = tuple(fresh["state"]["key"].tolist())
    for row, place in zip(rows, noise, strict=True):
        fresh["state"] = {"counter": (0, 0, attempt, row), "key": key}
        bits.state = fresh
        draw(dtype=np.float32, out=place)
    return noise
