"""Who is next to whom: how true a map is, and how much of one set another reaches.

All figures rest on ranks of squared Euclidean distances; the sets are small enough for all pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.latent.findings import Floats

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Faithfulness:
    """How many neighbourhoods survive on a map, each figure from 0 to 1.

    Attributes:
        trustworthiness: high where neighbours on the map are neighbours in truth.
        continuity: high where true neighbours are neighbours on the map.
        kept: share of the nearest neighbours that are the same on both sides.
    """

    trustworthiness: float
    continuity: float
    kept: float


def squared_distances(one: Floats | Doubles, other: Floats | Doubles) -> Doubles:
    """Return the squared distance of each of (n, d) from each of (m, d), shape (n, m)."""
    # By differences, not by a product of matrices: exact, and the same for any number of threads.
    away = one[:, None].astype(np.float64) - other[None].astype(np.float64)
    squared: Doubles = np.square(away, out=away).sum(axis=-1)
    return squared


def faithfulness(true: Floats, mapped: Floats, neighbours: int) -> Faithfulness:
    """Compare the neighbourhoods of points (n, d) with those of their places (n, 2) on a map.

    Trustworthiness and continuity are those of Venna and Kaski (2001): 1 less the ranks by which
    false, or lost, neighbours miss the neighbourhood, in units of the worst that could be.

    Args:
        true: the points.
        mapped: their places.
        neighbours: size of a neighbourhood, less than n / 2.
    """
    truly, there = _ranks(true), _ranks(mapped)
    n, k = len(true), neighbours
    worst = n * k * (2 * n - 3 * k - 1) / 2

    def missed(near: NDArray[np.int64], far: NDArray[np.int64]) -> float:
        return float((far[near <= k] - k).clip(min=0).sum() / worst)

    return Faithfulness(
        trustworthiness=1 - missed(there, truly),
        continuity=1 - missed(truly, there),
        kept=float(((truly <= k) & (there <= k)).sum() / (n * k)),
    )


def coverage(real: Floats, drawn: Floats, neighbours: int) -> float:
    """Return the share of ``real`` points (n, d) with one of ``drawn`` (m, d) in their ball.

    A ball reaches as far as the nearest so many other real points (Naeem et al. 2020,
    arXiv:2002.09797). ``neighbours`` < n.
    """
    among = np.sort(squared_distances(real, real), axis=1)  # the first is the point itself
    nearest = squared_distances(real, drawn).min(axis=1)
    return float((nearest < among[:, neighbours]).mean())


def _ranks(points: Floats) -> NDArray[np.int64]:
    """Return the rank of each point among the neighbours of each, 1 = nearest; n = itself."""
    distances = squared_distances(points, points)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, len(points) + 1)[None], axis=1)
    return ranks
