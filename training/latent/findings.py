"""What is found out about a latent space, as values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.shapes import expect

ACTIVE = 0.01

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layout:
    """Latent points laid out in the plane, and how true that is; the figures are 0 to 1.

    Attributes:
        name: how it was made.
        places: (n, 2).
        trustworthiness: high where neighbours in the plane are true ones (Venna and Kaski 2001).
        continuity: high where true neighbours are neighbours in the plane.
        kept: share of the nearest neighbours that are the same on both sides.
    """

    name: str
    places: Floats
    trustworthiness: float
    continuity: float
    kept: float

    @property
    def faithful(self) -> float:
        """The mean of trustworthiness and continuity, by which layouts are compared."""
        return (self.trustworthiness + self.continuity) / 2


@dataclass(frozen=True, eq=False)
class Strip:
    """What the decoder draws along a straight line of the latent space.

    Attributes:
        name: of the line.
        frames: (f, 28, 28), from end to end.
        values: (f,), one figure for each of them.
        score: one figure for the line; ``Latent`` says which for each kind of strip.
    """

    name: str
    frames: Images
    values: Floats
    score: float

    def __post_init__(self) -> None:
        f = len(self.frames)
        expect("strip.frames", self.frames, np.uint8, (f, 28, 28))
        expect("strip.values", self.values, np.float32, (f,))


@dataclass(frozen=True, eq=False)
class Latent:
    """What the latent space makes of an enrolment.

    Attributes:
        counts: forms, variations and samples on the map: so many from the front of each.
        means: (n, z), posterior mean of each of them, in that order.
        layouts: of the means, principal components first.
        chosen: the layout of the largest mean of trustworthiness and continuity.
        neighbours: how many neighbours of each point these figures look at.
        clusters: (n,), K-means cluster of each, from 0.
        silhouettes: of 2, 3, ... clusters; the largest decided.
        variances: (z,), of the posterior means of the variations: how much each unit is used.
        traversals: strips along the most active units; values are standard deviations of the
            prior, the score is the unit's variance.
        directions: strips along which an attribute grows; values are what the frames measure, the
            score is the cross-validated R2 of a line from latent point to measure.
        interpolations: strips between two pictures; values are shares of the way, the score is
            the largest step between neighbouring frames over the mean step.
        coverage: share of the variations that samples reach (Naeem et al. 2020).
        coverage_neighbours: how many neighbours of a variation set its reach.
        spread: how far samples lie from their centre over how far variations lie from theirs,
            both as the root of the mean square.
    """

    counts: tuple[int, int, int]
    means: Floats
    layouts: tuple[Layout, ...]
    chosen: int
    neighbours: int
    clusters: NDArray[np.int64]
    silhouettes: tuple[float, ...]
    variances: Floats
    traversals: tuple[Strip, ...]
    directions: tuple[Strip, ...]
    interpolations: tuple[Strip, ...]
    coverage: float
    coverage_neighbours: int
    spread: float

    def __post_init__(self) -> None:
        n = sum(self.counts)
        z = len(self.variances)
        expect("latent.means", self.means, np.float32, (n, z))
        expect("latent.clusters", self.clusters, np.int64, (n,))
        expect("latent.variances", self.variances, np.float32, (z,))
        for layout in self.layouts:
            expect(f"latent.layouts, {layout.name}", layout.places, np.float32, (n, 2))
        if not 0 <= self.chosen < len(self.layouts):
            raise ValueError(
                f"latent.chosen: expected one of {len(self.layouts)} layouts, found {self.chosen}"
            )

    @property
    def trustworthiness(self) -> float:
        """Of the chosen layout."""
        return self.layouts[self.chosen].trustworthiness

    @property
    def active(self) -> int:
        """How many units are active: of variance above 0.01 (Burda et al. 2016, 1509.00519)."""
        return int((self.variances > ACTIVE).sum())
