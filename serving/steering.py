"""Pictures changed to measure: asked for a stroke of 3.2 pixels, they have one.

What a deformation does to thickness, slant, width and height of a picture is known only roughly:
a broader pen widens the picture too, and ink at the edge of the frame is lost. So a picture is
changed as the rough rule says, measured, and the rest of the way corrected, in a few rounds. Each
round begins at the picture as it was drawn: nothing is resampled twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.model import Model

__all__ = ["NAMES", "RANGES", "Asked", "Changed", "Goals", "Range", "Target", "goals", "steer"]

Floats = NDArray[np.float32]


class Range(NamedTuple):
    """From the least to the greatest value that may be asked for."""

    least: float
    most: float


RANGES: Mapping[str, Range] = {
    "thickness": Range(1.0, 6.0),
    "slant": Range(-60.0, 60.0),
    "rotation": Range(-180.0, 180.0),
    "width": Range(4.0, 26.0),
    "height": Range(6.0, 26.0),
}
"""What may be asked for: pixels and, for slant and rotation, degrees."""

NAMES = tuple(RANGES)
"""The attributes in the order of the API."""

_MEASURED = ("thickness", "slant", "width", "height")
_ROUNDS = 4
# An attribute this far from its goal is close enough: pixels, degrees, pixels, pixels.
_CLOSE = np.array([0.05, 0.5, 0.1, 0.1])
# Bounds of what a round may do: pixels of the pen, degrees of slant, logs of both scales.
_FARTHEST = np.array([4.0, 75.0, np.log(8.0), np.log(8.0)])
_LEAST_SIZE = 0.5  # of what is divided by, in pixels: a picture may be as good as empty


class Asked(NamedTuple):
    """What is asked of one attribute of n pictures.

    Attributes:
        values: shape (n,), in the attribute's unit.
        is_change: whether these are added to what each picture has by itself.
    """

    values: NDArray[np.float64]
    is_change: bool


@dataclass(frozen=True)
class Target:
    """What is asked of one attribute: the same of each picture, or evenly more from one to another.

    Attributes:
        first: of the first picture, in the attribute's unit.
        last: of the last picture.
        is_change: whether these are added to what the picture has by itself.
    """

    first: float
    last: float
    is_change: bool

    def at(self, shares: NDArray[np.float64]) -> Asked:
        """Return what is asked so far along the way, 0 = first to 1 = last; shape (n,)."""
        return Asked(self.first + shares * (self.last - self.first), self.is_change)


class Goals(NamedTuple):
    """What is asked of n pictures.

    Attributes:
        upright: shape (n, 4): thickness, slant, width, height, before turning.
        rotation: shape (n,), degrees counter-clockwise.
    """

    upright: NDArray[np.float64]
    rotation: NDArray[np.float64]


class Changed(NamedTuple):
    """What has become of n pictures.

    Attributes:
        pixels: shape (n, 28, 28), 0 = black to 1 = white.
        upright: the same before turning; the very same where none is turned.
        attributes: shape (n, 4), measured on ``upright``.
        rotation: shape (n,), degrees counter-clockwise by which they are turned.
    """

    pixels: Floats
    upright: Floats
    attributes: Floats
    rotation: NDArray[np.float64]


def goals(asked: Mapping[str, Asked], measured: Floats) -> Goals:
    """Return what is asked of n pictures; what is not asked for stays as it is.

    Args:
        asked: by name of the attribute.
        measured: shape (n, 4), what the pictures have by themselves. A change that would lead
            beyond the range of what may be asked leads to its edge.
    """
    upright = measured.astype(np.float64)
    for column, name in enumerate(_MEASURED):
        if name in asked:
            own = upright[:, column] if asked[name].is_change else 0.0
            upright[:, column] = np.clip(own + asked[name].values, *RANGES[name])
    rotation = asked["rotation"].values if "rotation" in asked else np.zeros(len(measured))
    return Goals(upright, np.clip(rotation, *RANGES["rotation"]))


def steer(model: Model, pixels: Floats, measured: Floats, wanted: Goals) -> Changed:
    """Return the pictures with the attributes that are wanted, as nearly as they could be had.

    Args:
        model: whose graph bends pictures and measures them.
        pixels: shape (n, 28, 28), n >= 1, 0 = black to 1 = white.
        measured: shape (n, 4), of these pictures.
        wanted: for them.
    """
    moves, upright, attributes = _reach(model, pixels, measured, wanted.upright)
    if not wanted.rotation.any():
        return Changed(upright, upright, attributes, wanted.rotation)
    matrix = _matrices(measured, moves) @ _turns(wanted.rotation)
    turned = model.steer(pixels, matrix.astype(np.float32), moves[:, 0].astype(np.float32))
    return Changed(turned.pixels, upright, attributes, wanted.rotation)


def _reach(
    model: Model, pixels: Floats, measured: Floats, wanted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Floats, Floats]:
    """Return the best moves that were found, the pictures that they give, and their attributes.

    A move is what is done to one picture: pixels of the pen, degrees of slant that the picture
    shall have, and the logs of how much wider and higher it becomes.
    """
    best = np.zeros_like(wanted)
    best[:, 1] = measured[:, 1]
    upright, attributes = pixels.copy(), measured.copy()
    if np.array_equal(wanted, measured):
        return best, upright, attributes
    moves, error = _first_moves(measured, wanted), np.full(len(pixels), np.inf)
    for _ in range(_ROUNDS):
        matrix, pen = _matrices(measured, moves).astype(np.float32), moves[:, 0].astype(np.float32)
        tried = model.steer(pixels, matrix, pen)
        missed = np.abs((tried.attributes - wanted) / _CLOSE)
        found = np.square(missed).sum(axis=1)
        better = found < error
        best[better], error[better] = moves[better], found[better]
        upright[better], attributes[better] = tried.pixels[better], tried.attributes[better]
        if missed.max() <= 1:
            break
        moves = _corrected(moves, tried.attributes, wanted)
    return best, upright, attributes


def _first_moves(measured: Floats, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return moves by the rough rule: strokes grow with the picture, the picture with the pen."""
    sizes, goal_sizes = _sizes(measured[:, 2:]), _sizes(wanted[:, 2:])
    growth = np.sqrt((goal_sizes / sizes).prod(axis=1))
    pen = wanted[:, 0] - measured[:, 0] * growth
    scales = np.log(_sizes(goal_sizes - pen[:, None]) / sizes)
    return _bounded(np.column_stack([pen, wanted[:, 1], scales]))


def _corrected(
    moves: NDArray[np.float64], found: Floats, wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return moves that go on by as much as was missing."""
    missing = wanted - found
    missing[:, 2:] = np.log(_sizes(wanted[:, 2:]) / _sizes(found[:, 2:]))
    return _bounded(moves + missing)


def _sizes(pixels: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.maximum(pixels.astype(np.float64), _LEAST_SIZE)


def _bounded(moves: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(moves, -_FARTHEST, _FARTHEST)


def _matrices(measured: Floats, moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix of each move, from points of the new picture to those of the old.

    The old picture is brought upright, scaled, and slanted as the new one shall be, so that
    scaling it changes no slant. With y down, a slant of s moves a point by -tan(s) y to the right.
    """
    old, new = (
        np.tan(np.radians(measured[:, 1].astype(np.float64))),
        np.tan(np.radians(moves[:, 1])),
    )
    across, down = np.exp(-moves[:, 2]), np.exp(-moves[:, 3])
    matrix = np.zeros((len(moves), 2, 2))
    matrix[:, 0, 0] = across
    matrix[:, 0, 1] = across * new - down * old
    matrix[:, 1, 1] = down
    return matrix


def _turns(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return matrices from points of a picture turned counter-clockwise to those of the upright."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
