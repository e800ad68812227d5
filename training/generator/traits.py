"""How far a hand varies in what can be measured of it: thickness, slant, width and height.

The Gaussian of a hand's next picture has tails where no digit lies, so it is drawn from more
narrowly than it says. As a whole, that takes from a hand a third of what its slant and size vary
by. Hence it is narrowed less along the directions by which these follow from a latent point: so far
that the attributes of drawn pictures vary as those of other writers' pictures do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.generator.hands import Floats, by_writer

_ROUNDS = 4
# Beyond these an attribute hardly follows the latent point, and narrowing would not reach it.
_LEAST, _MOST = 0.3, 1.2
_TINY = 1e-12


@dataclass(frozen=True)
class Traits:
    """What is known of one digit's attributes.

    Attributes:
        directions: (a, z), by how much each changes with each latent number.
        scales: (a,), factors on the standard deviations that a hand's Gaussian gives them.
    """

    directions: Floats
    scales: Floats


def fit_directions(latents: Floats, attributes: Floats) -> Floats:
    """Return the least-squares change (a, z) of attributes (n, a) with latent points (n, z)."""
    points = latents - latents.mean(axis=0)
    slopes, *_ = np.linalg.lstsq(points, attributes - attributes.mean(axis=0), rcond=None)
    directions: Floats = slopes.T
    return directions


def narrowed(spread: Floats, rest: float, traits: Traits) -> Floats:
    """Return the covariance (z, z) from which a hand is drawn.

    A deviation is split into what attributes tell of it, by regression, and the rest; the two are
    independent.

    Args:
        spread: (z, z), covariance of the hand's next picture.
        rest: factor on the standard deviation of what the attributes do not tell.
        traits: of the digit; without directions all is rest.
    """
    directions, scales = traits.directions, np.diag(traits.scales)
    told = directions @ spread @ directions.T
    regression = spread @ directions.T @ np.linalg.pinv(told, hermitian=True)
    untold = spread - regression @ directions @ spread
    covariance: Floats = rest**2 * untold + regression @ scales @ told @ scales @ regression.T
    return (covariance + covariance.T) / 2


def match_scales(variances: Callable[[Floats], Floats], wanted: Floats) -> Floats:
    """Return the scales (a,) at which drawn attributes vary as is wanted.

    Args:
        variances: of the attributes (a,), of pictures drawn with scales (a,).
        wanted: (a,), the variances that they should have.
    """
    scales = np.ones_like(wanted)
    for _ in range(_ROUNDS):
        found = np.maximum(variances(scales), _TINY)
        scales = (scales * np.sqrt(wanted / found)).clip(_LEAST, _MOST)
    return scales


def within(values: Floats, writers: NDArray[np.integer]) -> Floats:
    """Return the variances (a,) of values (n, a) about the means of their writers (n,)."""
    _, deviations, counts = by_writer(values, writers)
    found: Floats = (deviations**2).sum(axis=0) / (len(values) - len(counts))
    return found
