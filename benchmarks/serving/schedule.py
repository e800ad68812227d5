"""When the requests of an open loop are due: fixed before the first one is sent.

A client that waits for an answer before it sends the next request stops measuring just when the
server is slow ("co-ordinated omission"). Here every request has its time, and its latency is
counted from that time, whether the client or the server was late.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["arrivals"]


def arrivals(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """Return the seconds from the start at which requests are due, ascending.

    A Poisson process: independent callers. The number of requests is fixed as rate * seconds,
    rounded, so that every round carries the same load.

    Args:
        rate: requests a second, > 0.
        seconds: length of the schedule, > 0.
        seed: same seed, same schedule.

    Raises:
        ValueError: rate or seconds is not above 0.
    """
    if not (rate > 0 and seconds > 0):
        raise ValueError(f"expected rate and seconds above 0, found {rate:g} and {seconds:g}")
    count = max(1, round(rate * seconds))
    # The order statistics of uniform draws: what a Poisson process is, given its count.
    return np.sort(np.random.default_rng(seed).uniform(0.0, seconds, count))
