"""What the client refuses before anything is sent."""

import pytest

from serving.client import Along, Client, To


@pytest.mark.parametrize("asked", [5, 2.5, "5", (2, 5)])
def test_attributes_that_are_neither_a_value_nor_a_change(asked: object) -> None:
    """They are refused by name: left out, the pictures would not have what was asked for."""
    along = Along(thickness=asked, slant=To(10))  # type: ignore[arg-type]

    with Client() as client, pytest.raises(TypeError, match="thickness: expected To, By or None"):
        client.variants(3, along)
