"""The public face of the client."""

import serving.client


def test_every_public_name_is_there() -> None:
    """Each name that the package lists can be had from it."""
    for name in serving.client.__all__:
        assert hasattr(serving.client, name)
    assert sorted(serving.client.__all__) == list(serving.client.__all__)
