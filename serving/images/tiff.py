"""What the directory of a TIFF asks for, looked at before an imaging library does as it says.

The sides of a picture bound what its pixels cost, and a TIFF says far more than these: how large
the tiles are of which it is cut out, where each of its strips lies, of which millions may lie at
one place, and how it is packed.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from serving.errors import BadImage
from serving.images.pieces import check_exif, check_jpeg

__all__ = ["check_tiff"]

# How a file begins, and in which order its numbers then have their bytes. Files beyond 4 GiB begin
# otherwise ("BigTIFF"), which no picture needs that may be sent.
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

# Most pictures have some twenty, maps and raw photographs some eighty.
_MOST_TAGS = 1024
# A strip for each row is the most that anybody makes, and rows are seldom more than that.
_MOST_NUMBERS = 65_536

# Planes may lie apart, and tiles hang over the edges, by nearly their own size each way.
_MOST_TIMES = 8

_WIDTH, _HEIGHT, _COMPRESSION, _STRIP_HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = (
    256,
    257,
    259,
    278,
    322,
    323,
)
# Of strips, and of tiles.
_OFFSETS = (273, 324)
_LENGTHS = (279, 325)
_UNPACKED, _JPEG = 1, 7
# Where further directories begin: for EXIF, for the place, and for what must work together.
_DIRECTORIES = (34665, 34853, 40965)
# As a fax, by LZW, JPEG, deflate or PackBits; what else there is is hardly met, and less proven.
_PACKED = {2, 3, 4, 5, 7, 8, 32773, 32946}

# An entry holds its values itself if they take no more bytes.
_INSIDE = 4
_SHORT, _LONG = 3, 4
_FORMS = {_SHORT: "H", _LONG: "I"}
# Bytes of a value by its kind, and the kinds whose values are not taken apart: bytes and text.
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}
_TEXT = (1, 2, 6, 7)


class _Entry(NamedTuple):
    """An entry of a directory: its tag, the kind and number of its values, and where they lie."""

    tag: int
    kind: int
    number: int
    at: int


def check_tiff(data: bytes, max_pixels: int) -> None:
    """Raise BadImage if the first picture of a TIFF asks for more than a picture needs.

    See TIFF 6.0 (Adobe, 1992), section 2.

    Args:
        data: the file.
        max_pixels: of a tile.
    """
    order = _ORDERS.get(data[:4])
    if order is None:
        raise BadImage(f"expected a TIFF that begins with II*\\0 or MM\\0*, found {data[:4]!r}")
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        entries = list(_directory(data, order, start))
        _check_entries(entries, len(data))
        _check_values(data, order, entries, max_pixels)
        _check_inner(data, order, entries)
    except struct.error as error:
        raise BadImage("the header of the TIFF file is damaged or cut short") from error


def _check_entries(entries: Sequence[_Entry], length: int) -> None:
    """Raise BadImage if there are more values than the file has room for, or than anybody needs.

    There may be, since all entries can point to the same bytes.
    """
    for entry in entries:
        if entry.kind not in _TEXT and entry.number > _MOST_NUMBERS:
            raise BadImage(
                f"expected at most {_MOST_NUMBERS} numbers for a tag of a TIFF, such as lengths of "
                f"strips or tiles, found {entry.number} for tag {entry.tag}"
            )
    told = sum(map(_bytes_of, entries))
    if told > length:
        raise BadImage(f"expected tags of at most the {length} bytes of the TIFF, found {told}")


def _check_values(data: bytes, order: str, entries: Sequence[_Entry], max_pixels: int) -> None:
    def values(*tags: int) -> list[int]:
        """Return all values; where a tag comes twice, libraries differ in which of them counts."""
        return [v for entry in entries if entry.tag in tags for v in _values(data, order, entry)]

    def largest(tag: int) -> int:
        return max(values(tag), default=0)

    packed = set(values(_COMPRESSION)) - {_UNPACKED}
    if packed - _PACKED:
        raise BadImage(
            "expected a TIFF that is not packed, or packed by LZW, deflate, PackBits, JPEG or as a "
            f"fax, found compression {min(packed - _PACKED)}; save it as PNG"
        )
    tile = largest(_TILE_WIDTH) * largest(_TILE_HEIGHT)
    if tile > max_pixels:
        raise BadImage(f"expected tiles of at most {max_pixels} pixels, found {tile}")
    strip = largest(_WIDTH) * min(largest(_STRIP_HEIGHT) or largest(_HEIGHT), largest(_HEIGHT))
    parts = max((entry.number for entry in entries if entry.tag in _OFFSETS), default=0)
    drawn = parts * max(strip, tile)
    if drawn > _MOST_TIMES * max_pixels:
        raise BadImage(
            f"expected strips or tiles of at most {_MOST_TIMES} x {max_pixels} pixels together, "
            f"found {drawn}"
        )
    lengths = values(*_LENGTHS)
    read = sum(lengths)
    if packed and read > len(data):
        raise BadImage(
            f"expected strips of at most the {len(data)} bytes of the TIFF, found {read}"
        )
    if _JPEG in packed:
        for start, length in zip(values(*_OFFSETS), lengths, strict=False):
            check_jpeg(data[start : start + length])


def _check_inner(data: bytes, order: str, entries: Sequence[_Entry]) -> None:
    """Raise BadImage if directories that are named in others hold more numbers than EXIF may have.

    The library reads each of them as often as it is named, and takes all numbers apart.
    """
    numbers, depth = 0, 0
    while inner := [entry for entry in entries if entry.tag in _DIRECTORIES]:
        depth += 1
        if depth > len(_DIRECTORIES) or sum(entry.number for entry in inner) > len(_DIRECTORIES):
            raise BadImage(
                f"expected at most {len(_DIRECTORIES)} directories in a TIFF, one for EXIF, one "
                "for a place and one for the rest, found more"
            )
        entries = []
        for start in (start for entry in inner for start in _values(data, order, entry)):
            found = list(_directory(data, order, start))
            _check_entries(found, len(data))
            numbers += sum(_bytes_of(entry) for entry in found if entry.kind not in _TEXT)
            entries += found
    check_exif(numbers)


def _directory(data: bytes, order: str, start: int) -> Iterator[_Entry]:
    """Yield the entries of the directory that begins there."""
    (count,) = struct.unpack_from(f"{order}H", data, start)
    if count > _MOST_TAGS:
        raise BadImage(f"expected a TIFF of at most {_MOST_TAGS} tags, found {count}")
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, place = struct.unpack_from(f"{order}HHII", data, at)
        inside = values * _BYTES.get(kind, 0) <= _INSIDE
        yield _Entry(tag, kind, values, at + 8 if inside else place)


def _bytes_of(entry: _Entry) -> int:
    return entry.number * _BYTES.get(entry.kind, 0)


def _values(data: bytes, order: str, entry: _Entry) -> tuple[int, ...]:
    form = _FORMS.get(entry.kind)
    if form is None:
        raise BadImage(f"expected whole numbers for tag {entry.tag} of a TIFF, found others")
    values: tuple[int, ...] = struct.unpack_from(f"{order}{entry.number}{form}", data, entry.at)
    return values
