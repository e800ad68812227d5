"""What the operating system says of the server's processes: memory, time, files, age."""

import functools
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.registry import Collector

__all__ = ["show_process", "show_processes"]


def show_process(registry: CollectorRegistry) -> None:
    """Show this process, which is the whole server."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)


def show_processes(registry: CollectorRegistry, living: Callable[[], Mapping[str, int]]) -> None:
    """Show each process of a server that is made of several, told apart by ``worker``.

    Args:
        registry: where they are shown.
        living: returns the process id of each by what it is called.
    """
    registry.register(_Processes(living))
    PlatformCollector(registry=registry)


class _Processes(Collector):
    def __init__(self, living: Callable[[], Mapping[str, int]]) -> None:
        self._living = living

    def describe(self) -> Iterable[Metric]:
        return ()  # another registry need not look for clashes; there is only ours

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for worker, pid in self._living().items():
            one = ProcessCollector(pid=functools.partial(int, pid), registry=None)
            for found in one.collect():
                family = families.setdefault(
                    found.name, Metric(found.name, found.documentation, found.type)
                )
                for sample in found.samples:
                    labels = {**sample.labels, "worker": worker}
                    family.add_sample(sample.name, labels, sample.value)
        return families.values()
