"""The noise of pictures: normal, independent, and each row of it for itself."""

import numpy as np
import pytest

from serving.noise import further_normal, standard_normal


def test_noise_is_standard_normal() -> None:
    """Many rows have mean 0, variance 1 and no correlation between neighbours."""
    first = standard_normal(1, range(20_000), 4).astype(np.float64)
    further = further_normal(1, range(5000), 4, 4).reshape(-1, 4).astype(np.float64)

    for noise in (first, further):
        assert noise.mean() == pytest.approx(0, abs=0.02)
        assert noise.std() == pytest.approx(1, abs=0.02)
        assert np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1] == pytest.approx(0, abs=0.03)
        assert np.corrcoef(noise[:, 0], noise[:, 1])[0, 1] == pytest.approx(0, abs=0.03)
    assert np.abs(np.corrcoef(first.T, further.T)[:4, 4:]).max() < 0.03


def test_noise_is_pinned() -> None:
    """The noise of a seed is what it was: seeds in callers' hands keep their meaning."""
    np.testing.assert_allclose(standard_normal(7, range(35, 36), 3), [FIRST], rtol=1e-6)
    np.testing.assert_allclose(further_normal(7, [35], 2, 3), [FURTHER], rtol=1e-6)


@pytest.mark.parametrize("rows", [range(3), range(30, 70), [31], [5, 9, 63, 64], range(99, 100)])
def test_a_row_does_not_depend_on_its_company(rows: range | list[int]) -> None:
    """Whatever else is asked for, and from wherever on, a row has its own noise."""
    for attempt in (0, 3):
        first = standard_normal(7, range(100), 5, attempt)
        further = further_normal(7, range(100), 2, 5, attempt)

        assert np.array_equal(standard_normal(7, rows, 5, attempt), first[list(rows)])
        assert np.array_equal(further_normal(7, rows, 2, 5, attempt), further[list(rows)])


def test_attempts_have_noise_of_their_own() -> None:
    """No attempt's noise comes back, shifted or not, in that of another attempt, try or row."""
    first = [standard_normal(7, range(5), 1000, attempt) for attempt in range(17)]
    further = [further_normal(7, range(5), 3, 1000, attempt) for attempt in range(17)]
    noise = np.concatenate([part.reshape(-1, 1000) for part in first + further])
    pairs = np.lib.stride_tricks.sliding_window_view(noise, 2, axis=1).reshape(-1, 2)

    assert len(np.unique(pairs, axis=0)) == len(pairs)


FIRST = (1.2207270860671997, -0.07573339343070984, -0.1367197185754776)
FURTHER = (
    (-0.6274013519287109, 2.0725412368774414, 1.362199068069458),
    (-1.1358487606048584, -1.077934980392456, -0.7074578404426575),
)
