"""Connected components and the width of the pen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from serving.images.morphology import dilate, erode
from serving.images.strokes import label_components, pen_width


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_components_are_those_of_scipy(ink: np.ndarray) -> None:
    """The same pixels hang together as in an independent implementation."""
    expected, count = ndimage.label(ink, np.ones((3, 3)))

    found = label_components(ink)

    pairs = {(int(a), int(b)) for a, b in zip(expected.ravel(), found.ravel(), strict=True)}
    assert found.max(initial=0) == count
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12)),
    st.integers(min_value=0, max_value=4),
)
def test_morphology_is_that_of_scipy(image: np.ndarray, radius: int) -> None:
    """Dilation and erosion agree with an independent implementation."""
    size = 2 * radius + 1

    assert np.array_equal(dilate(image, radius), ndimage.grey_dilation(image, size, mode="nearest"))
    assert np.array_equal(erode(image, radius), ndimage.grey_erosion(image, size, mode="nearest"))


@pytest.mark.parametrize("width", [4, 8, 16])
def test_pen_width(width: int) -> None:
    """The width of a long straight stroke is found to a quarter."""
    ink = np.zeros((300, 60), dtype=np.bool_)
    ink[10:290, 20 : 20 + width] = True

    assert pen_width(ink) == pytest.approx(width, rel=0.35)
