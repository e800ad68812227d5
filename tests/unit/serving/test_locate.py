"""Where a picture lies: nearer to it than the encoder's guess, and no wilder than that."""

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.locate import locate
from serving.model import Measured, Model, Posterior

Floats = NDArray[np.float32]


class Rough:
    """A model of four latent numbers whose encoder knows each of them only to the whole.

    Attributes:
        latent_size: how much ink is in each quarter of the picture.
    """

    latent_size = 4

    def __init__(self) -> None:
        random = np.random.default_rng(2)
        self._strokes = random.normal(0, 1, (4, 784)) * np.repeat(np.eye(4), 196, axis=1)

    def draw(self, point: Floats) -> NDArray[np.uint8]:
        """Return the picture at a point (4,), as somebody would send it."""
        return np.rint(self.decode(point[None]).pixels * 255).astype(np.uint8)

    def decode(self, latents: Floats) -> Measured:
        """Draw."""
        pixels = 1 / (1 + np.exp(-(latents @ self._strokes)))
        shape = (len(latents), 28, 28)
        return Measured(
            pixels.reshape(shape).astype(np.float32), np.zeros((len(latents), 4), np.float32)
        )

    def encode(self, images: NDArray[np.uint8]) -> Posterior:
        """Guess that every picture is the same one, whose own hand is elsewhere."""
        mean = np.tile(np.array([1, -1, 0, 0], np.float32), (len(images), 1))
        return Posterior(mean, np.full_like(mean, 0.25), mean + 7)


POINTS: list[list[float]] = [[1.3, -0.6, 0.4, -0.2], [0.2, 0.2, -1.1, 0.9]]


@pytest.mark.parametrize("point", POINTS)
def test_what_is_given_is_found(point: list[float]) -> None:
    """Where the encoder is off by up to one, the picture that was drawn lies at its own point."""
    rough = Rough()
    image = rough.draw(np.array(point, np.float32))

    found = locate(cast(Model, rough), image)

    np.testing.assert_allclose(found.mean[0], point, atol=0.1)


def test_the_prior_has_its_say() -> None:
    """Between points that draw a picture alike, the more probable one is taken."""
    rough = Rough()
    blank = np.full((1, 28, 28), 128, np.uint8)

    found = locate(cast(Model, rough), blank)

    assert np.abs(found.mean).max() < np.abs(rough.encode(blank).mean).max() / 10


def test_only_the_mean_is_another() -> None:
    """How sure the encoder is, and where the picture lies in the enrolled hand, stay."""
    rough = Rough()
    image = rough.draw(np.array(POINTS[0], np.float32))
    guess = rough.encode(image)

    found = locate(cast(Model, rough), image)

    np.testing.assert_array_equal(found.own, guess.own)
    np.testing.assert_array_equal(found.deviation, guess.deviation)


def test_company_changes_nothing() -> None:
    """A picture has the same place to the bit whatever is beside it."""
    rough = Rough()
    images = np.concatenate([rough.draw(np.array(point, np.float32)) for point in POINTS])

    together = locate(cast(Model, rough), images)

    for place, image in enumerate(images):
        alone = locate(cast(Model, rough), image[None])
        np.testing.assert_array_equal(together.mean[place], alone.mean[0])


def test_a_step_that_makes_it_worse_is_not_taken() -> None:
    """Where a straight rule leads nowhere good, the guess stands."""

    class Cliff(Rough):
        """Draws what was guessed, and ever more ink a little farther on, but far off none."""

        def decode(self, latents: Floats) -> Measured:
            """Draw."""
            away = np.abs(latents - self.encode(np.zeros((1, 28, 28), np.uint8)).mean).sum(axis=1)
            ink = np.where(away < 0.1, 0.5 + away, 0)
            pixels = np.tile(ink[:, None, None], (1, 28, 28)).astype(np.float32)
            return Measured(pixels, np.zeros((len(latents), 4), np.float32))

    cliff = Cliff()
    image = np.full((1, 28, 28), 255, np.uint8)

    found = locate(cast(Model, cliff), image)

    np.testing.assert_array_equal(found.mean, cliff.encode(image).mean)
