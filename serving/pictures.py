"""Pictures of a request, from message to MNIST form.

What can be known without decoding is checked first, for every picture; decoding then happens in
threads. All that is wrong with a request is found in one go, so that a caller who sends a
hundred pictures does not learn of the bad ones one at a time.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from serving.deadline import Deadline
from serving.errors import BadImage, InvalidRequest
from serving.images import (
    SIDE,
    ImageLimits,
    are_mnist_form,
    claimed_size,
    decode,
    read_forms,
    to_mnist_form,
)
from serving.metrics import Metrics
from serving.pb import handwriting_pb2 as pb
from serving.pool import Pool
from serving.together import all_of

__all__ = ["PictureReader", "as_images"]

Grey = NDArray[np.uint8]
# For so long a thread goes on with a request's pictures before others have their turn: to hand a
# small picture over and back takes as long as to read it.
_TURN_SECONDS = 0.002
# To read a small picture is nearly all Python: two threads at it take turns at Python's lock, some
# hundred times a picture, and together read fewer than one. From some 160 x 160 pixels they gain.
_SMALL_PIXELS = 160 * 160
# More than a plain PNG of 28 x 28 takes if its pixels are not compressed at all.
_FORM_BYTES = 1024
# Forms that the event loop reads itself, in a quarter of a millisecond; and that a thread reads in
# a turn.
_FEW_FORMS = 32
_FORMS = 256


class PictureReader:
    """Turns the pictures of a request into one array."""

    def __init__(self, limits: ImageLimits, reader: Pool, decoders: Pool, metrics: Metrics) -> None:
        """Make it.

        Args:
            limits: what is accepted as a picture.
            reader: whose one thread reads the small pictures of all requests.
            decoders: whose threads read the others.
            metrics: where stages are timed.
        """
        self._limits = limits
        # A file may have a second header that says another size; it is held to the first.
        self._small = replace(limits, max_pixels=min(limits.max_pixels, _SMALL_PIXELS))
        self._reader = reader
        self._decoders = decoders
        self._decode = metrics.stage["decode"]
        self._normalise = metrics.stage["normalise"]

    async def read(self, field: str, images: Sequence[pb.Image], deadline: Deadline) -> Grey:
        """Return the pictures in MNIST form, shape (n, 28, 28), in their order.

        Args:
            field: path of the list in the request.
            images: at least one.
            deadline: checked before each turn of decoding.

        Raises:
            InvalidRequest: names every picture that cannot be used, by its field.
            DeadlineExpired: the deadline passed before all were decoded.
        """
        sources = [(f"{field}[{i}]", image) for i, image in enumerate(images)]
        return await self.read_named(sources, deadline)

    async def read_named(self, sources: Sequence[tuple[str, pb.Image]], deadline: Deadline) -> Grey:
        """Do the same for pairs of field path and picture."""
        outcomes = [self._at_once(field, image) for field, image in sources]
        waiting = [place for place, outcome in enumerate(outcomes) if outcome is None]
        forms = await self._read_forms([sources[place][1] for place in waiting], deadline)
        for place, form in zip(waiting, forms, strict=True):
            outcomes[place] = form
        waiting = [place for place in waiting if outcomes[place] is None]
        small = deque(place for place in waiting if _is_small(sources[place][1]))
        large = deque(place for place in waiting if not _is_small(sources[place][1]))

        def take_turn(places: deque[int], limits: ImageLimits) -> None:
            end = time.perf_counter() + _TURN_SECONDS
            for place in _drain(places):
                outcomes[place] = self._in_thread(*sources[place], limits)
                if time.perf_counter() >= end:
                    return

        async def read(pool: Pool, places: deque[int], limits: ImageLimits) -> None:
            while places:
                await pool.run(deadline, take_turn, places, limits)

        threads = min(self._decoders.threads, len(large))
        readers = [read(self._decoders, large, self._limits) for _ in range(threads)]
        await all_of((read(self._reader, small, self._small), *readers))
        violations = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
        if violations:
            raise InvalidRequest(violations)
        return np.stack([outcome for outcome in outcomes if isinstance(outcome, np.ndarray)])

    async def _read_forms(
        self, images: Sequence[pb.Image], deadline: Deadline
    ) -> list[Grey | None]:
        """Return those that are forms in plain PNG files; None = read as any other picture.

        A few are read faster than they are handed to a thread.
        """
        files = [image.encoded if image.ByteSize() <= _FORM_BYTES else b"" for image in images]
        if not any(files):
            return [None] * len(files)
        if len(files) <= _FEW_FORMS:
            return self._timed_forms(files)
        found: list[Grey | None] = []
        for start in range(0, len(files), _FORMS):
            part = files[start : start + _FORMS]
            found += await self._reader.run(deadline, self._timed_forms, part)
        return found

    def _timed_forms(self, files: Sequence[bytes]) -> list[Grey | None]:
        begun = time.perf_counter()
        forms = read_forms(files)
        if any(form is not None for form in forms):
            self._decode.observe(time.perf_counter() - begun)
        return forms

    def _at_once(self, field: str, image: pb.Image) -> Grey | tuple[str, str] | None:
        """Return the picture if it needs no work, what is wrong with it, or None = work."""
        source = image.WhichOneof("source")
        if source is None:
            return field, "expected encoded or pixels, found neither"
        if source == "encoded":
            return self._check_encoded(f"{field}.encoded", image.encoded)
        problem = self._check_pixels(f"{field}.pixels", image.pixels)
        if problem:
            return problem
        return _grey(image.pixels) if _in_form(image.pixels) else None

    def _check_encoded(self, field: str, data: bytes) -> tuple[str, str] | None:
        if not data:
            return field, "expected a picture file, found 0 bytes"
        most = self._limits.max_encoded_bytes
        if len(data) > most:
            return field, f"expected at most {most} bytes, found {len(data)}"
        return None

    def _check_pixels(self, field: str, pixels: pb.Pixels) -> tuple[str, str] | None:
        height, width = pixels.height, pixels.width
        least, most = self._limits.min_side, self._limits.max_pixels
        for name, side in (("height", height), ("width", width)):
            if side < least:
                return f"{field}.{name}", f"expected at least {least}, found {side}"
        if height * width > most:
            return field, f"expected at most {most} pixels, found {height} x {width}"
        if len(pixels.data) != height * width:
            return (
                f"{field}.data",
                f"expected height * width = {height * width} bytes, found {len(pixels.data)}",
            )
        return None

    def _in_thread(
        self, field: str, image: pb.Image, limits: ImageLimits
    ) -> Grey | tuple[str, str]:
        source = image.WhichOneof("source")
        try:
            with self._decode.time():
                grey = _decoded(image, limits)
            with self._normalise.time():
                return to_mnist_form(grey)
        except BadImage as problem:
            return f"{field}.{source}", str(problem)


def as_images(data: bytes) -> Grey:
    """Return pictures in MNIST form, shape (n, 28, 28), from their pixels one after another."""
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, SIDE, SIDE)


def _drain(places: deque[int]) -> Iterator[int]:
    """Yield what is left, each to one thread only."""
    try:
        while True:
            yield places.popleft()
    except IndexError:
        return  # nothing is left


def _is_small(image: pb.Image) -> bool:
    """Say whether a picture is small; of other files than PNG and JPEG that is not known."""
    if image.WhichOneof("source") == "pixels":
        return len(image.pixels.data) <= _SMALL_PIXELS
    width, height = claimed_size(image.encoded) or (_SMALL_PIXELS + 1, 1)
    return width * height <= _SMALL_PIXELS


def _decoded(image: pb.Image, limits: ImageLimits) -> Grey:
    if image.WhichOneof("source") == "pixels":
        return _grey(image.pixels)
    return decode(image.encoded, limits)


def _in_form(pixels: pb.Pixels) -> bool:
    return pixels.height == pixels.width == SIDE and are_mnist_form(pixels.data)


def _grey(pixels: pb.Pixels) -> Grey:
    return np.frombuffer(pixels.data, dtype=np.uint8).reshape(pixels.height, pixels.width)
