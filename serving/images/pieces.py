"""Of how many pieces a PNG or a JPEG is made, counted before an imaging library goes through them.

The sides of a picture bound what its pixels cost, and say nothing of what is around them: a file of
16 MiB has room for millions of empty pieces, each of which takes the library a microsecond or more,
and for millions of scans, each of which goes over all pixels again.
"""

import re
import struct

from serving.errors import BadImage
from serving.images.size import PNG_SIGNATURE

__all__ = ["check_exif", "check_jpeg", "check_png"]

# Files of 16 MiB have some 2,000 where writers cut the pixels into 8 KiB each.
_MOST_PIECES = 65_536
# A progressive JPEG usually has ten.
_MOST_SCANS = 64

# A JPEG's are at most 64 KiB; the library makes an object of each of its numbers.
_MOST_EXIF_BYTES = 128 * 1024

# Length and kind of a chunk, behind which come its content and a checksum.
_CHUNK = struct.Struct(">I4s")
_CHECKSUM = 4

_BEGIN = b"\xff\xd8"
_LENGTH = struct.Struct(">H")
_START_OF_SCAN = 0xDA
_EXIF, _EXIF_BEGIN = 0xE1, b"Exif\0\0"
_END_OF_IMAGE = 0xD9
# Kinds of segments that have a length; restarts, begin and end have none, and the rest no meaning.
_SEGMENTS = (frozenset(range(0xC0, 0xF0)) | {0xFE}) - {0xC8, *range(0xD0, 0xDA)}
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
# Within a scan 0xFF stands for itself if 0 follows, and restarts belong to it.
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)


def check_png(data: bytes) -> None:
    """Raise BadImage if a PNG has more chunks than any writer makes.

    See the PNG specification (W3C, Third Edition), chapter 5.
    """
    at = len(PNG_SIGNATURE)
    for _ in range(_MOST_PIECES):
        if at + _CHUNK.size > len(data):
            return
        length, kind = _CHUNK.unpack_from(data, at)
        if kind == b"IEND":
            return
        at += _CHUNK.size + length + _CHECKSUM
    raise BadImage(f"expected a PNG of at most {_MOST_PIECES} chunks, found more")


def check_jpeg(data: bytes) -> None:
    """Raise BadImage if a JPEG has more segments, or scans of its pixels, than any writer makes.

    What follows the end of the picture, such as the film of a "motion photo", does not count. See
    ITU-T T.81, annex B. What has no meaning there counts as libjpeg would read it, byte by byte.
    """
    at, pieces, scans, exif = len(_BEGIN), 0, 0, 0
    marker = _MARKER
    while found := marker.search(data, at):
        # Between segments there is nothing; of what is there all the same each byte is a piece.
        pieces += 1 + (found.start() - at if marker is _MARKER else 0)
        [kind] = found[1]
        at, marker = found.end(), _MARKER
        if kind == _END_OF_IMAGE and scans:
            break
        if kind in _SEGMENTS and at + _LENGTH.size <= len(data):
            length = max(*_LENGTH.unpack_from(data, at), _LENGTH.size)
            if kind == _EXIF and data.startswith(_EXIF_BEGIN, at + _LENGTH.size):
                exif += length
            at += length
        if kind == _START_OF_SCAN:
            scans += 1
            marker = _AFTER_SCAN
        if scans > _MOST_SCANS:
            raise BadImage(f"expected a JPEG of at most {_MOST_SCANS} scans, found more")
        if pieces > _MOST_PIECES:
            raise BadImage(f"expected a JPEG of at most {_MOST_PIECES} segments, found more")
        check_exif(exif)


def check_exif(length: int) -> None:
    """Raise BadImage if a picture has more bytes of EXIF than any camera writes."""
    if length > _MOST_EXIF_BYTES:
        raise BadImage(f"expected at most {_MOST_EXIF_BYTES} bytes of EXIF, found {length}")
