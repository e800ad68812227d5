"""Fused verdicts against sums worked by hand."""

import numpy as np
import pytest

from serving.fuse import fuse
from serving.model import Verdicts

EQUAL = (1 / 3, 1 / 3, 1 / 3)


def verdicts(*rows: tuple[float, float, float], llr: tuple[float, ...]) -> Verdicts:
    """Return verdicts from plain numbers."""
    return Verdicts(np.array(rows, np.float32), np.array(llr, np.float32))


def test_product_of_two() -> None:
    """(.5, .25, .25) and (.5, .4, .1) multiply to .25 : .1 : .025, which is 2/3, 4/15, 1/15."""
    fused = fuse(verdicts((0.5, 0.25, 0.25), (0.5, 0.4, 0.1), llr=(1.5, -0.25)), EQUAL)

    np.testing.assert_allclose(fused.probabilities, [[2 / 3, 4 / 15, 1 / 15]], rtol=1e-6)
    np.testing.assert_allclose(fused.llr, [1.25])


def test_one_picture_is_left_alone() -> None:
    """A single verdict is returned as it is."""
    one = verdicts((1.0, 0.0, 0.0), llr=(88.0,))

    assert fuse(one, EQUAL) is one


def test_certainty_does_not_veto() -> None:
    """A probability of 0 in one picture does not decide against all others."""
    fused = fuse(verdicts((0.0, 1.0, 0.0), *[(0.99, 0.005, 0.005)] * 5, llr=(0.0,) * 6), EQUAL)

    assert fused.probabilities[0].argmax() == 0


def test_many_pictures_do_not_underflow() -> None:
    """A thousand unlikely pictures still give probabilities that sum to 1."""
    fused = fuse(verdicts(*[(1e-6, 2e-6, 1 - 3e-6)] * 1000, llr=(0.0,) * 1000), EQUAL)

    assert fused.probabilities.sum() == pytest.approx(1)


def test_a_prior_counts_once() -> None:
    """Two pictures that tell nothing leave the prior as it was, however unequal it is."""
    priors = (0.01, 0.09, 0.9)

    fused = fuse(verdicts(priors, priors, llr=(0.0, 0.0)), priors)

    np.testing.assert_allclose(fused.probabilities, [priors], rtol=1e-5)
