"""What scores are worth, where the truth is known."""

import numpy as np
import pytest

from training.base.calibrate import fit_line


def test_a_line_recovers_the_ratio_of_two_normals() -> None:
    """For N(0.6, 0.2) against N(0.2, 0.2) the log-ratio is 10 x - 4."""
    random = np.random.default_rng(0)

    slope, offset = fit_line(random.normal(0.6, 0.2, 20000), random.normal(0.2, 0.2, 20000))

    assert slope == pytest.approx(10, rel=0.05)
    assert offset == pytest.approx(-4, rel=0.05)
