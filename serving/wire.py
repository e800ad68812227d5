"""The request that most callers send, recognised by its bytes.

One picture of 28 x 28 pixels has one usual encoding: the same nine bytes of tags and lengths, the
pixels, the same four bytes. To look for them costs a quarter of what it costs to build the
message and to ask for its fields one by one. Whatever looks different is left to the generated
parser, so nothing depends on what a client's encoder does.
"""

from typing import NamedTuple

__all__ = ["SinglePicture", "single_picture"]

_SIDE = 28
# Image: field 2 of ClassifyRequest; Pixels: field 2 of Image; data: field 1 of Pixels. Each is a
# tag and a length of two bytes (https://protobuf.dev/programming-guides/encoding/).
_HEAD = bytes([0x12, 0x9A, 0x06, 0x12, 0x97, 0x06, 0x0A, 0x90, 0x06])
# height and width: fields 2 and 3 of Pixels, one byte each.
_TAIL = bytes([0x10, _SIDE, 0x18, _SIDE])
_SIZE = len(_HEAD) + _SIDE * _SIDE + len(_TAIL)
_PROFILE = 0x0A


class SinglePicture(NamedTuple):
    """A request to classify one picture.

    Attributes:
        profile: name of the profile; empty = the default one.
        pixels: 784 bytes.
    """

    profile: str
    pixels: bytes


def single_picture(request: bytes) -> SinglePicture | None:
    """Return what a ``ClassifyRequest`` asks, if it has the usual form, else ``None``."""
    start = len(request) - _SIZE
    if start < 0 or not request.startswith(_HEAD, start) or not request.endswith(_TAIL):
        return None
    pixels = request[start + len(_HEAD) : -len(_TAIL)]
    if not start:
        return SinglePicture("", pixels)
    name = request[2:start]
    if request[0] != _PROFILE or request[1] != len(name) or not name.isascii():
        return None
    return SinglePicture(name.decode(), pixels)
