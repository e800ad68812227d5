"""Where given pictures lie in the latent space: the encoder's guess, and then nearer.

An encoder answers for all pictures by one rule, so its guess redraws this picture less well than
the decoder could (the amortisation gap: Cremer, Li and Duvenaud 2018, arXiv:1801.03558). From there
Gauss-Newton steps go to where the picture and the prior together are most probable.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from serving.model import Model, Posterior

__all__ = ["locate"]

_STEPS = 3

# Standard deviation of a drawn pixel from a given one, 0 to 1, as if each erred by itself. They err
# together, by whole strokes, so it is larger than what is left of a picture in the end.
_ERROR = 0.2

# So far from a point the decoder is asked how a picture changes along each axis.
_APART = 0.05

_Floats = NDArray[np.float64]


def locate(model: Model, images: NDArray[np.uint8]) -> Posterior:
    """Return the posterior of each image (n, 28, 28), n >= 1, in MNIST form, about its mode.

    Only the mean is another than the encoder's: where a picture lies in the enrolled hand is still
    the encoder's guess, for from the mode less of the picture's own form would be kept.

    One at a time: the result for an image is the same to the bit whatever is beside it.

    Raises:
        ModelFault: a graph answered with something that its contract rules out.
    """
    guess = model.encode(images)
    pairs = zip(images / 255, guess.mean.astype(np.float64), strict=True)
    mode = np.stack([_mode(model, image, mean) for image, mean in pairs]).astype(np.float32)
    return replace(guess, mean=mode)


def _mode(model: Model, image: _Floats, guess: _Floats) -> _Floats:
    """Return the most probable point of an image (28, 28) in [0, 1], from a guess (z,) on.

    A step that makes it worse is not taken, and ends the search.
    """
    point = best = guess
    least = np.inf
    for _ in range(_STEPS + 1):
        drawn, slopes = _surroundings(model, point)
        missed = (image.ravel() - drawn) / _ERROR
        cost = float(missed @ missed + point @ point)
        if cost >= least:
            break
        best, least = point, cost
        curvature = slopes @ slopes.T / _ERROR**2 + np.eye(len(point))
        point = point + np.linalg.solve(curvature, slopes @ missed / _ERROR - point)
    return best


def _surroundings(model: Model, point: _Floats) -> tuple[_Floats, _Floats]:
    """Return the pixels (784,) drawn at a point (z,), and how they change by each axis (z, 784)."""
    points = np.vstack([np.zeros_like(point), _APART * np.eye(len(point))]) + point
    pixels = model.decode(points.astype(np.float32)).pixels.reshape(len(points), -1)
    drawn = pixels[0].astype(np.float64)
    return drawn, (pixels[1:] - drawn) / _APART
