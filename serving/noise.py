"""The randomness of generated pictures: a generator for each attempt at each stretch of them.

Philox is a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011). The seed is its key, and the two top words of its 256-bit counter say what is drawn, so
each stretch can be had by itself and no two can overlap.
"""

import numpy as np

__all__ = ["generator"]


def generator(seed: int, row: int, attempt: int) -> np.random.Generator:
    """Return the randomness of an attempt at the pictures from ``row`` on, from its beginning.

    Args:
        seed: 0 to 2**64 - 1.
        row: number of the first of the pictures.
        attempt: 0 to 2**64 - 1; each has randomness of its own.
    """
    counter = np.array([0, 0, attempt, row], np.uint64)
    return np.random.Generator(np.random.Philox(key=seed, counter=counter))
