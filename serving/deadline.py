"""The moment after which nobody waits for the answer any more."""

import time
from collections.abc import Callable
from typing import NamedTuple

from serving.errors import DeadlineExpired

__all__ = ["Deadline"]


class Deadline(NamedTuple):
    """A point in time, checked before each piece of work rather than during one.

    Attributes:
        at: in seconds of ``clock``.
        clock: monotonic seconds.
    """

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(
        cls,
        remaining: float | None,
        cap: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Deadline":
        """Return the caller's deadline, or the server's own if that comes first.

        Args:
            remaining: seconds that the caller still waits; ``None`` = for ever.
            cap: seconds that the server grants to any request.
            clock: monotonic seconds.
        """
        seconds = cap if remaining is None else min(remaining, cap)
        return cls(at=clock() + seconds, clock=clock)

    @property
    def passed(self) -> bool:
        """Whether nobody waits any more."""
        return self.clock() >= self.at

    def check(self, stage: str) -> None:
        """Raise DeadlineExpired if the moment has passed; ``stage`` names what was left undone."""
        if self.passed:
            raise DeadlineExpired(f"the deadline passed before the request came to: {stage}")
