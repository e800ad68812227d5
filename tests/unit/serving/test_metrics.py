"""What is shown of several processes."""

from prometheus_client import CollectorRegistry

from serving.metrics import Metrics
from serving.slots import private_region


def test_the_earliest_expiry_is_shown() -> None:
    """A worker that kept its old certificate is not hidden by those that have a new one."""
    regions = [private_region() for _ in range(4)]
    registry = CollectorRegistry()
    Metrics(registry, regions)  # the supervisor, which has no certificate
    for region, expiry in zip(regions[1:], (2e9, 1e9, 2e9), strict=True):
        Metrics(CollectorRegistry(), [region]).certificate_expiry.set(expiry)

    assert registry.get_sample_value("onehand_certificate_expiry_seconds") == 1e9


def test_no_expiry_without_tls() -> None:
    """Where nobody has a certificate, 0 is shown."""
    registry = CollectorRegistry()
    Metrics(registry, [private_region(), private_region()])

    assert registry.get_sample_value("onehand_certificate_expiry_seconds") == 0
