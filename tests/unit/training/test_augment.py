"""Variations of one picture."""

from dataclasses import replace

import numpy as np
import pytest

from serving.images import BadImage
from tests.enrolments import background
from training.augment import augment, change_pen, roughen_edges
from training.config import SEED, Range

FORM = background().images[40:41]


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_function_of_its_seed() -> None:
    """Equal seeds give equal images and parameters, another seed gives others."""
    first, again, other = (augment(FORM, SEED.augment, random(seed)) for seed in (1, 1, 2))

    assert np.array_equal(first.images, again.images)
    assert first.drawn == again.drawn
    assert not np.array_equal(first.images, other.images)


def test_the_seed_recipe_draws_what_the_notebook_drew() -> None:
    """100 variations whose parameters fill the notebook's ranges and leave none of them."""
    drawn = augment(FORM, replace(SEED.augment, count=300), random()).drawn

    assert SEED.augment.count == 100
    for name, low, high in (
        ("rotation", -5, 5),
        ("shift_x", -10, 10),
        ("shift_y", -10, 10),
        ("brightness", 0.5, 1.5),
        ("contrast", 0.5, 1.5),
        ("edge_left", 0.1, 0.3),
        ("edge_bottom", 1.5, 3.0),
    ):
        values = [getattr(one, name) for one in drawn]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high
    assert {one.kernel for one in drawn} == {-11, -9, -7, -5, 5, 7, 9, 11}
    blurs = [one.blur for one in drawn if one.blur]
    assert 0.6 < len(blurs) / len(drawn) < 0.8
    assert min(blurs) >= 1.5
    assert max(blurs) <= 3


def test_nothing_drawn_nothing_changed() -> None:
    """With every range closed a variation is the form itself, up to its binary edges."""
    still = replace(
        SEED.augment,
        count=1,
        edge_touched=0,
        kernels=(),
        rotation=Range(0, 0),
        translation=Range(0, 0),
        brightness=Range(1, 1),
        contrast=Range(1, 1),
        blur_probability=0,
    )

    image = augment(FORM, still, random()).images[0]

    assert np.abs(image.astype(int) - FORM[0]).mean() < 6


def test_pen() -> None:
    """A kernel of 3 takes or adds one pixel on each side."""
    ink = np.zeros((9, 9), dtype=np.bool_)
    ink[3:6, 3:6] = True

    assert change_pen(ink, 3).sum() == 25
    assert change_pen(ink, -3).sum() == 1
    assert change_pen(ink, 0).sum() == 9


def test_edges() -> None:
    """Edge pixels left and above are cleared, right and below they are kept."""
    ink = np.zeros((8, 8), dtype=np.bool_)
    ink[1:7, 1:7] = True
    drawn = replace(
        augment(FORM, replace(SEED.augment, count=1), random()).drawn[0],
        edge_left=1.0,
        edge_right=1.0,
        edge_top=0.0,
        edge_bottom=0.0,
    )

    rough = roughen_edges(ink, drawn, 1.0, random())

    assert not rough[1:7, 1].any()
    assert rough[1:7, 6].all()
    assert rough[2:6, 2:6].all()


def test_forms_take_turns() -> None:
    """Variations of several forms are shared evenly among them."""
    forms = np.stack([FORM[0], np.zeros((28, 28), dtype=np.uint8)])
    forms[1, 10:18, 12:16] = 255

    images = augment(forms, replace(SEED.augment, count=10), random()).images

    assert images.shape == (10, 28, 28)
    assert images.dtype == np.uint8


def test_vanished_ink_is_drawn_again() -> None:
    """A hair stroke that erosion wipes out does not leave a blank among the variations."""
    hair = np.zeros((1, 28, 28), dtype=np.uint8)
    hair[0, 4:24, 14] = 150
    config = replace(SEED.augment, count=20, mnist_form=True, blur_probability=0)

    images = augment(hair, config, random()).images

    assert images.any(axis=(1, 2)).all()


def test_ink_that_always_vanishes_is_told() -> None:
    """What is too faint for any variation is refused, and not tried for ever."""
    faint = np.zeros((1, 28, 28), dtype=np.uint8)
    faint[0, 4:24, 14] = 90
    config = replace(SEED.augment, mnist_form=True)

    with pytest.raises(BadImage, match="found none left in 50 variations"):
        augment(faint, config, random())
