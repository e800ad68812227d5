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

    with admission.admit(10):
        assert registry.get_sample_value("onehand_in_flight") == 1
        assert registry.get_sample_value("onehand_queued_bytes") == 10
        with pytest.raises(Overloaded, match="1 requests"), admission.admit(10):
            pass

    assert admission.idle
    assert registry.get_sample_value("onehand_rejected_total", {"reason": "requests"}) == 1


def test_bytes_are_bounded(registry: CollectorRegistry) -> None:
    """Few large requests are refused before many small ones are."""
    admission = Admission(100, 1000, Metrics(registry))

    with admission.admit(600):
        with pytest.raises(Overloaded, match="600 of at most 1000 bytes"), admission.admit(401):
            pass
        with admission.admit(400):
            pass

    assert registry.get_sample_value("onehand_rejected_total", {"reason": "bytes"}) == 1


def test_place_comes_back_after_a_failure(registry: CollectorRegistry) -> None:
    """A request that fails gives its place back."""
    admission = Admission(1, 1000, Metrics(registry))

    with pytest.raises(ZeroDivisionError), admission.admit(1):
        raise ZeroDivisionError

    assert admission.idle
