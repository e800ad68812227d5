"""Counters, gauges and histograms on shared cells, and their exposition.

An increment is a lock and one addition: it happens several times in every request, from the
event loop and from threads, and must neither be felt nor be lost. What several processes have
counted is brought together by the one that is scraped, when it is scraped.
"""

import json
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeAlias, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from serving.slots import Region

__all__ = ["Counter", "Gauge", "Histogram", "Info", "Instruments", "Labelled"]

T = TypeVar("T")
Labels: TypeAlias = tuple[str, ...]
Merge: TypeAlias = Callable[[Iterable[float]], float]


class Counter:
    """A number that only grows; may be counted up from many threads at once."""

    __slots__ = ("_at", "_cells", "_lock")

    def __init__(self, region: Region, at: int) -> None:
        self._cells = region.cells
        self._at = at
        self._lock = threading.Lock()

    def inc(self, amount: float = 1.0) -> None:
        """Add ``amount``, 0 or more."""
        with self._lock:
            self._cells[self._at] += amount

    @property
    def value(self) -> float:
        """What this process, and those whose place it took, have counted."""
        return self._cells[self._at]


class Gauge:
    """A number that is what it was last set to; 0 once its process has ended."""

    __slots__ = ("_at", "_cells")

    def __init__(self, region: Region, at: int) -> None:
        self._cells = region.cells
        self._at = at

    def set(self, value: float) -> None:
        """Show this value from now on."""
        self._cells[self._at] = value

    @property
    def value(self) -> float:
        """What this process has set."""
        return self._cells[self._at]


class Histogram:
    """How often values fell between bounds, and their sum; for many threads at once."""

    __slots__ = ("_bounds", "_cells", "_first", "_lock", "_sum")

    def __init__(self, region: Region, at: int, bounds: Sequence[float]) -> None:
        self._cells = region.cells
        self._bounds = bounds
        self._first = at
        self._sum = at + len(bounds) + 1
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count a value."""
        at = self._first + bisect_left(self._bounds, value)
        with self._lock:
            self._cells[at] += 1.0
            self._cells[self._sum] += value

    def time(self) -> "_Timer":
        """Count the seconds that a block takes."""
        return _Timer(self)


class _Timer:
    __slots__ = ("_histogram", "_start")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._histogram.observe(time.perf_counter() - self._start)


class Labelled(Generic[T]):
    """A metric with labels: one instrument for each combination of their values."""

    def __init__(self, make: Callable[[Labels], T]) -> None:
        self._make = make
        self._made: dict[Labels, T] = {}
        self._lock = threading.Lock()

    def labels(self, *values: str) -> T:
        """Return the instrument for these values, shown as 0 from now on."""
        with self._lock:  # two instruments on the same cells would lose counts
            if values not in self._made:
                self._made[values] = self._make(values)
            return self._made[values]


class Info:
    """Facts that come and go, each a combination of labels that is shown as 1.

    There is room for one such metric in a region.
    """

    def __init__(self, region: Region) -> None:
        self._region = region

    def show(self, facts: Iterable[Labels]) -> None:
        """Show these facts in place of those before."""
        self._region.post([json.dumps(labels) for labels in sorted(facts)])


@dataclass(frozen=True)
class _Family:
    """What is true of a metric in every region.

    Attributes:
        show: makes its exposition from cells by labels.
        width: number of its cells.
        merge: makes one number of the same cell of several regions.
        lasts: whether its cells outlive the process.
    """

    show: Callable[[dict[Labels, list[float]]], Metric]
    width: int
    merge: Merge
    lasts: bool


class Instruments(Collector):
    """Makes the instruments of one process, and shows them with those of others."""

    def __init__(self, regions: Sequence[Region]) -> None:
        """Define nothing yet.

        Args:
            regions: the first is counted in; all are shown.
        """
        self._own = regions[0]
        self._regions = regions
        self._families: dict[str, _Family] = {}
        self._info: tuple[str, str, Labels] | None = None

    def counter(self, name: str, text: str, *labels: str) -> Labelled[Counter]:
        """Define a counter; ``name`` ends in ``_total``."""

        def show(cells: dict[Labels, list[float]]) -> Metric:
            family = CounterMetricFamily(name, text, labels=labels)
            for values, (count,) in cells.items():
                family.add_metric(values, count)
            return family

        self._families[name] = _Family(show, 1, sum, lasts=True)
        return Labelled(lambda values: Counter(self._own, self._own.claim((name, values, 1))))

    def gauge(self, name: str, text: str, *labels: str, merge: Merge = sum) -> Labelled[Gauge]:
        """Define a gauge.

        Args:
            name: of the metric.
            text: what it says.
            labels: their names.
            merge: what is shown of the values of several processes.
        """

        def show(cells: dict[Labels, list[float]]) -> Metric:
            family = GaugeMetricFamily(name, text, labels=labels)
            for values, (value,) in cells.items():
                family.add_metric(values, value)
            return family

        self._families[name] = _Family(show, 1, merge, lasts=False)
        return Labelled(lambda values: Gauge(self._own, self._own.claim((name, values, 1))))

    def histogram(
        self, name: str, text: str, *labels: str, bounds: Sequence[float]
    ) -> Labelled[Histogram]:
        """Define a histogram whose buckets end at, and include, the ``bounds``, in order."""
        width = len(bounds) + 2  # beyond the last bound; sum

        def show(cells: dict[Labels, list[float]]) -> Metric:
            family = HistogramMetricFamily(name, text, labels=labels)
            for values, (*counts, total) in cells.items():
                family.add_metric(values, list(_buckets(bounds, counts)), total)
            return family

        self._families[name] = _Family(show, width, sum, lasts=True)
        return Labelled(
            lambda values: Histogram(self._own, self._own.claim((name, values, width)), bounds)
        )

    def info(self, name: str, text: str, *labels: str) -> Info:
        """Define the metric for facts that come and go."""
        self._info = (name, text, labels)
        return Info(self._own)

    def forget(self, region: Region) -> None:
        """Take back what was true only while the process lived that counted in ``region``."""
        for (name, _, width), at in region.places().items():
            if name in self._families and not self._families[name].lasts:
                for place in range(at, at + width):
                    region.cells[place] = 0.0
        region.post([])

    def describe(self) -> Iterable[Metric]:
        """Yield every metric without values; part of ``prometheus_client``'s protocol."""
        for family in self._families.values():
            yield family.show({})
        yield from self._show_facts(set())

    def collect(self) -> Iterable[Metric]:
        """Yield every metric with its values of now, over all regions."""
        found: defaultdict[str, dict[Labels, list[list[float]]]] = defaultdict(dict)
        for region in self._regions:
            for (name, labels, width), at in region.places().items():
                if name in self._families and self._families[name].width == width:
                    cells: list[float] = [*region.cells[at : at + width]]
                    found[name].setdefault(labels, []).append(cells)
        for name, family in self._families.items():
            yield family.show(
                {
                    labels: [family.merge(column) for column in zip(*rows, strict=True)]
                    for labels, rows in found[name].items()
                }
            )
        yield from self._show_facts({line for region in self._regions for line in region.posted()})

    def _show_facts(self, lines: Iterable[str]) -> Iterator[Metric]:
        if self._info:
            name, text, labels = self._info
            family = GaugeMetricFamily(name, text, labels=labels)
            for line in sorted(lines):
                family.add_metric(json.loads(line), 1)
            yield family


def _buckets(bounds: Sequence[float], counts: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Yield the upper end of each bucket, and how many values are no larger."""
    below = 0.0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        below += count
        yield ("+Inf" if bound == float("inf") else repr(float(bound))), below
