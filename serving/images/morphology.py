"""Grey dilation and erosion with a square window, in numpy.

The window of ``2 * radius + 1`` pixels is built from maxima over 1, 2, 4, ... pixels, so the cost
grows with the logarithm of the radius; Pillow's rank filters grow with its square.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def dilate(image: NDArray[T], radius: int) -> NDArray[T]:
    """Return the maximum over the square window around each pixel, edges repeated; (h, w)."""
    return _filter(image, radius, np.maximum)


def erode(image: NDArray[T], radius: int) -> NDArray[T]:
    """Return the minimum over the square window around each pixel, edges repeated; (h, w)."""
    return _filter(image, radius, np.minimum)


def _filter(image: NDArray[T], radius: int, extreme: Callable[..., Any]) -> NDArray[T]:
    if radius < 1:
        return image
    for _ in range(2):  # rows, then columns, each as the first axis
        padded = np.pad(image, ((radius, radius), (0, 0)), mode="edge")
        image = _along_first(padded, radius, extreme).T
    return image


def _along_first(padded: NDArray[T], radius: int, extreme: Callable[..., Any]) -> NDArray[T]:
    window, covered = 2 * radius + 1, 1
    while covered < window:
        step = min(covered, window - covered)
        padded = extreme(padded[:-step], padded[step:])
        covered += step
    return padded
