"""The client's own books, kept call by call and held against the server's counters.

Every refusal of the service carries the trailer ``x-request-id``, or, where it sheds load,
``grpc-retry-pushback-ms``. A status without either was made below any handler: by the client
itself (its deadline, its cancellation, no connection), or by gRPC's own transport (a message over
the limit). Those are booked apart, because no code of the server ever saw the call, and the
server cannot have counted it.
"""

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Ledger"]

Key = tuple[str, str]


@dataclass
class Ledger:
    """What became of every call that was sent.

    Attributes:
        sent: calls begun.
        answered: by method and code, those that a handler of the server answered.
        below: by method and code, those that ended below any handler.
        unexpected: calls that ended with a code that they must not end with, each told once.
        wrong: answers with code OK and other content than it must be.
        unadvised: shed calls whose answer did not say when to come back.
    """

    sent: int = 0
    answered: Counter[Key] = field(default_factory=Counter)
    below: Counter[Key] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    unadvised: int = 0

    def add(self, other: "Ledger") -> None:
        """Take over the entries of another ledger."""
        self.sent += other.sent
        self.answered += other.answered
        self.below += other.below
        self.unexpected += other.unexpected
        self.wrong += other.wrong
        self.unadvised += other.unadvised

    @property
    def balanced(self) -> bool:
        """Whether every call that was sent has ended exactly once."""
        return self.sent == self.answered.total() + self.below.total()

    def count(self, code: str) -> int:
        """Return how many calls ended with this code, whoever made it."""
        both = (*self.answered.items(), *self.below.items())
        return sum(number for (_, found), number in both if found == code)

    def codes(self) -> dict[str, int]:
        """Return how many calls ended with each code."""
        names = sorted({code for _, code in (*self.answered, *self.below)})
        return {name: self.count(name) for name in names}

    def differences(self, handled: Counter[Key], *, ignore: str = "/grpc.") -> list[str]:
        """Return a line for each method and code that the server counted otherwise.

        Args:
            handled: the server's counters.
            ignore: start of the methods that others than this ledger called (probes).
        """
        keys = sorted(k for k in {*self.answered, *handled} if not k[0].startswith(ignore))
        return [
            f"{method} {code}: client {self.answered[method, code]}, server {handled[method, code]}"
            for method, code in keys
            if self.answered[method, code] != handled[method, code]
        ]
