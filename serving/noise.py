"""The randomness of generated pictures: a pure function of the seed and the picture's number."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["standard_normal"]


def standard_normal(seed: int, rows: range, size: int) -> NDArray[np.float32]:
    """Return noise from N(0, 1), shape (len(rows), size).

    Row i depends on ``seed`` and i alone, so neither how rows are cut into chunks nor how many
    are asked for changes any of them. Philox is a counter-based generator (Salmon et al.,
    "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the seed is its key, and the row
    number goes to the top word of its 256-bit counter, so the rows' streams cannot overlap.

    Args:
        seed: 0 to 2**64 - 1.
        rows: numbers of the rows, each 0 to 2**64 - 1.
        size: values in a row.
    """
    noise = np.empty((len(rows), size), dtype=np.float32)
    bits = np.random.Philox(key=seed)
    generator = np.random.Generator(bits)
    fresh = bits.state
    for place, row in enumerate(rows):
        fresh["state"]["counter"][:] = (0, 0, 0, row)
        bits.state = fresh  # far cheaper than a generator for each row
        generator.standard_normal(dtype=np.float32, out=noise[place])
    return noise
