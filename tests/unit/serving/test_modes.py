"""What the modes may ask for, and how it is told when they ask for more."""

import pytest

from serving.images import ImageLimits
from serving.limits import Limits
from serving.modes import violations
from serving.pb import handwriting_pb2 as pb

LIMITS = Limits(image=ImageLimits(), max_images=1, max_count=1, max_message_bytes=1_000_000)


@pytest.mark.parametrize(
    ("temperature", "found"),
    [
        (4, "4"),
        (3.5, "3.5"),
        (3.0000002, "3.0000002"),
        (-1e-9, "-1e-09"),
        (1e30, "1e+30"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_what_is_found_is_not_what_is_expected(temperature: float, found: str) -> None:
    """However near to a bound a number is, what is told of it lies beyond."""
    request = pb.GenerateVariantsRequest(prior=pb.FromPrior(temperature=temperature))

    assert violations(request, LIMITS) == [("prior.temperature", f"expected 0 to 3, found {found}")]


@pytest.mark.parametrize("temperature", [0, 1, 3])
def test_bounds_may_be_asked_for(temperature: float) -> None:
    """They belong to what is allowed."""
    request = pb.GenerateVariantsRequest(prior=pb.FromPrior(temperature=temperature))

    assert violations(request, LIMITS) == []
