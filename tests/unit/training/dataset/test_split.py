"""Which pictures are for validation."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.dataset.split import is_validation, sizes

SHARES = st.fractions(0, 1, max_denominator=10**6).filter(lambda share: share < 1)


@settings(deadline=None)
@given(share=SHARES, count=st.integers(1, 3000))
def test_sizes_are_exact(share: Fraction, count: int) -> None:
    """As many rows are marked as the headers say, and never one more than the share."""
    marked = int(is_validation(np.arange(count), share).sum())

    assert sizes(count, share).get("validation", 0) == marked == int(share * count)
    assert sizes(count, share)["train"] == count - marked


def test_evenly_spread_to_the_last_row() -> None:
    """Every tenth row is for validation, and rows near the largest count are no exception."""
    last = np.arange(10**9 - 20, 10**9)

    assert np.flatnonzero(is_validation(np.arange(30), Fraction("0.1"))).tolist() == [9, 19, 29]
    assert np.flatnonzero(is_validation(last, Fraction("0.1"))).tolist() == [9, 19]
    assert not is_validation(last, Fraction(0)).any()
