"""The way between two pictures: even to the eye, and around what is no digit."""

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.bundle import Gate
from serving.drawing import as_bytes, draw
from serving.errors import CannotDraw
from serving.model import OTHER, Measured, Model, Verdicts
from serving.paths import lay
from serving.plans import Between

Floats = NDArray[np.float32]


class Lamp:
    """A model of two latent numbers: the first fades a lamp in, ever faster; it shows nothing else.

    The classifier takes a picture for something else where the second number is too high there.

    Attributes:
        gate: every point is in doubt, and the classifier is sure of what it says.
        latent_size: brightness, and what the classifier goes by.
        looked_at: how many pictures were.
    """

    gate = Gate(0.5, 0.5)
    latent_size = 2

    def __init__(self, highest: float) -> None:
        self.looked_at = 0
        self._highest = highest

    def doubt(self, latents: Floats) -> Floats:
        """Doubt every point."""
        return np.ones(len(latents), np.float32)

    def decode(self, latents: Floats) -> Measured:
        """Draw the lamp, and a mark where it is too high."""
        pixels = np.zeros((len(latents), 28, 28), np.float32)
        pixels[:, 0, :] = np.clip(latents[:, :1], 0, 1) ** 4
        pixels[:, 1, 0] = latents[:, 1] > self._highest
        measured = np.zeros((len(latents), 4), np.float32)
        return Measured(pixels, measured)

    def measure(self, pixels: Floats) -> Floats:
        """Find nothing to measure."""
        return np.zeros((len(pixels), 4), np.float32)

    def classify(self, images: NDArray[np.uint8]) -> Verdicts:
        """Look for the mark."""
        self.looked_at += len(images)
        probabilities = np.zeros((len(images), 3), np.float32)
        probabilities[np.arange(len(images)), np.where(images[:, 1, 0] > 0, OTHER, 0)] = 1
        return Verdicts(probabilities, np.zeros(len(images), np.float32))


class Hill(Lamp):
    """The same, where only what is far from the ends may be too high."""

    def decode(self, latents: Floats) -> Measured:
        """Draw the lamp as if it hung low, near the ends."""
        far = latents[:, 1] * (np.abs(latents[:, 0]) < 0.5)
        return super().decode(np.column_stack([latents[:, 0], far]))


class Haze(Lamp):
    """The same, where the classifier is the less sure the higher it is, but for the ends."""

    def decode(self, latents: Floats) -> Measured:
        """Draw the lamp, and a mark as bright as it is high."""
        pixels, measured = super().decode(latents)
        far = np.abs(latents[:, 0]) < 0.5
        pixels[:, 1, 0] = np.clip(latents[:, 1] * far, 0, 1)
        return Measured(pixels, measured)

    def classify(self, images: NDArray[np.uint8]) -> Verdicts:
        """Doubt by the brightness of the mark."""
        self.looked_at += len(images)
        probabilities = np.zeros((len(images), 3), np.float32)
        probabilities[:, OTHER] = images[:, 1, 0] / 255
        return Verdicts(probabilities, np.zeros(len(images), np.float32))


def laid(lamp: Lamp, ends: list[list[float]], count: int) -> Between:
    """Return the way between the pictures that are drawn at two points."""
    points = np.array(ends, np.float32)
    images = as_bytes(lamp.decode(points).pixels)
    return lay(cast(Model, lamp), images, straight(points, count))


def straight(points: Floats, count: int) -> Between:
    """Return the line between two points."""
    return Between(points, np.array([0.0, 1.0]), np.zeros((2, 28, 28), np.float32), count)


def frames(lamp: Lamp, first: list[float], last: list[float], count: int) -> NDArray[np.uint8]:
    """Return the pictures of a way."""
    return draw(cast(Model, lamp), laid(lamp, [first, last], count), range(count)).images


def test_pictures_change_evenly() -> None:
    """Where the straight line is dark for long, and then dazzles, the lamp brightens in steps."""
    light = frames(Lamp(9), [0, 0], [1, 0], 11)[:, 0, 0].astype(int)

    assert (light[0], light[-1]) == (0, 255)
    np.testing.assert_allclose(np.diff(light), 25.5, atol=2)


def test_a_way_begins_and_ends_with_the_given_pictures() -> None:
    """What the model cannot draw of them is there all the same, and least of it amid the way."""
    given = np.zeros((2, 28, 28), np.uint8)
    given[0, 20, 20], given[1, 0] = 200, 255
    lamp = Lamp(9)
    line = straight(np.array([[0, 0], [1, 0]], np.float32), 9)

    way = lay(cast(Model, lamp), given, line)

    shown = draw(cast(Model, lamp), way, range(9)).images
    assert np.array_equal(shown[[0, -1]], given)
    spot = shown[:, 20, 20].astype(int)
    assert (np.diff(spot) <= 0).all()
    assert 0 < spot[1] < 200


def test_a_given_picture_in_doubt_is_drawn_instead() -> None:
    """What the classifier takes for no digit is not given out: both ends are drawn."""
    given = as_bytes(Lamp(9).decode(np.array([[0, 0], [1, 0]], np.float32)).pixels)
    given[0, 20, 20] = 200
    given[1, 1, 0] = 255  # the mark
    lamp = Lamp(9)

    way = lay(cast(Model, lamp), given, straight(np.array([[0, 0], [1, 0]], np.float32), 4))

    shown = draw(cast(Model, lamp), way, range(4)).images
    assert not shown[0].any()
    assert np.array_equal(shown[-1], np.where(np.arange(28) == 0, 255, 0)[:, None] * np.ones(28))


def test_one_picture_is_halfway() -> None:
    """A count of one gives what is between the ends to the eye."""
    assert frames(Lamp(9), [0, 0], [1, 0], 1)[0, 0, 0] == pytest.approx(127.5, abs=2)


def test_two_equal_pictures_are_no_way_at_all() -> None:
    """What is drawn of them does not change, and nothing is divided by it."""
    same = frames(Lamp(9), [0.9, 1], [0.9, 1], 5)

    assert (same == same[0]).all()


def test_a_way_between_equal_pictures_comes_back_to_them() -> None:
    """Amid it half of what is not drawn of them is left."""
    given = np.zeros((2, 28, 28), np.uint8)
    given[:, 20, 20] = 200

    way = lay(cast(Model, Lamp(9)), given, straight(np.zeros((2, 2), np.float32), 5))

    spot = draw(cast(Model, Lamp(9)), way, range(5)).images[:, 20, 20]
    assert (spot[0], spot[-1]) == (200, 200)
    assert spot[2] == 100


def test_a_way_leads_around_what_is_no_digit() -> None:
    """The line is bowed towards the middle of the space, and only where it must be."""

    def top(highest: float) -> float:
        return float(laid(Hill(highest), [[-1, 2], [1, 2]], 5).way[:, 1].min())

    assert top(9) == pytest.approx(2)
    assert top(1.8) == pytest.approx(1.5, abs=0.01)
    assert top(1.5) == pytest.approx(1.0, abs=0.01)


def test_where_no_way_is_sure_the_surest_is_taken() -> None:
    """Every picture of the straight way might be given out, but others are more likely digits."""
    haze = Haze(9)

    way = laid(haze, [[-1, 0.4], [1, 0.4]], 5)

    assert haze.looked_at == 2 + 5 * len(way.way)
    assert way.way[:, 1].min() == pytest.approx(0, abs=1e-3)


def test_no_way_leads_around_an_end() -> None:
    """Where an end itself is no digit, nothing else is tried, and the request is refused."""
    lamp = Lamp(1)

    way = laid(lamp, [[0, 0], [1, 2]], 4)

    assert lamp.looked_at == 2 + len(way.way)  # the given pictures, and one way
    np.testing.assert_allclose(way.way[:, 1], 2 * way.way[:, 0], atol=1e-6)
    with pytest.raises(CannotDraw, match=r"between: .* more like the digit"):
        draw(cast(Model, lamp), way, range(4))
