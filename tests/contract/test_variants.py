"""What the committed bundle draws is the same to the bit, however much is asked for."""

from pathlib import Path

import numpy as np
import pytest

from serving import bundle
from serving.drawing import draw
from serving.model import Model
from serving.plans import Prior

EXPORTED = Path(__file__).parents[2] / "exported"


@pytest.fixture(scope="module")
def model() -> Model:
    """The model of the committed bundle."""
    return Model(bundle.load(bundle.discover(EXPORTED)["sample"]))


def test_rows_are_decoded_alike_by_sixteens(model: Model) -> None:
    """Whatever multiple of 16 points the decoder gets, a point's picture does not change."""
    points = np.random.default_rng(0).standard_normal((256, model.latent_size), np.float32)
    whole = model.decode(points)

    for rows in range(16, 256, 16):
        part = model.decode(points[:rows])
        assert np.array_equal(part.pixels, whole.pixels[:rows])
        assert np.array_equal(part.attributes, whole.attributes[:rows])


@pytest.mark.parametrize("count", [1, 10, 100, 250, 777])
def test_fewer_pictures_are_the_first_of_more(model: Model, count: int) -> None:
    """The first ten of a thousand pictures are the ten that a count of ten gives."""
    plan = Prior(1.0, seed=5)
    more = draw(model, plan, range(1000))

    fewer = draw(model, plan, range(count))

    for field in ("images", "latents", "attributes"):
        assert np.array_equal(getattr(fewer, field), getattr(more, field)[:count])
