"""The threads of a process, by what they do."""

import time
from dataclasses import dataclass

import structlog

from serving.cpu import cpu_budget
from serving.metrics import Metrics
from serving.pool import CLOSE_SECONDS, Pool
from serving.settings import Settings

__all__ = ["Threads"]

# Enough for threads that have nothing to do, however long others take.
_LEAST_SECONDS = 0.1

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Threads:
    """All threads that work for requests.

    Attributes:
        reading: the one that reads small pictures.
        decoding: those that read the others, and sample points.
        computing: those that run models.
    """

    reading: Pool
    decoding: Pool
    computing: Pool

    @classmethod
    def start(cls, settings: Settings, metrics: Metrics) -> "Threads":
        """Start as many as are set, or as the processor is worth."""
        budget = cpu_budget()
        cores = max(1, budget.cores // max(1, settings.workers))
        decode_threads = settings.decode_threads or cores
        inference_threads = settings.inference_threads or cores
        metrics.show_budget(budget, decode=decode_threads, inference=inference_threads)
        log.info(
            "threads",
            affinity=budget.affinity,
            quota=budget.quota,
            decode=decode_threads,
            inference=inference_threads,
        )
        queued = metrics.stage["queue"]
        return cls(
            reading=Pool("reading", 1, queued),
            decoding=Pool("decoding", decode_threads, queued),
            computing=Pool("inference", inference_threads, queued),
        )

    def close(self) -> None:
        """Drop what waits, and wait for what runs, though not for ever."""
        end = time.monotonic() + CLOSE_SECONDS
        for pool in (self.reading, self.decoding, self.computing):
            pool.close(max(end - time.monotonic(), _LEAST_SECONDS))
