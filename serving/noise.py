"""The randomness of generated pictures: pure functions of seed, picture's number and attempt.

Philox is a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011). The seed is its key, and the two top words of its 256-bit counter say which draw it is,
so each draw can be had by itself and no two can overlap.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["further_normal", "standard_normal"]

# To go to a draw costs as much as twenty rows of it: a draw is as many rows as most callers want.
_BLOCK_ROWS = 32


def standard_normal(
    seed: int, rows: Sequence[int], size: int, attempt: int = 0
) -> NDArray[np.float32]:
    """Return noise from N(0, 1), shape (len(rows), size).

    Row i depends on ``seed``, ``attempt``, ``size`` and i alone, so neither how rows are cut into
    chunks nor how many are asked for changes any of them.

    Args:
        seed: 0 to 2**64 - 1.
        rows: numbers of the rows, at least one, ascending; what lies between the first and the
            last is drawn too.
        size: values in a row.
        attempt: 0 to 2**63 - 1; each has noise of its own.
    """
    first, last = rows[0] // _BLOCK_ROWS, rows[-1] // _BLOCK_ROWS
    noise = _draws(seed, 2 * attempt, range(first, last + 1), (_BLOCK_ROWS, size))
    wanted: NDArray[np.float32] = noise.reshape(-1, size)[np.asarray(rows) - first * _BLOCK_ROWS]
    return wanted


def further_normal(
    seed: int, rows: Sequence[int], tries: int, size: int, attempt: int = 0
) -> NDArray[np.float32]:
    """Return further noise from N(0, 1) for the same attempt, shape (len(rows), tries, size).

    Arguments as above; rows may lie anywhere.
    """
    return _draws(seed, 2 * attempt + 1, rows, (tries, size))


def _draws(
    seed: int, stream: int, numbers: Sequence[int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the draws of a stream that have these numbers, each of this shape."""
    noise = np.empty((len(numbers), *shape), dtype=np.float32)
    bits = np.random.Philox(key=seed)
    draw = np.random.Generator(bits).standard_normal
    # To set the state is far cheaper than a generator for each draw; of tuples, twice as cheap.
    fresh: Any = {**bits.state, "buffer": (0, 0, 0, 0)}
    key = tuple(fresh["state"]["key"].tolist())
    for number, place in zip(numbers, noise, strict=True):
        fresh["state"] = {"counter": (0, 0, stream, number), "key": key}
        bits.state = fresh
        draw(dtype=np.float32, out=place)
    return noise
