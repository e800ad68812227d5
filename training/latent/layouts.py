"""Points of many dimensions laid out in the plane: principal components, and t-SNE.

t-SNE (van der Maaten and Hinton 2008) is exact here: for two hundred points all pairs are quicker
than the trees that larger sets need, and equal points give an equal map. It starts from the
principal components, so that what is far apart stays so where neighbourhoods leave the choice.
"""

import numpy as np
from numpy.typing import NDArray

from training.latent.findings import Floats
from training.latent.neighbours import squared_distances

Doubles = NDArray[np.float64]

# The descent: the original's early exaggeration, and a step that suits some hundred points; it
# maps them as well as scikit-learn does in twice as many steps.
_EXAGGERATED, _ITERATIONS = 100, 500
_EXAGGERATION, _RATE = 4.0, 20.0


def principal_components(points: Floats) -> Floats:
    """Return points (n, d) in the plane (n, 2) of the largest variance; each axis' sign is fixed.

    A second axis that does not exist, for d = 1, is 0.
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    plane = np.zeros((len(points), 2))
    plane[:, : len(axes)] = centred @ (axes * signs[:, None]).T
    return plane.astype(np.float32)


def t_sne(points: Floats, perplexity: float) -> Floats:
    """Return points (n, d) laid out by t-SNE, shape (n, 2); 1 < perplexity < n."""
    attraction = _attraction(points, perplexity)
    start = principal_components(points).astype(np.float64)
    places = start * (1e-4 / max(float(start[:, 0].std()), 1e-12))
    speed, gains = np.zeros_like(places), np.ones_like(places)
    for iteration in range(_ITERATIONS):
        early = iteration < _EXAGGERATED
        slope = _slope(attraction * _EXAGGERATION if early else attraction, places)
        gains = np.where(speed * slope < 0, gains + 0.2, (gains * 0.8).clip(min=0.01))
        speed = (0.8 if early else 0.9) * speed - _RATE * gains * slope
        places = places + speed
    centred: Floats = (places - places.mean(axis=0)).astype(np.float32)
    return centred


def _attraction(points: Floats, perplexity: float) -> Doubles:
    """Return how strongly each pair is to attract, shape (n, n), symmetric, summing to 1.

    Each point sees the others through a Gaussian just so wide that its distribution has the
    entropy of ``perplexity`` equally likely neighbours; found by halving, in the logarithm.
    """
    distances = squared_distances(points, points)
    np.fill_diagonal(distances, np.inf)
    # No further than the nearest, so that no row is lost to underflow; it cancels below.
    distances -= distances.min(axis=1, keepdims=True)
    scale = max(float(np.median(distances[np.isfinite(distances)])), 1e-12)
    low, high = np.full((len(points), 1), -30.0), np.full((len(points), 1), 30.0)
    for _ in range(50):
        middle = (low + high) / 2
        shares = _softmax(-distances / scale * np.exp(middle))
        entropy = -(shares * np.log(shares.clip(min=1e-300))).sum(axis=1, keepdims=True)
        narrow = entropy > np.log(perplexity)
        low, high = np.where(narrow, middle, low), np.where(narrow, high, middle)
    symmetric: Doubles = (shares + shares.T) / (2 * len(points))
    return symmetric


def _softmax(logits: Doubles) -> Doubles:
    weights = np.exp(logits)  # the largest is 0
    shares: Doubles = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _slope(attraction: Doubles, places: Doubles) -> Doubles:
    """Return the gradient (n, 2) of the divergence between the pairs in truth and on the map."""
    squares = np.square(places).sum(axis=1)
    student = places @ (-2 * places.T)
    student += squares + 1
    student += squares[:, None]
    np.reciprocal(student, out=student)  # (n, n); the diagonal is 1, and pulls at nothing below
    force = student / (len(places) - student.sum())
    force += attraction
    force *= student
    slope: Doubles = 4 * (force.sum(axis=1, keepdims=True) * places - force @ places)
    return slope
