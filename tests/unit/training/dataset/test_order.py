"""What can be asked for."""

from fractions import Fraction
from typing import Any

import pytest

from tests.artists import HAND
from training.dataset.errors import DatasetError
from training.dataset.order import BLOCK, Order, Span


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"count": 0}, "count: expected 1 to"),
        ({"count": 10**9 + 1}, "count: expected 1 to"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"seed": 2**64}, "seed: expected 0 to"),
        ({"temperature": -0.1}, "temperature: expected 0 to 3"),
        ({"temperature": float("nan")}, "temperature: expected 0 to 3"),
        ({"validation": Fraction(1)}, "validation: expected a share"),
        ({"validation": Fraction(-1, 10)}, "validation: expected a share"),
        ({"validation": Fraction("0.1234567")}, "at most six decimals"),
        ({"count": 9, "validation": Fraction("0.1")}, "less than one picture"),
        ({"format": "npz", "gzip": True}, "gzip: only for the format idx"),
        ({"spans": (Span("slant", 20, -20),)}, "slant: expected two values, the least first"),
        ({"spans": (Span("thickness", 0.5, 2),)}, "thickness: expected two values"),
        ({"spans": (Span("width", 5, float("nan")),)}, "width: expected two values"),
    ],
)
def test_what_cannot_be_made(changes: dict[str, Any], problem: str) -> None:
    """Each option out of its range is refused by name."""
    with pytest.raises(DatasetError, match=problem):
        Order(HAND, **{"count": 100, **changes})


def test_blocks_hold_every_row_once() -> None:
    """The blocks follow one another without a gap, and the last one ends with the last picture."""
    order = Order(HAND, count=2 * BLOCK + 1)

    rows = [row for block in range(order.blocks) for row in order.rows(block)]

    assert rows == list(range(2 * BLOCK + 1))
