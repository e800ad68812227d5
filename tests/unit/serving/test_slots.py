"""Regions: what is claimed, noticed, and still there after a violent death."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.instruments import Instruments
from serving.slots import Region, Slots, private_region

ROOT = Path(__file__).parents[3]

# Counts in the first region from two threads until it is killed.
WORKER = """
import sys, threading
from serving.instruments import Instruments
from serving.slots import Slots

make = Instruments(Slots.attach(int(sys.argv[1])).regions)
rpcs = make.counter("rpcs_total", "RPCs.", "method").labels("Classify")
seconds = make.histogram("seconds", "Seconds.", bounds=(0.1, 1)).labels()

def count():
    while True:
        rpcs.inc()
        seconds.observe(0.5)

threading.Thread(target=count).start()
count()
"""


@pytest.fixture
def region() -> Region:
    """A region of its own."""
    return private_region()


def test_metrics_do_not_overlap(region: Region) -> None:
    """Each metric has as many cells as it asked for, and the same ones when asked again."""
    keys = [("seconds", ("a",), 4), ("seconds", ("b",), 4), ("total", (), 1)]

    starts = [region.claim(key) for key in keys]

    cells = {cell for key, at in zip(keys, starts, strict=True) for cell in range(at, at + key[2])}
    assert len(cells) == 9
    assert [region.claim(key) for key in keys] == starts
    assert dict(region.places()) == dict(zip(keys, starts, strict=True))


def test_a_full_region_says_so(region: Region) -> None:
    """Too many metrics are refused, and those that are there stay."""
    kept = region.claim(("kept_total", (), 1))

    with pytest.raises(MemoryError, match="huge_total"):
        region.claim(("huge_total", (), 100_000))

    assert region.places() == {("kept_total", (), 1): kept}


def test_notice_is_replaced(region: Region) -> None:
    """A notice is read as it was put up last; none is none."""
    assert region.posted() == []

    region.post(["one", "zwei: \u00fc"])
    region.post(["three"])

    assert region.posted() == ["three"]


def test_half_a_notice_is_not_read(region: Region) -> None:
    """While a notice is being written, or was by one that died of it, the one before is read."""
    region.post(["whole"])
    region.posted()

    region._notice[10:12] = b"??"

    assert region.posted() == ["whole"]


def test_too_long_a_notice_keeps_its_first_lines(region: Region) -> None:
    """Of a notice without end, as many whole lines as fit are kept."""
    lines = [f"line {number:060}" for number in range(20_000)]

    region.post(lines)

    posted = region.posted()
    assert 10_000 < len(posted) < 20_000
    assert posted == lines[: len(posted)]


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
def test_killed_and_restarted_workers_never_lower_a_counter() -> None:
    """A process killed while it counts leaves whole numbers; its successor adds to them."""
    slots = Slots.create(2)
    make = Instruments(slots.regions)
    make.counter("rpcs_total", "RPCs.", "method")
    make.histogram("seconds", "Seconds.", bounds=(0.1, 1))
    last: dict[tuple[str, str], float] = {}

    def scrape() -> float:
        for family in make.collect():
            for sample in family.samples:
                key = sample.name, str(sample.labels)
                assert sample.value >= last.get(key, 0), key
                assert sample.value % 0.5 == 0, key
                last[key] = sample.value
        return last.get(("rpcs_total", "{'method': 'Classify'}"), 0)

    for _ in range(3):
        before = scrape()
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(slots.descriptor)],
            cwd=ROOT,
            pass_fds=[slots.descriptor],
        )
        while scrape() < before + 1000:
            assert worker.poll() is None
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    after = scrape()

    assert after >= 3000
    assert scrape() == after
    # Two threads were killed between the two counts at most, each of three times.
    assert abs(last["seconds_count", "{}"] - after) <= 6
    os.close(slots.descriptor)
