"""Pictures of a request come out in their order, whoever reads them and however long it takes."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from serving import pictures as module
from serving.deadline import Deadline
from serving.errors import DeadlineExpired, InvalidRequest
from serving.images import ImageLimits, encode_png
from serving.metrics import Metrics
from serving.pictures import PictureReader
from serving.workers import Workers
from tests import pictures

LIMITS = ImageLimits(max_encoded_bytes=1 << 20, max_pixels=1 << 20)


@pytest.fixture(params=[1, 3])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Threads to read with."""
    workers = Workers("decoding", request.param, Metrics(CollectorRegistry()).stage["queue"])
    yield workers
    workers.close()


def shifted(count: int) -> list[NDArray[np.uint8]]:
    """Return so many forms that differ."""
    return [np.roll(pictures.form(), place, axis=1) for place in range(-count // 2, count // 2)]


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["a turn each", "one turn"])
async def test_order_is_kept(
    workers: Workers, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads share the pictures of a request; each comes out in its place."""
    monkeypatch.setattr(module, "_TURN_SECONDS", seconds)
    monkeypatch.setattr(module, "_BYTES_A_THREAD", 100)
    forms = shifted(10)
    reader = PictureReader(LIMITS, workers, Metrics(CollectorRegistry()))

    read = await reader.read(
        "images", [pictures.encoded(encode_png(form)) for form in forms], Deadline.after(None, 60)
    )

    assert np.array_equal(read, forms)


async def test_every_bad_picture_is_named(workers: Workers) -> None:
    """One that is broken does not hide the next, wherever they are read."""
    images = [pictures.encoded(encode_png(form)) for form in shifted(6)]
    for place in (1, 4):
        images[place].encoded = encode_png(pictures.form())[:40]
    reader = PictureReader(LIMITS, workers, Metrics(CollectorRegistry()))

    with pytest.raises(InvalidRequest) as refused:
        await reader.read("images", images, Deadline.after(None, 60))

    assert [field for field, _ in refused.value.violations] == [
        "images[1].encoded",
        "images[4].encoded",
    ]


async def test_deadline_ends_it_between_turns(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not read by then is left."""
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.0)
    times = iter(range(1000))
    deadline = Deadline(at=3, clock=lambda: next(times))
    metrics = Metrics(CollectorRegistry())
    reader = PictureReader(LIMITS, workers, metrics)

    with pytest.raises(DeadlineExpired):
        await reader.read(
            "images", [pictures.encoded(encode_png(form)) for form in shifted(40)], deadline
        )

    await asyncio.sleep(0.05)
    decoded = metrics.registry.get_sample_value("onehand_stage_seconds_count", {"stage": "decode"})
    assert decoded is not None
    assert decoded < 10
