"""What counts as MNIST form already."""

import numpy as np
import pytest

from serving.pictures import are_mnist_form
from tests import pictures


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (pictures.form(), True),
        (255 - pictures.form(), False),
        (np.zeros((28, 28), np.uint8), False),
        (np.full((28, 28), 255, np.uint8), False),
    ],
    ids=["white on black", "black on white", "black", "white"],
)
def test_mnist_form(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], expected: bool) -> None:
    """Only 28 x 28 of white ink on black is used as it is."""
    assert are_mnist_form(image.tobytes()) is expected
    beside = pictures.form().tobytes()
    assert are_mnist_form(beside + image.tobytes() + beside) is expected
