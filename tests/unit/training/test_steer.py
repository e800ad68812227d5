"""One step of steering does to a picture what its numbers say."""

import numpy as np
import pytest
import torch

from training.data import load_bundled
from training.morphometry import measure, rotation_between
from training.steer import Steer

STILL = np.eye(2)


@pytest.fixture(scope="module")
def pictures():
    bundled = load_bundled()
    return bundled.images[bundled.labels == 2][:40]


def steered(pictures, matrix=STILL, pen=0.0):
    count = len(pictures)
    with torch.inference_mode():
        pixels, attributes = Steer()(
            torch.from_numpy(pictures).float() / 255,
            torch.from_numpy(np.broadcast_to(matrix, (count, 2, 2)).astype(np.float32)),
            torch.full((count,), pen),
        )
    images = np.rint(pixels.numpy() * 255).astype(np.uint8)
    return images, attributes.numpy()


def changes(pictures, images):
    return (measure(images).attributes() - measure(pictures).attributes()).mean(axis=0)


def test_nothing_asked_is_nearly_nothing_changed(pictures):
    images, attributes = steered(pictures)
    assert np.abs(images.astype(int) - pictures).mean() < 5
    np.testing.assert_allclose(
        np.abs(attributes - measure(images).attributes()).mean(axis=0), 0, atol=0.25
    )


def test_a_shear_leans_the_picture(pictures):
    lean = np.tan(np.radians(10))
    images, _ = steered(pictures, np.array([[1, lean], [0, 1]]))
    before = np.tan(np.radians(measure(pictures).slant))
    after = np.tan(np.radians(measure(images).slant))
    np.testing.assert_allclose(after - before, lean, atol=0.02)


def test_a_matrix_turns_the_picture(pictures):
    angle = np.radians(12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    images, _ = steered(pictures, turn)
    np.testing.assert_allclose(rotation_between(images, pictures), 12, atol=1.5)


@pytest.mark.parametrize("pen", [-0.8, 0.8, 2.0])
def test_the_pen_changes_the_stroke_and_hardly_the_rest(pictures, pen):
    images, _ = steered(pictures, pen=pen)
    thickness, slant, _, _ = changes(pictures, images)
    assert abs(thickness - pen) < 0.45 * abs(pen)
    assert abs(slant) < 0.5 + 1.5 * abs(pen)
