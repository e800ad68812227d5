"""The way from one picture to another, laid so that what one sees changes evenly.

Equal steps in the latent space are not equal steps to the eye. So the way is drawn at a fixed
number of points, and how far it has come is measured by what has changed in the pictures since its
beginning. Where the classifier is not sure that a picture on the straight way is the digit, the way
is bowed towards the middle of the space, where the hand itself is, if that makes it surer.

No decoder draws a given picture quite as it is. What it leaves out of the two is added along the
way, fading, so that the way begins and ends with the given pictures themselves. Only where the gate
would refuse a picture on that way, as it does a given one that is in doubt, is it left out.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from serving.drawing import as_bytes, otherness
from serving.model import Model
from serving.plans import Between, completed

__all__ = ["lay"]

_POINTS = 32

# How much nearer to the middle of the space the middle of the way may lie; 1 = in it.
_BOWS = (0.0, 0.25, 0.5, 0.75, 1.0)

# Probability of something else than the digit at which no better way is looked for. A picture may
# be given out that is less sure; but on a way there is a choice.
_SURE = 0.02

# Of pixels, 0 to 1: added to each step, so that shares grow where nothing changes.
_LEAST_STEP = 1e-6


def lay(model: Model, images: NDArray[np.uint8], straight: Between) -> Between:
    """Return a way in even steps from one image to another, no straighter than it is sure.

    That is the straightest on which every picture is sure, or as sure as an end; if there is none,
    the one whose least sure picture is the surest. If the gate refuses an image, or a picture on
    that way, the way leads from what is drawn of the one to what is drawn of the other. It is the
    same whatever the count, to the bit.

    Args:
        model: that draws the pictures and looks at them.
        images: shape (2, 28, 28), the first picture and the last.
        straight: the line between their points, with nothing but what is drawn there.

    Raises:
        ModelFault: a graph answered with something that its contract rules out.
    """
    if otherness(model, images, np.ones(2, np.float32)).max() <= model.gate.other:
        drawn = model.decode(straight.way[[0, -1]]).pixels
        undrawn = (images / 255 - drawn).astype(np.float32)
        way, other = _surest(model, replace(straight, undrawn=undrawn))
        if other <= model.gate.other:
            return way
    return _surest(model, straight)[0]


def _surest(model: Model, straight: Between) -> tuple[Between, float]:
    """Return a way with the same ends, and the most that a picture on it is likely no digit."""
    best, least = straight, np.inf
    for bow in _BOWS:
        way, other = _bowed(model, straight, bow)
        worst = float(other.max())
        if worst < least:
            best, least = way, worst
        if least <= max(_SURE, *other[[0, -1]]):  # no way leads around its own ends
            break
    return best, least


def _bowed(model: Model, straight: Between, bow: float) -> tuple[Between, NDArray[np.float32]]:
    """Return the way with this bow, and how likely each picture is no such digit, shape (n,)."""
    first, last = straight.way[[0, -1]]
    share = np.linspace(0, 1, _POINTS, dtype=np.float32)[:, None]
    line = (1 - share) * first + share * last
    points = line * (1 - np.float32(4 * bow) * share * (1 - share))
    pixels = completed(model.decode(points).pixels, share[:, 0], straight.undrawn)
    way = replace(straight, way=points, shares=_shares(pixels))
    return way, otherness(model, as_bytes(pixels), np.ones(_POINTS, np.float32))


def _shares(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how much of all change lies before each picture, shape (n,), from 0 to 1."""
    rows = pixels.reshape(len(pixels), -1).astype(np.float64)
    steps = np.linalg.norm(np.diff(rows, axis=0), axis=1) + _LEAST_STEP
    changed = np.concatenate([[0.0], np.cumsum(steps)])
    shares: NDArray[np.float64] = changed / changed[-1]
    return shares
