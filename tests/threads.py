"""Threads for tests, and what is told of their waits."""

from collections.abc import Iterator

from serving.workers import Workers


class Waits(list[float]):
    """Keeps what it is told."""

    observe = list.append


def threads(name: str, number: int) -> Iterator[Workers]:
    """Lend so many threads, for a fixture."""
    made = Workers(name, number, Waits())
    yield made
    made.close()
