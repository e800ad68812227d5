"""The contact sheet."""

import numpy as np

from serving.client.sheet import contact_sheet


def test_sheet_is_a_near_square_of_dark_ink() -> None:
    """Five images make two rows of three, the empty place white, ink dark."""
    images = np.zeros((5, 28, 28), np.uint8)
    images[4, 0, 0] = 255

    sheet = contact_sheet(images, scale=1, gap=2)

    assert sheet.shape == (2 * 30 + 2, 3 * 30 + 2)
    assert np.argwhere(sheet == 0).tolist() == [[32, 32]]
