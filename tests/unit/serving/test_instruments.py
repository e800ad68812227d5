"""Instruments lose nothing, and what several processes count is shown as one."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from serving.instruments import Instruments
from serving.slots import private_region

VALUES = (0.0, 0.05, 0.1, 0.100001, 0.5, 1.0, 2.0, 1e9)


def shown(make: Instruments) -> dict[tuple[str, str], float]:
    """Return every sample by name and the values of its labels."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in make.collect()
        for sample in family.samples
    }


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads that take turns as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient")
def test_threads_lose_nothing() -> None:
    """Eight threads that count on the same instruments arrive at the exact sums."""
    make = Instruments([private_region()])
    rpcs = make.counter("rpcs_total", "RPCs.", "code")
    seconds = make.histogram("seconds", "Seconds.", bounds=(0.1, 1.0)).labels()
    begin = threading.Barrier(8)

    def count() -> None:
        begin.wait()
        for _ in range(5000):
            rpcs.labels("OK").inc()
            seconds.observe(0.5)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert shown(make) == {
        ("rpcs_total", "OK"): 40_000,
        ("seconds_bucket", "0.1"): 0,
        ("seconds_bucket", "1.0"): 40_000,
        ("seconds_bucket", "+Inf"): 40_000,
        ("seconds_count", ""): 40_000,
        ("seconds_sum", ""): 20_000,
    }


def test_histogram_text_is_that_of_the_library() -> None:
    """The exposition of a histogram equals prometheus_client's own, bounds included."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    make = Instruments([private_region()])
    mine = make.histogram("seconds", "Seconds.", "stage", bounds=(0.1, 0.5, 1.0)).labels("infer")
    ours.register(make)
    original = Histogram("seconds", "Seconds.", ["stage"], buckets=(0.1, 0.5, 1), registry=theirs)
    for value in VALUES:
        mine.observe(value)
        original.labels("infer").observe(value)

    text = [line for line in generate_latest(theirs).decode().splitlines() if "created" not in line]

    assert generate_latest(ours).decode().splitlines() == text


def test_a_block_is_timed() -> None:
    """The seconds that a block takes are counted, if it fails too."""
    make = Instruments([private_region()])
    seconds = make.histogram("seconds", "Seconds.", bounds=(60.0,)).labels()

    with pytest.raises(ValueError, match="x"), seconds.time():
        raise ValueError("x")

    assert shown(make)["seconds_bucket", "60.0"] == 1


def workers() -> tuple[Any, list[Any]]:
    """Return what shows all, and three processes' instruments."""
    regions = [private_region() for _ in range(3)]
    makers = [Instruments([region]) for region in regions]
    supervisor = Instruments(regions)
    for make in (supervisor, *makers):
        make.rpcs = make.counter("rpcs_total", "RPCs.", "code")  # type: ignore[attr-defined]
        make.busy = make.gauge("busy", "Requests.")  # type: ignore[attr-defined]
        make.cores = make.gauge("cores", "Cores.", merge=max)  # type: ignore[attr-defined]
        make.model = make.info("model", "Models.", "version")  # type: ignore[attr-defined]
    return supervisor, makers


def test_processes_are_shown_as_one() -> None:
    """Counters add up, gauges as they are defined, and the same fact appears once."""
    supervisor, makers = workers()
    for number, make in enumerate(makers, 1):
        make.rpcs.labels("OK").inc(number)
        make.busy.labels().set(number)
        make.cores.labels().set(4)
        make.model.show([("v1",)] if number < 3 else [("v2",)])

    assert shown(supervisor) == {
        ("rpcs_total", "OK"): 6,
        ("busy", ""): 6,
        ("cores", ""): 4,
        ("model", "v1"): 1,
        ("model", "v2"): 1,
    }


def test_the_dead_are_counted_and_otherwise_forgotten() -> None:
    """What a process has counted stays; what it had in work, and its models, are gone."""
    supervisor, makers = workers()
    for make in makers[1:]:
        make.rpcs.labels("OK").inc(5)
        make.busy.labels().set(3)
    makers[2].model.show([("v1",)])

    supervisor.forget(supervisor._regions[2])

    assert shown(supervisor) == {("rpcs_total", "OK"): 10, ("busy", ""): 3}


def test_other_cells_of_the_same_name_are_left_out() -> None:
    """A worker of another release, with other buckets, does not spoil what the rest counts."""
    regions = [private_region() for _ in range(2)]
    for region, bounds in zip(regions, [(1.0,), (1.0, 2.0)], strict=True):
        Instruments([region]).histogram("s", "S.", bounds=bounds).labels().observe(0.5)
    make = Instruments(regions)
    make.histogram("s", "S.", bounds=(1.0,))

    assert shown(make)["s_count", ""] == 1


def test_a_name_can_be_asked_for() -> None:
    """Prometheus may ask for some metrics by name."""
    make = Instruments([private_region()])
    make.counter("one_total", "One.").labels().inc()
    make.counter("two_total", "Two.").labels().inc()
    registry = CollectorRegistry()
    registry.register(make)

    text = generate_latest(registry.restricted_registry(["one_total"])).decode()

    assert "one_total 1.0" in text
    assert "two_total" not in text
