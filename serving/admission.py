"""At the door: how much may be in work at once.

Without a bound, a server that is too slow for its load answers everybody too late. With one, it
answers those whom it admits in time, and tells the others at once when to come back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from serving.errors import Overloaded
from serving.metrics import Metrics

__all__ = ["Admission"]

_RETRY_AFTER = 0.1


class Admission:
    """Counts the requests in work and their bytes; used from the event loop only."""

    def __init__(self, max_requests: int, max_bytes: int, metrics: Metrics) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0
        self._by_requests = metrics.rejected.labels("requests")
        self._by_bytes = metrics.rejected.labels("bytes")
        metrics.in_flight.set_function(lambda: self._requests)
        metrics.queued_bytes.set_function(lambda: self._bytes)

    @property
    def idle(self) -> bool:
        """Whether nothing is in work."""
        return self._requests == 0

    @contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Hold a place for a request of ``size`` bytes.

        Raises:
            Overloaded: there is no place.
        """
        if self._requests >= self._max_requests:
            self._by_requests.inc()
            raise Overloaded(f"{self._max_requests} requests are in work already", _RETRY_AFTER)
        if self._bytes + size > self._max_bytes:
            self._by_bytes.inc()
            raise Overloaded(
                f"{self._bytes} of at most {self._max_bytes} bytes are in work already",
                _RETRY_AFTER,
            )
        self._requests += 1
        self._bytes += size
        try:
            yield
        finally:
            self._requests -= 1
            self._bytes -= size
