"""Threads for tests, and what is told of their waits."""

from collections.abc import Iterator

from serving.pool import Pool


class Waits(list[float]):
    """Keeps what it is told."""

    observe = list.append


def threads(name: str, number: int) -> Iterator[Pool]:
    """Lend so many threads, for a fixture."""
    made = Pool(name, number, Waits())
    yield made
    made.close()
