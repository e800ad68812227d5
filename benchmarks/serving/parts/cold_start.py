"""From the start of the container's command to SERVING with one profile, and the memory then."""

import time

from benchmarks.serving.machine import memory_mib
from benchmarks.serving.rounds import Group, Measure
from benchmarks.serving.servers import service
from benchmarks.serving.stage import Stage

__all__ = ["groups"]

_SETTLE = 0.5


def groups(stage: Stage) -> list[Group]:
    """Return a group with 1 and 2 workers for each profile, and one of memory after load."""
    starts = [
        _contender(stage, profile, workers)
        for profile in stage.options.profiles
        for workers in (1, 2)
    ]
    return [Group("cold-start", "exec to SERVING", "one profile", "seconds", [], starts)]


def _contender(stage: Stage, profile: str, workers: int) -> Measure:
    name = f"service, {profile}, {workers} worker{'s' if workers > 1 else ''}"
    log = stage.folder / f"cold start of {name}.log"

    def measure() -> dict[str, float]:
        start = time.perf_counter()
        models = stage.options.models[profile]
        with service(name, models, log, workers=workers) as server:
            seconds = time.perf_counter() - start
            time.sleep(_SETTLE)
            memory = memory_mib(server.pid)
        return {"seconds": seconds, "rss MiB": memory["rss"], "pss MiB": memory["pss"]}

    return Measure(name, measure)
