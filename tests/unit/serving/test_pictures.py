"""Pictures of a request come out in their order, whoever reads them and however long it takes."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from serving import pictures as module
from serving.deadline import Deadline
from serving.errors import DeadlineExpired, InvalidRequest
from serving.images import ImageLimits, encode_png, read_forms
from serving.metrics import Metrics
from serving.pb import handwriting_pb2 as pb
from serving.pictures import PictureReader
from serving.pool import Pool
from tests import pictures

LIMITS = ImageLimits(max_encoded_bytes=1 << 20, max_pixels=1 << 20)


@pytest.fixture
def metrics() -> Metrics:
    """Where stages are timed."""
    return Metrics(CollectorRegistry())


@pytest.fixture(params=[1, 3])
def reader(request: pytest.FixtureRequest, metrics: Metrics) -> Iterator[PictureReader]:
    """A reader with one thread for small pictures, and one or three for others."""
    small = Pool("reading", 1, metrics.stage["queue"])
    large = Pool("decoding", request.param, metrics.stage["queue"])
    yield PictureReader(LIMITS, small, large, metrics)
    small.close()
    large.close()


def shifted(count: int) -> list[NDArray[np.uint8]]:
    """Return so many forms that differ."""
    return [np.roll(pictures.form(), place, axis=1) for place in range(-count // 2, count // 2)]


def in_colour(form: NDArray[np.uint8]) -> pb.Image:
    """Return a form in a file that has to be read like any other."""
    return pictures.encoded(pictures.file(np.stack([form] * 3, axis=-1)))


def decodings(metrics: Metrics) -> float | None:
    """Return how many times something was decoded."""
    return metrics.registry.get_sample_value("onehand_stage_seconds_count", {"stage": "decode"})


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["a turn each", "one turn"])
@pytest.mark.parametrize("limit", [0, 28 * 28], ids=["large", "small"])
async def test_order_is_kept(
    reader: PictureReader, seconds: float, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads share the pictures of a request; each comes out in its place."""
    monkeypatch.setattr(module, "_TURN_SECONDS", seconds)
    monkeypatch.setattr(module, "_SMALL_PIXELS", limit)
    forms = shifted(10)

    read = await reader.read(
        "images", [in_colour(form) for form in forms], Deadline.after(None, 60)
    )

    assert np.array_equal(read, forms)


async def test_every_bad_picture_is_named(reader: PictureReader) -> None:
    """One that is broken does not hide the next, wherever they are read."""
    images = [pictures.encoded(encode_png(form)) for form in shifted(6)]
    for place in (1, 4):
        images[place].encoded = encode_png(pictures.form())[:40]

    with pytest.raises(InvalidRequest) as refused:
        await reader.read("images", images, Deadline.after(None, 60))

    assert [field for field, _ in refused.value.violations] == [
        "images[1].encoded",
        "images[4].encoded",
    ]


@pytest.mark.parametrize(
    ("turn", "long", "images", "most"),
    [
        ("_TURN_SECONDS", 0.0, [in_colour(form) for form in shifted(40)], 10),
        ("_FORMS", 40, [pictures.encoded(encode_png(pictures.form()))] * 400, 5),
    ],
    ids=["one by one", "forms"],
)
async def test_deadline_ends_it_between_turns(
    reader: PictureReader,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
    turn: str,
    long: float,
    images: list[pb.Image],
    most: int,
) -> None:
    """What is not read by then is left."""
    monkeypatch.setattr(module, turn, long)
    times = iter(range(1000))
    deadline = Deadline(at=3, clock=lambda: next(times))

    with pytest.raises(DeadlineExpired):
        await reader.read("images", images, deadline)

    await asyncio.sleep(0.05)
    decoded = decodings(metrics)
    assert decoded is not None
    assert decoded < most


@pytest.mark.parametrize(("count", "thread"), [(32, "MainThread"), (33, "onehand-reading")])
async def test_forms_in_plain_files_are_read_together(
    reader: PictureReader,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    thread: str,
) -> None:
    """A few at once, many by the thread for small pictures; other pictures stand between them."""
    readers = set()

    def note(files: list[bytes]) -> list[NDArray[np.uint8] | None]:
        readers.add(threading.current_thread().name.partition("-0")[0])
        return read_forms(files)

    monkeypatch.setattr(module, "read_forms", note)
    forms = [pictures.form(seed) for seed in range(count)]
    images = [pictures.encoded(encode_png(form)) for form in forms]
    images[5], images[7] = in_colour(forms[5]), pictures.message(forms[7])

    read = await reader.read("images", [*images, images[0]], Deadline.after(None, 60))

    assert np.array_equal(read, [*forms, forms[0]])
    assert readers == {thread}
    assert decodings(metrics) == 2  # the forms at one go, and the one in colour


async def test_small_pictures_of_all_requests_are_read_by_one_thread(
    reader: PictureReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once would take turns at Python's lock; what is large goes to the other threads."""
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.0)
    readers = set()

    def note(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        readers.add((grey.size, threading.current_thread().name.rpartition("-")[0]))
        return pictures.form()

    monkeypatch.setattr(module, "to_mnist_form", note)
    raw = [pb.Image(pixels=pb.Pixels(data=bytes(s * s), height=s, width=s)) for s in (100, 200)]
    files = [pictures.encoded(pictures.file(pictures.page(side))) for side in (100, 200)]

    await asyncio.gather(
        *(reader.read("images", (raw + files) * 4, Deadline.after(None, 60)) for _ in range(4))
    )

    assert readers == {(100 * 100, "onehand-reading"), (200 * 200, "onehand-decoding")}


async def test_a_file_that_claims_to_be_small_is_held_to_it(reader: PictureReader) -> None:
    """A second header may say more, and would keep everybody's small pictures waiting."""
    liar = pictures.liar(claimed=100, side=400)

    with pytest.raises(InvalidRequest) as refused:
        await reader.read("images", [pictures.encoded(liar)], Deadline.after(None, 60))

    assert refused.value.violations[0][0] == "images[0].encoded"
