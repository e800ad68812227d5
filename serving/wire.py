"""The request that most callers send, recognised by its bytes.

A picture of 28 x 28 pixels has one usual encoding: the same nine bytes of tags and lengths, the
pixels, the same four bytes. To look for them costs a quarter of what it costs to build the
message and to ask for its fields one by one, and for many pictures a tenth. Whatever looks
different is left to the generated parser, so nothing depends on what a client's encoder does.
"""

from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError, Message

from serving.images import SIDE

__all__ = ["UsualRequest", "has_at_most", "usual_request", "varint"]

# Image: field 2 of ClassifyRequest; Pixels: field 2 of Image; data: field 1 of Pixels. Each is a
# tag and a length of two bytes (https://protobuf.dev/programming-guides/encoding/).
_HEAD = bytes([0x12, 0x9A, 0x06, 0x12, 0x97, 0x06, 0x0A, 0x90, 0x06])
# height and width: fields 2 and 3 of Pixels, one byte each.
_TAIL = bytes([0x10, SIDE, 0x18, SIDE])
_BLOCK = len(_HEAD) + SIDE * SIDE + len(_TAIL)
# Place in a block, and the byte that is there. To take one place of all blocks at a time is several
# times faster than arrays are, which take their time to begin.
_AROUND_PIXELS = tuple(
    (place, bytes([byte]))
    for start, part in ((0, _HEAD), (_BLOCK - len(_TAIL), _TAIL))
    for place, byte in enumerate(part, start)
)
# profile: field 1 of ClassifyRequest, with a length of one byte.
_PROFILE = 0x0A
_LONGEST_PROFILE = 127

# Kinds of fields, in the three lowest bits of a tag.
_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}


class UsualRequest(NamedTuple):
    """A request to classify pictures of 28 x 28 pixels.

    Attributes:
        profile: name of the profile; empty = the default one.
        pixels: 784 bytes for each picture.
    """

    profile: str
    pixels: bytes


def usual_request(request: bytes, most: int) -> UsualRequest | None:
    """Return what a ``ClassifyRequest`` asks, if it has the usual form, else ``None``.

    Args:
        request: from outside.
        most: pictures; a request with more of them is not looked into.
    """
    count, start = divmod(len(request), _BLOCK)
    if not 1 <= count <= most:
        return None
    profile = _profile(request[:start]) if start else ""
    if profile is None:
        return None
    pixels = _one(request, start) if count == 1 else _many(request, start)
    return None if pixels is None else UsualRequest(profile, pixels)


def _profile(field: bytes) -> str | None:
    """Return the name that the field holds, if it is one field and the name a usual one."""
    name = field[2:]
    if len(name) > _LONGEST_PROFILE or not name.isascii():
        return None
    return name.decode() if field[:2] == bytes([_PROFILE, len(name)]) else None


def _one(request: bytes, start: int) -> bytes | None:
    if request.startswith(_HEAD, start) and request.endswith(_TAIL):
        return request[start + len(_HEAD) : -len(_TAIL)]
    return None


def _many(request: bytes, start: int) -> bytes | None:
    count = (len(request) - start) // _BLOCK
    for place, byte in _AROUND_PIXELS:
        if request[start + place :: _BLOCK] != byte * count:
            return None
    shape, strides = (count, SIDE * SIDE), (_BLOCK, 1)
    return np.ndarray(shape, np.uint8, request, start + len(_HEAD), strides).tobytes()


def has_at_most(fields: int, message: bytes, form: type[Message]) -> bool:
    """Say whether a message has no more than so many fields, those of messages in it included.

    A parsed field takes dozens of bytes, an empty one on the wire two; what a later one replaces
    is kept until all are let go. So the size of a message does not bound what it becomes. Only so
    many fields are looked at.

    Args:
        fields: at most.
        message: from outside.
        form: the message's class; fields that it does not know are not looked into.

    Raises:
        DecodeError: this is no message.
    """
    return _fields_left(fields, message, 0, len(message), form.DESCRIPTOR) >= 0


def _fields_left(fields: int, message: bytes, at: int, end: int, form: Any) -> int:
    """Return how many fields are left after those from ``at`` to ``end``; below 0 = too few."""
    while at < end and fields >= 0:
        fields -= 1
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _read_varint(message, at)
        elif kind == _LENGTH:
            length, start = _read_varint(message, at)
            at = start + length
            inner = form.fields_by_number.get(tag >> 3)
            if at <= end and inner is not None and inner.message_type is not None:
                fields = _fields_left(fields, message, start, at, inner.message_type)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:  # groups, which nobody has used for twenty years, and what does not exist
            raise DecodeError(f"a field of kind {kind}")
        if at > end:
            raise DecodeError("a field goes on after the end")
    return fields


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at ``at``, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at == len(message):
            raise DecodeError("a number goes on after the end")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise DecodeError("a number of more than ten bytes")


def varint(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first; all but the last have a mark."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
