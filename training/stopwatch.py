"""How long the stages of an enrolment take, for the report."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Times one stage after another.

    Attributes:
        seconds: by stage, in the order in which they ended.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Note how long what is inside takes; a stage that fails is not noted."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start
