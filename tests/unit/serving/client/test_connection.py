"""What the client refuses before anything is sent."""

import json
from importlib import resources

import pytest

from serving.client import Along, Client, To
from serving.client.connection import MAX_SECONDS


@pytest.mark.parametrize("asked", [5, 2.5, "5", (2, 5)])
def test_attributes_that_are_neither_a_value_nor_a_change(asked: object) -> None:
    """They are refused by name: left out, the pictures would not have what was asked for."""
    along = Along(thickness=asked, slant=To(10))  # type: ignore[arg-type]

    with Client() as client, pytest.raises(TypeError, match="thickness: expected To, By or None"):
        client.variants(3, along)


def test_no_timeout_is_longer_than_what_grpc_waits() -> None:
    """A longer one would be cut short, and whoever asked for it not be told."""
    text = resources.files("serving.client").joinpath("service_config.json").read_text("utf-8")
    [methods] = json.loads(text)["methodConfig"]

    assert methods["timeout"] == f"{MAX_SECONDS}s"
