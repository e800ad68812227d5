"""How hands differ, and what one picture therefore says of the next: the two-covariance model.

A picture's latent point is its writer's middle plus a deviation of its own,
``z = y + e`` with ``y ~ N(mean, between)`` and ``e ~ N(0, within)``. Everything that follows is
Gaussian and exact: enrolled pictures give a posterior of the writer's middle, and that gives the
distribution of the writer's next picture. (Probabilistic linear discriminant analysis; Prince and
Elder 2007; the two-covariance form is Bruemmer and de Villiers 2010.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST_PICTURES = 3
# Variances below this share of the mean one are noise of the estimate.
_FLOOR = 1e-3
# ... and where all of them are, below this.
_LEAST = 1e-9


@dataclass(frozen=True)
class Hands:
    """The population of one digit.

    Attributes:
        mean: (z,).
        between: (z, z), covariance of writers.
        within: (z, z), covariance of one writer's pictures.
    """

    mean: Floats
    between: Floats
    within: Floats


@dataclass(frozen=True)
class Hand:
    """One writer, as far as enrolled pictures tell.

    Attributes:
        middle: (z,), the expected middle of the writer's pictures.
        spread: (z, z), covariance of the writer's next picture about it: within, and what is not
            known of the middle.
        shared: (z, z), share of a deviation that is the writer's and not the picture's,
            ``between (between + within)^-1``.
    """

    middle: Floats
    spread: Floats
    shared: Floats


def fit_hands(latents: Floats, writers: NDArray[np.integer]) -> Hands:
    """Fit by moments to latent points (n, z) and the writer (n,) of each."""
    middles, deviations, counts = by_writer(latents, writers)
    within = deviations.T @ deviations / (len(latents) - len(counts))
    known = counts >= _LEAST_PICTURES
    noise = within * (1 / counts[known]).mean()
    between = np.cov(middles[known].T) - noise
    return Hands(middles[known].mean(axis=0), _floored(between), _floored(within))


def by_writer(
    values: Floats, writers: NDArray[np.integer]
) -> tuple[Floats, Floats, NDArray[np.integer]]:
    """Return the writers' means (w, d), the values' deviations (n, d) and the counts (w,).

    Args:
        values: (n, d).
        writers: (n,), whose each is.
    """
    _, writer, counts = np.unique(writers, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, writer, values)
    middles = sums / counts[:, None]
    return middles, values - middles[writer], counts


def enrol(hands: Hands, latents: Floats) -> Hand:
    """Return what pictures with latent points (k, z) say of their writer."""
    count = len(latents)
    information = np.linalg.inv(hands.between)
    evidence = np.linalg.inv(hands.within)
    unknown = np.linalg.inv(information + count * evidence)
    middle = unknown @ (information @ hands.mean + evidence @ latents.sum(axis=0))
    shared = hands.between @ np.linalg.inv(hands.between + hands.within)
    return Hand(middle, hands.within + unknown, shared)


def _floored(covariance: Floats) -> Floats:
    """Return the nearest covariance without vanishing directions."""
    values, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    least = max(_FLOOR * values.clip(min=0).mean(), _LEAST)
    floored: Floats = (directions * values.clip(min=least)) @ directions.T
    return floored
