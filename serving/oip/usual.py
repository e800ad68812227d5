"""The request that most tools send, known by what comes before its pixels.

They write the pixels of raw tensors into the last field of the message, and what is in front of
that differs little between requests. Two messages in a row are one with the fields of both
(https://protobuf.dev/programming-guides/encoding/#last-one-wins). So if what is in front is a
message of its own, it needs to be read only once, and the pixels are nothing but the rest.
Everything else is left to the generated parser.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from serving.errors import InvalidRequest
from serving.images import PIXELS, SIDE
from serving.oip.tensors import Asked, read_asked
from serving.pb import open_inference_pb2 as pb
from serving.wire import varint

__all__ = ["UsualRequest", "usual_request"]

# Field 7 of ModelInferRequest, raw_input_contents: a tag, a length, the bytes.
_RAW_INPUT = 0x3A


class _Head(NamedTuple):
    """What comes before the pixels."""

    model: str
    version: str
    asked: Asked


class UsualRequest(NamedTuple):
    """A request for verdicts on raw images.

    Attributes:
        model: its name.
        version: of the model; empty = any.
        asked: what it asks for.
        images: shape (asked.rows, 28, 28), at least one.
    """

    model: str
    version: str
    asked: Asked
    images: NDArray[np.uint8]


def usual_request(request: bytes, most: int) -> UsualRequest | None:
    """Return what a ``ModelInferRequest`` asks, if it has the usual form, else ``None``.

    Args:
        request: from outside.
        most: images; a request with more of them is not looked into.
    """
    rows, front = divmod(len(request), PIXELS)
    if not 1 <= rows <= most:
        return None
    mark = _mark(rows)
    if front < len(mark) or not request.startswith(mark, front - len(mark)):
        return None
    head = _head(request[: front - len(mark)], rows, most)
    if head is None:
        return None
    images = np.frombuffer(request, np.uint8, offset=front).reshape(rows, SIDE, SIDE)
    return UsualRequest(*head, images)


@lru_cache(maxsize=1024)
def _mark(rows: int) -> bytes:
    """Return what stands before the raw pixels of so many images."""
    return bytes([_RAW_INPUT]) + varint(rows * PIXELS)


@lru_cache(maxsize=1024)
def _head(front: bytes, rows: int, most: int) -> _Head | None:
    """Return what a message says that has so many raw images behind it.

    ``None`` where it is wrong, or about other pixels: the parser will say of what is wrong what.
    """
    try:
        request = pb.ModelInferRequest.FromString(front)
        asked = read_asked(request, most)
    except (DecodeError, InvalidRequest):
        return None
    elsewhere = request.raw_input_contents or request.inputs[0].contents.ListFields()
    if elsewhere or asked.rows != rows:
        return None
    return _Head(request.model_name, request.model_version, asked._replace(raw=True))
