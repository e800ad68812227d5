"""Of what pieces a PNG or a JPEG is made, looked at before an imaging library goes through them.

The sides of a picture bound what its pixels cost, and say nothing of what is around them: a file of
16 MiB has room for millions of empty pieces, each of which takes the library a microsecond or more,
for texts and profiles that unpack to a thousand times their length, and for millions of scans, each
of which goes over all pixels again.
"""

import re
import struct

from serving.errors import BadImage
from serving.images.size import PNG_SIGNATURE

__all__ = ["bare_png", "check_exif", "check_jpeg"]

# Files of 16 MiB have some 2,000 where writers cut the pixels into 8 KiB each.
_MOST_PIECES = 65_536
# A progressive JPEG usually has ten, with four components 18.
_MOST_SCANS = 20

# A JPEG's are at most 64 KiB; the library makes an object of each of its numbers.
_MOST_EXIF_BYTES = 128 * 1024

# Chunks without which the pixels are not what they are, or not upright, or not known to move.
_NEEDED = frozenset(
    {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
)
# Length and kind of a chunk, behind which come its content and a checksum.
_CHUNK = struct.Struct(">I4s")
_CHECKSUM = 4

_BEGIN = b"\xff\xd8"
_LENGTH = struct.Struct(">H")
_START_OF_SCAN = 0xDA
_EXIF, _EXIF_BEGIN = 0xE1, b"Exif\0\0"
_END_OF_IMAGE = 0xD9
# Frames as cameras write them, coded by Huffman. Others are coded arithmetically, without loss or
# in levels; coded arithmetically a scan over all pixels needs no bytes at all.
_FRAMES = (0xC0, 0xC1, 0xC2)
_OTHER_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, *range(0xC9, 0xD0), 0xDE}) - {0xCC}
# Length of a frame of four components.
_LONGEST_FRAME = 8 + 3 * 4
# Bytes of segments that the library takes apart bit by bit: tables, and what Photoshop adds.
_MOST_BYTES = {0xDB: 8 * 1024, 0xED: 1024 * 1024}
# Kinds of segments that have a length; restarts, begin and end have none, and the rest no meaning.
_SEGMENTS = (frozenset(range(0xC0, 0xF0)) | {0xFE}) - {0xC8, *range(0xD0, 0xDA)}
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
# Within a scan 0xFF stands for itself if 0 follows, and restarts belong to it.
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)


def bare_png(data: bytes) -> bytes:
    """Return a PNG without texts, profiles and whatever else its pixels do not need.

    Some of it comes packed, and nobody counts what the library unpacks. See the PNG specification
    (W3C, Third Edition), chapter 5. What is cut short stays so.

    Raises:
        BadImage: it has more chunks than any writer makes, or more EXIF than any camera.
    """
    whole, at, exif = memoryview(data), len(PNG_SIGNATURE), 0
    kept = [whole[:at]]
    for _ in range(_MOST_PIECES):
        if at + _CHUNK.size > len(data):
            return b"".join([*kept, whole[at:]])
        length, kind = _CHUNK.unpack_from(data, at)
        start, at = at, at + _CHUNK.size + length + _CHECKSUM
        if kind == b"eXIf":
            exif += length
            check_exif(exif)
        if kind in _NEEDED:
            kept.append(whole[start:at])
        if kind == b"IEND":
            return b"".join(kept)
    raise BadImage(f"expected a PNG of at most {_MOST_PIECES} chunks, found more")


def check_jpeg(data: bytes) -> None:
    """Raise BadImage if a JPEG has more segments, or scans of its pixels, than any writer makes.

    What follows the end of the picture, such as the film of a "motion photo", does not count. See
    ITU-T T.81, annex B. What has no meaning there counts as libjpeg would read it, byte by byte.
    """
    at, pieces, scans, frames = len(_BEGIN), 0, 0, 0
    bytes_of = {_EXIF: 0} | dict.fromkeys(_MOST_BYTES, 0)
    marker = _MARKER
    while found := marker.search(data, at):
        # Between segments there is nothing; of what is there all the same each byte is a piece.
        pieces += 1 + (found.start() - at if marker is _MARKER else 0)
        [kind] = found[1]
        at, marker = found.end(), _MARKER
        if kind == _END_OF_IMAGE and scans:
            break
        length = 0
        if kind in _SEGMENTS and at + _LENGTH.size <= len(data):
            length = max(*_LENGTH.unpack_from(data, at), _LENGTH.size)
            if kind != _EXIF or data.startswith(_EXIF_BEGIN, at + _LENGTH.size):
                bytes_of[kind] = bytes_of.get(kind, 0) + length
            at += length
        if kind == _START_OF_SCAN:
            scans += 1
            marker = _AFTER_SCAN
        if kind in _FRAMES or kind in _OTHER_FRAMES:
            frames += 1
            _check_frame(kind, length, frames)
        if scans > _MOST_SCANS:
            raise BadImage(f"expected a JPEG of at most {_MOST_SCANS} scans, found more")
        if pieces > _MOST_PIECES:
            raise BadImage(f"expected a JPEG of at most {_MOST_PIECES} segments, found more")
        check_exif(bytes_of[_EXIF])
        for kind, most in _MOST_BYTES.items():
            if bytes_of[kind] > most:
                raise BadImage(
                    f"expected at most {most} bytes in segments of kind {kind:#x} of a JPEG, found "
                    f"{bytes_of[kind]}"
                )


def _check_frame(kind: int, length: int, frames: int) -> None:
    """Raise BadImage unless it is the only frame and one that cameras write."""
    if kind in _OTHER_FRAMES:
        raise BadImage(
            "expected a JPEG coded by Huffman, as cameras write it, found another kind of frame; "
            "save it as PNG"
        )
    if frames > 1:
        raise BadImage("expected a JPEG of one frame, found more")
    if length > _LONGEST_FRAME:
        raise BadImage("expected a JPEG of at most four components, found more")


def check_exif(length: int) -> None:
    """Raise BadImage if a picture has more bytes of EXIF than any camera writes."""
    if length > _MOST_EXIF_BYTES:
        raise BadImage(f"expected at most {_MOST_EXIF_BYTES} bytes of EXIF, found {length}")
