"""Short cuts are found where there are any."""

import numpy as np

from tests.enrolments import background
from training.probes import shortcut_auc


def test_no_short_cut_between_halves_of_one_set() -> None:
    """Trivial statistics cannot tell two random halves of MNIST apart."""
    images = np.random.default_rng(0).permutation(background().images)

    assert 0.35 < shortcut_auc(images[:100], images[100:]) < 0.65


def test_a_grey_floor_is_a_short_cut() -> None:
    """Images whose paper is not quite black are told apart at once."""
    images = background().images

    assert shortcut_auc(np.maximum(images[::2], 6), images[1::2]) > 0.99
