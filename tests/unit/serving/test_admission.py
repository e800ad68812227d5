"""What is admitted, what is shed, and that places come back."""

import pytest
from prometheus_client import CollectorRegistry

from serving.admission import Admission
from serving.errors import Overloaded
from serving.metrics import Metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of its own."""
    return CollectorRegistry()


def test_requests_are_bounded(registry: CollectorRegistry) -> None:
    """One request more than the bound is refused, and counted as such."""
    admission = Admission(1, 1000, Metrics(registry))

    admission.enter(10)
    assert registry.get_sample_value("onehand_in_flight") == 1
    assert registry.get_sample_value("onehand_queued_bytes") == 10
    with pytest.raises(Overloaded, match="1 requests"):
        admission.enter(10)
    admission.leave(10)

    assert admission.idle
    assert registry.get_sample_value("onehand_rejected_total", {"reason": "requests"}) == 1


def test_bytes_are_bounded(registry: CollectorRegistry) -> None:
    """Few large requests are refused before many small ones are."""
    admission = Admission(100, 1000, Metrics(registry))

    admission.enter(600)
    with pytest.raises(Overloaded, match="1000 bytes"):
        admission.enter(401)
    admission.enter(400)

    assert registry.get_sample_value("onehand_rejected_total", {"reason": "bytes"}) == 1
