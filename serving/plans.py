"""New pictures: a rule for latent points, and what is then made of the points' pictures.

Each ``Plan`` says which latent point picture i of ``count`` has, and how what is drawn there is
changed, if it is. Either is a pure function of row number, noise and model, so a request can be
worked off in spans, on any thread, and give the same bytes. Rows beyond the last picture have
points too, of no meaning: spans are always full.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.model import Measured, Model, Posterior
from serving.steering import Asked, Changed, Target, goals, steer

__all__ = ["Along", "Around", "Between", "InStyle", "Plan", "Prior", "completed"]

Rows = Sequence[int] | NDArray[np.int64]
Latents = NDArray[np.float32]


class Plan(Protocol):
    """Where in the latent space the pictures of one request lie, and how they are changed then.

    Attributes:
        field: of the request that asks for it.
        seed: of the noise; whatever, where nothing is left to chance.
        remedy: what a caller can do whose pictures do not become the digit.
        is_changed: whether its pictures are others than what is drawn at its points.
    """

    field: ClassVar[str]
    remedy: ClassVar[str]
    is_changed: ClassVar[bool]

    @property
    def seed(self) -> int:
        """Of the noise."""

    @property
    def has_chance(self) -> bool:
        """Whether other noise gives another point."""

    def latents(self, rows: Rows, noise: Latents, /) -> Latents:
        """Return the points of these pictures.

        Args:
            rows: their numbers, n of them; where there is chance, they do not matter.
            noise: from N(0, I), shape (n, z).

        Returns:
            Shape (n, z).
        """

    def change(self, model: Model, drawn: Measured, rows: Sequence[int], /) -> Changed:
        """Return the pictures of these rows.

        Args:
            model: that drew them, and may draw them otherwise.
            drawn: n pictures at the points of these rows.
            rows: their numbers, n of them.
        """


class _Unchanged:
    """A plan whose pictures are what is drawn at its points."""

    is_changed: ClassVar[bool] = False

    def change(self, _model: Model, drawn: Measured, _rows: Sequence[int], /) -> Changed:
        """Return what is drawn."""
        return Changed(drawn.pixels, drawn.pixels, drawn.attributes, np.zeros(len(drawn.pixels)))


@dataclass(frozen=True)
class Prior(_Unchanged):
    """z = temperature * N(0, I).

    Attributes:
        temperature: 0 = always the middle of the space.
        seed: of the noise.
    """

    temperature: float
    seed: int

    field: ClassVar[str] = "prior"
    remedy: ClassVar[str] = "ask for another temperature"

    @property
    def has_chance(self) -> bool:
        """Whether other noise gives another point."""
        return self.temperature > 0

    def latents(self, _rows: Rows, noise: Latents, /) -> Latents:
        """Return the points of these pictures, shape (len(rows), z)."""
        return np.float32(self.temperature) * noise


@dataclass(frozen=True)
class Around(_Unchanged):
    """z = mean + strength * deviation * N(0, I), around one given picture.

    Attributes:
        centre: the posterior of that picture, one row; see ``locate``.
        strength: 0 = always the reconstruction.
        seed: of the noise.
    """

    centre: Posterior
    strength: float
    seed: int

    field: ClassVar[str] = "around"
    remedy: ClassVar[str] = (
        "give a picture that is more like the digit, or ask for another strength"
    )

    @property
    def has_chance(self) -> bool:
        """Whether other noise gives another point."""
        return self.strength > 0

    def latents(self, _rows: Rows, noise: Latents, /) -> Latents:
        """Return the points of these pictures, shape (len(rows), z)."""
        step: Latents = np.float32(self.strength) * self.centre.deviation * noise
        return self.centre.mean + step


@dataclass(frozen=True)
class Between:
    """Pictures on the way from one given picture to another, both included, in equal shares of it.

    A way's pictures are what is drawn at its points and, ever less of it, what is not drawn of the
    two given pictures: so it begins and ends with these.

    Attributes:
        way: shape (n, z), n >= 2: points of the way from first to last; it is straight between two.
        shares: shape (n,), how much of the way lies before each of them: from 0, ever more, to 1.
        undrawn: shape (2, 28, 28), the given pictures less what is drawn at the ends, -1 to 1.
        count: number of pictures; 1 gives the middle.
    """

    way: NDArray[np.float32]
    shares: NDArray[np.float64]
    undrawn: NDArray[np.float32]
    count: int

    field: ClassVar[str] = "between"
    remedy: ClassVar[str] = "give pictures that are more like the digit"
    is_changed: ClassVar[bool] = True

    @classmethod
    def straight(cls, ends: Posterior, count: int) -> "Between":
        """Return evenly spaced points on the straight line between two rows of a posterior."""
        nothing = np.zeros((2, 28, 28), np.float32)
        return cls(ends.mean, np.array([0.0, 1.0]), nothing, count)

    @property
    def seed(self) -> int:
        """Of no noise."""
        return 0

    @property
    def has_chance(self) -> bool:
        """Whether other noise gives another point."""
        return False

    def latents(self, rows: Rows, _noise: Latents, /) -> Latents:
        """Return the points of these pictures, shape (len(rows), z)."""
        place = self._places(rows)
        before = np.minimum(place.astype(np.intp), len(self.way) - 2)
        part = (place - before).astype(np.float32)[:, None]
        points: Latents = (1 - part) * self.way[before] + part * self.way[before + 1]
        return points

    def change(self, model: Model, drawn: Measured, rows: Sequence[int], /) -> Changed:
        """Return the pictures of these rows: what is drawn, and what is not of the given ones."""
        pixels = self.complete(drawn.pixels, rows)
        # To be measured pictures are redrawn, which changes what is measured, of both alike.
        attributes = drawn.attributes + model.measure(pixels) - model.measure(drawn.pixels)
        return Changed(pixels, pixels, attributes, np.zeros(len(pixels)))

    def complete(self, pixels: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """Return what is drawn at the points of these rows, and what is not of the given pictures.

        Args:
            pixels: shape (len(rows), 28, 28), 0 to 1.
            rows: their numbers.

        Returns:
            Shape (len(rows), 28, 28), 0 to 1.
        """
        return completed(pixels, self._places(rows) / (len(self.way) - 1), self.undrawn)

    def _places(self, rows: Rows) -> NDArray[np.float64]:
        """Return after how many points of the way each row comes, (len(rows),), with fractions."""
        return np.interp(
            _shares(rows, self.count, alone=0.5), self.shares, np.arange(len(self.way))
        )


@dataclass(frozen=True)
class InStyle(_Unchanged):
    """A given picture's form in the enrolled hand: mean + strength * (own - mean), and noise.

    Attributes:
        source: the posterior of that picture, one row; see ``locate``.
        strength: 0 = the picture's own hand, 1 = the enrolled one.
        temperature: factor on noise from N(0, I) that is added.
        seed: of the noise.
    """

    source: Posterior
    strength: float
    temperature: float
    seed: int

    field: ClassVar[str] = "style"
    remedy: ClassVar[str] = (
        "give a picture that is more like the digit, or ask for another strength or temperature"
    )

    @property
    def has_chance(self) -> bool:
        """Whether other noise gives another point."""
        return self.temperature > 0

    def latents(self, _rows: Rows, noise: Latents, /) -> Latents:
        """Return the points of these pictures, shape (len(rows), z)."""
        mean, own = self.source.mean, self.source.own
        points: Latents = mean + np.float32(self.strength) * (own - mean)
        return points + np.float32(self.temperature) * noise


@dataclass(frozen=True)
class Along:
    """Pictures of another plan, each then changed to measure.

    Attributes:
        base: where they come from.
        targets: what is asked of them, by name of the attribute.
        count: number of pictures, over which targets that change are spread.
    """

    base: Plan
    targets: Mapping[str, Target]
    count: int

    field: ClassVar[str] = "attributes"
    remedy: ClassVar[str] = "ask for less extreme attributes, or for more variation in their base"
    is_changed: ClassVar[bool] = True

    @property
    def seed(self) -> int:
        """Of the noise."""
        return self.base.seed

    @property
    def has_chance(self) -> bool:
        """Whether other noise gives another point."""
        return self.base.has_chance

    def latents(self, rows: Rows, noise: Latents, /) -> Latents:
        """Return the points of these pictures, shape (len(rows), z)."""
        return self.base.latents(rows, noise)

    def change(self, model: Model, drawn: Measured, rows: Sequence[int], /) -> Changed:
        """Return the pictures of these rows: what is drawn, changed to measure."""
        pixels, measured = drawn
        return steer(model, pixels, measured, goals(self.asked(rows), measured))

    def asked(self, rows: Sequence[int]) -> Mapping[str, Asked]:
        """Return what is asked of these pictures, by name of the attribute."""
        shares = _shares(rows, self.count, alone=0.0)
        return {name: target.at(shares) for name, target in self.targets.items()}


def completed(
    pixels: NDArray[np.float32], places: NDArray[np.floating], undrawn: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return pictures on a way with what is not drawn of its ends, fading with the distance.

    By its square: faded evenly, both ends' would be seen amid the way, each half.

    Args:
        pixels: shape (n, 28, 28), what is drawn, 0 to 1.
        places: shape (n,), where on the way, 0 to 1.
        undrawn: shape (2, 28, 28), of first and last.

    Returns:
        Shape (n, 28, 28), 0 to 1.
    """
    fading = np.stack([1 - places, places], axis=1, dtype=np.float32) ** 2
    result: NDArray[np.float32] = pixels + np.tensordot(fading, undrawn, axes=1)
    return np.clip(result, 0, 1, out=result)


def _shares(rows: Rows, count: int, alone: float) -> NDArray[np.float64]:
    """Return how far each row is from the first (0) to the last (1); ``alone`` if it is both."""
    if count == 1:
        return np.full(len(rows), alone)
    return np.minimum(np.asarray(rows, dtype=np.float64) / (count - 1), 1.0)
