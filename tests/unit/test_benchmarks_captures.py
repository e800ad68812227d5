"""The captures' benchmark: what its intervals take into account."""

import numpy as np
import pytest

from benchmarks.captures.crossed import bootstrap_crossed


def test_interval_over_pictures_that_everybody_was_shown() -> None:
    """A thousand enrolments with the same twenty pictures are twenty pictures, not 20,000."""
    shown = np.random.default_rng(0).random(20) < 0.8
    table = np.tile(shown.astype(float), (1000, 1))
    random = np.random.default_rng(0)

    found = bootstrap_crossed(table, list(range(1000)), list(range(20)), random)

    assert found.value == shown.mean()
    deviation = np.sqrt(shown.mean() * (1 - shown.mean()) / 20)
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.2)


def test_interval_over_pictures_of_a_kind() -> None:
    """Pictures of a kind that always agree count once; alone they would count ten times."""
    table = np.repeat(np.eye(2)[[0, 1, 0, 1, 0, 1, 0, 1]][:, :1].T, 10, axis=1)
    writers, random = [0], np.random.default_rng(0)

    together = bootstrap_crossed(table, writers, np.repeat(np.arange(8), 10).tolist(), random)
    alone = bootstrap_crossed(table, writers, list(range(80)), random)

    assert together.high - together.low > 2 * (alone.high - alone.low)
