"""At the door: how much may be in work at once.

Without a bound, a server that is too slow for its load answers everybody too late. With one, it
answers those whom it admits in time, and tells the others at once when to come back.
"""

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
        self._in_flight = metrics.in_flight
        self._queued_bytes = metrics.queued_bytes

    @property
    def idle(self) -> bool:
        """Whether nothing is in work, and no answer on its way that is kept."""
        return self._bytes == 0 and self._requests == 0

    def enter(self, size: int) -> None:
        """Take a place for a request of ``size`` bytes; ``leave`` gives it back.

        Raises:
            Overloaded: there is no place.
        """
        if self._requests >= self._max_requests:
            self._by_requests.inc()
            raise Overloaded(f"{self._max_requests} requests are in work already", _RETRY_AFTER)
        if self._bytes + size > self._max_bytes:
            self._by_bytes.inc()
            raise Overloaded(
                f"most of the {self._max_bytes} bytes that may be in work are taken already",
                _RETRY_AFTER,
            )
        self._requests += 1
        self._bytes += size
        self._show()

    def leave(self, size: int) -> None:
        """Give back the place of a request of ``size`` bytes."""
        self._requests -= 1
        self._bytes -= size
        self._show()

    def keep(self, size: int) -> None:
        """Count the ``size`` bytes of an answer that is on its way, too; ``give_back`` ends it."""
        self._bytes += size
        self._show()

    def give_back(self, size: int) -> None:
        """Count no longer what ``keep`` did."""
        self._bytes -= size
        self._show()

    def _show(self) -> None:
        self._in_flight.set(self._requests)
        self._queued_bytes.set(self._bytes)
