"""The measuring stick, held against shapes whose measures are known from how they are drawn."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from training.morphometry import ATTRIBUTES, measure, rotation_between

FINE = 16


def draw(*corners: tuple[float, float]) -> np.ndarray:
    """Return a filled polygon (28, 28), smooth at its edges; corners are (x, y) in pixels."""
    canvas = Image.new("L", (28 * FINE, 28 * FINE))
    ImageDraw.Draw(canvas).polygon([(x * FINE, y * FINE) for x, y in corners], fill=255)
    return np.array(canvas.resize((28, 28), Image.Resampling.BOX), dtype=np.uint8)


def bar(thickness: float, height: float = 20, lean: float = 0) -> np.ndarray:
    """Return an upright bar sheared to lean by so many degrees to the right."""
    across, half = height / 2 * np.tan(np.radians(lean)), thickness / 2
    top, bottom = 14 - height / 2, 14 + height / 2
    return draw(
        (14 + across - half, top),
        (14 + across + half, top),
        (14 - across + half, bottom),
        (14 - across - half, bottom),
    )


def hook() -> np.ndarray:
    """Return a stroke without symmetry, something like a 7 with a foot."""
    return draw((8, 5), (20, 5), (20, 8), (14, 22), (19, 22), (19, 24), (10, 24), (16, 8), (8, 8))


@pytest.mark.parametrize("thickness", [2, 3, 4.5, 6])
def test_a_bar_is_as_thick_as_drawn(thickness: float) -> None:
    """Thickness is the distance from edge to edge, not in units of the enlarged image."""
    found = measure(bar(thickness)[None])

    assert found.thickness[0] == pytest.approx(thickness, abs=0.1)
    assert found.area[0] == pytest.approx(20 * thickness, rel=0.06)
    assert found.length[0] == pytest.approx(20 - thickness, abs=2.5)


def test_thickness_does_not_depend_on_the_direction_of_the_stroke() -> None:
    """A diagonal bar measures as an upright one, though its skeleton is a staircase."""
    upright = bar(4).astype(float)
    turned = np.rint(ndimage.rotate(upright, 45, reshape=False, order=1)).astype(np.uint8)

    found = measure(np.stack([upright.astype(np.uint8), turned]))

    assert found.thickness[1] == pytest.approx(found.thickness[0], abs=0.3)
    assert found.length[1] == pytest.approx(found.length[0], rel=0.08)


@pytest.mark.parametrize("lean", [-30, -12, 0, 12, 30])
def test_slant_is_positive_where_the_stroke_leans_right(lean: float) -> None:
    """A stroke like a slash has a positive slant; shearing changes neither width nor height."""
    found = measure(bar(10, lean=lean)[None])

    assert found.slant[0] == pytest.approx(lean, abs=0.3)
    assert found.width[0] == pytest.approx(10, abs=0.9)  # the enlarging blurs the edges
    assert found.height[0] == pytest.approx(20, abs=0.3)


def test_width_and_height_are_those_of_the_box() -> None:
    """A rectangle is as wide and as high as drawn."""
    found = measure(draw((6, 9), (23, 9), (23, 18), (6, 18))[None])

    assert found.width[0] == pytest.approx(17, abs=0.6)
    assert found.height[0] == pytest.approx(9, abs=0.6)
    assert found.slant[0] == pytest.approx(0, abs=0.1)


def test_a_stray_pixel_does_not_stretch_the_box() -> None:
    """Less than a hundredth of the ink lies outside of what is measured."""
    image = draw((6, 9), (23, 9), (23, 18), (6, 18))
    image[14, 1] = 255

    assert measure(image[None]).width[0] < 19  # to the pixel itself it would be 22


def test_measures_do_not_depend_on_the_place_brightness_or_company() -> None:
    """A moved, dimmer copy measures the same, alone or among others."""
    image = hook()
    moved = np.roll(image, (2, -3), axis=(0, 1))
    alone = measure(image[None]).attributes()[0]

    together = measure(np.stack([moved, image, image // 2])).attributes()

    np.testing.assert_allclose(together, np.tile(alone, (3, 1)), atol=0.1)
    np.testing.assert_array_equal(together[1], alone)


def test_a_blank_image_measures_nothing() -> None:
    """No ink is no division by zero, alone or beside ink; nor are no images at all."""
    found = measure(np.stack([np.zeros((28, 28), np.uint8), bar(3)]))

    assert not found.attributes()[0].any()
    assert found.area[0] == found.length[0] == 0
    assert found.thickness[1] > 2
    assert measure(np.zeros((0, 28, 28), np.uint8)).attributes().shape == (0, len(ATTRIBUTES))


def test_turning_is_told_with_its_direction() -> None:
    """Counter-clockwise is positive, to a fraction of a degree, wherever the digit lies."""
    angles = np.array([-50.0, -20.0, -3.3, 0.0, 1.6, 12.5, 40.0])
    reference = hook()
    turned = np.stack(
        [
            np.rint(ndimage.rotate(reference.astype(float), angle, reshape=False, order=1))
            for angle in angles
        ]
    ).astype(np.uint8)
    moved = np.roll(turned, (1, -2), axis=(1, 2))

    found = rotation_between(moved, np.broadcast_to(reference, moved.shape))

    np.testing.assert_allclose(found, angles, atol=0.4)


def test_turning_one_picture_needs_no_batch() -> None:
    """Two pictures give one number; a picture is turned by nothing from itself, blank or not."""
    blank = np.zeros((28, 28), np.uint8)

    assert float(rotation_between(hook(), hook())) == pytest.approx(0, abs=1e-6)
    assert -90 <= float(rotation_between(blank, blank)) <= 90
    assert rotation_between(hook()[None, None], hook()[None, None]).shape == (1, 1)
