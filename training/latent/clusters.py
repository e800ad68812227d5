"""Groups among points: K-means (Lloyd 1982), for as many groups as the silhouette speaks for."""

import numpy as np
from numpy.typing import NDArray

from training.latent.findings import Floats
from training.latent.neighbours import squared_distances

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

_STARTS, _ROUNDS = 4, 50


def choose_clusters(
    points: Floats, most: int, random: np.random.Generator
) -> tuple[Indices, tuple[float, ...]]:
    """Group points (n, d) into that number of clusters, of 2 to ``most``, of largest silhouette.

    Returns:
        The cluster of each point, int64 (n,), from 0; and the silhouette of 2, 3, ... clusters.
        Fewer than three points are one cluster, without silhouettes.
    """
    distances = np.sqrt(squared_distances(points, points))
    groupings = [k_means(points, k, random) for k in range(2, min(most, len(points) - 1) + 1)]
    silhouettes = tuple(silhouette(distances, clusters) for clusters in groupings)
    if not silhouettes:
        return np.zeros(len(points), np.int64), ()
    return groupings[int(np.argmax(silhouettes))], silhouettes


def k_means(points: Floats, count: int, random: np.random.Generator) -> Indices:
    """Return the cluster of each point (n, d), int64 (n,): the tightest of several starts."""
    runs = [_run(points.astype(np.float64), count, random) for _ in range(_STARTS)]
    return min(runs, key=lambda run: run[1])[0]


def silhouette(distances: Doubles, clusters: Indices) -> float:
    """Return how much nearer points are to their own cluster than to the next, -1 to 1.

    The mean of ``(b - a) / max(a, b)`` over all points (Rousseeuw 1987): a is a point's mean
    distance from its own cluster, b from the nearest other; 0 where it is alone in its cluster, or
    its cluster is the only one.

    Args:
        distances: of all pairs, (n, n).
        clusters: of each point, (n,), from 0.
    """
    member = np.eye(clusters.max() + 1)[clusters]  # (n, k)
    sizes = member.sum(axis=0)
    if (sizes > 0).sum() < 2:
        return 0.0
    away = distances @ member / np.maximum(sizes, 1)
    away[:, sizes == 0] = np.inf
    mine = sizes[clusters]
    own = np.take_along_axis(away, clusters[:, None], axis=1)[:, 0] * mine / np.maximum(mine - 1, 1)
    np.put_along_axis(away, clusters[:, None], np.inf, axis=1)
    other = away.min(axis=1)
    scores = np.where(mine > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-12), 0)
    return float(scores.mean())


def _run(points: Doubles, count: int, random: np.random.Generator) -> tuple[Indices, float]:
    """Return clusters and the sum of squared distances from their centres."""
    centres = _spread_out(points, count, random)
    clusters = np.full(len(points), -1)
    for _ in range(_ROUNDS):
        distances = squared_distances(points, centres)
        nearest = distances.argmin(axis=1)
        if (nearest == clusters).all():
            break
        clusters = nearest
        for number in np.unique(clusters):  # a cluster that lost its last member stays put
            centres[number] = points[clusters == number].mean(axis=0)
    return clusters, float(distances.min(axis=1).sum())


def _spread_out(points: Doubles, count: int, random: np.random.Generator) -> Doubles:
    """Return centres to start from, far apart (k-means++; Arthur and Vassilvitskii 2007)."""
    centres = points[random.integers(len(points), size=1)]
    while len(centres) < count:
        weights = squared_distances(points, centres).min(axis=1)
        weights = weights if weights.any() else np.ones(len(points))  # all points are the same
        chosen = random.choice(len(points), p=weights / weights.sum())
        centres = np.concatenate([centres, points[chosen][None]])
    return centres
