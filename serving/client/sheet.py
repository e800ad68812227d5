"""Many small images on one page, to be looked at."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["contact_sheet"]


def contact_sheet(images: NDArray[np.uint8], scale: int = 2, gap: int = 4) -> NDArray[np.uint8]:
    """Return the images of shape (n, 28, 28), n >= 1, as dark ink on white in a near square.

    Args:
        images: white ink on black.
        scale: pixels of the sheet for one pixel of an image, each way.
        gap: pixels between two images.
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    step = 28 * scale + gap
    sheet = np.full((rows * step + gap, columns * step + gap), 255, dtype=np.uint8)
    for place, image in enumerate(images):
        top = gap + place // columns * step
        left = gap + place % columns * step
        large = image.repeat(scale, axis=0).repeat(scale, axis=1)
        sheet[top : top + 28 * scale, left : left + 28 * scale] = 255 - large
    return sheet
