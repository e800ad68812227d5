"""TIFFs that say more than a picture needs are refused before anything is made of it."""

import contextlib
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from PIL import Image

from serving.errors import BadImage
from serving.images import ImageLimits, decode
from serving.images.tiff import check_tiff
from tests.pictures import saved

LIMITS = ImageLimits()
SIDE = 64
SHORT, LONG, TEXT = 3, 4, 2
WIDTH, HEIGHT, DEPTH, PACKED, SHADES, FILL = 256, 257, 258, 259, 262, 266
OFFSETS, ROWS, LENGTHS = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 322, 323, 324, 325
FAX, JPEG, DEFLATE, PACKBITS = 3, 7, 8, 32773
EXIF = 34665
RATIONAL, RATIONAL_BYTES = 5, 8
SCAN = b"\xff\xda\0\2"
BEGIN = 8

Tags = Mapping[int, int | Sequence[int]]


def tiff(tags: Tags, pixels: bytes = b"", order: str = "<", again: Tags | None = None) -> bytes:
    """Return a TIFF of grey pixels, which begin at byte 8, and of these tags.

    Args:
        tags: beside those that every picture has.
        pixels: packed as the tags say.
        order: of the bytes of a number.
        again: tags that come once more.
    """
    usual: Tags = {WIDTH: SIDE, HEIGHT: SIDE, DEPTH: 8, PACKED: 1, SHADES: 1}
    entries = [*sorted({**usual, **tags}.items()), *(again or {}).items()]
    start = BEGIN + len(pixels) + len(pixels) % 2
    behind = start + 2 + 12 * len(entries) + 4
    directory, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, value in entries:
        numbers = [value] if isinstance(value, int) else value
        raw = struct.pack(f"{order}{len(numbers)}I", *numbers)
        inside = len(numbers) == 1
        place = raw if inside else struct.pack(f"{order}I", behind + len(values))
        directory += struct.pack(f"{order}HHI", tag, LONG, len(numbers)) + place
        values += b"" if inside else raw
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + pixels.ljust(start - BEGIN, b"\0") + directory + bytes(4) + values


@pytest.mark.parametrize("order", ["<", ">"])
def test_strips(order: str) -> None:
    """A strip for each row, in either order of bytes."""
    grey = np.arange(SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint8)
    offsets = range(BEGIN, BEGIN + SIDE * SIDE, SIDE)
    tags: Tags = {ROWS: 1, OFFSETS: list(offsets), LENGTHS: [SIDE] * SIDE}

    assert np.array_equal(decode(tiff(tags, grey.tobytes(), order), LIMITS), grey)


def test_tiles() -> None:
    """A picture that is smaller than its one tile."""
    tile = np.arange(256 * 256).reshape(256, 256).astype(np.uint8)
    packed = zlib.compress(tile.tobytes())
    size: Tags = {PACKED: DEFLATE, TILE_WIDTH: 256, TILE_HEIGHT: 256}
    file = tiff(size | {TILE_OFFSETS: BEGIN, TILE_LENGTHS: len(packed)}, packed)

    assert np.array_equal(decode(file, LIMITS), tile[:SIDE, :SIDE])


@pytest.mark.parametrize(
    ("mode", "packed"),
    [
        ("L", "raw"),
        ("L", "tiff_lzw"),
        ("L", "tiff_adobe_deflate"),
        ("L", "tiff_deflate"),
        ("L", "packbits"),
        ("L", "jpeg"),
        ("RGBA", "tiff_lzw"),
        ("I;16", "tiff_adobe_deflate"),
        ("1", "group3"),
        ("1", "group4"),
        ("CMYK", "raw"),
    ],
)
@pytest.mark.parametrize("side", [40, 1500])
def test_what_is_usual(mode: str, packed: str, side: int) -> None:
    """However a picture is packed and of however many strips, it is read."""
    picture = Image.linear_gradient("L").resize((side, side)).convert(mode)

    assert decode(saved(picture, "TIFF", compression=packed), LIMITS).shape == (side, side)


def test_a_colour_profile_is_no_number_too_many() -> None:
    """Bytes that nobody takes apart may be many."""
    file = saved(Image.new("L", (SIDE, SIDE)), "TIFF", icc_profile=bytes(100_000))

    assert decode(file, LIMITS).shape == (SIDE, SIDE)


def test_exif() -> None:
    """A camera's has some hundred numbers, in a directory of its own."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x829A] = 0.01
    file = saved(Image.new("L", (SIDE, SIDE)), "TIFF", exif=exif)

    assert decode(file, LIMITS).shape == (SIDE, SIDE)


def named_again(times: int, kind: int, number: int) -> bytes:
    """Return a TIFF with a directory for EXIF that names itself, and one tag of so many values."""
    inner = BEGIN
    entries = [(EXIF, LONG, 1, inner)] * times + [(800, kind, number, 0)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return tiff({EXIF: inner}, directory + bytes(RATIONAL_BYTES * 20_000))


def test_a_library_that_speaks_on_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    """A line for each bad row would fill the log with what a stranger likes."""
    rows = np.random.default_rng(0).bytes(4096)
    file = tiff({PACKED: FAX, DEPTH: 1, ROWS: SIDE, OFFSETS: BEGIN, LENGTHS: len(rows)}, rows)
    with contextlib.suppress(BadImage):
        decode(file, LIMITS)

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        # A whole tile is unpacked for a corner of it: 2 GiB of a file of 2 MB.
        (
            tiff({PACKED: DEFLATE, TILE_WIDTH: 46_320, TILE_HEIGHT: 46_320, TILE_OFFSETS: BEGIN}),
            "tiles of at most 20971520 pixels, found 2145542400",
        ),
        # Each strip is the same megabyte, turned over bit by bit before it is unpacked.
        (
            tiff(
                {PACKED: PACKBITS, FILL: 2, ROWS: 1, OFFSETS: [BEGIN] * SIDE}
                | {LENGTHS: [1 << 20] * SIDE}
            ),
            "bytes of the TIFF, found 67108864",
        ),
        # For each strip the library makes objects, though one would fill the picture.
        (tiff({OFFSETS: [BEGIN] * 70_000}), "65536 numbers .* found 70000 for tag 273"),
        # The picture is filled again and again.
        (
            tiff({WIDTH: 4000, HEIGHT: 4000, ROWS: 3999, OFFSETS: [BEGIN] * 20}),
            "8 x 20971520 pixels together, found 319920000",
        ),
        # Directories within directories, each read as often as it is named.
        (named_again(0, RATIONAL, 20_000), "131072 bytes of EXIF, found 160000"),
        (named_again(4, LONG, 1), "at most 3 directories"),
        (named_again(1, LONG, 1), "at most 3 directories"),
        # A strip that is a JPEG, and would be gone over again and again.
        (
            tiff({PACKED: JPEG, OFFSETS: BEGIN, LENGTHS: 126}, b"\xff\xd8" + 31 * SCAN),
            "JPEG of at most 20 scans",
        ),
        (tiff({PACKED: 50_000}), "found compression 50000; save it as PNG"),
        # Which of two values counts is for each library to say.
        (tiff({PACKED: DEFLATE}, again={PACKED: 34_925}), "found compression 34925"),
        (tiff(dict.fromkeys(range(1000, 2100), 0)), "at most 1024 tags, found 1105"),
        # All tags have the same bytes.
        (
            b"II*\0"
            + struct.pack("<IH", 8, 2)
            + struct.pack("<HHII", 700, 7, 60, 0) * 2
            + bytes(50),
            "at most the 84 bytes of the TIFF, found 120",
        ),
        (
            b"II*\0" + struct.pack("<IHHHII", 8, 1, WIDTH, TEXT, 1, 0) + bytes(50),
            "whole numbers for tag 256",
        ),
        (b"II+\0" + bytes(50), "begins with"),
        (b"MM*\0" + bytes(50), "begins with"),
        (b"II*\0" + struct.pack("<I", 1000), "damaged or cut short"),
        (b"II*\0" + struct.pack("<IHHHII", 8, 1, WIDTH, LONG, 2, 1000), "damaged or cut short"),
    ],
)
def test_what_costs_too_much(file: bytes, problem: str) -> None:
    """The picture is refused before a library sees it, with what was expected and found."""
    with pytest.raises(BadImage, match=problem):
        check_tiff(file, LIMITS.max_pixels)
    with pytest.raises(BadImage, match=problem):
        decode(file, LIMITS)
