"""Pictures of no digit: in MNIST form, of many kinds, and never a digit as it is."""

import numpy as np
import pytest

from tests.enrolments import background
from training.base import nondigits


def corner() -> np.ndarray:
    """Return a letter (1, 105, 105) that no symmetry of a square maps to itself."""
    letter = np.zeros((1, 105, 105), np.bool_)
    letter[0, 20:80, 30:34] = letter[0, 76:80, 30:60] = True
    return letter


def test_letters_in_all_positions() -> None:
    """Eight of one letter, no two alike, each with all of its ink."""
    letters = nondigits.in_all_positions(corner())

    assert letters.shape == (8, 105, 105)
    assert len(np.unique(letters.reshape(8, -1), axis=0)) == 8
    assert {int(letter.sum()) for letter in letters} == {int(corner().sum())}


def test_letters_are_drawn_with_several_pens() -> None:
    """Copies of a letter fill the field as digits do, and differ in their pen."""
    copies = nondigits.letters(corner(), np.random.default_rng(0), 6)

    assert copies.shape == (6, 28, 28)
    assert len(np.unique(copies.reshape(6, -1), axis=0)) > 1
    assert max(np.ptp(np.flatnonzero(copy.any(axis=1))) for copy in copies) + 1 == 20


@pytest.mark.parametrize("seed", range(3))
def test_no_picture_of_the_mixture_is_a_digit_of_it(seed: int) -> None:
    """What is made of digits is none of them any more, and hardly any picture is empty.

    Equal generators make equal ones.
    """
    digits = background().images
    made, again = (nondigits.mixture(digits, np.random.default_rng(seed), 60) for _ in range(2))

    assert np.array_equal(made, again)
    assert (made.shape, made.dtype) == ((60, 28, 28), np.uint8)
    assert made.any(axis=(1, 2)).mean() > 0.9
    known = {digit.tobytes() for digit in digits}
    assert not known & {picture.tobytes() for picture in made}
