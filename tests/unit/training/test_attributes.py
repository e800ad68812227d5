"""The graph's measures against the measuring stick, on real digits."""

import numpy as np
import pytest
import torch

from training.attributes import Attributes
from training.data import load_bundled
from training.morphometry import ATTRIBUTES, measure


@pytest.fixture(scope="module")
def measured():
    images = load_bundled().images[::25]
    with torch.inference_mode():
        found = Attributes()(torch.from_numpy(images).float() / 255).numpy()
    return found, measure(images).attributes()


@pytest.mark.parametrize(
    ("name", "least", "largest"),
    [("thickness", 0.95, 0.12), ("slant", 0.999, 0.3), ("width", 0.99, 0.2), ("height", 0.97, 0.2)],
)
def test_graph_and_stick_agree_on_real_digits(measured, name, least, largest):
    column = ATTRIBUTES.index(name)
    found, expected = (values[:, column] for values in measured)
    unexplained = np.mean((found - expected) ** 2) / expected.var()
    assert 1 - unexplained >= least
    assert np.abs(found - expected).mean() <= largest


def test_a_picture_without_ink_has_finite_measures():
    with torch.inference_mode():
        assert torch.isfinite(Attributes()(torch.zeros(2, 28, 28))).all()


def test_a_row_is_measured_alike_whatever_is_beside_it():
    images = torch.rand(5, 28, 28)
    with torch.inference_mode():
        torch.testing.assert_close(Attributes()(images)[2:3], Attributes()(images[2:3]))
