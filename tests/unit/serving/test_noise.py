"""The randomness of pictures: normal, pinned, and of each stretch and attempt for itself."""

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.noise import generator


def noise(seed: int, row: int, attempt: int, count: int, size: int) -> NDArray[np.float32]:
    """Return the first noise of a generator."""
    return generator(seed, row, attempt).standard_normal((count, size), np.float32)


def test_noise_is_standard_normal() -> None:
    """Mean 0, variance 1; neither neighbours nor stretches nor attempts are correlated."""
    parts = [noise(1, row, attempt, 20_000, 4) for row in (0, 8, 256) for attempt in (0, 1)]
    together = np.concatenate(parts, axis=1).astype(np.float64)

    assert together.mean() == pytest.approx(0, abs=0.02)
    assert together.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(together[:-1, 0], together[1:, 0])[0, 1] == pytest.approx(0, abs=0.03)
    assert np.abs(np.corrcoef(together.T) - np.eye(24)).max() < 0.03


def test_noise_is_pinned() -> None:
    """The noise of a seed is what it was: seeds in callers' hands keep their meaning."""
    np.testing.assert_allclose(noise(7, 32, 0, 1, 3), [FIRST], rtol=1e-6)
    np.testing.assert_allclose(noise(7, 32, 5, 1, 3), [LATER], rtol=1e-6)
    np.testing.assert_allclose(noise(2**64 - 1, 2**40, 2**64 - 1, 1, 3), [FAR], rtol=1e-6)


def test_stretches_and_attempts_have_noise_of_their_own() -> None:
    """No noise comes back, shifted or not, in that of another seed, stretch or attempt."""
    parts = [
        noise(seed, row, attempt, 1, 1000)[0]
        for seed in (0, 7)
        for row in (0, 1, 2, 8, 256)
        for attempt in range(17)
    ]
    pairs = np.lib.stride_tricks.sliding_window_view(np.stack(parts), 2, axis=1).reshape(-1, 2)

    assert len(np.unique(pairs, axis=0)) == len(pairs)


FIRST = (-0.5887450575828552, 0.23496074974536896, -0.8379285335540771)
LATER = (-0.8985241055488586, -0.38742905855178833, -1.4873303174972534)
FAR = (-1.2154332399368286, 0.8750866055488586, 0.3250223696231842)
