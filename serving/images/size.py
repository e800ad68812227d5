"""How large a picture file claims to be, read off its header and not decoded."""

import struct

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">8sI4sII")
_JPEG = b"\xff\xd8\xff"
# What begins each segment before the frame's: 0xFF, its kind, its length without these two bytes.
_SEGMENT = struct.Struct(">BBH")
# Of the frame's segment: precision, height, width.
_FRAME = struct.Struct(">BHH")
# Kinds of frames, without the three of this range that are something else.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# More than any camera writes; hostile files have millions.
_MOST_SEGMENTS = 32


def claimed_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height as a PNG or a JPEG claims them; ``None`` = not known so cheaply."""
    if data.startswith(PNG_SIGNATURE) and len(data) >= _PNG_HEADER.size:
        _, _, chunk, width, height = _PNG_HEADER.unpack_from(data)
        return (width, height) if chunk == b"IHDR" else None
    return _claimed_by_jpeg(data) if data.startswith(_JPEG) else None


def _claimed_by_jpeg(data: bytes) -> tuple[int, int] | None:
    """See ITU-T T.81, annex B."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + _SEGMENT.size + _FRAME.size > len(data):
            break
        begin, kind, length = _SEGMENT.unpack_from(data, at)
        if begin != 0xFF:
            break
        if kind in _FRAMES:
            _, height, width = _FRAME.unpack_from(data, at + _SEGMENT.size)
            return width, height
        at += 2 + length
    return None
