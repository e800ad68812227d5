"""New pictures: a rule for latent points, and the points' pictures.

Each ``Plan`` says which latent point picture i of ``count`` has. A plan is a pure function of
row numbers, so a request can be worked off in chunks, on any thread, and give the same bytes.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serving.model import Posterior
from serving.noise import standard_normal

__all__ = ["Around", "Between", "Plan", "Prior"]


class Plan(Protocol):
    """Where in the latent space the pictures of one request lie."""

    def latents(self, rows: range) -> NDArray[np.float32]:
        """Return the points of these pictures, shape (len(rows), z)."""


@dataclass(frozen=True)
class Prior:
    """z = temperature * N(0, I).

    Attributes:
        size: dimensions z.
        temperature: 0 = always the middle of the space.
        seed: of the noise.
    """

    size: int
    temperature: float
    seed: int

    def latents(self, rows: range) -> NDArray[np.float32]:
        """Return the points of these pictures, shape (len(rows), z)."""
        return np.float32(self.temperature) * standard_normal(self.seed, rows, self.size)


@dataclass(frozen=True)
class Around:
    """z = mean + strength * deviation * N(0, I), around one given picture.

    Attributes:
        centre: the encoder's posterior of that picture, one row.
        strength: 0 = always the reconstruction.
        seed: of the noise.
    """

    centre: Posterior
    strength: float
    seed: int

    def latents(self, rows: range) -> NDArray[np.float32]:
        """Return the points of these pictures, shape (len(rows), z)."""
        noise = standard_normal(self.seed, rows, self.centre.mean.shape[1])
        step: NDArray[np.float32] = np.float32(self.strength) * self.centre.deviation * noise
        return self.centre.mean + step


@dataclass(frozen=True)
class Between:
    """Evenly spaced points on the straight line between two given pictures, both included.

    Attributes:
        ends: the encoder's posterior of the two pictures, two rows.
        count: number of points; 1 gives the middle.
    """

    ends: Posterior
    count: int

    def latents(self, rows: range) -> NDArray[np.float32]:
        """Return the points of these pictures, shape (len(rows), z)."""
        first, last = self.ends.mean
        if self.count == 1:
            share = np.full((len(rows), 1), 0.5, dtype=np.float32)
        else:
            share = (np.asarray(rows, dtype=np.float32) / np.float32(self.count - 1))[:, None]
        points: NDArray[np.float32] = (1 - share) * first + share * last
        return points
